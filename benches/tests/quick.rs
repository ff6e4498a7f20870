//! Every bench still does its work. That it was done, each bench checks by itself: rows found, messages received,
//! acknowledgements given. How long it took is nobody's business here.

#![allow(clippy::unwrap_used, reason = "in a test, what is not expected is a failure")]

use comptoir_benches::{BENCHES, Plan, run};

/// What may be missing on a machine where the tests pass, and the beginning of why.
const MAY_BE_MISSING: [(&str, &str); 5] = [
    ("mailboxes", "`redis-server`"),
    ("languages", "only `cargo xtask bench`"),
    ("qr", "zxing-cpp"),
    ("binary", "`strip`"),
    ("binary", "only `cargo xtask bench`"),
];

fn check(names: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let relay = std::path::PathBuf::from(env!("CARGO_BIN_EXE_comptoir-benches"));
    let plan = Plan { quick: true, dir: dir.path().to_owned(), comptoir: relay.clone(), relay };
    for name in names {
        let report = run(&plan, &[(*name).to_owned()], |_| {});
        assert!(!report.findings.is_empty(), "{name} found nothing");
        for finding in report.findings {
            let missing = |(bench, why): &(&str, &str)| {
                finding.bench == *bench && finding.note.as_ref().is_some_and(|note| note.starts_with(why))
            };
            match &finding.figure {
                Some(figure) => assert!(figure.value.is_finite() && figure.value >= 0.0, "{finding:?}"),
                None => assert!(MAY_BE_MISSING.iter().any(missing), "{finding:?}"),
            }
            assert_eq!(finding.goal.is_some(), finding.met.is_some(), "{finding:?}");
        }
    }
}

// How much is read and used, only Linux tells. One test: what one thread used is looked up among all of the process.
#[cfg(target_os = "linux")]
#[test]
fn every_bench_does_its_work() {
    check(&[
        "opening",
        "page",
        "search",
        "commit",
        "turns",
        "mailboxes",
        "sockets",
        "idle",
        "overload",
        "reconnect",
        "languages",
        "qr",
    ]);
}

#[test]
fn the_size_of_a_program_is_measured() {
    check(&["binary"]);
}

#[test]
fn benches_have_names_of_their_own() {
    let mut names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), BENCHES.len());
}
