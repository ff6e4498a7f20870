//! What is said in a thread. Every other subject rides in [`ContentBody`], beside a fallback for readers that do not
//! know it.

use prost::{Message, Oneof};

use super::{AskPayment, LogHead, OrderPlaced, ReceiptFile, Signed};

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
    #[prost(oneof = "ContentBody", tags = "16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28")]
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
    #[prost(message, tag = "27")]
    Token(Token),
    #[prost(message, tag = "28")]
    AskBill(AskBill),
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
pub struct Token {
    #[prost(bytes = "vec", tag = "1")]
    pub token: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AskBill {
    #[prost(bytes = "vec", tag = "1")]
    pub invoice_hash: Vec<u8>,
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
