//! The relay's half of the 24-hour rule, blind: an account sets a gate to another account, and says what may still come through
//! when it is closed. The relay knows neither shops nor orders, only whose envelope it is, when, and whether it is urgent.
//!
//! The recipient's own device judges every message again and knows why it came; this half keeps out of the mailbox, and off
//! the screen of a sleeping phone, what would be held there anyway.

use comptoir_wire::{Envelope, EnvelopeKind, Gate};

/// How long after an action of the account its gate stays open: 24 hours and 5 minutes, in milliseconds.
pub const WINDOW_MS: i64 = (24 * 60 + 5) * 60_000;

/// Messages that are not urgent and come through a closed gate within [`QUIET_MS`]: marks, and what a device says about itself.
pub const QUIET_MAX: u32 = 32;

/// How long they are counted together: a day, in milliseconds.
pub const QUIET_MS: i64 = 24 * 3_600_000;

/// A gate, and what it has to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub gate: Gate,
    /// When the account acted towards the other one last.
    pub acted_at_ms: i64,
    /// Since when messages that were not urgent are counted, and how many came.
    pub quiet_since_ms: i64,
    pub quiet: u32,
}

/// What becomes of an envelope at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passes,
    /// It passes as one of the few that are not urgent; the gate has to remember this.
    Counted(Standing),
    Closed,
}

impl Standing {
    /// A gate that was not there before. Whoever sets it may just have acted, so it begins open.
    #[must_use]
    pub fn new(gate: Gate, now_ms: i64) -> Self {
        Self { gate, acted_at_ms: now_ms, quiet_since_ms: now_ms, quiet: 0 }
    }

    /// Judges an envelope of the other account. `shows_pass`: it shows one that this gate knows and that is not used up.
    #[must_use]
    pub fn judge(&self, envelope: &Envelope, shows_pass: bool, now_ms: i64) -> Verdict {
        let is_open = match self.gate {
            Gate::Open => true,
            // A clock that was set back sees actions of the future; one that was far ahead must not open a gate for years.
            Gate::Window => now_ms.saturating_sub(self.acted_at_ms).saturating_abs() <= WINDOW_MS,
            Gate::Shut => false,
        };
        let changes_a_group = envelope.kind != EnvelopeKind::Message;
        if is_open || changes_a_group || shows_pass {
            return Verdict::Passes;
        }
        if envelope.urgent {
            return Verdict::Closed;
        }
        let same_day = now_ms.saturating_sub(self.quiet_since_ms).saturating_abs() < QUIET_MS;
        let (quiet_since_ms, quiet) = if same_day { (self.quiet_since_ms, self.quiet) } else { (now_ms, 0) };
        if quiet >= QUIET_MAX {
            return Verdict::Closed;
        }
        Verdict::Counted(Self { quiet_since_ms, quiet: quiet + 1, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use comptoir_wire::{ConversationId, DeviceId, Uid};

    use super::*;

    const ACTED: i64 = 1_800_000_000_000;

    fn envelope(kind: EnvelopeKind, urgent: bool) -> Envelope {
        Envelope {
            to: DeviceId([1; 16]),
            uid: Uid([2; 16]),
            conversation: ConversationId([3; 16]),
            generation: 0,
            epoch: 1,
            kind,
            urgent,
            ttl_s: 0,
            sealed: Vec::new(),
            pass: None,
        }
    }

    fn check(gate: Gate, after_ms: i64, envelope: &Envelope, shows_pass: bool) -> bool {
        Standing::new(gate, ACTED).judge(envelope, shows_pass, ACTED + after_ms) != Verdict::Closed
    }

    #[test]
    fn the_window_closes_a_day_and_five_minutes_after_the_last_action() {
        let words = envelope(EnvelopeKind::Message, true);
        assert!(check(Gate::Window, 0, &words, false));
        assert!(check(Gate::Window, WINDOW_MS, &words, false));
        assert!(!check(Gate::Window, WINDOW_MS + 1, &words, false));
        assert!(check(Gate::Open, WINDOW_MS + 1, &words, false));
        assert!(!check(Gate::Shut, 0, &words, false));
    }

    #[test]
    fn a_clock_that_jumps_neither_closes_at_once_nor_opens_for_ever() {
        let words = envelope(EnvelopeKind::Message, true);
        assert!(check(Gate::Window, -3_600_000, &words, false));
        assert!(!check(Gate::Window, -2 * WINDOW_MS, &words, false));
    }

    #[test]
    fn a_pass_and_a_change_of_the_group_come_through_whatever_the_gate() {
        for gate in [Gate::Window, Gate::Shut] {
            assert!(check(gate, 90 * WINDOW_MS, &envelope(EnvelopeKind::Message, true), true));
            for kind in [EnvelopeKind::Commit, EnvelopeKind::Welcome] {
                assert!(check(gate, 90 * WINDOW_MS, &envelope(kind, true), false));
            }
        }
    }

    #[test]
    fn of_what_is_not_urgent_a_few_come_through_each_day() {
        let mark = envelope(EnvelopeKind::Message, false);
        let mut standing = Standing::new(Gate::Shut, ACTED);
        let mut came = 0;
        for _ in 0..100 {
            if let Verdict::Counted(next) = standing.judge(&mark, false, ACTED + 1) {
                standing = next;
                came += 1;
            }
        }
        assert_eq!(came, QUIET_MAX);
        assert!(matches!(standing.judge(&mark, false, ACTED + QUIET_MS), Verdict::Counted(_)), "another day");
    }
}
