//! The core that a shell drives.
//!
//! ```text
//! shell ──► façade (Client) ──► actor: the one writer ──► turn ──► engine::step
//!             ▲   views on read-only connections   │        one transaction: rows, ratchets, outbox
//!             └──────── changes ◄──────────────────┤ commit, then act
//!                                                  └──► link: a WebSocket to the relay
//! ```
//!
//! The world changes only by **turns**: load rows, ask the engine, write rows and whatever must be sent in one
//! transaction, commit, and only then act. Nothing leaves the device that is not on its disk, and nothing is acknowledged
//! before it is. There is no decision in this crate: what branches on meaning is in `comptoir-engine`.

mod actor;
mod changes;
mod client;
mod crash;
mod error;
pub mod headless;
mod link;
mod random;
mod store;
mod turns;
mod vault;
mod views;

pub use changes::{Changes, Status};
pub use client::{Client, Config};
pub use comptoir_engine::checkout::{SheetHint, State as PaymentState};
pub use error::ClientError;
pub use vault::{FileVault, KeyVault, VaultError};
pub use views::{
    Bubble, ChatRow, CheckoutView, Connection, Contact, Identity, LineView, LinkGrant, LinkRequest, Page, PayChoice,
    Peer, QuickReplyView, ReceiptRow, Sheet, View,
};
