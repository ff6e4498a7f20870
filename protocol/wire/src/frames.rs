//! The frames as checked types. Every length is verified while decoding; bodies that only the peer understands stay bytes.

use prost::Message as _;

use crate::ids::exact;
use crate::proto::{self, ClientBody, RelayBody};
use crate::{AccountId, ConversationId, DeviceId, Incarnation, Uid, WireError, limits};

/// What a client asks of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opens the mailbox of a device that the relay knows: an Ed25519 signature over [`crate::auth_input`].
    Authenticate { device: DeviceId, address: String, signature: [u8; 64], window: u32 },
    /// Creates an account with its first device. Comes right after `Challenge`, followed by `Authenticate`.
    CreateAccount(NewAccount),
    /// Gives a sibling device of the same account a mailbox.
    AddDevice { device: DeviceId, device_key: [u8; 32] },
    /// Closes a sibling's mailbox for good.
    RemoveDevice { device: DeviceId },
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
    /// Moves a conversation from `epoch` to `epoch + 1` and deposits the commit, both or neither.
    SubmitCommit {
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
    /// The key that signs from the next entry on, when this entry replaces it.
    pub next_key: Option<[u8; 32]>,
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
}

impl DepositStatus {
    /// True when the relay holds the envelope or never will: nothing is left to send.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Accepted | Self::Duplicate | Self::Gone | Self::Forbidden => true,
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

impl Request {
    /// The frame's bytes. `id` comes back in the answer.
    #[must_use]
    pub fn encode(self, id: u64) -> Vec<u8> {
        let body = match self {
            Self::Authenticate { device, address, signature, window } => {
                ClientBody::Authenticate(proto::Authenticate {
                    device: device.0.to_vec(),
                    address,
                    signature: signature.to_vec(),
                    window,
                })
            }
            Self::CreateAccount(new) => ClientBody::CreateAccount(proto::CreateAccount {
                genesis: new.genesis,
                log_key: new.log_key.to_vec(),
                recovery_hash: new.recovery_hash.to_vec(),
                entries: new.entries.into_iter().map(SignedEntry::into_proto).collect(),
                device: new.device.0.to_vec(),
                device_key: new.device_key.to_vec(),
            }),
            Self::AddDevice { device, device_key } => {
                ClientBody::AddDevice(proto::AddDevice { device: device.0.to_vec(), device_key: device_key.to_vec() })
            }
            Self::RemoveDevice { device } => {
                ClientBody::RemoveDevice(proto::RemoveDevice { device: device.0.to_vec() })
            }
            Self::AppendLog { account, expected_len, entry } => ClientBody::AppendLog(proto::AppendLog {
                account: account.0.to_vec(),
                expected_len,
                entry: Some(entry.into_proto()),
            }),
            Self::ReadLog { account, from } => {
                ClientBody::ReadLog(proto::ReadLog { account: account.0.to_vec(), from })
            }
            Self::PublishKeyPackages { packages, last_resort } => {
                ClientBody::PublishKeyPackages(proto::PublishKeyPackages {
                    packages,
                    last_resort: last_resort.unwrap_or_default(),
                })
            }
            Self::ClaimKeyPackages { devices } => ClientBody::ClaimKeyPackages(proto::ClaimKeyPackages {
                devices: devices.into_iter().map(|device| device.0.to_vec()).collect(),
            }),
            Self::Deposit { envelopes } => {
                ClientBody::Deposit(proto::Deposit { envelopes: Envelope::all_into_proto(envelopes) })
            }
            Self::Ack { upto_seq } => ClientBody::Ack(proto::Ack { upto_seq }),
            Self::OpenGeneration { peer, conversation, generation, token_hash, envelopes } => {
                ClientBody::OpenGeneration(proto::OpenGeneration {
                    conversation: conversation.0.to_vec(),
                    generation,
                    token_hash: token_hash.to_vec(),
                    envelopes: Envelope::all_into_proto(envelopes),
                    peer: peer.0.to_vec(),
                })
            }
            Self::SubmitCommit { conversation, generation, epoch, token, next_token_hash, uid, envelopes } => {
                ClientBody::SubmitCommit(proto::SubmitCommit {
                    conversation: conversation.0.to_vec(),
                    generation,
                    epoch,
                    token: token.0.to_vec(),
                    next_token_hash: next_token_hash.to_vec(),
                    uid: uid.0.to_vec(),
                    envelopes: Envelope::all_into_proto(envelopes),
                })
            }
        };
        proto::ClientFrame { id, body: Some(body) }.encode_to_vec()
    }

    /// Reads a frame and checks every length in it.
    ///
    /// # Errors
    /// [`WireError`] names the first field that is not what it must be.
    pub fn decode(frame: &[u8]) -> Result<(u64, Self), WireError> {
        check_frame(frame)?;
        let frame = proto::ClientFrame::decode(frame).map_err(|error| WireError::NotAFrame(error.to_string()))?;
        let request = match frame.body.ok_or(WireError::Missing { field: "body" })? {
            ClientBody::Authenticate(auth) => Self::Authenticate {
                device: DeviceId::from_slice(&auth.device)?,
                address: at_most("address", auth.address, limits::ADDRESS_BYTES_MAX)?,
                signature: exact("signature", &auth.signature)?,
                window: auth.window.clamp(1, limits::WINDOW_MAX),
            },
            ClientBody::CreateAccount(new) => Self::CreateAccount(NewAccount {
                genesis: at_most("genesis", new.genesis, limits::GENESIS_BYTES_MAX)?,
                log_key: exact("log_key", &new.log_key)?,
                recovery_hash: exact("recovery_hash", &new.recovery_hash)?,
                entries: SignedEntry::all_from_proto(new.entries)?,
                device: DeviceId::from_slice(&new.device)?,
                device_key: exact("device_key", &new.device_key)?,
            }),
            ClientBody::AddDevice(add) => Self::AddDevice {
                device: DeviceId::from_slice(&add.device)?,
                device_key: exact("device_key", &add.device_key)?,
            },
            ClientBody::RemoveDevice(remove) => Self::RemoveDevice { device: DeviceId::from_slice(&remove.device)? },
            ClientBody::AppendLog(append) => Self::AppendLog {
                account: AccountId::from_slice(&append.account)?,
                expected_len: append.expected_len,
                entry: SignedEntry::from_proto(append.entry.ok_or(WireError::Missing { field: "entry" })?)?,
            },
            ClientBody::ReadLog(read) => {
                Self::ReadLog { account: AccountId::from_slice(&read.account)?, from: read.from }
            }
            ClientBody::PublishKeyPackages(publish) => {
                few("packages", publish.packages.len(), limits::KEY_PACKAGES_MAX)?;
                for package in publish.packages.iter().chain([&publish.last_resort]) {
                    few("key package", package.len(), limits::KEY_PACKAGE_BYTES_MAX)?;
                }
                // An empty one could not be told from none when it is claimed.
                if publish.packages.iter().any(Vec::is_empty) {
                    return Err(WireError::Missing { field: "key package" });
                }
                Self::PublishKeyPackages {
                    packages: publish.packages,
                    last_resort: (!publish.last_resort.is_empty()).then_some(publish.last_resort),
                }
            }
            ClientBody::ClaimKeyPackages(claim) => {
                few("devices", claim.devices.len(), limits::CLAIMS_PER_FRAME_MAX)?;
                let devices = claim.devices.iter().map(|device| DeviceId::from_slice(device));
                Self::ClaimKeyPackages { devices: devices.collect::<Result<_, _>>()? }
            }
            ClientBody::Deposit(deposit) => Self::Deposit { envelopes: Envelope::all_from_proto(deposit.envelopes)? },
            ClientBody::Ack(ack) => Self::Ack { upto_seq: ack.upto_seq },
            ClientBody::OpenGeneration(open) => Self::OpenGeneration {
                peer: AccountId::from_slice(&open.peer)?,
                conversation: ConversationId::from_slice(&open.conversation)?,
                generation: open.generation,
                token_hash: exact("token_hash", &open.token_hash)?,
                envelopes: Envelope::all_from_proto(open.envelopes)?,
            },
            ClientBody::SubmitCommit(commit) => Self::SubmitCommit {
                conversation: ConversationId::from_slice(&commit.conversation)?,
                generation: commit.generation,
                epoch: commit.epoch,
                token: CommitToken(exact("token", &commit.token)?),
                next_token_hash: exact("next_token_hash", &commit.next_token_hash)?,
                uid: Uid::from_slice(&commit.uid)?,
                envelopes: Envelope::all_from_proto(commit.envelopes)?,
            },
        };
        Ok((frame.id, request))
    }
}

impl Reply {
    /// The frame's bytes. `id` is the question's, or 0.
    #[must_use]
    pub fn encode(self, id: u64) -> Vec<u8> {
        let body = match self {
            Self::Challenge { nonce, server_time_ms } => {
                RelayBody::Challenge(proto::Challenge { nonce: nonce.to_vec(), server_time_ms })
            }
            Self::Welcome(welcome) => RelayBody::Welcome(proto::Welcome {
                incarnation: welcome.incarnation.0.to_vec(),
                server_time_ms: welcome.server_time_ms,
                acked_seq: welcome.acked_seq,
                head_seq: welcome.head_seq,
                key_packages_left: welcome.key_packages_left,
                limits: Some(proto::Limits {
                    envelope_bytes_max: welcome.limits.envelope_bytes_max,
                    envelopes_per_frame_max: welcome.limits.envelopes_per_frame_max,
                    key_packages_max: welcome.limits.key_packages_max,
                }),
            }),
            Self::Done => RelayBody::Done(proto::Done {}),
            Self::LogHead { appended, len } => RelayBody::LogHead(proto::LogHead { appended, len }),
            Self::Log(log) => RelayBody::Log(proto::Log {
                genesis: log.genesis,
                from: log.from,
                entries: log.entries.into_iter().map(SignedEntry::into_proto).collect(),
                len: log.len,
            }),
            Self::KeyPackageCount { left } => RelayBody::KeyPackageCount(proto::KeyPackageCount { left }),
            Self::KeyPackages(claimed) => RelayBody::KeyPackages(proto::KeyPackages {
                packages: claimed
                    .into_iter()
                    .map(|claimed| match claimed {
                        Claimed::Fresh(package) => proto::KeyPackage { package, last_resort: false },
                        Claimed::LastResort(package) => proto::KeyPackage { package, last_resort: true },
                        Claimed::None => proto::KeyPackage { package: Vec::new(), last_resort: false },
                    })
                    .collect(),
            }),
            Self::Deposited(outcomes) => {
                RelayBody::Deposited(proto::Deposited { outcomes: DepositOutcome::all_into_proto(outcomes) })
            }
            Self::Delivery(items) => RelayBody::Delivery(proto::Delivery {
                items: items
                    .into_iter()
                    .map(|item| proto::Item {
                        seq: item.seq,
                        accepted_at_ms: item.accepted_at_ms,
                        envelope: Some(item.envelope.into_proto()),
                    })
                    .collect(),
            }),
            Self::CaughtUp { seq } => RelayBody::CaughtUp(proto::CaughtUp { seq }),
            Self::Ordered(ordered) => RelayBody::Ordered(proto::Ordered {
                status: match ordered.status {
                    OrderStatus::Accepted => proto::OrderStatus::Accepted,
                    OrderStatus::Duplicate => proto::OrderStatus::Duplicate,
                    OrderStatus::Stale => proto::OrderStatus::Stale,
                    OrderStatus::Forbidden => proto::OrderStatus::Forbidden,
                }
                .into(),
                generation: ordered.generation,
                epoch: ordered.epoch,
                accepted_at_ms: ordered.accepted_at_ms,
                outcomes: DepositOutcome::all_into_proto(ordered.outcomes),
            }),
            Self::Notice { reconnect_after_ms } => RelayBody::Notice(proto::Notice { reconnect_after_ms }),
            Self::Refused(refusal) => RelayBody::Error(proto::Error {
                code: refusal.code.into_proto().into(),
                detail: refusal.detail,
                retry_after_ms: refusal.retry_after_ms,
            }),
        };
        proto::RelayFrame { id, body: Some(body) }.encode_to_vec()
    }

    /// Reads a frame and checks every length in it.
    ///
    /// # Errors
    /// [`WireError`] names the first field that is not what it must be.
    pub fn decode(frame: &[u8]) -> Result<(u64, Self), WireError> {
        check_frame(frame)?;
        let frame = proto::RelayFrame::decode(frame).map_err(|error| WireError::NotAFrame(error.to_string()))?;
        let reply = match frame.body.ok_or(WireError::Missing { field: "body" })? {
            RelayBody::Challenge(challenge) => {
                Self::Challenge { nonce: exact("nonce", &challenge.nonce)?, server_time_ms: challenge.server_time_ms }
            }
            RelayBody::Welcome(welcome) => {
                let limits = welcome.limits.ok_or(WireError::Missing { field: "limits" })?;
                Self::Welcome(Welcome {
                    incarnation: Incarnation::from_slice(&welcome.incarnation)?,
                    server_time_ms: welcome.server_time_ms,
                    acked_seq: welcome.acked_seq,
                    head_seq: welcome.head_seq,
                    key_packages_left: welcome.key_packages_left,
                    limits: Limits {
                        envelope_bytes_max: limits.envelope_bytes_max,
                        envelopes_per_frame_max: limits.envelopes_per_frame_max,
                        key_packages_max: limits.key_packages_max,
                    },
                })
            }
            RelayBody::Done(proto::Done {}) => Self::Done,
            RelayBody::LogHead(head) => Self::LogHead { appended: head.appended, len: head.len },
            RelayBody::Log(log) => Self::Log(LogSlice {
                genesis: at_most("genesis", log.genesis, limits::GENESIS_BYTES_MAX)?,
                from: log.from,
                entries: SignedEntry::all_from_proto(log.entries)?,
                len: log.len,
            }),
            RelayBody::KeyPackageCount(count) => Self::KeyPackageCount { left: count.left },
            RelayBody::KeyPackages(claimed) => {
                few("packages", claimed.packages.len(), limits::CLAIMS_PER_FRAME_MAX)?;
                let claimed = claimed.packages.into_iter().map(|claimed| {
                    few("key package", claimed.package.len(), limits::KEY_PACKAGE_BYTES_MAX)?;
                    Ok(match (claimed.package.is_empty(), claimed.last_resort) {
                        (true, _) => Claimed::None,
                        (false, true) => Claimed::LastResort(claimed.package),
                        (false, false) => Claimed::Fresh(claimed.package),
                    })
                });
                Self::KeyPackages(claimed.collect::<Result<_, WireError>>()?)
            }
            RelayBody::Deposited(deposited) => Self::Deposited(DepositOutcome::all_from_proto(&deposited.outcomes)?),
            RelayBody::Delivery(delivery) => {
                few("items", delivery.items.len(), limits::WINDOW_MAX as usize)?;
                let items = delivery.items.into_iter().map(|item| {
                    Ok(Item {
                        seq: item.seq,
                        accepted_at_ms: item.accepted_at_ms,
                        envelope: Envelope::from_proto(item.envelope.ok_or(WireError::Missing { field: "envelope" })?)?,
                    })
                });
                Self::Delivery(items.collect::<Result<_, WireError>>()?)
            }
            RelayBody::CaughtUp(caught_up) => Self::CaughtUp { seq: caught_up.seq },
            RelayBody::Ordered(ordered) => Self::Ordered(Ordered {
                status: match proto::OrderStatus::try_from(ordered.status) {
                    Ok(proto::OrderStatus::Accepted) => OrderStatus::Accepted,
                    Ok(proto::OrderStatus::Duplicate) => OrderStatus::Duplicate,
                    Ok(proto::OrderStatus::Stale) => OrderStatus::Stale,
                    Ok(proto::OrderStatus::Forbidden) => OrderStatus::Forbidden,
                    Ok(proto::OrderStatus::Unspecified) | Err(_) => {
                        return Err(WireError::Unknown { field: "status", value: ordered.status.into() });
                    }
                },
                generation: ordered.generation,
                epoch: ordered.epoch,
                accepted_at_ms: ordered.accepted_at_ms,
                outcomes: DepositOutcome::all_from_proto(&ordered.outcomes)?,
            }),
            RelayBody::Notice(notice) => Self::Notice { reconnect_after_ms: notice.reconnect_after_ms },
            RelayBody::Error(error) => Self::Refused(Refusal {
                code: ErrorCode::from_proto(error.code)?,
                detail: error.detail,
                retry_after_ms: error.retry_after_ms,
            }),
        };
        Ok((frame.id, reply))
    }
}

impl Envelope {
    fn into_proto(self) -> proto::Envelope {
        proto::Envelope {
            to: self.to.0.to_vec(),
            uid: self.uid.0.to_vec(),
            conversation: self.conversation.0.to_vec(),
            generation: self.generation,
            epoch: self.epoch,
            kind: match self.kind {
                EnvelopeKind::Message => proto::EnvelopeKind::Message,
                EnvelopeKind::Welcome => proto::EnvelopeKind::Welcome,
                EnvelopeKind::Commit => proto::EnvelopeKind::Commit,
            }
            .into(),
            urgent: self.urgent,
            ttl_s: self.ttl_s,
            sealed: self.sealed,
        }
    }

    fn all_into_proto(envelopes: Vec<Self>) -> Vec<proto::Envelope> {
        envelopes.into_iter().map(Self::into_proto).collect()
    }

    fn from_proto(envelope: proto::Envelope) -> Result<Self, WireError> {
        Ok(Self {
            to: DeviceId::from_slice(&envelope.to)?,
            uid: Uid::from_slice(&envelope.uid)?,
            conversation: ConversationId::from_slice(&envelope.conversation)?,
            generation: envelope.generation,
            epoch: envelope.epoch,
            kind: match proto::EnvelopeKind::try_from(envelope.kind) {
                Ok(proto::EnvelopeKind::Message) => EnvelopeKind::Message,
                Ok(proto::EnvelopeKind::Welcome) => EnvelopeKind::Welcome,
                Ok(proto::EnvelopeKind::Commit) => EnvelopeKind::Commit,
                Ok(proto::EnvelopeKind::Unspecified) | Err(_) => {
                    return Err(WireError::Unknown { field: "kind", value: envelope.kind.into() });
                }
            },
            urgent: envelope.urgent,
            ttl_s: envelope.ttl_s,
            sealed: at_most("sealed", envelope.sealed, limits::ENVELOPE_BYTES_MAX)?,
        })
    }

    fn all_from_proto(envelopes: Vec<proto::Envelope>) -> Result<Vec<Self>, WireError> {
        few("envelopes", envelopes.len(), limits::ENVELOPES_PER_FRAME_MAX)?;
        envelopes.into_iter().map(Self::from_proto).collect()
    }
}

impl SignedEntry {
    fn into_proto(self) -> proto::SignedEntry {
        proto::SignedEntry {
            entry: self.entry,
            signature: self.signature.to_vec(),
            signer: self.signer.to_vec(),
            next_key: self.next_key.map(|key| key.to_vec()).unwrap_or_default(),
        }
    }

    fn from_proto(signed: proto::SignedEntry) -> Result<Self, WireError> {
        Ok(Self {
            entry: at_most("entry", signed.entry, limits::LOG_ENTRY_BYTES_MAX)?,
            signature: exact("signature", &signed.signature)?,
            signer: exact("signer", &signed.signer)?,
            next_key: match signed.next_key.as_slice() {
                [] => None,
                key => Some(exact("next_key", key)?),
            },
        })
    }

    fn all_from_proto(entries: Vec<proto::SignedEntry>) -> Result<Vec<Self>, WireError> {
        few("entries", entries.len(), limits::LOG_ENTRIES_MAX)?;
        entries.into_iter().map(Self::from_proto).collect()
    }
}

impl DepositOutcome {
    fn all_into_proto(outcomes: Vec<Self>) -> Vec<proto::DepositOutcome> {
        let into = |outcome: Self| proto::DepositOutcome {
            status: match outcome.status {
                DepositStatus::Accepted => proto::DepositStatus::Accepted,
                DepositStatus::Duplicate => proto::DepositStatus::Duplicate,
                DepositStatus::Full => proto::DepositStatus::Full,
                DepositStatus::Gone => proto::DepositStatus::Gone,
                DepositStatus::StaleEpoch => proto::DepositStatus::StaleEpoch,
                DepositStatus::Forbidden => proto::DepositStatus::Forbidden,
            }
            .into(),
            accepted_at_ms: outcome.accepted_at_ms,
        };
        outcomes.into_iter().map(into).collect()
    }

    fn all_from_proto(outcomes: &[proto::DepositOutcome]) -> Result<Vec<Self>, WireError> {
        few("outcomes", outcomes.len(), limits::ENVELOPES_PER_FRAME_MAX)?;
        let from = |outcome: &proto::DepositOutcome| {
            let status = match proto::DepositStatus::try_from(outcome.status) {
                Ok(proto::DepositStatus::Accepted) => DepositStatus::Accepted,
                Ok(proto::DepositStatus::Duplicate) => DepositStatus::Duplicate,
                Ok(proto::DepositStatus::Full) => DepositStatus::Full,
                Ok(proto::DepositStatus::Gone) => DepositStatus::Gone,
                Ok(proto::DepositStatus::StaleEpoch) => DepositStatus::StaleEpoch,
                Ok(proto::DepositStatus::Forbidden) => DepositStatus::Forbidden,
                Ok(proto::DepositStatus::Unspecified) | Err(_) => {
                    return Err(WireError::Unknown { field: "status", value: outcome.status.into() });
                }
            };
            Ok(Self { status, accepted_at_ms: outcome.accepted_at_ms })
        };
        outcomes.iter().map(from).collect()
    }
}

impl ErrorCode {
    fn into_proto(self) -> proto::ErrorCode {
        match self {
            Self::BadFrame => proto::ErrorCode::BadFrame,
            Self::Unauthenticated => proto::ErrorCode::Unauthenticated,
            Self::UnknownDevice => proto::ErrorCode::UnknownDevice,
            Self::Conflict => proto::ErrorCode::Conflict,
            Self::NotFound => proto::ErrorCode::NotFound,
            Self::Forbidden => proto::ErrorCode::Forbidden,
            Self::RateLimited => proto::ErrorCode::RateLimited,
            Self::Unavailable => proto::ErrorCode::Unavailable,
            Self::TooLarge => proto::ErrorCode::TooLarge,
        }
    }

    fn from_proto(code: i32) -> Result<Self, WireError> {
        Ok(match proto::ErrorCode::try_from(code) {
            Ok(proto::ErrorCode::BadFrame) => Self::BadFrame,
            Ok(proto::ErrorCode::Unauthenticated) => Self::Unauthenticated,
            Ok(proto::ErrorCode::UnknownDevice) => Self::UnknownDevice,
            Ok(proto::ErrorCode::Conflict) => Self::Conflict,
            Ok(proto::ErrorCode::NotFound) => Self::NotFound,
            Ok(proto::ErrorCode::Forbidden) => Self::Forbidden,
            Ok(proto::ErrorCode::RateLimited) => Self::RateLimited,
            Ok(proto::ErrorCode::Unavailable) => Self::Unavailable,
            Ok(proto::ErrorCode::TooLarge) => Self::TooLarge,
            Ok(proto::ErrorCode::Unspecified) | Err(_) => {
                return Err(WireError::Unknown { field: "code", value: code.into() });
            }
        })
    }
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

fn check_frame(frame: &[u8]) -> Result<(), WireError> {
    few("frame", frame.len(), limits::FRAME_BYTES_MAX)
}

fn few(field: &'static str, len: usize, max: usize) -> Result<(), WireError> {
    if len > max { Err(WireError::TooMany { field, len, max }) } else { Ok(()) }
}

fn at_most<T: AsRef<[u8]>>(field: &'static str, value: T, max: usize) -> Result<T, WireError> {
    few(field, value.as_ref().len(), max)?;
    Ok(value)
}
