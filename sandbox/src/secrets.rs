//! Random names, comparisons that take the same time for every guess, and the signature of a webhook.

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

use crate::refused::Refused;

/// 128 random bits as hexadecimal text.
pub(crate) fn fresh() -> Result<String, Refused> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Refused::Broken)?;
    Ok(HEXLOWER.encode(&bytes))
}

/// Whether two secrets are equal. Comparing digests hides their lengths too.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|secret| digest(&SHA256, secret.as_bytes()));
    one.as_ref().ct_eq(other.as_ref()).into()
}

/// SHA-256 as hexadecimal text.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

/// The value of `Sandbox-Signature`: HMAC-SHA256 over the time, a point and the raw body.
pub(crate) fn signature(secret: &str, now_s: i64, body: &[u8]) -> String {
    let mut signer = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    signer.update(format!("{now_s}.").as_bytes());
    signer.update(body);
    format!("t={now_s},v1={}", HEXLOWER.encode(signer.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_in_the_documentation() {
        // Computed with `printf '1760000000.{}' | openssl dgst -sha256 -hmac whsec_bakery`.
        assert_eq!(
            signature("whsec_bakery", 1_760_000_000, b"{}"),
            "t=1760000000,v1=92d6862999580491b87f389a0167dcb0aac4c4f2c377cfa02a9657cfc4d7691d"
        );
    }

    #[test]
    fn secrets_are_equal_only_when_they_are() {
        assert!(same("sk_test", "sk_test"));
        assert!(!same("sk_test", "sk_tesT"));
        assert!(!same("sk_test", "sk_test "));
        assert!(!same("sk_test", ""));
        assert_ne!(fresh().unwrap(), fresh().unwrap());
    }
}
