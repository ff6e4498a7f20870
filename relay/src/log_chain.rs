//! The relay's part of an account log: signatures and order, never the meaning of an entry.

use comptoir_wire::{
    AccountId, DeviceId, KeySignature, LOG_CONTEXT, NEXT_KEY_CONTEXT, NewAccount, REMOVE_DEVICE_CONTEXT, SignedEntry,
    auth_input, next_key_bytes, remove_device_bytes, signature_input,
};
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
    #[error("next_key_signature: does not fit the entry and the key")]
    NextKey,
    #[error("signature: does not fit the device")]
    Removal,
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
        head.log_key = signed.next_key.as_ref().map_or(head.log_key, |next| next.key);
    }
    Ok(account_of(&new.genesis))
}

/// Checks that `signed` may follow a log that ends at `head`.
pub(crate) fn verify_next(head: &LogHead, signed: &SignedEntry) -> Result<(), Forged> {
    check_signer(head, &signed.signer)?;
    if !is_signed(&signed.signer, LOG_CONTEXT, &signed.entry, &signed.signature) {
        return Err(Forged::Signature);
    }
    let Some(next) = &signed.next_key else {
        return Ok(());
    };
    let mut entry_hash = [0; 32];
    entry_hash.copy_from_slice(digest(&SHA256, &signed.entry).as_ref());
    let bytes = next_key_bytes(&entry_hash, &next.key);
    if is_signed(&signed.signer, NEXT_KEY_CONTEXT, &bytes, &next.signature) { Ok(()) } else { Err(Forged::NextKey) }
}

/// Checks that whoever may write the log that ends at `head` wants `device` of the account removed.
pub(crate) fn verify_removal(
    head: &LogHead,
    account: AccountId,
    device: DeviceId,
    signed: &KeySignature,
) -> Result<(), Forged> {
    check_signer(head, &signed.signer)?;
    let bytes = remove_device_bytes(account, device);
    if is_signed(&signed.signer, REMOVE_DEVICE_CONTEXT, &bytes, &signed.signature) {
        Ok(())
    } else {
        Err(Forged::Removal)
    }
}

fn check_signer(head: &LogHead, signer: &[u8; 32]) -> Result<(), Forged> {
    let by_recovery_key = || digest(&SHA256, signer).as_ref() == head.recovery_hash;
    if *signer == head.log_key || by_recovery_key() { Ok(()) } else { Err(Forged::Signer) }
}

fn is_signed(signer: &[u8; 32], context: &str, bytes: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, signer).verify(&signature_input(context, bytes), signature).is_ok()
}

/// True when the holder of `device_key` answered this relay's challenge for the address it dialed.
pub(crate) fn is_device(
    device_key: &[u8; 32],
    nonce: &[u8; 32],
    device: DeviceId,
    address: &str,
    signature: &[u8; 64],
) -> bool {
    UnparsedPublicKey::new(&ED25519, device_key).verify(&auth_input(nonce, device, address), signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use comptoir_wire::NextKey;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    fn key(n: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[n; 32]).unwrap()
    }

    fn public(key: &Ed25519KeyPair) -> [u8; 32] {
        key.public_key().as_ref().try_into().unwrap()
    }

    fn entry(by: &Ed25519KeyPair, text: &[u8], next: Option<&Ed25519KeyPair>) -> SignedEntry {
        let next_key = next.map(|next| NextKey {
            key: public(next),
            signature: sign(by, NEXT_KEY_CONTEXT, &next_key_bytes(&hash(text), &public(next))),
        });
        let signature = sign(by, LOG_CONTEXT, text);
        SignedEntry { entry: text.to_vec(), signature, signer: public(by), next_key }
    }

    fn sign(by: &Ed25519KeyPair, context: &str, bytes: &[u8]) -> [u8; 64] {
        by.sign(&signature_input(context, bytes)).as_ref().try_into().unwrap()
    }

    fn hash(bytes: &[u8]) -> [u8; 32] {
        digest(&SHA256, bytes).as_ref().try_into().unwrap()
    }

    fn check(entries: Vec<SignedEntry>, expected: Result<(), Forged>) {
        let recovery_hash = hash(&public(&key(9)));
        let new = NewAccount {
            genesis: b"genesis".to_vec(),
            log_key: public(&key(1)),
            recovery_hash,
            entries,
            device: DeviceId([1; 16]),
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

    #[test]
    fn whoever_carries_an_entry_cannot_name_the_next_key() {
        let theirs = |signature| Some(NextKey { key: public(&key(7)), signature });
        let honest = entry(&key(1), b"a", Some(&key(2)));
        let bytes = next_key_bytes(&hash(b"a"), &public(&key(7)));
        for next_key in [
            theirs([0; 64]),
            theirs(honest.next_key.as_ref().unwrap().signature),
            theirs(sign(&key(7), NEXT_KEY_CONTEXT, &bytes)),
            theirs(sign(&key(1), LOG_CONTEXT, &bytes)),
            // Handed over in another entry, and the signature lifted from there.
            entry(&key(1), b"b", Some(&key(7))).next_key,
        ] {
            check(vec![SignedEntry { next_key, ..honest.clone() }], Err(Forged::NextKey));
        }
    }

    #[test]
    fn only_the_key_of_the_log_as_it_stands_removes_a_device() {
        let head = LogHead { len: 3, log_key: public(&key(1)), recovery_hash: hash(&public(&key(9))) };
        let [account, other] = [1, 2].map(|n| AccountId([n; 20]));
        let [device, sibling] = [1, 2].map(|n| DeviceId([n; 16]));
        let check = |by: &Ed25519KeyPair, context, bytes: &[u8], expected| {
            let signed = KeySignature { signer: public(by), signature: sign(by, context, bytes) };
            assert_eq!(verify_removal(&head, account, device, &signed), expected);
        };
        let right = remove_device_bytes(account, device);
        check(&key(1), REMOVE_DEVICE_CONTEXT, &right, Ok(()));
        check(&key(9), REMOVE_DEVICE_CONTEXT, &right, Ok(()));
        check(&key(2), REMOVE_DEVICE_CONTEXT, &right, Err(Forged::Signer));
        check(&key(1), LOG_CONTEXT, &right, Err(Forged::Removal));
        check(&key(1), REMOVE_DEVICE_CONTEXT, &remove_device_bytes(account, sibling), Err(Forged::Removal));
        check(&key(1), REMOVE_DEVICE_CONTEXT, &remove_device_bytes(other, device), Err(Forged::Removal));
    }
}
