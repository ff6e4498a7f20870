//! Brings what a step needs, by the names of packages and through the machine's own package managers. What is there is
//! left alone; what cannot be had is a sentence for whoever reads why a step was skipped.

use std::env;
use std::process::{Command, Stdio};

use crate::house::{House, Result, output};

/// Installs those Debian packages that are missing.
pub(crate) fn apt_get(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_there("apt-get") {
        return Err(format!("needs {names}, under Debian's names, and this machine has no apt-get"));
    }
    if !is_root() {
        return Err(format!("needs root, or `apt-get install {names}` by somebody who is"));
    }
    println!("xtask: installing {names}");
    let mut install = apt("install");
    install.arg("--no-install-recommends").args(&missing);
    // The lists may be missing or name versions that are gone. That is seen by trying.
    if output(&mut install).is_err() {
        output(&mut apt("update")).map_err(|why| format!("needs {names}: {why}"))?;
        output(&mut install).map_err(|why| format!("needs {names}: {why}"))?;
    }
    Ok(())
}

/// Adds the standard library of these targets to the toolchain that builds us.
pub(crate) fn rustup_targets(house: &House, targets: &[&str]) -> Result<()> {
    let names = targets.join(" ");
    if !is_there("rustup") {
        return Err(format!("needs rustup, to add the Rust targets {names}"));
    }
    let rustup = || {
        let mut rustup = Command::new("rustup");
        rustup.current_dir(&house.root).stdin(Stdio::null()).arg("target");
        rustup
    };
    let installed = output(rustup().args(["list", "--installed"]))?;
    let installed = String::from_utf8_lossy(&installed);
    if targets.iter().all(|target| installed.lines().any(|line| line.trim() == *target)) {
        return Ok(());
    }
    println!("xtask: adding the Rust targets {names}");
    output(rustup().arg("add").args(targets)).map_err(|why| format!("needs the Rust targets {names}: {why}")).map(drop)
}

pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim_ascii() == b"0")
}

pub(crate) fn is_there(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", package]).stderr(Stdio::null());
    output(&mut query).is_ok_and(|status| status == b"installed")
}

fn apt(verb: &str) -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    // Somebody else's apt is waited for.
    apt.args(["--quiet", "--yes", "--option", "DPkg::Lock::Timeout=300"]).arg(verb);
    apt
}
