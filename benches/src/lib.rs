//! What our parts cost, and what others cost beside them in the same run.
//!
//! Absolute figures belong to one machine on one day. Ratios travel further: wherever a peer can do the same work, it does
//! it here too, round by round in turn with ours, on the same disk. What is measured goes through public doors: the
//! façade of `comptoir-client`, a relay in a process of its own behind real sockets, the connections of
//! `comptoir-sqlcipher`. Nothing here fails because it was slow; the goals of `docs/performance.md` are printed beside the
//! figures, met or not.
//!
//! - [`opening`], [`page`], [`search`], [`commit`]: a phone's store with 1,000 chats and 100,000 messages.
//! - [`turns`]: what sending and receiving cost the one writer.
//! - [`mailboxes`], [`sockets`], [`idle`]: the relay's store, its whole path, and a connection that says nothing.
//! - [`overload`], [`reconnect`]: the relay when too much is asked of it, and when everybody comes at once.
//! - [`languages`]: what a call costs from another language.
//! - [`qr`]: codes in pictures and in frames of a camera.
//! - [`binary`]: what one has to download.

#![allow(clippy::wildcard_enum_match_arm, reason = "whatever else comes ends the bench and is told")]

pub mod binary;
pub mod commit;
pub mod idle;
pub mod languages;
pub mod mailboxes;
pub mod opening;
pub mod overload;
pub mod page;
pub mod qr;
pub mod reconnect;
pub mod search;
pub mod sockets;
pub mod turns;

mod corpus;
mod line;
mod meters;
mod obvious_schema;
mod phone;
mod redis;
mod relay_process;
mod report;
mod same_schema;
mod series;
#[path = "../../core/qr/tests/studio/mod.rs"]
mod studio;
mod zxing;

use std::path::PathBuf;

pub use relay_process::serve as serve_relay;
pub use report::{Beside, Bound, Figure, Finding, Goal, Of, Report};

/// Whatever goes wrong ends the bench it happened in, in its own words.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Where and how much.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Tiny sizes: every bench does its work, and its figures mean nothing.
    pub quick: bool,
    /// On the disk that is measured. Each bench makes a folder of its own below it and removes it.
    pub dir: PathBuf,
    /// The program that serves a relay when it is called with `relay <folder>`: this very one.
    pub relay: PathBuf,
    /// The program that people download.
    pub comptoir: PathBuf,
}

impl Plan {
    /// The size of something in a full run and in a quick one.
    fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    fn folder(&self) -> Result<tempfile::TempDir> {
        std::fs::create_dir_all(&self.dir)?;
        Ok(tempfile::tempdir_in(&self.dir)?)
    }
}

/// One of the benches: its name, and what it measures.
pub struct Bench {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&Plan) -> Result<Vec<Finding>>,
}

/// All of them, in the order of the table.
pub const BENCHES: [Bench; 13] = [
    Bench { name: "opening", about: "open a store of 1,000 chats and list the first of them", run: opening::run },
    Bench { name: "page", about: "a page of 50 messages out of 100,000", run: page::run },
    Bench { name: "search", about: "find words in 100,000 messages", run: search::run },
    Bench { name: "commit", about: "store messages: in bulk, one by one, and how large they are", run: commit::run },
    Bench { name: "turns", about: "a message sent, and messages received in batches of 50", run: turns::run },
    Bench { name: "mailboxes", about: "the relay's store: deposit, fetch, acknowledge", run: mailboxes::run },
    Bench { name: "sockets", about: "the whole relay: accept, deliver, acknowledge", run: sockets::run },
    Bench { name: "idle", about: "memory of a connection that says nothing", run: idle::run },
    Bench { name: "overload", about: "three times as much as the relay can do", run: overload::run },
    Bench { name: "reconnect", about: "everybody comes back to a relay that was killed", run: reconnect::run },
    Bench { name: "languages", about: "the library through Python, Kotlin and Swift", run: languages::run },
    Bench { name: "qr", about: "codes read in pictures and in frames of a camera", run: qr::run },
    Bench { name: "binary", about: "size of the program", run: binary::run },
];

/// Runs the benches with these names, or all of them. One that fails leaves a line that says why.
pub fn run(plan: &Plan, names: &[String], mut progress: impl FnMut(&Bench)) -> Report {
    let mut findings = Vec::new();
    for bench in BENCHES.iter().filter(|bench| names.is_empty() || names.iter().any(|name| name == bench.name)) {
        progress(bench);
        match (bench.run)(plan) {
            Ok(found) => findings.extend(found),
            Err(why) => findings.push(Finding::not_run(bench.name, bench.about, why.to_string())),
        }
    }
    Report { quick: plan.quick, load: meters::load(), cores: meters::cores(), findings }
}
