//! What stands in a code that people scan.

use prost::Message;

use super::{AccountKind, LogHead};

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
