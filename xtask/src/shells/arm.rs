//! The core's own tests on the processor of phones, which an emulator plays.
//!
//! It is Linux with glibc all the same, and not Android or iOS; and what the emulator does to the order in which two threads
//! see memory is no evidence of what a phone does.

use std::process::Command;

use super::install;
use crate::house::{House, Result};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const PACKAGES: [&str; 3] = ["qemu-user-static", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];
const CORE: [&str; 6] =
    ["comptoir-engine", "comptoir-client", "comptoir-sqlcipher", "comptoir-qr", "comptoir-content", "comptoir-wire"];

/// `cargo test` of the core under the emulator. An error is why this machine cannot have one.
pub(crate) fn cargo_test(house: &House) -> Result<Command> {
    install::rustup_targets(house, &[TARGET])?;
    install::apt_get(&PACKAGES)?;
    let mut cargo = house.cargo();
    cargo.args(["test", "--no-fail-fast", "--target", TARGET]);
    for package in CORE {
        cargo.args(["--package", package]);
    }
    cargo.arg("--config").arg(format!("target.{TARGET}.linker='aarch64-linux-gnu-gcc'"));
    // It finds the C library where Debian's package puts it.
    cargo
        .arg("--config")
        .arg(format!("target.{TARGET}.runner=['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu']"));
    Ok(cargo)
}
