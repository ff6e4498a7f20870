//! Stripe's webhooks: signed, of our account and our kind of money, and worth a look-up.

use comptoir_content::Timestamp;
use serde::Deserialize;

use super::Stripe;
use super::answers::{IdOr, Named};
use crate::provider::message::is_id;
use crate::provider::{Hint, HintKind, WebhookRefused, signature};

#[derive(Deserialize)]
struct Event {
    id: String,
    object: String,
    #[serde(rename = "type")]
    kind: String,
    livemode: bool,
    account: Option<String>,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: About,
}

#[derive(Deserialize)]
struct About {
    id: Option<String>,
    payment_intent: Option<IdOr<Named>>,
}

impl Stripe {
    pub(super) fn hint(&self, signed: Option<&str>, body: &[u8], now: Timestamp) -> Result<Hint, WebhookRefused> {
        signature::verify(signed, body, &self.keys.webhook_secrets, now)?;
        let event: Event = serde_json::from_slice(body).map_err(|_| WebhookRefused::Unreadable)?;
        if event.object != "event" || !is_id(&event.id) {
            return Err(WebhookRefused::Unreadable);
        }
        if event.account.is_some_and(|account| account != self.keys.account) {
            return Err(WebhookRefused::OtherAccount);
        }
        if event.livemode != self.keys.live {
            return Err(WebhookRefused::OtherMode);
        }
        let about = event.data.object;
        let payment = about.payment_intent.map(IdOr::into_id);
        let (kind, provider_payment) = match event.kind.as_str() {
            kind if kind.starts_with("payment_intent.") => (HintKind::Payment, about.id),
            kind if kind.starts_with("refund.") => (HintKind::Refund, payment),
            "charge.refunded" | "charge.refund.updated" => (HintKind::Refund, payment),
            _ => (HintKind::Other, payment),
        };
        match provider_payment {
            Some(id) if !is_id(&id) => Err(WebhookRefused::Unreadable),
            Some(provider_payment) => Ok(Hint { event: event.id, provider_payment, kind }),
            // A refund of a charge that no intent made is not ours.
            None => Ok(Hint { event: event.id, provider_payment: String::new(), kind: HintKind::Other }),
        }
    }
}
