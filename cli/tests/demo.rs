//! The demonstration, run as a newcomer would, and a look at everything it leaves behind.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

mod support;

use std::path::Path;

use support::{comptoir, run};

/// Words, names and amounts of the story. None of them may stand anywhere that is not encrypted.
const SECRETS: &[&str] = &["Bonjour", "croissant", "Croissant", "The Bakery", "Still warm", "1.20"];

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

fn shows(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

#[test]
fn the_demo_tells_the_whole_story_and_leaves_nothing_readable() {
    let dir = tempfile::tempdir().unwrap();
    let stage = dir.path().join("stage");
    let told = run(comptoir().args(["--json", "--dir"]).arg(&stage).arg("demo").env("RUST_LOG", "debug"));
    assert_eq!(told.code, Some(0), "{}\n{}", told.out, told.err);
    let steps: Vec<String> = told
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "dir", "code", "said", "greeted", "tapped", "bill", "sheet", "killed", "card", "checking", "paid", "verified",
        "refused", "refunded", "books", "end",
    ];
    assert_eq!(steps, expected);
    for name in ["bakery-code.png", "receipt.comptoir", "alice/comptoir.db", "bakery/gateway.toml", "relay"] {
        assert!(stage.join(name).exists(), "{name}");
    }
    let verified = run(comptoir().args(["receipt", "verify"]).arg(stage.join("receipt.comptoir")));
    assert_eq!(verified.code, Some(0), "{}", verified.err);

    // Encrypted at rest, and blind: nothing of it in Alice's files, in the till's core, in the relay's, or in any log.
    for part in ["alice", "bakery/core", "relay"] {
        let found = files(&stage.join(part));
        assert!(!found.is_empty(), "{part}");
        for (name, bytes) in found {
            for secret in SECRETS {
                assert!(!shows(&bytes, secret), "{secret:?} stands in {name}");
            }
        }
    }
    for secret in SECRETS {
        assert!(!told.err.contains(secret), "{secret:?} stands in a log");
    }
    for id in ["acc_", "ord_", "pay_1", "chat_", "COMPTOIR:"] {
        assert!(!told.err.contains(id), "an id ({id}) stands in a log:\n{}", told.err);
    }
    let again = run(comptoir().args(["--json", "--dir"]).arg(&stage).arg("demo"));
    assert_eq!(again.code, Some(2), "it does not play over another story");
}
