//! The running till: the client's changes, webhooks and alarms, one after the other.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use comptoir_client::headless::{Incoming, Setting, TurnError};
use comptoir_client::{Client, ClientError, Config as ClientConfig, FileVault};
use comptoir_content::Timestamp;
use comptoir_sqlcipher::rusqlite::params;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::catalogue::Catalogue;
use crate::config::{Config, ConfigError};
use crate::jobs;
use crate::operator::{self, OperatorFiles};
use crate::provider::Provider;
use crate::provider::http::{BuildError, Http};
use crate::turns::incoming::{incoming, passed_over};
use crate::{till, web};

/// The folder of the till's core inside a shop's folder.
pub(crate) const CORE: &str = "core";
pub(crate) const VAULT: &str = "core.key";

/// How long before its end a till's certificate is warned about.
const NOTICE_MS: i64 = 30 * 24 * 3_600_000;

/// Why a till cannot run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("there is no shop here yet: run `gateway init` first")]
    NoShop,
    #[error("{doing}: {source}")]
    Io { doing: &'static str, source: std::io::Error },
    #[error("preparing the HTTP client: {0}")]
    Http(#[from] BuildError),
}

/// What the servers and the worker share.
pub(crate) struct Shared {
    pub(crate) client: Arc<Client>,
    pub(crate) catalogue: Catalogue,
    pub(crate) providers: Vec<Box<dyn Provider>>,
    pub(crate) http: Http,
    pub(crate) bell: Notify,
    pub(crate) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// A till that runs. [`Gateway::shutdown`] ends it in good order; being killed is survived as well.
pub struct Gateway {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    address: std::net::SocketAddr,
    _files: OperatorFiles,
}

/// The time of a shop, for tests.
pub(crate) type ShopClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Opens the core of the shop in `dir`.
pub(crate) fn open_core(dir: &Path, clock: Option<ShopClock>) -> Result<Arc<Client>, ClientError> {
    let (config, setting) = core_of(dir, clock);
    Client::open_headless(config, setting)
}

/// Where the core of a shop lives, and what is special about it.
pub(crate) fn core_of(dir: &Path, clock: Option<ShopClock>) -> (ClientConfig, Setting) {
    let vault = Arc::new(FileVault::new(dir.join(VAULT)));
    let config = ClientConfig { dir: dir.join(CORE), vault, sheet: None, push: None };
    (config, Setting { clock, extension: Some(till::EXTENSION) })
}

impl Shared {
    /// Everything of a till that needs no port. `open` opens its core.
    pub(crate) async fn open(
        dir: &Path,
        config: &Config,
        clock: ShopClock,
        open: impl FnOnce() -> Result<Arc<Client>, ClientError>,
        http: Http,
    ) -> Result<Self, GatewayError> {
        let (catalogue, providers) = (config.catalogue()?, config.adapters()?);
        for product in &catalogue.products {
            if !providers.iter().any(|provider| provider.takes(product.price)) {
                let (path, field) = (dir.join(&config.catalogue), format!("product {:?}: price_minor", product.id));
                let why = "no provider that is set up can take this amount".to_owned();
                return Err(ConfigError::Field { path, field, why }.into());
            }
        }
        if !dir.join(CORE).exists() {
            return Err(GatewayError::NoShop);
        }
        let client = open()?;
        let ends_soon = client.turn(|tx| Ok(!till::load(tx)?.is_certified_at(tx.now.plus_ms(NOTICE_MS)))).await;
        let ends_soon = ends_soon.map_err(|error| {
            let nobody = matches!(error.code(), "account.unknown" | "till.unknown");
            if nobody { GatewayError::NoShop } else { error.into() }
        })?;
        if ends_soon {
            tracing::warn!("the till's certificate ends within 30 days; without another one it stops selling");
        }
        // Whatever was under way when the till went down is looked at now.
        client
            .turn(|tx| {
                tx.sql().execute(
                    "UPDATE attempt SET wake_at = ?1 WHERE quarantined IS NULL AND (wake_at > ?1 OR state = 'requested')",
                    params![tx.now.0],
                )?;
                tx.sql().execute("UPDATE refund SET wake_at = ?1 WHERE wake_at IS NOT NULL", params![tx.now.0])?;
                Ok(())
            })
            .await?;
        Ok(Self { client, catalogue, providers, http, bell: Notify::new(), clock })
    }
}

impl Gateway {
    /// Starts the till in `dir`, which `gateway init` made. `clock` is the system's when `None`.
    ///
    /// # Errors
    /// [`GatewayError`] says what to correct.
    pub async fn start(dir: &Path, clock: Option<ShopClock>) -> Result<Self, GatewayError> {
        let config = Config::read(dir)?;
        let clock = clock.unwrap_or_else(|| Arc::new(system_time));
        let open = || open_core(dir, Some(clock.clone()));
        let shared = Arc::new(Shared::open(dir, &config, clock.clone(), open, Http::new()?).await?);
        let (stop, stopped) = watch::channel(false);
        let io = |doing| move |source| GatewayError::Io { doing, source };
        let listener = tokio::net::TcpListener::bind(config.listen).await.map_err(io("listening for webhooks"))?;
        let operator =
            tokio::net::TcpListener::bind(config.operator_listen).await.map_err(io("listening for the operator"))?;
        let address = listener.local_addr().map_err(io("listening for webhooks"))?;
        let operator_address = operator.local_addr().map_err(io("listening for the operator"))?;
        let (files, token) = OperatorFiles::write(dir, operator_address).map_err(io("writing the operator's files"))?;
        let tasks = vec![
            tokio::spawn(serve(listener, web::router(shared.clone()), stopped.clone())),
            tokio::spawn(serve(operator, operator::router(shared.clone(), token), stopped.clone())),
            tokio::spawn(work(shared.clone(), stopped)),
        ];
        Ok(Self { shared, stop, tasks, address, _files: files })
    }

    /// Where webhooks arrive.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// The shop's contact link, for its QR code.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn link(&self) -> Result<String, ClientError> {
        self.shared.client.identity()?.map(|me| me.link).ok_or_else(|| ClientError::AskUser {
            code: "account.unknown".to_owned(),
            detail: "there is no shop here".to_owned(),
        })
    }

    /// The core, for whoever looks over the till's shoulder.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Looks at the clock: for tests, whose clock moves by itself.
    ///
    /// # Errors
    /// [`ClientError`] when the store fails.
    pub async fn tick(&self) -> Result<(), ClientError> {
        self.shared.client.tick().await?;
        self.shared.bell.notify_one();
        Ok(())
    }

    /// Ends in good order: nothing new is taken, what is under way is finished or stays in the books.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

async fn serve(listener: tokio::net::TcpListener, router: axum::Router, mut stopped: watch::Receiver<bool>) {
    let until = async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
        tracing::error!(%error, "a server ended");
    }
}

/// One thing after the other: what customers said, then what providers have to be asked.
async fn work(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut changes = shared.client.changes();
    loop {
        let next = match round(&shared).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "the till could not work; it tries again");
                Some((shared.clock)().0 + 1_000)
            }
        };
        let wait = next.map_or(Duration::from_secs(3600), |at| {
            Duration::from_millis(u64::try_from(at.saturating_sub((shared.clock)().0)).unwrap_or(0))
        });
        tokio::select! {
            change = changes.next() => if change.is_none() { return },
            () = shared.bell.notified() => {}
            () = tokio::time::sleep(wait.max(Duration::from_millis(20))) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// Messages that a round leaves for the next one before it stops looking.
const LEFT_MAX: usize = 8;

/// A message whose turn failed, and whether one of our rules said no to the answer.
struct Failing {
    message: Incoming,
    by_a_rule: bool,
}

pub(crate) async fn round(shared: &Arc<Shared>) -> Result<Option<i64>, ClientError> {
    let mut failed = None;
    let mut left: Vec<i64> = Vec::new();
    while left.len() < LEFT_MAX {
        let (inner, leaves) = (shared.clone(), left.clone());
        // What a turn could not answer outlives it, and the turn itself is undone.
        let failing: Arc<Mutex<Option<Failing>>> = Arc::default();
        let told = failing.clone();
        let answered = shared.client.turn(move |tx| {
            let waiting = tx.unhandled(u32::try_from(leaves.len() + 1).unwrap_or(u32::MAX))?;
            let Some(message) = waiting.into_iter().find(|message| !leaves.contains(&message.id)) else {
                return Ok(false);
            };
            incoming(tx, &inner.catalogue, &inner.providers, &message).map_err(|error| {
                let by_a_rule = matches!(error, TurnError::Refused(_));
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(Failing { message, by_a_rule });
                error
            })?;
            Ok(true)
        });
        let error = match answered.await {
            Ok(true) => continue,
            Ok(false) => break,
            Err(error) => error,
        };
        let Some(Failing { message, by_a_rule }) = failing.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            failed = Some(error);
            break;
        };
        let id = message.id;
        if by_a_rule {
            tracing::error!(code = error.code(), "a message could not be answered and is passed over");
            match shared.client.turn(move |tx| passed_over(tx, &message)).await {
                Ok(()) => continue,
                Err(error) => failed = Some(error),
            }
        } else {
            // Our own disk, or a fault of ours: the customer is answered when that is over.
            failed = Some(error);
        }
        left.push(id);
    }
    // Whatever could not be answered: payments that are under way go on.
    let next = jobs::run_due(shared).await?;
    failed.map_or(Ok(next), Err)
}

fn system_time() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
