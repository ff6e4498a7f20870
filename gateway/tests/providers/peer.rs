//! Programs that others wrote, run as they are: localstripe, and Stripe's own library.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The Python that `cargo xtask test` prepared. It fails rather than skip: a test that did not run proves nothing.
fn python() -> PathBuf {
    if let Some(why) = env::var_os("COMPTOIR_PEER_MISSING") {
        panic!("the peer of this test could not be installed: {}", why.to_string_lossy());
    }
    let named = env::var_os("COMPTOIR_PEER_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/bin/python"));
    assert!(
        python.exists(),
        "the peer of this test is not installed at {}; run `cargo xtask test`, which installs it",
        python.display()
    );
    python
}

fn script(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let mut command = Command::new(python());
    command.arg("-I").arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// What Stripe's library answers.
pub(crate) fn ask_stripe_library(question: &Value) -> Value {
    let mut child = script("stripe_verdicts.py").spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let question = question.to_string();
    let writer = std::thread::spawn(move || stdin.write_all(question.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A running localstripe, which ends with this value, and with the test process if that is killed.
pub(crate) struct LocalStripe {
    pub(crate) url: String,
    child: Child,
}

impl LocalStripe {
    pub(crate) fn start() -> Self {
        let mut child = script("serve_localstripe.py").spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().expect("localstripe says its port");
        Self { url: format!("http://127.0.0.1:{port}"), child }
    }
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
