//! `test` and `bless`: everything in one go, with nothing to install by hand.
//!
//! What Cargo and the tests print goes through as it comes. At the end stands what failed and how many passed.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::house::{House, Result};
use crate::python::Environment;
use crate::shells::{self, Missed, Outcome, install};
use crate::tidy;

/// Programs by others that tests talk to: a stand-in for Stripe, Stripe's own library, stock SQLCipher,
/// a reader of QR codes.
const PEERS: [&str; 4] = ["localstripe==1.15.10", "stripe==16.1.0", "sqlcipher3-wheels==0.5.7", "zxing-cpp==3.1.1"];
/// And one that comes as a Debian package: another reader of QR codes.
const ZBAR: &str = "zbar-tools";
/// Set to 1 where everything must have run: a step that is skipped then counts as one that failed.
const NO_SKIPS: &str = "COMPTOIR_NO_SKIPS";

const BROKEN: &str = "xtask: `cargo test` failed before or beside the tests: see above";

pub(crate) fn run(house: &House, cargo_args: &[String], bless: bool) -> Result<bool> {
    let started = Instant::now();
    let is_tidy = if bless { tidy::bless(house)? } else { tidy::run(house)? };

    let mut cargo = house.cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]).args(cargo_args);
    let_in_peers(house, &mut cargo);
    if bless {
        cargo.env("COMPTOIR_BLESS", "1");
    }

    println!("xtask: cargo test --workspace --no-fail-fast {}", cargo_args.join(" "));
    let (mut results, status) = watched(cargo)?;
    let is_built = status.success() || results.failed > 0;
    // Whoever asks for some tests waits for those; and shells of what does not compile say nothing new.
    if cargo_args.is_empty() && !bless && is_built {
        results.add_steps(house, &[]);
    }

    results.print(started.elapsed().as_secs());
    if !is_built {
        println!("{BROKEN}");
    }
    if !is_tidy {
        println!("xtask: the house is not tidy: see above");
    }
    Ok(status.success() && results.failed == 0 && is_tidy)
}

/// Runs the core's tests on an emulated processor.
pub(crate) fn arm(house: &House, cargo_args: &[String]) -> Result<bool> {
    let started = Instant::now();
    let mut cargo = shells::arm::cargo_test(house)?;
    cargo.args(cargo_args);
    let_in_peers(house, &mut cargo);
    let (results, status) = watched(cargo)?;
    results.print(started.elapsed().as_secs());
    if !status.success() && results.failed == 0 {
        println!("{BROKEN}");
    }
    Ok(status.success())
}

/// Runs only the steps of these names.
pub(crate) fn steps(house: &House, names: &[String]) -> Result<bool> {
    let started = Instant::now();
    let mut results = Results::default();
    results.add_steps(house, names);
    results.print(started.elapsed().as_secs());
    Ok(results.failed == 0)
}

/// Says where the peers are. One that is missing fails the tests that need it, and no others.
fn let_in_peers(house: &House, cargo: &mut Command) {
    match Environment::with(house, "peers", &PEERS) {
        Ok(peers) => {
            cargo.env("COMPTOIR_PEER_PYTHON", peers.python()).env_remove("COMPTOIR_PEER_MISSING");
        }
        Err(why) => {
            println!("xtask: the peers of some tests could not be installed: {why}");
            cargo.env("COMPTOIR_PEER_MISSING", why);
        }
    }
    cargo.env_remove("COMPTOIR_ZBAR_MISSING");
    if !install::is_there("zbarimg")
        && let Err(why) = install::apt_get(&[ZBAR])
    {
        println!("xtask: {why}");
        cargo.env("COMPTOIR_ZBAR_MISSING", why);
    }
}

/// Runs `cargo test`, lets through what it prints, and reads along.
fn watched(mut cargo: Command) -> Result<(Results, ExitStatus)> {
    let broken = |error: io::Error| format!("running `cargo test`: {error}");
    // One pipe for both, so that a result stays below the name of what it is the result of.
    let (reader, writer) = io::pipe().map_err(broken)?;
    cargo.stdin(Stdio::null()).stdout(writer.try_clone().map_err(broken)?).stderr(writer);
    let mut child = cargo.spawn().map_err(broken)?;
    // Our own copies of the pipe's end go with it, or the end would never be seen.
    drop(cargo);
    let mut results = Results::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.map_err(broken)?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        io::stdout().flush().map_err(broken)?;
        results.read(&line);
    }
    let status = child.wait().map_err(broken)?;
    Ok((results, status))
}

/// What Cargo's lines add up to.
#[derive(Default)]
struct Results {
    /// What is being tested now.
    target: String,
    targets: u32,
    passed: u32,
    failed: u32,
    ignored: u32,
    /// Tests of the present target that failed.
    failing: Vec<String>,
    /// The lines of what failed: the target, its tests, its result in Cargo's words.
    failures: Vec<String>,
    /// The steps that were skipped, and why.
    skipped: Vec<String>,
}

impl Results {
    fn read(&mut self, line: &str) {
        let plain = without_colour(line);
        let trimmed = plain.trim();
        if let Some(target) = trimmed.strip_prefix("Running ").or_else(|| trimmed.strip_prefix("Doc-tests ")) {
            target.clone_into(&mut self.target);
        } else if let Some(name) = failed_test(trimmed) {
            self.failing.push(format!("    {name}"));
        } else if let Some(result) = trimmed.strip_prefix("test result: ") {
            let count = |what| count(result, what);
            self.targets += 1;
            self.passed += count("passed");
            self.failed += count("failed");
            self.ignored += count("ignored");
            if count("failed") > 0 {
                self.failures.push(self.target.clone());
                self.failures.append(&mut self.failing);
                self.failures.push(format!("    {trimmed}"));
            }
            self.failing.clear();
        }
    }

    fn add_steps(&mut self, house: &House, names: &[String]) {
        let no_skips = env::var_os(NO_SKIPS).is_some_and(|set| set == "1");
        for (name, outcome) in shells::run(house, names) {
            self.add(name, outcome, no_skips);
        }
    }

    fn add(&mut self, step: &str, outcome: Outcome, no_skips: bool) {
        match outcome {
            Ok(passed) => self.passed += passed.checks,
            Err(Missed::Skipped(why)) if !no_skips => self.skipped.push(format!("{step}: {why}")),
            Err(Missed::Skipped(why)) => self.fail(format!("{step}: {why} ({NO_SKIPS} is set, so this must run)")),
            Err(Missed::Failed(why)) => self.fail(format!("{step}: {why}")),
        }
    }

    fn fail(&mut self, failure: String) {
        self.failed += 1;
        self.failures.push(failure);
    }

    fn print(&self, seconds: u64) {
        println!();
        if !self.failures.is_empty() {
            println!("failed:");
            for failure in &self.failures {
                println!("{failure}");
            }
            println!();
        }
        let (targets, ignored) = (self.targets, self.ignored);
        println!("xtask: {targets} test programs in {seconds} s, {ignored} tests ignored");
        if !self.skipped.is_empty() {
            println!("skipped: {}", self.skipped.join("; "));
        }
        println!("{} passed, {} failed", self.passed, self.failed);
    }
}

/// `test a::b ... FAILED`
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// The number before a word: 5 before `passed` in `ok. 5 passed; 0 failed`.
fn count(result: &str, what: &str) -> u32 {
    let words: Vec<&str> = result.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    let number = words.windows(2).find(|pair| pair[1] == what).and_then(|pair| pair[0].parse().ok());
    number.unwrap_or(0)
}

/// The line without the terminal's colours.
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shells::Passed;

    #[test]
    fn results_add_up() {
        let mut results = Results::default();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/comptoir_engine-0a1b)",
            "test outbox::waits_grow ... ok",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m tests/payments.rs (target/debug/deps/payments-0a1b)",
            "test a_late_receipt_still_pays ... \u{1b}[31mFAILED\u{1b}[0m",
            "test result: \u{1b}[31mFAILED\u{1b}[0m. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "   Doc-tests comptoir_content",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            results.read(line);
        }
        assert_eq!((results.targets, results.passed, results.failed, results.ignored), (3, 17, 1, 1));
        assert_eq!(
            results.failures,
            [
                "tests/payments.rs (target/debug/deps/payments-0a1b)",
                "    a_late_receipt_still_pays",
                "    test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            ]
        );
    }
    #[test]
    fn steps_count_like_tests() {
        let passed = || Ok(Passed { checks: 4, note: "as it should be".to_owned() });
        let skipped = || Err(Missed::Skipped("needs root".to_owned()));
        let failed = || Err(Missed::Failed("a symbol is missing".to_owned()));

        let mut results = Results::default();
        for (step, outcome) in [("kotlin", passed()), ("swift", skipped()), ("android", failed())] {
            results.add(step, outcome, false);
        }
        assert_eq!((results.passed, results.failed), (4, 1));
        assert_eq!(results.skipped, ["swift: needs root"]);
        assert_eq!(results.failures, ["android: a symbol is missing"]);

        let mut strict = Results::default();
        strict.add("swift", skipped(), true);
        assert_eq!((strict.failed, strict.skipped.len()), (1, 0));
        assert!(strict.failures[0].starts_with("swift: needs root ("), "{:?}", strict.failures);
    }
}
