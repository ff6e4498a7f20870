//! `fuzz`: builds a fuzzer behind every door of `tests/src/fuzz.rs` and lets it try. The pinned compiler can do that by itself:
//! what a fuzzer needs of it are counters at every branch, and those are no unstable feature. What is tried and found lies
//! below `target/fuzz`; with `--keep`, what reaches code that `fuzz/corpus` does not reach goes there, for everybody's tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde::Serialize;

use crate::house::{House, Result, host, succeed};
use crate::shells::install;

/// A counter at every branch, and a look at both sides of every comparison.
const COUNTERS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
/// An input that takes longer hangs.
const HANGS_AFTER_S: u32 = 30;
/// What a target may use at most. More is a finding too.
const MEMORY_MB: u32 = 2048;
/// Longer inputs find little, and are much to commit.
const KEPT_BYTES_MAX: u64 = 4096;
/// The committed inputs of all doors together.
const CORPUS_BYTES_MAX: u64 = 1 << 20;

/// What is asked for.
pub(crate) struct Wish {
    /// All of them when none is named.
    pub(crate) names: Vec<String>,
    pub(crate) minutes: u32,
    pub(crate) jobs: usize,
    pub(crate) keep: bool,
    pub(crate) json: bool,
}

/// How one target did.
#[derive(Serialize)]
struct Outcome {
    name: String,
    minutes: u32,
    executions: u64,
    /// How many inputs there are by now that reach something of their own.
    inputs: usize,
    /// Inputs that panic, hang or take too much memory.
    findings: Vec<PathBuf>,
}

/// Where a target has its things.
struct Bench {
    program: PathBuf,
    corpus: PathBuf,
    found: PathBuf,
    findings: PathBuf,
    log: PathBuf,
}

pub(crate) fn run(house: &House, wish: &Wish) -> Result<bool> {
    let doors = doors(&house.root)?;
    if let Some(unknown) = wish.names.iter().find(|name| !doors.contains(name)) {
        return Err(format!("there is no fuzzer `{unknown}`, but {}", doors.join(", ")));
    }
    let names = if wish.names.is_empty() { doors } else { wish.names.clone() };
    // libFuzzer is a program in C++.
    if !install::is_there("c++") {
        install::apt_get(&["g++"])?;
    }
    let release = build(house, &names)?;
    let benches: Vec<(String, Bench)> =
        names.iter().map(|name| Ok((name.clone(), Bench::new(house, &release, name)?))).collect::<Result<_>>()?;
    let waiting = Mutex::new(benches.iter());
    let take = || waiting.lock().ok()?.next();
    let work = || {
        let mut all_well = true;
        while let Some((name, bench)) = take() {
            let outcome = bench.fuzz(name, wish.minutes)?;
            all_well &= outcome.findings.is_empty();
            tell(&outcome, bench, wish.json)?;
        }
        Ok(all_well)
    };
    let mut all_well = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..wish.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let done = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a fuzzer's keeper died".to_owned())));
        done.collect::<Vec<Result<bool>>>().into_iter().try_fold(true, |all, well| Ok::<_, String>(all & well?))
    })?;
    if wish.keep {
        for (_, bench) in &benches {
            bench.keep()?;
        }
        let size = size_bytes(&house.root.join("fuzz").join("corpus"))?;
        if size > CORPUS_BYTES_MAX {
            println!("xtask: fuzz/corpus has {} KiB, which is more than a repository should carry", size / 1024);
            all_well = false;
        }
    }
    Ok(all_well)
}

/// The names of all fuzzers.
fn doors(root: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = files(&root.join("fuzz/src/bin"))?
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Builds the fuzzers and says where they are. A target is named although it is this machine, because Cargo builds macros and
/// build scripts without the counters then.
fn build(house: &House, names: &[String]) -> Result<PathBuf> {
    let (target, host) = (house.target.join("fuzz"), host()?);
    let mut build = house.cargo();
    build.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host, "--target-dir"]);
    build.arg(&target).env("RUSTFLAGS", COUNTERS);
    for name in names {
        build.args(["--bin", name]);
    }
    succeed(&mut build)?;
    Ok(target.join(host).join("release"))
}

impl Bench {
    fn new(house: &House, release: &Path, name: &str) -> Result<Self> {
        let at = |kind: &str| house.target.join("fuzz").join(kind).join(name);
        let bench = Self {
            program: release.join(name),
            corpus: house.root.join("fuzz").join("corpus").join(name),
            found: at("found"),
            findings: at("findings"),
            log: at("log"),
        };
        for folder in [&bench.corpus, &bench.found, &bench.findings] {
            fs::create_dir_all(folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
        }
        if let Some(folder) = bench.log.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
        }
        Ok(bench)
    }

    fn fuzz(&self, name: &str, minutes: u32) -> Result<Outcome> {
        let log = fs::File::create(&self.log).map_err(|error| format!("writing {}: {error}", self.log.display()))?;
        let mut fuzzer = self.program();
        fuzzer.arg(format!("-max_total_time={}", minutes * 60)).arg("-print_final_stats=1");
        fuzzer.arg(format!("-artifact_prefix={}/", self.findings.display()));
        fuzzer.args([&self.found, &self.corpus]).stdout(Stdio::null()).stderr(log);
        let status = fuzzer.status().map_err(|error| format!("starting {}: {error}", self.program.display()))?;
        let told = fs::read(&self.log).map_err(|error| format!("reading {}: {error}", self.log.display()))?;
        let told = String::from_utf8_lossy(&told);
        let (executions, findings) = (executions(&told), findings(&told));
        if findings.is_empty() && (executions.is_none() || !status.success()) {
            return Err(format!("the fuzzer {name} broke off by itself: {} says how", self.log.display()));
        }
        let inputs = files(&self.found)?.len() + files(&self.corpus)?.len();
        // None when the first input that it read was a finding.
        Ok(Outcome { name: name.to_owned(), minutes, executions: executions.unwrap_or(0), inputs, findings })
    }

    /// Takes the smallest set of inputs that reach what the committed ones do not.
    fn keep(&self) -> Result<()> {
        let mut merge = self.program();
        // Without counting how often a branch was taken: one input for each is enough to play.
        merge.args(["-set_cover_merge=1", "-use_counters=0"]).arg(format!("-max_len={KEPT_BYTES_MAX}"));
        succeed(merge.args([&self.corpus, &self.found]).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    fn program(&self) -> Command {
        let mut program = Command::new(&self.program);
        program.stdin(Stdio::null()).arg(format!("-timeout={HANGS_AFTER_S}"));
        program.arg(format!("-rss_limit_mb={MEMORY_MB}"));
        program
    }
}

/// One line for each target: a sentence, or an object.
fn tell(outcome: &Outcome, bench: &Bench, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(outcome).map_err(|error| format!("writing JSON: {error}"))?);
        return Ok(());
    }
    let Outcome { name, minutes, executions, inputs, findings } = outcome;
    println!("{name}: {executions} executions in {minutes} min, {inputs} inputs, {} findings", findings.len());
    for finding in findings {
        println!("  again: {} {}", bench.program.display(), finding.display());
    }
    Ok(())
}

/// How often the target was called, from libFuzzer's closing words. It says none when it stops at a finding; then the last
/// line of its diary counts.
fn executions(told: &str) -> Option<u64> {
    let stated = told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let counted = || told.lines().rev().find_map(|line| line.strip_prefix('#')?.split_whitespace().next());
    stated.map(str::trim).or_else(counted)?.parse().ok()
}

/// What it has written down for us. It goes on to nothing else after that.
fn findings(told: &str) -> Vec<PathBuf> {
    told.lines().filter_map(|line| Some(PathBuf::from(line.split_once("Test unit written to ")?.1))).collect()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let broken = |error| format!("reading {}: {error}", folder.display());
    fs::read_dir(folder).map_err(broken)?.map(|entry| Ok(entry.map_err(broken)?.path())).collect()
}

fn size_bytes(folder: &Path) -> Result<u64> {
    files(folder)?.iter().try_fold(0, |sum, path| {
        let size = if path.is_dir() {
            size_bytes(path)?
        } else {
            fs::metadata(path).map_err(|error| format!("reading {}: {error}", path.display()))?.len()
        };
        Ok(sum + size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_read_from_what_libfuzzer_tells() {
        let done = "#2\tINITED cov: 1\n#65536\tpulse\nDone 70000 runs\nstat::number_of_executed_units: 70000\n";
        assert_eq!(executions(done), Some(70_000));
        assert_eq!(executions("INFO: Seed: 1\n#2\tINITED cov: 1\n#4711\tNEW cov: 3\n==1== ERROR\n"), Some(4711));
        assert_eq!(executions("Segmentation fault"), None);
    }

    /// A fuzzer says where it has put what it found.
    #[test]
    #[cfg(unix)]
    fn a_finding_is_told_and_a_fuzzer_that_breaks_off_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["corpus", "found", "findings"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let bench = Bench {
            program: at("fuzzer"),
            corpus: at("corpus"),
            found: at("found"),
            findings: at("findings"),
            log: at("log"),
        };
        // Written by another process: a file that this one has open for writing, another test's child may hold on to.
        let write = r##"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""##;
        let script =
            |body: &str| succeed(Command::new("sh").args(["-c", write, "sh", body]).arg(&bench.program)).unwrap();
        let found = bench.findings.join("crash-1");
        script(&format!("echo '#42 NEW cov: 1\nprefix; Test unit written to {}' >&2; exit 77", found.display()));
        let outcome = bench.fuzz("wire", 1).unwrap();
        assert_eq!((outcome.executions, outcome.findings), (42, vec![found]));
        script("echo 'stat::number_of_executed_units: 7' >&2");
        assert!(bench.fuzz("wire", 1).unwrap().findings.is_empty());
        script("echo '#42 NEW cov: 1' >&2; exit 1");
        assert!(bench.fuzz("wire", 1).is_err());
    }

    #[test]
    fn every_fuzzer_has_a_corpus() {
        let root = House::find().unwrap().root;
        let doors = doors(&root).unwrap();
        assert!(doors.len() >= 10, "{doors:?}");
        for door in doors {
            assert!(!files(&root.join("fuzz/corpus").join(&door)).unwrap().is_empty(), "{door}");
        }
    }

    #[test]
    fn the_committed_corpora_stay_small() {
        let size = size_bytes(&House::find().unwrap().root.join("fuzz/corpus")).unwrap();
        assert!((1..=CORPUS_BYTES_MAX).contains(&size), "{size}");
    }
}
