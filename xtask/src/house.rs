//! The workspace as Cargo sees it, and a Cargo that does not notice who started it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// What went wrong, in a sentence.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Where everything lies, and what depends on what.
pub(crate) struct House {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) metadata: Metadata,
}

/// The part of `cargo metadata` that we look at.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) resolve: Resolve,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Edge>,
}

#[derive(Deserialize)]
pub(crate) struct Edge {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
pub(crate) struct EdgeKind {
    pub(crate) kind: Option<String>,
}

impl House {
    pub(crate) fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut ask = cargo(here);
        ask.args(["metadata", "--format-version", "1", "--filter-platform", &host()?]);
        let metadata: Metadata = serde_json::from_slice(&output(&mut ask)?)
            .map_err(|error| format!("reading what `cargo metadata` says: {error}"))?;
        Ok(Self { root: metadata.workspace_root.clone(), target: metadata.target_directory.clone(), metadata })
    }

    pub(crate) fn cargo(&self) -> Command {
        cargo(&self.root)
    }
}

/// The platform that we build on. Dependencies of other platforms need not be downloaded to look at ours.
fn host() -> Result<String> {
    let told = output(Command::new("rustc").arg("-vV").stdin(Stdio::null()))?;
    let told = String::from_utf8_lossy(&told);
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "`rustc -vV` does not say its host".to_owned())
}

/// Cargo, as from a terminal. What the outer `cargo run` left in the environment would make build scripts that look at it
/// run again, and half of the tree with them.
fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let left = ["CARGO", "OUT_DIR"].contains(&&*name)
            || [
                "CARGO_MANIFEST_",
                "CARGO_PKG_",
                "CARGO_CRATE_",
                "CARGO_BIN_",
                "CARGO_PRIMARY_",
                "CARGO_RUSTC_CURRENT_",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if left {
            cargo.env_remove(&*name);
        }
    }
    cargo
}

/// What a program prints, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("starting `{name}`: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!("`{name}` failed: {}", last.unwrap_or("it does not say why").trim()))
}

/// Runs a program that says itself what is wrong.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().map_err(|error| format!("starting `{name}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{name}` failed: see above")) }
}
