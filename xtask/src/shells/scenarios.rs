//! The scenarios of `tests/scenarios`, played by a driver in another language, and the example of its documentation.

use std::fs;
use std::process::{Command, Stdio};

use super::{Missed, Outcome, Passed};
use crate::house::{House, Result};

/// Plays all scenarios with the driver, and runs the example. Each is a check.
pub(super) fn play(house: &House, driver: &Command, example: &Command) -> Outcome {
    let mut player = Command::new(house.target.join("debug/scenarios"));
    hand_over(&mut player, driver);
    let played = player.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let played = played.map_err(|error| format!("starting the player of scenarios: {error}"))?;
    let told = String::from_utf8_lossy(&played.stdout);
    let failures: Vec<&str> = told.lines().filter(|line| !line.ends_with(" ... ok")).collect();
    let scenarios = u32::try_from(told.lines().filter(|line| line.ends_with(" ... ok")).count()).unwrap_or(u32::MAX);
    if !played.status.success() || scenarios == 0 {
        return Err(Missed::Failed(failures.join("\n")));
    }

    let mut runner = Command::new(house.target.join("debug/scenarios"));
    runner.arg("example");
    hand_over(&mut runner, example);
    let ran = runner.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let ran = ran.map_err(|error| format!("starting the player of scenarios: {error}"))?;
    if !ran.status.success() {
        return Err(Missed::Failed(String::from_utf8_lossy(&ran.stdout).trim().to_owned()));
    }
    Ok(Passed { checks: scenarios + 1, note: format!("{scenarios} scenarios, and the example of its documentation") })
}

/// A program with its arguments and environment, as arguments and environment of another one.
fn hand_over(player: &mut Command, program: &Command) {
    player.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => player.env(name, value),
            None => player.env_remove(name),
        };
    }
}

/// The program that stands in `docs/sdk/<language>.md`, as it stands there.
pub(super) fn example_of(house: &House, language: &str) -> Result<String> {
    let path = house.root.join(format!("docs/sdk/{language}.md"));
    let page = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    let code = code_of(&page, language);
    code.ok_or_else(|| format!("{} has no example: a block of code that begins with ```{language}", path.display()))
}

fn code_of(page: &str, language: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("```{language}\n"))?;
    Some(rest.split_once("```")?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_first_block_of_its_language() {
        let page = "# Kotlin\n```sh\nls\n```\n```kotlin\nfun main() {}\n```\nMore.\n```kotlin\nother()\n```\n";
        assert_eq!(code_of(page, "kotlin").as_deref(), Some("fun main() {}\n"));
        assert_eq!(code_of(page, "swift"), None);
    }
}
