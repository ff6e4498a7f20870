//! The shop's half of a payment: one attempt at a provider, from before the first call to the day it is certain.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Starting: journalled, then the provider is called
//!     Starting --> Requested: the provider has it
//!     Starting --> Unknown: no answer
//!     Unknown --> Requested: looked up
//!     Requested --> Captured: read
//!     Unknown --> Captured: read
//!     Starting --> Captured: read
//!     Starting --> Dead: the provider refused to create it
//!     Requested --> Dead: read, or canceled
//!     Unknown --> Dead: read
//!     Dead --> Captured: late money is not silent
//! ```
//!
//! A webhook is a hint: it leads to a read, and only what was read moves this machine. Amount, currency, reference,
//! account and live or test must all match before anything counts.

use comptoir_content::{Amount, Timestamp};

use crate::{Refused, outbox};

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Written down; the provider is being called, or was when the power went.
    Starting,
    /// The provider has it, and the customer can pay.
    Requested,
    /// The provider may or may not have it, or may or may not have charged.
    Unknown,
    /// Charged.
    Captured,
    /// Over for certain: no charge exists and none can come.
    Dead,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Starting, Self::Requested, Self::Unknown, Self::Captured, Self::Dead];

    /// The stable name, for storing.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Requested => "requested",
            Self::Unknown => "unknown",
            Self::Captured => "captured",
            Self::Dead => "dead",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// True while the attempt holds its slot: money may still come.
    #[must_use]
    pub fn is_live(self) -> bool {
        match self {
            Self::Starting | Self::Requested | Self::Unknown => true,
            Self::Captured | Self::Dead => false,
        }
    }
}

/// One attempt to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub state: State,
    pub amount: Amount,
    /// Our reference at the provider: payment and attempt.
    pub reference: String,
    /// Our account at the provider.
    pub account: String,
    pub live: bool,
    /// The provider's id, once known.
    pub provider_payment: Option<String>,
    /// Why it is dead, as a key of the registry of reasons.
    pub reason: Option<String>,
    /// After this it is canceled at the provider.
    pub expires_at: Timestamp,
    /// How often it was looked up in a row without news.
    pub reads: u32,
    pub wake_at: Option<Timestamp>,
}

/// What the provider says about a payment, after an authenticated read or a fully signed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub provider_payment: String,
    pub status: Status,
    pub amount: Amount,
    pub reference: String,
    pub account: String,
    pub live: bool,
    /// As the provider words it, such as `card ···· 4242`.
    pub method: String,
}

/// What a provider's own list of statuses comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The customer can still pay.
    Open,
    /// Something is on its way at the provider; wait.
    Processing,
    Captured {
        at: Timestamp,
    },
    /// No charge exists and none can come.
    Dead {
        reason: String,
    },
}

/// What can happen to an attempt.
#[derive(Clone, Debug)]
pub enum Input {
    /// The provider answered the call that creates it.
    Created(Seen),
    /// The provider refused to create it, for certain.
    Rejected { reason: String },
    /// No usable answer: time-out, 5xx, a crash in between.
    NoAnswer { random: u32 },
    /// An authenticated read.
    Read { seen: Seen, random: u32 },
    /// A read found that the provider never had it.
    NotFound,
    /// The time that `wake_at` named has come.
    Woken,
}

/// What to do after the next state is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell the customer where to pay.
    Request,
    /// Tell the customer that it is over.
    TellDead,
    /// Post the charge, issue the receipt.
    Settle { at: Timestamp, method: String },
    /// The charge came although the attempt was given up, or a sibling was charged: somebody decides below.
    LateMoney { at: Timestamp, method: String },
    /// Read it at the provider.
    Read,
    /// End it at the provider, so that its slot is free.
    Cancel,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub next: Attempt,
    pub effects: Vec<Effect>,
}

/// How long a payment may be asked for, in milliseconds.
pub const REQUEST_LIFE_MS: i64 = 15 * 60_000;
/// The first look-up without a webhook comes after this long, in milliseconds.
const FIRST_READ_MS: i64 = 20_000;

impl Attempt {
    /// What is written down before the provider is called.
    #[must_use]
    pub fn starting(amount: Amount, reference: String, account: String, live: bool, now: Timestamp) -> Self {
        Self {
            state: State::Starting,
            amount,
            reference,
            account,
            live,
            provider_payment: None,
            reason: None,
            expires_at: now.plus_ms(REQUEST_LIFE_MS),
            reads: 0,
            wake_at: Some(now.plus_ms(FIRST_READ_MS)),
        }
    }

    /// All that must agree before what was seen counts.
    fn check(&self, seen: &Seen) -> Result<(), Refused> {
        let same_payment = self.provider_payment.as_ref().is_none_or(|known| *known == seen.provider_payment);
        if seen.amount == self.amount
            && seen.reference == self.reference
            && seen.account == self.account
            && seen.live == self.live
            && same_payment
        {
            Ok(())
        } else {
            Err(Refused::AmountDiffers)
        }
    }

    /// Stays, and is not looked at again until something happens.
    fn rest(self) -> Result<Step, Refused> {
        Ok(Step { next: Self { wake_at: None, ..self }, effects: vec![] })
    }

    fn stay(self) -> Result<Step, Refused> {
        Ok(Step { next: self, effects: vec![] })
    }
}

/// Whatever woke an attempt, it is never left to be woken at the same moment again.
///
/// # Errors
/// [`Refused::AmountDiffers`] when the provider speaks of other money than we asked for: quarantine, no receipt.
pub fn step(attempt: Attempt, input: Input, now: Timestamp) -> Result<Step, Refused> {
    use {Input as I, State as S};
    match (attempt.state, input) {
        (S::Starting | S::Unknown | S::Dead, I::Created(seen)) => read(attempt, seen, 0, now),
        (S::Requested | S::Captured, I::Created(seen)) => {
            attempt.check(&seen)?;
            attempt.stay()
        }
        // Also when an earlier sending may have arrived: without a hand-off nobody can pay what it made.
        (S::Starting | S::Unknown, I::Rejected { reason }) => dead(attempt, reason),
        // The provider never had it, so nothing can come of it.
        (S::Starting | S::Unknown, I::NotFound) => dead(attempt, "method.provider_down".to_owned()),
        (S::Requested | S::Captured | S::Dead, I::Rejected { .. } | I::NotFound) => attempt.stay(),
        (S::Starting | S::Unknown, I::NoAnswer { random }) => {
            let wake_at = outbox::next_try(attempt.reads.saturating_add(2), random, now);
            let next = Attempt {
                state: S::Unknown,
                reads: attempt.reads.saturating_add(1),
                wake_at: Some(wake_at),
                ..attempt
            };
            Ok(Step { next, effects: vec![] })
        }
        (S::Requested, I::NoAnswer { random }) => Ok(Step { next: later(attempt, random, now), effects: vec![] }),
        (S::Captured, I::NoAnswer { .. }) => attempt.rest(),
        // A hint had come; what it was about is still to be read.
        (S::Dead, I::NoAnswer { random }) => Ok(Step { next: later(attempt, random, now), effects: vec![] }),
        (_, I::Read { seen, random }) => read(attempt, seen, random, now),
        (S::Starting | S::Unknown | S::Requested, I::Woken) => {
            if attempt.wake_at.is_none_or(|wake_at| wake_at > now) {
                return attempt.stay();
            }
            let run_out = attempt.state == S::Requested && attempt.expires_at <= now;
            let effect = if run_out { Effect::Cancel } else { Effect::Read };
            let next = later(attempt, 0, now);
            Ok(Step { next, effects: vec![effect] })
        }
        // A hint about something that is over. Paid stays paid; given up may have been paid late.
        (S::Captured, I::Woken) => attempt.rest(),
        (S::Dead, I::Woken) => Ok(Step { next: Attempt { wake_at: None, ..attempt }, effects: vec![Effect::Read] }),
    }
}

fn read(attempt: Attempt, seen: Seen, random: u32, now: Timestamp) -> Result<Step, Refused> {
    attempt.check(&seen)?;
    let known = Attempt { provider_payment: Some(seen.provider_payment), ..attempt };
    match (known.state, seen.status) {
        (State::Captured, _) => known.rest(),
        (State::Dead, Status::Captured { at }) => {
            let next = Attempt { state: State::Captured, wake_at: None, ..known };
            Ok(Step { next, effects: vec![Effect::LateMoney { at, method: seen.method }] })
        }
        (State::Dead, Status::Open | Status::Processing | Status::Dead { .. }) => known.rest(),
        (_, Status::Captured { at }) => {
            let next = Attempt { state: State::Captured, wake_at: None, reason: None, ..known };
            Ok(Step { next, effects: vec![Effect::Settle { at, method: seen.method }] })
        }
        (_, Status::Dead { reason }) => dead(known, reason),
        (State::Starting | State::Unknown, Status::Open) => {
            let next =
                Attempt { state: State::Requested, reads: 0, wake_at: Some(now.plus_ms(FIRST_READ_MS)), ..known };
            Ok(Step { next, effects: vec![Effect::Request] })
        }
        (State::Starting, Status::Processing) => {
            let next = later(Attempt { state: State::Unknown, ..known }, random, now);
            Ok(Step { next, effects: vec![] })
        }
        (State::Unknown | State::Requested, Status::Processing) | (State::Requested, Status::Open) => {
            Ok(Step { next: later(known, random, now), effects: vec![] })
        }
    }
}

fn dead(attempt: Attempt, reason: String) -> Result<Step, Refused> {
    let next = Attempt { state: State::Dead, reason: Some(reason), wake_at: None, ..attempt };
    Ok(Step { next, effects: vec![Effect::TellDead] })
}

fn later(attempt: Attempt, random: u32, now: Timestamp) -> Attempt {
    let wake_at = outbox::next_try(attempt.reads.saturating_add(5), random, now);
    let ends = attempt.state == State::Requested && attempt.expires_at > now;
    // Not past the end: then it has to be canceled.
    let wake_at = if ends { wake_at.min(attempt.expires_at) } else { wake_at };
    Attempt { reads: attempt.reads.saturating_add(1), wake_at: Some(wake_at), ..attempt }
}

#[cfg(test)]
mod tests {
    use comptoir_content::Currency;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn attempt() -> Attempt {
        let amount = Amount::new(120, Currency::of("EUR").unwrap()).unwrap();
        Attempt::starting(amount, "pay_1.1".to_owned(), "the-bakery".to_owned(), false, NOW)
    }

    fn seen(status: Status) -> Seen {
        Seen {
            provider_payment: "p1".to_owned(),
            status,
            amount: attempt().amount,
            reference: "pay_1.1".to_owned(),
            account: "the-bakery".to_owned(),
            live: false,
            method: String::new(),
        }
    }

    fn inputs() -> impl Strategy<Value = Input> {
        let status = prop_oneof![
            Just(Status::Open),
            Just(Status::Processing),
            Just(Status::Captured { at: NOW }),
            Just(Status::Dead { reason: "card.declined".to_owned() }),
        ];
        prop_oneof![
            status.clone().prop_map(|status| Input::Created(seen(status))),
            (status, any::<u32>()).prop_map(|(status, random)| Input::Read { seen: seen(status), random }),
            any::<u32>().prop_map(|random| Input::NoAnswer { random }),
            Just(Input::Rejected { reason: "method.none".to_owned() }),
            Just(Input::NotFound),
            Just(Input::Woken),
        ]
    }

    proptest! {
        #[test]
        fn a_charge_is_settled_once_and_nothing_spins(
            inputs in proptest::collection::vec((inputs(), 0i64..3_600_000, any::<bool>()), 1..40)
        ) {
            let (mut attempt, mut now, mut settled) = (attempt(), NOW, 0);
            for (input, ms, hinted) in inputs {
                now = now.plus_ms(ms);
                if hinted {
                    attempt.wake_at = Some(now); // A webhook came.
                }
                let woken = matches!(input, Input::Woken);
                let before = attempt.state;
                let step = step(attempt, input, now).unwrap();
                for effect in &step.effects {
                    if let Effect::Settle { .. } | Effect::LateMoney { .. } = effect {
                        settled += 1;
                    }
                }
                attempt = step.next;
                prop_assert!(before != State::Captured || attempt.state == State::Captured, "paid stays paid");
                prop_assert!(!woken || attempt.wake_at.is_none_or(|at| at > now), "it would be woken at once again");
            }
            prop_assert!(settled <= 1);
            prop_assert_eq!(settled == 1, attempt.state == State::Captured);
        }
    }

    #[test]
    fn other_money_than_was_asked_for_moves_nothing() {
        let wrong: [fn(&mut Seen); 4] = [
            |seen| seen.amount = Amount::new(119, seen.amount.currency()).unwrap(),
            |seen| seen.account = "another".to_owned(),
            |seen| seen.live = true,
            |seen| seen.reference = "pay_1.2".to_owned(),
        ];
        for change in wrong {
            let mut seen = seen(Status::Captured { at: NOW });
            change(&mut seen);
            let refused = step(attempt(), Input::Read { seen, random: 0 }, NOW);
            assert_eq!(refused, Err(Refused::AmountDiffers));
        }
    }
}
