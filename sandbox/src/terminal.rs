//! A payer without a browser: taps on a payment page over HTTP, as a terminal does. What the page answers is a hint; what
//! was paid is for the merchant to say.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http;

/// How long one tap may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a payment page answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageAnswer {
    /// The HTTP status. A server error says nothing about the money.
    pub status: u16,
    /// The page's JSON, as `docs/sandbox.md` describes it; null where it sent none.
    pub body: Value,
}

impl PageAnswer {
    /// Where the payer's bank asks for 3-D Secure, if it does.
    #[must_use]
    pub fn action_path(&self) -> Option<&str> {
        self.body["action_path"].as_str()
    }
}

/// Types a practice card into the payment page at `pay_url`.
///
/// # Errors
/// The page could not be reached or broke off. The card may have been used all the same.
pub async fn type_card(pay_url: &str, card: &str) -> reqwest::Result<PageAnswer> {
    post(pay_url, &json!({ "card": card })).await
}

/// Says yes or no to 3-D Secure at the [`PageAnswer::action_path`] of the same page.
///
/// # Errors
/// As [`type_card`].
pub async fn answer_bank(pay_url: &str, action_path: &str, approves: bool) -> reqwest::Result<PageAnswer> {
    let origin: Vec<&str> = pay_url.splitn(4, '/').take(3).collect();
    let outcome = if approves { "ok" } else { "failed" };
    post(&format!("{}{action_path}", origin.join("/")), &json!({ "outcome": outcome })).await
}

async fn post(url: &str, fields: &Value) -> reqwest::Result<PageAnswer> {
    let request = http::client(TIMEOUT)?.post(url).header("accept", "application/json").json(fields);
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok(PageAnswer { status, body: response.json().await.unwrap_or_default() })
}
