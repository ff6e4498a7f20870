//! A merchant's till: a headless client that sells, and the payment providers it is paid through.
//!
//! ```text
//! customer's message ──► client's inbox ──► turn (till.rs, one transaction) ──► act: call the provider
//! provider's webhook ──► verified, stored ──► a read is due ──► act: read ──► turn payment_moved
//!                                                              │ ledger + signed receipt + outgoing message: one commit
//! ```
//!
//! The till decides nothing: `comptoir_engine::order` says whether an order is taken, `comptoir_engine::payment` what an
//! answer of a provider means. Providers' own words stay in [`provider`]. Everything that must happen is a row before it
//! happens, so a till that is killed goes on where it was.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use comptoir_gateway::{NewShop, init};
//!
//! # let home = tempfile::tempdir()?;
//! # let dir = home.path().join("bakery");
//! # std::fs::create_dir_all(&dir)?;
//! # std::fs::write(dir.join("catalogue.toml"), "greeting = 'Bonjour!'\ncurrency = 'EUR'\n\
//! #     [[product]]\nid = 'croissant'\ntitle = 'Croissant'\nprice_minor = 120\n")?;
//! # std::fs::write(dir.join("gateway.toml"), "listen = '127.0.0.1:0'\n[providers.sandbox]\nurl = 'http://127.0.0.1:1'\n\
//! #     account = 'the-bakery'\nsecret_key_file = 'key'\nwebhook_secret_file = 'webhook'\n")?;
//! # for file in ["key", "webhook"] {
//! #     std::fs::write(dir.join(file), "practice_secret")?;
//! #     #[cfg(unix)]
//! #     std::fs::set_permissions(dir.join(file), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
//! # }
//! // `dir` holds `gateway.toml` (where webhooks come in, which providers) and `catalogue.toml` (what is sold).
//! let shop = NewShop {
//!     name: "The Bakery".to_owned(),
//!     about: "Bread since 1907".to_owned(),
//!     relay: "ws://127.0.0.1:1".to_owned(),
//!     owner_key: home.path().join("owner.key"), // to be taken offline
//! };
//! let link = init(&dir, &shop, None).await?;
//! assert!(link.starts_with("COMPTOIR:"), "the code to print on the counter");
//! # Ok(())
//! # }
//! ```

mod catalogue;
mod config;
mod gateway;
mod init;
mod jobs;
mod operator;
pub mod provider;
mod refusal;
#[cfg(feature = "testing")]
pub mod testing;
mod till;
mod turns;
mod web;

pub use catalogue::{Catalogue, Product};
pub use config::{Config, ConfigError, Providers};
pub use gateway::{Gateway, GatewayError};
pub use init::{InitError, NewShop, init};
pub use operator::{
    BillAnswer, BillAsk, BillLine, Books, OrderRow, PayerAsked, RedeemAnswer, RedeemAsk, RefundAnswer, call,
};
