//! `storm`: builds the simulation fast and with its crash points, and plays as many seeds as one likes.

use crate::house::{House, Result};

pub(crate) fn run(house: &House, from: u64, seeds: u64, jobs: u64, steps: u64) -> Result<bool> {
    let mut build = house.cargo();
    build.args(["build", "--profile", "storm", "--package", "comptoir-tests", "--bin", "storm"]);
    if !build.status().map_err(|error| format!("building the storm: {error}"))?.success() {
        return Ok(false);
    }
    let program = house.target.join("storm").join("storm");
    let mut storm = std::process::Command::new(&program);
    for (name, value) in [("--from", from), ("--seeds", seeds), ("--jobs", jobs), ("--steps", steps)] {
        storm.args([name, &value.to_string()]);
    }
    let status = storm.status().map_err(|error| format!("running {}: {error}", program.display()))?;
    Ok(status.success())
}
