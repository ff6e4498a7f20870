//! What a relay asks of its database, and nothing more than the frames need.
//!
//! Every operation touches one partition (a device, an account or a conversation), apart from the envelopes that ride
//! along with a commit, whose deposit is idempotent. So the same trait fits one embedded file, one server and several.
//! When a method that writes returns `Ok`, what it answers is on disk. [`crate::conformance`] is the contract.

pub(crate) mod quota;
mod sqlite;

use std::future::Future;

use comptoir_wire::{
    AccountId, Claimed, ConversationId, DepositOutcome, DeviceId, Envelope, Gate, Incarnation, Item, LogSlice,
    NewAccount, Ordered, Pass, PushEndpoint, SignedEntry, Uid,
};

pub use quota::{QuotaKey, Rate, Spend, Spent};
pub use sqlite::SqliteStore;

/// Why an operation did not happen. Nothing of it is stored then, or it was stored and the answer was lost: every
/// operation may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the database.
    #[error("{path} is in use by another process")]
    InUse { path: std::path::PathBuf },
    /// The file was written by a newer relay.
    #[error("the database has version {found}; this relay knows {known}")]
    TooNew { found: i64, known: i64 },
    /// More work is waiting than can be kept in memory.
    #[error("too much is waiting to be written")]
    Busy,
    /// The store was shut down.
    #[error("the store is closed")]
    Closed,
    /// The disk, the file or the engine.
    #[error("{doing}")]
    Failed { doing: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Who left urgent envelopes behind is given so long to come back by itself: phones change networks all the time.
pub const ABSENCE_MS: i64 = 60_000;

/// A wake-up that was sent and has not brought its device may have been lost. What comes so long after it owes another.
pub const REMIND_MS: i64 = 60 * 60 * 1_000;

/// No schedule puts a wake-up off for so long. One that stands further ahead was put there by a clock that was wrong.
pub const AHEAD_MS_MAX: i64 = 3 * 60 * 60 * 1_000;

/// What a mailbox may hold, how long, and how soon its device is woken.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub messages_max: u64,
    pub bytes_max: u64,
    /// An envelope without an earlier expiry is kept so long, and so long is it known after it was acknowledged.
    pub keep_ms: i64,
    /// One-time key packages kept for a device; the newest stay.
    pub key_packages_max: u32,
    /// Devices of one account that are not removed.
    pub devices_max: u32,
    /// What is owed for an envelope is due at a random time within this, so that devices which got it together are not woken
    /// together. 0: at once.
    pub knock_within_ms: u64,
}

/// A device as the relay knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub account: AccountId,
    pub device_key: [u8; 32],
    pub removed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there: now, or since an earlier try with the same contents.
    Done,
    /// It is there with other contents.
    Conflict,
    /// The account has as many devices as it may have.
    TooMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is removed: now, or since an earlier try.
    Done,
    /// The account has no such device.
    NotFound,
}

/// The end of an account log and the keys that may write its next entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    pub len: u64,
    pub log_key: [u8; 32],
    pub recovery_hash: [u8; 32],
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The entry stands at the asked place: now, or since an earlier try with the same bytes.
    pub appended: bool,
    pub len: u64,
}

/// Where a mailbox stands when its device arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Acknowledged by the device, or expired: the next delivery is one more.
    pub acked_seq: u64,
    pub head_seq: u64,
    pub key_packages_left: u32,
    /// Whether it is known where to knock for the device.
    pub push_told: bool,
    /// The newest envelope that was accepted from the device.
    pub last_uid: Option<Uid>,
    /// Which connection of the device this is; [`RelayStore::leave_mailbox`] ends it.
    pub visit: u64,
}

/// A wake-up that is owed to a device, handed out to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeUp {
    pub device: DeviceId,
    pub endpoint: PushEndpoint,
    /// The device's last connection: what is said about this wake-up later does not concern a newer one.
    pub visit: u64,
    /// Which try this is, from 1.
    pub knocks: u32,
    /// When the newest envelope came that it is owed for, or when the device was given up on to come back by itself.
    pub owed_at_ms: i64,
}

/// Wake-ups to be sent now, and when the next one is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueWakeUps {
    pub now: Vec<WakeUp>,
    pub next_at_ms: Option<i64>,
}

/// What became of a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knocked {
    /// The push service took it at this time, or will not take it however often it is asked: no other until the device was
    /// here, or something urgent comes [`REMIND_MS`] later.
    Done { at_ms: i64 },
    /// Not now: try again at this time.
    Again { at_ms: i64 },
    /// It was not tried: hand it out again at this time, as if it had not been.
    PutOff { at_ms: i64 },
    /// Tried for long enough. What comes next is a reason to begin anew.
    GivenUp,
    /// The push service knows this endpoint no more: it is forgotten.
    Gone,
}

/// Who deposits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    pub account: AccountId,
    pub device: DeviceId,
}

/// A conversation's first epoch of a new generation.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Who opens it. The caller has checked that it is of one of the conversation's two accounts.
    pub from: Sender,
    pub conversation: ConversationId,
    pub generation: u32,
    pub token_hash: [u8; 32],
    pub envelopes: Vec<Envelope>,
}

/// A step of a conversation from `epoch` to `epoch + 1`.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Who submits it. The caller has checked that it is of one of the conversation's two accounts.
    pub from: Sender,
    pub conversation: ConversationId,
    pub generation: u32,
    pub epoch: u64,
    /// SHA-256 of the token that the committer showed.
    pub token_hash: [u8; 32],
    pub next_token_hash: [u8; 32],
    pub uid: Uid,
    pub envelopes: Vec<Envelope>,
}

/// What one sweep forgot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub envelopes: u64,
    pub bytes: u64,
    /// Uids and commits that are no longer recognised as repeated.
    pub memories: u64,
    /// More is due than one sweep takes: call again.
    pub more: bool,
}

/// Counts and sizes, nothing that names anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub schema_version: i64,
    pub accounts: u64,
    pub devices: u64,
    pub messages: u64,
    pub message_bytes: u64,
    /// Devices that can be woken, and wake-ups that are owed.
    pub push_targets: u64,
    pub wake_ups_owed: u64,
    pub database_bytes: u64,
    /// Operations that wait for the disk.
    pub waiting: u64,
    /// Transactions since the start, and the operations in them.
    pub batches: u64,
    pub operations: u64,
}

/// The relay's database.
pub trait RelayStore: Send + Sync + 'static {
    /// One life of this database. Drawn anew when an operator says that an older copy was put in its place.
    fn incarnation(&self) -> Incarnation;

    /// What an earlier life of this database accepted after this time may be gone; 0: nothing is.
    fn lost_since_ms(&self) -> u64;

    /// Creates an account with its log and first device. The caller has checked the signatures.
    fn create_account(
        &self,
        account: AccountId,
        new: NewAccount,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Looks a device up.
    fn device(&self, device: DeviceId) -> impl Future<Output = Result<Option<Device>, StoreError>> + Send;

    /// Gives `account` one more device.
    fn add_device(
        &self,
        account: AccountId,
        device: DeviceId,
        device_key: [u8; 32],
    ) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Closes a device's mailbox for good and forgets its envelopes and key packages.
    fn remove_device(
        &self,
        account: AccountId,
        device: DeviceId,
        now_ms: i64,
    ) -> impl Future<Output = Result<Removed, StoreError>> + Send;

    /// The end of an account's log.
    fn log_head(&self, account: AccountId) -> impl Future<Output = Result<Option<LogHead>, StoreError>> + Send;

    /// Appends if the log is `expected_len` entries long. The caller has checked the signature against the head of that
    /// length. `None` when there is no such account.
    fn append_log(
        &self,
        account: AccountId,
        expected_len: u64,
        entry: SignedEntry,
    ) -> impl Future<Output = Result<Option<Appended>, StoreError>> + Send;

    /// The log from entry `from` on; the genesis record comes with 0.
    fn read_log(
        &self,
        account: AccountId,
        from: u64,
    ) -> impl Future<Output = Result<Option<LogSlice>, StoreError>> + Send;

    /// Adds one-time packages that were never seen before, and replaces the last resort when one is given. Answers how
    /// many are left to give; `None` when the device is not there.
    fn publish_key_packages(
        &self,
        device: DeviceId,
        packages: Vec<Vec<u8>>,
        last_resort: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<Option<u32>, StoreError>> + Send;

    /// Takes one package of each device, each at most once ever.
    fn claim_key_packages(
        &self,
        devices: Vec<DeviceId>,
    ) -> impl Future<Output = Result<Vec<Claimed>, StoreError>> + Send;

    /// Puts envelopes of `from` into mailboxes; one answer for each, in order. A mailbox takes what its own account sends and
    /// what belongs to the conversation of the two accounts ([`crate::between`]) and comes through the gate of its account.
    fn deposit(
        &self,
        from: Sender,
        envelopes: Vec<Envelope>,
        now_ms: i64,
    ) -> impl Future<Output = Result<Vec<DepositOutcome>, StoreError>> + Send;

    /// Sets what `account` lets into its mailboxes from `peer`. One that was not there before begins open.
    fn set_gate(
        &self,
        account: AccountId,
        peer: AccountId,
        gate: Gate,
        now_ms: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds passes through the gate of `account` to `peer`; those that are there stay as they are.
    fn add_passes(
        &self,
        account: AccountId,
        peer: AccountId,
        passes: Vec<Pass>,
        now_ms: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets what expired in a mailbox, and the wake-up that was owed to its device, which is here now. Says where the
    /// mailbox stands; `None` when the device is not there.
    fn open_mailbox(
        &self,
        device: DeviceId,
        now_ms: i64,
    ) -> impl Future<Output = Result<Option<Mailbox>, StoreError>> + Send;

    /// The device's connection `visit` ended. From now on the first urgent envelope that is deposited owes it a wake-up;
    /// urgent ones that it left behind do so at `owed_at_ms`. Nothing happens when it has a newer connection.
    fn leave_mailbox(
        &self,
        device: DeviceId,
        visit: u64,
        owed_at_ms: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Devices that count as connected, each with the number of its connection.
    fn here(&self) -> impl Future<Output = Result<Vec<(DeviceId, u64)>, StoreError>> + Send;

    /// Where to knock for a device, or nowhere. False when the device is not there.
    fn set_push(
        &self,
        device: DeviceId,
        endpoint: Option<PushEndpoint>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Hands out wake-ups that are due, the oldest first, and none of them again before `again_at_ms`. What stands further
    /// ahead than [`AHEAD_MS_MAX`] is due too.
    fn due_wake_ups(
        &self,
        now_ms: i64,
        again_at_ms: i64,
        max: u32,
    ) -> impl Future<Output = Result<DueWakeUps, StoreError>> + Send;

    /// Says what became of a wake-up. Nothing happens when its device has been here since.
    fn knocked(&self, wake_up: WakeUp, knocked: Knocked) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The next envelopes after `after_seq`, in order. At least one when there is any, else within both limits.
    fn fetch(
        &self,
        device: DeviceId,
        after_seq: u64,
        items_max: usize,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Vec<Item>, StoreError>> + Send;

    /// Forgets what the devices hold: cumulative, idempotent, never past the head.
    fn ack(&self, acks: Vec<(DeviceId, u64)>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Starts a generation if the one before it is the newest, and deposits its envelopes, both or neither.
    fn open_generation(
        &self,
        opening: Opening,
        now_ms: i64,
    ) -> impl Future<Output = Result<Ordered, StoreError>> + Send;

    /// Moves a conversation on by one epoch and deposits the commit, both or neither.
    fn submit_commit(&self, commit: Commit, now_ms: i64) -> impl Future<Output = Result<Ordered, StoreError>> + Send;

    /// Takes from all quotas or from none.
    fn spend(&self, spends: Vec<Spend>, now_ms: i64) -> impl Future<Output = Result<Spent, StoreError>> + Send;

    /// Forgets what is due, at most `rows_max` rows of each kind.
    fn expire(&self, now_ms: i64, rows_max: u32) -> impl Future<Output = Result<Expired, StoreError>> + Send;

    /// Goes through the writer and a reader, and counts.
    fn health(&self) -> impl Future<Output = Result<Health, StoreError>> + Send;

    /// Finishes what was asked and closes; later questions are [`StoreError::Closed`].
    fn close(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
