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

/// Keys that are remembered at the same time. One that is full again is forgotten first.
const KEYS_MAX: usize = 500_000;

#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<QuotaKey, i64>>);

impl Quotas {
    pub(crate) fn spend(&self, spends: &[Spend], now_ms: i64) -> Spent {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() + spends.len() > KEYS_MAX {
            table.retain(|_, full_at_ms| *full_at_ms > now_ms);
            if table.len() + spends.len() > KEYS_MAX {
                return Spent::Limited { retry_after_ms: 60_000 };
            }
        }
        // The same key may be asked twice in one go, so the new times are gathered before any is kept.
        let mut taken: HashMap<QuotaKey, i64> = HashMap::with_capacity(spends.len());
        let mut wait_ms = 0;
        for spend in spends {
            let refill_ms = i64::from(spend.rate.refill_ms);
            let full_at_ms = taken.get(&spend.key).or_else(|| table.get(&spend.key)).copied();
            // More than a full burst could never be taken; it costs all of it.
            let cost = i64::from(spend.cost.min(spend.rate.burst.max(1)));
            let next_ms = full_at_ms.unwrap_or(now_ms).max(now_ms) + cost * refill_ms;
            wait_ms = wait_ms.max(next_ms - now_ms - i64::from(spend.rate.burst) * refill_ms);
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
}
