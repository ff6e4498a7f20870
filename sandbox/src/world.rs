//! Payments, refunds and events, and every rule about them. No socket, file or clock: time and random names are
//! arguments, and what must be sent is a row of the outbox in the same state.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> awaiting_payer
//!     awaiting_payer --> awaiting_payer: declined
//!     awaiting_payer --> requires_action: 3-D Secure
//!     requires_action --> awaiting_payer: failed
//!     requires_action --> succeeded: passed
//!     awaiting_payer --> succeeded: approved
//!     awaiting_payer --> processing: outcome unknown
//!     processing --> succeeded: third look-up
//!     processing --> awaiting_payer: third look-up
//!     awaiting_payer --> canceled
//!     requires_action --> canceled
//!     awaiting_payer --> expired
//!     requires_action --> expired
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cards::{Manner, PracticeCard, Webhooks};
use crate::refused::Refused;
use crate::secrets;

/// The version of the state file.
pub(crate) const VERSION: u32 = 1;
/// Look-ups after which an unknown outcome is known.
const LOOK_UPS_UNTIL_KNOWN: u32 = 3;
/// Webhooks that may wait. Beyond them the oldest is given up; `GET /v1/events` still has it.
const MAX_WAITING: usize = 10_000;

/// Everything the sandbox remembers; this is the state file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct World {
    pub(crate) version: u32,
    /// Begins the id of every event, so that a sandbox that starts afresh repeats none.
    epoch: String,
    /// Numbers everything in the order it was made.
    next_number: u64,
    payments: BTreeMap<String, Payment>,
    refunds: BTreeMap<String, Refund>,
    events: Vec<Event>,
    /// Answers by Idempotency-Key.
    answers: BTreeMap<String, Answer>,
    outbox: VecDeque<Delivery>,
    /// Where payers find us. Decided at every start.
    #[serde(skip)]
    pub(crate) public_url: String,
    /// Whether somebody listens for webhooks. Decided at every start.
    #[serde(skip)]
    pub(crate) sends_webhooks: bool,
    /// Whether anything was changed since the last save.
    #[serde(skip)]
    pub(crate) changed: bool,
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
    amount_refunded_minor: i64,
    /// While 3-D Secure is asked: whether it can be passed.
    challenge_passes: Option<bool>,
    /// While the outcome is unknown: what it will be, and how often the payment was looked up since.
    unknown: Option<Unknown>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unknown {
    ends_paid: bool,
    look_ups: u32,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refund {
    number: u64,
    id: String,
    payment: String,
    amount_minor: i64,
    currency: String,
    reference: String,
}

/// What a webhook says. The body is kept as it will be sent, so that a retry repeats the same bytes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    id: String,
    body: String,
}

/// An answer that was given under an Idempotency-Key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    request: String,
    pub(crate) body: String,
}

/// One webhook that waits to be sent.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    number: u64,
    event: String,
    /// The payment that must be looked up first, for webhooks that come late.
    held_for: Option<String>,
}

/// A webhook to send now.
pub(crate) struct Parcel {
    pub(crate) number: u64,
    pub(crate) body: String,
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

/// What a caller asks for when it gives money back.
#[derive(Serialize)]
pub(crate) struct RefundOrder {
    pub(crate) payment: String,
    pub(crate) amount_minor: i64,
    pub(crate) reference: String,
}

/// What the payer sees after a card was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    Known,
    OutcomeUnknown,
}

impl World {
    pub(crate) fn new(epoch: String) -> Self {
        Self {
            version: VERSION,
            epoch,
            next_number: 1,
            payments: BTreeMap::new(),
            refunds: BTreeMap::new(),
            events: Vec::new(),
            answers: BTreeMap::new(),
            outbox: VecDeque::new(),
            public_url: String::new(),
            sends_webhooks: false,
            changed: true,
        }
    }

    /// Does something once per Idempotency-Key: the same request again gets the answer that was given, another request
    /// is refused. A refusal is not remembered, so the caller may correct the request and keep the key. The flag says
    /// whether the answer is a repetition.
    pub(crate) fn once(
        &mut self,
        key: String,
        request: String,
        act: impl FnOnce(&mut Self) -> Result<Value, Refused>,
    ) -> Result<(Answer, bool), Refused> {
        match self.answers.get(&key) {
            Some(answer) if answer.request == request => return Ok((answer.clone(), true)),
            Some(_) => return Err(Refused::KeyUsedOtherwise),
            None => {}
        }
        let body = act(self)?.to_string();
        let answer = Answer { request, body };
        self.answers.insert(key, answer.clone());
        self.changed = true;
        Ok((answer, false))
    }

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

    /// Everything that happened, oldest first: what webhooks would have said, were they reliable.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.iter().map(|event| serde_json::from_str(&event.body).unwrap_or(Value::Null)).collect()
    }

    /// A payment as its payer sees it, who needs the token. Looking does not count as a look-up.
    pub(crate) fn page(&mut self, id: &str, token: &str, now_ms: i64) -> Result<&mut Payment, Refused> {
        match self.payment(id, now_ms) {
            Ok(payment) if secrets::same(&payment.token, token) => Ok(payment),
            Ok(_) | Err(_) => Err(Refused::NoSuchPayment),
        }
    }

    pub(crate) fn pay(&mut self, id: &str, token: &str, card: &PracticeCard, now_ms: i64) -> Result<Tried, Refused> {
        let payment = self.page(id, token, now_ms)?;
        match payment.status {
            Status::AwaitingPayer | Status::RequiresAction => {}
            status @ (Status::Processing | Status::Succeeded | Status::Canceled | Status::Expired) => {
                return Err(Refused::NotPayable { status });
            }
        }
        payment.status = Status::AwaitingPayer;
        payment.last_error = None;
        payment.challenge_passes = None;
        self.changed = true;
        match card.manner {
            Manner::Approves(webhooks) => self.approve(id, webhooks, now_ms)?,
            Manner::Declines => self.fail(id, LastError::CardDeclined, now_ms)?,
            Manner::AsksThreeDSecure { passes } => {
                let payment = self.payment(id, now_ms)?;
                payment.status = Status::RequiresAction;
                payment.challenge_passes = Some(passes);
            }
            Manner::OutcomeUnknown { ends_paid } => {
                let payment = self.payment(id, now_ms)?;
                payment.status = Status::Processing;
                payment.unknown = Some(Unknown { ends_paid, look_ups: 0 });
                let processing = self.happened(id, "payment.processing", now_ms)?;
                self.send(&[processing], None);
                return Ok(Tried::OutcomeUnknown);
            }
        }
        Ok(Tried::Known)
    }

    /// The payer's answer to 3-D Secure.
    pub(crate) fn answer_challenge(
        &mut self,
        id: &str,
        token: &str,
        approved: bool,
        now_ms: i64,
    ) -> Result<(), Refused> {
        let payment = self.page(id, token, now_ms)?;
        let status = payment.status;
        let passes = payment.challenge_passes.take().ok_or(Refused::NoChallenge { status })?;
        payment.status = Status::AwaitingPayer;
        self.changed = true;
        if approved && passes {
            self.approve(id, Webhooks::Once, now_ms)
        } else {
            self.fail(id, LastError::AuthenticationFailed, now_ms)
        }
    }

    /// Lets all late webhooks go.
    pub(crate) fn flush(&mut self) -> usize {
        self.release(|_| true)
    }

    /// The next webhook to send.
    pub(crate) fn next_parcel(&self) -> Option<Parcel> {
        let delivery = self.outbox.iter().find(|delivery| delivery.held_for.is_none())?;
        let event = self.events.iter().rev().find(|event| event.id == delivery.event)?;
        Some(Parcel { number: delivery.number, body: event.body.clone() })
    }

    /// A webhook was sent, or given up.
    pub(crate) fn parcel_done(&mut self, number: u64) {
        self.outbox.retain(|delivery| delivery.number != number);
        self.changed = true;
    }

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.changed = true;
        number
    }

    /// A payment, expired first if its time has come.
    fn payment(&mut self, id: &str, now_ms: i64) -> Result<&mut Payment, Refused> {
        let payment = self.payments.get_mut(id).ok_or(Refused::NoSuchPayment)?;
        let open = matches!(payment.status, Status::AwaitingPayer | Status::RequiresAction);
        if open && payment.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            payment.status = Status::Expired;
            payment.challenge_passes = None;
            self.changed = true;
        }
        Ok(payment)
    }

    fn approve(&mut self, id: &str, webhooks: Webhooks, now_ms: i64) -> Result<(), Refused> {
        self.payment(id, now_ms)?.status = Status::Processing;
        let processing = self.happened(id, "payment.processing", now_ms)?;
        // Not through `payment`: what is being processed does not expire.
        self.payments.get_mut(id).ok_or(Refused::NoSuchPayment)?.status = Status::Succeeded;
        let succeeded = self.happened(id, "payment.succeeded", now_ms)?;
        match webhooks {
            Webhooks::Once => self.send(&[processing, succeeded], None),
            Webhooks::Late => self.send(&[processing, succeeded], Some(id)),
            Webhooks::Twice => self.send(&[processing.clone(), processing, succeeded.clone(), succeeded], None),
            Webhooks::Reversed => self.send(&[succeeded, processing], None),
            Webhooks::Never => {}
        }
        Ok(())
    }

    fn fail(&mut self, id: &str, error: LastError, now_ms: i64) -> Result<(), Refused> {
        let payment = self.payments.get_mut(id).ok_or(Refused::NoSuchPayment)?;
        payment.status = Status::AwaitingPayer;
        payment.last_error = Some(error);
        let failed = self.happened(id, "payment.failed", now_ms)?;
        self.send(&[failed], None);
        Ok(())
    }

    fn settle_unknown(&mut self, id: &str, ends_paid: bool, now_ms: i64) -> Result<(), Refused> {
        let payment = self.payments.get_mut(id).ok_or(Refused::NoSuchPayment)?;
        payment.unknown = None;
        if !ends_paid {
            return self.fail(id, LastError::CardDeclined, now_ms);
        }
        payment.status = Status::Succeeded;
        let succeeded = self.happened(id, "payment.succeeded", now_ms)?;
        self.send(&[succeeded], None);
        Ok(())
    }

    /// Records what happened to a payment, with the payment as it is now.
    fn happened(&mut self, id: &str, kind: &str, now_ms: i64) -> Result<String, Refused> {
        let payment = self.payments.get(id).ok_or(Refused::NoSuchPayment)?;
        let view = self.view(payment);
        Ok(self.record(kind, &view, now_ms))
    }

    fn record(&mut self, kind: &str, data: &Value, now_ms: i64) -> String {
        let number = self.number();
        let id = format!("evt_{}_{number}", self.epoch);
        let body = json!({ "id": id, "type": kind, "created_at_ms": now_ms, "data": data }).to_string();
        self.events.push(Event { id: id.clone(), body });
        id
    }

    fn send(&mut self, events: &[String], held_for: Option<&str>) {
        if !self.sends_webhooks {
            return;
        }
        for event in events {
            let number = self.number();
            self.outbox.push_back(Delivery { number, event: event.clone(), held_for: held_for.map(str::to_owned) });
        }
        while self.outbox.len() > MAX_WAITING {
            self.outbox.pop_front();
        }
    }

    fn release(&mut self, which: impl Fn(&str) -> bool) -> usize {
        let mut released = 0;
        for delivery in &mut self.outbox {
            if delivery.held_for.as_deref().is_some_and(&which) {
                delivery.held_for = None;
                released += 1;
            }
        }
        self.changed |= released > 0;
        released
    }

    fn view(&self, payment: &Payment) -> Value {
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
