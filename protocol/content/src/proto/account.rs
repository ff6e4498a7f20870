//! Accounts: where one begins, what its log says, its devices and tills, and how a shop introduces itself.

use prost::{Enumeration, Message, Oneof};

use super::Signed;

#[derive(Clone, PartialEq, Message)]
pub struct LogHead {
    #[prost(uint64, tag = "1")]
    pub len: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub hash: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum AccountKind {
    Unspecified = 0,
    Person = 1,
    Business = 2,
}

#[derive(Clone, PartialEq, Message)]
pub struct Genesis {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(enumeration = "AccountKind", tag = "2")]
    pub kind: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub account_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub recovery_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub nonce: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct LogEntry {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub account: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub index: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub previous: Vec<u8>,
    #[prost(int64, tag = "5")]
    pub at_ms: i64,
    #[prost(oneof = "LogEntryStatement", tags = "16, 17, 18, 19, 20")]
    pub statement: Option<LogEntryStatement>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum LogEntryStatement {
    #[prost(message, tag = "16")]
    DeviceAdded(Signed),
    #[prost(message, tag = "17")]
    DeviceRevoked(DeviceRevoked),
    #[prost(message, tag = "18")]
    TillCertified(TillCertified),
    #[prost(message, tag = "19")]
    TillRevoked(TillRevoked),
    #[prost(message, tag = "20")]
    KeyReplaced(KeyReplaced),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum DeviceRole {
    Unspecified = 0,
    Person = 1,
    Merchant = 2,
    Gateway = 3,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeviceCertificate {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub account: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub device: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub key: Vec<u8>,
    #[prost(enumeration = "DeviceRole", tag = "5")]
    pub role: i32,
    #[prost(int64, tag = "6")]
    pub created_at_ms: i64,
    #[prost(int64, tag = "7")]
    pub expires_at_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeviceRevoked {
    #[prost(bytes = "vec", tag = "1")]
    pub device: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TillCertified {
    #[prost(bytes = "vec", tag = "1")]
    pub till: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub term: u64,
    #[prost(bool, tag = "3")]
    pub live: bool,
    #[prost(int64, tag = "4")]
    pub from_ms: i64,
    #[prost(int64, tag = "5")]
    pub until_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct TillRevoked {
    #[prost(bytes = "vec", tag = "1")]
    pub till: Vec<u8>,
    #[prost(int64, tag = "2")]
    pub since_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyReplaced {
    #[prost(bytes = "vec", tag = "1")]
    pub account_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct LogLink {
    #[prost(bytes = "vec", tag = "1")]
    pub entry: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub signer: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AccountLog {
    #[prost(bytes = "vec", tag = "1")]
    pub genesis: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub links: Vec<LogLink>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Profile {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub account: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub revision: u64,
    #[prost(string, tag = "4")]
    pub name: String,
    #[prost(string, tag = "5")]
    pub about: String,
    #[prost(message, repeated, tag = "6")]
    pub payees: Vec<Payee>,
    #[prost(int64, tag = "7")]
    pub issued_at_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Payee {
    #[prost(string, tag = "1")]
    pub provider: String,
    #[prost(string, tag = "2")]
    pub account: String,
    #[prost(bool, tag = "3")]
    pub live: bool,
}
