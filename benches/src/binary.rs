//! What one has to download. The library for phones is measured where it is packaged.

use std::process::Command;

use crate::report::Figure;
use crate::{Finding, Plan, Result};

const NAME: &str = "binary";
const MIB: f64 = 1024.0 * 1024.0;

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let what = "size of `comptoir`, stripped of symbols";
    let folder = plan.folder()?;
    let stripped = folder.path().join("stripped");
    let strip = Command::new("strip").arg("--strip-all").arg("-o").arg(&stripped).arg(&plan.comptoir).output();
    let figure = match strip {
        Ok(output) if output.status.success() => std::fs::metadata(&stripped)?.len(),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Ok(vec![Finding::not_run(NAME, what, why)]);
        }
        Err(why) => return Ok(vec![Finding::not_run(NAME, what, format!("`strip`: {why}"))]),
    };
    Ok(vec![
        Finding::new(NAME, what, Figure::once(figure as f64 / MIB, "MiB"))
            .note("relay, till, practice provider and terminal in one"),
    ])
}
