//! Giving up on something that takes long.

use tokio::sync::watch;

use super::ClientError;

/// Cancels what it was given to, from any thread. Nothing is undone: what was on its way goes on in the background.
///
/// A canceled Kotlin job and a canceled Python task reach Rust by themselves; a canceled Swift `Task` does not, so it is
/// called from `withTaskCancellationHandler`.
#[derive(Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct CancelToken {
    canceled: watch::Sender<bool>,
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl CancelToken {
    /// A token that cancels nothing yet.
    ///
    /// # Errors
    /// None: a `Result` because everything that is exported returns one.
    #[cfg_attr(feature = "uniffi", uniffi::constructor)]
    pub fn new() -> Result<std::sync::Arc<Self>, ClientError> {
        Ok(std::sync::Arc::new(Self { canceled: watch::Sender::new(false) }))
    }

    /// Cancels. Again does nothing.
    ///
    /// # Errors
    /// None, as above.
    pub fn cancel(&self) -> Result<(), ClientError> {
        self.canceled.send_replace(true);
        Ok(())
    }
}

impl CancelToken {
    /// Waits until somebody cancels.
    pub(crate) async fn canceled(&self) {
        let mut canceled = self.canceled.subscribe();
        // The sender is in `self`, so the wait cannot end otherwise.
        let _ = canceled.wait_for(|canceled| *canceled).await;
    }
}
