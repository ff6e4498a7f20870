//! Which crate of ours may use which: the arrows of `ARCHITECTURE.md`, and what must not be anywhere below the pure ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::{Metadata, Package};

/// What a crate may use of ours.
struct Arrows {
    from: &'static str,
    to: &'static [&'static str],
    /// Only its own tests may use these too.
    in_tests: &'static [&'static str],
}

const fn arrows(from: &'static str, to: &'static [&'static str]) -> Arrows {
    Arrows { from, to, in_tests: &[] }
}

/// Every edge there may be. Nothing points back. A new one is rare and deserves a decision record in `docs/adr`.
const ARROWS: [Arrows; 14] = [
    arrows("comptoir-wire", &[]),
    arrows("comptoir-content", &[]),
    arrows("comptoir-qr", &[]),
    arrows("comptoir-sqlcipher", &[]),
    arrows("comptoir-engine", &["comptoir-content"]),
    arrows(
        "comptoir-client",
        &["comptoir-content", "comptoir-engine", "comptoir-qr", "comptoir-sqlcipher", "comptoir-wire"],
    ),
    arrows("comptoir-bindings", &["comptoir-client"]),
    arrows("comptoir-relay", &["comptoir-sqlcipher", "comptoir-wire"]),
    Arrows {
        from: "comptoir-gateway",
        to: &["comptoir-client", "comptoir-content", "comptoir-engine", "comptoir-sqlcipher"],
        in_tests: &["comptoir-sandbox"],
    },
    arrows("comptoir-sandbox", &[]),
    Arrows {
        from: "comptoir-cli",
        to: &[
            "comptoir-client",
            "comptoir-content",
            "comptoir-engine",
            "comptoir-gateway",
            "comptoir-qr",
            "comptoir-relay",
            "comptoir-sandbox",
        ],
        in_tests: &["comptoir-tests"],
    },
    // Stories go through the public doors of whatever they tell about.
    arrows("comptoir-tests", &[ANY]),
    arrows("comptoir-benches", &[ANY]),
    arrows("xtask", &[]),
];

/// Stands for every crate of ours.
const ANY: &str = "*";

/// Crates that know no socket, no database and no clock, and what would bring them one.
const PURE: [&str; 4] = ["comptoir-wire", "comptoir-content", "comptoir-qr", "comptoir-engine"];
const IMPURE: [&str; 4] = ["tokio", "rusqlite", "libsqlite3-sys", "reqwest"];

/// The one owner of SQLite, and what it owns.
const SQLITE_OWNER: &str = "comptoir-sqlcipher";
const SQLITE: [&str; 2] = ["rusqlite", "libsqlite3-sys"];

pub(super) fn findings(metadata: &Metadata) -> Vec<String> {
    let ours: Vec<&Package> =
        metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id)).collect();
    let names: BTreeSet<&str> = ours.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in ours {
        edges(package, &names, &mut findings);
        if package.name != SQLITE_OWNER {
            let direct = package.dependencies.iter().map(|dependency| dependency.name.as_str());
            for sqlite in direct.filter(|name| SQLITE.contains(name)) {
                let name = &package.name;
                findings
                    .push(format!("{name} depends on {sqlite}: use it through {SQLITE_OWNER}, which re-exports it"));
            }
        }
        if PURE.contains(&package.name.as_str()) {
            let below = below(metadata, &package.id);
            for impure in IMPURE.into_iter().filter(|impure| below.contains(impure)) {
                let name = &package.name;
                findings.push(format!("{name} is pure, and {impure} is among the crates below it"));
            }
        }
    }
    findings
}

fn edges(package: &Package, ours: &BTreeSet<&str>, findings: &mut Vec<String>) {
    let Some(allowed) = ARROWS.iter().find(|arrows| arrows.from == package.name) else {
        findings.push(format!("{} has no line in the table of arrows in {}", package.name, file!()));
        return;
    };
    let used = package.dependencies.iter().filter(|dependency| ours.contains(dependency.name.as_str()));
    for dependency in used {
        let to = dependency.name.as_str();
        let in_tests = dependency.kind.as_deref() == Some("dev");
        let is_allowed =
            allowed.to.contains(&ANY) || allowed.to.contains(&to) || in_tests && allowed.in_tests.contains(&to);
        if !is_allowed {
            let from = &package.name;
            findings.push(format!("there is no arrow from {from} to {to}: see ARCHITECTURE.md"));
        }
    }
}

/// The names of everything that a package is built from, tests apart.
fn below<'m>(metadata: &'m Metadata, id: &str) -> BTreeSet<&'m str> {
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let nodes: BTreeMap<&str, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let (mut seen, mut to_see) = (BTreeSet::new(), vec![id]);
    let mut below = BTreeSet::new();
    while let Some(id) = to_see.pop() {
        let edges = nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default();
        for edge in edges {
            let is_built_in = edge.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"));
            if is_built_in && seen.insert(edge.pkg.as_str()) {
                below.extend(names.get(edge.pkg.as_str()));
                to_see.push(&edge.pkg);
            }
        }
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A workspace of these packages; each of them uses these others, `dev:` in its tests only.
    fn check(packages: &[(&str, &[&str])], expected: &[&str]) {
        let split = |name: &'static str| match name.strip_prefix("dev:") {
            Some(name) => (name, Some("dev")),
            None => (name, None),
        };
        let all = packages.iter().map(|(name, uses)| {
            let uses: Vec<_> = uses.iter().map(|name| split(leak(name))).collect();
            json!({
                "id": name, "name": name,
                "dependencies": uses.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect::<Vec<_>>(),
                "deps": uses.iter().map(|(name, kind)| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] })).collect::<Vec<_>>(),
            })
        });
        let all: Vec<_> = all.collect();
        let members: Vec<_> = packages
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| name.starts_with("comptoir") || *name == "xtask")
            .collect();
        let metadata: Metadata = serde_json::from_value(json!({
            "packages": all, "workspace_members": members, "resolve": { "nodes": all },
            "workspace_root": "", "target_directory": "",
        }))
        .unwrap();
        let found = findings(&metadata);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found} where {expected} was expected");
        }
    }

    fn leak(name: &str) -> &'static str {
        name.to_owned().leak()
    }

    #[test]
    fn arrows_that_are_drawn_are_fine() {
        check(
            &[
                ("comptoir-content", &["prost"]),
                ("comptoir-engine", &["comptoir-content", "dev:tokio"]),
                ("comptoir-gateway", &["comptoir-engine", "dev:comptoir-sandbox"]),
                ("comptoir-sandbox", &["tokio"]),
                ("comptoir-tests", &["comptoir-sandbox", "comptoir-gateway"]),
                ("comptoir-sqlcipher", &["rusqlite"]),
            ],
            &[],
        );
    }

    #[test]
    fn arrows_that_point_back_are_found() {
        check(
            &[("comptoir-relay", &["comptoir-content"]), ("comptoir-content", &[])],
            &["no arrow from comptoir-relay to comptoir-content"],
        );
        check(
            &[("comptoir-gateway", &["comptoir-sandbox"]), ("comptoir-sandbox", &[])],
            &["no arrow from comptoir-gateway to comptoir-sandbox"],
        );
        check(
            &[("comptoir-engine", &["dev:comptoir-client"]), ("comptoir-client", &[])],
            &["no arrow from comptoir-engine to comptoir-client"],
        );
        check(&[("comptoir-new", &[])], &["comptoir-new has no line"]);
    }

    #[test]
    fn pure_crates_stay_pure_however_deep() {
        check(
            &[("comptoir-engine", &["harmless"]), ("harmless", &["tokio"]), ("tokio", &[])],
            &["comptoir-engine is pure, and tokio"],
        );
    }

    #[test]
    fn sqlite_has_one_owner() {
        check(
            &[("comptoir-relay", &["rusqlite"]), ("rusqlite", &["libsqlite3-sys"])],
            &["comptoir-relay depends on rusqlite"],
        );
    }
}
