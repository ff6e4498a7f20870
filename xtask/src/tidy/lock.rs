//! What must not be in `Cargo.lock`, on any platform and behind any feature.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::house::Result;

/// One crypto backend and one TLS in the whole tree: ring and rustls.
const BANNED: [&str; 3] = ["aws-lc-sys", "openssl-sys", "native-tls"];

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

pub(super) fn findings(root: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(root.join("Cargo.lock")).map_err(|error| format!("reading Cargo.lock: {error}"))?;
    check(&text)
}

fn check(text: &str) -> Result<Vec<String>> {
    let lock: Lock = toml::from_str(text).map_err(|error| format!("reading Cargo.lock: {error}"))?;
    let banned = BANNED.into_iter().filter(|name| lock.package.iter().any(|package| package.name == *name));
    Ok(banned
        .map(|name| format!("{name} is in Cargo.lock: `cargo tree --target all -i {name}` says whose fault it is"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_second_crypto_backend_is_found() {
        let lock = |name: &str| format!("version = 4\n[[package]]\nname = '{name}'\nversion = '1.0.0'\n");
        assert_eq!(check(&lock("ring")).unwrap(), Vec::<String>::new());
        for name in ["aws-lc-sys", "openssl-sys", "native-tls"] {
            assert!(check(&lock(name)).unwrap()[0].starts_with(name));
        }
        assert!(check("nonsense").is_err());
    }
}
