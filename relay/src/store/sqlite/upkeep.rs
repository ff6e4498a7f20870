//! What runs by itself: forgetting what is due, and counting.

use comptoir_sqlcipher::rusqlite::{self, Connection, OptionalExtension};

use super::mailbox::forget_upto;
use super::unsigned;
use crate::store::{Expired, Health};

pub(super) fn expire(db: &Connection, now_ms: i64, keep_ms: i64, rows_max: u32) -> rusqlite::Result<Expired> {
    let mut expired = Expired::default();
    // The oldest part of each mailbox expires first, so the highest number that is due says all of it.
    let due = db
        .prepare_cached(
            "SELECT device_no, max(seq), count(*), sum(length(sealed)) FROM (
                SELECT device_no, seq, sealed FROM envelope WHERE expires_at_ms <= ?1
                ORDER BY expires_at_ms, device_no, seq LIMIT ?2)
             GROUP BY device_no",
        )?
        .query_map((now_ms, rows_max), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, i64, i64, i64)>>>()?;
    for (device_no, seq, messages, bytes) in due {
        forget_upto(db, device_no, seq)?;
        expired.envelopes += messages.cast_unsigned();
        expired.bytes += bytes.cast_unsigned();
    }
    let known_since_ms = now_ms.saturating_sub(keep_ms);
    let mut forgotten = [0, 0];
    for (forgotten, forget) in forgotten.iter_mut().zip([
        "DELETE FROM seen WHERE (uid, device_no) IN (
            SELECT uid, device_no FROM seen WHERE accepted_at_ms <= ?1 LIMIT ?2)",
        "DELETE FROM accepted_commit WHERE (conversation_no, generation, epoch) IN (
            SELECT conversation_no, generation, epoch FROM accepted_commit WHERE accepted_at_ms <= ?1 LIMIT ?2)",
    ]) {
        *forgotten = db.prepare_cached(forget)?.execute((known_since_ms, rows_max))? as u64;
    }
    expired.memories = forgotten.iter().sum();
    let full = u64::from(rows_max);
    expired.more = expired.envelopes >= full || forgotten.iter().any(|rows| *rows >= full);
    Ok(expired)
}

/// Writes one page, so that a disk which takes no more writes is noticed.
pub(super) fn touch(tx: &Connection) -> rusqlite::Result<()> {
    tx.execute("UPDATE relay SET created_at_ms = created_at_ms", []).map(|_| ())
}

pub(super) fn count(db: &Connection) -> rusqlite::Result<Health> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let mut health = Health {
        schema_version: number("user_version")?,
        database_bytes: (number("page_count")? * number("page_size")?).cast_unsigned(),
        ..Health::default()
    };
    health.accounts = db
        .prepare_cached("SELECT count(*) AS accounts FROM account")?
        .query_row([], |row| unsigned(row, "accounts"))?;
    let counted = db
        .prepare_cached(
            "SELECT count(*) AS devices, ifnull(sum(messages), 0) AS messages, ifnull(sum(size_bytes), 0) AS bytes
             FROM device WHERE removed_at_ms IS NULL",
        )?
        .query_row([], |row| Ok((unsigned(row, "devices")?, unsigned(row, "messages")?, unsigned(row, "bytes")?)))
        .optional()?;
    (health.devices, health.messages, health.message_bytes) = counted.unwrap_or_default();
    (health.push_targets, health.wake_ups_owed) = db
        .prepare_cached("SELECT count(push_endpoint) AS targets, ifnull(sum(wake_up = 2), 0) AS owed FROM device")?
        .query_row([], |row| Ok((unsigned(row, "targets")?, unsigned(row, "owed")?)))?;
    Ok(health)
}
