//! Every decision and every rule, and nothing else.
//!
//! This crate has no clock, no socket, no SQL and no `async`: time and randomness are arguments, effects are values. Each
//! aggregate has one state machine of the same shape, `step(state, input, now) -> Result<Step, Refused>`, with one
//! `match (state, input)`. Whoever runs it (`comptoir-client` for a person, `comptoir-gateway` for a shop) loads rows,
//! calls `step`, writes rows and what must be sent in one transaction, commits, and only then acts.
//!
//! Both halves of a handshake live side by side: [`checkout`] is the customer's, [`order`] and [`payment`] are the
//! shop's.
//!
//! ```
//! use comptoir_content::{Amount, Currency, Timestamp};
//! use comptoir_engine::payment::{Attempt, Input, State, step};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp(1_800_000_000_000);
//! let amount = Amount::parse("1.20", Currency::of("EUR")?)?;
//! // Written down before the provider is called. It does not answer: nobody knows, and the till looks again.
//! let attempt = Attempt::starting(amount, "pay_1.1".to_owned(), "the-bakery".to_owned(), false, now);
//! let step = step(attempt, Input::NoAnswer { random: 0 }, now)?;
//! assert_eq!(step.next.state, State::Unknown);
//! assert!(step.next.wake_at > Some(now) && step.effects.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! One exception is written down here: OpenMLS reads the system clock itself when it checks the lifetime of a key
//! package ([`session`]).

pub mod account;
pub mod checkout;
pub mod consent;
pub mod conversation;
pub mod inbox;
pub mod invoice;
pub mod ledger;
pub mod limits;
pub mod linking;
pub mod order;
pub mod outbox;
pub mod payer;
pub mod payment;
pub mod profile;
pub mod receipt;
mod refused;
pub mod renewal;
pub mod session;
pub mod verify;

pub use refused::Refused;
