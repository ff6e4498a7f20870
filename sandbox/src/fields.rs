//! The door for JSON bodies: takes one field after the other, checks it, and names the field that is wrong.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::refused::Refused;

/// The largest amount, in minor units.
const MAX_AMOUNT_MINOR: i64 = 999_999_999_999;

/// What is left of a body. [`Fields::end`] refuses what nobody took.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn of(body: Result<Bytes, BytesRejection>) -> Result<Self, Refused> {
        let body = body.map_err(|rejection| body_refused(rejection.status()))?;
        match serde_json::from_slice(&body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) | Err(_) => Err(Refused::NotJson),
        }
    }

    /// Money: a whole number of minor units from 1 to 999,999,999,999.
    pub(crate) fn amount_minor(&mut self) -> Result<i64, Refused> {
        self.0
            .remove("amount_minor")
            .and_then(|value| value.as_i64())
            .filter(|amount| (1..=MAX_AMOUNT_MINOR).contains(amount))
            .ok_or_else(|| Refused::field("amount_minor", "must be a whole number from 1 to 999999999999"))
    }

    pub(crate) fn currency(&mut self) -> Result<String, Refused> {
        self.string("currency")?
            .filter(|text| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()))
            .ok_or_else(|| Refused::field("currency", "must be three upper-case letters"))
    }

    /// A name that somebody else chose: 1 to 64 of `A–Z a–z 0–9 _ . : -`.
    pub(crate) fn name(&mut self, field: &'static str) -> Result<String, Refused> {
        self.string(field)?
            .filter(|text| is_name(text))
            .ok_or_else(|| Refused::field(field, "must be 1 to 64 of the characters A-Z a-z 0-9 _ . : -"))
    }

    pub(crate) fn description(&mut self) -> Result<Option<String>, Refused> {
        match self.string("description")? {
            Some(text) if text.chars().count() > 200 || text.chars().any(char::is_control) => {
                Err(Refused::field("description", "must be at most 200 characters on one line"))
            }
            description => Ok(description),
        }
    }

    /// Where the payer goes afterwards: the web or our own app, nothing that runs code.
    pub(crate) fn return_url(&mut self) -> Result<Option<String>, Refused> {
        let is_ours = |url: &str| {
            let scheme = ["https://", "http://", "comptoir:"].into_iter().any(|scheme| url.starts_with(scheme));
            scheme && url.len() <= 2048 && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match self.string("return_url")? {
            Some(url) if !is_ours(&url) => {
                Err(Refused::field("return_url", "must begin with https://, http:// or comptoir: and be plain ASCII"))
            }
            url => Ok(url),
        }
    }

    pub(crate) fn expires_at_ms(&mut self) -> Result<Option<i64>, Refused> {
        match self.0.remove("expires_at_ms") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_i64() {
                Some(at_ms) => Ok(Some(at_ms)),
                None => Err(Refused::field("expires_at_ms", "must be a time in milliseconds since 1970")),
            },
        }
    }

    /// There is no live money here.
    pub(crate) fn not_live(&mut self) -> Result<(), Refused> {
        match self.0.remove("live") {
            Some(Value::Bool(false)) => Ok(()),
            _ => Err(Refused::field("live", "must be false: this provider only practises")),
        }
    }

    pub(crate) fn end(self) -> Result<(), Refused> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((field, _)) if is_name(&field) && !looks_like_a_card(&field) => {
                Err(Refused::field(field, "is not a field of this request"))
            }
            Some(_) => Err(Refused::field("?", "is not a field of this request")),
        }
    }

    fn string(&mut self, field: &'static str) -> Result<Option<String>, Refused> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if looks_like_a_card(&text) => {
                Err(Refused::field(field, "looks like a card number, which must never be sent here"))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refused::field(field, "must be text")),
        }
    }
}

pub(crate) fn body_refused(status: StatusCode) -> Refused {
    if status == StatusCode::PAYLOAD_TOO_LARGE { Refused::BodyTooLarge } else { Refused::BadBody }
}

pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// Thirteen to nineteen digits, apart from spaces and hyphens, that begin as cards do and have a right check digit
/// (Luhn). Such text is not kept, because somebody may have put a real card where a note belongs. Digits next to a
/// letter do not count: they are part of a random name, of which one in some thousands would pass for a card.
fn looks_like_a_card(text: &str) -> bool {
    let mut run: Vec<u32> = Vec::new();
    let (mut in_a_name, mut last) = (false, '.');
    for c in text.chars().chain(['.']) {
        match c.to_digit(10) {
            Some(digit) => run.push(digit),
            None if matches!(c, ' ' | '-') && !run.is_empty() => {}
            None => {
                let part_of_a_name = in_a_name || (c.is_alphabetic() && last.is_ascii_digit());
                if !part_of_a_name && (13..=19).contains(&run.len()) && begins_as_a_card(&run) && luhn(&run) {
                    return true;
                }
                run.clear();
                in_a_name = c.is_alphabetic();
            }
        }
        last = c;
    }
    false
}

/// 3 to 6, or Mastercard's 2221 to 2720: times in milliseconds and dated order numbers begin otherwise.
fn begins_as_a_card(digits: &[u32]) -> bool {
    let four = digits.iter().take(4).fold(0, |number, digit| number * 10 + digit);
    (3000..7000).contains(&four) || (2221..=2720).contains(&four)
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| if i % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::looks_like_a_card;

    #[test]
    fn card_numbers_are_recognised_and_order_numbers_are_not() {
        for card in ["4111111111111111", "4111 1111 1111 1111", "card: 4111-1111-1111-1111!", "378282246310005"] {
            assert!(looks_like_a_card(card), "{card}");
        }
        for other in ["4111111111111112", "2026-0001-2345-6789", "1760000000000", "4111", "41111111111111111111", ""] {
            assert!(!looks_like_a_card(other), "{other}");
        }
    }
}
