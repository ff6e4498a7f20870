//! What proves a payment, what its holder may disclose of it, and money given back.

use prost::{Enumeration, Message};

use super::{AccountLog, Line, Signed};

#[derive(Clone, PartialEq, Message)]
pub struct Receipt {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub merchant: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub term: u64,
    #[prost(bool, tag = "4")]
    pub live: bool,
    #[prost(bytes = "vec", tag = "5")]
    pub invoice_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub order: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub payer_key: Vec<u8>,
    #[prost(int64, tag = "8")]
    pub amount_minor: i64,
    #[prost(string, tag = "9")]
    pub currency: String,
    #[prost(uint32, tag = "10")]
    pub exponent: u32,
    #[prost(int64, tag = "11")]
    pub issued_at_ms: i64,
    #[prost(bytes = "vec", tag = "12")]
    pub previous: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "13")]
    pub digests: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ReceiptPart {
    Unspecified = 0,
    Lines = 1,
    OrderInfo = 2,
    Evidence = 3,
    Terms = 4,
}

#[derive(Clone, PartialEq, Message)]
pub struct Disclosure {
    #[prost(enumeration = "ReceiptPart", tag = "1")]
    pub part: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub salt: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Lines {
    #[prost(string, tag = "1")]
    pub title: String,
    #[prost(message, repeated, tag = "2")]
    pub lines: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Evidence {
    #[prost(string, tag = "1")]
    pub provider: String,
    #[prost(string, tag = "2")]
    pub account: String,
    #[prost(string, tag = "3")]
    pub provider_payment: String,
    #[prost(string, tag = "4")]
    pub method: String,
    #[prost(int64, tag = "5")]
    pub paid_at_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Terms {
    #[prost(bytes = "vec", tag = "1")]
    pub terms_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReceiptFile {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(message, optional, tag = "2")]
    pub receipt: Option<Signed>,
    #[prost(message, repeated, tag = "3")]
    pub disclosures: Vec<Disclosure>,
    #[prost(message, optional, tag = "4")]
    pub log: Option<AccountLog>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Refund {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub merchant: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub term: u64,
    #[prost(bool, tag = "4")]
    pub live: bool,
    #[prost(bytes = "vec", tag = "5")]
    pub payer_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub order: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub receipt_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    pub refund: Vec<u8>,
    #[prost(int64, tag = "9")]
    pub amount_minor: i64,
    #[prost(int64, tag = "10")]
    pub refunded_minor: i64,
    #[prost(string, tag = "11")]
    pub currency: String,
    #[prost(uint32, tag = "12")]
    pub exponent: u32,
    #[prost(int64, tag = "13")]
    pub issued_at_ms: i64,
}
