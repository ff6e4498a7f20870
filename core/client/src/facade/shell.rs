//! What the core asks of a shell: only what a phone alone can do. Shells implement these; each call takes values, returns a
//! `Result`, and has a time limit, so that a shell that hangs or throws holds up nothing but itself.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::{Change, Sheet};

/// How long a shell may take for an answer that somebody waits for. A keystore may have to ask for a fingerprint.
pub(crate) const SHELL_LIMIT: Duration = Duration::from_secs(60);

/// Why a shell could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
pub enum ShellError {
    /// Not now: before the first unlock, without a screen, without a network.
    #[error("not available now: {detail}")]
    Unavailable { detail: String },
    /// The person said no.
    #[error("canceled by the person")]
    Canceled,
    /// It went wrong. Also what an exception becomes that a shell did not declare.
    #[error("failed: {detail}")]
    Failed { detail: String },
}

impl ShellError {
    /// What may be said of it in a log: a shell's own words may hold an address or a key.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "not available now",
            Self::Canceled => "canceled by the person",
            Self::Failed { .. } => "failed",
        }
    }
}

#[cfg(feature = "uniffi")]
impl From<uniffi::UnexpectedUniFFICallbackError> for ShellError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { detail: error.reason }
    }
}

/// Keeps 32 secret bytes. A phone wraps them with a key of its keystore that never leaves the device, and leaves them out of
/// backups; a terminal has [`crate::FileVault`].
///
/// Called on a thread of the core, at most 60 seconds long, while [`crate::Client::open`] waits.
#[cfg_attr(feature = "uniffi", uniffi::export(foreign))]
pub trait KeyVault: Send + Sync {
    /// The root key, 32 bytes, or nothing when none was stored yet. Never nothing because it cannot be had now.
    ///
    /// # Errors
    /// [`ShellError`] when it is there but cannot be had now.
    fn load(&self) -> Result<Option<Vec<u8>>, ShellError>;

    /// Keeps a new root key of 32 bytes for good. Never replaces one.
    ///
    /// # Errors
    /// [`ShellError`]; nothing is kept then.
    fn store(&self, key: Vec<u8>) -> Result<(), ShellError>;
}

/// Opens what a customer pays with: the provider's page, or its own sheet. It returns as soon as that is on the screen;
/// what came of it is told by [`crate::Client::sheet_closed`].
///
/// Called on a thread of the core. When it fails, or the core was killed, the sheet is still in
/// [`crate::CheckoutView::sheet`], as long as it makes sense to open it.
#[cfg_attr(feature = "uniffi", uniffi::export(foreign))]
pub trait PaymentSheet: Send + Sync {
    /// # Errors
    /// [`ShellError`] when it could not be shown. Nothing is charged, and nothing is forgotten.
    fn show(&self, sheet: Sheet) -> Result<(), ShellError>;
}

/// Where this phone can be woken, as its push distributor gave it.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum PushTarget {
    /// Web Push, as browsers have it and UnifiedPush distributors give it: an `https://` address, at most 1,000 bytes.
    WebPush { endpoint: String },
}

// Who has the endpoint can wake the phone: it never reaches a log.
impl std::fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WebPush { .. } => f.write_str("WebPush(…)"),
        }
    }
}

/// Knows where this phone can be woken while its core is suspended or away. The relay knocks there, with an empty push
/// message, when the first thing worth waking for has come, and again for what comes an hour later, in case that was lost;
/// the shell then opens or resumes the core, which fetches it.
///
/// Called on a thread of the core, at most 60 seconds long, after each connection to a relay that sends wake-ups, and after
/// [`crate::Client::push_changed`]. A distributor asks for the relay's key when it registers: [`crate::Client::push_key`].
#[cfg_attr(feature = "uniffi", uniffi::export(foreign))]
pub trait PushToken: Send + Sync {
    /// What the distributor gave last, or nothing: then the relay does not knock.
    ///
    /// # Errors
    /// [`ShellError`] when it is not known now; nothing is changed then.
    fn token(&self) -> Result<Option<PushTarget>, ShellError>;
}

/// Hears what changes. Called on a thread of its subscription, one call after the other; a listener that takes long gets
/// more at once the next time, and holds up nobody else. After an error or an exception it hears [`Change::Reset`] and the
/// whole again with the next change.
#[cfg_attr(feature = "uniffi", uniffi::export(foreign))]
pub trait ChangeListener: Send + Sync {
    /// # Errors
    /// [`ShellError`] when it could not take these.
    fn changed(&self, changes: Vec<Change>) -> Result<(), ShellError>;
}

/// Calls a shell on a thread of its own and waits no longer than `limit`.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> Result<T, ShellError> + Send + 'static,
) -> Result<T, ShellError> {
    let failed = |detail: String| ShellError::Failed { detail };
    let (sender, answer) = sync_channel(1);
    let thread = std::thread::Builder::new().name("comptoir-shell".to_owned()).spawn(move || {
        // Nobody waits any more: what it would have said is lost with its thread.
        let _ = sender.send(call());
    });
    thread.map_err(|error| failed(error.to_string()))?;
    match answer.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(ShellError::Unavailable { detail: "it took too long".to_owned() }),
        Err(RecvTimeoutError::Disconnected) => Err(failed("it ended without an answer".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_that_hangs_holds_up_nobody() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let answer = within(Duration::from_millis(1), move || {
            let _ = held.recv();
            Ok(())
        });
        assert_eq!(answer, Err(ShellError::Unavailable { detail: "it took too long".to_owned() }));
        drop(release);
    }

    #[test]
    fn a_shell_that_panics_is_an_error() {
        let answer: Result<(), _> = within(SHELL_LIMIT, || panic!("a bug in a shell"));
        assert_eq!(answer, Err(ShellError::Failed { detail: "it ended without an answer".to_owned() }));
    }
}
