//! Payment providers through their public door: literal answers, Stripe's published schema, Stripe's own library, a
//! stand-in server that others wrote, our practice provider, and the engine behind it all.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

mod bakery;
mod engine;
mod http;
mod peer;
mod sandbox_answers;
mod sandbox_server;
mod stripe_answers;
mod stripe_peer;
mod stripe_schema;
mod stripe_signature;
mod webhooks;
