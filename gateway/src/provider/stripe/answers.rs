//! What Stripe answers, in its words, and what they mean to us.

use comptoir_content::{Handoff, Timestamp};
use comptoir_engine::payment::{Seen, Status};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Stripe, money};
use crate::provider::message::is_id;
use crate::provider::{HttpResponse, Outcome, RefundOutcome};

impl Stripe {
    pub(super) fn seen(&self, intent: Intent) -> Option<Outcome> {
        let amount = match (intent.status, intent.amount_received) {
            (IntentStatus::Succeeded, Some(received)) => received,
            _ => intent.amount,
        };
        let amount = money::from_stripe(amount, &intent.currency)?;
        let account = intent.payee().unwrap_or_default();
        let charge = match intent.latest_charge {
            Some(IdOr::Object(charge)) => Some(charge),
            Some(IdOr::Id(_)) | None => None,
        };
        let (status, handoff) = match intent.status {
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation | IntentStatus::RequiresAction => {
                let handoff = intent.client_secret.filter(|secret| !secret.is_empty()).map(|client_secret| {
                    let publishable_key = self.keys.publishable_key.clone();
                    Handoff::Sdk { publishable_key, client_secret }
                });
                (Status::Open, handoff)
            }
            // Authorised and not captured: not by us, who capture at once. The engine cancels it when its time is over.
            IntentStatus::Processing | IntentStatus::RequiresCapture => (Status::Processing, None),
            IntentStatus::Succeeded => {
                let created_s = charge.as_ref().map_or(intent.created, |charge| charge.created);
                let at = Timestamp(created_s.checked_mul(1000)?);
                (Status::Captured { at }, None)
            }
            IntentStatus::Canceled => {
                let error = intent.last_payment_error.as_ref();
                let reason = error.map_or("submit.bank_left", |error| error.card_reason()).to_owned();
                (Status::Dead { reason }, None)
            }
            IntentStatus::Unrecognised => return None,
        };
        let ours = intent.object == "payment_intent" && is_id(&intent.id);
        ours.then(|| Outcome::Seen {
            seen: Seen {
                provider_payment: intent.id,
                status,
                amount,
                reference: reference(intent.metadata.as_ref()).unwrap_or_default().to_owned(),
                account,
                live: intent.livemode,
                method: charge.map_or_else(|| "card".to_owned(), |charge| charge.method()),
            },
            handoff,
        })
    }
}

pub(super) fn refunded(refund: Refund) -> Option<RefundOutcome> {
    let amount = money::from_stripe(refund.amount, &refund.currency)?;
    if refund.object != "refund" || !is_id(&refund.id) {
        return None;
    }
    let provider_refund = refund.id;
    match refund.status.as_deref()? {
        "succeeded" => Some(RefundOutcome::Done { provider_refund, amount }),
        "pending" | "requires_action" => Some(RefundOutcome::Pending { provider_refund }),
        "failed" | "canceled" => Some(RefundOutcome::Rejected { reason: "refund.failed".to_owned() }),
        _ => None,
    }
}

pub(super) fn list<T: DeserializeOwned>(response: &HttpResponse) -> Option<List<T>> {
    let list: List<T> = response.read()?;
    (list.object == "list").then_some(list)
}

/// A readable refusal, which proves that nothing was done.
pub(super) fn refusal(response: &HttpResponse) -> Option<StripeError> {
    let Ok(Refusal { error }) = serde_json::from_slice(&response.body) else {
        return None;
    };
    let kind = error.kind.as_deref()?;
    // An idempotency error means that something was done under the key; an API error that Stripe itself does not know.
    let is_certain = !matches!(kind, "idempotency_error" | "api_error");
    (is_certain && matches!(response.status, 400..=404)).then_some(error)
}

#[derive(Deserialize)]
pub(super) struct List<T> {
    object: String,
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
}

/// A PaymentIntent, of which we read what we need: other fields may come and go.
#[derive(Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    object: String,
    amount: i64,
    amount_received: Option<i64>,
    currency: String,
    pub(super) status: IntentStatus,
    livemode: bool,
    pub(super) created: i64,
    client_secret: Option<String>,
    pub(super) metadata: Option<Metadata>,
    latest_charge: Option<IdOr<Charge>>,
    last_payment_error: Option<StripeError>,
    /// Set when the money goes to somebody else, which we never ask for.
    on_behalf_of: Option<IdOr<Named>>,
    transfer_data: Option<Transfer>,
}

impl Intent {
    /// Whose money it becomes. The creation wrote our account into `metadata`.
    fn payee(&self) -> Option<String> {
        let others = [self.transfer_data.as_ref().map(|transfer| &transfer.destination), self.on_behalf_of.as_ref()];
        let other = others.into_iter().flatten().next().map(|account| match account {
            IdOr::Id(id) | IdOr::Object(Named { id }) => id.clone(),
        });
        other.or_else(|| self.metadata.as_ref()?.account.clone())
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
    /// A status that is newer than we are. Other intents in the same list can be read all the same.
    #[serde(other)]
    Unrecognised,
}

impl IntentStatus {
    /// How much it matters when several intents share a reference.
    pub(super) fn weight(self) -> u8 {
        match self {
            Self::Canceled => 0,
            Self::RequiresPaymentMethod | Self::RequiresConfirmation | Self::RequiresAction => 1,
            Self::Processing | Self::RequiresCapture | Self::Unrecognised => 2,
            Self::Succeeded => 3,
        }
    }
}

/// What we wrote there when we created it.
#[derive(Deserialize)]
pub(super) struct Metadata {
    reference: Option<String>,
    account: Option<String>,
}

pub(super) fn reference(metadata: Option<&Metadata>) -> Option<&str> {
    metadata?.reference.as_deref()
}

/// Stripe gives an id, or the object itself where it was asked to expand it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum IdOr<T> {
    Id(String),
    Object(T),
}

impl IdOr<Named> {
    pub(super) fn into_id(self) -> String {
        match self {
            Self::Id(id) | Self::Object(Named { id }) => id,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Transfer {
    destination: IdOr<Named>,
}

#[derive(Deserialize)]
struct Charge {
    created: i64,
    payment_method_details: Option<MethodDetails>,
}

#[derive(Deserialize)]
struct MethodDetails {
    card: Option<CardDetails>,
}

#[derive(Deserialize)]
struct CardDetails {
    brand: Option<String>,
    last4: Option<String>,
}

impl Charge {
    /// `visa ···· 4242`.
    fn method(&self) -> String {
        let card = self.payment_method_details.as_ref().and_then(|details| details.card.as_ref());
        let fits = |text: &&String, chars: std::ops::RangeInclusive<usize>, allowed: fn(&u8) -> bool| {
            chars.contains(&text.len()) && text.as_bytes().iter().all(allowed)
        };
        let brand = card
            .and_then(|card| card.brand.as_ref())
            .filter(|brand| fits(brand, 1..=20, |byte| byte.is_ascii_lowercase() || *byte == b'_'));
        let last4 = card.and_then(|card| card.last4.as_ref()).filter(|last4| fits(last4, 4..=4, u8::is_ascii_digit));
        let brand = brand.map_or("card", String::as_str);
        match last4 {
            Some(last4) => format!("{brand} ···· {last4}"),
            None => brand.to_owned(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Refund {
    id: String,
    object: String,
    amount: i64,
    currency: String,
    status: Option<String>,
    pub(super) metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Refusal {
    error: StripeError,
}

#[derive(Deserialize)]
pub(super) struct StripeError {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
}

impl StripeError {
    /// Why the last card was not taken.
    fn card_reason(&self) -> &'static str {
        match self.code.as_deref() {
            Some("expired_card" | "invalid_expiry_month" | "invalid_expiry_year") => "card.expired",
            Some("incorrect_number" | "invalid_number") => "card.number",
            Some("incorrect_cvc" | "invalid_cvc") => "card.cvc",
            Some("payment_intent_authentication_failure" | "authentication_required") => "submit.bank_failed",
            _ => "card.declined",
        }
    }

    /// Why a creation was refused.
    pub(super) fn create_reason(&self) -> &'static str {
        match (self.code.as_deref(), self.param.as_deref()) {
            (Some("amount_too_small" | "amount_too_large"), _) => "invoice.limits",
            (_, Some("amount" | "currency")) => "invoice.currency",
            _ => "method.provider_down",
        }
    }
}
