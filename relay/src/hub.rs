//! Which device is connected where: one line per device, the newest wins.
//!
//! A wake-up is a hint without content. The delivering side reads the store, so a hint that comes twice, late or for
//! nothing changes nothing; it only must not be missed, which is why a device is attached before its mailbox is read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use comptoir_wire::DeviceId;
use tokio::sync::{Notify, watch};

use crate::socket::Close;

#[derive(Debug, Default)]
pub(crate) struct Hub(Mutex<HashMap<DeviceId, Arc<Line>>>);

/// What the two halves of a connection, and others, say to each other.
#[derive(Debug, Default)]
pub(crate) struct Line {
    wake: Notify,
    acked_seq: AtomicU64,
    closing: watch::Sender<Option<Close>>,
}

impl Hub {
    /// Makes `line` the device's, and ends the one it had.
    pub(crate) fn attach(&self, device: DeviceId, line: &Arc<Line>) {
        let older = self.lines().insert(device, Arc::clone(line));
        if let Some(older) = older {
            older.close(Close::Replaced);
        }
    }

    /// Forgets `line`, unless the device has a newer one.
    pub(crate) fn detach(&self, device: DeviceId, line: &Arc<Line>) {
        let mut lines = self.lines();
        if lines.get(&device).is_some_and(|found| Arc::ptr_eq(found, line)) {
            lines.remove(&device);
        }
    }

    /// Says that there may be something in the device's mailbox. False when it is not connected.
    pub(crate) fn wake(&self, device: DeviceId) -> bool {
        let lines = self.lines();
        let line = lines.get(&device);
        line.inspect(|line| line.wake.notify_one()).is_some()
    }

    /// Ends the device's connection, if it has one.
    pub(crate) fn close(&self, device: DeviceId, close: Close) {
        if let Some(line) = self.lines().get(&device) {
            line.close(close);
        }
    }

    /// Whether the device is connected, or about to be.
    pub(crate) fn is_attached(&self, device: DeviceId) -> bool {
        self.lines().contains_key(&device)
    }

    /// Devices connected now.
    pub(crate) fn attached(&self) -> usize {
        self.lines().len()
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Ends the connection; the first reason stays.
    pub(crate) fn close(&self, close: Close) {
        self.closing.send_if_modified(|closing| {
            let first = closing.is_none();
            *closing = closing.or(Some(close));
            first
        });
    }

    /// Waits for the reason to end.
    pub(crate) async fn closed(&self) -> Close {
        let mut closing = self.closing.subscribe();
        let found = closing.wait_for(Option::is_some).await.map(|found| *found);
        // The sender lives in `self`, so the wait cannot end without a reason.
        found.ok().flatten().unwrap_or(Close::Ended)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.borrow().is_some()
    }

    /// Waits for a hint: something may have come, or was acknowledged.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn acked(&self, upto_seq: u64) {
        self.acked_seq.fetch_max(upto_seq, Ordering::SeqCst);
        self.wake.notify_one();
    }

    pub(crate) fn acked_seq(&self) -> u64 {
        self.acked_seq.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ALICE: DeviceId = DeviceId([1; 16]);

    #[test]
    fn the_newest_line_wins_and_an_old_goodbye_does_not_cut_it() {
        let hub = Hub::default();
        let [old, new] = [Arc::new(Line::default()), Arc::new(Line::default())];
        hub.attach(ALICE, &old);
        hub.attach(ALICE, &new);
        assert_eq!(old.closed().now_or_never(), Some(Close::Replaced));
        hub.detach(ALICE, &old);
        hub.wake(ALICE);
        assert_eq!(new.woken().now_or_never(), Some(()));
        assert!(!new.is_closing());
        hub.detach(ALICE, &new);
        assert_eq!(hub.attached(), 0);
    }

    #[test]
    fn the_first_reason_stays() {
        let line = Line::default();
        assert_eq!(line.closed().now_or_never(), None);
        line.close(Close::Slow);
        line.close(Close::Replaced);
        assert_eq!(line.closed().now_or_never(), Some(Close::Slow));
    }

    #[test]
    fn a_hint_before_the_wait_is_not_missed() {
        let line = Line::default();
        assert_eq!(line.woken().now_or_never(), None);
        line.acked(3);
        line.acked(2);
        assert_eq!(line.woken().now_or_never(), Some(()));
        assert_eq!(line.acked_seq(), 3);
    }
}
