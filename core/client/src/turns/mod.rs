//! The turns: each loads rows, asks the engine, and writes rows and what must be sent. The actor commits, then acts.

pub(crate) mod account;
pub(crate) mod answered;
pub(crate) mod checkout;
pub(crate) mod contacts;
pub(crate) mod flush;
pub(crate) mod gates;
pub(crate) mod held;
pub(crate) mod members;
pub(crate) mod push;
pub(crate) mod receive;
pub(crate) mod renewal;
pub(crate) mod resend;
pub(crate) mod send;
pub(crate) mod wake;
