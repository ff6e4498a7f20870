//! The pages that show the way name files. Those must be there.

use std::fs;
use std::path::Path;

use crate::house::Result;

const PAGES: [&str; 3] = ["ARCHITECTURE.md", "README.md", "docs/threat-model.md"];
/// What a name ends in when it is a file's, also without a folder before it.
const ENDINGS: [&str; 6] = [".md", ".rs", ".toml", ".sql", ".proto", ".json"];

pub(super) fn findings(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for page in PAGES {
        let path = root.join(page);
        if !path.exists() {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| format!("reading {page}: {error}"))?;
        let missing = named_paths(&text).into_iter().filter(|named| !root.join(named).exists());
        findings.extend(missing.map(|named| format!("{page} names `{named}`, which does not exist")));
    }
    Ok(findings)
}

/// What stands in backticks and looks like a path from here. Addresses on the web and on a server begin otherwise.
fn named_paths(text: &str) -> Vec<&str> {
    let is_path = |span: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        let has_shape = span.contains('/') || ENDINGS.iter().any(|ending| span.ends_with(ending));
        span.bytes().all(allowed) && has_shape && !span.starts_with(['/', '.']) && !span.starts_with("target/")
    };
    // Every second part stands between backticks, line by line, so that a lone one spoils no more than its line.
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(is_path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_words() {
        let text = "`relay/src/lib.rs` and `Deposit`, `docs/adr`; `/v1/payments`, `ws://x/y`, `cargo run -- demo`\n\
            a lone ` here\n`deny.toml` `a..b` `target/peers`";
        assert_eq!(named_paths(text), ["relay/src/lib.rs", "docs/adr", "deny.toml"]);
    }

    #[test]
    fn a_path_that_is_gone_is_found() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("README.md"), "`here.md` `there/gone.rs`").unwrap();
        fs::write(root.path().join("here.md"), "").unwrap();
        assert_eq!(findings(root.path()).unwrap(), ["README.md names `there/gone.rs`, which does not exist"]);
    }
}
