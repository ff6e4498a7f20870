//! Starting and stopping: binds the address, opens the state, and runs the server and the webhook task.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Clock, Config};
use crate::refused::Refused;
use crate::store::{OpenError, Store};
use crate::{api, http, pay, secrets, webhooks};

/// The largest request body, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;
/// How long one webhook call may take.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests get to finish when the sandbox stops.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An empty secret would let everybody in. Choose one.
    #[error("the {0} is empty")]
    EmptySecret(&'static str),
    /// Webhooks go over TLS, except to this machine. Use `https://`, or `http://` with a loopback address.
    #[error("the webhook address must be https://, or http:// on a loopback address")]
    WebhookUrl,
    /// The address is taken, or not ours.
    #[error("listening on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    /// The state file cannot be used as it is. It was not touched.
    #[error("opening the state file {path}")]
    StateFile { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// The client for webhooks could not be built.
    #[error("preparing to send webhooks")]
    WebhookClient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system")]
    Random,
}

/// A running sandbox. Dropping it stops it too, without waiting.
pub struct Sandbox {
    address: SocketAddr,
    url: String,
    stop: watch::Sender<bool>,
    store: Arc<Store>,
    server: JoinHandle<()>,
    webhooks: Option<JoinHandle<()>>,
}

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) store: Arc<Store>,
    pub(crate) secret_key: Arc<str>,
    pub(crate) clock: Clock,
}

impl Sandbox {
    /// Binds, reads the state file and begins to serve.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing keeps running after an error.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if config.secret_key.is_empty() {
            return Err(StartError::EmptySecret("secret key"));
        }
        let listener = TcpListener::bind(config.listen).await;
        let listen = |source| StartError::Listen { address: config.listen, source };
        let listener = listener.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));

        let epoch = secrets::fresh().map_err(|_| StartError::Random)?;
        let store = open_store(&config, epoch).await?;
        let (public_url, sends_webhooks) = (url.trim_end_matches('/').to_owned(), config.webhook.is_some());
        let url = public_url.clone();
        let settle = store.with(move |world| {
            world.public_url = public_url;
            world.sends_webhooks = sends_webhooks;
            Ok(())
        });
        settle.await.map_err(|refused| state_file(&config, refused))?;

        let (stop, stopped) = watch::channel(false);
        let webhooks = match config.webhook {
            None => None,
            Some(webhook) => {
                if webhook.secret.is_empty() {
                    return Err(StartError::EmptySecret("webhook secret"));
                }
                let client = client_for(&webhook.url)?;
                let task =
                    webhooks::deliver(Arc::clone(&store), webhook, client, config.clock.clone(), stopped.clone());
                Some(tokio::spawn(task))
            }
        };
        let shop = Shop { store: Arc::clone(&store), secret_key: config.secret_key.into(), clock: config.clock };
        let server = tokio::spawn(serve(listener, routes(shop), stopped));
        Ok(Self { address, url, stop, store, server, webhooks })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where callers and payers find it, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until no webhook is left to be sent: each was taken, or given up. What is held back until somebody looks the
    /// payment up is not waited for. Without webhooks there is nothing to wait for.
    pub async fn webhooks_done(&self) {
        if self.webhooks.is_none() {
            return;
        }
        loop {
            let changed = self.store.change_bell.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.store.with(|world| Ok(world.next_parcel().is_none())).await {
                Ok(false) => changed.await,
                // A store that is closed sends nothing any more.
                Ok(true) | Err(_) => return,
            }
        }
    }

    /// Stops: no new requests, open ones are answered, the webhook that is being sent stays in the outbox.
    pub async fn shutdown(self) {
        // An error would mean that both tasks are gone already.
        let _ = self.stop.send(true);
        let Self { mut server, webhooks, store, .. } = self;
        if tokio::time::timeout(SHUTDOWN_PATIENCE, &mut server).await.is_err() {
            server.abort();
            let _ = server.await;
        }
        if let Some(webhooks) = webhooks {
            let _ = webhooks.await;
        }
        store.close().await;
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.address).finish_non_exhaustive()
    }
}

pub(crate) fn routes(shop: Shop) -> Router {
    Router::new()
        .merge(api::routes(&shop))
        .merge(pay::routes())
        .fallback(async || Refused::NoSuchRoute)
        .method_not_allowed_fallback(async || Refused::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shop)
}

async fn serve(listener: TcpListener, routes: Router, mut stopped: watch::Receiver<bool>) {
    let stop = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    if axum::serve(listener, routes).with_graceful_shutdown(stop).await.is_err() {
        tracing::error!("the sandbox stopped serving");
    }
}

pub(crate) async fn open_store(config: &Config, epoch: String) -> Result<Arc<Store>, StartError> {
    let path = config.state_file.clone();
    match tokio::task::spawn_blocking(move || Store::open(path, epoch)).await {
        Ok(Ok(store)) => Ok(Arc::new(store)),
        Ok(Err(error)) => Err(state_file(config, error)),
        Err(error) => Err(state_file(config, OpenError::Io(io::Error::other(error)))),
    }
}

fn state_file(config: &Config, error: impl std::error::Error + Send + Sync + 'static) -> StartError {
    let path = config.state_file.clone().unwrap_or_default();
    StartError::StateFile { path, source: Box::new(error) }
}

fn client_for(url: &str) -> Result<reqwest::Client, StartError> {
    let url = reqwest::Url::parse(url).map_err(|_| StartError::WebhookUrl)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err(StartError::WebhookUrl);
    }
    http::client(WEBHOOK_TIMEOUT).map_err(|error| StartError::WebhookClient(Box::new(error)))
}
