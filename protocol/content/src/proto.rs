//! The protobuf shapes of `proto/content.proto`, one module per subject. They share one namespace, as they do there.
//! `tests/golden.rs` holds the two against each other.

mod account;
mod invoice;
mod link;
mod message;
mod payment;
mod receipt;
mod signed;

pub use account::*;
pub use invoice::*;
pub use link::*;
pub use message::*;
pub use payment::*;
pub use receipt::*;
pub use signed::*;
