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

mod catalogue;
mod config;
mod gateway;
mod init;
mod jobs;
mod operator;
pub mod provider;
mod till;
mod turns;
mod web;

pub use catalogue::{Catalogue, Product};
pub use config::{Config, ConfigError, Providers};
pub use gateway::{Gateway, GatewayError};
pub use init::{InitError, NewShop, init};
pub use operator::{OrderRow, RefundAnswer, call};
