//! The power is cut at every operation, the disk fails at every operation, the room runs out: what was committed is there
//! afterwards, whole, and what was not committed is there whole or not at all.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in a test, what is not expected is a failure")]

use std::path::Path;

use comptoir_sqlcipher::faults::{Disk, Fault};
use comptoir_sqlcipher::rusqlite::{Connection, ErrorCode, Result};
use comptoir_sqlcipher::{Access, DatabaseKey, open_encrypted, open_plain};

const ROWS: i64 = 14;

/// A client's database, or a relay's.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Encrypted,
    Plain,
}

impl Kind {
    fn open(self, dir: &Path) -> std::result::Result<Connection, comptoir_sqlcipher::OpenError> {
        let path = dir.join("it.db");
        match self {
            Self::Encrypted => open_encrypted(&path, &DatabaseKey::from_bytes([7; DatabaseKey::LEN]), Access::Write),
            Self::Plain => open_plain(&path, Access::Write),
        }
    }
}

/// What stands in row `n`: some fit into a page, some take several.
fn body(n: i64) -> Vec<u8> {
    vec![u8::try_from(n).unwrap(); usize::try_from(300 + (n % 5) * 3_000).unwrap()]
}

/// Writes rows one by one until something fails. Says how many were committed for certain.
fn write(db: &Connection, from: i64) -> (i64, Result<()>) {
    let mut committed = from;
    let mut work = || -> Result<()> {
        db.execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")?;
        // The log is written back often, so that the power is cut in the middle of that as well.
        db.execute_batch("PRAGMA wal_autocheckpoint = 6")?;
        for n in from..ROWS {
            db.execute("INSERT INTO t VALUES (?1, ?2)", (n, body(n)))?;
            committed = n + 1;
        }
        Ok(())
    };
    let done = work();
    (committed, done)
}

/// Everything up to `committed` is there, at most one row more, and all of it whole.
fn check(db: &Connection, kind: Kind, committed: i64, what: &str) -> i64 {
    let integrity: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok", "{what}");
    // It looks at the file itself, which may hold a page by half that is whole in the log.
    let written_back = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    if matches!(kind, Kind::Encrypted) && written_back == Ok(0) {
        let mut pages = db.prepare("PRAGMA cipher_integrity_check").unwrap();
        assert!(!pages.exists([]).unwrap(), "{what}: a page is damaged");
    }
    let there: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 't'", [], |row| row.get(0))
        .and_then(|tables: i64| match tables {
            0 => Ok(0),
            _ => db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)),
        })
        .unwrap();
    assert!((committed..=committed + 1).contains(&there), "{what}: {committed} committed, {there} there");
    for n in 0..there {
        let found: Vec<u8> = db.query_row("SELECT body FROM t WHERE n = ?1", [n], |row| row.get(0)).unwrap();
        assert_eq!(found, body(n), "{what}: row {n}");
    }
    there
}

/// Operations of a run in which nothing fails.
fn operations(kind: Kind) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::below(dir.path());
    let db = kind.open(dir.path()).unwrap();
    assert_eq!(write(&db, 0).0, ROWS);
    drop(db);
    disk.operations()
}

fn power_cut(kind: Kind) {
    let operations = operations(kind);
    assert!(operations > 100, "only {operations} places to cut at");
    for at in 1..=operations {
        for seed in 0..3 {
            let what = format!("{kind:?}, cut at {at} of {operations}, seed {seed}");
            let dir = tempfile::tempdir().unwrap();
            let disk = Disk::below(dir.path());
            disk.cut_at(at);
            let committed = kind.open(dir.path()).map_or(0, |db| write(&db, 0).0);
            assert!(disk.is_dead(), "{what}");
            disk.comes_back(seed);
            let db = kind.open(dir.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let there = check(&db, kind, committed, &what);
            // And it goes on.
            assert_eq!(write(&db, there).0, ROWS, "{what}");
        }
    }
}

#[test]
fn what_a_client_committed_survives_a_power_cut_anywhere() {
    power_cut(Kind::Encrypted);
}

#[test]
fn what_a_relay_committed_survives_a_power_cut_anywhere() {
    power_cut(Kind::Plain);
}

/// With commits that are not synced the same cuts lose what was committed: this is what the test can see.
#[test]
fn without_syncing_something_committed_is_lost() {
    let kind = Kind::Encrypted;
    let mut lost = 0;
    for at in (20..operations(kind) / 2).step_by(3) {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::below(dir.path());
        disk.cut_at(at);
        let committed = kind
            .open(dir.path())
            .map_or(0, |db| db.execute_batch("PRAGMA synchronous = OFF").map_or(0, |()| write(&db, 0).0));
        disk.comes_back(at);
        let there: Option<i64> =
            kind.open(dir.path()).ok().and_then(|db| db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).ok());
        lost += u32::from(disk_lost(committed, there));
    }
    assert!(lost > 5, "only {lost} cuts lost anything");
}

fn disk_lost(committed: i64, there: Option<i64>) -> bool {
    committed > there.unwrap_or(0)
}

#[test]
fn a_disk_that_fails_anywhere_is_an_error_and_loses_nothing() {
    for kind in [Kind::Encrypted, Kind::Plain] {
        for fault in [Fault::Io, Fault::Full] {
            for at in 1..=operations(kind) {
                let what = format!("{kind:?}, {fault:?} at {at}");
                let dir = tempfile::tempdir().unwrap();
                let disk = Disk::below(dir.path());
                disk.fail_at(at, fault);
                let committed = match kind.open(dir.path()) {
                    Err(_) => 0,
                    Ok(db) => {
                        let (committed, done) = write(&db, 0);
                        if let Err(error) = done {
                            let code = error.sqlite_error_code();
                            let named = matches!(
                                code,
                                Some(ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::CannotOpen)
                            );
                            assert!(named, "{what}: {error:?}");
                        }
                        committed
                    }
                };
                let db = kind.open(dir.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
                let there = check(&db, kind, committed, &what);
                assert_eq!(write(&db, there).0, ROWS, "{what}");
            }
        }
    }
}

#[test]
fn a_disk_that_is_full_can_be_read_and_goes_on_when_there_is_room() {
    for kind in [Kind::Encrypted, Kind::Plain] {
        for room in (0..120_000).step_by(7_919) {
            let what = format!("{kind:?}, room for {room} bytes");
            let dir = tempfile::tempdir().unwrap();
            let disk = Disk::below(dir.path());
            let db = kind.open(dir.path()).unwrap();
            disk.room(Some(room));
            let (committed, done) = write(&db, 0);
            if let Err(error) = done {
                assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DiskFull), "{what}: {error:?}");
                let there = check(&db, kind, committed, &what);
                assert_eq!(there, committed, "{what}");
            }
            disk.room(None);
            assert_eq!(write(&db, committed).0, ROWS, "{what}");
            check(&db, kind, ROWS, &what);
        }
    }
}
