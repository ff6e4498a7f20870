//! Stock SQLCipher, built by others with OpenSSL, reads and writes the same files.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use comptoir_sqlcipher::{Access, DatabaseKey, open_encrypted};

/// Opens `path` with the raw key and our settings, and runs `sql`. Prints the first column of the last statement.
const SCRIPT: &str = r#"
import sys, sqlcipher3
path, key, salt, sql = sys.argv[1:]
db = sqlcipher3.connect(path, isolation_level=None)
db.execute(f"PRAGMA key = \"x'{key}{salt}'\"")
db.execute("PRAGMA cipher_compatibility = 4")
db.execute("PRAGMA cipher_hmac_algorithm = HMAC_SHA256")
db.execute("PRAGMA cipher_plaintext_header_size = 32")
db.execute(f"PRAGMA cipher_salt = \"x'{salt}'\"")
db.execute("PRAGMA journal_mode = WAL").fetchall()
for statement in sql.split(";"):
    rows = db.execute(statement).fetchall()
print("\n".join(str(row[0]) for row in rows))
"#;

/// The Python that `cargo xtask test` prepared. It fails rather than skip: a test that did not run proves nothing.
fn python() -> PathBuf {
    if let Some(why) = std::env::var_os("COMPTOIR_PEER_MISSING") {
        panic!("stock SQLCipher could not be installed: {}", why.to_string_lossy());
    }
    let named = std::env::var_os("COMPTOIR_PEER_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/bin/python"));
    assert!(python.exists(), "stock SQLCipher is not installed; run `cargo xtask test`, which installs it");
    python
}

fn stock(path: &Path, byte: u8, sql: &str) -> Result<String, String> {
    let hex = |len: usize| format!("{byte:02x}").repeat(len);
    let mut command = Command::new(python());
    command.args(["-I", "-c", SCRIPT]).arg(path).arg(hex(32)).arg(hex(16)).arg(sql).stdin(Stdio::null());
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn key(byte: u8) -> DatabaseKey {
    DatabaseKey::from_bytes([byte; DatabaseKey::LEN])
}

#[test]
fn stock_sqlcipher_reads_our_file_with_the_raw_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ours.db");
    let db = open_encrypted(&path, &key(0x2a), Access::Write).unwrap();
    db.execute_batch("CREATE TABLE note(text TEXT) STRICT; INSERT INTO note VALUES ('croissants at seven')").unwrap();
    drop(db);
    assert_eq!(stock(&path, 0x2a, "SELECT text FROM note"), Ok("croissants at seven".to_owned()));
    assert!(stock(&path, 0x2b, "SELECT text FROM note").is_err());
}

#[test]
fn we_read_the_file_that_stock_sqlcipher_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs.db");
    let sql = "CREATE TABLE note(text TEXT); INSERT INTO note VALUES ('written elsewhere'); SELECT count(*) FROM note";
    assert_eq!(stock(&path, 0x31, sql), Ok("1".to_owned()));
    let db = open_encrypted(&path, &key(0x31), Access::Write).unwrap();
    let text: String = db.query_row("SELECT text FROM note", [], |row| row.get(0)).unwrap();
    assert_eq!(text, "written elsewhere");
    db.execute("INSERT INTO note VALUES ('and here')", []).unwrap();
    drop(db);
    assert_eq!(stock(&path, 0x31, "SELECT count(*) FROM note"), Ok("2".to_owned()));
}
