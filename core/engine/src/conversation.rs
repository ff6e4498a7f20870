//! The life of a conversation's groups. The conversation id outlives them; each life is a generation, and the relay says
//! who opened it first.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Absent
//!     Absent --> Opening: write first
//!     Opening --> Open: the relay accepted
//!     Opening --> Awaiting: somebody else was first
//!     Absent --> Open: invited
//!     Awaiting --> Open: invited
//!     Awaiting --> Lost: their invitation cannot be opened, or does not come
//!     Lost --> Opening: write again, one generation on
//!     Lost --> Open: invited
//!     Open --> Open: invited into a newer generation
//!     Open --> Lost: removed, or fallen behind
//!     Opening --> Lost: put back to an older copy
//! ```

use crate::Refused;

/// How long to wait for the invitation of somebody who opened a generation first. The relay has it in this device's
/// mailbox before it says who was first, so only an opener who left this device out keeps it waiting.
pub const INVITATION_PATIENCE_MS: i64 = 60_000;

/// Where a conversation stands on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversation {
    /// Nobody has written yet.
    Absent,
    /// Our group of `generation` waits for the relay to accept it. Messages are queued behind it.
    Opening { generation: u32 },
    /// Messages are sealed in the group of `generation`.
    Open { generation: u32 },
    /// Somebody else opened `generation` first; their invitation is on its way.
    Awaiting { generation: u32 },
    /// `generation` exists and this device cannot get into it: it needs a new one.
    Lost { generation: u32 },
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// This device wants to write and has key packages of all others.
    Start,
    /// The relay accepted our generation.
    Ordered,
    /// The relay has `generation` already, by somebody else.
    Stale { generation: u32 },
    /// An invitation into `generation` was opened.
    Joined { generation: u32 },
    /// An invitation into `generation` cannot be opened, now or ever.
    Unreadable { generation: u32 },
    /// The invitation into `Awaiting`'s generation has not come within [`INVITATION_PATIENCE_MS`].
    Overdue,
    /// Somebody removed this device from the group.
    Removed,
    /// Others are in an epoch or a generation that this device never gets to.
    FellBehind,
}

/// What the caller does with groups, in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Create the group of this generation and queue its opening before all messages.
    CreateGroup { generation: u32 },
    /// Delete the group of this generation with all its secrets.
    DropGroup { generation: u32 },
    /// Seal everything unsent again, under the same uids, in the group that is open now.
    SealAgain,
}

/// The next state and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub next: Conversation,
    pub effects: Vec<Effect>,
}

/// # Errors
/// [`Refused::OutOfOrder`] for a pair that cannot be.
pub fn step(conversation: Conversation, input: Input) -> Result<Step, Refused> {
    use {Conversation as S, Input as I};
    let to = |next, effects| Ok(Step { next, effects });
    match (conversation, input) {
        (S::Absent, I::Start) => to(S::Opening { generation: 0 }, vec![Effect::CreateGroup { generation: 0 }]),
        (S::Lost { generation }, I::Start) => {
            let generation = generation.saturating_add(1);
            to(S::Opening { generation }, vec![Effect::CreateGroup { generation }])
        }
        (S::Opening { .. } | S::Open { .. } | S::Awaiting { .. }, I::Start) => to(conversation, vec![]),
        (S::Opening { generation }, I::Ordered) => to(S::Open { generation }, vec![]),
        (S::Open { .. } | S::Awaiting { .. } | S::Lost { .. }, I::Ordered) => to(conversation, vec![]),
        // The relay is ahead of us: what we made is nobody's group. Nobody could ever open what was sealed in it, and
        // messages wait for the invitation.
        (S::Opening { generation: ours }, I::Stale { generation }) => {
            to(S::Awaiting { generation }, vec![Effect::DropGroup { generation: ours }, Effect::SealAgain])
        }
        (S::Open { .. } | S::Awaiting { .. } | S::Lost { .. }, I::Stale { .. }) => to(conversation, vec![]),
        (S::Absent, I::Joined { generation }) => to(S::Open { generation }, vec![]),
        (S::Awaiting { generation: expected } | S::Lost { generation: expected }, I::Joined { generation })
            if generation >= expected =>
        {
            to(S::Open { generation }, vec![Effect::SealAgain])
        }
        (S::Opening { generation: ours }, I::Joined { generation }) if generation >= ours => {
            to(S::Open { generation }, vec![Effect::DropGroup { generation: ours }, Effect::SealAgain])
        }
        (S::Open { generation: ours }, I::Joined { generation }) if generation > ours => {
            to(S::Open { generation }, vec![Effect::SealAgain])
        }
        // Invited where we are.
        (S::Open { generation: ours }, I::Joined { generation }) if generation == ours => to(conversation, vec![]),
        // An invitation into the past: its group is of no use.
        (_, I::Joined { generation }) => to(conversation, vec![Effect::DropGroup { generation }]),
        // Which generation is lost is for the relay to say, not for the envelope.
        (S::Awaiting { generation: lost }, I::Unreadable { generation }) if generation >= lost => {
            to(S::Lost { generation: lost }, vec![Effect::SealAgain])
        }
        (S::Awaiting { generation }, I::Overdue) => to(S::Lost { generation }, vec![Effect::SealAgain]),
        (_, I::Overdue) => to(conversation, vec![]),
        (S::Open { generation }, I::Removed | I::FellBehind) => to(S::Lost { generation }, vec![Effect::SealAgain]),
        // Our opening may have been ordered and used, before this store was put back to here.
        (S::Opening { generation }, I::FellBehind) => {
            to(S::Lost { generation }, vec![Effect::DropGroup { generation }, Effect::SealAgain])
        }
        (_, I::Removed | I::FellBehind) => to(conversation, vec![]),
        (_, I::Unreadable { .. }) => to(conversation, vec![]),
        (S::Absent, I::Ordered | I::Stale { .. }) => {
            Err(Refused::OutOfOrder { state: "a conversation nobody began", input: "an answer of the relay" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_who_write_first_at_once_meet_in_one_group() {
        let opening = step(Conversation::Absent, Input::Start).unwrap();
        assert_eq!(opening.effects, [Effect::CreateGroup { generation: 0 }]);
        let lost = step(opening.next, Input::Stale { generation: 0 }).unwrap();
        assert_eq!(lost.next, Conversation::Awaiting { generation: 0 });
        assert_eq!(lost.effects, [Effect::DropGroup { generation: 0 }, Effect::SealAgain]);
        let joined = step(lost.next, Input::Joined { generation: 0 }).unwrap();
        assert_eq!(joined.next, Conversation::Open { generation: 0 });
        assert_eq!(joined.effects, [Effect::SealAgain]);
    }

    #[test]
    fn an_invitation_that_cannot_be_opened_starts_the_next_generation() {
        let lost = step(Conversation::Awaiting { generation: 3 }, Input::Unreadable { generation: 900 }).unwrap();
        assert_eq!((lost.next, lost.effects), (Conversation::Lost { generation: 3 }, vec![Effect::SealAgain]));
        let next = step(lost.next, Input::Start).unwrap();
        assert_eq!(next.effects, [Effect::CreateGroup { generation: 4 }]);
    }

    #[test]
    fn an_invitation_into_a_newer_generation_is_followed() {
        let newer = step(Conversation::Open { generation: 5 }, Input::Joined { generation: 6 }).unwrap();
        assert_eq!((newer.next, newer.effects), (Conversation::Open { generation: 6 }, vec![Effect::SealAgain]));
        let newer = step(Conversation::Lost { generation: 5 }, Input::Joined { generation: 6 }).unwrap();
        assert_eq!(newer.next, Conversation::Open { generation: 6 });
        // An unreadable invitation of long ago says nothing about the one that is awaited.
        let awaiting = Conversation::Awaiting { generation: 5 };
        assert_eq!(step(awaiting, Input::Unreadable { generation: 4 }).unwrap().next, awaiting);
        let unreadable = step(awaiting, Input::Unreadable { generation: 5 }).unwrap();
        assert_eq!(unreadable.next, Conversation::Lost { generation: 5 });
    }

    #[test]
    fn an_invitation_into_the_past_is_dropped() {
        for state in [
            Conversation::Opening { generation: 5 },
            Conversation::Open { generation: 5 },
            Conversation::Awaiting { generation: 5 },
            Conversation::Lost { generation: 5 },
        ] {
            let old = step(state, Input::Joined { generation: 4 }).unwrap();
            assert_eq!((old.next, old.effects), (state, vec![Effect::DropGroup { generation: 4 }]), "{state:?}");
        }
        // The one that both opened at once: theirs was ordered, ours makes room.
        let theirs = step(Conversation::Opening { generation: 5 }, Input::Joined { generation: 5 }).unwrap();
        assert_eq!(theirs.next, Conversation::Open { generation: 5 });
        assert_eq!(theirs.effects, [Effect::DropGroup { generation: 5 }, Effect::SealAgain]);
        let again = step(Conversation::Open { generation: 5 }, Input::Joined { generation: 5 }).unwrap();
        assert_eq!(
            (again.next, again.effects),
            (Conversation::Open { generation: 5 }, vec![]),
            "and nothing is dropped"
        );
    }

    #[test]
    fn an_invitation_that_does_not_come_starts_the_next_generation() {
        let lost = step(Conversation::Awaiting { generation: 3 }, Input::Overdue).unwrap();
        assert_eq!((lost.next, lost.effects), (Conversation::Lost { generation: 3 }, vec![Effect::SealAgain]));
        // It came after all: it is as good as a new one.
        let late = step(lost.next, Input::Joined { generation: 3 }).unwrap();
        assert_eq!(late.next, Conversation::Open { generation: 3 });
        let open = Conversation::Open { generation: 3 };
        assert_eq!(step(open, Input::Overdue).unwrap().next, open, "the alarm rings once too often");
    }

    #[test]
    fn an_opening_of_a_store_that_was_put_back_is_nobodys() {
        let lost = step(Conversation::Opening { generation: 2 }, Input::FellBehind).unwrap();
        assert_eq!(lost.next, Conversation::Lost { generation: 2 });
        assert_eq!(lost.effects, [Effect::DropGroup { generation: 2 }, Effect::SealAgain]);
    }

    #[test]
    fn every_input_may_come_twice() {
        let states = [
            Conversation::Absent,
            Conversation::Opening { generation: 1 },
            Conversation::Open { generation: 1 },
            Conversation::Awaiting { generation: 1 },
            Conversation::Lost { generation: 1 },
        ];
        let inputs = [
            Input::Start,
            Input::Ordered,
            Input::Stale { generation: 1 },
            Input::Joined { generation: 1 },
            Input::Unreadable { generation: 1 },
            Input::Overdue,
            Input::Removed,
            Input::FellBehind,
        ];
        for state in states {
            for input in inputs {
                let Ok(once) = step(state, input) else { continue };
                // A second Unreadable starts no third generation; nothing falls back to Absent.
                let twice = step(once.next, input).unwrap();
                assert!(twice.next != Conversation::Absent || state == Conversation::Absent);
                assert_eq!(twice.next, once.next, "{state:?} {input:?}");
            }
        }
    }
}
