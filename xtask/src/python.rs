//! Python environments below the target folder, for programs that others publish there: peers that our tests talk to, and
//! tools. Each is made once and made again when what it holds should change.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::house::{House, Result, output};

/// What a working Python can do: be new enough and make an environment with pip.
const WORKS: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))";
/// Where Python may be. The plain name first, then older and newer ones, then the system's own.
const CANDIDATES: [&str; 10] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python",
    "/usr/bin/python3",
    "/usr/local/bin/python3",
];
const STAMP: &str = "installed.txt";

/// A folder below the target folder with these packages in it; made if it is not there yet.
pub(crate) struct Environment {
    pub(crate) folder: PathBuf,
}

impl Environment {
    /// The folder with the packages, each named with its version.
    pub(crate) fn with(house: &House, name: &str, packages: &[&str]) -> Result<Self> {
        let folder = house.target.join(name);
        let io = |error| format!("preparing {}: {error}", folder.display());
        fs::create_dir_all(&house.target).map_err(io)?;
        // Two of us at the same time take turns.
        let lock = File::create(house.target.join(format!("{name}.lock"))).map_err(io)?;
        lock.lock().map_err(io)?;

        let wanted = packages.join("\n");
        let environment = Self { folder };
        if !environment.is_ready(&wanted) {
            println!("xtask: installing {} into {}", packages.join(", "), environment.folder.display());
            environment.make(packages)?;
            let stamp = environment.folder.join(STAMP);
            fs::write(&stamp, &wanted).map_err(|error| format!("writing {}: {error}", stamp.display()))?;
        }
        Ok(environment)
    }

    /// Where its Python is, or would be.
    pub(crate) fn python(&self) -> PathBuf {
        self.bin("python")
    }

    pub(crate) fn bin(&self, program: &str) -> PathBuf {
        let folder = if cfg!(windows) { "Scripts" } else { "bin" };
        self.folder.join(folder).join(program)
    }

    /// The stamp is written last, so what it says is there; but the Python that made it may be gone since.
    fn is_ready(&self, wanted: &str) -> bool {
        let installed = fs::read_to_string(self.folder.join(STAMP));
        installed.is_ok_and(|installed| installed == wanted) && runs(&self.python(), "pass")
    }

    fn make(&self, packages: &[&str]) -> Result<()> {
        if self.folder.exists() {
            let removed = fs::remove_dir_all(&self.folder);
            removed.map_err(|error| format!("removing {}: {error}", self.folder.display()))?;
        }
        let python = CANDIDATES.into_iter().find(|candidate| runs(Path::new(candidate), WORKS));
        let python = python.ok_or_else(|| {
            "no Python from 3.9 on that can make environments was found (on Debian it needs the package python3-venv)"
                .to_owned()
        })?;
        let plain = |program: &Path| {
            let mut command = Command::new(program);
            // Modules and settings of the one who calls must not get in.
            command.stdin(Stdio::null()).env_remove("PYTHONPATH").env_remove("PYTHONHOME");
            command
        };
        output(plain(Path::new(python)).args(["-m", "venv"]).arg(&self.folder))?;
        let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
        output(plain(&self.python()).args(quiet).args(packages)).map(drop)
    }
}

fn runs(python: &Path, code: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-I", "-c", code]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
