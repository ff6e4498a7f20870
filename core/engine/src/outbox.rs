//! When something unsent is tried again.

use comptoir_content::{Hash, Timestamp, Uid};

/// First wait after a failure, in milliseconds.
const BACK_OFF_MS_MIN: i64 = 500;
/// Longest wait, in milliseconds: five minutes.
const BACK_OFF_MS_MAX: i64 = 300_000;

/// When the next try is due after `failures` in a row: twice as long each time, less a random part so that a crowd does
/// not come back at once. `random` is any number.
#[must_use]
pub fn next_try(failures: u32, random: u32, now: Timestamp) -> Timestamp {
    let full = BACK_OFF_MS_MIN.saturating_mul(1 << failures.min(16)).min(BACK_OFF_MS_MAX);
    now.plus_ms(full - i64::from(random) % (full / 2).max(1))
}

/// The uid under which the relay takes a message that is said again in another generation. It answers "duplicate" to the
/// first one, and keeps nothing; a second attempt in the same generation is a duplicate of this one. Recipients go by the
/// message's own uid, inside.
#[must_use]
pub fn again(message: Uid, generation: u32) -> Uid {
    let hash = Hash::of(&[b"comptoir/again/v1\0", &message.0[..], &generation.to_be_bytes()].concat());
    let mut uid = [0; 16];
    uid.copy_from_slice(&hash.0[..16]);
    Uid(uid)
}

/// How many conflicts in a row an intent survives by itself. After them it waits for the next connection.
pub const CONFLICTS_MAX: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_again_it_is_another_envelope_in_each_generation_and_the_same_within_one() {
        let message = Uid([7; 16]);
        assert_eq!(again(message, 1), again(message, 1));
        let all = [message, again(message, 1), again(message, 2), again(Uid([8; 16]), 1)];
        assert!((0..4).all(|one| (0..one).all(|other| all[one] != all[other])), "{all:?}");
    }

    #[test]
    fn waits_grow_and_stay_within_bounds() {
        let now = Timestamp(1_000_000);
        for failures in 0..40 {
            for random in [0, 1, 12345, u32::MAX] {
                let wait = next_try(failures, random, now).since_ms(now);
                assert!((BACK_OFF_MS_MIN / 2..=BACK_OFF_MS_MAX).contains(&wait), "{failures} {random}: {wait}");
            }
        }
        let wait = |failures, random| next_try(failures, random, now).since_ms(now);
        assert_eq!([0, 1, 2, 3].map(|failures| wait(failures, 0)), [500, 1_000, 2_000, 4_000]);
        assert_eq!((wait(0, 249), wait(0, 250), wait(0, 251)), (251, 500, 499), "less a part of at most a half");
        assert_eq!(wait(40, 0), BACK_OFF_MS_MAX);
    }
}
