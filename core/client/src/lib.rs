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
//!
//! Everything works without the relay too; what is said then goes out when it can be reached.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use comptoir_client::{Client, Config, FileVault, View};
//!
//! # let home = tempfile::tempdir()?;
//! # let home = home.path();
//! # let open = |name: &str| {
//! #     let vault = Arc::new(FileVault::new(home.join(format!("{name}.key"))));
//! #     Client::open(Config { dir: home.join(name), vault, clock: None, extension: None })
//! # };
//! // A folder of one's own, and a vault that keeps its key.
//! let vault = Arc::new(FileVault::new(home.join("alice.key")));
//! let alice = Client::open(Config { dir: home.join("alice"), vault, clock: None, extension: None })?;
//! alice.create_account("ws://127.0.0.1:1").await?;
//! # let bob = open("bob")?;
//! # bob.create_account("ws://127.0.0.1:1").await?;
//! # let bobs_code = bob.identity()?.ok_or("no account")?.link;
//!
//! // Scanned from Bob's screen. On Alice's disk when this returns; at the relay when it can be reached.
//! let chat = alice.add_contact(&bobs_code).await?;
//! alice.send_text(chat, "Bonjour").await?;
//! let page = alice.page(chat, None, 50)?;
//! assert_eq!((page.bubbles[0].text.as_str(), page.bubbles[0].state.as_str()), ("Bonjour", "queued"));
//!
//! // A screen reads what it shows, and reads again what a change names.
//! let mut changes = alice.changes();
//! assert_eq!(changes.next().await, Some(View::Reset));
//!
//! // An error says what to do, and has a stable code.
//! let error = alice.add_contact(&alice.identity()?.ok_or("no account")?.link).await.unwrap_err();
//! assert_eq!(error.code(), "contact.own_code");
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "uniffi")]
uniffi::setup_scaffolding!("comptoir");

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
