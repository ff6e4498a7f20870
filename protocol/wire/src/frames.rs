//! The frames as checked types. Every length is verified while decoding; bodies that only the peer understands stay bytes.

mod parts;
mod reply;
mod request;

use prost::Message as _;

use crate::{AccountId, ConversationId, DeviceId, Incarnation, Uid};

/// What a client asks of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opens the mailbox of a device that the relay knows: an Ed25519 signature over [`crate::auth_input`].
    Authenticate { device: DeviceId, address: String, signature: [u8; 64], window: u32 },
    /// Creates an account with its first device. Comes right after `Challenge`, followed by `Authenticate`.
    CreateAccount(NewAccount),
    /// Gives a sibling device of the same account a mailbox.
    AddDevice { device: DeviceId, device_key: [u8; 32] },
    /// Closes a mailbox for good: the device's own, or a sibling's with a signature over [`crate::remove_device_bytes`].
    RemoveDevice { device: DeviceId, signed: Option<KeySignature> },
    /// Appends to the account log if it is still `expected_len` entries long.
    AppendLog { account: AccountId, expected_len: u64, entry: SignedEntry },
    /// Reads an account log from entry `from` on.
    ReadLog { account: AccountId, from: u64 },
    /// Adds one-time key packages, and replaces the last-resort one when given.
    PublishKeyPackages { packages: Vec<Vec<u8>>, last_resort: Option<Vec<u8>> },
    /// Takes one key package of each device.
    ClaimKeyPackages { devices: Vec<DeviceId> },
    /// Puts envelopes into mailboxes.
    Deposit { envelopes: Vec<Envelope> },
    /// Says where to knock when something comes while this device is away; nowhere when there is no endpoint.
    SetPush { endpoint: Option<PushEndpoint> },
    /// Sets what devices of `peer` may put into the mailboxes of this device's account.
    SetGate { peer: AccountId, gate: Gate },
    /// Adds passes through the gate to `peer`.
    AddPasses { peer: AccountId, passes: Vec<Pass> },
    /// Says that everything up to `upto_seq` is stored on the device. No answer.
    Ack { upto_seq: u64 },
    /// Starts generation `generation` of the conversation with `peer` at epoch 1.
    OpenGeneration {
        peer: AccountId,
        conversation: ConversationId,
        generation: u32,
        token_hash: [u8; 32],
        envelopes: Vec<Envelope>,
    },
    /// Moves the conversation with `peer` from `epoch` to `epoch + 1` and deposits the commit, both or neither.
    SubmitCommit {
        peer: AccountId,
        conversation: ConversationId,
        generation: u32,
        epoch: u64,
        token: CommitToken,
        next_token_hash: [u8; 32],
        uid: Uid,
        envelopes: Vec<Envelope>,
    },
}

/// What a relay answers, or says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The first frame on a connection.
    Challenge { nonce: [u8; 32], server_time_ms: u64 },
    /// The mailbox is open; deliveries follow.
    Welcome(Welcome),
    /// Done, and nothing more to say.
    Done,
    /// The log's length after `AppendLog`; `appended` is false when somebody else was first.
    LogHead { appended: bool, len: u64 },
    /// A slice of an account log.
    Log(LogSlice),
    /// One-time key packages left after `PublishKeyPackages`.
    KeyPackageCount { left: u32 },
    /// One answer for each device of `ClaimKeyPackages`, in order.
    KeyPackages(Vec<Claimed>),
    /// One answer for each envelope of `Deposit`, in order.
    Deposited(Vec<DepositOutcome>),
    /// Envelopes for this device, in order, without gaps.
    Delivery(Vec<Item>),
    /// Everything up to `seq` was delivered; the mailbox is empty behind it.
    CaughtUp { seq: u64 },
    /// The answer to `OpenGeneration` and `SubmitCommit`.
    Ordered(Ordered),
    /// The relay goes away for a moment; come back after `reconnect_after_ms`, spread at random.
    Notice { reconnect_after_ms: u64 },
    /// The question was not served.
    Refused(Refusal),
}

/// What a relay stores for one device: sealed bytes, and what it needs to order, expire and deliver them.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    pub to: DeviceId,
    /// One (mailbox, uid) is stored once; a retry sends the same bytes under the same uid.
    pub uid: Uid,
    pub conversation: ConversationId,
    pub generation: u32,
    /// MLS epoch it was sealed in. The relay refuses what its recipients can no longer open.
    pub epoch: u64,
    pub kind: EnvelopeKind,
    /// May wake a phone.
    pub urgent: bool,
    /// Seconds after which it may be forgotten; 0 for the relay's own limit. It is never forgotten before an older one
    /// that still waits in the same mailbox, so no number is ever missing between two deliveries.
    pub ttl_s: u32,
    pub sealed: Vec<u8>,
    /// What opens a closed gate: an order of the recipient's, or a token that it gave. The relay keeps it to itself.
    pub pass: Option<[u8; 32]>,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Envelope({:?}, {} bytes)", self.kind, self.sealed.len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeKind {
    /// An application message.
    Message,
    /// An invitation into a group.
    Welcome,
    /// A change of a group.
    Commit,
}

/// What an account lets into its mailboxes from another one. The rule behind it is the account's own; a relay sees accounts,
/// times and uids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Everything.
    Open,
    /// Everything within 24 hours and 5 minutes after an urgent message of the account to the other one was accepted. Later,
    /// what [`Gate::Shut`] lets through.
    Window,
    /// Changes of a group, a few messages a day that are not urgent, and what shows a [`Pass`].
    Shut,
}

/// A way through a closed gate for whoever shows the 32 bytes behind `hash`, their SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    pub hash: [u8; 32],
    /// For one uid only, the first that shows it.
    pub once: bool,
}

/// Where a push service takes wake-ups for a device: the address that its distributor gave. Who has it can knock.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PushEndpoint(String);

impl PushEndpoint {
    /// Takes at most [`crate::limits::PUSH_ENDPOINT_BYTES_MAX`] bytes, and at least one. Whether it is an address that
    /// may be called is for the relay to say.
    ///
    /// # Errors
    /// [`crate::WireError`] for an empty or longer one.
    pub fn new(endpoint: impl Into<String>) -> Result<Self, crate::WireError> {
        let endpoint = endpoint.into();
        if endpoint.is_empty() {
            return Err(crate::WireError::Missing { field: "endpoint" });
        }
        parts::at_most("endpoint", endpoint, crate::limits::PUSH_ENDPOINT_BYTES_MAX).map(Self)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// An endpoint never reaches a log by accident.
impl std::fmt::Debug for PushEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PushEndpoint(…)")
    }
}

/// A new account as a relay sees it: opaque genesis bytes, and the keys that may write its log and open its mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// The account id is the first 20 bytes of its SHA-256.
    pub genesis: Vec<u8>,
    pub log_key: [u8; 32],
    pub recovery_hash: [u8; 32],
    pub entries: Vec<SignedEntry>,
    pub device: DeviceId,
    pub device_key: [u8; 32],
}

/// One link of an account log: bytes, and the signature over [`crate::signature_input`] with [`crate::LOG_CONTEXT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEntry {
    pub entry: Vec<u8>,
    pub signature: [u8; 64],
    /// The log key, or the recovery key whose hash the account was created with.
    pub signer: [u8; 32],
    /// Set when this entry replaces the log key.
    pub next_key: Option<NextKey>,
}

/// The key that signs from the next entry on, and the signature over [`crate::next_key_bytes`] with
/// [`crate::NEXT_KEY_CONTEXT`] by the signer of the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextKey {
    pub key: [u8; 32],
    pub signature: [u8; 64],
}

/// A signature by the key that writes an account's log, for what a device alone may not ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySignature {
    /// The log key, or the recovery key whose hash the account was created with.
    pub signer: [u8; 32],
    pub signature: [u8; 64],
}

/// A secret exported from an epoch. Only a member of that epoch can have it; the relay knows its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct CommitToken(pub [u8; 32]);

impl std::fmt::Debug for CommitToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CommitToken(…)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    pub incarnation: Incarnation,
    pub server_time_ms: u64,
    /// Acknowledged by this device, or expired before it came: the first delivery is one more.
    pub acked_seq: u64,
    /// The newest number in the mailbox.
    pub head_seq: u64,
    pub key_packages_left: u32,
    pub limits: Limits,
    /// The key by which push services know this relay: a P-256 point, uncompressed. Distributors ask for it when they
    /// give an endpoint. `None`: this relay sends no wake-ups.
    pub push_key: Option<Box<[u8; 65]>>,
    /// Whether the relay has an endpoint of this device. It forgets one that a push service calls gone, so a device that
    /// told one and reads false here tells it again.
    pub push_told: bool,
    /// The relay came back from an older copy of its database: whatever it had accepted after this time, by its own clock,
    /// may be gone, and is deposited again by whoever still has it. 0: nothing is gone.
    pub lost_since_ms: u64,
    /// The newest envelope that was accepted from this device. A device that does not know it is an older copy of itself.
    pub last_uid: Option<Uid>,
}

/// What this relay accepts; never more than [`crate::limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub envelope_bytes_max: u32,
    pub envelopes_per_frame_max: u32,
    pub key_packages_max: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSlice {
    pub genesis: Vec<u8>,
    pub from: u64,
    pub entries: Vec<SignedEntry>,
    /// Length of the whole log in entries.
    pub len: u64,
}

/// What a claim of a key package gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Given to nobody else, ever.
    Fresh(Vec<u8>),
    /// The last resort: others may have it too, so the group updates it soon.
    LastResort(Vec<u8>),
    /// No such device, or it has none.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositOutcome {
    pub status: DepositStatus,
    /// When the relay had it on disk, by its clock; 0 unless accepted or a duplicate.
    pub accepted_at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepositStatus {
    /// On the relay's disk.
    Accepted,
    /// It was there already.
    Duplicate,
    /// The mailbox is full: try again later.
    Full,
    /// No such mailbox, or its device was removed.
    Gone,
    /// The conversation moved on: seal again in the newer epoch, under the same uid.
    StaleEpoch,
    /// The conversation is not one of the sender's account and the mailbox's.
    Forbidden,
    /// The mailbox's account has closed its gate to the sender's, and the envelope shows no pass.
    Closed,
}

impl DepositStatus {
    /// True when the relay holds the envelope or never will: nothing is left to send.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Accepted | Self::Duplicate | Self::Gone | Self::Forbidden | Self::Closed => true,
            Self::Full | Self::StaleEpoch => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Dense per device: the next one is one more.
    pub seq: u64,
    /// When the relay accepted it, by its clock.
    pub accepted_at_ms: u64,
    pub envelope: Envelope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    pub status: OrderStatus,
    /// Where the conversation stands now. Epoch 0: this relay does not know it.
    pub generation: u32,
    pub epoch: u64,
    pub accepted_at_ms: u64,
    pub outcomes: Vec<DepositOutcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    Accepted,
    /// The same commit again: it was accepted before.
    Duplicate,
    /// Somebody else was first.
    Stale,
    /// The token is not the one of this epoch.
    Forbidden,
}

/// Why a question was not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    /// For a developer; names the field.
    pub detail: String,
    /// How long to wait before the next try; 0 when waiting does not help.
    pub retry_after_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    BadFrame,
    Unauthenticated,
    UnknownDevice,
    Conflict,
    NotFound,
    Forbidden,
    RateLimited,
    Unavailable,
    TooLarge,
}

/// The id of a frame that could not be read otherwise, so that a refusal finds its question; 0 when there is none.
#[must_use]
pub fn frame_id(frame: &[u8]) -> u64 {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Head {
        #[prost(uint64, tag = "1")]
        id: u64,
    }
    Head::decode(frame).map_or(0, |head| head.id)
}
