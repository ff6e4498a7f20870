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
//! use comptoir_client::{BubbleState, Client, Config, FileVault, Place, View};
//!
//! # let home = tempfile::tempdir()?;
//! # let home = home.path();
//! # let open = |name: &str| {
//! #     let vault = Arc::new(FileVault::new(home.join(format!("{name}.key"))));
//! #     Client::open(Config { dir: home.join(name), vault, sheet: None, push: None })
//! # };
//! // A folder of one's own, and a vault that keeps its key.
//! let vault = Arc::new(FileVault::new(home.join("alice.key")));
//! let alice = Client::open(Config { dir: home.join("alice"), vault, sheet: None, push: None })?;
//! alice.create_account("ws://127.0.0.1:1").await?;
//! # let bob = open("bob")?;
//! # bob.create_account("ws://127.0.0.1:1").await?;
//! # let bobs_code = bob.identity()?.ok_or("no account")?.link;
//!
//! // Scanned from Bob's screen. On Alice's disk when this returns; at the relay when it can be reached.
//! let chat = alice.add_contact(&bobs_code).await?;
//! alice.send_text(chat, "Bonjour", None).await?;
//! let page = alice.page(chat, Place::Newest, 50)?;
//! assert_eq!((page.bubbles[0].text.as_str(), page.bubbles[0].state), ("Bonjour", BubbleState::Queued));
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
mod alive;
mod changes;
mod error;
mod facade;
pub mod headless;
mod link;
mod random;
mod readers;
mod reads;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod turns;
mod vault;

pub use changes::{Changes, View};
pub use comptoir_engine::checkout::{SheetHint, State as PaymentState};
pub use facade::*;
pub use vault::FileVault;
