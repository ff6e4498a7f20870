//! Key packages: each one-time package is given at most once, ever; the last resort may be given again and says so.

use comptoir_sqlcipher::rusqlite::{self, Connection, OptionalExtension};
use comptoir_wire::{Claimed, DeviceId};
use ring::digest::{SHA256, digest};

use super::mailbox::present;

pub(super) fn publish(
    db: &Connection,
    device: DeviceId,
    packages: &[Vec<u8>],
    last_resort: Option<&[u8]>,
    max: u32,
) -> rusqlite::Result<Option<u32>> {
    let Some(device_no) = present(db, device)? else {
        return Ok(None);
    };
    for package in packages {
        // A package that was given keeps its hash here, so publishing it again is silently nothing.
        db.prepare_cached(
            "INSERT INTO key_package (device_no, hash, package) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute((device_no, &digest(&SHA256, package).as_ref()[..16], package))?;
    }
    // The newest live longest: the oldest make room.
    db.prepare_cached(
        "UPDATE key_package SET package = NULL WHERE package_no IN (
            SELECT package_no FROM key_package WHERE device_no = ?1 AND package IS NOT NULL
            ORDER BY package_no DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute((device_no, max))?;
    if let Some(last_resort) = last_resort {
        db.prepare_cached("UPDATE device SET last_resort = ?2 WHERE device_no = ?1")?
            .execute((device_no, last_resort))?;
    }
    left(db, device_no).map(Some)
}

pub(super) fn claim(db: &Connection, device: DeviceId) -> rusqlite::Result<Claimed> {
    let Some(device_no) = present(db, device)? else {
        return Ok(Claimed::None);
    };
    let oldest = db
        .prepare_cached(
            "SELECT package_no, package FROM key_package
             WHERE device_no = ?1 AND package IS NOT NULL ORDER BY package_no LIMIT 1",
        )?
        .query_row([device_no], |row| Ok((row.get::<_, i64>("package_no")?, row.get("package")?)))
        .optional()?;
    if let Some((package_no, package)) = oldest {
        db.prepare_cached("UPDATE key_package SET package = NULL WHERE package_no = ?1")?.execute([package_no])?;
        return Ok(Claimed::Fresh(package));
    }
    let last_resort = db
        .prepare_cached("SELECT last_resort FROM device WHERE device_no = ?1")?
        .query_row([device_no], |row| row.get::<_, Option<Vec<u8>>>("last_resort"))?;
    Ok(last_resort.map_or(Claimed::None, Claimed::LastResort))
}

/// One-time packages that can still be given.
pub(super) fn left(db: &Connection, device_no: i64) -> rusqlite::Result<u32> {
    db.prepare_cached("SELECT count(*) AS packages FROM key_package WHERE device_no = ?1 AND package IS NOT NULL")?
        .query_row([device_no], |row| row.get("packages"))
}
