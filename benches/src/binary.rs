//! What one has to download: the program, and the library for phones.

use std::path::Path;
use std::process::Command;

use crate::report::Figure;
use crate::{Bound, Finding, Of, Plan, Result};

const NAME: &str = "binary";
const MIB: f64 = 1024.0 * 1024.0;
const PHONE_MIB_MAX: f64 = 8.0;

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let what = "size of `comptoir`, stripped of symbols";
    let program = stripped(plan, what, "strip", &plan.comptoir)?;
    let what = "size of the library for 64-bit ARM phones, stripped of symbols";
    let library = match std::env::var("COMPTOIR_BENCH_PHONE") {
        Ok(told) => {
            let [strip, library] = &serde_json::from_str::<[String; 2]>(&told)?;
            stripped(plan, what, strip, Path::new(library))?
                .goal(Of::Figure, Bound::AtMost, PHONE_MIB_MAX)
                .note("Android; linked against names instead of its system libraries")
        }
        Err(_) => Finding::not_run(NAME, what, "only `cargo xtask bench` builds it".to_owned()),
    };
    Ok(vec![program.note("relay, till, practice provider and terminal in one"), library])
}

fn stripped(plan: &Plan, what: &str, strip: &str, file: &Path) -> Result<Finding> {
    let folder = plan.folder()?;
    let stripped = folder.path().join("stripped");
    Ok(match Command::new(strip).arg("--strip-all").arg("-o").arg(&stripped).arg(file).output() {
        Ok(output) if output.status.success() => {
            Finding::new(NAME, what, Figure::once(std::fs::metadata(&stripped)?.len() as f64 / MIB, "MiB"))
        }
        Ok(output) => Finding::not_run(NAME, what, String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(why) => Finding::not_run(NAME, what, format!("`{strip}`: {why}")),
    })
}
