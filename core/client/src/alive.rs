//! Threads that have not come to their end, and waiting for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Counts threads that have not come to their end.
#[derive(Default)]
pub(crate) struct Alive {
    count: Mutex<u32>,
    ended: Condvar,
}

impl Alive {
    pub(crate) fn begin(self: &Arc<Self>) -> Here {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Here(self.clone())
    }

    /// Waits until none is left. Says whether that came to be in time.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(count, limit, |count| *count > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
    }
}

/// Held by a thread as long as it runs, also when it panics.
pub(crate) struct Here(Arc<Alive>);

impl Drop for Here {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}
