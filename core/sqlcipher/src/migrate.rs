//! Numbered migrations: forward only, each whole or not at all.

use rusqlite::{Connection, TransactionBehavior};

/// Why a database was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program wrote it. Nothing was changed.
    #[error("the database has version {found}, and this program knows {known}")]
    TooNew { found: i64, known: i64 },
    /// SQLite refused, or the disk did. What was migrated before that stays.
    #[error("migrating the database to version {to}")]
    Failed { to: i64, source: rusqlite::Error },
}

/// Plays what a database has not had of `migrations`, oldest first, each in a transaction of its own that also holds its
/// number (SQLite's `user_version`): a process that is killed, or a power that is cut, leaves one of the versions, and the
/// next call goes on from it.
///
/// # Errors
/// [`MigrateError`].
pub fn migrate(db: &mut Connection, migrations: &[&str]) -> Result<(), MigrateError> {
    let read = |db: &Connection| db.pragma_query_value(None, "user_version", |row| row.get(0));
    let write = |db: &Connection, version| db.pragma_update(None, "user_version", version);
    migrate_part(db, migrations, read, write)
}

/// As [`migrate`], for tables that have a version of their own in the same file. `read` and `write` know where it stands.
///
/// # Errors
/// [`MigrateError`].
pub fn migrate_part(
    db: &mut Connection,
    migrations: &[&str],
    read: impl Fn(&Connection) -> rusqlite::Result<i64>,
    write: impl Fn(&Connection, i64) -> rusqlite::Result<()>,
) -> Result<(), MigrateError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found = read(db).map_err(|source| MigrateError::Failed { to: known, source })?;
    let Some(missing) = usize::try_from(found).ok().and_then(|found| migrations.get(found..)) else {
        return Err(MigrateError::TooNew { found, known });
    };
    for (statements, to) in missing.iter().zip(found + 1..) {
        let play = |db: &mut Connection| -> rusqlite::Result<()> {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute_batch(statements)?;
            write(&tx, to)?;
            tx.commit()
        };
        play(db).map_err(|source| MigrateError::Failed { to, source })?;
    }
    Ok(())
}
