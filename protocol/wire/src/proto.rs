//! The protobuf shapes of `proto/relay.proto`. `tests/proto.rs` holds the two against each other.

use prost::{Enumeration, Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ClientFrame {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(oneof = "ClientBody", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16")]
    pub(crate) body: Option<ClientBody>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ClientBody {
    #[prost(message, tag = "2")]
    Authenticate(Authenticate),
    #[prost(message, tag = "3")]
    CreateAccount(CreateAccount),
    #[prost(message, tag = "4")]
    AddDevice(AddDevice),
    #[prost(message, tag = "5")]
    RemoveDevice(RemoveDevice),
    #[prost(message, tag = "6")]
    AppendLog(AppendLog),
    #[prost(message, tag = "7")]
    ReadLog(ReadLog),
    #[prost(message, tag = "8")]
    PublishKeyPackages(PublishKeyPackages),
    #[prost(message, tag = "9")]
    ClaimKeyPackages(ClaimKeyPackages),
    #[prost(message, tag = "10")]
    Deposit(Deposit),
    #[prost(message, tag = "11")]
    Ack(Ack),
    #[prost(message, tag = "12")]
    OpenGeneration(OpenGeneration),
    #[prost(message, tag = "13")]
    SubmitCommit(SubmitCommit),
    #[prost(message, tag = "14")]
    SetPush(SetPush),
    #[prost(message, tag = "15")]
    SetGate(SetGate),
    #[prost(message, tag = "16")]
    AddPasses(AddPasses),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RelayFrame {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(oneof = "RelayBody", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14")]
    pub(crate) body: Option<RelayBody>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum RelayBody {
    #[prost(message, tag = "2")]
    Challenge(Challenge),
    #[prost(message, tag = "3")]
    Welcome(Welcome),
    #[prost(message, tag = "4")]
    Done(Done),
    #[prost(message, tag = "5")]
    LogHead(LogHead),
    #[prost(message, tag = "6")]
    Log(Log),
    #[prost(message, tag = "7")]
    KeyPackageCount(KeyPackageCount),
    #[prost(message, tag = "8")]
    KeyPackages(KeyPackages),
    #[prost(message, tag = "9")]
    Deposited(Deposited),
    #[prost(message, tag = "10")]
    Delivery(Delivery),
    #[prost(message, tag = "11")]
    CaughtUp(CaughtUp),
    #[prost(message, tag = "12")]
    Ordered(Ordered),
    #[prost(message, tag = "13")]
    Notice(Notice),
    #[prost(message, tag = "14")]
    Error(Error),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Challenge {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) nonce: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) server_time_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Authenticate {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) signature: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub(crate) window: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateAccount {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) genesis: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) log_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) recovery_hash: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) entries: Vec<SignedEntry>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) device: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) device_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AddDevice {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) device_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RemoveDevice {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) signer: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignedEntry {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) entry: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) signer: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) next_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) next_key_signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppendLog {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) account: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) expected_len: u64,
    #[prost(message, optional, tag = "3")]
    pub(crate) entry: Option<SignedEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadLog {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) account: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) from: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LogHead {
    #[prost(bool, tag = "1")]
    pub(crate) appended: bool,
    #[prost(uint64, tag = "2")]
    pub(crate) len: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Log {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) genesis: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) from: u64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) entries: Vec<SignedEntry>,
    #[prost(uint64, tag = "4")]
    pub(crate) len: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PublishKeyPackages {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) packages: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) last_resort: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyPackageCount {
    #[prost(uint32, tag = "1")]
    pub(crate) left: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ClaimKeyPackages {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) devices: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyPackages {
    #[prost(message, repeated, tag = "1")]
    pub(crate) packages: Vec<KeyPackage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyPackage {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) package: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub(crate) last_resort: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum EnvelopeKind {
    Unspecified = 0,
    Message = 1,
    Welcome = 2,
    Commit = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Envelope {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) to: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) uid: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) conversation: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub(crate) generation: u32,
    #[prost(uint64, tag = "5")]
    pub(crate) epoch: u64,
    #[prost(enumeration = "EnvelopeKind", tag = "6")]
    pub(crate) kind: i32,
    #[prost(bool, tag = "7")]
    pub(crate) urgent: bool,
    #[prost(uint32, tag = "8")]
    pub(crate) ttl_s: u32,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) sealed: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    pub(crate) pass: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Deposit {
    #[prost(message, repeated, tag = "1")]
    pub(crate) envelopes: Vec<Envelope>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum DepositStatus {
    Unspecified = 0,
    Accepted = 1,
    Duplicate = 2,
    Full = 3,
    Gone = 4,
    StaleEpoch = 5,
    Forbidden = 6,
    Closed = 7,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DepositOutcome {
    #[prost(enumeration = "DepositStatus", tag = "1")]
    pub(crate) status: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) accepted_at_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Deposited {
    #[prost(message, repeated, tag = "1")]
    pub(crate) outcomes: Vec<DepositOutcome>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetPush {
    #[prost(string, tag = "1")]
    pub(crate) endpoint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum Gate {
    Unspecified = 0,
    Open = 1,
    Window = 2,
    Shut = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetGate {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) peer: Vec<u8>,
    #[prost(enumeration = "Gate", tag = "2")]
    pub(crate) gate: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Pass {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) hash: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub(crate) once: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AddPasses {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) peer: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) passes: Vec<Pass>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ack {
    #[prost(uint64, tag = "1")]
    pub(crate) upto_seq: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Item {
    #[prost(uint64, tag = "1")]
    pub(crate) seq: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) accepted_at_ms: u64,
    #[prost(message, optional, tag = "3")]
    pub(crate) envelope: Option<Envelope>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Delivery {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CaughtUp {
    #[prost(uint64, tag = "1")]
    pub(crate) seq: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpenGeneration {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) conversation: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) generation: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) token_hash: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) envelopes: Vec<Envelope>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) peer: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SubmitCommit {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) conversation: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) generation: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) epoch: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) token: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) next_token_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) uid: Vec<u8>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) envelopes: Vec<Envelope>,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) peer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum OrderStatus {
    Unspecified = 0,
    Accepted = 1,
    Duplicate = 2,
    Stale = 3,
    Forbidden = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ordered {
    #[prost(enumeration = "OrderStatus", tag = "1")]
    pub(crate) status: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) generation: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) epoch: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) accepted_at_ms: u64,
    #[prost(message, repeated, tag = "5")]
    pub(crate) outcomes: Vec<DepositOutcome>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Welcome {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) incarnation: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) server_time_ms: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) acked_seq: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) head_seq: u64,
    #[prost(uint32, tag = "5")]
    pub(crate) key_packages_left: u32,
    #[prost(message, optional, tag = "6")]
    pub(crate) limits: Option<Limits>,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) push_key: Vec<u8>,
    #[prost(bool, tag = "8")]
    pub(crate) push_told: bool,
    #[prost(uint64, tag = "9")]
    pub(crate) lost_since_ms: u64,
    #[prost(bytes = "vec", tag = "10")]
    pub(crate) last_uid: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Limits {
    #[prost(uint32, tag = "1")]
    pub(crate) envelope_bytes_max: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) envelopes_per_frame_max: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) key_packages_max: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Done {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Notice {
    #[prost(uint64, tag = "1")]
    pub(crate) reconnect_after_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum ErrorCode {
    Unspecified = 0,
    BadFrame = 1,
    Unauthenticated = 2,
    UnknownDevice = 3,
    Conflict = 4,
    NotFound = 5,
    Forbidden = 6,
    RateLimited = 7,
    Unavailable = 8,
    TooLarge = 9,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Error {
    #[prost(enumeration = "ErrorCode", tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) detail: String,
    #[prost(uint64, tag = "3")]
    pub(crate) retry_after_ms: u64,
}
