//! The envelope of everything signed: the exact bytes, who signed, and the signature.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Signed {
    #[prost(bytes = "vec", tag = "1")]
    pub object: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub signer: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
}
