//! The relay's part of an account log: signatures and order, never the meaning of an entry.

use comptoir_wire::{AccountId, LOG_CONTEXT, NewAccount, SignedEntry, auth_input, signature_input};
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::store::LogHead;

/// Why an entry or an account is refused. Names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forged {
    #[error("signer: neither the log key nor the recovery key")]
    Signer,
    #[error("signature: does not fit the entry")]
    Signature,
}

/// The account that a genesis record makes.
pub(crate) fn account_of(genesis: &[u8]) -> AccountId {
    let mut account = AccountId([0; AccountId::LEN]);
    account.0.copy_from_slice(&digest(&SHA256, genesis).as_ref()[..AccountId::LEN]);
    account
}

/// Checks a whole new log from its first key on.
pub(crate) fn verify_new(new: &NewAccount) -> Result<AccountId, Forged> {
    let mut head = LogHead { len: 0, log_key: new.log_key, recovery_hash: new.recovery_hash };
    for signed in &new.entries {
        verify_next(&head, signed)?;
        head.log_key = signed.next_key.unwrap_or(head.log_key);
    }
    Ok(account_of(&new.genesis))
}

/// Checks that `signed` may follow a log that ends at `head`.
pub(crate) fn verify_next(head: &LogHead, signed: &SignedEntry) -> Result<(), Forged> {
    let by_recovery_key = || digest(&SHA256, &signed.signer).as_ref() == head.recovery_hash;
    if signed.signer != head.log_key && !by_recovery_key() {
        return Err(Forged::Signer);
    }
    let signed_bytes = signature_input(LOG_CONTEXT, &signed.entry);
    UnparsedPublicKey::new(&ED25519, &signed.signer)
        .verify(&signed_bytes, &signed.signature)
        .map_err(|_| Forged::Signature)
}

/// True when the holder of `device_key` answered this relay's challenge for the address it dialed.
pub(crate) fn is_device(
    device_key: &[u8; 32],
    nonce: &[u8; 32],
    device: comptoir_wire::DeviceId,
    address: &str,
    signature: &[u8; 64],
) -> bool {
    UnparsedPublicKey::new(&ED25519, device_key).verify(&auth_input(nonce, device, address), signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    fn key(n: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[n; 32]).unwrap()
    }

    fn public(key: &Ed25519KeyPair) -> [u8; 32] {
        key.public_key().as_ref().try_into().unwrap()
    }

    fn entry(by: &Ed25519KeyPair, text: &[u8], next: Option<&Ed25519KeyPair>) -> SignedEntry {
        SignedEntry {
            entry: text.to_vec(),
            signature: by.sign(&signature_input(LOG_CONTEXT, text)).as_ref().try_into().unwrap(),
            signer: public(by),
            next_key: next.map(public),
        }
    }

    fn check(entries: Vec<SignedEntry>, expected: Result<(), Forged>) {
        let recovery_hash = digest(&SHA256, &public(&key(9))).as_ref().try_into().unwrap();
        let new = NewAccount {
            genesis: b"genesis".to_vec(),
            log_key: public(&key(1)),
            recovery_hash,
            entries,
            device: comptoir_wire::DeviceId([1; 16]),
            device_key: [0; 32],
        };
        assert_eq!(verify_new(&new), expected.map(|()| account_of(b"genesis")));
    }

    #[test]
    fn a_log_is_written_by_its_key_and_handed_over_by_it() {
        check(vec![], Ok(()));
        check(vec![entry(&key(1), b"a", None), entry(&key(1), b"b", None)], Ok(()));
        check(vec![entry(&key(1), b"a", Some(&key(2))), entry(&key(2), b"b", None)], Ok(()));
        check(vec![entry(&key(1), b"a", Some(&key(2))), entry(&key(1), b"b", None)], Err(Forged::Signer));
    }

    #[test]
    fn the_recovery_key_may_always_write() {
        check(vec![entry(&key(9), b"a", Some(&key(2))), entry(&key(2), b"b", None)], Ok(()));
        check(vec![entry(&key(8), b"a", Some(&key(2)))], Err(Forged::Signer));
    }

    #[test]
    fn a_changed_entry_is_refused() {
        let mut forged = entry(&key(1), b"a", None);
        forged.entry = b"b".to_vec();
        check(vec![forged], Err(Forged::Signature));
        // A signature for another purpose is none for the log.
        let mut other = entry(&key(1), b"a", None);
        other.signature = key(1).sign(&signature_input("comptoir/other/v1", b"a")).as_ref().try_into().unwrap();
        check(vec![other], Err(Forged::Signature));
    }
}
