//! Migrations are numbered without gaps. From the first release on they are also frozen: each stands in
//! `migrations.lock` with the id that git gives its content, and is never edited again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::sources::files;
use crate::house::{Result, output};

const LOCK: &str = "migrations.lock";
const HEAD: &str =
    "# Migrations that were released, with the ids of their contents in git. `cargo xtask bless` adds new ones.\n";

pub(super) fn findings(root: &Path) -> Result<Vec<String>> {
    let migrations = migrations(root)?;
    let mut findings = gaps(&migrations);
    if is_released(root) || root.join(LOCK).exists() {
        findings.extend(changes(&read_lock(root)?, &ids(root, &migrations)?));
    }
    Ok(findings)
}

/// Adds what is new to the lock file, once there is a release. What stands there is never changed.
pub(super) fn write_new(root: &Path) -> Result<()> {
    if !is_released(root) && !root.join(LOCK).exists() {
        return Ok(());
    }
    let mut locked = read_lock(root)?;
    for (path, id) in ids(root, &migrations(root)?)? {
        locked.entry(path).or_insert(id);
    }
    let lines: String = locked.iter().map(|(path, id)| format!("{id} {path}\n")).collect();
    fs::write(root.join(LOCK), format!("{HEAD}{lines}")).map_err(|error| format!("writing {LOCK}: {error}"))
}

/// The files in folders named `migrations`, as paths from the root with slashes.
fn migrations(root: &Path) -> Result<Vec<String>> {
    let in_migrations = |path: &PathBuf| {
        let folder = path.parent().and_then(Path::file_name);
        folder.is_some_and(|folder| folder == "migrations")
    };
    let found = files(root, "sql")?.into_iter().filter(in_migrations);
    let relative = found.map(|path| {
        let path = path.strip_prefix(root).unwrap_or(&path);
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        parts.join("/")
    });
    Ok(relative.collect())
}

/// Each folder counts from 0001: `0001.sql`, `0002_refunds.sql`.
fn gaps(migrations: &[String]) -> Vec<String> {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in migrations {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        folders.entry(folder).or_default().push(file);
    }
    let mut findings = Vec::new();
    for (folder, mut files) in folders {
        files.sort_unstable();
        for (number, file) in (1..).zip(files) {
            let wanted = format!("{number:04}");
            let rest = file.strip_prefix(&wanted);
            if !rest.is_some_and(|rest| rest.starts_with(['.', '_'])) {
                findings.push(format!("{folder}/{file} should be number {wanted}: migrations have no gaps"));
                break;
            }
        }
    }
    findings
}

fn changes(locked: &BTreeMap<String, String>, present: &BTreeMap<String, String>) -> Vec<String> {
    let paths: BTreeSet<&String> = locked.keys().chain(present.keys()).collect();
    let finding = |path: &String| match (locked.get(path), present.get(path)) {
        (Some(locked), Some(present)) if locked == present => None,
        (Some(_), Some(_)) => Some(format!("{path} was released and must not change: write a new migration")),
        (Some(_), None) => Some(format!("{path} was released and must not go")),
        (None, _) => Some(format!("{path} is not in {LOCK}: `cargo xtask bless` adds it")),
    };
    paths.into_iter().filter_map(finding).collect()
}

fn is_released(root: &Path) -> bool {
    // Without git, or outside a clone, there is no release to protect.
    output(git(root).args(["tag", "--list"])).is_ok_and(|tags| !tags.trim_ascii().is_empty())
}

/// The migrations with the ids of their contents.
fn ids(root: &Path, migrations: &[String]) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    for path in migrations {
        let id = output(git(root).args(["hash-object", "--no-filters"]).arg(path))?;
        ids.insert(path.clone(), String::from_utf8_lossy(&id).trim().to_owned());
    }
    Ok(ids)
}

fn read_lock(root: &Path) -> Result<BTreeMap<String, String>> {
    let path = root.join(LOCK);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(path).map_err(|error| format!("reading {LOCK}: {error}"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| match line.split_once(' ') {
            Some((id, path)) => Ok((path.to_owned(), id.to_owned())),
            None => Err(format!("{LOCK} has a line that is not an id and a path: {line}")),
        })
        .collect()
}

fn git(root: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(root).stdin(Stdio::null());
    // In a hook these point at the repository of the hook.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"] {
        git.env_remove(name);
    }
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps_in(files: &[&str]) -> Vec<String> {
        let paths: Vec<String> = files.iter().map(|file| format!("relay/migrations/{file}")).collect();
        gaps(&paths)
    }

    #[test]
    fn numbers_have_no_gaps_and_no_doubles() {
        for fine in [&["0001.sql"][..], &["0001.sql", "0002_refunds.sql", "0003.sql"], &[]] {
            assert_eq!(gaps_in(fine), Vec::<String>::new());
        }
        for wrong in
            [&["0002.sql"][..], &["0001.sql", "0003.sql"], &["0001.sql", "0001_again.sql"], &["1.sql"], &["00011.sql"]]
        {
            assert_eq!(gaps_in(wrong).len(), 1, "{wrong:?}");
        }
    }

    #[test]
    fn a_released_migration_stays_as_it_is() {
        let table = |rows: &[(&str, &str)]| -> BTreeMap<String, String> {
            rows.iter().map(|(path, id)| ((*path).to_owned(), (*id).to_owned())).collect()
        };
        let locked = table(&[("a/migrations/0001.sql", "1")]);
        assert_eq!(changes(&locked, &locked), Vec::<String>::new());
        let edited = table(&[("a/migrations/0001.sql", "2")]);
        assert!(changes(&locked, &edited)[0].contains("must not change"));
        assert!(changes(&locked, &table(&[]))[0].contains("must not go"));
        let more = table(&[("a/migrations/0001.sql", "1"), ("a/migrations/0002.sql", "3")]);
        assert!(changes(&locked, &more)[0].contains("is not in migrations.lock"));
    }

    #[test]
    fn the_first_tag_freezes_them() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let git = |args: &[&str]| {
            let identity =
                ["-c", "user.name=Bakery", "-c", "user.email=bakery@example.org", "-c", "commit.gpgsign=false"];
            output(git(root).args(identity).args(args)).unwrap();
        };
        let migration = root.join("till/migrations/0001.sql");
        fs::create_dir_all(migration.parent().unwrap()).unwrap();
        fs::write(&migration, "CREATE TABLE till(id INTEGER) STRICT;").unwrap();
        git(&["init", "--quiet"]);
        git(&["commit", "--quiet", "--allow-empty", "--message", "begin"]);
        write_new(root).unwrap();
        assert_eq!(findings(root).unwrap(), Vec::<String>::new());
        assert!(!root.join(LOCK).exists());

        git(&["tag", "v0.1.0"]);
        assert!(findings(root).unwrap()[0].contains("is not in migrations.lock"));
        write_new(root).unwrap();
        assert_eq!(findings(root).unwrap(), Vec::<String>::new());
        fs::write(&migration, "CREATE TABLE till(id TEXT) STRICT;").unwrap();
        write_new(root).unwrap();
        assert!(findings(root).unwrap()[0].contains("must not change"));
    }
}
