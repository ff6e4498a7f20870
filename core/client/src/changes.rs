//! Who listens to a core, and what they hear: a snapshot first, then changes, bounded. Whoever is slow hears
//! [`View::Reset`] and reads everything again, so nothing is missed and nothing piles up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::views::View;

/// Changes that are kept for a listener who is slow. After more it hears [`View::Reset`].
const CHANGES_MAX: usize = 256;

/// How far a client is with its relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub online: bool,
    /// Everything that waited at the relay was delivered.
    pub caught_up: bool,
    /// What still has to reach the relay, counted up to 1,000.
    pub unsent: u64,
    /// Questions that the relay has not answered.
    pub asking: u64,
}

/// Wakes those who listen.
#[derive(Clone)]
pub(crate) struct Bell {
    listeners: Arc<Mutex<Vec<Listener>>>,
    status: Arc<watch::Sender<Status>>,
}

struct Listener {
    views: mpsc::Sender<View>,
    overflowed: Arc<AtomicBool>,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { listeners: Arc::default(), status: Arc::new(watch::Sender::new(Status::default())) }
    }

    /// A subscription from now on, beginning with [`View::Reset`].
    pub(crate) fn listen(&self) -> Changes {
        let (sender, views) = mpsc::channel(CHANGES_MAX);
        let overflowed = Arc::new(AtomicBool::new(false));
        let listener = Listener { views: sender, overflowed: overflowed.clone() };
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        Changes { views, overflowed, first: true }
    }

    pub(crate) fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn ring(&self, view: &View) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| match listener.views.try_send(view.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                listener.overflowed.store(true, Ordering::Release);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }

    pub(crate) fn status(&self, status: Status) {
        self.status.send_if_modified(|known| std::mem::replace(known, status) != status);
    }
}

/// A subscription. The first item is [`View::Reset`]: read what you show. Dropping it ends it.
pub struct Changes {
    views: mpsc::Receiver<View>,
    overflowed: Arc<AtomicBool>,
    first: bool,
}

impl Changes {
    /// The next change; `None` when the core was shut down.
    pub async fn next(&mut self) -> Option<View> {
        if std::mem::take(&mut self.first) {
            return Some(View::Reset);
        }
        if self.overflowed.swap(false, Ordering::AcqRel) {
            while self.views.try_recv().is_ok() {}
            return Some(View::Reset);
        }
        self.views.recv().await
    }
}
