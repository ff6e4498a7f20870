//! Running the binary as people do, and reading what it prints.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "in a test, what is not expected is a failure")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub(crate) const APPROVE: &str = "4242 4242 4242 4242";

/// The program, with nothing of this machine's user in its environment.
pub(crate) fn comptoir() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_comptoir"));
    command.env_remove("HOME").env_remove("COMPTOIR_DIR").env_remove("XDG_DATA_HOME").stdin(Stdio::null());
    command
}

pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        let last = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {:?} {:?}", self.out, self.err))
    }
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ran {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// A command of a person with a folder, answering in JSON.
pub(crate) fn person(dir: &Path, args: &[&str]) -> Ran {
    run(comptoir().arg("--json").arg("--dir").arg(dir).args(args))
}
