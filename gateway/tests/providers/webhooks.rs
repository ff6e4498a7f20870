//! A server that takes webhooks as the gateway would, and hands their raw bytes to the test.

use std::collections::HashMap;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use comptoir_content::Timestamp;
use comptoir_gateway::provider::{Hint, Provider, WebhookRefused};
use tokio::sync::mpsc;

pub(crate) struct Webhooks {
    pub(crate) url: String,
    came: mpsc::UnboundedReceiver<Delivered>,
    server: tokio::task::JoinHandle<()>,
}

/// One webhook as it came over the socket.
#[derive(Clone)]
pub(crate) struct Delivered {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Webhooks {
    pub(crate) async fn listen() -> Self {
        let (tell, came) = mpsc::unbounded_channel();
        let take = async move |headers: HeaderMap, body: Bytes| {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
                .collect();
            let _ = tell.send(Delivered { headers, body: body.to_vec() });
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let routes = Router::new().route("/webhook", post(take));
        let server = tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        Self { url, came, server }
    }

    pub(crate) async fn next(&mut self) -> Delivered {
        self.came.recv().await.unwrap()
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Delivered {
    /// As the gateway does it: header look-up by name, raw bytes, a clock.
    pub(crate) fn verify(&self, provider: &dyn Provider, now: Timestamp) -> Result<Hint, WebhookRefused> {
        provider.verify_webhook(&|name| self.headers.get(name).cloned(), &self.body, now)
    }

    /// With one byte of the body changed.
    pub(crate) fn tampered(&self, at: usize) -> Self {
        let mut tampered = self.clone();
        let at = at % tampered.body.len();
        tampered.body[at] ^= 1;
        tampered
    }

    pub(crate) fn event(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
