//! zxing-cpp, the reader to compare with, from PyPI: in a Python process of its own, in a folder of its own. It is told where
//! a gray picture is, and says what it read and how much processor time that took.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

use crate::Result;

pub(crate) const PEER: &str = "zxing-cpp 3.1.1";

/// All its options are on by default: harder, turned, inverted, smaller.
const PROGRAM: &str = "
import json, sys, time
import numpy, zxingcpp
for line in sys.stdin:
    ask = json.loads(line)
    picture = numpy.fromfile(ask['path'], dtype=numpy.uint8).reshape(ask['height'], ask['width'])
    micros = []
    for _ in range(ask['times']):
        start = time.thread_time_ns()
        found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
        micros.append((time.thread_time_ns() - start) / 1000)
    print(json.dumps({'texts': [code.text for code in found], 'micros': min(micros)}), flush=True)
";

pub(crate) struct Zxing {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) texts: Vec<String>,
    /// The quickest of the times.
    pub(crate) micros: f64,
}

impl Zxing {
    /// Installs it below the folder, if it is not there yet.
    ///
    /// # Errors
    /// Says what is missing.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let home = dir.join("zxing-cpp");
        let python = home.join("bin/python");
        let run = |command: &mut Command| -> Result<()> {
            let output = command.output().map_err(|why| format!("zxing-cpp: `python3`: {why}"))?;
            if output.status.success() {
                return Ok(());
            }
            Err(format!("zxing-cpp: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
        };
        if !home.join("installed").exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "zxing-cpp==3.1.1", "numpy"]))?;
            std::fs::write(home.join("installed"), "")?;
        }
        let mut process = Command::new(&python)
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|why| format!("zxing-cpp: {}: {why}", python.display()))?;
        let ask = process.stdin.take().ok_or("zxing-cpp: no way to ask")?;
        let answers = BufReader::new(process.stdout.take().ok_or("zxing-cpp: no way to answer")?);
        Ok(Self { process, ask, answers })
    }

    /// What it reads in a gray picture without padding.
    pub(crate) fn read(&mut self, path: &Path, width: usize, height: usize, times: usize) -> Result<Answer> {
        let ask = serde_json::json!({ "path": path, "width": width, "height": height, "times": times });
        writeln!(self.ask, "{ask}")?;
        self.ask.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line).map_err(|why| format!("zxing-cpp ended: {why}"))?)
    }
}

impl Drop for Zxing {
    fn drop(&mut self) {
        // It ends by itself when nobody asks any more; this is for one that hangs.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
