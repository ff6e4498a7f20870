//! The half of a connection that writes: answers, deliveries, pings, the goodbye.
//!
//! Deliveries come from the store, after the last one sent, so they are in order and without gaps whatever order the
//! deposits were made in. Nothing is kept in memory but the numbers and sizes of what is in flight.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use comptoir_sqlcipher::crash;
use comptoir_wire::{DeviceId, Reply};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::Close;
use crate::hub::Line;
use crate::server::{Shared, stopped};
use crate::store::{Mailbox, RelayStore};

/// Envelopes in one frame: what a device stores in one transaction.
const ITEMS_PER_FRAME: usize = 50;
const BYTES_PER_FRAME: usize = 512 * 1024;
/// Between two devices that are asked to come back, on the average: twice what it takes to let one in.
const RECONNECT_MS: u64 = 1;

/// What the asking half has to say.
#[derive(Debug)]
pub(super) enum Tell {
    Answer(Vec<u8>),
    /// The mailbox is open: this answer, then deliveries.
    Open {
        welcome: Vec<u8>,
        device: DeviceId,
        mailbox: Mailbox,
        window: u32,
    },
}

pub(super) async fn tell<S: RelayStore>(
    shared: Arc<Shared<S>>,
    line: Arc<Line>,
    sink: SplitSink<WebSocket, Message>,
    mut waiting: mpsc::Receiver<Tell>,
) {
    let mut out = Out { shared: Arc::clone(&shared), sink };
    let ending = converse(&shared, &line, &mut out, &mut waiting).await;
    line.close(ending);
    let reason = line.closed().await;
    if reason == Close::Restart {
        // Counted by the first who is told, while all are here.
        let together = *shared.together_at_the_end.get_or_init(|| shared.hub.attached() as u64);
        let within_ms = together.saturating_mul(RECONNECT_MS).min(shared.config.limits.reconnect_within_ms);
        let reconnect_after_ms = crate::below(within_ms);
        out.send(Reply::Notice { reconnect_after_ms }.encode(0)).await.ok();
    }
    // The asking half finishes the frame it works on and hangs up; its answer still goes out.
    while let Some(Tell::Answer(frame) | Tell::Open { welcome: frame, .. }) = waiting.recv().await {
        if out.send(frame).await.is_err() {
            break;
        }
    }
    shared.metrics.closed(reason);
    out.goodbye(reason).await;
}

/// Talks until there is a reason to stop.
async fn converse<S: RelayStore>(
    shared: &Shared<S>,
    line: &Line,
    out: &mut Out<S>,
    waiting: &mut mpsc::Receiver<Tell>,
) -> Close {
    let mut stopping = shared.stopping.clone();
    let ping = shared.patience(shared.config.limits.ping_ms);
    let mut pings = interval_at(Instant::now() + ping, ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pump: Option<Pump> = None;
    loop {
        let ending = line.is_closing() || *stopping.borrow();
        let ready = pump.as_mut().and_then(|pump| (!ending && pump.may_send(line)).then_some(pump));
        // An answer that waits goes before the next deliveries.
        let told = match (ready, waiting.try_recv()) {
            (_, Ok(told)) => Some(told),
            (Some(pump), Err(mpsc::error::TryRecvError::Empty)) => match pump.step(shared, line, out).await {
                Ok(()) => continue,
                Err(close) => return close,
            },
            (_, Err(_)) => tokio::select! {
                biased;
                close = line.closed() => return close,
                () = stopped(&mut stopping) => return Close::Restart,
                told = waiting.recv() => match told {
                    Some(told) => Some(told),
                    None => return Close::Ended,
                },
                () = line.woken() => {
                    if let Some(pump) = &mut pump {
                        pump.dirty = true;
                    }
                    None
                }
                _ = pings.tick() => match out.ping().await {
                    Ok(()) => None,
                    Err(close) => return close,
                },
            },
        };
        let sent = match told {
            None => Ok(()),
            Some(Tell::Answer(frame)) => out.send(frame).await,
            Some(Tell::Open { welcome, device, mailbox, window }) => {
                pump = Some(Pump::new(device, mailbox, window, shared.config.limits.in_flight_bytes_max));
                out.send(welcome).await
            }
        };
        if let Err(close) = sent {
            return close;
        }
    }
}

/// Moves a mailbox's envelopes to its device, within the window.
struct Pump {
    device: DeviceId,
    /// The last number sent, or where the mailbox stood at first.
    sent_seq: u64,
    head_seq: u64,
    in_flight: VecDeque<(u64, usize)>,
    in_flight_bytes: usize,
    in_flight_max: usize,
    in_flight_bytes_max: usize,
    /// There may be something in the store after `sent_seq`.
    dirty: bool,
    caught_up: bool,
}

impl Pump {
    fn new(device: DeviceId, mailbox: Mailbox, window: u32, in_flight_bytes_max: usize) -> Self {
        Self {
            device,
            sent_seq: mailbox.acked_seq,
            head_seq: mailbox.head_seq,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            in_flight_max: window as usize,
            in_flight_bytes_max,
            dirty: true,
            caught_up: false,
        }
    }

    fn may_send(&mut self, line: &Line) -> bool {
        let acked_seq = line.acked_seq();
        while let Some((_, bytes)) = self.in_flight.pop_front_if(|(seq, _)| *seq <= acked_seq) {
            self.in_flight_bytes -= bytes;
        }
        self.dirty && self.in_flight.len() < self.in_flight_max && self.in_flight_bytes < self.in_flight_bytes_max
    }

    async fn step<S: RelayStore>(&mut self, shared: &Shared<S>, line: &Line, out: &mut Out<S>) -> Result<(), Close> {
        let items_max = (self.in_flight_max - self.in_flight.len()).min(ITEMS_PER_FRAME);
        let bytes_max = (self.in_flight_bytes_max - self.in_flight_bytes).min(BYTES_PER_FRAME);
        let fetched = shared.store.fetch(self.device, self.sent_seq, items_max, bytes_max).await;
        let items = fetched.map_err(|error| {
            tracing::error!(%error, "reading a mailbox");
            Close::Failed
        })?;
        let Some((first, last)) = items.first().zip(items.last()) else {
            self.dirty = false;
            if self.caught_up {
                return Ok(());
            }
            self.caught_up = true;
            // A device may have acknowledged what an earlier connection brought it.
            let seq = self.sent_seq.max(line.acked_seq().min(self.head_seq));
            return out.send(Reply::CaughtUp { seq }.encode(0)).await;
        };
        // Only what the device holds already may be left out.
        let before = first.seq - 1;
        if before != self.sent_seq && before > line.acked_seq() {
            return Err(Close::Moved);
        }
        self.sent_seq = last.seq;
        for item in &items {
            let bytes = item.envelope.sealed.len();
            self.in_flight.push_back((item.seq, bytes));
            self.in_flight_bytes += bytes;
        }
        shared.metrics.delivered.add(items.len() as u64);
        crash::point("relay.deliver");
        out.send(Reply::Delivery(items).encode(0)).await
    }
}

struct Out<S> {
    shared: Arc<Shared<S>>,
    sink: SplitSink<WebSocket, Message>,
}

impl<S: RelayStore> Out<S> {
    async fn send(&mut self, frame: Vec<u8>) -> Result<(), Close> {
        self.shared.metrics.frames_out.add(1);
        self.shared.metrics.bytes_out.add(frame.len() as u64);
        self.write(Message::Binary(frame.into())).await
    }

    async fn ping(&mut self) -> Result<(), Close> {
        self.write(Message::Ping(axum::body::Bytes::new())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Close> {
        let patience = Duration::from_millis(self.shared.config.limits.write_ms);
        match timeout(patience, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Close::Ended),
            Err(_) => Err(Close::Slow),
        }
    }

    /// Says why, if it still can.
    async fn goodbye(&mut self, reason: Close) {
        let patience = Duration::from_millis(self.shared.config.limits.linger_ms);
        let goodbye = async {
            if reason != Close::Ended {
                self.sink.send(Message::Close(Some(reason.frame()))).await.ok();
            }
            self.sink.close().await.ok();
        };
        timeout(patience, goodbye).await.ok();
    }
}
