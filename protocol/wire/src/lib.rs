//! What a relay may see.
//!
//! A relay is a blind mailbox server. This crate is everything it shares with a client: the frames of the WebSocket
//! subprotocol `relay.v1` ([`Request`], [`Reply`]), the sealed [`Envelope`], the links of an account log, and the sizes
//! both hold to ([`limits`]). There is no word here about people, money or text; those are sealed inside
//! [`Envelope::sealed`] and belong to `comptoir-content`.
//!
//! Frames are protobuf (`proto/relay.proto`, published for other implementations). [`Request::decode`] and
//! [`Reply::decode`] check every length before anything is kept: what they return can be trusted to have the right
//! shape, and nothing more.
//!
//! ```
//! use comptoir_wire::{DeviceId, Request};
//!
//! let frame = Request::Ack { upto_seq: 41 }.encode(7);
//! assert_eq!(Request::decode(&frame), Ok((7, Request::Ack { upto_seq: 41 })));
//! assert!(Request::decode(b"\xff not a frame").is_err());
//! ```

mod frames;
mod ids;
pub mod limits;
mod proto;
mod signing;

pub use frames::{
    Claimed, CommitToken, DepositOutcome, DepositStatus, Envelope, EnvelopeKind, ErrorCode, Gate, Item, KeySignature,
    Limits, LogSlice, NewAccount, NextKey, OrderStatus, Ordered, Pass, PushEndpoint, Refusal, Reply, Request,
    SignedEntry, Welcome, frame_id,
};
pub use ids::{AccountId, ConversationId, DeviceId, Incarnation, Uid, WireError};
pub use signing::{
    AUTH_CONTEXT, LOG_CONTEXT, NEXT_KEY_CONTEXT, REMOVE_DEVICE_CONTEXT, auth_bytes, auth_input, next_key_bytes,
    remove_device_bytes, signature_input,
};
