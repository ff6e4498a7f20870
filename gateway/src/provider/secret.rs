//! Keys and secrets: each in a file of its own, never shown, wiped when dropped.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The largest secret file, in bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// A key or a webhook secret.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Spaces and line ends around it do not belong to it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Visible ASCII, so that it fits into a header as it is.
    pub(super) fn is_plain(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is wrong with the configuration of a provider; it begins with the name of the field.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Correct the field.
    #[error("{field} {rule}")]
    Field { field: &'static str, rule: &'static str },
    /// The file that the field names cannot be read.
    #[error("{field}: reading {path}")]
    File { field: &'static str, path: PathBuf, source: io::Error },
}

impl ConfigError {
    pub(super) fn field(field: &'static str, rule: &'static str) -> Self {
        Self::Field { field, rule }
    }
}

/// Reads a secret. A relative path is meant from `folder`, where the configuration lies.
pub(super) fn read(field: &'static str, folder: &Path, path: &Path) -> Result<Secret, ConfigError> {
    let path = folder.join(path);
    let mut text = Zeroizing::new(String::new());
    let read = File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|source| ConfigError::File { field, path, source })?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::field(field, "must name a file with nothing but the secret in it"));
    }
    Ok(Secret::new(&text))
}

/// The webhook secrets that count: the present one and, while it is being replaced, the one before.
pub(super) fn read_webhook(
    fields: [&'static str; 2],
    folder: &Path,
    paths: [Option<&Path>; 2],
) -> Result<Vec<Secret>, ConfigError> {
    let mut secrets = Vec::new();
    for (field, path) in fields.into_iter().zip(paths) {
        if let Some(path) = path {
            secrets.push(read(field, folder, path)?);
        }
    }
    if paths[0].is_none() && paths[1].is_some() {
        return Err(ConfigError::field(fields[1], "needs the present secret beside it"));
    }
    Ok(secrets)
}

/// An address without its last slash: `https://…`, or `http://…` on this machine.
pub(super) fn base_url(field: &'static str, text: &str) -> Result<String, ConfigError> {
    let wrong = ConfigError::field(field, "must be an https:// address, or http:// on a loopback address");
    let Ok(url) = reqwest::Url::parse(text) else {
        return Err(wrong);
    };
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if plain && may_be_called(&url) { Ok(text.trim_end_matches('/').to_owned()) } else { Err(wrong) }
}

/// Over TLS, or not beyond this machine.
pub(super) fn may_be_called(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_file_without_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "sk_test_bakery\n").unwrap();
        let secret = read("stripe.secret_key_file", folder.path(), Path::new("key")).unwrap();
        assert_eq!(secret.expose(), "sk_test_bakery");
        assert_eq!(format!("{secret:?}"), "Secret(…)");

        std::fs::write(folder.path().join("book"), "x".repeat(5000)).unwrap();
        for name in ["book", "nothing"] {
            let error = read("stripe.secret_key_file", folder.path(), Path::new(name)).unwrap_err();
            assert!(error.to_string().starts_with("stripe.secret_key_file"), "{error}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in ["https://api.stripe.com", "http://127.0.0.1:8080", "http://[::1]:1/", "http://localhost:1"] {
            assert_eq!(base_url("f", good).unwrap(), good.trim_end_matches('/'), "{good}");
        }
        for bad in [
            "http://api.stripe.com",
            "http://127.0.0.1.example.org",
            "ftp://127.0.0.1",
            "api.stripe.com",
            "https://user:pass@api.stripe.com",
            "https://api.stripe.com?x=1",
            "",
        ] {
            assert!(base_url("f", bad).is_err(), "{bad}");
        }
    }
}
