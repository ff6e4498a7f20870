//! Somebody on the line: a proxy between people and their relay that writes down every frame, in both directions, without
//! the WebSocket's mask. It sees what the relay sees, and what an operator or a wiretap behind TLS could see. It can also
//! keep back what the relay says, cut the line, also before the relay heard something, and lie in the relay's name.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use comptoir_wire::limits::{PATH, SUBPROTOCOL};
use comptoir_wire::{DeviceId, Reply, Request};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{self, ErrorResponse, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Bytes, Message, http};

use crate::PATIENCE;

/// What a device hears instead of what the relay said: nothing at all, or something else.
pub type Lie = Box<dyn FnMut(DeviceId, Reply) -> Option<Reply> + Send>;

/// True for a request that the relay does not hear any more, because the line breaks before.
type Break = Box<dyn FnMut(DeviceId, &Request) -> bool + Send>;

/// What went over the line.
#[derive(Clone)]
pub struct Tape {
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Whether what the relay says waits here.
    held: watch::Sender<bool>,
    /// How often the line was cut.
    cut: watch::Sender<u32>,
    lie: Arc<Mutex<Option<Lie>>>,
    breaks: Arc<Mutex<Option<Break>>>,
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            frames: Arc::default(),
            held: watch::Sender::new(false),
            cut: watch::Sender::new(0),
            lie: Arc::default(),
            breaks: Arc::default(),
        }
    }
}

impl Tape {
    fn write(&self, frame: &[u8]) {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).push(frame.to_vec());
    }

    /// From now on what the relay says waits here, or no longer.
    pub fn holds_answers(&self, holds: bool) {
        self.held.send_replace(holds);
    }

    /// From now on devices hear this instead of what the relay says to them.
    pub fn lies(&self, lie: impl FnMut(DeviceId, Reply) -> Option<Reply> + Send + 'static) {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(lie));
    }

    /// From now on devices hear what the relay says.
    pub fn is_honest_again(&self) {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// From now on the connection ends where this is true, and the relay has not heard it.
    pub fn breaks_before(&self, breaks: impl FnMut(DeviceId, &Request) -> bool + Send + 'static) {
        *self.breaks.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(breaks));
    }

    fn is_broken_by(&self, device: Option<DeviceId>, request: &Request) -> bool {
        let mut breaks = self.breaks.lock().unwrap_or_else(PoisonError::into_inner);
        device.zip(breaks.as_mut()).is_some_and(|(device, breaks)| breaks(device, request))
    }

    /// What the device hears of a frame.
    fn told(&self, device: Option<DeviceId>, frame: Bytes) -> Option<Bytes> {
        let mut lie = self.lie.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(lie), Some(device)) = (lie.as_mut(), device) else {
            return Some(frame);
        };
        let (id, reply) = Reply::decode(&frame).expect("the relay keeps to the protocol");
        lie(device, reply).map(|told| told.encode(id).into())
    }

    /// Ends every connection. What was held is lost.
    pub fn cuts_the_line(&self) {
        self.cut.send_modify(|cut| *cut += 1);
    }

    /// Waits until these bytes went over the line to the relay, or back.
    pub async fn shows_soon(&self, part: &[u8]) {
        let waiting = async {
            while !self.shows(part) {
                tokio::task::yield_now().await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(came.is_ok(), "{} never went over the line", String::from_utf8_lossy(part));
    }

    /// Every frame so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Vec<u8>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when these bytes stand in some frame.
    #[must_use]
    pub fn shows(&self, part: &[u8]) -> bool {
        self.frames().iter().any(|frame| frame.windows(part.len()).any(|window| window == part))
    }
}

/// Serves connections until it is dropped.
pub(crate) async fn serve(listener: TcpListener, relay: SocketAddr, tape: Tape) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(pass_on(stream, relay, tape.clone()));
    }
}

/// Passes frames on until one of the two ends goes away.
async fn pass_on(stream: TcpStream, relay: SocketAddr, tape: Tape) {
    let Ok(upstream) = TcpStream::connect(relay).await else { return };
    let mut request = format!("ws://{relay}{PATH}").into_client_request().expect("a request");
    let relay_v1 = HeaderValue::from_static(SUBPROTOCOL);
    request.headers_mut().insert(http::header::SEC_WEBSOCKET_PROTOCOL, relay_v1.clone());
    let Ok((relay, _)) = tokio_tungstenite::client_async(request, upstream).await else { return };
    #[allow(clippy::result_large_err, reason = "the library's own signature")]
    let same = |_: &server::Request, mut response: Response| -> Result<Response, ErrorResponse> {
        response.headers_mut().insert(http::header::SEC_WEBSOCKET_PROTOCOL, relay_v1.clone());
        Ok(response)
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, same).await else { return };
    let ((mut to_device, from_device), (mut to_relay, from_relay)) = (socket.split(), relay.split());
    let (mut from_device, mut from_relay) = (from_device.fuse(), from_relay.fuse());
    let mut device = None;
    let (mut held, mut cut) = (tape.held.subscribe(), tape.cut.subscribe());
    loop {
        let holds = *held.borrow_and_update();
        let (frame, to_the_relay) = tokio::select! {
            frame = from_device.next() => (frame, true),
            frame = from_relay.next(), if !holds => (frame, false),
            _ = held.changed() => continue,
            _ = cut.changed() => return,
        };
        let Some(Ok(mut frame)) = frame else { return };
        if let Message::Binary(bytes) = &frame {
            tape.write(bytes);
            if to_the_relay {
                let (_, request) = Request::decode(bytes).expect("our devices keep to the protocol");
                if let Request::Authenticate { device: who, .. } = request {
                    device = Some(who);
                }
                if tape.is_broken_by(device, &request) {
                    return;
                }
            } else {
                let Some(told) = tape.told(device, bytes.clone()) else { continue };
                frame = Message::Binary(told);
            }
        }
        let passed = if to_the_relay { to_relay.send(frame).await } else { to_device.send(frame).await };
        if passed.is_err() {
            return;
        }
    }
}
