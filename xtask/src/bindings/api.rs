//! What is public in the generated code, as listings that people read: `bindings/api/kotlin.txt` and its like. A change of
//! the façade shows there in the words of each language, before somebody's app stops to compile.

mod braces;
mod kotlin;
mod python;
mod swift;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::house::Result;

/// A declaration in one line, and those inside of it.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    line: String,
    inner: Vec<Self>,
}

type Listing = fn(&str) -> Vec<Item>;

/// Each language, what UniFFI writes for it, and how it is read.
const LANGUAGES: [(&str, &str, Listing); 3] = [
    ("kotlin", "kotlin/app/comptoir/comptoir.kt", kotlin::items),
    ("swift", "swift/Comptoir.swift", swift::items),
    ("python", "python/comptoir.py", python::items),
];

/// Says what is public now and was not, and the other way round; or writes the listings anew.
pub(super) fn check(root: &Path, generated: &Path, bless: bool) -> Result<bool> {
    let mut all_same = true;
    for (language, file, items) in LANGUAGES {
        let source = generated.join(file);
        let source = fs::read_to_string(&source).map_err(|error| format!("reading {}: {error}", source.display()))?;
        let now = text(&items(&source));
        let golden = format!("bindings/api/{language}.txt");
        let path = root.join(&golden);
        let was = fs::read_to_string(&path).unwrap_or_default();
        if was == now {
            continue;
        }
        print!("{}", difference(&was, &now));
        let io = |error| format!("writing {}: {error}", path.display());
        if bless {
            fs::create_dir_all(path.parent().unwrap_or(root)).map_err(io)?;
            fs::write(&path, now).map_err(io)?;
            println!("xtask: {golden} written");
        } else {
            println!("xtask: {golden} says otherwise: `cargo xtask bindings --bless` writes it anew");
            all_same = false;
        }
    }
    Ok(all_same)
}

fn text(items: &[Item]) -> String {
    fn write(items: &[Item], depth: usize, text: &mut String) {
        for item in items {
            let _ = writeln!(text, "{:indent$}{}", "", item.line, indent = depth * 4);
            write(&item.inner, depth + 1, text);
        }
    }
    let mut text = String::new();
    write(items, 0, &mut text);
    text
}

/// The lines that went and came, each run below the declarations that it is in.
fn difference(was: &str, now: &str) -> String {
    let (was, now): (Vec<&str>, Vec<&str>) = (was.lines().collect(), now.lines().collect());
    // How many lines the ends from here on have in common.
    let mut common = vec![vec![0_u32; now.len() + 1]; was.len() + 1];
    for (i, old) in was.iter().enumerate().rev() {
        for (j, new) in now.iter().enumerate().rev() {
            common[i][j] = if old == new { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut in_a_run) = (0, 0, false);
    let mut told = String::new();
    while i < was.len() || j < now.len() {
        if i < was.len() && j < now.len() && was[i] == now[j] {
            (i, j, in_a_run) = (i + 1, j + 1, false);
            continue;
        }
        let goes = j == now.len() || i < was.len() && common[i + 1][j] >= common[i][j + 1];
        let (sign, lines, at) = if goes { ('-', &was, i) } else { ('+', &now, j) };
        if !in_a_run {
            for above in above(lines, at) {
                let _ = writeln!(told, "  {above}");
            }
        }
        let _ = writeln!(told, "{sign} {}", lines[at]);
        in_a_run = true;
        if goes { i += 1 } else { j += 1 }
    }
    told
}

/// The declarations that a line is in, outermost first.
fn above<'t>(lines: &[&'t str], at: usize) -> Vec<&'t str> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut above = Vec::new();
    let mut inner = depth(lines[at]);
    for line in lines[..at].iter().rev() {
        if depth(line) < inner {
            inner = depth(line);
            above.insert(0, *line);
        }
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAS: &str = "\
data class Bubble
    val id: Long
    val text: String
class Client
    fun pay(invoice: Hash)
    fun tap(on: Uid)
";

    #[test]
    fn a_difference_shows_where_it_is() {
        let now = WAS.replace("val text: String", "val text: String?").replace("    fun tap(on: Uid)\n", "");
        let expected = "  data class Bubble
-     val text: String
+     val text: String?
  class Client
-     fun tap(on: Uid)
";
        assert_eq!(difference(WAS, &now), expected);
        assert_eq!(difference(WAS, WAS), "");
        assert_eq!(difference("", "class A\n    val b: B\n"), "+ class A\n+     val b: B\n");
    }

    #[test]
    fn a_changed_listing_fails_until_it_is_blessed() {
        let root = tempfile::tempdir().unwrap();
        let generated = root.path().join("generated");
        let write = |file: &str, text: &str| {
            let path = generated.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("kotlin/app/comptoir/comptoir.kt", "enum class Part {\n    LINES,\n    TERMS;\n}\n");
        write("swift/Comptoir.swift", "public enum Part: Equatable {\n    case lines\n    case terms\n}\n");
        write(
            "python/comptoir.py",
            "class Part(enum.Enum):\n    LINES = 0\n    TERMS = 1\n__all__ = [\n    \"Part\",\n]\n",
        );

        let check = |bless| check(root.path(), &generated, bless).unwrap();
        assert!(!check(false), "there is no listing yet");
        assert!(check(true));
        assert!(check(false));
        let listing = fs::read_to_string(root.path().join("bindings/api/swift.txt")).unwrap();
        assert_eq!(listing, "enum Part: Equatable\n    case lines\n    case terms\n");

        write("swift/Comptoir.swift", "public enum Part: Equatable {\n    case lines\n}\n");
        assert!(!check(false));
    }
}
