//! Who listens to a core, and what they hear: a snapshot first, then changes, bounded. Whoever is slow hears
//! [`View::Reset`] and reads everything again, so nothing is missed and nothing piles up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use comptoir_content::ConversationId;
use tokio::sync::{mpsc, watch};

use crate::facade::{Sheet, Status};

/// Changes that are kept for a listener who is slow. After more it hears [`View::Reset`].
const CHANGES_MAX: usize = 256;

/// Payment sheets that wait for a shell that is slow.
const SHEETS_MAX: usize = 16;

/// Something that changed, for those who listen. It says where to look, not what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The list of chats.
    Chats,
    /// One chat: its messages, or a payment in it.
    Chat(ConversationId),
    /// How far this core is with its relay.
    Status,
    /// Open the payment sheet now. After a restart it is found in [`crate::CheckoutView::sheet`].
    Sheet(Sheet),
    /// More happened than was kept: read everything again.
    Reset,
}

/// Wakes those who listen.
#[derive(Clone)]
pub(crate) struct Bell {
    listeners: Arc<Mutex<Vec<Listener>>>,
    status: Arc<watch::Sender<Status>>,
    /// Whoever opens payment sheets: they are not lost among other changes.
    sheets: Arc<Mutex<Option<mpsc::Sender<Sheet>>>>,
}

struct Listener {
    id: u64,
    views: mpsc::Sender<View>,
    overflowed: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Listener {
    /// False when nobody listens any more.
    fn ring(&self, view: &View) -> bool {
        match self.views.try_send(view.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.overflowed.store(true, Ordering::Release);
                // It may have taken everything a moment ago, and wait: then there is room for what makes it look.
                let _ = self.views.try_send(view.clone());
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self {
            listeners: Arc::default(),
            status: Arc::new(watch::Sender::new(Status::default())),
            sheets: Arc::default(),
        }
    }

    /// A subscription from now on, beginning with [`View::Reset`].
    pub(crate) fn listen(&self) -> Changes {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (sender, views) = mpsc::channel(CHANGES_MAX);
        let (overflowed, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        listeners.push(Listener { id, views: sender, overflowed: overflowed.clone(), ended: ended.clone() });
        let hush = Hush { listeners: Arc::downgrade(&self.listeners), id, ended };
        Changes { views, overflowed, first: true, hush }
    }

    pub(crate) fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn ring(&self, view: &View) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.ring(view));
    }

    /// The payment sheets that are to be opened from now on.
    pub(crate) fn sheets(&self) -> mpsc::Receiver<Sheet> {
        let (sender, sheets) = mpsc::channel(SHEETS_MAX);
        *self.sheets.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        sheets
    }

    /// A payment sheet is to be opened.
    pub(crate) fn sheet(&self, sheet: Sheet) {
        if let Some(sheets) = &*self.sheets.lock().unwrap_or_else(PoisonError::into_inner)
            && sheets.try_send(sheet.clone()).is_err()
        {
            tracing::warn!("too many payment sheets wait for the shell; this one can be opened from its bill");
        }
        self.ring(&View::Sheet(sheet));
    }

    /// Ends all subscriptions. What was rung before is still heard by those who wait for it themselves; no listener is
    /// called with it.
    pub(crate) fn end(&self) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.drain(..) {
            listener.ended.store(true, Ordering::Release);
        }
        self.sheets.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Nothing runs any more. Whoever waits for the status hears of it, also when it says nothing new.
    pub(crate) fn halted(&self) {
        let known = self.status.send_replace(Status::default());
        if known != Status::default() {
            self.ring(&View::Status);
        }
    }

    /// More happened than can be told.
    pub(crate) fn reset(&self) {
        self.ring(&View::Reset);
    }

    pub(crate) fn status(&self, status: Status) {
        let changed = self.status.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
        if changed {
            self.ring(&View::Status);
        }
    }
}

/// Ends a subscription from outside.
#[derive(Clone)]
pub(crate) struct Hush {
    listeners: Weak<Mutex<Vec<Listener>>>,
    id: u64,
    ended: Arc<AtomicBool>,
}

impl Hush {
    /// From now on the listener is not called any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.lock().unwrap_or_else(PoisonError::into_inner).retain(|listener| listener.id != self.id);
        }
    }

    /// True after the end.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Makes this one listener look again.
    pub(crate) fn nudge(&self, view: &View) {
        if let Some(listeners) = self.listeners.upgrade() {
            let listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
            for listener in listeners.iter().filter(|listener| listener.id == self.id) {
                listener.ring(view);
            }
        }
    }
}

/// A subscription. The first item is [`View::Reset`]: read what you show. Dropping it ends it.
pub struct Changes {
    views: mpsc::Receiver<View>,
    overflowed: Arc<AtomicBool>,
    first: bool,
    hush: Hush,
}

impl Changes {
    /// The next change; `None` when the core was shut down.
    pub async fn next(&mut self) -> Option<View> {
        match self.reset() {
            Some(view) => Some(view),
            None => self.views.recv().await,
        }
    }

    /// As [`Changes::next`], on a thread of one's own.
    pub(crate) fn next_blocking(&mut self) -> Option<View> {
        self.reset().or_else(|| self.views.blocking_recv())
    }

    /// What is there already.
    pub(crate) fn next_now(&mut self) -> Option<View> {
        self.reset().or_else(|| self.views.try_recv().ok())
    }

    pub(crate) fn hush(&self) -> Hush {
        self.hush.clone()
    }

    fn reset(&mut self) -> Option<View> {
        if std::mem::take(&mut self.first) {
            return Some(View::Reset);
        }
        if self.overflowed.swap(false, Ordering::AcqRel) {
            while self.views.try_recv().is_ok() {}
            return Some(View::Reset);
        }
        None
    }
}
