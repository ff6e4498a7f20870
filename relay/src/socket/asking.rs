//! The half of a connection that reads. A guest may create an account, read a log and authenticate; after that it is a
//! device, and [`super::requests`] serves it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use comptoir_sqlcipher::crash;
use comptoir_wire::{DeviceId, ErrorCode, Limits, Refusal, Reply, Request, Welcome, frame_id, limits};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Close;
use super::requests::{Served, refuse, serve, unavailable};
use super::telling::Tell;
use crate::hub::Line;
use crate::log_chain;
use crate::network::Network;
use crate::server::Shared;
use crate::store::{Mailbox, RelayStore};

/// Frames of a guest, and frames that are none, before the connection ends.
const GUEST_FRAMES_MAX: u32 = 64;
const BAD_FRAMES_MAX: u32 = 16;
/// Who is told to come back within this is not read until then. Who has to wait for longer may want something else.
const UNREAD_MAX: Duration = Duration::from_secs(2);

/// Who is asking.
pub(super) enum Asker {
    Guest { network: Option<Network> },
    Device { device: DeviceId, account: comptoir_wire::AccountId, visit: u64 },
}

struct Asking<S> {
    shared: Arc<Shared<S>>,
    line: Arc<Line>,
    answers: mpsc::Sender<Tell>,
    asker: Asker,
    nonce: [u8; 32],
    guest: Option<OwnedSemaphorePermit>,
    guest_frames: u32,
    bad_frames: u32,
    /// Until then, what the device sends stays in its socket.
    unread_until: Option<Instant>,
}

pub(super) async fn ask<S: RelayStore>(
    shared: Arc<Shared<S>>,
    network: Option<Network>,
    line: Arc<Line>,
    mut stream: SplitStream<WebSocket>,
    answers: mpsc::Sender<Tell>,
    guest: OwnedSemaphorePermit,
) {
    let linger = Duration::from_millis(shared.config.limits.linger_ms);
    let Ok(nonce) = crate::random() else {
        line.close(Close::Failed);
        return;
    };
    let mut asking = Asking {
        shared,
        line: Arc::clone(&line),
        answers,
        asker: Asker::Guest { network },
        nonce,
        guest: Some(guest),
        guest_frames: 0,
        bad_frames: 0,
        unread_until: None,
    };
    let ending = asking.converse(&mut stream).await;
    let shared = Arc::clone(&asking.shared);
    let gone = match asking.asker {
        Asker::Device { device, visit, .. } => Some((device, visit)),
        Asker::Guest { .. } => None,
    };
    if let Some((device, _)) = gone {
        shared.hub.detach(device, &line);
    }
    line.close(ending);
    // The telling half says goodbye when the last answer is out. What the device still sends is read and dropped, so
    // that the goodbye is not lost to a connection reset.
    drop(asking);
    let drain = async { while let Some(Ok(_)) = stream.next().await {} };
    let leave = async {
        if let Some((device, visit)) = gone {
            shared.left(device, visit).await;
        }
    };
    let (_, ()) = tokio::join!(timeout(linger, drain), leave);
}

impl<S: RelayStore> Asking<S> {
    async fn converse(&mut self, stream: &mut SplitStream<WebSocket>) -> Close {
        let server_time_ms = self.shared.clock.now_ms().cast_unsigned();
        let challenge = Reply::Challenge { nonce: self.nonce, server_time_ms };
        if self.answers.send(Tell::Answer(challenge.encode(0))).await.is_err() {
            return Close::Ended;
        }
        let patience = Duration::from_millis(self.shared.config.limits.authenticate_ms);
        let authenticated_by = Instant::now() + patience;
        let idle = Duration::from_millis(self.shared.config.limits.idle_ms);
        loop {
            if let Some(until) = self.unread_until.take() {
                tokio::select! {
                    biased;
                    close = self.line.closed() => return close,
                    () = sleep_until(until) => {}
                }
            }
            let (deadline, late) = match self.asker {
                Asker::Guest { .. } => (authenticated_by, Close::Unauthenticated),
                Asker::Device { .. } => (Instant::now() + idle, Close::Slow),
            };
            let next = tokio::select! {
                biased;
                close = self.line.closed() => return close,
                next = timeout_at(deadline, stream.next()) => next,
            };
            let frame = match next {
                Err(_) => return late,
                Ok(None) => return Close::Ended,
                Ok(Some(Err(error))) => {
                    return if is_too_large(&error) { Close::TooLarge } else { Close::Ended };
                }
                Ok(Some(Ok(Message::Binary(frame)))) => frame,
                Ok(Some(Ok(Message::Text(_)))) => return Close::NotBinary,
                Ok(Some(Ok(Message::Close(_)))) => return Close::Ended,
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            };
            // Boxed: an idle device does not pay for the room that answering takes.
            if let Err(close) = Box::pin(self.frame(&frame)).await {
                return close;
            }
        }
    }

    async fn frame(&mut self, frame: &[u8]) -> Result<(), Close> {
        self.shared.metrics.frames_in.add(1);
        self.shared.metrics.bytes_in.add(frame.len() as u64);
        if frame.len() > limits::FRAME_BYTES_MAX {
            let detail = format!("frame: more than {} bytes", limits::FRAME_BYTES_MAX);
            self.answer(0, refuse(ErrorCode::TooLarge, detail)).await?;
            return Err(Close::TooLarge);
        }
        if matches!(self.asker, Asker::Guest { .. }) {
            self.guest_frames += 1;
            if self.guest_frames > GUEST_FRAMES_MAX {
                return Err(Close::Unauthenticated);
            }
        }
        let (id, request) = match Request::decode(frame) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.bad_frames += 1;
                let id = frame_id(frame);
                // Said even to a caller that wants no answers: it has a bug.
                self.tell(id, refuse(ErrorCode::BadFrame, error.to_string())).await?;
                return if self.bad_frames > BAD_FRAMES_MAX { Err(Close::Garbage) } else { Ok(()) };
            }
        };
        if let Request::Authenticate { device, address, signature, window } = request {
            return self.authenticate(id, device, &address, &signature, window).await;
        }
        match serve(&self.shared, &self.line, &self.asker, request).await {
            Served::Silently => Ok(()),
            Served::Answer(reply) => {
                self.unread_until = unread_for(&reply).map(|wait| Instant::now() + wait);
                self.answer(id, reply).await
            }
            Served::Removed(removed) => {
                self.answer(id, Reply::Done).await?;
                self.shared.hub.close(removed, Close::Removed);
                Ok(())
            }
        }
    }

    async fn authenticate(
        &mut self,
        id: u64,
        device: DeviceId,
        address: &str,
        signature: &[u8; 64],
        window: u32,
    ) -> Result<(), Close> {
        if matches!(self.asker, Asker::Device { .. }) {
            return self.answer(id, refuse(ErrorCode::Conflict, "device: this connection has one")).await;
        }
        let known = match self.shared.store.device(device).await {
            Ok(Some(known)) => known,
            Ok(None) => {
                return self.answer(id, refuse(ErrorCode::UnknownDevice, "device: not known here")).await;
            }
            Err(error) => return self.answer(id, unavailable(&error)).await,
        };
        let ours = self.shared.names.iter().any(|name| name.eq_ignore_ascii_case(address));
        if !ours || !log_chain::is_device(&known.device_key, &self.nonce, device, address, signature) {
            let detail = if ours { "signature: does not fit" } else { "address: not one of this relay's names" };
            self.answer(id, refuse(ErrorCode::Unauthenticated, detail)).await?;
            return Err(Close::Unauthenticated);
        }
        // Only after the signature was found good: one who is not the device must learn nothing more about it.
        if known.removed {
            self.answer(id, refuse(ErrorCode::Forbidden, "device: was removed")).await?;
            return Err(Close::Removed);
        }
        // Attached first, then read: a deposit in between wakes this line, and a removal in between ends it.
        self.shared.hub.attach(device, &self.line);
        let opened = self.shared.store.open_mailbox(device, self.shared.clock.now_ms()).await;
        let mailbox = match opened {
            Ok(Some(mailbox)) => mailbox,
            Ok(None) => {
                self.shared.hub.detach(device, &self.line);
                return Err(Close::Removed);
            }
            Err(error) => {
                self.shared.hub.detach(device, &self.line);
                self.answer(id, unavailable(&error)).await?;
                return Err(Close::Failed);
            }
        };
        self.asker = Asker::Device { device, account: known.account, visit: mailbox.visit };
        self.guest = None;
        let welcome = Reply::Welcome(welcome(&self.shared, &mailbox));
        let open = Tell::Open { welcome: welcome.encode(id), device, mailbox, window };
        self.answers.send(open).await.map_err(|_| Close::Ended)
    }

    /// Answers a question; one with id 0 wants none.
    async fn answer(&self, id: u64, reply: Reply) -> Result<(), Close> {
        crash::point("relay.answer");
        if id == 0 && !matches!(reply, Reply::Refused(_)) { Ok(()) } else { self.tell(id, reply).await }
    }

    async fn tell(&self, id: u64, reply: Reply) -> Result<(), Close> {
        if let Reply::Refused(Refusal { code, detail, .. }) = &reply {
            self.shared.metrics.refusal(*code);
            tracing::debug!(?code, detail, "refused");
        }
        self.answers.send(Tell::Answer(reply.encode(id))).await.map_err(|_| Close::Ended)
    }
}

/// How long one who hears this is not read. To read and refuse costs nearly as much as to serve, so a relay that has too much
/// to do would do nothing else, if those whom it refuses asked again at once.
fn unread_for(reply: &Reply) -> Option<Duration> {
    let Reply::Refused(Refusal { code: ErrorCode::Unavailable, retry_after_ms, .. }) = reply else {
        return None;
    };
    Some(Duration::from_millis(*retry_after_ms)).filter(|wait| *wait <= UNREAD_MAX)
}

/// What a device is told when its mailbox is open.
pub(super) fn welcome<S: RelayStore>(shared: &Shared<S>, mailbox: &Mailbox) -> Welcome {
    let config = &shared.config.limits;
    Welcome {
        incarnation: shared.store.incarnation(),
        server_time_ms: shared.clock.now_ms().cast_unsigned(),
        acked_seq: mailbox.acked_seq,
        head_seq: mailbox.head_seq,
        key_packages_left: mailbox.key_packages_left,
        limits: Limits {
            envelope_bytes_max: config.envelope_bytes_max as u32,
            envelopes_per_frame_max: config.envelopes_per_frame_max as u32,
            key_packages_max: config.key_packages_max,
        },
        push_key: shared.pusher.as_ref().map(|pusher| Box::new(pusher.key())),
        push_told: mailbox.push_told,
        lost_since_ms: shared.store.lost_since_ms(),
        last_uid: mailbox.last_uid,
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    // axum hides the type of its WebSocket library; its words are all there is.
    let mut source = Some(error as &dyn std::error::Error);
    while let Some(error) = source {
        if error.to_string().contains("Message too long") {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn who_is_refused_because_there_is_too_much_is_not_read_for_a_moment() {
        let wait = unread_for(&unavailable(&StoreError::Busy)).unwrap();
        assert!((Duration::from_secs(1)..=UNREAD_MAX).contains(&wait), "{wait:?}");
        let check = |code, retry_after_ms| {
            assert_eq!(unread_for(&Reply::Refused(Refusal { code, detail: String::new(), retry_after_ms })), None);
        };
        // What is too much for one account says nothing of what else its device may want.
        check(ErrorCode::RateLimited, 1_000);
        check(ErrorCode::Unavailable, 60_000);
        assert_eq!(unread_for(&Reply::Done), None);
    }
}
