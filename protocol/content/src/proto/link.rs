//! What stands in a code that people scan.

use prost::Message;

use super::{AccountKind, AccountLog, LogHead};

#[derive(Clone, PartialEq, Message)]
pub struct ContactCode {
    #[prost(bytes = "vec", tag = "1")]
    pub account: Vec<u8>,
    #[prost(string, tag = "2")]
    pub relay: String,
    #[prost(enumeration = "AccountKind", tag = "3")]
    pub kind: i32,
    #[prost(message, optional, tag = "4")]
    pub head: Option<LogHead>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PayerQuestion {
    #[prost(bytes = "vec", tag = "1")]
    pub merchant: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub expires_at: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct PayerProof {
    #[prost(bytes = "vec", tag = "1")]
    pub order: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeviceRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub device: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub expires_at_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeviceGrant {
    #[prost(string, tag = "1")]
    pub relay: String,
    #[prost(bytes = "vec", tag = "2")]
    pub certificate: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub log: Option<AccountLog>,
}

#[derive(Clone, PartialEq, Message)]
pub struct VerifyCode {
    #[prost(bytes = "vec", tag = "1")]
    pub account: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub head: Option<LogHead>,
    #[prost(bytes = "vec", tag = "3")]
    pub peer: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    pub peer_head: Option<LogHead>,
}

#[derive(Clone, PartialEq, Message)]
pub struct BillCode {
    #[prost(message, optional, tag = "1")]
    pub shop: Option<ContactCode>,
    #[prost(bytes = "vec", tag = "2")]
    pub invoice_hash: Vec<u8>,
}
