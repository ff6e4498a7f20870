//! Mailboxes: deposit, fetch, acknowledge.
//!
//! The device's row is the head of its mailbox: it numbers the envelopes without gaps and counts them. What leaves a
//! mailbox, acknowledged or expired, is always the oldest part, so `acked_seq` alone says what is gone.

use comptoir_sqlcipher::rusqlite::{self, Connection, OptionalExtension, Row};
use comptoir_wire::{
    AccountId, ConversationId, DepositOutcome, DepositStatus, DeviceId, Envelope, EnvelopeKind, Item, Uid,
};

use super::push::{HERE, Standing};
use super::{gates, key_packages, order, stored, unsigned};
use crate::membership::between;
use crate::store::{Mailbox, Retention, Sender};

const SECOND_MS: i64 = 1_000;

pub(super) fn deposit(
    db: &Connection,
    from: Sender,
    envelopes: &[Envelope],
    freshness: Freshness,
    retention: &Retention,
    now_ms: i64,
) -> rusqlite::Result<Vec<DepositOutcome>> {
    let one = |envelope| deposit_one(db, from.account, envelope, freshness, retention, now_ms);
    let outcomes: Vec<DepositOutcome> = envelopes.iter().map(one).collect::<Result<_, _>>()?;
    let accepted = envelopes.iter().zip(&outcomes).rfind(|(_, outcome)| outcome.status == DepositStatus::Accepted);
    if let Some((envelope, _)) = accepted {
        heard_from(db, from.device, envelope.uid)?;
    }
    Ok(outcomes)
}

/// The newest thing that was accepted from a device.
pub(super) fn heard_from(db: &Connection, device: DeviceId, uid: Uid) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE device SET last_uid = ?2 WHERE device = ?1")?.execute((device.0, uid.0)).map(drop)
}

/// Whether an envelope must be of an epoch that its recipients can still open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Checked,
    /// It belongs to a commit that was accepted: its recipients need it to get on, however late it comes.
    Ordered,
}

struct Head {
    device_no: i64,
    account: AccountId,
    removed: bool,
    head_seq: u64,
    messages: u64,
    size_bytes: u64,
    expires_at_ms: i64,
    push_endpoint: bool,
    wake_up: Standing,
}

fn deposit_one(
    db: &Connection,
    from: AccountId,
    envelope: &Envelope,
    freshness: Freshness,
    retention: &Retention,
    now_ms: i64,
) -> rusqlite::Result<DepositOutcome> {
    let outcome = |status| Ok(DepositOutcome { status, accepted_at_ms: 0 });
    let head = db
        .prepare_cached(
            "SELECT device_no, account, removed_at_ms IS NOT NULL AS removed, head_seq, messages, size_bytes,
                    expires_at_ms, push_endpoint IS NOT NULL AS push_endpoint, wake_up, knock_at_ms, owed_at_ms
             FROM device JOIN account USING (account_no) WHERE device = ?1",
        )?
        .query_row([envelope.to.0], |row| {
            Ok(Head {
                device_no: row.get("device_no")?,
                account: AccountId(row.get("account")?),
                removed: row.get("removed")?,
                head_seq: unsigned(row, "head_seq")?,
                messages: unsigned(row, "messages")?,
                size_bytes: unsigned(row, "size_bytes")?,
                expires_at_ms: row.get("expires_at_ms")?,
                push_endpoint: row.get("push_endpoint")?,
                wake_up: Standing::read(row)?,
            })
        })
        .optional()?;
    let Some(head) = head.filter(|head| !head.removed) else {
        return outcome(DepositStatus::Gone);
    };
    if from != head.account && envelope.conversation != between(from, head.account) {
        return outcome(DepositStatus::Forbidden);
    }
    // Before everything else: what was accepted once stays accepted, also when the mailbox is full by now.
    let seen = db
        .prepare_cached("SELECT accepted_at_ms FROM seen WHERE device_no = ?1 AND uid = ?2")?
        .query_row((head.device_no, envelope.uid.0), |row| unsigned(row, "accepted_at_ms"))
        .optional()?;
    if let Some(accepted_at_ms) = seen {
        return Ok(DepositOutcome { status: DepositStatus::Duplicate, accepted_at_ms });
    }
    if freshness == Freshness::Checked && order::is_stale(db, envelope)? {
        return outcome(DepositStatus::StaleEpoch);
    }
    let size_bytes = head.size_bytes + envelope.sealed.len() as u64;
    if head.messages >= retention.messages_max || size_bytes > retention.bytes_max {
        return outcome(DepositStatus::Full);
    }
    // Last, for it may use something up.
    if from != head.account && !gates::lets_in(db, head.account, from, envelope, now_ms)? {
        return outcome(DepositStatus::Closed);
    }

    let seq = head.head_seq + 1;
    let keep_ms = match i64::from(envelope.ttl_s) * SECOND_MS {
        0 => retention.keep_ms,
        ttl_ms => ttl_ms.min(retention.keep_ms),
    };
    // Never before an older one that still waits: what is forgotten is always the oldest part, and no gap appears.
    let waits_until_ms = if head.messages == 0 { 0 } else { head.expires_at_ms };
    let expires_at_ms = now_ms.saturating_add(keep_ms).max(waits_until_ms);
    db.prepare_cached(
        "INSERT INTO envelope (device_no, seq, uid, conversation, generation, epoch, kind, urgent, ttl_s,
                               accepted_at_ms, expires_at_ms, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute((
        head.device_no,
        stored(seq),
        envelope.uid.0,
        envelope.conversation.0,
        envelope.generation,
        stored(envelope.epoch),
        kind_number(envelope.kind),
        envelope.urgent,
        envelope.ttl_s,
        now_ms,
        expires_at_ms,
        &envelope.sealed,
    ))?;
    db.prepare_cached("INSERT INTO seen (device_no, uid, accepted_at_ms) VALUES (?1, ?2, ?3)")?.execute((
        head.device_no,
        envelope.uid.0,
        now_ms,
    ))?;
    db.prepare_cached(
        "UPDATE device SET head_seq = ?2, messages = messages + 1, size_bytes = ?3, expires_at_ms = ?4
         WHERE device_no = ?1",
    )?
    .execute((head.device_no, stored(seq), stored(size_bytes), expires_at_ms))?;
    if from != head.account {
        gates::accepted(db, from, head.account, envelope, now_ms)?;
    }
    // What is owed for it is written in the same transaction: no crash comes between the two.
    if envelope.urgent && head.push_endpoint {
        let wake_up = head.wake_up.after_an_urgent_one(now_ms, retention.knock_within_ms);
        // Apart, and mostly not at all: the indices of wake-ups would be written with it.
        if wake_up != head.wake_up {
            wake_up.write(db, head.device_no)?;
        }
    }
    Ok(DepositOutcome { status: DepositStatus::Accepted, accepted_at_ms: now_ms.cast_unsigned() })
}

pub(super) fn open(db: &Connection, device: DeviceId, now_ms: i64) -> rusqlite::Result<Option<Mailbox>> {
    let Some(device_no) = present(db, device)? else {
        return Ok(None);
    };
    let expired = db
        .prepare_cached("SELECT max(seq) AS seq FROM envelope WHERE device_no = ?1 AND expires_at_ms <= ?2")?
        .query_row((device_no, now_ms), |row| row.get::<_, Option<i64>>("seq"))?;
    if let Some(seq) = expired {
        forget_upto(db, device_no, seq)?;
    }
    let key_packages_left = key_packages::left(db, device_no)?;
    db.prepare_cached(
        "UPDATE device
         SET visits = visits + 1, wake_up = ?2, knock_at_ms = NULL, knocks = 0, owed_at_ms = NULL, trying = 0
         WHERE device_no = ?1
         RETURNING acked_seq, head_seq, visits, push_endpoint IS NOT NULL AS push_told, last_uid",
    )?
    .query_row((device_no, HERE), |row| {
        Ok(Some(Mailbox {
            acked_seq: unsigned(row, "acked_seq")?,
            head_seq: unsigned(row, "head_seq")?,
            key_packages_left,
            push_told: row.get("push_told")?,
            last_uid: row.get::<_, Option<_>>("last_uid")?.map(Uid),
            visit: unsigned(row, "visits")?,
        }))
    })
}

pub(super) fn fetch(
    db: &Connection,
    device: DeviceId,
    after_seq: u64,
    items_max: usize,
    bytes_max: usize,
) -> rusqlite::Result<Vec<Item>> {
    let mut statement = db.prepare_cached(
        "SELECT seq, uid, conversation, generation, epoch, kind, urgent, ttl_s, accepted_at_ms, sealed
         FROM envelope
         WHERE device_no = (SELECT device_no FROM device WHERE device = ?1) AND seq > ?2
         ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = statement.query((device.0, stored(after_seq), items_max as i64))?;
    let mut items: Vec<Item> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let item = read_item(row, device)?;
        bytes += item.envelope.sealed.len();
        if bytes > bytes_max && !items.is_empty() {
            break;
        }
        items.push(item);
    }
    Ok(items)
}

pub(super) fn ack(db: &Connection, device: DeviceId, upto_seq: u64) -> rusqlite::Result<()> {
    let head = db
        .prepare_cached("SELECT device_no, head_seq FROM device WHERE device = ?1")?
        .query_row([device.0], |row| Ok((row.get("device_no")?, unsigned(row, "head_seq")?)))
        .optional()?;
    match head {
        Some((device_no, head_seq)) => forget_upto(db, device_no, stored(upto_seq.min(head_seq))),
        None => Ok(()),
    }
}

/// Forgets the oldest part of a mailbox and moves the floor up to it. Idempotent; never moves down.
pub(super) fn forget_upto(db: &Connection, device_no: i64, upto_seq: i64) -> rusqlite::Result<()> {
    let (messages, size_bytes): (i64, i64) = db
        .prepare_cached(
            "SELECT count(*) AS messages, ifnull(sum(length(sealed)), 0) AS size_bytes
             FROM envelope WHERE device_no = ?1 AND seq <= ?2",
        )?
        .query_row((device_no, upto_seq), |row| Ok((row.get("messages")?, row.get("size_bytes")?)))?;
    if messages > 0 {
        db.prepare_cached("DELETE FROM envelope WHERE device_no = ?1 AND seq <= ?2")?.execute((device_no, upto_seq))?;
    }
    db.prepare_cached(
        "UPDATE device
         SET acked_seq = max(acked_seq, ?2), messages = messages - ?3, size_bytes = size_bytes - ?4
         WHERE device_no = ?1",
    )?
    .execute((device_no, upto_seq, messages, size_bytes))?;
    Ok(())
}

/// The number of a device that is there and not removed.
pub(super) fn present(db: &Connection, device: DeviceId) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT device_no FROM device WHERE device = ?1 AND removed_at_ms IS NULL")?
        .query_row([device.0], |row| row.get("device_no"))
        .optional()
}

fn read_item(row: &Row<'_>, to: DeviceId) -> rusqlite::Result<Item> {
    Ok(Item {
        seq: unsigned(row, "seq")?,
        accepted_at_ms: unsigned(row, "accepted_at_ms")?,
        envelope: Envelope {
            to,
            uid: Uid(row.get("uid")?),
            conversation: ConversationId(row.get("conversation")?),
            generation: row.get("generation")?,
            epoch: unsigned(row, "epoch")?,
            kind: kind_of(row.get("kind")?),
            urgent: row.get("urgent")?,
            ttl_s: row.get("ttl_s")?,
            sealed: row.get("sealed")?,
            pass: None,
        },
    })
}

fn kind_number(kind: EnvelopeKind) -> i64 {
    match kind {
        EnvelopeKind::Message => 1,
        EnvelopeKind::Welcome => 2,
        EnvelopeKind::Commit => 3,
    }
}

fn kind_of(number: i64) -> EnvelopeKind {
    match number {
        2 => EnvelopeKind::Welcome,
        3 => EnvelopeKind::Commit,
        _ => EnvelopeKind::Message,
    }
}
