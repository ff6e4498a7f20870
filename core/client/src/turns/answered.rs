//! Turns about the relay's answers to what the outbox sent.

use comptoir_content::{DeviceId, Timestamp};
use comptoir_engine::Refused;
use comptoir_engine::conversation::{self, Conversation};
use comptoir_engine::outbox::{CONFLICTS_MAX, next_try};
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, params};
use comptoir_wire as wire;

use super::flush::Sent;
use super::{members, renewal};
use crate::error::TurnError;
use crate::store::{ConversationRow, Effect, OutboxRow, Tx};

/// Stale answers in a row after which this device will not catch up by waiting.
const STALE_MAX: u32 = 5;

/// The relay answered, envelope by envelope.
pub(crate) fn deposited(
    tx: &mut Tx<'_>,
    about: &[(i64, DeviceId)],
    outcomes: &[wire::DepositOutcome],
) -> Result<(), TurnError> {
    let mut moved_on = Vec::new();
    for (&(row, device), outcome) in about.iter().zip(outcomes) {
        let Some(row) = tx.outbox_row(row)? else {
            continue;
        };
        if outcome.status == wire::DepositStatus::StaleEpoch {
            if row.kind != "message" {
                // A change of a group that is long in the past: whoever missed it needs more than that.
                tx.recipient_done(row.id, device)?;
            } else if !moved_on.contains(&row.id) {
                // Once for all recipients of a row.
                moved_on.push(row.id);
                stale(tx, &row)?;
            }
            continue;
        }
        outcome_of(tx, &row, device, *outcome)?;
    }
    let mut rows: Vec<i64> = about.iter().map(|(row, _)| *row).collect();
    rows.dedup();
    for row in rows {
        close_if_done(tx, row)?;
    }
    tx.effect(Effect::Flush);
    Ok(())
}

fn outcome_of(
    tx: &mut Tx<'_>,
    row: &OutboxRow,
    device: DeviceId,
    outcome: wire::DepositOutcome,
) -> Result<(), TurnError> {
    match outcome.status {
        wire::DepositStatus::Accepted | wire::DepositStatus::Duplicate => {
            tx.recipient_done(row.id, device)?;
            if let Some(message) = row.message {
                accepted(tx, message, outcome.accepted_at_ms)?;
            }
        }
        // Nobody is there, or our relay says that this is not our conversation: no other answer will ever come.
        wire::DepositStatus::Gone | wire::DepositStatus::Forbidden => tx.recipient_done(row.id, device)?,
        wire::DepositStatus::Closed => closed(tx, row, device)?,
        wire::DepositStatus::Full => waits(tx, row, device)?,
        // Handled for the row as a whole.
        wire::DepositStatus::StaleEpoch => {}
    }
    Ok(())
}

/// Their gate is closed to this shop. A result of an order waits: its pass may not have reached their relay yet. Nothing else
/// gets in by waiting.
fn closed(tx: &mut Tx<'_>, row: &OutboxRow, device: DeviceId) -> Result<(), TurnError> {
    let Some(message) = row.message else {
        return tx.recipient_done(row.id, device);
    };
    let kind: String =
        tx.sql.prepare_cached("SELECT kind FROM message WHERE id = ?1")?.query_row([message], |row| row.get(0))?;
    if matches!(kind.as_str(), "payment_answer" | "receipt" | "refund") {
        return waits(tx, row, device);
    }
    tx.recipient_done(row.id, device)?;
    let failed = tx
        .sql
        .prepare_cached("UPDATE message SET state = 'failed', why = ?2 WHERE id = ?1 AND state = 'queued'")?
        .execute(params![message, Refused::ConsentClosed.key()])?;
    if failed > 0 {
        let conversation = tx.conversation_by_id(message >> 36)?;
        tx.notify_chat(conversation.uid);
    }
    Ok(())
}

/// Only this device waits. What comes after may reach the others.
fn waits(tx: &mut Tx<'_>, row: &OutboxRow, device: DeviceId) -> Result<(), TurnError> {
    let at = next_try(row.failures.saturating_add(4), tx.random.number(), tx.now);
    tx.sql.prepare_cached("UPDATE outbox SET failures = failures + 1 WHERE id = ?1")?.execute([row.id])?;
    tx.sql
        .prepare_cached("UPDATE outbox_recipient SET not_before = ?3 WHERE outbox = ?1 AND device = ?2")?
        .execute(params![row.id, device.0, at.0])?;
    Ok(())
}

/// The group moved on. In the group as it is here now the same message is sealed again under the same uid; where this
/// device has not caught up, it waits, longer each time, and in the end the conversation needs another generation.
fn stale(tx: &mut Tx<'_>, row: &OutboxRow) -> Result<(), TurnError> {
    let conversation = tx.conversation_by_id(row.conversation)?;
    let Conversation::Open { generation } = conversation.state else {
        return later(tx, row);
    };
    let here = match tx.group(conversation.uid, generation)? {
        Some(group) => {
            let epoch = group.epoch();
            tx.keep_group(group);
            epoch
        }
        None => row.epoch,
    };
    if (row.generation, row.epoch) != (generation, here) {
        tx.sql.prepare_cached("UPDATE outbox SET sealed = NULL, not_before = 0 WHERE id = ?1")?.execute([row.id])?;
        tx.sql.prepare_cached("DELETE FROM outbox_recipient WHERE outbox = ?1")?.execute([row.id])?;
        return super::send::seal_queued(tx, row.conversation);
    }
    if row.failures >= STALE_MAX {
        return members::fell_behind(tx, row.conversation);
    }
    later(tx, row)
}

/// The relay has the message on its disk, at this time of its clock. The first recipient's counts.
fn accepted(tx: &mut Tx<'_>, message: i64, accepted_at_ms: u64) -> Result<(), TurnError> {
    let at = i64::try_from(accepted_at_ms).unwrap_or(i64::MAX);
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE message SET accepted_at = CASE WHEN accepted_at = 0 THEN ?2 ELSE accepted_at END,
                 state = CASE WHEN state = 'queued' THEN 'sent' ELSE state END
             WHERE id = ?1 AND (accepted_at = 0 OR state = 'queued')",
        )?
        .execute(params![message, at])?;
    if changed > 0 {
        let conversation = tx.conversation_by_id(message >> 36)?;
        tx.notify_chat(conversation.uid);
    }
    Ok(())
}

fn later(tx: &Tx<'_>, row: &OutboxRow) -> Result<(), TurnError> {
    let at = next_try(row.failures, tx.random.number(), tx.now);
    tx.sql
        .prepare_cached("UPDATE outbox SET failures = failures + 1, not_before = ?2 WHERE id = ?1")?
        .execute(params![row.id, at.0])?;
    Ok(())
}

/// A row is done when no recipient is left. A message that no device at all could be given has failed, and says so.
fn close_if_done(tx: &mut Tx<'_>, row: i64) -> Result<(), TurnError> {
    let closed: Option<Option<i64>> = tx
        .sql
        .prepare_cached(
            "DELETE FROM outbox WHERE id = ?1 AND sealed IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM outbox_recipient WHERE outbox = ?1) RETURNING message",
        )?
        .query_row([row], |row| row.get(0))
        .optional()?;
    if let Some(Some(message)) = closed {
        let failed = tx
            .sql
            .prepare_cached("UPDATE message SET state = 'failed' WHERE id = ?1 AND state = 'queued'")?
            .execute([message])?;
        if failed > 0 {
            let conversation = tx.conversation_by_id(message >> 36)?;
            tx.notify_chat(conversation.uid);
        }
    }
    Ok(())
}

/// The relay refused a whole frame. The same again later, unless waiting does not help.
pub(crate) fn refused(tx: &mut Tx<'_>, sent: &Sent, refusal: &wire::Refusal) -> Result<(), TurnError> {
    for row in sent.rows() {
        let Some(row) = tx.outbox_row(row)? else {
            continue;
        };
        later(tx, &row)?;
        let at = tx.now.plus_ms(i64::try_from(refusal.retry_after_ms).unwrap_or(i64::MAX / 2));
        tx.sql
            .prepare_cached("UPDATE outbox SET not_before = max(not_before, ?2) WHERE id = ?1")?
            .execute(params![row.id, at.0])?;
    }
    Ok(())
}

/// The relay ordered a change of a group, or somebody else's was first.
pub(crate) fn ordered(
    tx: &mut Tx<'_>,
    row: i64,
    devices: &[DeviceId],
    ordered: &wire::Ordered,
) -> Result<(), TurnError> {
    let Some(row) = tx.outbox_row(row)? else {
        return Ok(());
    };
    let conversation = tx.conversation_by_id(row.conversation)?;
    match ordered.status {
        wire::OrderStatus::Accepted | wire::OrderStatus::Duplicate => {
            if row.kind == "open" {
                members::moved(tx, &conversation, conversation::Input::Ordered)?;
            } else if let Some(mut group) = tx.group(conversation.uid, row.generation)? {
                group.merge_pending(&tx.mls)?;
                tx.keep_group(group);
                renewal::renewed(tx, conversation.id)?;
            }
            if row.welcome.is_some() {
                let at = i64::try_from(ordered.accepted_at_ms).unwrap_or(i64::MAX);
                tx.sql
                    .prepare_cached("UPDATE conversation SET invited_at = ?2 WHERE id = ?1")?
                    .execute(params![row.conversation, at])?;
            }
            // What did not fit into a mailbox yet goes on as ordinary envelopes.
            tx.sql.prepare_cached("UPDATE outbox SET kind = 'deliver' WHERE id = ?1")?.execute([row.id])?;
            let about: Vec<_> = devices.iter().map(|device| (row.id, *device)).collect();
            if ordered.status == wire::OrderStatus::Accepted && ordered.outcomes.len() == about.len() {
                deposited(tx, &about, &ordered.outcomes)?;
            }
            super::held::retry_held_in(tx, &conversation);
            members::begin(tx, &tx.conversation_by_id(row.conversation)?)?;
        }
        wire::OrderStatus::Stale | wire::OrderStatus::Forbidden if row.kind == "open" => {
            tx.delete_outbox(row.id)?;
            let generation = ordered.generation;
            let now = members::moved(tx, &conversation, conversation::Input::Stale { generation })?;
            if now == (Conversation::Awaiting { generation }) {
                let at = tx.now.plus_ms(conversation::INVITATION_PATIENCE_MS);
                tx.retry_conversation(conversation.id, Some(at), conversation.failures)?;
            }
            super::held::retry_held_in(tx, &conversation);
            if lost_invitation(tx, &conversation, generation)? {
                // It came long ago and cannot be opened: nobody is going to send it again.
                let waiting = tx.conversation_by_id(row.conversation)?;
                members::moved(tx, &waiting, conversation::Input::Unreadable { generation })?;
                members::begin(tx, &tx.conversation_by_id(row.conversation)?)?;
            }
        }
        wire::OrderStatus::Stale | wire::OrderStatus::Forbidden => {
            tx.delete_outbox(row.id)?;
            if let Some(mut group) = tx.group(conversation.uid, row.generation)? {
                group.forget_pending(&tx.mls)?;
                tx.keep_group(group);
            }
            // The commit that was first is on its way; then the intent is tried again, not the bytes.
            let failures = conversation.failures.saturating_add(1);
            if failures <= CONFLICTS_MAX {
                let at: Timestamp = next_try(failures, tx.random.number(), tx.now);
                tx.retry_conversation(conversation.id, Some(at), failures)?;
            }
        }
    }
    tx.notify_chat(conversation.uid);
    tx.effect(Effect::Flush);
    Ok(())
}

/// True when the invitation into this generation is here and cannot be opened.
fn lost_invitation(tx: &Tx<'_>, conversation: &ConversationRow, generation: u32) -> Result<bool, TurnError> {
    Ok(tx
        .sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM held WHERE conversation = ?1 AND generation >= ?2 AND kind = 'welcome'
                 AND reason = 'unreadable')",
        )?
        .query_row(params![conversation.uid.0, generation], |row| row.get(0))?)
}
