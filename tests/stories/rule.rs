//! The 24-hour rule against an oracle: random traces of actions, orders, tokens, blocks, clocks and messages, through the shop's
//! half, the relay's and the phone's, compared with the rule as a person would say it. Modified shops and lying relays too,
//! one at a time: together they can stretch it, and we say so.
#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::collections::BTreeMap;

use comptoir_content::{AccountKind, Basis, OrderId, Timestamp, TokenId, Uid};
use comptoir_engine::consent::{self, Facts, Weight};
use comptoir_relay::gate::{Standing, Verdict};
use comptoir_tests::HOUR_MS;
use comptoir_tests::storm::steps::Dice;
use comptoir_wire::{self as wire, Gate};

const TRACES: u64 = 100_000;
const STEPS: usize = 24;
const DAY_MS: i64 = 24 * HOUR_MS;
const SLACK_MS: i64 = 5 * 60_000;
const BEGIN_MS: i64 = 1_800_000_000_000;

/// Who does not keep the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cheat {
    /// Everybody keeps it; clocks are wrong by up to an hour.
    Nobody,
    /// The shop asks nobody and names whatever reason it likes. Its clock says what it likes.
    Shop,
    /// The relay has any time for anything, and no gates.
    Relay,
}

/// Something that the person did.
struct Action {
    uid: Uid,
    at_ms: i64,
    /// By the relay's clock.
    accepted_at: Timestamp,
    /// By the shop's clock.
    heard_at: Timestamp,
}

struct Trace {
    dice: Dice,
    cheat: Cheat,
    now_ms: i64,
    relay_off_ms: i64,
    shop_off_ms: i64,
    serial: u8,
    actions: Vec<Action>,
    orders: Vec<OrderId>,
    tokens: BTreeMap<TokenId, Used>,
    blocked: bool,
    gate: Standing,
}

/// What came with a token, as far as each of them knows.
#[derive(Clone, Copy, Default)]
struct Used {
    at_shop: Option<Uid>,
    at_relay: Option<Uid>,
    at_phone: Option<Uid>,
}

/// How much happened in all traces: an oracle that was asked nothing proves nothing.
#[derive(Debug, Default)]
struct Seen {
    shown: u64,
    shop_refused: u64,
    relay_refused: u64,
    phone_refused: u64,
}

impl Trace {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let cheat = [Cheat::Nobody, Cheat::Shop, Cheat::Relay][dice.below(3)];
        let relay_off_ms = off_by_an_hour(&mut dice);
        let shop_off_ms = off_by_an_hour(&mut dice);
        let gate = Standing::new(Gate::Window, BEGIN_MS + relay_off_ms);
        Self {
            dice,
            cheat,
            now_ms: BEGIN_MS,
            relay_off_ms,
            shop_off_ms,
            serial: 0,
            actions: Vec::new(),
            orders: Vec::new(),
            tokens: BTreeMap::new(),
            blocked: false,
            gate,
        }
    }

    fn id(&mut self) -> [u8; 16] {
        self.serial += 1;
        [self.serial; 16]
    }

    /// What the relay's clock says; a lying relay says anything.
    fn relay_time(&mut self) -> Timestamp {
        let lie = [0, 0, -30 * DAY_MS, -DAY_MS, DAY_MS, 30 * DAY_MS][self.dice.below(6)];
        let lie = if self.cheat == Cheat::Relay { lie } else { 0 };
        Timestamp(self.now_ms + self.relay_off_ms + lie)
    }

    fn shop_time(&self) -> Timestamp {
        Timestamp(self.now_ms + self.shop_off_ms)
    }

    fn acts(&mut self) {
        let (uid, accepted_at, heard_at) = (Uid(self.id()), self.relay_time(), self.shop_time());
        self.actions.push(Action { uid, at_ms: self.now_ms, accepted_at, heard_at });
        self.gate.acted_at_ms = accepted_at.0;
    }

    fn happens(&mut self, seen: &mut Seen) {
        match self.dice.below(16) {
            0..3 => self.acts(),
            3 => {
                let order = OrderId(self.id());
                self.orders.push(order);
                self.acts();
            }
            4 => {
                let token = TokenId(self.id());
                self.tokens.insert(token, Used::default());
                self.acts();
            }
            5 => {
                self.blocked = !self.blocked;
                self.gate.gate = if self.blocked { Gate::Shut } else { Gate::Window };
            }
            6..10 => {
                let edge = [-1, 0, 1, SLACK_MS - 1, SLACK_MS, SLACK_MS + 1];
                let whole = [0, HOUR_MS, 12 * HOUR_MS, DAY_MS, 3 * DAY_MS][self.dice.below(5)];
                self.now_ms += (whole + edge[self.dice.below(6)]).max(0);
            }
            _ => self.shop_writes(seen),
        }
    }

    /// The reason that the shop names; `None` when an honest one says nothing.
    fn reason(&mut self) -> Option<Option<Basis>> {
        if self.cheat == Cheat::Shop {
            let action = self.actions.len().checked_sub(1).map(|last| self.dice.below(last + 1));
            let order = self.orders.len().checked_sub(1).map(|last| self.dice.below(last + 1));
            let token = self.tokens.len().checked_sub(1).map(|last| self.dice.below(last + 1));
            return Some(match self.dice.below(6) {
                0..2 => action.map(|at| Basis::Action(self.actions[at].uid)),
                2 => order.map(|at| Basis::Order(self.orders[at])),
                3 => token.and_then(|at| self.tokens.keys().nth(at)).map(|token| Basis::Token(*token)),
                4 => Some(Basis::Order(OrderId([0xee; 16]))),
                _ => None,
            });
        }
        let newest = self.actions.last();
        let basis = newest.map(|action| Basis::Action(action.uid));
        let acted_at = newest.map(|action| action.accepted_at.min(action.heard_at));
        match consent::may_write(basis, acted_at, self.shop_time()) {
            Ok(basis) => Some(Some(basis)),
            Err(_) => {
                let unused = self.tokens.iter().find(|(_, used)| used.at_shop.is_none());
                unused.map(|(token, _)| Some(Basis::Token(*token)))
            }
        }
    }

    fn shop_writes(&mut self, seen: &mut Seen) {
        let Some(basis) = self.reason() else {
            seen.shop_refused += 1;
            if self.cheat == Cheat::Nobody {
                self.nothing_was_due();
            }
            return;
        };
        let uid = Uid(self.id());
        if let Some(Basis::Token(token)) = basis {
            self.tokens.entry(token).or_default().at_shop.get_or_insert(uid);
        }
        let sent_at = match self.cheat {
            Cheat::Shop => Timestamp(self.now_ms + [0, -30 * DAY_MS, 30 * DAY_MS][self.dice.below(3)]),
            Cheat::Nobody | Cheat::Relay => self.shop_time(),
        };
        let accepted_at = self.relay_time();
        let facts = self.facts(basis, uid, sent_at, accepted_at);
        let judged = consent::judge(Weight::Words, &facts);
        if self.cheat != Cheat::Relay && !self.relay_lets_in(basis, uid, accepted_at) {
            seen.relay_refused += 1;
            assert!(judged.is_err(), "the relay keeps out what the phone would show: {basis:?}");
            if self.cheat == Cheat::Nobody {
                self.nothing_was_due();
            }
            return;
        }
        match judged {
            Ok(()) => {
                seen.shown += 1;
                self.may_be_shown(basis);
                if let Some(Basis::Token(token)) = basis {
                    self.tokens.get_mut(&token).unwrap().at_phone = Some(uid);
                }
            }
            Err(_) => {
                seen.phone_refused += 1;
                if self.cheat == Cheat::Nobody {
                    self.nothing_was_due();
                }
            }
        }
    }

    fn facts(&self, basis: Option<Basis>, uid: Uid, sent_at: Timestamp, accepted_at: Timestamp) -> Facts {
        let action = match basis {
            Some(Basis::Action(uid)) => self.actions.iter().find(|action| action.uid == uid),
            _ => None,
        };
        Facts {
            sender: AccountKind::Business,
            blocked: self.blocked,
            basis,
            action_accepted_at: action.map(|action| action.accepted_at),
            order_is_ours: matches!(basis, Some(Basis::Order(order)) if self.orders.contains(&order)),
            token_is_good: matches!(basis, Some(Basis::Token(token)) if self.tokens.get(&token)
                .is_some_and(|used| used.at_phone.is_none_or(|used| used == uid))),
            sent_at,
            accepted_at,
        }
    }

    fn relay_lets_in(&mut self, basis: Option<Basis>, uid: Uid, now: Timestamp) -> bool {
        let known = match basis {
            Some(Basis::Order(order)) => self.orders.contains(&order),
            // A block revokes tokens, not results of orders.
            Some(Basis::Token(token)) if !self.blocked => {
                self.tokens.get(&token).is_some_and(|used| used.at_relay.is_none_or(|used| used == uid))
            }
            Some(Basis::Token(_) | Basis::Action(_)) | None => false,
        };
        let envelope = wire::Envelope {
            to: wire::DeviceId([1; 16]),
            uid: wire::Uid(uid.0),
            conversation: wire::ConversationId([1; 16]),
            generation: 0,
            epoch: 1,
            kind: wire::EnvelopeKind::Message,
            urgent: true,
            ttl_s: 0,
            sealed: Vec::new(),
            pass: None,
        };
        let in_window = self.gate.judge(&envelope, false, now.0) == Verdict::Passes;
        if in_window {
            return true;
        }
        let passes = self.gate.judge(&envelope, known, now.0) == Verdict::Passes;
        if let (Some(Basis::Token(token)), true) = (basis, passes) {
            // Used up only where it was needed.
            self.tokens.entry(token).or_default().at_relay.get_or_insert(uid);
        }
        passes
    }

    /// The rule, as one would say it: not blocked, and a reason that holds in the time of this world.
    fn may_be_shown(&self, basis: Option<Basis>) {
        assert!(!self.blocked, "a blocked shop is heard");
        let holds = match basis {
            Some(Basis::Action(uid)) => {
                self.actions.iter().any(|action| action.uid == uid && self.now_ms - action.at_ms <= DAY_MS + SLACK_MS)
            }
            Some(Basis::Order(order)) => self.orders.contains(&order),
            Some(Basis::Token(token)) => self.tokens.get(&token).is_some_and(|used| used.at_phone.is_none()),
            None => false,
        };
        assert!(holds, "{:?}: shown for {basis:?}", self.cheat);
    }

    /// Where everybody keeps the rule, nothing that may be said is kept out, but for what the clocks differ by.
    fn nothing_was_due(&self) {
        let acted_ms = self.actions.last().map(|action| self.now_ms - action.at_ms);
        let off_ms = (self.relay_off_ms - self.shop_off_ms).abs();
        let fresh = acted_ms.is_some_and(|ago_ms| ago_ms + off_ms <= DAY_MS);
        assert!(self.blocked || !fresh, "an answer was kept out {acted_ms:?} ms after an action");
    }
}

fn off_by_an_hour(dice: &mut Dice) -> i64 {
    [-HOUR_MS, -60_000, 0, 0, 60_000, HOUR_MS][dice.below(6)]
}

#[test]
fn no_trace_shows_what_the_rule_forbids_and_none_keeps_out_what_it_allows() {
    let mut seen = Seen::default();
    for seed in 0..TRACES {
        let mut trace = Trace::new(seed);
        for _ in 0..STEPS {
            let step = std::panic::AssertUnwindSafe(|| trace.happens(&mut seen));
            if let Err(panic) = std::panic::catch_unwind(step) {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    let Seen { shown, shop_refused, relay_refused, phone_refused } = seen;
    assert!([shown, shop_refused, relay_refused, phone_refused].iter().all(|count| *count > 10_000), "{seen:?}");
}
