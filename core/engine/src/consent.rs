//! The 24-hour rule, the halves of both ends: a business may write to a person within 24 hours of the person's last action
//! here, or about an order that the person placed, or with a token that the person gave.
//!
//! The business's own device asks [`may_write`] before it says anything. The person's device checks with [`judge`], with the
//! relay's clock on both sides. In between the relay keeps its half, blind: a gate that the person's device sets, and passes
//! through it ([`pass`]). Only a merchant and a relay that collude can stretch the rule.

use comptoir_content::{AccountKind, Basis, Body, Hash, Timestamp};

use crate::Refused;
use crate::limits::SKEW_MS;

/// How long an action of the person allows a business to write, in milliseconds.
pub const WINDOW_MS: i64 = 24 * 3_600_000;

/// What the recipient's device knows about a message of a business and the reason it names.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub sender: AccountKind,
    pub blocked: bool,
    pub basis: Option<Basis>,
    /// For a basis of an action: when the relay accepted that action of ours. `None` when there is no such action.
    pub action_accepted_at: Option<Timestamp>,
    /// For a basis of an order: this person placed it here.
    pub order_is_ours: bool,
    /// For a basis of a token: this person gave it and it was not used.
    pub token_is_good: bool,
    /// The sender's clock.
    pub sent_at: Timestamp,
    /// The relay's clock.
    pub accepted_at: Timestamp,
}

/// What a message is, as far as this rule is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something a person would read.
    Words,
    /// Marks and other silent business of the protocol.
    Silent,
    /// The result of an order: an answer, a receipt, a refund.
    Result,
}

/// How the rule sees a message.
#[must_use]
pub fn weight(body: &Body) -> Weight {
    match body {
        Body::Marks(_) | Body::Hello(_) | Body::AskPayment(_) => Weight::Silent,
        Body::PaymentAnswer(_) | Body::Receipt(_) | Body::Refund(_) => Weight::Result,
        Body::Text(_)
        | Body::Tap(_)
        | Body::Card(_)
        | Body::Invoice(_)
        | Body::OrderPlaced(_)
        | Body::Token(_)
        | Body::AskBill(_)
        | Body::Unknown => Weight::Words,
    }
}

/// Whether a business may write words for this reason; `acted_at` is when the action that it names came, by the relay's clock or
/// its own, whichever is earlier: a relay that dates actions into the future opens nothing.
///
/// # Errors
/// [`Refused::ConsentUnknown`] without a reason, [`Refused::ConsentClosed`] when the action was too long ago.
pub fn may_write(basis: Option<Basis>, acted_at: Option<Timestamp>, now: Timestamp) -> Result<Basis, Refused> {
    match (basis, acted_at) {
        (Some(basis @ Basis::Action(_)), Some(at)) if now.since_ms(at) <= WINDOW_MS => Ok(basis),
        (Some(Basis::Action(_)), Some(_)) => Err(Refused::ConsentClosed),
        (Some(basis @ (Basis::Order(_) | Basis::Token(_))), _) => Ok(basis),
        (Some(Basis::Action(_)) | None, _) => Err(Refused::ConsentUnknown),
    }
}

/// What a message shows to a closed gate: 32 bytes that only the two ends can make. An action needs none.
#[must_use]
pub fn pass(basis: Basis) -> Option<Hash> {
    match basis {
        Basis::Action(_) => None,
        Basis::Order(order) => Some(pass_of(&order.0)),
        Basis::Token(token) => Some(pass_of(&token.0)),
    }
}

/// What the relay is told of an order or a token: enough to know its pass, and nothing more.
#[must_use]
pub fn pass_hash(id: &[u8; 16]) -> Hash {
    Hash::of(&pass_of(id).0)
}

fn pass_of(id: &[u8; 16]) -> Hash {
    Hash::of(&[&b"comptoir/pass/v1\0"[..], id].concat())
}

/// Judges one message. An `Err` is held apart: stored, not shown, no notification.
///
/// # Errors
/// [`Refused`] says which rule.
pub fn judge(weight: Weight, facts: &Facts) -> Result<(), Refused> {
    if facts.blocked && weight != Weight::Result {
        return Err(Refused::ConsentBlocked);
    }
    if facts.sender == AccountKind::Person || weight != Weight::Words {
        // Results are believed only for an order of ours, which the checkout checks before it moves.
        return Ok(());
    }
    match facts.basis {
        Some(Basis::Action(_)) => {
            let action = facts.action_accepted_at.ok_or(Refused::ConsentUnknown)?;
            // Both ways: clocks that are set right by an hour must not keep out what answers at once.
            let within = |at: Timestamp| at.since_ms(action).saturating_abs() <= WINDOW_MS + SKEW_MS;
            if within(facts.sent_at) && within(facts.accepted_at) { Ok(()) } else { Err(Refused::ConsentClosed) }
        }
        Some(Basis::Order(_)) if facts.order_is_ours => Ok(()),
        Some(Basis::Token(_)) if facts.token_is_good => Ok(()),
        Some(Basis::Order(_) | Basis::Token(_)) | None => Err(Refused::ConsentUnknown),
    }
}

#[cfg(test)]
mod tests {
    use comptoir_content::{OrderId, TokenId, Uid};

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn check(after_ms: i64, change: impl FnOnce(&mut Facts)) -> Result<(), Refused> {
        let action = Timestamp(1_700_000_000_000);
        let mut facts = Facts {
            sender: AccountKind::Business,
            blocked: false,
            basis: Some(Basis::Action(Uid([1; 16]))),
            action_accepted_at: Some(action),
            order_is_ours: false,
            token_is_good: false,
            sent_at: action.plus_ms(after_ms),
            accepted_at: action.plus_ms(after_ms),
        };
        change(&mut facts);
        judge(Weight::Words, &facts)
    }

    #[test]
    fn within_a_day_of_an_action_a_business_may_write() {
        for after in [0, HOUR, 24 * HOUR, 24 * HOUR + SKEW_MS] {
            assert_eq!(check(after, |_| {}), Ok(()), "{after}");
        }
    }

    #[test]
    fn later_it_may_not_whatever_its_own_clock_says() {
        assert_eq!(check(24 * HOUR + SKEW_MS + 1, |_| {}), Err(Refused::ConsentClosed));
        assert_eq!(check(48 * HOUR, |facts| facts.sent_at = Timestamp(1_700_000_000_000)), Err(Refused::ConsentClosed));
        assert_eq!(check(HOUR, |facts| facts.sent_at = facts.sent_at.plus_ms(48 * HOUR)), Err(Refused::ConsentClosed));
        assert_eq!(check(-25 * HOUR, |_| {}), Err(Refused::ConsentClosed));
    }

    #[test]
    fn clocks_that_differ_by_an_hour_keep_no_answer_out() {
        for off in [-HOUR, HOUR] {
            assert_eq!(check(1, |facts| facts.sent_at = facts.sent_at.plus_ms(off)), Ok(()), "the shop's");
            assert_eq!(check(1, |facts| facts.accepted_at = facts.accepted_at.plus_ms(off)), Ok(()), "the relay's");
        }
    }

    #[test]
    fn an_action_that_never_was_allows_nothing() {
        assert_eq!(check(0, |facts| facts.action_accepted_at = None), Err(Refused::ConsentUnknown));
        assert_eq!(check(0, |facts| facts.basis = None), Err(Refused::ConsentUnknown));
    }

    #[test]
    fn an_order_or_a_token_of_ours_is_a_reason_at_any_time() {
        let order = Some(Basis::Order(OrderId([2; 16])));
        let token = Some(Basis::Token(TokenId([3; 16])));
        let late = |basis, order_is_ours, token_is_good| {
            check(90 * 24 * HOUR, |facts| *facts = Facts { basis, order_is_ours, token_is_good, ..*facts })
        };
        assert_eq!(late(order, true, false), Ok(()));
        assert_eq!(late(order, false, true), Err(Refused::ConsentUnknown), "an order of somebody else");
        assert_eq!(late(token, false, true), Ok(()));
        assert_eq!(late(token, true, false), Err(Refused::ConsentUnknown), "a token that was used or never given");
    }

    #[test]
    fn a_business_asks_itself_before_it_writes() {
        let action = Some(Basis::Action(Uid([1; 16])));
        let acted = Timestamp(1_700_000_000_000);
        let after = |ms| may_write(action, Some(acted), acted.plus_ms(ms)).map(drop);
        assert_eq!(after(WINDOW_MS), Ok(()));
        assert_eq!(after(WINDOW_MS + 1), Err(Refused::ConsentClosed));
        assert_eq!(may_write(action, None, acted), Err(Refused::ConsentUnknown), "an action that never was");
        assert_eq!(may_write(None, None, acted), Err(Refused::ConsentUnknown));
        let order = Basis::Order(OrderId([2; 16]));
        assert_eq!(may_write(Some(order), None, acted), Ok(order));
    }

    #[test]
    fn a_pass_names_its_order_and_its_hash_does_not() {
        let order = OrderId([2; 16]);
        let shown = pass(Basis::Order(order)).unwrap();
        assert_eq!(Hash::of(&shown.0), pass_hash(&order.0));
        assert_ne!(shown, pass(Basis::Token(TokenId([3; 16]))).unwrap());
        assert_eq!(pass(Basis::Action(Uid([2; 16]))), None);
    }

    #[test]
    fn a_block_revokes_everything_but_results() {
        assert_eq!(check(0, |facts| facts.blocked = true), Err(Refused::ConsentBlocked));
        let mut facts = None;
        let _ = check(0, |given| {
            given.blocked = true;
            facts = Some(*given);
        });
        assert_eq!(judge(Weight::Result, &facts.unwrap()), Ok(()));
    }

    #[test]
    fn a_person_needs_no_reason() {
        let person = |facts: &mut Facts| {
            facts.sender = AccountKind::Person;
            facts.basis = None;
        };
        assert_eq!(check(90 * 24 * HOUR, person), Ok(()));
    }
}
