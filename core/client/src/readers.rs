//! Connections for views, beside the one writer: kept for the next view, and closed all at once.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use comptoir_sqlcipher::rusqlite::{Connection as Db, InterruptHandle};

use crate::error::TurnError;
use crate::facade::ClientError;

/// As many are kept open while nobody reads.
const IDLE_MAX: usize = 2;

pub(crate) type OpenReader = Box<dyn Fn() -> Result<Db, ClientError> + Send + Sync>;

/// Those who read.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    came_back: Condvar,
}

struct State {
    /// `None` while closed.
    open: Option<Arc<OpenReader>>,
    idle: Vec<Db>,
    /// Connections that somebody reads with now; `None` while one is being opened.
    out: HashMap<u64, Option<InterruptHandle>>,
    next: u64,
}

impl Readers {
    pub(crate) fn new(open: OpenReader) -> Self {
        let state = State { open: Some(Arc::new(open)), idle: Vec::new(), out: HashMap::new(), next: 0 };
        Self(Arc::new(Inner { state: Mutex::new(state), came_back: Condvar::new() }))
    }

    /// Reads with a connection of its own. However many statements it takes, they see one moment.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Db) -> Result<T, TurnError>) -> Result<T, ClientError> {
        let lent = self.lend()?;
        let db = lent.db.as_ref().expect("lent until it is dropped");
        let moment = db.unchecked_transaction().map_err(TurnError::from)?;
        Ok(read(&moment)?)
    }

    fn lend(&self) -> Result<Lent<'_>, ClientError> {
        let mut state = self.state();
        let open = state.open.clone().ok_or_else(ClientError::suspended)?;
        let kept = state.idle.pop();
        let number = state.next;
        state.next += 1;
        state.out.insert(number, None);
        drop(state);
        // From here on it is given back, whatever happens.
        let mut lent = Lent { readers: self, number, db: kept };
        let db = match lent.db.take() {
            Some(db) => db,
            None => open()?,
        };
        self.state().out.insert(number, Some(db.get_interrupt_handle()));
        lent.db = Some(db);
        Ok(lent)
    }

    /// Lends no more, until [`Readers::open`].
    pub(crate) fn close(&self) -> Self {
        let mut state = self.state();
        state.open = None;
        state.idle.clear();
        self.clone()
    }

    pub(crate) fn open(&self, open: OpenReader) {
        self.state().open = Some(Arc::new(open));
    }

    /// Waits until nobody reads any more. Says whether that came to be in time.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let waited = self.0.came_back.wait_timeout_while(self.state(), limit, |state| !state.out.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.out.is_empty()
    }

    pub(crate) fn interrupt(&self) {
        self.state().out.values().flatten().for_each(InterruptHandle::interrupt);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that somebody reads with.
struct Lent<'a> {
    readers: &'a Readers,
    number: u64,
    db: Option<Db>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.readers.state();
        match self.db.take() {
            Some(db) if state.open.is_some() && state.idle.len() < IDLE_MAX => state.idle.push(db),
            // Closed before it counts as given back.
            db => drop(db),
        }
        state.out.remove(&self.number);
        drop(state);
        self.readers.0.came_back.notify_all();
    }
}
