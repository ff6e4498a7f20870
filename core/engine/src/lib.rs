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
pub mod order;
pub mod outbox;
pub mod payment;
pub mod profile;
pub mod receipt;
mod refused;
pub mod session;

pub use refused::Refused;
