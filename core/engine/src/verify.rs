//! Verifying each other by a code: what two people do who would otherwise read 60 digits to each other.
//!
//! Whoever shows a code says which two accounts talk, and how far its device knows the log of each. Whoever scans it holds both
//! halves against the logs on its own device. They fit exactly when both devices would show the same safety number, because a
//! head stands for all entries before it and so for the key that is made from them. Scanning settles one direction: that *this*
//! device knows the true keys. The other side scans in turn.

use comptoir_content::{AccountId, AccountLog, LogHead, PublicKey, VerifyCode};

use crate::Refused;
use crate::account::Account;

/// Whether a scanned code confirms what this device knows. `expected` is the account that one writes to, `None` when the code
/// is of nobody one knows; `them` is what is known of it.
///
/// # Errors
/// [`Refused::VerifyOtherAccount`] · [`Refused::VerifyNotForYou`] · [`Refused::VerifyDiffers`], whatever else is new ·
/// [`Refused::VerifyBehind`] when the code speaks of an entry that has not come here.
pub fn check(
    code: &VerifyCode,
    me: &Account,
    expected: Option<AccountId>,
    them: Option<&Account>,
) -> Result<(), Refused> {
    if code.account == me.id {
        return Err(Refused::OwnCode);
    }
    if expected != Some(code.account) {
        return Err(Refused::VerifyOtherAccount);
    }
    if code.peer != me.id {
        return Err(Refused::VerifyNotForYou);
    }
    let theirs = them.map_or(Fit::Behind, |them| fit(them, code.head));
    match (theirs, fit(me, code.peer_head)) {
        (Fit::Same, Fit::Same) => Ok(()),
        // A key that is wrong is said first: who shows it must not hide it behind something to come.
        (Fit::Differs, _) | (_, Fit::Differs) => Err(Refused::VerifyDiffers),
        (Fit::Behind, _) | (_, Fit::Behind) => Err(Refused::VerifyBehind),
    }
}

enum Fit {
    /// The same past, and the same key now.
    Same,
    Differs,
    /// The code knows more of it than this device.
    Behind,
}

fn fit(known: &Account, head: LogHead) -> Fit {
    match known.hash_at(head.len) {
        None => Fit::Behind,
        // Whoever has not heard that a key was replaced would show another safety number.
        Some(hash) if hash == head.hash && key_at(known, head.len) == Some(known.account_key) => Fit::Same,
        Some(_) => Fit::Differs,
    }
}

fn key_at(account: &Account, len: u64) -> Option<PublicKey> {
    let log = account.log();
    let links = log.links.get(..usize::try_from(len).ok()?)?.to_vec();
    Account::read(&AccountLog { genesis: log.genesis.clone(), links }).ok().map(|then| then.account_key)
}
