//! The embedded store keeps the contract, and what is its own: the lock, the version, the file.

use comptoir_relay::conformance::{self, RETENTION};
use comptoir_relay::{RelayStore, SqliteStore, StoreError};

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run(async |name| SqliteStore::open(&dir.path().join(name), RETENTION, 0).unwrap()).await;
}

#[tokio::test]
async fn a_database_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(dir.path(), RETENTION, 0);
    let store = open().unwrap();
    assert!(matches!(open(), Err(StoreError::InUse { .. })));
    store.close().await.unwrap();
    open().unwrap();
    open().unwrap(); // dropping releases it too
}

#[tokio::test]
async fn a_database_of_a_newer_relay_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(dir.path(), RETENTION, 0).unwrap());
    let path = dir.path().join("relay.db");
    let db = comptoir_sqlcipher::open_plain(&path, comptoir_sqlcipher::Access::Write).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let refused = SqliteStore::open(dir.path(), RETENTION, 0);
    assert!(matches!(refused, Err(StoreError::TooNew { found: 99, known: 1 })), "{refused:?}");
}

#[tokio::test]
async fn its_incarnation_is_drawn_once() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let incarnation = |n: usize| SqliteStore::open(dirs[n].path(), RETENTION, 0).unwrap().incarnation();
    assert_eq!(incarnation(0), incarnation(0));
    assert_ne!(incarnation(0), incarnation(1));
}

#[tokio::test]
async fn the_file_is_an_ordinary_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), RETENTION, 0).unwrap();
    let file = std::fs::read(dir.path().join("relay.db")).unwrap();
    assert!(file.starts_with(b"SQLite format 3\0"));
    drop(store);
}
