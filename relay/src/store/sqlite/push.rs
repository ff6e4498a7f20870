//! Where to knock for a device, and the one wake-up that it may be owed. The state of it is the column `wake_up`:
//!
//! ```text
//!   away ── urgent envelope ──▶ owed ── taken, refused ──▶ sent
//!    ▲ ▲                         │                          │
//!    │ └──────── given up ───────┤      it connects         │
//!    └── it leaves ── here ◀─────┴──────────────────────────┘
//! ```

use comptoir_sqlcipher::rusqlite::{self, Connection};
use comptoir_wire::{DeviceId, PushEndpoint};

use super::mailbox::present;
use super::{stored, unsigned};
use crate::store::{ABSENCE_MS, DueWakeUps, Knocked, WakeUp};

pub(super) const AWAY: i64 = 0;
pub(super) const HERE: i64 = 1;
pub(super) const OWED: i64 = 2;
pub(super) const SENT: i64 = 3;

/// Of devices that are here: they are away from now on, and owed a wake-up at `?1` for what they left behind.
const GO: &str = "UPDATE device SET knocks = 0, knock_at_ms = ?1, wake_up = CASE
         WHEN push_endpoint IS NOT NULL AND EXISTS (
            SELECT 1 FROM envelope WHERE envelope.device_no = device.device_no AND urgent) THEN 2 ELSE 0 END
     WHERE wake_up = 1";

/// At the start nobody is connected, whatever was written before. Who does not come back by itself in time is knocked for
/// what was left behind.
pub(super) fn nobody_is_here(db: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    db.execute(GO, [now_ms.saturating_add(ABSENCE_MS)]).map(drop)
}

pub(super) fn leave(db: &Connection, device: DeviceId, visit: u64, knock_at_ms: i64) -> rusqlite::Result<()> {
    db.prepare_cached(&format!("{GO} AND device = ?2 AND visits = ?3"))?
        .execute((knock_at_ms, device.0, stored(visit)))
        .map(drop)
}

pub(super) fn set(db: &Connection, device: DeviceId, endpoint: Option<&PushEndpoint>) -> rusqlite::Result<bool> {
    let Some(device_no) = present(db, device)? else {
        return Ok(false);
    };
    db.prepare_cached(
        "UPDATE device SET push_endpoint = ?2, wake_up = CASE WHEN wake_up = ?3 AND ?2 IS NULL THEN ?4 ELSE wake_up END
         WHERE device_no = ?1",
    )?
    .execute((device_no, endpoint.map(PushEndpoint::as_str), OWED, AWAY))?;
    Ok(true)
}

/// When the next wake-up is due.
pub(super) fn next(db: &Connection) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT min(knock_at_ms) AS next FROM device WHERE wake_up = 2")?
        .query_row([], |row| row.get("next"))
}

pub(super) fn take_due(db: &Connection, now_ms: i64, again_at_ms: i64, max: u32) -> rusqlite::Result<DueWakeUps> {
    let due = {
        let mut select = db.prepare_cached(
            "SELECT device_no, device, push_endpoint, visits, knocks FROM device
             WHERE wake_up = 2 AND knock_at_ms <= ?1 ORDER BY knock_at_ms, device_no LIMIT ?2",
        )?;
        let rows = select.query_map((now_ms, max), |row| {
            let endpoint: Option<String> = row.get("push_endpoint")?;
            let wake_up = endpoint.and_then(|endpoint| PushEndpoint::new(endpoint).ok()).map(|endpoint| {
                Ok::<_, rusqlite::Error>(WakeUp {
                    device: DeviceId(row.get("device")?),
                    endpoint,
                    visit: unsigned(row, "visits")?,
                    knocks: row.get::<_, u32>("knocks")?.saturating_add(1),
                })
            });
            Ok((row.get::<_, i64>("device_no")?, wake_up.transpose()?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()?
    };
    let mut now = Vec::with_capacity(due.len());
    for (device_no, wake_up) in due {
        let (state, knocks) = wake_up.as_ref().map_or((AWAY, 0), |wake_up| (OWED, wake_up.knocks));
        db.prepare_cached("UPDATE device SET wake_up = ?2, knocks = ?3, knock_at_ms = ?4 WHERE device_no = ?1")?
            .execute((device_no, state, knocks, again_at_ms))?;
        now.extend(wake_up);
    }
    Ok(DueWakeUps { now, next_at_ms: next(db)? })
}

pub(super) fn knocked(db: &Connection, wake_up: &WakeUp, knocked: Knocked) -> rusqlite::Result<()> {
    let (state, at_ms) = match knocked {
        Knocked::Done => (SENT, None),
        Knocked::Again { at_ms } => (OWED, Some(at_ms)),
        Knocked::GivenUp | Knocked::Gone => (AWAY, None),
    };
    db.prepare_cached(
        "UPDATE device
         SET wake_up = ?5, knock_at_ms = ?6, knocks = CASE WHEN ?5 = ?4 THEN knocks ELSE 0 END
         WHERE device = ?1 AND visits = ?2 AND push_endpoint = ?3 AND wake_up = ?4",
    )?
    .execute((wake_up.device.0, stored(wake_up.visit), wake_up.endpoint.as_str(), OWED, state, at_ms))?;
    if knocked == Knocked::Gone {
        db.prepare_cached("UPDATE device SET push_endpoint = NULL WHERE device = ?1 AND push_endpoint = ?2")?
            .execute((wake_up.device.0, wake_up.endpoint.as_str()))?;
    }
    Ok(())
}
