//! Somebody on the line: a proxy between people and their relay that writes down every frame, in both directions, without
//! the WebSocket's mask. It sees what the relay sees, and what an operator or a wiretap behind TLS could see.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use comptoir_wire::limits::{PATH, SUBPROTOCOL};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Message, http};

/// What went over the line.
#[derive(Clone, Default)]
pub struct Tape(Arc<Mutex<Vec<Vec<u8>>>>);

impl Tape {
    fn write(&self, frame: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(frame.to_vec());
    }

    /// Every frame so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    let same = |_: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        response.headers_mut().insert(http::header::SEC_WEBSOCKET_PROTOCOL, relay_v1.clone());
        Ok(response)
    };
    let Ok(device) = tokio_tungstenite::accept_hdr_async(stream, same).await else { return };
    let ((mut to_device, from_device), (mut to_relay, from_relay)) = (device.split(), relay.split());
    let (mut from_device, mut from_relay) = (from_device.fuse(), from_relay.fuse());
    loop {
        let (frame, to_the_relay) = tokio::select! {
            frame = from_device.next() => (frame, true),
            frame = from_relay.next() => (frame, false),
        };
        let Some(Ok(frame)) = frame else { return };
        if let Message::Binary(bytes) = &frame {
            tape.write(bytes);
        }
        let passed = if to_the_relay { to_relay.send(frame).await } else { to_device.send(frame).await };
        if passed.is_err() {
            return;
        }
    }
}
