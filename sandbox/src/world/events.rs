//! What happened, and the webhooks that say so: recorded with the change itself, sent later or never.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::World;
use crate::refused::Refused;

/// Webhooks that may wait. Beyond them the oldest is given up; `GET /v1/events` still has it.
const MAX_WAITING: usize = 10_000;

/// What a webhook says. The body is kept as it will be sent, so that a retry repeats the same bytes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    id: String,
    body: String,
}

/// One webhook that waits to be sent.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivery {
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

impl World {
    /// Everything that happened, oldest first: what webhooks would have said, were they reliable.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.iter().map(|event| serde_json::from_str(&event.body).unwrap_or(Value::Null)).collect()
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

    /// Records what happened to a payment, with the payment as it is now.
    pub(super) fn happened(&mut self, id: &str, kind: &str, now_ms: i64) -> Result<String, Refused> {
        let payment = self.payments.get(id).ok_or(Refused::NoSuchPayment)?;
        let view = self.view(payment);
        Ok(self.record(kind, &view, now_ms))
    }

    pub(super) fn record(&mut self, kind: &str, data: &Value, now_ms: i64) -> String {
        let number = self.number();
        let id = format!("evt_{}_{number}", self.epoch);
        let body = json!({ "id": id, "type": kind, "created_at_ms": now_ms, "data": data }).to_string();
        self.events.push(Event { id: id.clone(), body });
        id
    }

    pub(super) fn send(&mut self, events: &[String], held_for: Option<&str>) {
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

    pub(super) fn release(&mut self, which: impl Fn(&str) -> bool) -> usize {
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
}
