//! The generator of the version that the library is built with. `cargo xtask bindings` calls it.

fn main() {
    uniffi::uniffi_bindgen_main();
}
