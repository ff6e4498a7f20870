//! Money given back, never more than was paid.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Status, World};
use crate::refused::Refused;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refund {
    number: u64,
    id: String,
    payment: String,
    amount_minor: i64,
    currency: String,
    reference: String,
}

/// What a caller asks for when it gives money back.
#[derive(Serialize)]
pub(crate) struct RefundOrder {
    pub(crate) payment: String,
    pub(crate) amount_minor: i64,
    pub(crate) reference: String,
}

impl World {
    pub(crate) fn refund(&mut self, order: RefundOrder, fresh: &str, now_ms: i64) -> Result<Value, Refused> {
        let payment = self.payment(&order.payment, now_ms)?;
        if payment.status != Status::Succeeded {
            return Err(Refused::NotRefundable { status: payment.status });
        }
        let left_minor = payment.amount_minor - payment.amount_refunded_minor;
        if order.amount_minor > left_minor {
            return Err(Refused::RefundTooLarge { left_minor });
        }
        payment.amount_refunded_minor += order.amount_minor;
        let currency = payment.currency.clone();
        let refund = Refund {
            number: self.number(),
            id: format!("re_{fresh}"),
            payment: order.payment,
            amount_minor: order.amount_minor,
            currency,
            reference: order.reference,
        };
        let view = refund.view();
        self.refunds.insert(refund.id.clone(), refund);
        let refunded = self.record("refund.succeeded", &view, now_ms);
        self.send(&[refunded], None);
        Ok(view)
    }

    pub(crate) fn look_up_refund(&self, id: &str) -> Result<Value, Refused> {
        self.refunds.get(id).map(Refund::view).ok_or(Refused::NoSuchRefund)
    }

    /// The refunds of a payment, oldest first.
    pub(crate) fn refunds_of(&self, payment: &str) -> Vec<Value> {
        let mut found: Vec<_> = self.refunds.values().filter(|refund| refund.payment == payment).collect();
        found.sort_by_key(|refund| refund.number);
        found.into_iter().map(Refund::view).collect()
    }
}

impl Refund {
    fn view(&self) -> Value {
        json!({
            "id": self.id,
            "payment": self.payment,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "reference": self.reference,
            "status": "succeeded",
        })
    }
}
