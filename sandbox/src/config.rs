//! What a sandbox is started with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Everything a sandbox needs to know. [`Config::new`] fills in the rest; the fields are public.
#[derive(Clone)]
pub struct Config {
    /// Where to listen. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// The address that payers see, without a slash at the end; `http://` and the bound address when it is `None`.
    pub public_url: Option<String>,
    /// What callers of `/v1` must show as a bearer token.
    pub secret_key: String,
    /// Where to send events. Without it they are only listed by `GET /v1/events`.
    pub webhook: Option<Webhook>,
    /// Where to keep payments across restarts. Without it they live in memory.
    pub state_file: Option<PathBuf>,
    /// What time it is.
    pub clock: Clock,
}

impl Config {
    /// A sandbox in memory, without webhooks, on the system clock.
    #[must_use]
    pub fn new(listen: SocketAddr, secret_key: impl Into<String>) -> Self {
        Self {
            listen,
            public_url: None,
            secret_key: secret_key.into(),
            webhook: None,
            state_file: None,
            clock: Clock::system(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("public_url", &self.public_url)
            .field("webhook", &self.webhook)
            .field("state_file", &self.state_file)
            .finish_non_exhaustive()
    }
}

/// Where events go and how patiently.
#[derive(Clone)]
pub struct Webhook {
    /// `https://…`, or `http://…` on a loopback address.
    pub url: String,
    /// The key of the signature in `Sandbox-Signature`.
    pub secret: String,
    /// How often one event is tried before the sandbox gives up, at least once.
    pub attempts: u32,
    /// The pause after the first failed attempt; it doubles after each further one.
    pub base_delay: Duration,
}

impl Webhook {
    /// Five attempts, half a second after the first.
    #[must_use]
    pub fn new(url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { url: url.into(), secret: secret.into(), attempts: 5, base_delay: Duration::from_millis(500) }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .field("attempts", &self.attempts)
            .field("base_delay", &self.base_delay)
            .finish_non_exhaustive()
    }
}

/// Tells the time, in milliseconds since 1970 UTC.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|| {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
        })
    }

    /// A clock that says what the function says.
    pub fn from_fn(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(…)")
    }
}
