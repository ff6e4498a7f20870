//! The threat model names a test for what it promises. Those must be there.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::house::Result;

const PAGES: [&str; 2] = ["docs/threat-model.md", "docs/proof.md"];

pub(super) fn findings(root: &Path) -> Result<Vec<String>> {
    let mut functions = HashSet::new();
    collect(root, &mut functions)?;
    let mut findings = Vec::new();
    for page in PAGES {
        let Ok(text) = fs::read_to_string(root.join(page)) else { continue };
        let missing = named_tests(&text).into_iter().filter(|named| !functions.contains(*named));
        findings.extend(missing.map(|named| format!("{page} names the test `{named}`, which does not exist")));
    }
    Ok(findings)
}

/// What stands in backticks and reads like a test: a sentence of at least four words.
fn named_tests(text: &str) -> Vec<&str> {
    let is_sentence = |span: &&str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        span.bytes().all(allowed) && span.matches('_').count() >= 3
    };
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(is_sentence).collect()
}

/// The names of all functions below a folder.
fn collect(dir: &Path, functions: &mut HashSet<String>) -> Result<()> {
    let entries = fs::read_dir(dir).map_err(|error| format!("reading {}: {error}", dir.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("reading {}: {error}", dir.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, functions)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
            let names = text
                .split("fn ")
                .skip(1)
                .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>());
            functions.extend(names);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_gone_is_found() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        let page = "`it_is_there_and_runs` `it_was_there_once`, `lost_since_ms` and `docs/adr`";
        fs::write(root.path().join("docs/threat-model.md"), page).unwrap();
        fs::write(root.path().join("a.rs"), "#[test]\nfn it_is_there_and_runs() {}").unwrap();
        let expected = "docs/threat-model.md names the test `it_was_there_once`, which does not exist";
        assert_eq!(findings(root.path()).unwrap(), [expected]);
    }
}
