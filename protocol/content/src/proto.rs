//! The protobuf shapes of `proto/content.proto`. `tests/proto.rs` holds the two against each other.
use prost::{Enumeration, Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub struct Content {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub uid: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub sent_at_ms: i64,
    #[prost(string, tag = "4")]
    pub fallback: String,
    #[prost(message, optional, tag = "5")]
    pub basis: Option<Basis>,
    #[prost(message, optional, tag = "6")]
    pub head: Option<LogHead>,
    #[prost(oneof = "ContentBody", tags = "16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26")]
    pub body: Option<ContentBody>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum ContentBody {
    #[prost(message, tag = "16")]
    Text(Text),
    #[prost(message, tag = "17")]
    Marks(Marks),
    #[prost(message, tag = "18")]
    Tap(Tap),
    #[prost(message, tag = "19")]
    Card(Card),
    #[prost(message, tag = "20")]
    Hello(Hello),
    #[prost(message, tag = "21")]
    Invoice(Signed),
    #[prost(message, tag = "22")]
    OrderPlaced(OrderPlaced),
    #[prost(message, tag = "23")]
    PaymentAnswer(Signed),
    #[prost(message, tag = "24")]
    AskPayment(AskPayment),
    #[prost(message, tag = "25")]
    Receipt(ReceiptFile),
    #[prost(message, tag = "26")]
    Refund(Signed),
}

#[derive(Clone, PartialEq, Message)]
pub struct Basis {
    #[prost(oneof = "BasisBody", tags = "1, 2, 3")]
    pub body: Option<BasisBody>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum BasisBody {
    #[prost(bytes = "vec", tag = "1")]
    Action(Vec<u8>),
    #[prost(bytes = "vec", tag = "2")]
    Order(Vec<u8>),
    #[prost(bytes = "vec", tag = "3")]
    Token(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub struct LogHead {
    #[prost(uint64, tag = "1")]
    pub len: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Text {
    #[prost(string, tag = "1")]
    pub body: String,
    #[prost(bytes = "vec", tag = "2")]
    pub reply_to: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    pub quick_replies: Vec<QuickReply>,
}

#[derive(Clone, PartialEq, Message)]
pub struct QuickReply {
    #[prost(string, tag = "1")]
    pub title: String,
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Marks {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub delivered: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "2")]
    pub read_upto: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Tap {
    #[prost(bytes = "vec", tag = "1")]
    pub on: Vec<u8>,
    #[prost(string, tag = "2")]
    pub title: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Card {
    #[prost(string, tag = "1")]
    pub title: String,
    #[prost(string, tag = "2")]
    pub subtitle: String,
    #[prost(message, optional, tag = "3")]
    pub price: Option<Amount>,
    #[prost(message, repeated, tag = "4")]
    pub buttons: Vec<QuickReply>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    #[prost(message, optional, tag = "1")]
    pub profile: Option<Signed>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Amount {
    #[prost(int64, tag = "1")]
    pub minor: i64,
    #[prost(string, tag = "2")]
    pub currency: String,
    #[prost(uint32, tag = "3")]
    pub exponent: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Signed {
    #[prost(bytes = "vec", tag = "1")]
    pub object: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub signer: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
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
