//! A practice payment provider: an HTTP server that behaves like a real one, with cards that approve, decline, ask
//! 3-D Secure, leave the outcome unknown, and with webhooks that come late, twice, out of order or never.
//!
//! It exists so that a gateway can be tried against something that forgets nothing and misbehaves on purpose. The rules
//! live in `world`, which knows neither sockets nor files nor clocks; `store` writes every change to disk before it is
//! answered; `api` and `pay` are the doors; `webhooks` is the one task that calls out. `terminal` is for the other side
//! of `pay`: payers without a browser. The interface is described in `docs/sandbox.md`. No money ever moves, and no real
//! card number is ever kept.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! use comptoir_sandbox::{Config, Sandbox};
//!
//! let config = Config::new("127.0.0.1:0".parse()?, "sk_test_bakery");
//! let sandbox = Sandbox::start(config).await?;
//! println!("practice payments at {}", sandbox.url());
//! sandbox.shutdown().await;
//! # Ok(())
//! # })
//! # }
//! ```

mod api;
mod cards;
mod config;
mod counter;
mod fields;
mod html;
mod http;
mod money;
mod pay;
mod refused;
mod secrets;
mod server;
mod store;
mod terminal;
mod webhooks;
mod world;

pub use cards::{PRACTICE_CARDS, PracticeCard};
pub use config::{Clock, Config, Webhook};
pub use counter::{Answer, Counter};
pub use server::{Sandbox, StartError};
pub use terminal::{PageAnswer, answer_bank, type_card};
