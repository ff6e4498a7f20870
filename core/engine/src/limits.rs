//! Limits on what people and shops say, the same on both ends. Lengths of text are in Unicode scalar values after NFC.

use comptoir_content::{AccountKind, Body, QuickReply};
use unicode_normalization::UnicodeNormalization as _;

use crate::Refused;

pub const LOG_ENTRIES_MAX: usize = 256;
pub const PERSON_TEXT_CHARS_MAX: usize = 4096;
pub const BUSINESS_TEXT_CHARS_MAX: usize = 2000;
pub const QUICK_REPLIES_MAX: usize = 13;
pub const QUICK_REPLY_TITLE_CHARS_MAX: usize = 20;
pub const QUICK_REPLY_PAYLOAD_BYTES_MAX: usize = 1000;
pub const CARD_TITLE_CHARS_MAX: usize = 80;
pub const CARD_BUTTONS_MAX: usize = 3;
pub const NAME_CHARS_MAX: usize = 64;
pub const ABOUT_CHARS_MAX: usize = 255;

pub const INVOICE_TITLE_CHARS_MAX: usize = 32;
pub const INVOICE_DESCRIPTION_CHARS_MAX: usize = 255;
pub const INVOICE_PAYLOAD_BYTES_MAX: usize = 128;
pub const INVOICE_LINES_MAX: usize = 100;
pub const LINE_LABEL_CHARS_MAX: usize = 64;
pub const TIPS_MAX: usize = 4;
pub const PAYEES_MAX: usize = 8;
/// An invoice lives at least this long, in milliseconds.
pub const INVOICE_LIFE_MS_MIN: i64 = 300_000;
/// And at most this long: 30 days.
pub const INVOICE_LIFE_MS_MAX: i64 = 30 * 24 * 3_600_000;
pub const WORDS_CHARS_MAX: usize = 256;
pub const PAGE_URL_CHARS_MAX: usize = 2048;
pub const REASON_CHARS_MAX: usize = 64;
pub const ORDER_NAME_CHARS_MAX: usize = 128;
pub const EMAIL_BYTES_MAX: usize = 254;
pub const PHONE_DIGITS_MAX: usize = 15;

/// Clocks of honest devices differ by no more than this, in milliseconds.
pub const SKEW_MS: i64 = 5 * 60_000;

/// Checks a text that people will see: its length, no control characters but line breaks where allowed, nothing that
/// turns the direction of the line around to disguise what stands there.
///
/// # Errors
/// [`Refused`] names the field.
pub fn check_text(field: &'static str, text: &str, chars_max: usize, lines: bool) -> Result<(), Refused> {
    if text.len() > chars_max.saturating_mul(4) || text.nfc().count() > chars_max {
        return Err(Refused::TooLong { field, max: chars_max });
    }
    let allowed = |c: char| (!c.is_control() && !is_bidi_override(c)) || (lines && matches!(c, '\n' | '\t'));
    if text.chars().all(allowed) { Ok(()) } else { Err(Refused::BadText { field }) }
}

/// As [`check_text`], and not empty.
///
/// # Errors
/// [`Refused`] names the field.
pub fn check_title(field: &'static str, text: &str, chars_max: usize) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::Missing { field });
    }
    check_text(field, text, chars_max, false)
}

/// Checks what is about to be said, or was: lengths, counts, characters, and that nobody sends a card number.
///
/// # Errors
/// [`Refused`] names the field.
pub fn check_body(body: &Body, fallback: &str, sender: AccountKind) -> Result<(), Refused> {
    match body {
        Body::Text(text) => {
            if text.body.trim().is_empty() {
                return Err(Refused::Missing { field: "text" });
            }
            check_words("text", &text.body, sender)?;
            check_replies("quick replies", &text.quick_replies, QUICK_REPLIES_MAX)
        }
        Body::Tap(tap) => {
            check_title("title", &tap.title, QUICK_REPLY_TITLE_CHARS_MAX)?;
            check_payload(&tap.payload)
        }
        Body::Card(card) => {
            check_title("title", &card.title, CARD_TITLE_CHARS_MAX)?;
            check_text("subtitle", &card.subtitle, CARD_TITLE_CHARS_MAX, false)?;
            check_replies("buttons", &card.buttons, CARD_BUTTONS_MAX)
        }
        Body::Marks(_)
        | Body::Hello(_)
        | Body::Invoice(_)
        | Body::OrderPlaced(_)
        | Body::PaymentAnswer(_)
        | Body::AskPayment(_)
        | Body::Receipt(_)
        | Body::Refund(_)
        | Body::Token(_)
        | Body::AskBill(_) => Ok(()),
        // All that is shown of it.
        Body::Unknown => check_words("fallback", fallback, sender),
    }
}

/// Words of a person or a business, and no card number among them.
fn check_words(field: &'static str, words: &str, sender: AccountKind) -> Result<(), Refused> {
    let max = match sender {
        AccountKind::Person => PERSON_TEXT_CHARS_MAX,
        AccountKind::Business => BUSINESS_TEXT_CHARS_MAX,
    };
    check_text(field, words, max, true)?;
    if has_card_number(words) { Err(Refused::CardNumber) } else { Ok(()) }
}

/// True when a reason is spelled like a key of the registry: `area.reason`.
#[must_use]
pub fn is_reason(text: &str) -> bool {
    (1..=REASON_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.'))
}

fn check_replies(field: &'static str, replies: &[QuickReply], max: usize) -> Result<(), Refused> {
    if replies.len() > max {
        return Err(Refused::TooLong { field, max });
    }
    for reply in replies {
        check_title(field, &reply.title, QUICK_REPLY_TITLE_CHARS_MAX)?;
        check_payload(&reply.payload)?;
    }
    Ok(())
}

fn check_payload(payload: &[u8]) -> Result<(), Refused> {
    if payload.len() > QUICK_REPLY_PAYLOAD_BYTES_MAX {
        return Err(Refused::TooLong { field: "payload", max: QUICK_REPLY_PAYLOAD_BYTES_MAX });
    }
    Ok(())
}

fn is_bidi_override(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
}

/// True when a text holds what looks like a payment card number: 13 to 19 digits, spaces or hyphens between them, with
/// a Luhn check digit.
#[must_use]
pub fn has_card_number(text: &str) -> bool {
    let mut run: Vec<u8> = Vec::new();
    let mut gap = 0;
    for c in text.chars().chain(['.']) {
        match c.to_digit(10) {
            Some(digit) => {
                run.push(digit as u8);
                gap = 0;
            }
            None if matches!(c, ' ' | '-' | '\u{a0}') && gap == 0 && !run.is_empty() => gap = 1,
            None => {
                if (13..=19).contains(&run.len()) && luhn(&run) {
                    return true;
                }
                run.clear();
                gap = 0;
            }
        }
    }
    false
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit) * 2) {
            (0, _) => u32::from(digit),
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_an_unknown_kind_is_held_to_the_same_rules() {
        let check = |fallback: &str| check_body(&Body::Unknown, fallback, AccountKind::Business);
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("A parcel is on its way."), Ok(()));
        assert_eq!(check(&"x".repeat(BUSINESS_TEXT_CHARS_MAX)), Ok(()));
        let max = BUSINESS_TEXT_CHARS_MAX;
        assert_eq!(check(&"x".repeat(max + 1)), Err(Refused::TooLong { field: "fallback", max }));
        assert_eq!(check("pay \u{202E}em"), Err(Refused::BadText { field: "fallback" }));
        assert_eq!(check("4242 4242 4242 4242"), Err(Refused::CardNumber));
    }

    #[test]
    fn a_card_number_is_recognised_in_any_spelling() {
        for text in ["4242424242424242", "my card 4242 4242-4242 4242 thanks", "378282246310005"] {
            assert!(has_card_number(text), "{text}");
        }
        for text in ["4242424242424243", "call +33 1 42 68 53 00", "order 1234567890123", "", "2026-11-22 12:30:00"] {
            assert!(!has_card_number(text), "{text}");
        }
    }

    #[test]
    fn a_text_that_lies_about_its_direction_is_refused() {
        assert!(check_text("title", "Caf\u{e9} au lait", 32, false).is_ok());
        assert_eq!(check_text("title", "pay \u{202E}resu", 32, false), Err(Refused::BadText { field: "title" }));
        assert_eq!(check_text("title", "two\nlines", 32, false), Err(Refused::BadText { field: "title" }));
        assert!(check_text("text", "two\nlines", 32, true).is_ok());
        assert_eq!(check_text("t", &"x".repeat(33), 32, false), Err(Refused::TooLong { field: "t", max: 32 }));
    }
}
