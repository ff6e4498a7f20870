//! Words that must not stand in Rust sources: what is unfinished is an issue, and a test that does not run is no test.

use std::fs;
use std::path::{Path, PathBuf};

use crate::house::Result;

/// Written in two parts, so that this file does not find itself.
const WORDS: [(&str, &str); 5] = [("TO", "DO"), ("FIX", "ME"), ("#[ig", "nore"), ("to", "do!"), ("unimple", "mented!")];

pub(super) fn findings(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in files(root, "rs")? {
        let text = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = forbidden(line) {
                findings.push(format!("{name}:{} says {word}", number + 1));
            }
        }
    }
    Ok(findings)
}

fn forbidden(line: &str) -> Option<String> {
    WORDS.into_iter().map(|(one, other)| [one, other].concat()).find(|word| line.contains(word.as_str()))
}

/// All files of the house with this ending, in order; not what was built, and nothing hidden.
pub(super) fn files(root: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let unreadable = |error| format!("reading {}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if kind.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|found| found == ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_work_is_found() {
        for (one, other) in WORDS {
            assert!(forbidden(&format!("    {one}{other}")).is_some());
        }
        for line in ["// Tomorrow", "methodology", "#[allow(dead_code)]", "let todos = 1;"] {
            assert_eq!(forbidden(line), None, "{line}");
        }
    }

    #[test]
    fn what_was_built_and_what_is_hidden_is_not_looked_at() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["src", "target", ".git", "src/deep"] {
            fs::create_dir(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("a.rs"), format!("fn f() {{ to{}() }}", "do!")).unwrap();
            fs::write(root.path().join(folder).join("a.txt"), "").unwrap();
        }
        let found = findings(root.path()).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("src/a.rs:1 ") && found[1].starts_with("src/deep/a.rs:1 "), "{found:?}");
    }
}
