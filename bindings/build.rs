//! How the library for phones is linked.

fn main() {
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(target.as_str(), "linux" | "android") {
        // A symbol that nothing provides is an error here, not on somebody's phone.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,defs");
    }
    if target == "android" {
        // Phones with memory pages of 16 KiB load nothing that is aligned to less.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,max-page-size=16384");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,common-page-size=16384");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
