//! What payer and till say to each other about one attempt to pay.

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub struct OrderInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub phone: String,
    #[prost(string, tag = "3")]
    pub email: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct OrderPlaced {
    #[prost(bytes = "vec", tag = "1")]
    pub invoice: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub invoice_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub order: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub payment: Vec<u8>,
    #[prost(uint32, tag = "5")]
    pub attempt: u32,
    #[prost(bytes = "vec", tag = "6")]
    pub payer_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub proof: Vec<u8>,
    #[prost(int64, tag = "8")]
    pub tip_minor: i64,
    #[prost(string, tag = "9")]
    pub provider: String,
    #[prost(message, optional, tag = "10")]
    pub info: Option<OrderInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PaymentAnswer {
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
    pub invoice_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub order: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    pub payment: Vec<u8>,
    #[prost(uint32, tag = "9")]
    pub attempt: u32,
    #[prost(int64, tag = "10")]
    pub issued_at_ms: i64,
    #[prost(oneof = "PaymentAnswerBody", tags = "16, 17, 18")]
    pub body: Option<PaymentAnswerBody>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum PaymentAnswerBody {
    #[prost(message, tag = "16")]
    Requested(PaymentRequested),
    #[prost(message, tag = "17")]
    Checking(Checking),
    #[prost(message, tag = "18")]
    NotPaid(NotPaid),
}

#[derive(Clone, PartialEq, Message)]
pub struct PaymentRequested {
    #[prost(string, tag = "1")]
    pub provider: String,
    #[prost(string, tag = "2")]
    pub account: String,
    #[prost(int64, tag = "3")]
    pub amount_minor: i64,
    #[prost(string, tag = "4")]
    pub currency: String,
    #[prost(uint32, tag = "5")]
    pub exponent: u32,
    #[prost(int64, tag = "6")]
    pub expires_at_ms: i64,
    #[prost(oneof = "PaymentRequestedHandoff", tags = "16, 17")]
    pub handoff: Option<PaymentRequestedHandoff>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum PaymentRequestedHandoff {
    #[prost(string, tag = "16")]
    PageUrl(String),
    #[prost(message, tag = "17")]
    Sdk(SdkSecret),
}

#[derive(Clone, PartialEq, Message)]
pub struct SdkSecret {
    #[prost(string, tag = "1")]
    pub publishable_key: String,
    #[prost(string, tag = "2")]
    pub client_secret: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Checking {}

#[derive(Clone, PartialEq, Message)]
pub struct NotPaid {
    #[prost(string, tag = "1")]
    pub reason: String,
    #[prost(string, tag = "2")]
    pub words: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct AskPayment {
    #[prost(bytes = "vec", tag = "1")]
    pub order: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub payment: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub attempt: u32,
}
