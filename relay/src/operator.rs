//! The operator's port: is it alive, does it take devices, how much of what.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::timeout;

use crate::metrics::Now;
use crate::push::Pusher;
use crate::server::Shared;
use crate::store::{Health, RelayStore};

/// A store that takes longer is not healthy.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn router<S: RelayStore>(shared: Arc<Shared<S>>) -> Router {
    Router::new()
        .route("/health", get(health::<S>))
        .route("/ready", get(ready::<S>))
        .route("/metrics", get(metrics::<S>))
        .with_state(shared)
}

/// The process lives and its disk takes writes.
async fn health<S: RelayStore>(State(shared): State<Arc<Shared<S>>>) -> Response {
    match ask(&shared).await {
        Some(_) => (StatusCode::OK, "ok\n").into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response(),
    }
}

/// Devices may be sent here.
async fn ready<S: RelayStore>(State(shared): State<Arc<Shared<S>>>) -> Response {
    if *shared.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    health(State(shared)).await
}

async fn metrics<S: RelayStore>(State(shared): State<Arc<Shared<S>>>) -> Response {
    // Without its store the relay still counts; the store's own numbers are 0 then.
    let health = ask(&shared).await.unwrap_or_default();
    let (open, attached) = (shared.open_connections(), shared.hub.attached() as u64);
    let push_ready = shared.pusher.as_ref().is_some_and(Pusher::is_ready);
    let text = shared.metrics.text(&health, Now { open, attached, push_ready });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn ask<S: RelayStore>(shared: &Shared<S>) -> Option<Health> {
    match timeout(PATIENCE, shared.store.health()).await {
        Ok(Ok(health)) => Some(health),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store is not healthy");
            None
        }
        Err(_) => {
            tracing::error!("the store does not answer in time");
            None
        }
    }
}
