//! Webhook signatures of the form `t=<seconds>,v1=<hex>[,v1=<hex>…]`: HMAC-SHA256 over time, point and raw body. Stripe
//! invented it, our sandbox speaks it too.
//!
//! Read as Stripe's own library reads it: no trimming, the first `t` counts, any `v1` may match, other schemes are
//! ignored, the hexadecimal text is lower-case. Two things are stricter: a time in the future is bounded like one in the
//! past, and the time is written in digits only.

use comptoir_content::Timestamp;
use data_encoding::HEXLOWER;
use ring::hmac;
use subtle::ConstantTimeEq as _;

use super::{Secret, WEBHOOK_BYTES_MAX, WebhookRefused};

/// How far the time of a signature may be from now, on both sides, in milliseconds.
const TOLERANCE_MS: i64 = 300_000;
/// The longest header that is looked at, in bytes.
const HEADER_BYTES_MAX: usize = 8 << 10;

pub(super) fn verify(
    header: Option<&str>,
    body: &[u8],
    secrets: &[Secret],
    now: Timestamp,
) -> Result<(), WebhookRefused> {
    if secrets.is_empty() {
        return Err(WebhookRefused::NotConfigured);
    }
    if body.len() > WEBHOOK_BYTES_MAX {
        return Err(WebhookRefused::TooLarge);
    }
    let header = header.ok_or(WebhookRefused::NoSignature)?;
    let (signed_at_s, signatures) = read(header).ok_or(WebhookRefused::BadSignatureHeader)?;
    let matches = secrets.iter().any(|secret| {
        let expected = signature(secret, signed_at_s, body);
        // Every pair is compared to the end, so that time tells nothing about where they differ.
        signatures
            .iter()
            .fold(false, |matched, given| matched | bool::from(expected.as_bytes().ct_eq(given.as_bytes())))
    });
    if !matches {
        return Err(WebhookRefused::NotSigned);
    }
    let age_ms = now.since_ms(Timestamp(signed_at_s.saturating_mul(1000)));
    if age_ms > TOLERANCE_MS {
        return Err(WebhookRefused::TooOld);
    }
    if age_ms < -TOLERANCE_MS {
        return Err(WebhookRefused::TooNew);
    }
    Ok(())
}

/// The time in seconds and the `v1` signatures, of which there is at least one.
fn read(header: &str) -> Option<(i64, Vec<&str>)> {
    if header.len() > HEADER_BYTES_MAX {
        return None;
    }
    let (mut signed_at_s, mut signatures) = (None, Vec::new());
    for item in header.split(',') {
        let mut parts = item.split('=');
        match (parts.next(), parts.next()) {
            (Some("t"), Some(text)) if signed_at_s.is_none() => signed_at_s = Some(text),
            (Some("v1"), Some(signature)) => signatures.push(signature),
            (Some("t" | "v1"), None) => return None,
            _ => {}
        }
    }
    let digits = signed_at_s.filter(|text| text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let signed_at_s = digits.parse().ok()?;
    (!signatures.is_empty()).then_some((signed_at_s, signatures))
}

fn signature(secret: &Secret, signed_at_s: i64, body: &[u8]) -> String {
    let mut signer = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
    signer.update(format!("{signed_at_s}.").as_bytes());
    signer.update(body);
    HEXLOWER.encode(signer.sign().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_760_000_000_000);
    /// `printf '1760000000.{}' | openssl dgst -sha256 -hmac whsec_bakery`, as in docs/sandbox.md.
    const GOOD: &str = "92d6862999580491b87f389a0167dcb0aac4c4f2c377cfa02a9657cfc4d7691d";

    fn check(header: &str, expected: Result<(), WebhookRefused>) {
        let secrets = [Secret::new("whsec_bakery")];
        assert_eq!(verify(Some(header), b"{}", &secrets, NOW), expected, "{header}");
    }

    #[test]
    fn one_matching_signature_is_enough() {
        let zeros = "0".repeat(64);
        check(&format!("t=1760000000,v1={GOOD}"), Ok(()));
        check(&format!("v1={zeros},t=1760000000,v0=x,v1={GOOD}"), Ok(()));
        check(&format!("t=1760000000,v1={GOOD}=,x"), Ok(()));
        check(&format!("t=1760000000,t=1,v1={GOOD}"), Ok(()));
        check(&format!("t=001760000000,v1={GOOD}"), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        let upper = GOOD.to_uppercase();
        for header in [
            format!("t=1760000001,v1={GOOD}"),
            format!("t=1760000000,v1={upper}"),
            format!("t=1760000000,v1={}", &GOOD[..63]),
            format!("t=1760000000,v1={GOOD}0"),
            "t=1760000000,v1=".to_owned(),
        ] {
            check(&header, Err(WebhookRefused::NotSigned));
        }
        for header in [
            String::new(),
            "t=1760000000".to_owned(),
            format!("v1={GOOD}"),
            format!("t=1760000000,v0={GOOD}"),
            format!("t=1760000000, v1={GOOD}"),
            format!(" t=1760000000,v1={GOOD}"),
            format!("t,t=1760000000,v1={GOOD}"),
            format!("t=1760000000,v1={GOOD},v1"),
            format!("t=,v1={GOOD}"),
            format!("t=-1760000000,v1={GOOD}"),
            format!("t=+1760000000,v1={GOOD}"),
            format!("t=1_760_000_000,v1={GOOD}"),
            format!("t=9999999999999999,v1={GOOD}"),
            format!("t=1760000000,v1={GOOD},{}", "x".repeat(8 << 10)),
        ] {
            check(&header, Err(WebhookRefused::BadSignatureHeader));
        }
        let secrets = [Secret::new("whsec_bakery")];
        assert_eq!(verify(None, b"{}", &secrets, NOW), Err(WebhookRefused::NoSignature));
        assert_eq!(verify(Some("x"), b"{}", &[], NOW), Err(WebhookRefused::NotConfigured));
        let large = vec![b' '; WEBHOOK_BYTES_MAX + 1];
        assert_eq!(verify(Some("x"), &large, &secrets, NOW), Err(WebhookRefused::TooLarge));
    }

    #[test]
    fn time_is_bounded_on_both_sides() {
        let secrets = [Secret::new("whsec_bakery")];
        let header = format!("t=1760000000,v1={GOOD}");
        for (offset_ms, expected) in [
            (300_000, Ok(())),
            (300_001, Err(WebhookRefused::TooOld)),
            (-300_000, Ok(())),
            (-300_001, Err(WebhookRefused::TooNew)),
        ] {
            let now = NOW.plus_ms(offset_ms);
            assert_eq!(verify(Some(&header), b"{}", &secrets, now), expected, "{offset_ms}");
        }
    }

    #[test]
    fn the_secret_before_counts_while_it_is_being_replaced() {
        let header = format!("t=1760000000,v1={GOOD}");
        let both = [Secret::new("whsec_new"), Secret::new("whsec_bakery")];
        assert_eq!(verify(Some(&header), b"{}", &both, NOW), Ok(()));
        assert_eq!(verify(Some(&header), b"{}", &both[..1], NOW), Err(WebhookRefused::NotSigned));
    }
}
