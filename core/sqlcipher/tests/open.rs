//! What opening promises: the right provider, a wrong key that harms nothing, a plain file for the relay.

use comptoir_sqlcipher::{Access, DatabaseKey, OpenError, PROVIDER_NAME, open_encrypted, open_plain};

fn key(n: u8) -> DatabaseKey {
    DatabaseKey::from_bytes([n; DatabaseKey::LEN])
}

#[test]
fn our_provider_ciphers_and_the_file_shows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let db = open_encrypted(&path, &key(1), Access::Write).unwrap();
    db.execute_batch("CREATE TABLE note(text TEXT) STRICT; INSERT INTO note VALUES ('croissants at seven')").unwrap();
    let provider: String = db.query_row("PRAGMA cipher_provider", [], |row| row.get(0)).unwrap();
    assert_eq!(provider, PROVIDER_NAME);
    drop(db);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(10).any(|window| window == b"croissants"));
}

#[test]
fn a_wrong_key_is_refused_and_the_file_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let db = open_encrypted(&path, &key(1), Access::Write).unwrap();
    db.execute_batch("CREATE TABLE t(n INTEGER) STRICT").unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();
    for access in [Access::Write, Access::Read] {
        let error = open_encrypted(&path, &key(2), access).unwrap_err();
        assert!(matches!(error, OpenError::WrongKeyOrDamaged { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    open_encrypted(&path, &key(1), Access::Read).unwrap();
}

#[test]
fn a_wrong_key_is_refused_beside_a_live_writer_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let db = open_encrypted(&path, &key(1), Access::Write).unwrap();
    db.execute_batch("CREATE TABLE t(n INTEGER) STRICT; INSERT INTO t VALUES (1)").unwrap();
    let error = open_encrypted(&path, &key(2), Access::Read).unwrap_err();
    assert!(matches!(error, OpenError::WrongKeyOrDamaged { .. }), "{error:?}");
    assert_eq!(db.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn a_flipped_byte_is_detected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let db = open_encrypted(&path, &key(1), Access::Write).unwrap();
    db.execute_batch("CREATE TABLE t(n INTEGER) STRICT; INSERT INTO t VALUES (1)").unwrap();
    drop(db);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + 100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let db = open_encrypted(&path, &key(1), Access::Write).unwrap();
    assert!(db.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)).is_err());
}

#[test]
fn a_reader_does_not_create_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing.db");
    assert!(matches!(open_encrypted(&path, &key(1), Access::Read), Err(OpenError::Io { .. })));
    assert!(!path.exists());
}

#[test]
fn a_reader_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    open_encrypted(&path, &key(1), Access::Write).unwrap().execute_batch("CREATE TABLE t(n INTEGER) STRICT").unwrap();
    let reader = open_encrypted(&path, &key(1), Access::Read).unwrap();
    assert!(reader.execute("INSERT INTO t VALUES (1)", []).is_err());
}

#[test]
fn without_a_key_it_is_an_ordinary_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.db");
    let db = open_plain(&path, Access::Write).unwrap();
    db.execute_batch("CREATE TABLE t(text TEXT) STRICT; INSERT INTO t VALUES ('sealed by others')").unwrap();
    drop(db);
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.windows(16).any(|window| window == b"sealed by others"));
}

#[test]
fn durability_is_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_encrypted(&dir.path().join("a.db"), &key(1), Access::Write).unwrap();
    let pragma = |name: &str| -> String {
        db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(pragma("synchronous"), "Integer(2)");
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    assert_eq!(pragma("foreign_keys"), "Integer(1)");
    assert_eq!(pragma("cipher_memory_security"), "Text(\"0\")");
}
use comptoir_sqlcipher::rusqlite;
