//! A relay that a test works by hand: the desk and the database of every relay, without sockets. For simulations, which
//! decide themselves which frame arrives when, and which is lost.
//!
//! With the feature `testing`, never in a release.

use std::sync::Arc;

use comptoir_wire::{AccountId, DeviceId, ErrorCode, Item, Refusal, Reply, Request, Welcome};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::hub::Line;
use crate::server::{Shared, StartError, sweep};
use crate::socket::by_hand;
use crate::store::{ABSENCE_MS, Expired, RelayStore as _, SqliteStore, StoreError};

/// Envelopes in one delivery: what a device stores in one transaction.
const ITEMS_MAX: usize = 50;
const BYTES_MAX: usize = 512 * 1024;

/// Where devices ask.
#[derive(Debug)]
pub struct Counter {
    shared: Arc<Shared<SqliteStore>>,
    _stop: watch::Sender<bool>,
}

/// A device at the counter, from its Welcome until its line breaks.
#[derive(Debug)]
pub struct Visit {
    device: DeviceId,
    account: AccountId,
    number: u64,
    line: Arc<Line>,
    sent_seq: u64,
}

impl Counter {
    /// Opens the database of `config`, and no port.
    ///
    /// # Errors
    /// As [`crate::Relay::start`].
    pub async fn open(config: Config, clock: Clock) -> Result<Self, StartError> {
        let (stop, stopping) = watch::channel(false);
        Ok(Self { shared: Arc::new(Shared::open(config, clock, stopping).await?), _stop: stop })
    }

    /// Lets a device in without asking for its signature.
    ///
    /// # Errors
    /// The refusal that the device would hear.
    pub async fn sign_in(&self, device: DeviceId) -> Result<(Welcome, Visit), Refusal> {
        let refuse = |code, detail: &str| Refusal { code, detail: detail.to_owned(), retry_after_ms: 0 };
        let unavailable = |_: StoreError| refuse(ErrorCode::Unavailable, "the store");
        let known = self.shared.store.device(device).await.map_err(unavailable)?;
        let known = known.ok_or_else(|| refuse(ErrorCode::UnknownDevice, "device: not known here"))?;
        let removed = || refuse(ErrorCode::Forbidden, "device: was removed");
        if known.removed {
            return Err(removed());
        }
        let line = Arc::new(Line::default());
        self.shared.hub.attach(device, &line);
        let opened = self.shared.store.open_mailbox(device, self.shared.clock.now_ms()).await;
        let mailbox = opened.map_err(unavailable)?.ok_or_else(removed)?;
        let welcome = by_hand::welcome(&self.shared, &mailbox);
        let (account, number, sent_seq) = (known.account, mailbox.visit, mailbox.acked_seq);
        Ok((welcome, Visit { device, account, number, line, sent_seq }))
    }

    /// A request of somebody without a device, such as one who creates an account.
    pub async fn ask_as_guest(&self, request: Request) -> Reply {
        by_hand::guest(&self.shared, request).await
    }

    /// A request of a device. `None` where there is no answer.
    pub async fn ask(&self, visit: &Visit, request: Request) -> Option<Reply> {
        by_hand::device(&self.shared, &visit.line, (visit.device, visit.account, visit.number), request).await
    }

    /// What comes next for a device, at most one frame of it. Empty: nothing, for now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deliver(&self, visit: &mut Visit) -> Result<Vec<Item>, StoreError> {
        let items = self.shared.store.fetch(visit.device, visit.sent_seq, ITEMS_MAX, BYTES_MAX).await?;
        if let Some(last) = items.last() {
            visit.sent_seq = last.seq;
        }
        Ok(items)
    }

    /// The device's line broke. A store that does not take it is not asked again, for that would wait.
    pub async fn leaves(&self, visit: Visit) {
        self.shared.hub.detach(visit.device, &visit.line);
        let owed_at_ms = self.shared.clock.now_ms().saturating_add(ABSENCE_MS);
        self.shared.store.leave_mailbox(visit.device, visit.number, owed_at_ms).await.ok();
    }

    /// Forgets what is due.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self) -> Result<Expired, StoreError> {
        sweep(&self.shared).await
    }

    /// Closes the database.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn close(self) -> Result<(), StoreError> {
        self.shared.store.close().await
    }
}
