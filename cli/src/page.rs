//! The practice provider's pay page, as the terminal taps on it. Only practice cards come this way.

use crate::Bank;
use crate::out::Failure;
use comptoir_client::Sheet;
use comptoir_content::Handoff;
use comptoir_sandbox::PageAnswer;

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

/// Types a practice card into the hosted page, and answers the practice bank when it asks.
///
/// # Errors
/// The page refused what was typed before it used the card; it is open for another one.
pub(crate) async fn type_card(sheet: &Sheet, card: &str, bank: Bank) -> Result<Typed, Failure> {
    let Handoff::Page { url } = &sheet.handoff else {
        return Err(Failure::failed("method.none", "this bill is paid in the provider's own sheet, on a phone"));
    };
    let typed = match comptoir_sandbox::type_card(url, card).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Typed::BrokeOff(error.to_string())),
    };
    let Some(path) = typed.action_path() else {
        return said(typed);
    };
    match comptoir_sandbox::answer_bank(url, path, bank == Bank::Approve).await {
        Ok(answer) => said(answer),
        Err(error) => Ok(Typed::BrokeOff(error.to_string())),
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
            Err(Failure::failed("card.refused", why))
        }
        status => Ok(Typed::BrokeOff(format!("the page answered {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
