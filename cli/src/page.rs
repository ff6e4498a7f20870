//! The practice provider's pay page, as the terminal taps on it. Only practice cards come this way.

use std::fmt::Display;

use comptoir_client::Sheet;
use comptoir_content::Handoff;
use comptoir_sandbox::PageAnswer;
use serde_json::Value;

use crate::Bank;
use crate::out::Failure;

/// Types a practice card into the hosted page, and answers the practice bank when it asks. What the page says is a hint.
pub(crate) async fn type_card(sheet: &Sheet, card: &str, bank: Bank) -> Result<Value, Failure> {
    let Handoff::Page { url } = &sheet.handoff else {
        return Err(Failure::failed("method.none", "this bill is paid in the provider's own sheet, on a phone"));
    };
    let answer = heard(comptoir_sandbox::type_card(url, card).await)?;
    let Some(path) = answer.action_path() else {
        return Ok(answer.body);
    };
    let answer = heard(comptoir_sandbox::answer_bank(url, path, bank == Bank::Approve).await)?;
    Ok(answer.body)
}

fn heard(answer: Result<PageAnswer, impl Display>) -> Result<PageAnswer, Failure> {
    let answer = answer.map_err(|error| Failure::again("method.provider_down", error))?;
    if (400..=499).contains(&answer.status) {
        let why = answer.body["error"]["message"].as_str().unwrap_or("the page refused it");
        return Err(Failure::failed("card.refused", why));
    }
    // A server error says nothing about the money: the shop's word is what counts.
    Ok(answer)
}
