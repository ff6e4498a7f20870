//! Counts and sizes for the operator, as Prometheus text. Nothing here names a device, an account or an address.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use comptoir_wire::{DepositStatus, ErrorCode, OrderStatus};

use crate::socket::Close;
use crate::store::Health;

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Counter,
    pub(crate) turned_away: Counter,
    pub(crate) frames_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) delivered: Counter,
    pub(crate) expired: Counter,
    pub(crate) wake_ups_taken: Counter,
    pub(crate) wake_ups_refused: Counter,
    pub(crate) wake_ups_gone: Counter,
    pub(crate) wake_ups_later: Counter,
    pub(crate) wake_ups_given_up: Counter,
    pub(crate) wake_ups_put_off: Counter,
    deposits: [Counter; DEPOSITS.len()],
    orders: [Counter; ORDERS.len()],
    refusals: [Counter; REFUSALS.len()],
    closed: [Counter; Close::ALL.len()],
}

/// What is so now, and stands nowhere in the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) open: u64,
    pub(crate) attached: u64,
    pub(crate) push_ready: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

const DEPOSITS: [(DepositStatus, &str); 7] = [
    (DepositStatus::Accepted, "accepted"),
    (DepositStatus::Duplicate, "duplicate"),
    (DepositStatus::Full, "full"),
    (DepositStatus::Gone, "gone"),
    (DepositStatus::StaleEpoch, "stale_epoch"),
    (DepositStatus::Forbidden, "forbidden"),
    (DepositStatus::Closed, "closed"),
];
const ORDERS: [(OrderStatus, &str); 4] = [
    (OrderStatus::Accepted, "accepted"),
    (OrderStatus::Duplicate, "duplicate"),
    (OrderStatus::Stale, "stale"),
    (OrderStatus::Forbidden, "forbidden"),
];
const REFUSALS: [(ErrorCode, &str); 9] = [
    (ErrorCode::BadFrame, "bad_frame"),
    (ErrorCode::Unauthenticated, "unauthenticated"),
    (ErrorCode::UnknownDevice, "unknown_device"),
    (ErrorCode::Conflict, "conflict"),
    (ErrorCode::NotFound, "not_found"),
    (ErrorCode::Forbidden, "forbidden"),
    (ErrorCode::RateLimited, "rate_limited"),
    (ErrorCode::Unavailable, "unavailable"),
    (ErrorCode::TooLarge, "too_large"),
];

impl Metrics {
    pub(crate) fn deposit(&self, status: DepositStatus) {
        count(&DEPOSITS, &self.deposits, status);
    }

    pub(crate) fn order(&self, status: OrderStatus) {
        count(&ORDERS, &self.orders, status);
    }

    pub(crate) fn refusal(&self, code: ErrorCode) {
        count(&REFUSALS, &self.refusals, code);
    }

    pub(crate) fn closed(&self, close: Close) {
        let found = Close::ALL.iter().zip(&self.closed).find(|(known, _)| **known == close);
        if let Some((_, counter)) = found {
            counter.add(1);
        }
    }

    pub(crate) fn text(&self, health: &Health, now: Now) -> String {
        let mut text = String::with_capacity(4096);
        for (name, help, value) in [
            ("connections_total", "Connections accepted.", self.connections.read()),
            ("turned_away_total", "Connections refused because of a limit or a quota.", self.turned_away.read()),
            ("frames_in_total", "Frames received.", self.frames_in.read()),
            ("bytes_in_total", "Bytes of frames received.", self.bytes_in.read()),
            ("frames_out_total", "Frames sent.", self.frames_out.read()),
            ("bytes_out_total", "Bytes of frames sent.", self.bytes_out.read()),
            ("delivered_total", "Envelopes sent to their devices, repeats included.", self.delivered.read()),
            ("expired_total", "Envelopes forgotten before they were acknowledged.", self.expired.read()),
            ("wake_ups_taken_total", "Wake-ups that a push service took.", self.wake_ups_taken.read()),
            ("wake_ups_refused_total", "Wake-ups that a push service refused for good.", self.wake_ups_refused.read()),
            ("wake_ups_gone_total", "Endpoints that a push service knew no more.", self.wake_ups_gone.read()),
            ("wake_ups_later_total", "Tries after which a wake-up is tried again.", self.wake_ups_later.read()),
            ("wake_ups_given_up_total", "Wake-ups that were tried in vain.", self.wake_ups_given_up.read()),
            (
                "wake_ups_put_off_total",
                "Times that a wake-up had to wait for others, or for its quota.",
                self.wake_ups_put_off.read(),
            ),
            ("store_batches_total", "Transactions of the store.", health.batches),
            ("store_operations_total", "Operations in these transactions.", health.operations),
        ] {
            one(&mut text, name, help, "counter", value);
        }
        for (name, help, value) in [
            ("connections_open", "Connections open now.", now.open),
            ("devices_connected", "Devices whose mailbox is open now.", now.attached),
            ("accounts", "Accounts.", health.accounts),
            ("devices", "Devices that are not removed.", health.devices),
            ("mailbox_messages", "Envelopes stored.", health.messages),
            ("mailbox_bytes", "Sealed bytes stored.", health.message_bytes),
            ("push_ready", "1 when devices can be woken, 0 when not: see the log.", now.push_ready.into()),
            ("push_targets", "Devices that can be woken.", health.push_targets),
            ("wake_ups_owed", "Wake-ups that are still to be taken.", health.wake_ups_owed),
            ("database_bytes", "Size of the database.", health.database_bytes),
            ("store_waiting", "Operations that wait for the disk.", health.waiting),
        ] {
            one(&mut text, name, help, "gauge", value);
        }
        labelled(&mut text, "deposits_total", "Answers to deposits.", "status", &DEPOSITS, &self.deposits);
        labelled(&mut text, "orders_total", "Answers to group changes.", "status", &ORDERS, &self.orders);
        labelled(&mut text, "refusals_total", "Questions that were not served.", "code", &REFUSALS, &self.refusals);
        let closes = Close::ALL.map(|close| (close, close.reason()));
        labelled(&mut text, "closed_total", "Connections that the relay ended.", "reason", &closes, &self.closed);
        text
    }
}

fn count<T: PartialEq>(known: &[(T, &str)], counters: &[Counter], value: T) {
    if let Some((_, counter)) = known.iter().zip(counters).find(|((known, _), _)| *known == value) {
        counter.add(1);
    }
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a String cannot fail.
    writeln!(text, "# HELP comptoir_relay_{name} {help}\n# TYPE comptoir_relay_{name} {kind}").ok();
}

fn one(text: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    head(text, name, help, kind);
    writeln!(text, "comptoir_relay_{name} {value}").ok();
}

fn labelled<T>(text: &mut String, name: &str, help: &str, label: &str, known: &[(T, &str)], counters: &[Counter]) {
    head(text, name, help, "counter");
    for ((_, value), counter) in known.iter().zip(counters) {
        writeln!(text, "comptoir_relay_{name}{{{label}=\"{value}\"}} {}", counter.read()).ok();
    }
}
