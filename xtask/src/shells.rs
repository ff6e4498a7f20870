//! Steps that need the toolchains of phones: each brings what it needs, builds, runs and looks.
//!
//! `cargo xtask test` runs them after the tests of the workspace. What a machine cannot have makes a step skip and say
//! so, never fail; a clone without root or network is still a clone that can be worked on.

pub(crate) mod arm;
mod cache;
pub(crate) mod install;
mod kotlin;
mod phones;
mod python;
mod scenarios;
mod swift;

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::house::{House, Result};

/// How a step ended. What `?` finds wrong inside a step fails it; `.map_err(Missed::Skipped)?` skips it.
pub(crate) type Outcome = std::result::Result<Passed, Missed>;

/// A step that found everything as it should be.
pub(crate) struct Passed {
    /// How many things it looked at.
    pub(crate) checks: u32,
    /// What was seen, in a few words.
    pub(crate) note: String,
}

pub(crate) enum Missed {
    Failed(String),
    /// Nothing is wrong, but this machine cannot tell.
    Skipped(String),
}

impl From<String> for Missed {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

type Step = fn(&House) -> Outcome;

/// In this order. A name is one word, since it stands in the line of what was skipped.
const STEPS: [(&str, Step); 5] = [
    ("python", python::step),
    ("kotlin", kotlin::step),
    ("swift", swift::step),
    ("ios", phones::ios),
    ("android", phones::android),
];

/// Runs those that are named, or all of them, whatever becomes of one.
pub(crate) fn run(house: &House, names: &[String]) -> Vec<(&'static str, Outcome)> {
    let is_asked = |name: &str| names.is_empty() || names.iter().any(|asked| asked == name);
    STEPS.into_iter().filter(|(name, _)| is_asked(name)).map(|(name, step)| (name, take(house, name, step))).collect()
}

pub(crate) fn names() -> [&'static str; STEPS.len()] {
    STEPS.map(|(name, _)| name)
}

/// What a bench needs of the toolchains here: the programs of `benches/languages`, each as its name and arguments; the library
/// for phones, behind the program that strips it. What cannot be built here is left out, with a line.
pub(crate) fn bench(house: &House, bench: &str) -> Vec<(&'static str, Vec<String>)> {
    type Build = fn(&House) -> std::result::Result<Vec<String>, Missed>;
    let builds: &[(&str, Build)] = match bench {
        "languages" => &[("python", python::bench), ("kotlin", kotlin::bench), ("swift", swift::bench)],
        "binary" => &[("phone", phones::bench)],
        _ => &[],
    };
    let built = builds.iter().filter_map(|(name, build)| match build(house) {
        Ok(program) => Some((*name, program)),
        Err(Missed::Failed(why) | Missed::Skipped(why)) => {
            println!("xtask: {name} is not measured: {why}");
            None
        }
    });
    built.collect()
}

fn take(house: &House, name: &str, step: Step) -> Outcome {
    println!("xtask: {name}");
    let started = Instant::now();
    let outcome =
        if cfg!(target_os = "linux") { step(house) } else { Err(Missed::Skipped("works on Linux only".to_owned())) };
    let seconds = started.elapsed().as_secs();
    match &outcome {
        Ok(Passed { checks, note }) => println!("xtask: {name}: {checks} passed in {seconds} s: {note}"),
        Err(Missed::Failed(why)) => println!("xtask: {name}: FAILED after {seconds} s: {why}"),
        Err(Missed::Skipped(why)) => println!("xtask: {name}: skipped: {why}"),
    }
    outcome
}

/// Writes a file, with its folder. One that is as it should be is left alone, so that nothing is built again because of it.
fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let io = |error| format!("writing {}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    fs::write(path, text).map_err(io)
}
