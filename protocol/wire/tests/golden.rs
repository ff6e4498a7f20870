//! The bytes of every frame, kept in `tests/golden/wire/v1` for this and every other implementation.
//!
//! `COMPTOIR_BLESS=1` writes them anew. Before the first release a change is a decision; after it, it is a break.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use comptoir_wire::{Reply, Request};

#[allow(dead_code, reason = "each test needs another part")]
mod samples;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/wire/v1")
}

/// The bytes as a person reads them: offset, sixteen bytes, the letters among them.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (row, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<_> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters = chunk.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
        writeln!(text, "{:04x}  {:<47}  {}", row * 16, hex.join(" "), letters.collect::<String>()).unwrap();
    }
    text
}

#[test]
fn frames_have_the_golden_bytes_and_are_read_from_them() {
    let folder = folder();
    let bless = std::env::var_os("COMPTOIR_BLESS").is_some_and(|bless| bless == "1");
    let mut expected = BTreeSet::new();
    for sample in samples::all() {
        for (ending, bytes) in [("bin", sample.bytes.clone()), ("hex", dump(&sample.bytes).into_bytes())] {
            let file = format!("{}.{ending}", sample.name);
            let path = folder.join(&file);
            if bless {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &bytes).unwrap();
            }
            let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(golden == bytes, "{file} is\n{}\nand now\n{}", dump(&golden), dump(&bytes));
            assert!(expected.insert(file), "{} is there twice", sample.name);
        }
    }
    let found: BTreeSet<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, expected, "files that no sample has");

    let read = |name: &str| std::fs::read(folder.join(format!("{name}.bin"))).unwrap();
    for (name, id, request) in samples::requests() {
        assert_eq!(Request::decode(&read(name)), Ok((id, request)), "{name}");
    }
    for (name, id, reply) in samples::replies() {
        assert_eq!(Reply::decode(&read(name)), Ok((id, reply)), "{name}");
    }
}
