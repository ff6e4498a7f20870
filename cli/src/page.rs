//! The practice provider's pay page, as the terminal taps on it. Only practice cards come this way, and what the page and
//! the shop say is made harmless before it is shown.

use crate::Bank;
use crate::out::{Failure, plain};
use comptoir_client::Sheet;
use comptoir_content::Handoff;
use comptoir_sandbox::{PRACTICE_CARDS, PageAnswer};

/// What came of typing a card. Both are hints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// The page took it, or waits for something.
    Taken,
    /// Declined before anything was charged, and why; the page is open for another card.
    Declined(&'static str),
    /// The page could not be reached, or broke off, and why: the card may have been charged.
    BrokeOff(String),
}

/// Whether this may be typed here: a practice card, for a practice bill. The number of a real card never leaves the
/// terminal, and is not repeated on it.
///
/// # Errors
/// What to do instead.
pub(crate) fn check_card(card: &str, live: bool) -> Result<(), Failure> {
    if live {
        let words = "This bill is over real money. Pay it on the provider's page, without --card.";
        return Err(Failure::usage("card.live", words));
    }
    let digits: String = card.chars().filter(|c| *c != ' ').collect();
    if PRACTICE_CARDS.iter().any(|known| known.number == digits) {
        return Ok(());
    }
    Err(Failure::usage(
        "card.practice",
        "This is not a practice card. Real cards are typed on the provider's page only.",
    ))
}

/// The address of a pay page, as it may be shown and opened.
///
/// # Errors
/// It is not an address on the web.
pub(crate) fn shown(url: &str) -> Result<String, Failure> {
    let is = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if is("https://") || is("http://") {
        Ok(plain(url).replace('\n', "\u{FFFD}"))
    } else {
        Err(Failure::failed("method.none", "the shop names a pay page that is not on the web"))
    }
}

/// Types a practice card into the hosted page, and answers the practice bank when it asks.
///
/// # Errors
/// The page refused what was typed before it used the card; it is open for another one.
pub(crate) async fn type_card(sheet: &Sheet, card: &str, bank: Bank) -> Result<Typed, Failure> {
    let Handoff::Page { url } = &sheet.handoff else {
        return Err(Failure::failed("method.none", "this bill is paid in the provider's own sheet, on a phone"));
    };
    shown(url)?;
    let typed = match comptoir_sandbox::type_card(url, card).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Typed::BrokeOff(plain(&error.to_string()))),
    };
    let Some(path) = typed.action_path() else {
        return said(typed);
    };
    match comptoir_sandbox::answer_bank(url, path, bank == Bank::Approve).await {
        Ok(answer) => said(answer),
        Err(error) => Ok(Typed::BrokeOff(plain(&error.to_string()))),
    }
}

fn said(answer: PageAnswer) -> Result<Typed, Failure> {
    match answer.status {
        200..=299 => Ok(match answer.body["last_error"].as_str() {
            None => Typed::Taken,
            Some("card_declined") => Typed::Declined("card.declined"),
            Some(_) => Typed::Declined("submit.bank_failed"),
        }),
        // It was paid before, or is over: the shop knows.
        409 => Ok(Typed::BrokeOff("this page is closed".to_owned())),
        400..=499 => {
            let why = answer.body["error"]["message"].as_str().unwrap_or("the page refused it");
            Err(Failure::failed("card.refused", plain(why)))
        }
        status => Ok(Typed::BrokeOff(format!("the page answered {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_practice_cards_are_typed_and_only_for_practice_bills() {
        for card in ["4242424242424242", "4000 0000 0000 0002"] {
            assert!(check_card(card, false).is_ok(), "{card}");
            assert_eq!(check_card(card, true).unwrap_err().code, "card.live");
        }
        for card in ["4111 1111 1111 1111", "", "4242 4242 4242 4243"] {
            let refused = check_card(card, false).unwrap_err();
            assert_eq!((refused.exit, refused.code.as_str()), (2, "card.practice"), "{card}");
            assert!(!refused.text.contains("4111"));
        }
    }

    #[test]
    fn what_the_page_and_the_shop_say_cannot_write_on_the_terminal() {
        assert_eq!(shown("https://shop.example/pay?t=1").unwrap(), "https://shop.example/pay?t=1");
        assert_eq!(shown("HTTP://a/\u{1b}]0;x\n$").unwrap(), "HTTP://a/\u{FFFD}]0;x\u{FFFD}$");
        for url in ["javascript:alert(1)", "file:///etc/passwd", "httpx://a", "", "\u{1b}[2Jhttps://a"] {
            assert!(shown(url).is_err(), "{url}");
        }
        let body = json!({ "error": { "message": "no\u{1b}[2J" } });
        assert_eq!(said(PageAnswer { status: 422, body }).unwrap_err().text, "no\u{FFFD}[2J");
    }

    #[test]
    fn only_a_clear_no_of_the_page_says_that_nothing_was_charged() {
        let said = |status, body: Value| said(PageAnswer { status, body });
        assert_eq!(said(200, json!({ "status": "succeeded", "last_error": null })).unwrap(), Typed::Taken);
        let declined = |error| said(200, json!({ "last_error": error })).unwrap();
        assert_eq!(declined("card_declined"), Typed::Declined("card.declined"));
        assert_eq!(declined("authentication_failed"), Typed::Declined("submit.bank_failed"));
        assert!(said(422, json!({ "error": { "message": "not a practice card" } })).is_err());
        for status in [409, 500, 502] {
            assert!(matches!(said(status, Value::Null), Ok(Typed::BrokeOff(_))), "{status}");
        }
    }
}
