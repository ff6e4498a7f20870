//! What a shop asks to be paid: lines, their sum, what it needs to know, and where the money may go.

use prost::{Enumeration, Message};

use super::Payee;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum LineKind {
    Unspecified = 0,
    Item = 1,
    Tax = 2,
    Shipping = 3,
    Discount = 4,
    Tip = 5,
}

#[derive(Clone, PartialEq, Message)]
pub struct Line {
    #[prost(string, tag = "1")]
    pub label: String,
    #[prost(uint32, tag = "2")]
    pub quantity: u32,
    #[prost(int64, tag = "3")]
    pub unit_minor: i64,
    #[prost(enumeration = "LineKind", tag = "4")]
    pub kind: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Invoice {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub merchant: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub term: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub invoice: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub audience: Vec<u8>,
    #[prost(bool, tag = "6")]
    pub live: bool,
    #[prost(int64, tag = "7")]
    pub issued_at_ms: i64,
    #[prost(int64, tag = "8")]
    pub expires_at_ms: i64,
    #[prost(string, tag = "9")]
    pub currency: String,
    #[prost(uint32, tag = "10")]
    pub exponent: u32,
    #[prost(string, tag = "11")]
    pub title: String,
    #[prost(string, tag = "12")]
    pub description: String,
    #[prost(message, repeated, tag = "13")]
    pub lines: Vec<Line>,
    #[prost(int64, tag = "14")]
    pub total_minor: i64,
    #[prost(bool, tag = "15")]
    pub needs_name: bool,
    #[prost(bool, tag = "16")]
    pub needs_phone: bool,
    #[prost(bool, tag = "17")]
    pub needs_email: bool,
    #[prost(bool, tag = "18")]
    pub needs_address: bool,
    #[prost(int64, tag = "19")]
    pub tip_max_minor: i64,
    #[prost(int64, repeated, tag = "20")]
    pub tips_minor: Vec<i64>,
    #[prost(uint32, tag = "21")]
    pub max_payments: u32,
    #[prost(bytes = "vec", tag = "22")]
    pub terms_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "23")]
    pub payload: Vec<u8>,
    #[prost(message, repeated, tag = "24")]
    pub payees: Vec<Payee>,
}
