//! The encrypted store: one file, one writer, numbered migrations, one lock.

mod ballast;
mod kept;
mod known;
mod mls;
mod outbox;
mod rows;
mod search;
mod tx;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use comptoir_content::Timestamp;
use comptoir_sqlcipher::rusqlite::Connection;
use comptoir_sqlcipher::{Access, DatabaseKey, MigrateError, OpenError, migrate_part, open_encrypted};
use openmls_rust_crypto::RustCrypto;

use ballast::Ballast;
pub(crate) use kept::given_back;
pub(crate) use known::Known;
pub use mls::MlsStoreError;
pub(crate) use mls::TxProvider;
pub(crate) use outbox::OutboxRow;
pub(crate) use rows::{AccountRow, ConversationRow, NewMessage, kind_named, log_from_blob, read_account, read_me};
pub(crate) use search::{INDEX_BATCH, index_pending, search, waiting};
pub(crate) use tx::Effect;
pub use tx::Tx;
pub(crate) use tx::{Notice, Question, read_kv, to_wire_conversation, to_wire_device, to_wire_uid};

use crate::error::TurnError;
use crate::facade::ClientError;
use crate::readers::OpenReader;

/// The database file in a client's folder.
const FILE: &str = "comptoir.db";
const LOCK: &str = "comptoir.lock";
/// The fingerprint of the key.
const CHECK: &str = "comptoir.check";

/// Our own tables, oldest first. Frozen at the first tag; until then the first one is edited.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/0001.sql")];

/// Tables of another room that live in the same file and change in the same transactions, such as a till's ledger.
#[derive(Clone, Copy, Debug)]
pub struct Extension {
    /// The room's name, under which its schema version is kept.
    pub room: &'static str,
    pub migrations: &'static [&'static str],
}

pub(crate) struct Store {
    pub(crate) db: Connection,
    pub(crate) crypto: RustCrypto,
    pub(crate) known: Known,
    pub(crate) ballast: Ballast,
    path: PathBuf,
    key: DatabaseKey,
    /// Held as long as the store is open; another process gets "in use" at once.
    _lock: File,
}

impl Store {
    /// Opens or creates the store in `dir`.
    pub(crate) fn open(
        dir: &Path,
        key: &DatabaseKey,
        extension: Option<Extension>,
        now: Timestamp,
    ) -> Result<Self, ClientError> {
        let lock = lock(&dir.join(LOCK))?;
        let path = dir.join(FILE);
        let mut db = open_encrypted(&path, key, Access::Write).map_err(|error| name_damage(error, dir, key))?;
        migrate(&mut db, extension).map_err(ClientError::from)?;
        keep_check(dir, key);
        let ballast = Ballast::lay(dir, now);
        let (crypto, known, key) = (RustCrypto::default(), Known::default(), key.clone());
        Ok(Self { db, crypto, known, ballast, path, key, _lock: lock })
    }

    /// True when there is a store in `dir`.
    pub(crate) fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Opens connections for views, beside the writer.
    pub(crate) fn reader_factory(&self) -> OpenReader {
        let (path, key) = (self.path.clone(), self.key.clone());
        Box::new(move || Ok(open_encrypted(&path, &key, Access::Read)?))
    }
}

/// Where the key is the one that this store was made with, it is the file that is damaged.
fn name_damage(error: OpenError, dir: &Path, key: &DatabaseKey) -> ClientError {
    let fits = fs::read(dir.join(CHECK)).is_ok_and(|kept| kept == key.fingerprint());
    if fits && matches!(error, OpenError::WrongKeyOrDamaged { .. }) {
        return ClientError::locked("storage.damaged", error);
    }
    error.into()
}

/// Remembers which key opens this store. Without it a damaged file would be called locked, and no more than that.
fn keep_check(dir: &Path, key: &DatabaseKey) {
    let path = dir.join(CHECK);
    if fs::read(&path).is_ok_and(|kept| kept == key.fingerprint()) {
        return;
    }
    let fresh = dir.join(format!("{CHECK}.new"));
    let kept = fs::write(&fresh, key.fingerprint()).and_then(|()| fs::rename(&fresh, &path));
    if let Err(error) = kept {
        tracing::warn!(kind = ?error.kind(), "which key opens this store could not be written down");
    }
}

fn lock(path: &Path) -> Result<File, ClientError> {
    let io = |error: std::io::Error| ClientError::ask("storage.io", format!("{}: {error}", path.display()));
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ClientError::TryAgain {
            code: "storage.in_use".to_owned(),
            detail: format!("{} is in use by another process", path.display()),
        }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Brings the file up to date, and what another room has in it.
fn migrate(db: &mut Connection, extension: Option<Extension>) -> Result<(), TurnError> {
    let named = |error| match error {
        MigrateError::TooNew { .. } => TurnError::Refused(comptoir_engine::Refused::UpdateApp),
        MigrateError::Failed { source, .. } => TurnError::Sql(source),
    };
    comptoir_sqlcipher::migrate(db, MIGRATIONS).map_err(named)?;
    let Some(Extension { room, migrations }) = extension else {
        return Ok(());
    };
    let key = format!("schema.{room}");
    let read = |db: &Connection| {
        let stored = read_kv(db, &key)?;
        Ok(stored.and_then(|bytes| bytes.first().copied()).map_or(0, i64::from))
    };
    let write = |db: &Connection, version| tx::write_kv(db, &key, &[u8::try_from(version).unwrap_or(u8::MAX)]);
    migrate_part(db, migrations, read, write).map_err(named)
}
