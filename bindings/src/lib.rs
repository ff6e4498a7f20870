//! The library `comptoir` for phones: the façade of `comptoir-client`, and nothing else.
//!
//! Kotlin, Swift and Python are generated from it by `cargo xtask bindings`.

comptoir_client::uniffi_reexport_scaffolding!();
