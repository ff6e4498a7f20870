//! One connection, from the HTTP request to the goodbye.
//!
//! A connection has two halves that run side by side, so that a device which is slow to take its deliveries can still
//! ask and acknowledge:
//!
//! ```text
//!   device ── frames ──▶ asking  ── store ──▶ answers ──▶ telling ── frames ──▶ device
//!                          │                                 ▲
//!                          └── acked, wake, close (Line) ────┘── store.fetch
//! ```
//!
//! [`asking`] reads one frame at a time and finishes it before the next, so its answer always finds the disk written.
//! [`telling`] is the only one that writes: answers first, then the next envelopes of the mailbox within the window.

mod asking;
#[cfg(feature = "testing")]
pub(crate) mod by_hand;
mod close;
mod requests;
mod telling;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use comptoir_wire::limits;
use futures_util::StreamExt;
use hyper::Request;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::Instrument;

use crate::hub::Line;
use crate::network::Network;
use crate::server::Shared;
use crate::store::{RelayStore, Spent};

pub(crate) use close::Close;

/// Answers that wait for the device to take them; then its questions wait too.
const ANSWERS_WAITING: usize = 16;
/// A frame a little too large is read, so that its sender reads why it is cut off. A much larger one is just cut off.
const MESSAGE_BYTES_MAX: usize = limits::FRAME_BYTES_MAX + 64 * 1024;

/// What a connection holds of the relay's limits.
#[derive(Debug)]
pub(crate) struct Permits {
    pub(crate) socket: OwnedSemaphorePermit,
    pub(crate) guest: OwnedSemaphorePermit,
}

/// Answers the one HTTP request of a connection: a WebSocket for `relay.v1`, or why not.
pub(crate) async fn answer<S: RelayStore>(
    shared: Arc<Shared<S>>,
    peer: Option<Network>,
    permits: Arc<Mutex<Option<Permits>>>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    Ok(upgrade(shared, peer, &permits, request).await.unwrap_or_else(|mut refused| {
        refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        refused
    }))
}

async fn upgrade<S: RelayStore>(
    shared: Arc<Shared<S>>,
    peer: Option<Network>,
    permits: &Mutex<Option<Permits>>,
    request: Request<Incoming>,
) -> Result<Response, Response> {
    let (mut parts, _body) = request.into_parts();
    if parts.uri.path() != limits::PATH {
        return Err(StatusCode::NOT_FOUND.into_response());
    }
    let network = if shared.config.behind_proxy { Network::forwarded(&parts.headers) } else { peer };
    if let Spent::Limited { retry_after_ms } = shared.spend_by_network("connections", network).await {
        shared.metrics.turned_away.add(1);
        let seconds = HeaderValue::from(retry_after_ms.div_ceil(1_000));
        return Err((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)]).into_response());
    }
    let asked = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(IntoResponse::into_response)?;
    let upgrade = asked.protocols([limits::SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(other_protocol(upgrade.requested_protocols().next().is_some()));
    }
    let permits = permits.lock().unwrap_or_else(PoisonError::into_inner).take();
    // One request per connection: the permits are still there.
    let permits = permits.ok_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response())?;
    let upgrade = upgrade
        .read_buffer_size(4096) // the default costs 128 KiB for every idle device
        .write_buffer_size(0)
        .max_write_buffer_size(4 * limits::FRAME_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    let span = tracing::Span::current();
    Ok(upgrade.on_upgrade(move |socket| serve(shared, network, permits, socket).instrument(span)))
}

/// 426 names what is spoken here to one who asked for something else, 400 to one who asked for nothing.
fn other_protocol(asked_for_another: bool) -> Response {
    let status = if asked_for_another { StatusCode::UPGRADE_REQUIRED } else { StatusCode::BAD_REQUEST };
    let headers = [
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(limits::SUBPROTOCOL)),
    ];
    (status, headers, Body::from(concat!("this relay speaks the subprotocol relay.v1", "\n"))).into_response()
}

async fn serve<S: RelayStore>(shared: Arc<Shared<S>>, network: Option<Network>, permits: Permits, socket: WebSocket) {
    let Permits { socket: place, guest } = permits;
    let line = Arc::new(Line::default());
    let (sink, stream) = socket.split();
    let (answers, waiting) = mpsc::channel(ANSWERS_WAITING);
    let telling = tokio::spawn(
        telling::tell(Arc::clone(&shared), Arc::clone(&line), sink, waiting).instrument(tracing::Span::current()),
    );
    asking::ask(shared, network, line, stream, answers, guest).await;
    telling.await.ok();
    drop(place);
}
