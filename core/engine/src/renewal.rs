//! When a device gives itself new keys in a conversation, so that whoever copied the old ones reads no further (the
//! post-compromise security of RFC 9420, which wants an Update or a Commit of the device that was copied).

use comptoir_content::{AccountKind, Timestamp};

const HOUR_MS: i64 = 3_600_000;

/// How long a person's device keeps its keys once something was said with them, in milliseconds: a week.
pub const PERSON_MS: i64 = 7 * 24 * HOUR_MS;

/// How long a shop's does, in milliseconds: a day. It is always on, and talks with many.
pub const BUSINESS_MS: i64 = 24 * HOUR_MS;

/// So many messages of its own, and a device does not wait for the time to be over.
pub const SEALED_MAX: u32 = 500;

/// A renewal of which nothing was heard is tried again after so long, in milliseconds: an hour.
pub const TRY_AGAIN_MS: i64 = HOUR_MS;

/// What a device remembers of its keys in one conversation. New ones were used for nothing yet, and where nothing is said
/// they are never replaced: a quiet conversation costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// When they are to be replaced.
    pub due_at: Option<Timestamp>,
    /// Messages that this device has sealed with them.
    pub sealed: u32,
}

impl Keys {
    /// Somebody said something in the conversation, and of it this device sealed `sealed` messages. `random` is any number:
    /// it takes up to a seventh off the time, so that those who met at the same time do not renew at the same time.
    #[must_use]
    pub fn used(self, kind: AccountKind, sealed: u32, random: u32, now: Timestamp) -> Self {
        let sealed = self.sealed.saturating_add(sealed);
        let lifetime_ms = match kind {
            AccountKind::Person => PERSON_MS,
            AccountKind::Business => BUSINESS_MS,
        };
        let in_time = self.due_at.unwrap_or_else(|| now.plus_ms(lifetime_ms - i64::from(random) % (lifetime_ms / 7)));
        let due_at = if self.sealed < SEALED_MAX && sealed >= SEALED_MAX { in_time.min(now) } else { in_time };
        Self { due_at: Some(due_at), sealed }
    }

    /// New keys are on their way to the relay, or cannot be made now.
    #[must_use]
    pub fn tried(self, now: Timestamp) -> Self {
        Self { due_at: Some(now.plus_ms(TRY_AGAIN_MS)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn keys_live_a_week_or_a_day_from_the_first_word_on() {
        for (kind, most) in [(AccountKind::Person, PERSON_MS), (AccountKind::Business, BUSINESS_MS)] {
            for random in [0, 1, 12_345_678, u32::MAX] {
                let keys = Keys::default().used(kind, 1, random, NOW);
                let wait = keys.due_at.unwrap().since_ms(NOW);
                assert!((most - most / 7..=most).contains(&wait), "{kind:?} {random}: {wait}");
                let later = keys.used(kind, 0, 7, NOW.plus_ms(HOUR_MS));
                assert_eq!(later, keys, "what is said later moves nothing");
            }
        }
        assert_eq!(Keys::default().used(AccountKind::Person, 0, 0, NOW).due_at, Some(NOW.plus_ms(PERSON_MS)));
    }

    #[test]
    fn many_messages_do_not_wait_for_the_time() {
        let keys = Keys::default().used(AccountKind::Person, SEALED_MAX - 1, 0, NOW);
        assert_eq!(keys.due_at, Some(NOW.plus_ms(PERSON_MS)));
        let full = keys.used(AccountKind::Person, 1, 0, NOW);
        assert_eq!(full, Keys { due_at: Some(NOW), sealed: SEALED_MAX });
        let tried = full.tried(NOW);
        assert_eq!(tried.due_at, Some(NOW.plus_ms(TRY_AGAIN_MS)));
        let again = tried.used(AccountKind::Person, 1, 0, NOW);
        assert_eq!(again.due_at, tried.due_at, "the next message does not try again at once");
    }
}
