//! The relay through real sockets and real database files.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

mod abuse;
mod accounts;
mod life;
mod mail;
mod order;
mod store;
mod support;
