//! The practice provider's pay page, as the terminal taps on it. Only practice cards come this way.

use comptoir_client::Sheet;
use comptoir_content::Handoff;
use serde_json::Value;

use crate::Bank;
use crate::out::Failure;

/// Types a practice card into the hosted page, and answers the practice bank when it asks. What the page says is a hint.
pub(crate) async fn type_card(sheet: &Sheet, card: &str, bank: Bank) -> Result<Value, Failure> {
    let Handoff::Page { url } = &sheet.handoff else {
        return Err(Failure::failed("method.none", "this bill is paid in the provider's own sheet, on a phone"));
    };
    let body = format!("card={}", card.replace(' ', "+"));
    let answer = post(url, body).await?;
    let Some(path) = answer["action_path"].as_str() else {
        return Ok(answer);
    };
    let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let outcome = match bank {
        Bank::Approve => "outcome=ok",
        Bank::Fail => "outcome=failed",
    };
    post(&format!("{origin}{path}"), outcome.to_owned()).await
}

async fn post(url: &str, body: String) -> Result<Value, Failure> {
    let unreachable = |error: reqwest::Error| Failure::again("method.provider_down", error);
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(20))
        .build()
        .map_err(unreachable)?;
    let response = client
        .post(url)
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .map_err(unreachable)?;
    let status = response.status();
    let answer: Value = response.json().await.unwrap_or_default();
    if status.is_client_error() {
        let why = answer["error"]["message"].as_str().unwrap_or("the page refused it").to_owned();
        return Err(Failure::failed("card.refused", why));
    }
    // A server error says nothing about the money: the shop's word is what counts.
    Ok(answer)
}
