//! What of the outbox is due, as frames for the relay. Reads only; the answers come back as turns.

use std::collections::{BTreeSet, HashSet};

use comptoir_content::{DeviceId, Timestamp};
use comptoir_engine::conversation::Conversation;
use comptoir_wire as wire;

use super::{members, renewal};
use crate::error::TurnError;
use crate::store::{ConversationRow, OutboxRow, Tx, to_wire_conversation, to_wire_device, to_wire_uid};

/// Rows of one conversation that are on their way at once.
const ROWS_PER_CONVERSATION: u32 = 64;
/// Bytes of sealed messages in one frame.
const FRAME_BYTES: usize = 512 * 1024;

/// What an answer of the relay is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Envelope by envelope: the outbox row and the device.
    Envelopes(Vec<(i64, DeviceId)>),
    /// A change of a group, with the devices its envelopes went to.
    Change { row: i64, devices: Vec<DeviceId> },
}

impl Sent {
    /// The outbox rows that are on their way with it.
    pub(crate) fn rows(&self) -> Vec<i64> {
        match self {
            Self::Envelopes(envelopes) => envelopes.iter().map(|(row, _)| *row).collect(),
            Self::Change { row, .. } => vec![*row],
        }
    }
}

/// Frames for everything that is due and not on its way. Order within a conversation is kept: nothing overtakes a change
/// of its group, or something that waits.
pub(crate) fn due(
    tx: &mut Tx<'_>,
    in_flight: &HashSet<i64>,
    envelopes_max: usize,
) -> Result<Vec<(Sent, wire::Request)>, TurnError> {
    let conversations: Vec<i64> = {
        let mut select =
            tx.sql.prepare_cached("SELECT conversation, min(id) FROM outbox GROUP BY conversation ORDER BY 2")?;
        select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    if conversations.is_empty() {
        return Ok(Vec::new());
    }
    let siblings = siblings(tx)?;
    let mut frames = Vec::new();
    let mut batch = Batch { envelopes_max, ..Batch::default() };
    for id in conversations {
        let conversation = tx.conversation_by_id(id)?;
        for row in tx.outbox_of(id, ROWS_PER_CONVERSATION)? {
            if row.not_before > tx.now {
                break;
            }
            if row.kind == "open" || row.kind == "commit" {
                if !in_flight.contains(&row.id) {
                    frames.push(change(tx, &siblings, &conversation, &row)?);
                }
                break;
            }
            if in_flight.contains(&row.id) {
                continue;
            }
            let Some(sealed) = &row.sealed else {
                break;
            };
            // Only what was sealed in the group that the relay has ordered can be opened by anybody.
            if row.kind == "message" && conversation.state != (Conversation::Open { generation: row.generation }) {
                break;
            }
            for (device, invited) in tx.recipients(row.id)? {
                let envelope = envelope(&siblings, &conversation, &row, device, invited, sealed);
                if let Some(full) = batch.push((row.id, device), envelope) {
                    frames.push(full);
                }
            }
        }
    }
    frames.extend(batch.finish());
    Ok(frames)
}

/// The devices of one's own account.
fn siblings(tx: &mut Tx<'_>) -> Result<BTreeSet<DeviceId>, TurnError> {
    let me = tx.me()?;
    let own = tx.account(me.account)?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    Ok(own.active_devices().map(|certificate| certificate.device).collect())
}

fn envelope(
    siblings: &BTreeSet<DeviceId>,
    conversation: &ConversationRow,
    row: &OutboxRow,
    device: DeviceId,
    invited: bool,
    sealed: &[u8],
) -> wire::Envelope {
    let (kind, bytes) = match (row.kind.as_str(), invited) {
        ("message", _) => (wire::EnvelopeKind::Message, sealed),
        (_, true) => (wire::EnvelopeKind::Welcome, row.welcome.as_deref().unwrap_or_default()),
        (_, false) => (wire::EnvelopeKind::Commit, sealed),
    };
    wire::Envelope {
        to: to_wire_device(device),
        uid: to_wire_uid(row.uid),
        conversation: to_wire_conversation(conversation.uid),
        generation: row.generation,
        epoch: row.epoch,
        kind,
        // One's own tablet need not be woken for what one says. And to wake it together with the recipient's phone would
        // show the push service whose they are.
        urgent: row.message.is_some() && !siblings.contains(&device),
        ttl_s: 0,
        sealed: bytes.to_vec(),
        pass: row.pass.filter(|_| !siblings.contains(&device)),
    }
}

fn change(
    tx: &Tx<'_>,
    siblings: &BTreeSet<DeviceId>,
    conversation: &ConversationRow,
    row: &OutboxRow,
) -> Result<(Sent, wire::Request), TurnError> {
    let corrupt = || TurnError::Corrupt { what: "change of a group" };
    let sealed = row.sealed.as_deref().ok_or_else(corrupt)?;
    let recipients = tx.recipients(row.id)?;
    let envelopes = recipients
        .iter()
        .map(|(device, invited)| envelope(siblings, conversation, row, *device, *invited, sealed))
        .collect();
    let devices = recipients.into_iter().map(|(device, _)| device).collect();
    let next_token_hash = row.next_token_hash.ok_or_else(corrupt)?;
    let request = if row.kind == "open" {
        wire::Request::OpenGeneration {
            peer: wire::AccountId(conversation.peer.0),
            conversation: to_wire_conversation(conversation.uid),
            generation: row.generation,
            token_hash: next_token_hash,
            envelopes,
        }
    } else {
        wire::Request::SubmitCommit {
            peer: wire::AccountId(conversation.peer.0),
            conversation: to_wire_conversation(conversation.uid),
            generation: row.generation,
            epoch: row.epoch,
            token: wire::CommitToken(row.token.ok_or_else(corrupt)?),
            next_token_hash,
            uid: to_wire_uid(row.uid),
            envelopes,
        }
    };
    Ok((Sent::Change { row: row.id, devices }, request))
}

#[derive(Default)]
struct Batch {
    about: Vec<(i64, DeviceId)>,
    envelopes: Vec<wire::Envelope>,
    bytes: usize,
    /// Envelopes that the relay takes in one frame.
    envelopes_max: usize,
}

impl Batch {
    /// Adds an envelope; gives back the frame that was full before it.
    fn push(&mut self, about: (i64, DeviceId), envelope: wire::Envelope) -> Option<(Sent, wire::Request)> {
        let full = self.envelopes.len() >= self.envelopes_max || self.bytes + envelope.sealed.len() > FRAME_BYTES;
        let next = Self { envelopes_max: self.envelopes_max, ..Self::default() };
        let frame = if full { std::mem::replace(self, next).finish() } else { None };
        self.bytes += envelope.sealed.len();
        self.about.push(about);
        self.envelopes.push(envelope);
        frame
    }

    fn finish(self) -> Option<(Sent, wire::Request)> {
        let envelopes = self.envelopes;
        (!envelopes.is_empty()).then_some((Sent::Envelopes(self.about), wire::Request::Deposit { envelopes }))
    }
}

/// When something has to be looked at again, if nothing happens before.
pub(crate) fn next_alarm(tx: &Tx<'_>) -> Result<Option<Timestamp>, TurnError> {
    let at: Option<i64> = tx
        .sql
        .prepare_cached(&format!(
            "SELECT min(at) FROM (
                 SELECT min(wake_at) AS at FROM checkout WHERE wake_at IS NOT NULL
                 UNION ALL SELECT min(retry_at) FROM conversation WHERE retry_at IS NOT NULL
                 UNION ALL SELECT min(not_before) FROM outbox WHERE not_before > 0
                 UNION ALL SELECT min(not_before) FROM outbox_recipient WHERE not_before > 0
                 UNION ALL {}
                 UNION ALL {})",
            members::catch_up_alarm(),
            renewal::alarm()
        ))?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(Timestamp))
}
