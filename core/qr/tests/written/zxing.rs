//! zxing-cpp, a reader by others, in a Python process.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A picture in gray, in and the texts of its codes, out: a line for each.
const SCRIPT: &str = "
import json, sys, zxingcpp
for line in sys.stdin:
    width, height, pixels = line.split()
    picture = memoryview(bytes.fromhex(pixels)).cast('B', shape=[int(height), int(width)])
    print(json.dumps([code.text for code in zxingcpp.read_barcodes(picture)]), flush=True)
";

pub(crate) struct Zxing {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// The Python that `cargo xtask test` prepared. It fails rather than skip: a test that did not run proves nothing.
fn python() -> PathBuf {
    if let Some(why) = std::env::var_os("COMPTOIR_PEER_MISSING") {
        panic!("zxing-cpp could not be installed: {}", why.to_string_lossy());
    }
    let named = std::env::var_os("COMPTOIR_PEER_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/bin/python"));
    assert!(python.exists(), "zxing-cpp is not installed; run `cargo xtask test`, which installs it");
    python
}

impl Zxing {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(python())
            .args(["-I", "-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ask = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, ask, answers }
    }

    pub(crate) fn read(&mut self, png: &[u8]) -> Vec<String> {
        let picture = image::load_from_memory(png).unwrap().into_luma8();
        let mut line = format!("{} {} ", picture.width(), picture.height());
        for pixel in picture.as_raw() {
            write!(line, "{pixel:02x}").unwrap();
        }
        writeln!(self.ask, "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for Zxing {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
