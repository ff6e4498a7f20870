//! What the merchant sets: `gateway.toml`, `catalogue.toml` beside it, secrets in files of their own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::catalogue::Catalogue;
use crate::provider::{Provider, Sandbox, SandboxConfig, Stripe, StripeConfig};

/// `gateway.toml`. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where webhooks arrive. Port 0 takes a free one. Must be loopback, or `behind_proxy` true.
    #[serde(default = "loopback")]
    pub listen: SocketAddr,
    /// A proxy in front speaks TLS.
    #[serde(default)]
    pub behind_proxy: bool,
    /// Where the operator's commands arrive; loopback only.
    #[serde(default = "loopback")]
    pub operator_listen: SocketAddr,
    /// The catalogue, relative to this file.
    #[serde(default = "catalogue")]
    pub catalogue: PathBuf,
    pub providers: Providers,
    /// The folder of this file. Set when it is read.
    #[serde(skip)]
    pub dir: PathBuf,
}

/// The payment providers that are set up. At least one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    #[serde(default)]
    pub sandbox: Option<SandboxConfig>,
    #[serde(default)]
    pub stripe: Option<StripeConfig>,
}

/// What is wrong with a file that the merchant wrote. Each names the file, and the field where there is one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: {reason}")]
    Syntax { path: PathBuf, reason: String },
    #[error("{path}: {field}: {why}")]
    Field { path: PathBuf, field: String, why: String },
    #[error("{path}: providers: {source}")]
    Provider { path: PathBuf, source: crate::provider::ConfigError },
}

fn loopback() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

fn catalogue() -> PathBuf {
    PathBuf::from("catalogue.toml")
}

/// The file's name in a shop's folder.
pub(crate) const FILE: &str = "gateway.toml";

impl Config {
    /// Reads `gateway.toml` of a shop's folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the field.
    pub fn read(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Io { path: path.clone(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Syntax { path: path.clone(), reason: error.to_string() })?;
        config.dir = dir.to_owned();
        let field = |field: &str, why: &str| {
            Err(ConfigError::Field { path: path.clone(), field: field.to_owned(), why: why.to_owned() })
        };
        if !config.behind_proxy && !config.listen.ip().is_loopback() {
            return field("listen", "not loopback: set behind_proxy = true when a proxy speaks TLS");
        }
        if !config.operator_listen.ip().is_loopback() {
            return field("operator_listen", "only on this machine: 127.0.0.1 or [::1]");
        }
        if config.providers.sandbox.is_none() && config.providers.stripe.is_none() {
            return field("providers", "at least one provider has to be set up");
        }
        Ok(config)
    }

    /// Reads the catalogue that this configuration names.
    ///
    /// # Errors
    /// [`ConfigError`] names the field.
    pub fn catalogue(&self) -> Result<Catalogue, ConfigError> {
        Catalogue::read(&self.dir.join(&self.catalogue))
    }

    /// The adapters of the providers that are set up.
    ///
    /// # Errors
    /// [`ConfigError::Provider`] names the field.
    pub fn adapters(&self) -> Result<Vec<Box<dyn Provider>>, ConfigError> {
        let path = self.dir.join(FILE);
        let failed = |source| ConfigError::Provider { path: path.clone(), source };
        let mut adapters: Vec<Box<dyn Provider>> = Vec::new();
        if let Some(config) = &self.providers.sandbox {
            adapters.push(Box::new(Sandbox::open(config, &self.dir).map_err(failed)?));
        }
        if let Some(config) = &self.providers.stripe {
            adapters.push(Box::new(Stripe::open(config, &self.dir).map_err(failed)?));
        }
        Ok(adapters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_come_over_tls_or_from_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let read = |head: &str| {
            let provider = "[providers.sandbox]\nurl = 'http://127.0.0.1:9'\naccount = 'a'\nsecret_key_file = 'k'\n";
            std::fs::write(dir.path().join(FILE), format!("{head}\n{provider}")).unwrap();
            Config::read(dir.path())
        };
        for open in ["listen = '0.0.0.0:8080'", "listen = '[::]:8080'", "listen = '192.0.2.1:80'\nbehind_proxy = false"]
        {
            let refused = read(open).unwrap_err();
            assert!(matches!(&refused, ConfigError::Field { field, .. } if field == "listen"), "{open}: {refused}");
        }
        for fine in
            ["", "listen = '127.0.0.1:8080'", "listen = '[::1]:0'", "listen = '0.0.0.0:80'\nbehind_proxy = true"]
        {
            assert!(read(fine).is_ok(), "{fine}");
        }
    }
}
