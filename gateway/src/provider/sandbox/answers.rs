//! What the sandbox answers, in its words, and what they mean to us.

use comptoir_content::{Amount, Currency, Handoff, Timestamp};
use comptoir_engine::payment::{Seen, Status};
use serde::Deserialize;

use crate::provider::message::is_id;
use crate::provider::secret::may_be_called;
use crate::provider::{HttpResponse, Outcome, RefundOutcome};

/// `None` when anything in it makes no sense.
pub(super) fn seen(payment: Payment) -> Option<Outcome> {
    let amount = amount(payment.amount_minor, &payment.currency)?;
    let may_pay = |url: &String| reqwest::Url::parse(url).is_ok_and(|url| may_be_called(&url));
    let (status, handoff) = match payment.status {
        PaymentStatus::AwaitingPayer | PaymentStatus::RequiresAction => {
            let page = payment.pay_url.filter(may_pay).map(|url| Handoff::Page { url });
            (Status::Open, page)
        }
        PaymentStatus::Processing => (Status::Processing, None),
        // It keeps no time of payment. The time of creation is at most fifteen minutes older.
        PaymentStatus::Succeeded => {
            let at = Timestamp(payment.created_at_ms);
            (Status::Captured { at }, None)
        }
        PaymentStatus::Canceled | PaymentStatus::Expired => {
            let reason = match (payment.last_error.as_deref(), payment.status) {
                (Some("card_declined"), _) => "card.declined",
                (Some("authentication_failed"), _) => "submit.bank_failed",
                (_, PaymentStatus::Expired) => "submit.bank_late",
                _ => "submit.bank_left",
            };
            let reason = reason.to_owned();
            (Status::Dead { reason }, None)
        }
    };
    is_id(&payment.id).then(|| Outcome::Seen {
        seen: Seen {
            provider_payment: payment.id,
            status,
            amount,
            reference: payment.reference,
            account: payment.account,
            live: payment.live,
            method: "card".to_owned(),
        },
        handoff,
    })
}

pub(super) fn refunded(refund: Refund) -> Option<RefundOutcome> {
    let amount = amount(refund.amount_minor, &refund.currency)?;
    (is_id(&refund.id) && refund.status == "succeeded")
        .then_some(RefundOutcome::Done { provider_refund: refund.id, amount })
}

fn amount(minor: i64, currency: &str) -> Option<Amount> {
    Amount::new(minor, Currency::of(currency).ok()?).ok()
}

/// A readable refusal, which proves that nothing was done.
pub(super) fn refusal(response: &HttpResponse) -> Option<RefusalError> {
    let Ok(Refusal { error }) = serde_json::from_slice(&response.body) else {
        return None;
    };
    // A key that was used for another request means that something was done under it.
    (matches!(response.status, 400 | 401 | 404 | 409 | 413 | 422) && error.code != "idempotency_conflict")
        .then_some(error)
}

#[derive(Deserialize)]
pub(super) struct Payments {
    pub(super) payments: Vec<Payment>,
}

/// A payment as the sandbox tells it. Fields that we do not use are ignored.
#[derive(Deserialize)]
pub(super) struct Payment {
    id: String,
    amount_minor: i64,
    currency: String,
    pub(super) reference: String,
    account: String,
    live: bool,
    pub(super) status: PaymentStatus,
    created_at_ms: i64,
    pay_url: Option<String>,
    last_error: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PaymentStatus {
    AwaitingPayer,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
    Expired,
}

impl PaymentStatus {
    /// How much it matters when several payments share a reference.
    pub(super) fn weight(self) -> u8 {
        match self {
            Self::Canceled | Self::Expired => 0,
            Self::AwaitingPayer | Self::RequiresAction => 1,
            Self::Processing => 2,
            Self::Succeeded => 3,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Refunds {
    pub(super) refunds: Vec<Refund>,
}

#[derive(Deserialize)]
pub(super) struct Refund {
    id: String,
    amount_minor: i64,
    currency: String,
    pub(super) reference: String,
    status: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
pub(super) struct RefusalError {
    pub(super) code: String,
    field: Option<String>,
}

impl RefusalError {
    /// Why a creation was refused, as a key of the registry.
    pub(super) fn create_reason(&self) -> &'static str {
        match self.field.as_deref() {
            Some("amount_minor") => "invoice.limits",
            Some("currency") => "invoice.currency",
            Some("expires_at_ms") => "submit.bank_late",
            _ => "method.provider_down",
        }
    }
}
