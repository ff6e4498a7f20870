//! Where to knock for a device, and the one wake-up that it may be owed. The state of it is the column `wake_up`:
//!
//! ```text
//!   away ── urgent envelope ──▶ owed ◀── urgent, an hour later ── sent
//!    ▲ ▲                        │  └── taken, refused ───────────▶ │
//!    │ └──────── given up ──────┤                                  │
//!    │                          │   it connects                    │
//!    └── it leaves ── here ◀────┴──────────────────────────────────┘
//! ```

use comptoir_sqlcipher::rusqlite::{self, Connection, Row};
use comptoir_wire::{DeviceId, PushEndpoint};

use super::mailbox::present;
use super::{stored, unsigned};
use crate::store::{ABSENCE_MS, AHEAD_MS_MAX, DueWakeUps, Knocked, REMIND_MS, WakeUp};

pub(super) const AWAY: i64 = 0;
pub(super) const HERE: i64 = 1;
pub(super) const OWED: i64 = 2;
pub(super) const SENT: i64 = 3;

/// The wake-up of a device, as it stands in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: i64,
    /// When to knock, and once it was sent, when that was.
    pub(super) knock_at_ms: Option<i64>,
    /// Since when it is worth trying. A time to come while the device may still come back by itself.
    pub(super) owed_at_ms: Option<i64>,
}

impl Standing {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (knock_at_ms, owed_at_ms) = (row.get("knock_at_ms")?, row.get("owed_at_ms")?);
        Ok(Self { state: row.get("wake_up")?, knock_at_ms, owed_at_ms })
    }

    pub(super) fn write(self, db: &Connection, device_no: i64) -> rusqlite::Result<()> {
        db.prepare_cached("UPDATE device SET wake_up = ?2, knock_at_ms = ?3, owed_at_ms = ?4 WHERE device_no = ?1")?
            .execute((device_no, self.state, self.knock_at_ms, self.owed_at_ms))
            .map(drop)
    }

    /// Something urgent came for a device that can be woken.
    pub(super) fn after_an_urgent_one(self, now_ms: i64, within_ms: u64) -> Self {
        let knock_at_ms = now_ms.saturating_add_unsigned(crate::below(within_ms));
        let owed = Self { state: OWED, knock_at_ms: Some(knock_at_ms), owed_at_ms: Some(now_ms) };
        match self {
            Self { state: AWAY, .. } => owed,
            // It brought nobody. The push service may have lost it, or refused it for a reason that is over.
            Self { state: SENT, knock_at_ms: sent_at_ms, .. }
                if sent_at_ms.is_none_or(|sent_at_ms| now_ms.abs_diff(sent_at_ms) >= REMIND_MS.unsigned_abs()) =>
            {
                owed
            }
            // Owed for what was left behind: this one does not wait as that one may.
            Self { state: OWED, owed_at_ms, .. } if owed_at_ms.is_none_or(|owed_at_ms| owed_at_ms > now_ms) => owed,
            // However long it has been tried: it is worth trying for this one too.
            Self { state: OWED, .. } => Self { owed_at_ms: Some(now_ms), ..self },
            Self { .. } => self,
        }
    }
}

/// At the start nobody is connected, whatever was written before. Who does not come back by itself in time is knocked for
/// what was left behind. What was being tried when the relay fell is tried again: whether anybody was woken is not known.
pub(super) fn nobody_is_here(db: &mut Connection, now_ms: i64, within_ms: u64) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    for device_no in tried(&tx)? {
        tx.prepare_cached("UPDATE device SET knock_at_ms = ?2, trying = 0 WHERE device_no = ?1")?
            .execute((device_no, now_ms.saturating_add_unsigned(crate::below(within_ms))))?;
    }
    for (device, visit) in here(&tx)? {
        leave(&tx, device, visit, now_ms.saturating_add(ABSENCE_MS), within_ms)?;
    }
    tx.commit()
}

/// The numbers of the devices that were being knocked for.
fn tried(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached("SELECT device_no FROM device WHERE wake_up = 2 AND trying = 1")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Devices that are marked as connected, and on which visit.
pub(super) fn here(db: &Connection) -> rusqlite::Result<Vec<(DeviceId, u64)>> {
    db.prepare_cached("SELECT device, visits FROM device WHERE wake_up = 1")?
        .query_map([], |row| Ok((DeviceId(row.get("device")?), unsigned(row, "visits")?)))?
        .collect()
}

/// A device that is here is away from now on, and owed a wake-up at `owed_at_ms` for what it left behind.
pub(super) fn leave(
    db: &Connection,
    device: DeviceId,
    visit: u64,
    owed_at_ms: i64,
    within_ms: u64,
) -> rusqlite::Result<()> {
    let knock_at_ms = owed_at_ms.saturating_add_unsigned(crate::below(within_ms));
    db.prepare_cached(
        "UPDATE device SET knocks = 0, knock_at_ms = ?3, owed_at_ms = ?4, trying = 0, wake_up = CASE
             WHEN push_endpoint IS NOT NULL AND EXISTS (
                SELECT 1 FROM envelope WHERE envelope.device_no = device.device_no AND urgent) THEN 2 ELSE 0 END
         WHERE device = ?1 AND visits = ?2 AND wake_up = 1",
    )?
    .execute((device.0, stored(visit), knock_at_ms, owed_at_ms))
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
pub(super) fn next(db: &Connection, now_ms: i64) -> rusqlite::Result<Option<i64>> {
    let edge = |which: &str| {
        db.prepare_cached(&format!("SELECT {which}(knock_at_ms) AS edge FROM device WHERE wake_up = 2"))?
            .query_row([], |row| row.get::<_, Option<i64>>("edge"))
    };
    let is_lost = edge("max")?.is_some_and(|last_ms| last_ms > now_ms.saturating_add(AHEAD_MS_MAX));
    if is_lost { Ok(Some(now_ms)) } else { edge("min") }
}

pub(super) fn take_due(db: &Connection, now_ms: i64, again_at_ms: i64, max: u32) -> rusqlite::Result<DueWakeUps> {
    db.prepare_cached("UPDATE device SET knock_at_ms = ?1 WHERE wake_up = 2 AND knock_at_ms > ?2")?
        .execute((now_ms, now_ms.saturating_add(AHEAD_MS_MAX)))?;
    let due = {
        let mut select = db.prepare_cached(
            "SELECT device_no, device, push_endpoint, visits, knocks, owed_at_ms FROM device
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
                    owed_at_ms: row.get::<_, Option<i64>>("owed_at_ms")?.unwrap_or(now_ms),
                })
            });
            Ok((row.get::<_, i64>("device_no")?, wake_up.transpose()?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()?
    };
    let mut now = Vec::with_capacity(due.len());
    for (device_no, wake_up) in due {
        let (state, knocks) = wake_up.as_ref().map_or((AWAY, 0), |wake_up| (OWED, wake_up.knocks));
        db.prepare_cached(
            "UPDATE device SET wake_up = ?2, knocks = ?3, knock_at_ms = ?4, trying = ?5 WHERE device_no = ?1",
        )?
        .execute((device_no, state, knocks, again_at_ms, state == OWED))?;
        now.extend(wake_up);
    }
    Ok(DueWakeUps { now, next_at_ms: next(db, now_ms)? })
}

pub(super) fn knocked(db: &Connection, wake_up: &WakeUp, knocked: Knocked) -> rusqlite::Result<()> {
    let (state, at_ms, not_tried) = match knocked {
        Knocked::Done { at_ms } => (SENT, Some(at_ms), 0),
        Knocked::Again { at_ms } => (OWED, Some(at_ms), 0),
        // It was counted when it was handed out.
        Knocked::PutOff { at_ms } => (OWED, Some(at_ms), 1),
        Knocked::GivenUp | Knocked::Gone => (AWAY, None, 0),
    };
    db.prepare_cached(
        "UPDATE device
         SET wake_up = ?5, knock_at_ms = ?6, trying = 0, knocks = CASE WHEN ?5 = ?4 THEN max(knocks - ?7, 0) ELSE 0 END
         WHERE device = ?1 AND visits = ?2 AND push_endpoint = ?3 AND wake_up = ?4",
    )?
    .execute((
        wake_up.device.0,
        stored(wake_up.visit),
        wake_up.endpoint.as_str(),
        OWED,
        state,
        at_ms,
        not_tried,
    ))?;
    if knocked == Knocked::Gone {
        db.prepare_cached("UPDATE device SET push_endpoint = NULL WHERE device = ?1 AND push_endpoint = ?2")?
            .execute((wake_up.device.0, wake_up.endpoint.as_str()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;
    const WITHIN_MS: u64 = 3_000;

    /// When to knock, in many cases of the same.
    fn times(standing: Standing) -> BTreeSet<i64> {
        let after = |_| standing.after_an_urgent_one(NOW_MS, WITHIN_MS).knock_at_ms.unwrap();
        (0..100).map(after).collect()
    }

    #[test]
    fn devices_that_got_something_together_are_not_woken_together() {
        for (state, at_ms) in [(AWAY, None), (OWED, Some(NOW_MS + ABSENCE_MS)), (SENT, Some(NOW_MS - REMIND_MS))] {
            let times = times(Standing { state, knock_at_ms: at_ms, owed_at_ms: at_ms });
            assert!(times.len() > 10, "{times:?}");
            let within = NOW_MS..NOW_MS.saturating_add_unsigned(WITHIN_MS);
            assert!(times.iter().all(|at_ms| within.contains(at_ms)), "{times:?}");
        }
        let tried = Standing { state: OWED, knock_at_ms: Some(NOW_MS + 60_000), owed_at_ms: Some(NOW_MS - 1) };
        assert_eq!(times(tried), [NOW_MS + 60_000].into());
    }
}
