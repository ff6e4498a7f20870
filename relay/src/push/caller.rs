//! The HTTP client that knocks. What it trusts is the system's root certificates as they were when it was made, so it is
//! made again every day. A relay whose system has none does everything else meanwhile, and looks for them every minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::task::spawn_blocking;

use super::address::{Lookups, Reach};

/// How long it may take to be connected.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// After a failure it is tried again so soon, and after a success so late.
const AGAIN_MS: u64 = 60 * 1_000;
const ANEW_MS: u64 = 24 * 60 * 60 * 1_000;

#[derive(Debug)]
pub(super) struct Caller {
    lookups: Lookups,
    patience: Duration,
    made: Mutex<Made>,
}

/// What was made, and when that was tried last.
#[derive(Debug)]
struct Made<T = Client> {
    last: Option<T>,
    tried_at_ms: Option<i64>,
    failed: bool,
}

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self { last: None, tried_at_ms: None, failed: false }
    }
}

impl Caller {
    pub(super) fn new(reach: Reach, patience: Duration) -> Self {
        // Somebody else in the process may have chosen a provider already; it is ring too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { lookups: Lookups::new(reach), patience, made: Mutex::default() }
    }

    /// Makes the client, or makes it anew, when it is time for that. False while there is none.
    pub(super) async fn get_ready(&self, now_ms: i64) -> bool {
        if self.made().is_due(now_ms) {
            let (lookups, patience) = (self.lookups.clone(), self.patience);
            // The certificates are read from the disk, which may be one that hangs.
            let client = spawn_blocking(move || make(lookups, patience)).await;
            let client = client.map_err(|error| error.to_string()).and_then(|client| client);
            self.made().tried(client, now_ms);
        }
        self.is_ready()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.made().last.is_some()
    }

    pub(super) fn client(&self) -> Option<Client> {
        self.made().last.clone()
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Made<T> {
    fn is_due(&self, now_ms: i64) -> bool {
        let pause_ms = if self.failed { AGAIN_MS } else { ANEW_MS };
        // A clock that was put back is no reason to wait for it.
        self.tried_at_ms.is_none_or(|tried_at_ms| now_ms.abs_diff(tried_at_ms) >= pause_ms)
    }

    /// Keeps what was made. When nothing was, what was made before still serves. Said once, and not every minute.
    fn tried(&mut self, made: Result<T, String>, now_ms: i64) {
        self.tried_at_ms = Some(now_ms);
        let failed_before = std::mem::replace(&mut self.failed, made.is_err());
        match made {
            Ok(made) => {
                self.last = Some(made);
                if failed_before {
                    tracing::info!("root certificates are read again: devices are woken");
                }
            }
            Err(_) if failed_before => {}
            Err(why) if self.last.is_some() => {
                tracing::warn!(why, "root certificates cannot be read: those of yesterday serve on");
            }
            Err(why) => {
                tracing::error!(why, "no device is woken before the system's root certificates are installed");
            }
        }
    }
}

fn make(lookups: Lookups, patience: Duration) -> Result<Client, String> {
    let made = Client::builder()
        .timeout(patience)
        .connect_timeout(CONNECT_TIME.min(patience))
        .redirect(Policy::none())
        .no_proxy()
        .dns_resolver(lookups)
        // None is kept: each is made to an address that was just looked at, and nothing is said of it later.
        .pool_max_idle_per_host(0)
        .build();
    made.map_err(|error| {
        // Only the last of the reasons says something.
        let mut reason: &dyn std::error::Error = &error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        reason.to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;
    const MINUTE_MS: i64 = 60_000;
    const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

    fn check(made: &Made<u8>, due: &[(i64, bool)]) {
        for (now_ms, expected) in due {
            assert_eq!(made.is_due(*now_ms), *expected, "{now_ms}");
        }
    }

    #[test]
    fn what_cannot_be_made_is_tried_every_minute_and_what_was_made_every_day() {
        let mut made = Made::default();
        check(&made, &[(NOW_MS, true)]);
        made.tried(Err("no certificates".to_owned()), NOW_MS);
        check(&made, &[(NOW_MS, false), (NOW_MS + MINUTE_MS - 1, false), (NOW_MS + MINUTE_MS, true)]);
        assert_eq!(made.last, None);
        made.tried(Ok(1), NOW_MS);
        check(&made, &[(NOW_MS + DAY_MS - 1, false), (NOW_MS + DAY_MS, true), (NOW_MS - DAY_MS, true)]);
        made.tried(Err("no certificates".to_owned()), NOW_MS + DAY_MS);
        assert_eq!(made.last, Some(1), "better than none");
        check(&made, &[(NOW_MS + DAY_MS, false), (NOW_MS + DAY_MS + MINUTE_MS, true)]);
        made.tried(Ok(2), NOW_MS + DAY_MS + MINUTE_MS);
        assert_eq!(made.last, Some(2));
    }
}
