//! The sandbox's webhooks: signed, of our account, and worth a look-up.

use comptoir_content::Timestamp;
use serde::Deserialize;

use super::Sandbox;
use crate::provider::message::is_id;
use crate::provider::{Hint, HintKind, WebhookRefused, signature};

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    id: String,
    payment: Option<String>,
    account: Option<String>,
    live: Option<bool>,
}

impl Sandbox {
    pub(super) fn hint(&self, signed: Option<&str>, body: &[u8], now: Timestamp) -> Result<Hint, WebhookRefused> {
        signature::verify(signed, body, &self.webhook_secrets, now)?;
        let event: Event = serde_json::from_slice(body).map_err(|_| WebhookRefused::Unreadable)?;
        let (kind, provider_payment) = match event.kind.split_once('.') {
            Some(("payment", _)) => (HintKind::Payment, event.data.id),
            Some(("refund", _)) => (HintKind::Refund, event.data.payment.unwrap_or_default()),
            _ => (HintKind::Other, String::new()),
        };
        if kind != HintKind::Other && !is_id(&provider_payment) || !is_id(&event.id) {
            return Err(WebhookRefused::Unreadable);
        }
        if event.data.account.is_some_and(|account| account != self.account) {
            return Err(WebhookRefused::OtherAccount);
        }
        if event.data.live == Some(true) {
            return Err(WebhookRefused::OtherMode);
        }
        Ok(Hint { event: event.id, provider_payment, kind })
    }
}
