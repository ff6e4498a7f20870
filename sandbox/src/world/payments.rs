//! Payments as their merchant sees them: ordered, looked up, canceled.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::World;
use crate::refused::Refused;

/// Look-ups after which an unknown outcome is known.
const LOOK_UPS_UNTIL_KNOWN: u32 = 3;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payment {
    number: u64,
    pub(crate) id: String,
    /// Part of the payment page's address; whoever has it may pay.
    pub(crate) token: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    reference: String,
    pub(crate) account: String,
    pub(crate) description: Option<String>,
    pub(crate) return_url: Option<String>,
    expires_at_ms: Option<i64>,
    created_at_ms: i64,
    pub(crate) status: Status,
    pub(crate) last_error: Option<LastError>,
    pub(super) amount_refunded_minor: i64,
    /// While 3-D Secure is asked: whether it can be passed.
    pub(super) challenge_passes: Option<bool>,
    /// While the outcome is unknown: what it will be, and how often the payment was looked up since.
    pub(super) unknown: Option<Unknown>,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    AwaitingPayer,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
    Expired,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwaitingPayer => "awaiting_payer",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        })
    }
}

/// Why the last attempt failed. The payer may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LastError {
    CardDeclined,
    AuthenticationFailed,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unknown {
    pub(super) ends_paid: bool,
    pub(super) look_ups: u32,
}

/// What a caller asks for when it creates a payment.
#[derive(Serialize)]
pub(crate) struct Order {
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) reference: String,
    pub(crate) account: String,
    pub(crate) description: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) expires_at_ms: Option<i64>,
}

impl World {
    pub(crate) fn create_payment(&mut self, order: Order, fresh: [String; 2], now_ms: i64) -> Value {
        let [id, token] = fresh;
        let payment = Payment {
            number: self.number(),
            id: format!("pay_{id}"),
            token,
            amount_minor: order.amount_minor,
            currency: order.currency,
            reference: order.reference,
            account: order.account,
            description: order.description,
            return_url: order.return_url,
            expires_at_ms: order.expires_at_ms,
            created_at_ms: now_ms,
            status: Status::AwaitingPayer,
            last_error: None,
            amount_refunded_minor: 0,
            challenge_passes: None,
            unknown: None,
        };
        let view = self.view(&payment);
        self.payments.insert(payment.id.clone(), payment);
        view
    }

    /// Reads a payment as its merchant does. This is what settles an unknown outcome and lets late webhooks go.
    pub(crate) fn look_up(&mut self, id: &str, now_ms: i64) -> Result<Value, Refused> {
        let payment = self.payment(id, now_ms)?;
        if let Some(unknown) = &mut payment.unknown {
            unknown.look_ups += 1;
            let unknown = *unknown;
            self.changed = true;
            if unknown.look_ups >= LOOK_UPS_UNTIL_KNOWN {
                self.settle_unknown(id, unknown.ends_paid, now_ms)?;
            }
        }
        self.release(|held_for| held_for == id);
        let payment = self.payments.get(id).ok_or(Refused::NoSuchPayment)?;
        Ok(self.view(payment))
    }

    /// Reads all payments with a reference, oldest first; each counts as looked up.
    pub(crate) fn look_up_reference(&mut self, reference: &str, now_ms: i64) -> Result<Vec<Value>, Refused> {
        let mut found: Vec<_> = self.payments.values().filter(|payment| payment.reference == reference).collect();
        found.sort_by_key(|payment| payment.number);
        let ids: Vec<String> = found.into_iter().map(|payment| payment.id.clone()).collect();
        ids.iter().map(|id| self.look_up(id, now_ms)).collect()
    }

    /// Canceling what is canceled or expired is fine: it is dead, and says so.
    pub(crate) fn cancel(&mut self, id: &str, now_ms: i64) -> Result<Value, Refused> {
        let payment = self.payment(id, now_ms)?;
        match payment.status {
            Status::Canceled | Status::Expired => {}
            Status::AwaitingPayer | Status::RequiresAction => {
                payment.status = Status::Canceled;
                payment.challenge_passes = None;
                let canceled = self.happened(id, "payment.canceled", now_ms)?;
                self.send(&[canceled], None);
            }
            status @ (Status::Processing | Status::Succeeded) => return Err(Refused::NotCancelable { status }),
        }
        let payment = self.payments.get(id).ok_or(Refused::NoSuchPayment)?;
        Ok(self.view(payment))
    }

    /// A payment, expired first if its time has come.
    pub(super) fn payment(&mut self, id: &str, now_ms: i64) -> Result<&mut Payment, Refused> {
        let payment = self.payments.get_mut(id).ok_or(Refused::NoSuchPayment)?;
        let open = matches!(payment.status, Status::AwaitingPayer | Status::RequiresAction);
        if open && payment.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            payment.status = Status::Expired;
            payment.challenge_passes = None;
            self.changed = true;
        }
        Ok(payment)
    }

    pub(super) fn view(&self, payment: &Payment) -> Value {
        let mut view = json!({
            "id": payment.id,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "reference": payment.reference,
            "account": payment.account,
            "live": false,
            "status": payment.status,
            "created_at_ms": payment.created_at_ms,
            "pay_url": format!("{}{}", self.public_url, payment.page_path()),
            "amount_refunded_minor": payment.amount_refunded_minor,
        });
        if let Some(error) = payment.last_error {
            view["last_error"] = json!(error);
        }
        view
    }
}

impl Payment {
    /// The path of the payment page, with the token that opens it.
    pub(crate) fn page_path(&self) -> String {
        format!("/pay/{}?t={}", self.id, self.token)
    }

    pub(crate) fn challenge_path(&self) -> String {
        format!("/pay/{}/3ds?t={}", self.id, self.token)
    }
}
