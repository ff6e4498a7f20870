//! The blind relay: it keeps sealed envelopes for devices that are away.
//!
//! It stores what it cannot read, hands it out in a dense sequence per device with its own time of acceptance, and
//! forgets it when the device has acknowledged it. Beside that it gives out key packages, each once; it decides which of
//! two group changes came first; and it keeps account logs whose entries it can check but not write. It depends on
//! `comptoir-wire` and `comptoir-sqlcipher` and can name nothing that people say to each other.
//!
//! Where to look:
//!
//! - [`Config`]: what an operator sets; [`Relay::start`] and [`Running`]: its life (`server.rs`).
//! - `socket/`: one connection: the request, the half that reads, the half that writes.
//! - `hub.rs`: which device is connected; a wake-up is a hint, the data always comes from the store.
//! - `push/`: wake-ups for devices that are away: empty, few, never on the way of a deposit.
//! - [`RelayStore`] and `store/sqlite/`: the database; [`conformance`] is the contract of every store.
//!
//! One message on its way: Alice's phone sends `Deposit`; `socket/requests.rs` asks the store; the writer thread commits
//! it together with whatever else waits, and only then is it `Accepted`. The hub wakes Bob's connection, whose telling
//! half fetches what comes after the last number it sent. Bob's phone stores it and sends `Ack`; the row is gone.
//!
//! A copy of the database (`relay.db`), taken while the relay is closed or with SQLite's backup, brings a lost relay back,
//! together with the key beside it, `push.key`: under another one no device is woken before it has another endpoint. The copy
//! knows nothing of what happened since, so devices must not go on as if nothing was missing: create an empty file named
//! `RESTORED` in the data directory before the start. The relay draws a new incarnation, which every Welcome carries,
//! gives no key package again that the copy still has, and removes the file.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use comptoir_relay::{Clock, Config, Relay};
//!
//! let dir = tempfile::tempdir()?;
//! let relay = Relay::start(Config::local(dir.path()), Clock::system()).await?;
//! println!("devices dial ws://{}/v1/ws", relay.address());
//! relay.shutdown().await?;
//! # Ok(())
//! # }
//! ```

mod clock;
mod config;
pub mod conformance;
mod disk;
pub mod gate;
mod hub;
mod log_chain;
mod membership;
mod metrics;
mod network;
mod operator;
mod push;
mod server;
mod socket;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use clock::Clock;
pub use config::{Config, ConfigError, ENVIRONMENT_PREFIX, Limits, Push, Quotas, Tls};
pub use membership::between;
pub use server::{Relay, Running, StartError};
pub use store::{
    ABSENCE_MS, AHEAD_MS_MAX, Appended, Commit, Created, Device, DueWakeUps, Expired, Health, Knocked, LogHead,
    Mailbox, Opening, QuotaKey, REMIND_MS, Rate, RelayStore, Removed, Retention, Sender, Spend, Spent, SqliteStore,
    StoreError, WakeUp,
};

/// A random number below `end`, to spread devices over time.
fn below(end: u64) -> u64 {
    random::<8>().map_or(end / 2, |bytes| u64::from_be_bytes(bytes) % end.max(1))
}

/// Bytes from the operating system's generator.
fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    use ring::rand::{SecureRandom, SystemRandom};

    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|error| StoreError::Failed { doing: "drawing random bytes", source: error.to_string().into() })?;
    Ok(bytes)
}
