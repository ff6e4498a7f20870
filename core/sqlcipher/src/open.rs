//! Opening a database file: the pragmas of DESIGN §5, in the one order that works, and errors that tell a wrong key
//! from a missing file from a file that another process holds.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use zeroize::Zeroizing;

use crate::provider;

/// What `PRAGMA cipher_provider` answers when our provider is the one that ciphers.
pub const PROVIDER_NAME: &str = "ring+rustcrypto";

/// The raw key of one database: 32 bytes of AES-256 key followed by 16 bytes of salt.
///
/// The salt is kept outside the file because its first 32 bytes stay readable (`cipher_plaintext_header_size`), which
/// iOS needs to recognise a SQLite file in a shared container. Zeroised when dropped.
#[derive(Clone)]
pub struct DatabaseKey(Zeroizing<[u8; Self::LEN]>);

impl DatabaseKey {
    /// Length of key and salt together, in bytes.
    pub const LEN: usize = 48;

    /// Takes key ‖ salt. Both must come from a key derivation or a random generator, never from a passphrase.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Tells whether another key is this one, and nothing else about it: HMAC-SHA256 under the key, cut to 16 bytes. Kept
    /// beside a database it tells a wrong key from a damaged file.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &*self.0);
        let tag = ring::hmac::sign(&key, b"comptoir/database-key/v1");
        *tag.as_ref().first_chunk().expect("32 bytes hold 16")
    }

    fn hex(&self, range: std::ops::Range<usize>) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(range.len() * 2));
        for byte in &self.0[range] {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is a hexadecimal digit"));
            }
        }
        text
    }
}

impl std::fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseKey(…)")
    }
}

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The one writer: creates the file when it is missing, and every commit is on disk before it returns.
    Write,
    /// A reader beside the writer. The file must exist.
    Read,
}

/// Why a database could not be opened. Nothing is ever deleted or created anew because of one of these.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The key does not open this file, or the file is damaged at its very first page. SQLCipher cannot tell the two
    /// apart; treat it as locked and offer the backup.
    #[error("the key does not open {path}")]
    WrongKeyOrDamaged { path: PathBuf, source: rusqlite::Error },
    /// Another process holds the database.
    #[error("{path} is in use by another process")]
    InUse { path: PathBuf, source: rusqlite::Error },
    /// This binary was linked with another cipher than ours: a packaging mistake.
    #[error("SQLite was linked with the cipher provider {found:?} instead of {PROVIDER_NAME:?}")]
    OtherProvider { found: Option<String> },
    /// The disk, the path or the permissions.
    #[error("opening {path}")]
    Io { path: PathBuf, source: rusqlite::Error },
}

/// Opens an encrypted database and proves that the key fits before it returns.
///
/// # Errors
/// See [`OpenError`]. With [`Access::Read`] a missing file is `Io`; it is not created.
pub fn open_encrypted(path: &Path, key: &DatabaseKey, access: Access) -> Result<Connection, OpenError> {
    let db = connect(path, access)?;
    let fail = |source| classify(path, source);
    let raw = Zeroizing::new(format!("PRAGMA key = \"x'{}'\"", key.hex(0..DatabaseKey::LEN).as_str()));
    db.execute_batch(&raw).map_err(fail)?;
    // File properties: they must be the same at every open, from the first release on.
    db.execute_batch(
        "PRAGMA cipher_compatibility = 4;
         PRAGMA cipher_page_size = 4096;
         PRAGMA cipher_hmac_algorithm = HMAC_SHA256;
         PRAGMA cipher_plaintext_header_size = 32;",
    )
    .map_err(fail)?;
    let salt = Zeroizing::new(format!("PRAGMA cipher_salt = \"x'{}'\"", key.hex(32..DatabaseKey::LEN).as_str()));
    db.execute_batch(&salt).map_err(fail)?;

    let found: Option<String> = db.query_row("PRAGMA cipher_provider", [], |row| row.get(0)).ok();
    if found.as_deref() != Some(PROVIDER_NAME) || provider::NAME.to_str() != Ok(PROVIDER_NAME) {
        return Err(OpenError::OtherProvider { found });
    }
    // Reading the schema is what checks the key.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(fail)?;
    settle(&db, access).map_err(fail)?;
    Ok(db)
}

/// Opens an ordinary SQLite file without a key, for data that is sealed by others already.
///
/// # Errors
/// See [`OpenError`].
pub fn open_plain(path: &Path, access: Access) -> Result<Connection, OpenError> {
    let db = connect(path, access)?;
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(|source| classify(path, source))?;
    settle(&db, access).map_err(|source| classify(path, source))?;
    Ok(db)
}

fn connect(path: &Path, access: Access) -> Result<Connection, OpenError> {
    initialise();
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if access == Access::Write {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let db = Connection::open_with_flags(path, flags).map_err(|source| classify(path, source))?;
    // SQLCipher would otherwise write page errors to standard error, with the path of the file.
    db.execute_batch("PRAGMA cipher_log_level = NONE;").map_err(|source| classify(path, source))?;
    Ok(db)
}

/// Lets one thread initialise SQLite before any other opens a file. SQLite calls itself initialised a moment before
/// SQLCipher has registered our provider, and a thread that comes in between finds none.
pub(crate) fn initialise() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // A connection without a file brings everything up; a failure shows again, with its reason, at the real open.
        let _ = Connection::open_in_memory();
    });
}

/// Connection settings, which may change from release to release.
fn settle(db: &Connection, access: Access) -> Result<(), rusqlite::Error> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(128);
    db.execute_batch(
        "PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -8000;",
    )?;
    match access {
        Access::Write => db.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON;
             PRAGMA wal_autocheckpoint = 1000;
             PRAGMA journal_size_limit = 8388608;
             PRAGMA secure_delete = FAST;",
        ),
        // The last connection to close writes the log back, be it a reader.
        Access::Read => db.execute_batch(
            "PRAGMA query_only = ON;
             PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON;",
        ),
    }
}

fn classify(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        // A wrong key shows as either code, depending on whether a WAL is present.
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::WrongKeyOrDamaged { path, source },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path, source },
        _ => OpenError::Io { path, source },
    }
}
