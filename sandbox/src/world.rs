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

mod events;
mod payer;
mod payments;
mod refunds;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::refused::Refused;
use events::{Delivery, Event};
use refunds::Refund;

pub(crate) use events::Parcel;
pub(crate) use payer::Tried;
pub(crate) use payments::{LastError, Order, Payment, Status};
pub(crate) use refunds::RefundOrder;

/// The version of the state file.
pub(crate) const VERSION: u32 = 1;

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

/// An answer that was given under an Idempotency-Key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    request: String,
    pub(crate) body: String,
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

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.changed = true;
        number
    }
}
