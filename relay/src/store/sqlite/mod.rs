//! The embedded store: one ordinary SQLite file, one writer, a few readers, one OS lock.

mod accounts;
mod gates;
mod key_packages;
mod mailbox;
mod order;
mod push;
mod readers;
mod upkeep;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::Ordering;

use comptoir_sqlcipher::rusqlite::{self, Connection, TransactionBehavior};
use comptoir_sqlcipher::{Access, MigrateError, open_plain};
use comptoir_wire::{
    AccountId, Claimed, DepositOutcome, DeviceId, Envelope, Gate, Incarnation, Item, LogSlice, NewAccount, Ordered,
    Pass, PushEndpoint, SignedEntry,
};

use super::quota::Quotas;
use super::{
    Appended, Commit, Created, Device, DueWakeUps, Expired, Health, Knocked, LogHead, Mailbox, Opening, RelayStore,
    Removed, Retention, Sender, Spend, Spent, StoreError, WakeUp,
};
use mailbox::Freshness;
use readers::Readers;
use writer::Writer;

const DATABASE: &str = "relay.db";
const LOCK: &str = "relay.lock";
/// An operator who puts an older copy of the database in place leaves a file of this name beside it.
const RESTORED: &str = "RESTORED";
/// The statements that lead from each version to the next one.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/0001.sql")];
/// What an operation costs in the writer's queue beside the bytes it carries.
const OPERATION_BYTES: usize = 256;

/// A relay's database in one directory.
#[derive(Debug)]
pub struct SqliteStore {
    incarnation: Incarnation,
    lost_since_ms: u64,
    retention: Retention,
    quotas: Quotas,
    // Before the writer: the last connection to close tidies the file up.
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the database in `dir`, creating both when they are missing. A file named `RESTORED` in it says that the
    /// database is an older copy: it gets a new incarnation and gives none of its one-time key packages again, and then
    /// the file is removed.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process has it open, [`StoreError::TooNew`] when a newer relay wrote it.
    pub fn open(dir: &Path, retention: Retention, now_ms: i64) -> Result<Self, StoreError> {
        create_private_dir(dir).map_err(failed("creating the data directory"))?;
        let lock = lock(dir)?;
        let path = dir.join(DATABASE);
        let mut db = open_plain(&path, Access::Write).map_err(failed("opening the database"))?;
        migrate(&mut db, now_ms)?;
        push::nobody_is_here(&mut db, now_ms, retention.knock_within_ms)
            .map_err(failed("forgetting who was connected"))?;
        begin_anew_if_restored(&mut db, dir, now_ms, retention.keep_ms)?;
        let (incarnation, lost_since_ms) = db
            .query_row("SELECT incarnation, lost_since_ms FROM relay", [], |row| {
                Ok((Incarnation(row.get("incarnation")?), unsigned(row, "lost_since_ms")?))
            })
            .map_err(failed("reading the incarnation"))?;
        let readers = Readers::open(&path)?;
        let writer = Writer::start(db, lock).map_err(failed("starting the writer"))?;
        Ok(Self { incarnation, lost_since_ms, retention, quotas: Quotas::default(), readers, writer })
    }
}

impl RelayStore for SqliteStore {
    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn lost_since_ms(&self) -> u64 {
        self.lost_since_ms
    }

    async fn create_account(&self, account: AccountId, new: NewAccount) -> Result<Created, StoreError> {
        let bytes = new.entries.iter().map(|signed| signed.entry.len()).sum::<usize>() + OPERATION_BYTES;
        let devices_max = self.retention.devices_max;
        let ask = move |tx: &_| accounts::create(tx, account, &new, devices_max);
        self.writer.write("creating an account", bytes, ask).await
    }

    async fn device(&self, device: DeviceId) -> Result<Option<Device>, StoreError> {
        self.readers.read("looking a device up", move |db| accounts::device(db, device)).await
    }

    async fn add_device(&self, account: AccountId, device: DeviceId, key: [u8; 32]) -> Result<Created, StoreError> {
        let devices_max = self.retention.devices_max;
        let ask = move |tx: &_| accounts::add_device(tx, account, device, key, devices_max);
        self.writer.write("adding a device", OPERATION_BYTES, ask).await
    }

    async fn remove_device(&self, account: AccountId, device: DeviceId, now_ms: i64) -> Result<Removed, StoreError> {
        let ask = move |tx: &_| accounts::remove_device(tx, account, device, now_ms);
        self.writer.settle("removing a device", OPERATION_BYTES, ask).await
    }

    async fn log_head(&self, account: AccountId) -> Result<Option<LogHead>, StoreError> {
        self.readers.read("reading a log's head", move |db| accounts::log_head(db, account)).await
    }

    async fn append_log(
        &self,
        account: AccountId,
        expected_len: u64,
        entry: SignedEntry,
    ) -> Result<Option<Appended>, StoreError> {
        let bytes = entry.entry.len() + OPERATION_BYTES;
        let ask = move |tx: &_| accounts::append_log(tx, account, expected_len, &entry);
        self.writer.write("appending to a log", bytes, ask).await
    }

    async fn read_log(&self, account: AccountId, from: u64) -> Result<Option<LogSlice>, StoreError> {
        self.readers.read("reading a log", move |db| accounts::read_log(db, account, from)).await
    }

    async fn publish_key_packages(
        &self,
        device: DeviceId,
        packages: Vec<Vec<u8>>,
        last_resort: Option<Vec<u8>>,
    ) -> Result<Option<u32>, StoreError> {
        let bytes = packages.iter().chain(&last_resort).map(Vec::len).sum::<usize>() + OPERATION_BYTES;
        let max = self.retention.key_packages_max;
        let ask = move |tx: &_| key_packages::publish(tx, device, &packages, last_resort.as_deref(), max);
        self.writer.write("publishing key packages", bytes, ask).await
    }

    async fn claim_key_packages(&self, devices: Vec<DeviceId>) -> Result<Vec<Claimed>, StoreError> {
        let bytes = devices.len() * DeviceId::LEN + OPERATION_BYTES;
        let ask = move |tx: &_| devices.iter().map(|device| key_packages::claim(tx, *device)).collect();
        self.writer.write("claiming key packages", bytes, ask).await
    }

    async fn deposit(
        &self,
        from: Sender,
        envelopes: Vec<Envelope>,
        now_ms: i64,
    ) -> Result<Vec<DepositOutcome>, StoreError> {
        let bytes = carried(&envelopes);
        let retention = self.retention;
        let ask = move |tx: &_| mailbox::deposit(tx, from, &envelopes, Freshness::Checked, &retention, now_ms);
        self.writer.write("depositing", bytes, ask).await
    }

    async fn set_gate(&self, account: AccountId, peer: AccountId, gate: Gate, now_ms: i64) -> Result<(), StoreError> {
        let ask = move |tx: &_| gates::set(tx, account, peer, gate, now_ms);
        self.writer.write("setting a gate", OPERATION_BYTES, ask).await
    }

    async fn add_passes(
        &self,
        account: AccountId,
        peer: AccountId,
        passes: Vec<Pass>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let bytes = passes.len() * OPERATION_BYTES;
        let ask = move |tx: &_| gates::add_passes(tx, account, peer, &passes, now_ms);
        self.writer.write("adding passes", bytes, ask).await
    }

    async fn open_mailbox(&self, device: DeviceId, now_ms: i64) -> Result<Option<Mailbox>, StoreError> {
        let ask = move |tx: &_| mailbox::open(tx, device, now_ms);
        self.writer.settle("opening a mailbox", OPERATION_BYTES, ask).await
    }

    async fn leave_mailbox(&self, device: DeviceId, visit: u64, owed_at_ms: i64) -> Result<(), StoreError> {
        let within_ms = self.retention.knock_within_ms;
        let ask = move |tx: &_| push::leave(tx, device, visit, owed_at_ms, within_ms);
        self.writer.settle("leaving a mailbox", OPERATION_BYTES, ask).await
    }

    async fn here(&self) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        self.readers.read("looking who is connected", push::here).await
    }

    async fn set_push(&self, device: DeviceId, endpoint: Option<PushEndpoint>) -> Result<bool, StoreError> {
        let ask = move |tx: &_| push::set(tx, device, endpoint.as_ref());
        self.writer.write("keeping where to knock", OPERATION_BYTES, ask).await
    }

    async fn due_wake_ups(&self, now_ms: i64, again_at_ms: i64, max: u32) -> Result<DueWakeUps, StoreError> {
        // Mostly nothing is due, and then nothing is written.
        let next_at_ms = self.readers.read("looking for wake-ups", move |db| push::next(db, now_ms)).await?;
        if next_at_ms.is_none_or(|at_ms| at_ms > now_ms) {
            return Ok(DueWakeUps { now: Vec::new(), next_at_ms });
        }
        let ask = move |tx: &_| push::take_due(tx, now_ms, again_at_ms, max);
        self.writer.settle("handing out wake-ups", OPERATION_BYTES, ask).await
    }

    async fn knocked(&self, wake_up: WakeUp, knocked: Knocked) -> Result<(), StoreError> {
        let ask = move |tx: &_| push::knocked(tx, &wake_up, knocked);
        self.writer.settle("settling a wake-up", OPERATION_BYTES, ask).await
    }

    async fn fetch(
        &self,
        device: DeviceId,
        after_seq: u64,
        items_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let ask = move |db: &_| mailbox::fetch(db, device, after_seq, items_max, bytes_max);
        self.readers.read("fetching", ask).await
    }

    async fn ack(&self, acks: Vec<(DeviceId, u64)>) -> Result<(), StoreError> {
        let bytes = acks.len() * OPERATION_BYTES;
        let ask = move |tx: &_| acks.iter().try_for_each(|(device, upto)| mailbox::ack(tx, *device, *upto));
        self.writer.settle("acknowledging", bytes, ask).await
    }

    async fn open_generation(&self, opening: Opening, now_ms: i64) -> Result<Ordered, StoreError> {
        let bytes = carried(&opening.envelopes);
        let retention = self.retention;
        let ask = move |tx: &_| order::open_generation(tx, &opening, &retention, now_ms);
        self.writer.write("opening a generation", bytes, ask).await
    }

    async fn submit_commit(&self, commit: Commit, now_ms: i64) -> Result<Ordered, StoreError> {
        let bytes = carried(&commit.envelopes);
        let retention = self.retention;
        let ask = move |tx: &_| order::submit_commit(tx, &commit, &retention, now_ms);
        self.writer.write("ordering a commit", bytes, ask).await
    }

    async fn spend(&self, spends: Vec<Spend>, now_ms: i64) -> Result<Spent, StoreError> {
        // In memory and without waiting: this process is the only one that has the database.
        std::future::ready(Ok(self.quotas.spend(&spends, now_ms))).await
    }

    async fn expire(&self, now_ms: i64, rows_max: u32) -> Result<Expired, StoreError> {
        let keep_ms = self.retention.keep_ms;
        let ask = move |tx: &_| upkeep::expire(tx, now_ms, keep_ms, rows_max);
        self.writer.settle("expiring", OPERATION_BYTES, ask).await
    }

    async fn health(&self) -> Result<Health, StoreError> {
        self.writer.settle("touching the disk", OPERATION_BYTES, upkeep::touch).await?;
        let counted = self.readers.read("counting", upkeep::count).await?;
        let done = self.writer.done();
        Ok(Health {
            waiting: self.writer.waiting(),
            batches: done.batches.load(Ordering::Relaxed),
            operations: done.operations.load(Ordering::Relaxed),
            ..counted
        })
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        if let Some(thread) = self.writer.stop() {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                return Err(failed("closing the writer")("the writer ended badly"));
            }
        }
        Ok(())
    }
}

fn carried(envelopes: &[Envelope]) -> usize {
    envelopes.iter().map(|envelope| envelope.sealed.len() + OPERATION_BYTES).sum::<usize>() + OPERATION_BYTES
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl Fn(E) -> StoreError {
    move |source| StoreError::Failed { doing, source: source.into() }
}

/// Only the relay's user may look inside: the directory also holds nothing that others need.
fn create_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed("opening the lock file"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed("locking the database")(error)),
    }
}

/// Brings the database up to date. A new one gets its incarnation.
fn migrate(db: &mut Connection, now_ms: i64) -> Result<(), StoreError> {
    comptoir_sqlcipher::migrate(db, &MIGRATIONS).map_err(|error| match error {
        MigrateError::TooNew { found, known } => StoreError::TooNew { found, known },
        MigrateError::Failed { .. } => failed("migrating the database")(error),
    })?;
    let incarnation: [u8; 16] = crate::random()?;
    db.execute(
        "INSERT OR IGNORE INTO relay (only, incarnation, created_at_ms) VALUES (1, ?1, ?2)",
        (incarnation, now_ms),
    )
    .map_err(failed("naming the database"))?;
    Ok(())
}

/// What a copy does not know is what happened since: its devices must look again, and a key package that it still has
/// may have been given. Committed before the file is removed, so that a crash in between only does it once more.
/// `keep_ms`: nobody waits any more for what is older.
fn begin_anew_if_restored(db: &mut Connection, dir: &Path, now_ms: i64, keep_ms: i64) -> Result<(), StoreError> {
    let marker = dir.join(RESTORED);
    if !marker.try_exists().map_err(failed("looking for the mark of a restored copy"))? {
        return Ok(());
    }
    let doing = failed("beginning anew after a restore");
    let incarnation: [u8; 16] = crate::random()?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&doing)?;
    // The newest thing that the copy has seen: what came later is not in it. Devices that have not been here since an earlier
    // restore still miss what that one lost.
    tx.execute(
        "UPDATE relay SET incarnation = ?1, lost_since_ms = min(
             CASE WHEN lost_since_ms > ?2 THEN lost_since_ms ELSE 9223372036854775807 END,
             max(created_at_ms, (SELECT ifnull(max(accepted_at_ms), 0) FROM seen)))",
        (incarnation, now_ms.saturating_sub(keep_ms)),
    )
    .map_err(&doing)?;
    tx.execute("UPDATE key_package SET package = NULL WHERE package IS NOT NULL", []).map_err(&doing)?;
    gates::restored(&tx, now_ms).map_err(&doing)?;
    tx.commit().map_err(&doing)?;
    std::fs::remove_file(&marker).map_err(failed("removing the mark of a restored copy"))?;
    tracing::warn!("the database was restored from a copy: it has a new incarnation, and devices synchronise again");
    Ok(())
}

/// A `u64` in SQLite's signed column: the same bits.
fn stored(value: u64) -> i64 {
    value.cast_signed()
}

/// The other direction of [`stored`]. Times and counts are never negative, so it serves them too.
fn unsigned(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}
