//! A few read connections beside the writer. A read sees everything that was committed before it began.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use comptoir_sqlcipher::rusqlite::{self, Connection};
use comptoir_sqlcipher::{Access, open_plain};
use tokio::sync::Semaphore;

use super::failed;
use crate::store::StoreError;

const CONNECTIONS: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    // One permit for each connection; closed by `close`.
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = |_| open_plain(path, Access::Read).map_err(failed("opening a reader"));
        let idle = (0..CONNECTIONS).map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), permits: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    pub(super) async fn read<T, F>(&self, doing: &'static str, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let read = tokio::task::spawn_blocking(move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let db = taken.ok_or(StoreError::Closed)?;
            let answer = ask(&db);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            drop(permit);
            answer.map_err(failed(doing))
        });
        read.await.map_err(failed(doing))?
    }

    /// Waits for the reads in progress and closes the connections.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(CONNECTIONS as u32).await;
        self.permits.close();
        drop(all);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
