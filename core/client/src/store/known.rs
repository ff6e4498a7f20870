//! What this process verified before. Account logs and profiles are needed in every turn, and checking their signatures
//! again costs more than the rest of it.
//!
//! Remembered by the very bytes: a turn that is rolled back, or a row that changes, leaves nothing wrong behind.

use std::cell::RefCell;
use std::collections::HashMap;

use comptoir_content::{Hash, Profile, Signed};
use comptoir_engine::account::Account;

use super::log_from_blob;
use crate::error::TurnError;

/// Logs and profiles that are remembered; beyond that all are forgotten and verified anew.
const KNOWN_MAX: usize = 256;

#[derive(Default)]
pub(crate) struct Known {
    accounts: RefCell<HashMap<Hash, Account>>,
    profiles: RefCell<HashMap<Hash, Profile>>,
}

impl Known {
    /// The account that a stored log describes, verified now or before.
    pub(crate) fn account(&self, log: &[u8]) -> Result<Account, TurnError> {
        remembered(&self.accounts, log, || Ok(Account::read(&log_from_blob(log)?)?))
    }

    /// The profile in a stored signed object, verified now or before.
    pub(crate) fn profile(&self, signed: &[u8]) -> Result<Profile, TurnError> {
        remembered(&self.profiles, signed, || Ok(Signed::<Profile>::decode(signed)?.verify()?.into_inner()))
    }
}

fn remembered<T: Clone>(
    known: &RefCell<HashMap<Hash, T>>,
    bytes: &[u8],
    verify: impl FnOnce() -> Result<T, TurnError>,
) -> Result<T, TurnError> {
    let hash = Hash::of(bytes);
    if let Some(found) = known.borrow().get(&hash) {
        return Ok(found.clone());
    }
    let verified = verify()?;
    let mut known = known.borrow_mut();
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    known.insert(hash, verified.clone());
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_is_never_remembered() {
        let known = Known::default();
        for _ in 0..2 {
            assert!(known.account(b"not a log").is_err());
            assert!(known.profile(b"not a profile").is_err());
        }
        assert!(known.accounts.borrow().is_empty() && known.profiles.borrow().is_empty());
    }
}
