//! Quotas as GCRA: one number per key, the theoretical arrival time, says everything.
//!
//! The table lives in memory. A restart forgives, and nothing on disk tells who asked for whom.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ring::digest::{Context, SHA256};
use serde::Deserialize;

/// How much may be taken at once, and how fast it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Taken at once by one who waited long enough.
    pub burst: u32,
    /// Milliseconds until one more may be taken.
    pub refill_ms: u32,
}

/// Whose quota: a salted hash, so that the table names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaKey([u8; 16]);

impl QuotaKey {
    /// Hashes the purpose and the parts. `salt` is random and the same for all relays that share a store.
    #[must_use]
    pub fn new(salt: &[u8; 16], purpose: &str, parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(salt);
        for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(key)
    }
}

/// One thing to take.
#[derive(Clone, Copy, Debug)]
pub struct Spend {
    pub key: QuotaKey,
    pub cost: u32,
    pub rate: Rate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Taken from all.
    Granted,
    /// Taken from none; waiting so long helps.
    Limited { retry_after_ms: u64 },
}

/// Keys that are remembered at the same time.
const KEYS_MAX: usize = 500_000;
/// Keys that are left when room was made, so that it is not made again for every question.
const KEYS_LEFT: usize = KEYS_MAX / 8 * 7;

#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<QuotaKey, i64>>);

impl Quotas {
    pub(crate) fn spend(&self, spends: &[Spend], now_ms: i64) -> Spent {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() + spends.len() > KEYS_MAX {
            make_room(&mut table, now_ms, KEYS_LEFT);
        }
        // The same key may be asked twice in one go, so the new times are gathered before any is kept.
        let mut taken: HashMap<QuotaKey, i64> = HashMap::with_capacity(spends.len());
        let mut wait_ms = 0;
        for spend in spends {
            let refill_ms = i64::from(spend.rate.refill_ms);
            let burst_ms = i64::from(spend.rate.burst) * refill_ms;
            // Nobody owes more than a full burst: a later time was written before the clock was set back, and is forgiven.
            let full_at_ms = taken.get(&spend.key).or_else(|| table.get(&spend.key)).copied();
            let full_at_ms = full_at_ms.filter(|at_ms| at_ms.saturating_sub(now_ms) <= burst_ms);
            // More than a full burst could never be taken; it costs all of it.
            let cost = i64::from(spend.cost.min(spend.rate.burst.max(1)));
            let next_ms = full_at_ms.unwrap_or(now_ms).max(now_ms) + cost * refill_ms;
            wait_ms = wait_ms.max(next_ms - now_ms - burst_ms);
            taken.insert(spend.key, next_ms);
        }
        match u64::try_from(wait_ms) {
            Ok(retry_after_ms) if retry_after_ms > 0 => Spent::Limited { retry_after_ms },
            Ok(_) | Err(_) => {
                table.extend(taken);
                Spent::Granted
            }
        }
    }
}

/// Leaves at most `left_max` keys. A key that is full again is forgotten first, then the ones that will be soonest: a
/// crowd of keys makes the relay forgive a little, and never makes it refuse somebody who took nothing.
fn make_room(table: &mut HashMap<QuotaKey, i64>, now_ms: i64, left_max: usize) {
    table.retain(|_, full_at_ms| *full_at_ms > now_ms);
    let Some(last) = table.len().checked_sub(left_max + 1) else {
        return;
    };
    let mut times: Vec<i64> = table.values().copied().collect();
    let (sooner, &mut edge_ms, _) = times.select_nth_unstable(last);
    let mut at_the_edge = 1 + sooner.iter().filter(|full_at_ms| **full_at_ms == edge_ms).count();
    table.retain(|_, full_at_ms| {
        if *full_at_ms == edge_ms && at_the_edge > 0 {
            at_the_edge -= 1;
            return false;
        }
        *full_at_ms >= edge_ms
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, refill_ms: 1_000 };

    fn check(costs_at: &[(i64, u32, Spent)]) {
        let quotas = Quotas::default();
        let key = QuotaKey::new(&[0; 16], "test", &[b"alice"]);
        for &(now_ms, cost, expected) in costs_at {
            assert_eq!(quotas.spend(&[Spend { key, cost, rate: RATE }], now_ms), expected, "at {now_ms}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_refuses_nobody() {
        check(&[
            (3_600_000, 3, Spent::Granted),
            (3_600_000, 1, Spent::Limited { retry_after_ms: 1_000 }),
            (0, 3, Spent::Granted),
            (0, 1, Spent::Limited { retry_after_ms: 1_000 }),
        ]);
    }

    #[test]
    fn a_burst_is_granted_and_comes_back_one_by_one() {
        check(&[
            (0, 1, Spent::Granted),
            (0, 2, Spent::Granted),
            (0, 1, Spent::Limited { retry_after_ms: 1_000 }),
            (999, 1, Spent::Limited { retry_after_ms: 1 }),
            (1_000, 1, Spent::Granted),
            (1_000, 2, Spent::Limited { retry_after_ms: 2_000 }),
            (9_000, 3, Spent::Granted),
        ]);
    }

    #[test]
    fn a_cost_above_the_burst_takes_all_of_it() {
        check(&[(0, 9, Spent::Granted), (0, 1, Spent::Limited { retry_after_ms: 1_000 }), (3_000, 9, Spent::Granted)]);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_block_longer_than_the_burst_allows() {
        check(&[
            (10_000, 1, Spent::Granted),
            (9_000, 1, Spent::Granted),
            (9_000, 1, Spent::Limited { retry_after_ms: 1_000 }),
        ]);
    }

    #[test]
    fn one_empty_quota_leaves_the_others_untouched() {
        let quotas = Quotas::default();
        let [alice, bob] = [&b"alice"[..], b"bob"].map(|name| QuotaKey::new(&[0; 16], "test", &[name]));
        let one = |key| Spend { key, cost: 1, rate: RATE };
        assert_eq!(quotas.spend(&[one(alice), one(alice), one(alice)], 0), Spent::Granted);
        for _ in 0..5 {
            assert_eq!(quotas.spend(&[one(bob), one(alice)], 0), Spent::Limited { retry_after_ms: 1_000 });
        }
        assert_eq!(quotas.spend(&[one(bob), one(bob), one(bob)], 0), Spent::Granted);
    }

    fn keys_left(full_at_ms: &[i64], left_max: usize) -> Vec<i64> {
        let key = |n: usize| QuotaKey::new(&[0; 16], "test", &[&n.to_be_bytes()]);
        let mut table = full_at_ms.iter().enumerate().map(|(n, full_at_ms)| (key(n), *full_at_ms)).collect();
        make_room(&mut table, 100, left_max);
        let mut left: Vec<_> = table.into_values().collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn room_is_made_by_forgetting_who_has_least_to_wait() {
        assert_eq!(keys_left(&[99, 100, 101, 300], 4), [101, 300], "full again is nothing to remember");
        assert_eq!(keys_left(&[103, 101, 104, 102], 3), [102, 103, 104]);
        assert_eq!(keys_left(&[103, 101, 104, 102], 1), [104]);
        assert_eq!(keys_left(&[200; 10], 7), [200; 7], "no more than needed");
        assert_eq!(keys_left(&[200, 200, 150, 200, 300], 2), [200, 300]);
    }
}
