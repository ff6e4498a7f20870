//! Calls that go out. They reach where they are sent and nowhere else: redirects are not followed, and proxies of the
//! environment are not used.

use std::time::Duration;

/// A client whose calls may take so long and no longer.
pub(crate) fn client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    // Somebody else in the process may have chosen a provider already; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none()).no_proxy().build()
}
