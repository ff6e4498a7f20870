//! The same provider without a port: whoever holds it carries requests in and webhooks out, for simulations that decide
//! themselves what arrives, when, and how often.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
use tower_service::Service as _;

use crate::config::{Clock, Config};
use crate::secrets;
use crate::server::{Shop, StartError, open_store, routes};
use crate::store::Store;

/// The largest answer: a list of everything that ever happened.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A sandbox whose doors are function calls. Made of a [`Config`] as [`crate::Sandbox`] is; `listen` means nothing, and of
/// the webhook only the secret is used.
pub struct Counter {
    routes: Router,
    store: Arc<Store>,
    webhook_secret: Option<String>,
    clock: Clock,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Counter {
    /// Opens the state and takes requests under `public_url`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let epoch = secrets::fresh().map_err(|_| StartError::Random)?;
        let store = open_store(&config, epoch).await?;
        let (public_url, sends_webhooks) = (config.public_url.clone().unwrap_or_default(), config.webhook.is_some());
        let settle = store.with(move |world| {
            world.public_url = public_url;
            world.sends_webhooks = sends_webhooks;
            Ok(())
        });
        settle.await.map_err(|_| StartError::Random)?;
        let webhook_secret = config.webhook.map(|webhook| webhook.secret);
        let shop =
            Shop { store: Arc::clone(&store), secret_key: config.secret_key.into(), clock: config.clock.clone() };
        Ok(Self { routes: routes(shop), store, webhook_secret, clock: config.clock })
    }

    /// Takes one request to the end.
    pub async fn answer(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let Ok(request) = request.body(Body::from(Bytes::copy_from_slice(body))) else {
            return Answer { status: 400, body: Vec::new() };
        };
        let Ok(response) = self.routes.clone().call(request).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default();
        Answer { status, body: body.to_vec() }
    }

    /// The next webhook that would be sent: the `Sandbox-Signature` header and the body. It counts as sent.
    pub async fn next_webhook(&self) -> Option<(String, Vec<u8>)> {
        let secret = self.webhook_secret.as_deref()?;
        let parcel = self.store.with(|world| Ok(world.next_parcel())).await.ok()??;
        let number = parcel.number;
        let done = self.store.with(move |world| {
            world.parcel_done(number);
            Ok(())
        });
        done.await.ok()?;
        let signature = secrets::signature(secret, self.clock.now_ms() / 1000, parcel.body.as_bytes());
        Some((signature, parcel.body.into_bytes()))
    }
}
