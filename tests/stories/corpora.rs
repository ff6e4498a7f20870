//! Everything that a fuzzer ever found interesting goes through its door again, and so do all golden files: as they are, cut off at
//! every length, and with a bit turned at every place.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the last file that is named is the one that failed")]

use std::fs;
use std::path::{Path, PathBuf};

use comptoir_tests::fuzz::{DOORS, Door};

/// Golden files that are larger are cut and turned at so many places only.
const PLACES_MAX: usize = 400;

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file below a folder, in an order of its own.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path) } else { vec![path] }
        })
        .collect();
    found.sort();
    found
}

fn check((name, door): Door) -> usize {
    let corpus = files(&house().join("fuzz").join("corpus").join(name));
    for path in &corpus {
        println!("{name}: {}", path.display());
        door(&fs::read(path).unwrap());
    }
    corpus.len()
}

#[test]
fn what_was_found_once_is_harmless() {
    let played: usize = DOORS.into_iter().map(check).sum();
    assert!(played >= DOORS.len(), "every door has a corpus");
}

#[test]
fn every_door_has_a_fuzzer() {
    let fuzzers = files(&house().join("fuzz").join("src").join("bin"));
    assert_eq!(fuzzers.len(), DOORS.len());
    for (name, _) in DOORS {
        let fuzzer = fs::read_to_string(house().join("fuzz/src/bin").join(name).with_extension("rs")).unwrap();
        assert!(fuzzer.contains(&format!("comptoir_tests::fuzz::{name}(bytes)")), "{name} knocks at another door");
    }
}

#[test]
fn golden_files_cut_off_or_changed_harm_nobody() {
    let golden = files(&house().join("tests").join("golden"));
    assert!(golden.len() > 20, "{}", golden.len());
    // Storms are long, and pictures are none of these.
    let doors = || DOORS.into_iter().filter(|(name, _)| !matches!(*name, "storm" | "picture" | "plane"));
    for path in golden {
        let bytes = fs::read(&path).unwrap();
        for (_, door) in doors() {
            door(&bytes);
        }
        let step = bytes.len() / PLACES_MAX + 1;
        for place in (0..bytes.len()).step_by(step) {
            let mut turned = bytes.clone();
            turned[place] ^= 1 << (place % 8);
            for (_, door) in doors() {
                door(&bytes[..place]);
                door(&turned);
            }
        }
    }
}
