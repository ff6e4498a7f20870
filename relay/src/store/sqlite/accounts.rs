//! Accounts, their logs and their devices.

use comptoir_sqlcipher::rusqlite::{self, Connection, OptionalExtension, Row};
use comptoir_wire::{AccountId, DeviceId, LogSlice, NewAccount, NextKey, SignedEntry};

use super::{stored, unsigned};
use crate::store::{Appended, Created, Device, LogHead, Removed};

pub(super) fn create(
    db: &Connection,
    account: AccountId,
    new: &NewAccount,
    devices_max: u32,
) -> rusqlite::Result<Created> {
    let found = db
        .prepare_cached(
            "SELECT account_no, genesis = ?2 AND first_log_key = ?3 AND recovery_hash = ?4 AS same
             FROM account WHERE account = ?1",
        )?
        .query_row((account.0, &new.genesis, new.log_key, new.recovery_hash), |row| {
            Ok((row.get("account_no")?, row.get::<_, bool>("same")?))
        })
        .optional()?;
    let account_no = match found {
        // A retry may come after the log grew: what was created is its beginning.
        Some((account_no, true)) => {
            let log = entries(db, account_no, 0)?;
            return if log.starts_with(&new.entries) && has_device(db, account_no, new)? {
                Ok(Created::Done)
            } else {
                Ok(Created::Conflict)
            };
        }
        Some((_, false)) => return Ok(Created::Conflict),
        None if device(db, new.device)?.is_some() => return Ok(Created::Conflict),
        None => db
            .prepare_cached(
                "INSERT INTO account (account, genesis, first_log_key, log_key, recovery_hash, log_len)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING account_no",
            )?
            .query_row(
                (
                    account.0,
                    &new.genesis,
                    new.log_key,
                    new.entries.iter().rev().find_map(next_key).unwrap_or(new.log_key),
                    new.recovery_hash,
                    stored(new.entries.len() as u64),
                ),
                |row| row.get("account_no"),
            )?,
    };
    for (n, signed) in new.entries.iter().enumerate() {
        insert_entry(db, account_no, n as u64, signed)?;
    }
    insert_device(db, account_no, new.device, new.device_key, devices_max)
}

pub(super) fn device(db: &Connection, device: DeviceId) -> rusqlite::Result<Option<Device>> {
    db.prepare_cached(
        "SELECT account, device_key, removed_at_ms IS NOT NULL AS removed
         FROM device JOIN account USING (account_no) WHERE device = ?1",
    )?
    .query_row([device.0], |row| {
        Ok(Device {
            account: AccountId(row.get("account")?),
            device_key: row.get("device_key")?,
            removed: row.get("removed")?,
        })
    })
    .optional()
}

pub(super) fn add_device(
    db: &Connection,
    account: AccountId,
    added: DeviceId,
    device_key: [u8; 32],
    devices_max: u32,
) -> rusqlite::Result<Created> {
    match device(db, added)? {
        Some(found) if found == (Device { account, device_key, removed: false }) => Ok(Created::Done),
        Some(_) => Ok(Created::Conflict),
        None => match account_no(db, account)? {
            Some(account_no) => insert_device(db, account_no, added, device_key, devices_max),
            None => Ok(Created::Conflict),
        },
    }
}

pub(super) fn remove_device(
    db: &Connection,
    account: AccountId,
    device: DeviceId,
    now_ms: i64,
) -> rusqlite::Result<Removed> {
    let found: Option<i64> = db
        .prepare_cached(
            "SELECT device_no FROM device JOIN account USING (account_no) WHERE device = ?1 AND account = ?2",
        )?
        .query_row((device.0, account.0), |row| row.get("device_no"))
        .optional()?;
    let Some(device_no) = found else {
        return Ok(Removed::NotFound);
    };
    // What it has seen fades by itself.
    for forget in ["DELETE FROM envelope WHERE device_no = ?1", "DELETE FROM key_package WHERE device_no = ?1"] {
        db.prepare_cached(forget)?.execute([device_no])?;
    }
    db.prepare_cached(
        "UPDATE device
         SET removed_at_ms = ifnull(removed_at_ms, ?2), messages = 0, size_bytes = 0, last_resort = NULL,
             push_endpoint = NULL, wake_up = 0, knock_at_ms = NULL, knocks = 0, owed_at_ms = NULL, trying = 0
         WHERE device_no = ?1",
    )?
    .execute((device_no, now_ms))?;
    Ok(Removed::Done)
}

pub(super) fn log_head(db: &Connection, account: AccountId) -> rusqlite::Result<Option<LogHead>> {
    db.prepare_cached("SELECT log_len, log_key, recovery_hash FROM account WHERE account = ?1")?
        .query_row([account.0], |row| {
            Ok(LogHead {
                len: unsigned(row, "log_len")?,
                log_key: row.get("log_key")?,
                recovery_hash: row.get("recovery_hash")?,
            })
        })
        .optional()
}

pub(super) fn append_log(
    db: &Connection,
    account: AccountId,
    expected_len: u64,
    signed: &SignedEntry,
) -> rusqlite::Result<Option<Appended>> {
    let (Some(head), Some(account_no)) = (log_head(db, account)?, account_no(db, account)?) else {
        return Ok(None);
    };
    if head.len != expected_len {
        // The same entry at the same place again: its answer was lost.
        let appended = expected_len < head.len && entry_at(db, account_no, expected_len)?.as_ref() == Some(signed);
        return Ok(Some(Appended { appended, len: head.len }));
    }
    insert_entry(db, account_no, head.len, signed)?;
    db.prepare_cached("UPDATE account SET log_len = log_len + 1, log_key = ifnull(?2, log_key) WHERE account_no = ?1")?
        .execute((account_no, next_key(signed)))?;
    Ok(Some(Appended { appended: true, len: head.len + 1 }))
}

pub(super) fn read_log(db: &Connection, account: AccountId, from: u64) -> rusqlite::Result<Option<LogSlice>> {
    let found = db
        .prepare_cached("SELECT account_no, genesis FROM account WHERE account = ?1")?
        .query_row([account.0], |row| Ok((row.get::<_, i64>("account_no")?, row.get("genesis")?)))
        .optional()?;
    let Some((account_no, genesis)) = found else {
        return Ok(None);
    };
    // The length is counted from the entries that were read: a log that grows meanwhile is only seen whole.
    let from = from.min(i64::MAX.cast_unsigned());
    let entries = entries(db, account_no, from)?;
    let len = match entries.len() as u64 {
        0 => log_head(db, account)?.map_or(0, |head| head.len),
        read => from + read,
    };
    Ok(Some(LogSlice { genesis: if from == 0 { genesis } else { Vec::new() }, from, entries, len }))
}

fn account_no(db: &Connection, account: AccountId) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT account_no FROM account WHERE account = ?1")?
        .query_row([account.0], |row| row.get("account_no"))
        .optional()
}

fn has_device(db: &Connection, account_no: i64, new: &NewAccount) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT count(*) AS found FROM device
         WHERE device = ?1 AND account_no = ?2 AND device_key = ?3 AND removed_at_ms IS NULL",
    )?
    .query_row((new.device.0, account_no, new.device_key), |row| row.get("found"))
}

fn insert_device(
    db: &Connection,
    account_no: i64,
    device: DeviceId,
    device_key: [u8; 32],
    devices_max: u32,
) -> rusqlite::Result<Created> {
    let devices: u32 = db
        .prepare_cached("SELECT count(*) AS devices FROM device WHERE account_no = ?1 AND removed_at_ms IS NULL")?
        .query_row([account_no], |row| row.get("devices"))?;
    if devices >= devices_max {
        return Ok(Created::TooMany);
    }
    db.prepare_cached("INSERT INTO device (device, account_no, device_key) VALUES (?1, ?2, ?3)")?
        .execute((device.0, account_no, device_key))?;
    Ok(Created::Done)
}

fn insert_entry(db: &Connection, account_no: i64, n: u64, signed: &SignedEntry) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO log_entry (account_no, n, entry, signature, signer, next_key, next_key_signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        account_no,
        stored(n),
        &signed.entry,
        signed.signature,
        signed.signer,
        next_key(signed),
        signed.next_key.as_ref().map(|next| next.signature),
    ))?;
    Ok(())
}

fn next_key(signed: &SignedEntry) -> Option<[u8; 32]> {
    signed.next_key.as_ref().map(|next| next.key)
}

fn entries(db: &Connection, account_no: i64, from: u64) -> rusqlite::Result<Vec<SignedEntry>> {
    db.prepare_cached(
        "SELECT entry, signature, signer, next_key, next_key_signature
         FROM log_entry WHERE account_no = ?1 AND n >= ?2 ORDER BY n",
    )?
    .query_map((account_no, stored(from)), read_entry)?
    .collect()
}

fn entry_at(db: &Connection, account_no: i64, n: u64) -> rusqlite::Result<Option<SignedEntry>> {
    db.prepare_cached(
        "SELECT entry, signature, signer, next_key, next_key_signature
         FROM log_entry WHERE account_no = ?1 AND n = ?2",
    )?
    .query_row((account_no, stored(n)), read_entry)
    .optional()
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<SignedEntry> {
    let next_key: Option<[u8; 32]> = row.get("next_key")?;
    let next_key_signature: Option<[u8; 64]> = row.get("next_key_signature")?;
    Ok(SignedEntry {
        entry: row.get("entry")?,
        signature: row.get("signature")?,
        signer: row.get("signer")?,
        next_key: next_key.zip(next_key_signature).map(|(key, signature)| NextKey { key, signature }),
    })
}
