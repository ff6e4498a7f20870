//! `bench`: builds the benches and the program as people get it, and runs them on the disk that holds the target folder.

use crate::house::{House, Result};
use crate::shells;

pub(crate) fn run(house: &House, names: &[String], quick: bool, json: bool) -> Result<bool> {
    let mut build = house.cargo();
    // Both in one build, so that what they have in common is built once.
    build.args(["build", "--release", "--package", "comptoir-benches", "--package", "comptoir-cli"]);
    let broken = |error| format!("building the benches: {error}");
    if !build.status().map_err(broken)?.success() {
        return Ok(false);
    }
    let is_asked = |bench: &&str| !quick && (names.is_empty() || names.iter().any(|name| name == bench));
    let programs =
        ["languages", "binary"].iter().filter(|bench| is_asked(bench)).flat_map(|bench| shells::bench(house, bench));
    let program = house.target.join("release").join("comptoir-benches");
    let mut bench = std::process::Command::new(&program);
    bench.args(names).arg("--dir").arg(house.target.join("bench"));
    for (name, program) in programs {
        let told = serde_json::to_string(&program).map_err(|error| format!("naming a program: {error}"))?;
        bench.env(format!("COMPTOIR_BENCH_{}", name.to_uppercase()), told);
    }
    bench.args(quick.then_some("--quick")).args(json.then_some("--json"));
    let status = bench.status().map_err(|error| format!("running {}: {error}", program.display()))?;
    Ok(status.success())
}
