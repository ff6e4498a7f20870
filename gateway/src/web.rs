//! Where providers' webhooks arrive: verified over the raw bytes, stored, and only then acknowledged. A webhook is a hint;
//! what it leads to is a read.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use comptoir_sqlcipher::crash;
use comptoir_sqlcipher::rusqlite::params;

use crate::gateway::Shared;
use crate::provider::{HintKind, WEBHOOK_BYTES_MAX};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/webhooks/{provider}", post(arrived))
        .route("/health", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(WEBHOOK_BYTES_MAX))
        .with_state(shared)
}

async fn arrived(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    webhook_came(&shared, name, &headers, &body).await
}

pub(crate) async fn webhook_came(shared: &Shared, name: String, headers: &HeaderMap, body: &Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let now = (shared.clock)();
    let Some(provider) = shared.providers.iter().find(|provider| provider.name() == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let hint = match provider.verify_webhook(&header, body, now) {
        Ok(hint) => hint,
        Err(refused) => {
            tracing::warn!(%refused, "a webhook was refused");
            return StatusCode::BAD_REQUEST.into_response();
        }
    };
    let acknowledge = provider.acknowledge();
    let stored = shared
        .client
        .turn(move |tx| {
            let new = tx
                .sql()
                .prepare_cached(
                    "INSERT INTO webhook (provider, event, provider_payment, received_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![name, hint.event, hint.provider_payment, tx.now.0])?;
            if new > 0 {
                match hint.kind {
                    HintKind::Payment => {
                        tx.sql()
                            .prepare_cached(
                                "UPDATE attempt SET wake_at = ?3 WHERE provider = ?1 AND provider_payment = ?2
                                 AND quarantined IS NULL",
                            )?
                            .execute(params![name, hint.provider_payment, tx.now.0])?;
                    }
                    HintKind::Refund => {
                        tx.sql()
                            .prepare_cached(
                                "UPDATE refund SET wake_at = ?3 WHERE state IN ('asking', 'pending') AND EXISTS (
                                     SELECT 1 FROM attempt WHERE attempt.payment = refund.payment
                                     AND attempt.attempt = refund.attempt AND provider = ?1 AND provider_payment = ?2)",
                            )?
                            .execute(params![name, hint.provider_payment, tx.now.0])?;
                    }
                    HintKind::Other => {}
                }
            }
            Ok(())
        })
        .await;
    match stored {
        Ok(()) => {
            crash::point("gateway.webhook.acknowledge");
            shared.bell.notify_one();
            let (status, body) = acknowledge;
            (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body).into_response()
        }
        Err(error) => {
            // Not stored, not acknowledged: the provider tells it again.
            tracing::error!(%error, "a webhook could not be stored");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
