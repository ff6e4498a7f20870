//! The rules through the engine's public door, one file for each subject.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

mod accounts;
mod bakery;
mod checkouts;
mod groups;
mod inbox;
mod interop;
mod invoices;
mod orders;
mod paying;
mod payments;
mod peer;
mod profiles;
mod refunds;
mod verifying;
