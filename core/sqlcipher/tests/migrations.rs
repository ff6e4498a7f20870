//! A database is brought up to date while the power is cut and the disk fails at every operation: it is of one version or
//! another, never between two, and everything that was in it still is.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "in a test, what is not expected is a failure")]

use std::path::Path;

use comptoir_sqlcipher::faults::{Disk, Fault};
use comptoir_sqlcipher::rusqlite::Connection;
use comptoir_sqlcipher::{Access, DatabaseKey, MigrateError, migrate, migrate_part, open_encrypted, open_plain};

const ROWS: i64 = 40;

/// What migrations do: a table is made, columns come and are filled, a table is made anew because it cannot be altered so.
const MIGRATIONS: [&str; 3] = [
    "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT",
    "ALTER TABLE note ADD COLUMN length INTEGER NOT NULL DEFAULT 0;
     UPDATE note SET length = length(body);
     CREATE INDEX note_length ON note (length)",
    "CREATE TABLE letter (id INTEGER PRIMARY KEY, body TEXT NOT NULL, length INTEGER NOT NULL CHECK (length > 0)) STRICT;
     INSERT INTO letter (id, body, length) SELECT id, body, length FROM note;
     DROP TABLE note",
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Encrypted,
    Plain,
}

impl Kind {
    fn open(self, dir: &Path) -> Result<Connection, comptoir_sqlcipher::OpenError> {
        let path = dir.join("it.db");
        match self {
            Self::Encrypted => open_encrypted(&path, &DatabaseKey::from_bytes([7; DatabaseKey::LEN]), Access::Write),
            Self::Plain => open_plain(&path, Access::Write),
        }
    }
}

fn body(id: i64) -> String {
    format!("letter {id} ").repeat(40)
}

/// A database of version 1, closed.
fn first_version(kind: Kind, dir: &Path) {
    let mut db = kind.open(dir).unwrap();
    migrate(&mut db, &MIGRATIONS[..1]).unwrap();
    for id in 0..ROWS {
        db.execute("INSERT INTO note VALUES (?1, ?2)", (id, body(id))).unwrap();
    }
}

fn version(db: &Connection) -> i64 {
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// Everything that was written at first is there, in the tables of the version that the database says it has.
fn check(db: &Connection, what: &str) {
    let integrity: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok", "{what}");
    let version = version(db);
    let (table, length) = match version {
        1 => ("note", "length(body)"),
        2 => ("note", "length"),
        3 => ("letter", "length"),
        _ => panic!("{what}: version {version}"),
    };
    let tables: Vec<String> = {
        let mut select = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(tables, [table], "{what}: version {version}");
    let mut select = db.prepare(&format!("SELECT id, body, {length} FROM {table} ORDER BY id")).unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(i64, String, i64)> = rows.collect::<Result<_, _>>().unwrap();
    let expected: Vec<_> = (0..ROWS).map(|id| (id, body(id), i64::try_from(body(id).len()).unwrap())).collect();
    assert_eq!(rows, expected, "{what}: version {version}");
}

fn each_operation(kind: Kind, outcomes: u64, breaks: impl Fn(&Disk, u64), mends: impl Fn(&Disk, u64)) {
    let base = tempfile::tempdir().unwrap();
    first_version(kind, base.path());
    let copy = || {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(base.path().join("it.db"), dir.path().join("it.db")).unwrap();
        dir
    };
    let operations = {
        let dir = copy();
        let disk = Disk::below(dir.path());
        migrate(&mut kind.open(dir.path()).unwrap(), &MIGRATIONS).unwrap();
        disk.operations()
    };
    assert!(operations > 20, "only {operations} places to break it at");
    let mut seen = [0; 4];
    for at in 1..=operations {
        for outcome in 0..outcomes {
            let what = format!("{kind:?}, operation {at} of {operations}, outcome {outcome}");
            let dir = copy();
            let disk = Disk::below(dir.path());
            breaks(&disk, at);
            if let Ok(mut db) = kind.open(dir.path()) {
                // It may have failed, or done all but to close.
                let _ = migrate(&mut db, &MIGRATIONS);
            }
            mends(&disk, outcome);
            let mut db = kind.open(dir.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            check(&db, &what);
            seen[usize::try_from(version(&db)).unwrap()] += 1;
            migrate(&mut db, &MIGRATIONS).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            check(&db, &what);
            assert_eq!(version(&db), 3, "{what}");
        }
    }
    assert!(seen[1] > 0 && seen[2] > 0, "it was never broken between two versions: {seen:?}");
}

#[test]
fn a_power_cut_anywhere_leaves_one_version_or_the_other() {
    for kind in [Kind::Encrypted, Kind::Plain] {
        each_operation(kind, 3, |disk, at| disk.cut_at(at), |disk, outcome| disk.comes_back(outcome));
    }
}

#[test]
fn a_disk_that_fails_anywhere_leaves_one_version_or_the_other() {
    for kind in [Kind::Encrypted, Kind::Plain] {
        for fault in [Fault::Io, Fault::Full] {
            each_operation(kind, 1, |disk, at| disk.fail_at(at, fault), |disk, _| disk.fail_at(0, fault));
        }
    }
}

#[test]
fn a_database_of_a_newer_program_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    first_version(Kind::Plain, dir.path());
    let mut db = Kind::Plain.open(dir.path()).unwrap();
    migrate(&mut db, &MIGRATIONS).unwrap();
    let refused = migrate(&mut db, &MIGRATIONS[..2]);
    assert!(matches!(refused, Err(MigrateError::TooNew { found: 3, known: 2 })), "{refused:?}");
    check(&db, "afterwards");
}

#[test]
fn a_part_has_a_version_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = Kind::Plain.open(dir.path()).unwrap();
    migrate(&mut db, &["CREATE TABLE part (version INTEGER NOT NULL) STRICT; INSERT INTO part VALUES (0)"]).unwrap();
    let read = |db: &Connection| db.query_row("SELECT version FROM part", [], |row| row.get(0));
    let write = |db: &Connection, version| db.execute("UPDATE part SET version = ?1", [version]).map(drop);
    migrate_part(&mut db, &MIGRATIONS[..2], read, write).unwrap();
    migrate_part(&mut db, &MIGRATIONS, read, write).unwrap();
    assert_eq!((version(&db), read(&db).unwrap()), (1, 3));
}
