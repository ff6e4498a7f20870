//! Python: the wheel is built, installed where nothing else is, and drives the same shop.

use std::process::Command;

use super::{Missed, Outcome, scenarios, write};
use crate::bindings;
use crate::house::House;

pub(crate) fn step(house: &House) -> Outcome {
    let bindings = bindings::make(house, false)?;
    bindings::check_listings(house, &bindings)?;
    // What it lacks is a Python that can make environments, or the network to fill one.
    let python = bindings::wheel(house, &bindings).map_err(Missed::Skipped)?;
    let example = house.target.join("shells/python/example.py");
    write(&example, &scenarios::example_of(house, "python")?)?;

    let run = |program: &std::path::Path| {
        let mut command = Command::new(&python);
        // Only what the wheel brought: not the sources beside which it was started.
        command.arg("-I").arg(program);
        command
    };
    scenarios::play(house, &run(&house.root.join("tests/drivers/driver.py")), &run(&example))
}

/// The bench, with the library as people get it.
pub(super) fn bench(house: &House) -> Result<Vec<String>, Missed> {
    let bindings = bindings::make(house, true)?;
    let bench = house.root.join("benches/languages/bench.py");
    let package = format!("PYTHONPATH={}", bindings.python.display());
    Ok(vec!["env".to_owned(), package, "python3".to_owned(), bench.display().to_string()])
}
