//! Starting and stopping: the listeners, what all connections share, and the sweep.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use comptoir_wire::DeviceId;
use futures_util::future::try_join_all;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument;

use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::network::Network;
use crate::push::{self, Pusher};
use crate::socket::{self, Permits};
use crate::store::{ABSENCE_MS, Expired, QuotaKey, Rate, RelayStore, Spend, Spent, SqliteStore, StoreError};
use crate::{disk, operator, tls};

pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Rows that one transaction of the sweep forgets, so that it never holds the writer for long.
const SWEEP_ROWS_MAX: u32 = 500;
/// Bytes that the kernel holds for a device that reads slowly.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;
const BACKLOG: u32 = 1024;
const LEAVING_TRIES: u32 = 5;
const LEAVING_PAUSE: Duration = Duration::from_secs(1);
/// The largest request head: a WebSocket handshake is a tenth of this.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;

/// A relay that could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{field}: {why}")]
    Tls { field: &'static str, why: String },
    #[error("opening the store")]
    Store(#[from] StoreError),
    #[error("{field}: {why}")]
    Push { field: &'static str, why: String },
    #[error("{field}: {address} cannot be bound")]
    Bind { field: &'static str, address: SocketAddr, source: std::io::Error },
}

/// The blind mailbox server.
#[derive(Debug)]
pub struct Relay;

/// A relay at work. Dropping it ends it without waiting; [`Running::shutdown`] waits for everything accepted.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    operator_address: SocketAddr,
    shared: Arc<Shared<SqliteStore>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    pub(crate) store: S,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    /// What devices may have dialed.
    pub(crate) names: Vec<String>,
    pub(crate) hub: Hub,
    pub(crate) metrics: Metrics,
    /// `None` when no device is woken.
    pub(crate) pusher: Option<Pusher>,
    /// Becomes true once.
    pub(crate) stopping: watch::Receiver<bool>,
    /// How many devices were connected when the relay began to stop.
    pub(crate) together_at_the_end: OnceLock<u64>,
    /// As of the last sweep.
    disk_is_short: AtomicBool,
    salt: [u8; 16],
    sockets: Arc<Semaphore>,
    guests: Arc<Semaphore>,
}

impl Relay {
    /// Opens the database, binds both ports and serves.
    ///
    /// # Errors
    /// [`StartError`] names the field of the configuration that is to blame, or says that the database is in use.
    pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
        config.check()?;
        let run: [u8; 4] = crate::random()?;
        // All that a log line says about where it comes from.
        let span = tracing::info_span!("relay", run = format!("{:08x}", u32::from_be_bytes(run)));
        start(config, clock).instrument(span).await
    }
}

async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let (listen, operator_listen) = (config.listen, config.operator_listen);
    let (stop, stopping) = watch::channel(false);
    let mut shared = Shared::open(config, clock, stopping).await?;
    let (devices, address) = bind("listen", listen)?;
    let (operators, operator_address) = bind("operator_listen", operator_listen)?;
    if shared.names.is_empty() {
        shared.names = vec![address.to_string(), format!("localhost:{}", address.port())];
    }
    let shared = Arc::new(shared);
    let span = tracing::Span::current();
    let encrypted = tls.is_some();
    let tasks = vec![
        tokio::spawn(accept_all(Arc::clone(&shared), devices, tls).instrument(span.clone())),
        tokio::spawn(serve_operators(Arc::clone(&shared), operators).instrument(span.clone())),
        tokio::spawn(sweep_often(Arc::clone(&shared)).instrument(span.clone())),
        tokio::spawn(push::knock_often(Arc::clone(&shared)).instrument(span)),
    ];
    tracing::info!(encrypted, version = env!("CARGO_PKG_VERSION"), "the relay is open");
    Ok(Running { address, operator_address, shared, stop, tasks })
}

impl Running {
    /// Where devices connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are served.
    #[must_use]
    pub fn operator_address(&self) -> SocketAddr {
        self.operator_address
    }

    /// Forgets what is due, and looks for wake-ups, as the relay does by itself every minute.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self) -> Result<Expired, StoreError> {
        sweep(&self.shared).await
    }

    /// Stops accepting, tells every device when to come back, waits for what was asked to be on the disk, closes.
    ///
    /// # Errors
    /// Those of the store; everything answered is on the disk even then.
    pub async fn shutdown(mut self) -> Result<(), StoreError> {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            task.await.ok();
        }
        let limits = &self.shared.config.limits;
        let all = self.shared.sockets.acquire_many(limits.sockets_max);
        if timeout(Duration::from_millis(limits.drain_ms), all).await.is_err() {
            tracing::warn!(left = self.shared.open_connections(), "connections did not end in time");
        }
        let closed = self.shared.store.close().await;
        tracing::info!("the relay is closed");
        closed
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl Shared<SqliteStore> {
    /// Opens the database and everything else that does not need a port.
    pub(crate) async fn open(
        config: Config,
        clock: Clock,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, StartError> {
        let (data_dir, retention, now_ms) = (config.data_dir.clone(), config.retention(), clock.now_ms());
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&data_dir, retention, now_ms)).await;
        let store = opened.map_err(|_| StoreError::Closed)??;
        let pusher = Pusher::open(&config)?;
        if pusher.as_ref().is_some_and(Pusher::has_new_key) && store.health().await?.push_targets > 0 {
            tracing::warn!(
                "push.key was missing and is made anew: devices are not woken until they have another endpoint"
            );
        }
        Ok(Self {
            store,
            clock,
            names: config.names.clone(),
            hub: Hub::default(),
            metrics: Metrics::default(),
            pusher,
            stopping,
            together_at_the_end: OnceLock::new(),
            disk_is_short: AtomicBool::new(false),
            salt: crate::random()?,
            sockets: Arc::new(Semaphore::new(config.limits.sockets_max as usize)),
            guests: Arc::new(Semaphore::new(config.limits.guests_max as usize)),
            config,
        })
    }
}

impl<S: RelayStore> Shared<S> {
    pub(crate) fn open_connections(&self) -> u64 {
        u64::from(self.config.limits.sockets_max).saturating_sub(self.sockets.available_permits() as u64)
    }

    /// New accounts are refused while it is.
    pub(crate) fn disk_is_short(&self) -> bool {
        self.disk_is_short.load(Ordering::Relaxed)
    }

    async fn look_at_the_disk(&self) {
        let (dir, free_min_percent) = (self.config.data_dir.clone(), self.config.limits.disk_free_min_percent);
        // The disk may be one that hangs.
        let looked = tokio::task::spawn_blocking(move || disk::is_short(&dir, free_min_percent)).await;
        let is_short = looked.unwrap_or(false);
        match (self.disk_is_short.swap(is_short, Ordering::Relaxed), is_short) {
            (false, true) => tracing::warn!("the disk is nearly full: no new accounts are taken"),
            (true, false) => tracing::info!("the disk has room again"),
            (true, true) | (false, false) => {}
        }
    }

    /// Somebody may be owed a wake-up.
    pub(crate) fn look_for_wake_ups(&self) {
        if let Some(pusher) = &self.pusher {
            pusher.look();
        }
    }

    /// The device's connection has ended. Until that is written down it counts as connected and is not woken, so a store
    /// that is busy is asked again; what it does not take then is left to the sweep.
    pub(crate) async fn left(&self, device: DeviceId, visit: u64) {
        for _ in 0..LEAVING_TRIES {
            let owed_at_ms = self.clock.now_ms().saturating_add(ABSENCE_MS);
            match self.store.leave_mailbox(device, visit, owed_at_ms).await {
                Ok(()) | Err(StoreError::Closed) => return,
                Err(error) => tracing::warn!(%error, "a departure was not stored"),
            }
            sleep(LEAVING_PAUSE).await;
        }
    }

    /// Takes from one quota.
    pub(crate) async fn spend(&self, purpose: &'static str, parts: &[&[u8]], cost: u32, rate: Rate) -> Spent {
        let key = QuotaKey::new(&self.salt, purpose, parts);
        self.spent(vec![Spend { key, cost, rate }]).await
    }

    /// Takes from one quota for each part, or from none.
    pub(crate) async fn spend_all<P: AsRef<[u8]>>(
        &self,
        purpose: &'static str,
        owner: &[u8],
        parts: impl Iterator<Item = (P, u32)>,
        rate: Rate,
    ) -> Spent {
        let spend = |(part, cost): (P, u32)| Spend {
            key: QuotaKey::new(&self.salt, purpose, &[owner, part.as_ref()]),
            cost,
            rate,
        };
        let spends = parts.map(spend).collect();
        self.spent(spends).await
    }

    /// Takes from a guest's quota. The relay's own machine has none.
    pub(crate) async fn spend_by_network(&self, purpose: &'static str, network: Option<Network>) -> Spent {
        let quotas = &self.config.quotas;
        let rate = match purpose {
            "connections" => quotas.connections,
            "accounts" => quotas.accounts,
            _ => quotas.log_reads,
        };
        match network {
            Some(network) => self.spend(purpose, &[network.as_bytes()], 1, rate).await,
            None => Spent::Granted,
        }
    }

    async fn spent(&self, spends: Vec<Spend>) -> Spent {
        let spent = self.store.spend(spends, self.clock.now_ms()).await;
        // Quotas that cannot be asked do not stand in the way of mail.
        spent.unwrap_or(Spent::Granted)
    }

    /// `about`, give or take a fifth.
    pub(crate) fn patience(&self, about_ms: u64) -> Duration {
        let fifth = about_ms / 5;
        Duration::from_millis((about_ms - fifth + crate::below(2 * fifth + 1)).max(1))
    }
}

/// Waits for the end of the relay.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A relay that was dropped has stopped too.
    stopping.wait_for(|stopping| *stopping).await.ok();
}

fn bind(field: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(cfg!(unix))?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind().map_err(|source| StartError::Bind { field, address, source })
}

async fn accept_all<S: RelayStore>(shared: Arc<Shared<S>>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut stopping = shared.stopping.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stopping) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(&shared, tls.as_ref(), stream, peer),
            Err(error) => {
                // Out of file handles, mostly: taking the next one at once would only spin.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn admit<S: RelayStore>(shared: &Arc<Shared<S>>, tls: Option<&TlsAcceptor>, stream: TcpStream, peer: SocketAddr) {
    let places = [&shared.sockets, &shared.guests].map(|places| Arc::clone(places).try_acquire_owned());
    let [Ok(socket), Ok(guest)] = places else {
        shared.metrics.turned_away.add(1);
        return;
    };
    shared.metrics.connections.add(1);
    stream.set_nodelay(true).ok();
    let permits = Permits { socket, guest };
    let patience = Duration::from_millis(shared.config.limits.handshake_ms);
    let (shared, tls) = (Arc::clone(shared), tls.cloned());
    let shake_hands = async move {
        match tls {
            None => converse(shared, Network::of(peer.ip()), permits, stream).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => converse(shared, Network::of(peer.ip()), permits, stream).await,
                Err(error) => tracing::debug!(%error, "no TLS"),
            },
        }
    };
    tokio::spawn(async move { timeout(patience, shake_hands).await.ok() }.instrument(tracing::Span::current()));
}

/// Serves the one HTTP request that a connection may make. When it becomes a WebSocket, that lives on by itself.
async fn converse<S, IO>(shared: Arc<Shared<S>>, peer: Option<Network>, permits: Permits, io: IO)
where
    S: RelayStore,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = Duration::from_millis(shared.config.limits.handshake_ms);
    let permits = Arc::new(Mutex::new(Some(permits)));
    let service = service_fn(move |request| socket::answer(Arc::clone(&shared), peer, Arc::clone(&permits), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(handshake)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    if let Err(error) = served.await {
        tracing::debug!(%error, "no request");
    }
}

async fn serve_operators<S: RelayStore>(shared: Arc<Shared<S>>, listener: TcpListener) {
    let mut stopping = shared.stopping.clone();
    // Idle keep-alive connections of a scraper must not hold up the end.
    tokio::select! {
        () = stopped(&mut stopping) => {}
        served = axum::serve(listener, operator::router(shared)) => {
            if let Err(error) = served {
                tracing::error!(%error, "the operator port failed");
            }
        }
    }
}

async fn sweep_often<S: RelayStore>(shared: Arc<Shared<S>>) {
    let mut stopping = shared.stopping.clone();
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = sweep(&shared).await {
            tracing::error!(%error, "the sweep failed");
        }
    }
}

/// Devices that count as connected and are not: they would not be woken. Who arrives is attached before that is written down,
/// and leaves under the number of that arrival, so nobody who is here is taken for gone.
async fn notice_departures<S: RelayStore>(shared: &Shared<S>) -> Result<(), StoreError> {
    let mut here = shared.store.here().await?;
    here.retain(|(device, _)| !shared.hub.is_attached(*device));
    let owed_at_ms = shared.clock.now_ms().saturating_add(ABSENCE_MS);
    for gone in here.chunks(SWEEP_ROWS_MAX as usize) {
        try_join_all(gone.iter().map(|(device, visit)| shared.store.leave_mailbox(*device, *visit, owed_at_ms)))
            .await?;
    }
    Ok(())
}

pub(crate) async fn sweep<S: RelayStore>(shared: &Shared<S>) -> Result<Expired, StoreError> {
    shared.look_at_the_disk().await;
    shared.look_for_wake_ups();
    notice_departures(shared).await?;
    let mut total = Expired::default();
    loop {
        let expired = shared.store.expire(shared.clock.now_ms(), SWEEP_ROWS_MAX).await?;
        shared.metrics.expired.add(expired.envelopes);
        total.envelopes += expired.envelopes;
        total.bytes += expired.bytes;
        total.memories += expired.memories;
        if !expired.more {
            return Ok(total);
        }
    }
}

#[cfg(test)]
mod tests {
    use comptoir_wire::{AccountId, ConversationId, Envelope, EnvelopeKind, NewAccount, PushEndpoint, Uid};

    use super::*;
    use crate::store::Sender;

    const ALICE: AccountId = AccountId([1; 20]);
    const PHONE: DeviceId = DeviceId([1; 16]);
    const TABLET: DeviceId = DeviceId([2; 16]);

    fn urgent(to: DeviceId) -> Envelope {
        Envelope {
            to,
            uid: Uid(to.0),
            conversation: ConversationId([0; 16]),
            generation: 0,
            epoch: 1,
            kind: EnvelopeKind::Message,
            urgent: true,
            ttl_s: 0,
            sealed: vec![1],
            pass: None,
        }
    }

    #[tokio::test]
    async fn who_left_while_nothing_could_be_stored_is_away_after_the_sweep() {
        let dir = tempfile::tempdir().unwrap();
        let relay = Relay::start(Config::local(dir.path()), Clock::from_fn(|| 0)).await.unwrap();
        let Shared { store, hub, .. } = &*relay.shared;
        let new = NewAccount {
            genesis: vec![1],
            log_key: [1; 32],
            recovery_hash: [1; 32],
            entries: Vec::new(),
            device: PHONE,
            device_key: [1; 32],
        };
        store.create_account(ALICE, new).await.unwrap();
        store.add_device(ALICE, TABLET, [2; 32]).await.unwrap();
        let lines = [PHONE, TABLET].map(|device| (device, Arc::default()));
        for (device, line) in &lines {
            hub.attach(*device, line);
            store.open_mailbox(*device, 0).await.unwrap();
            store.set_push(*device, PushEndpoint::new("https://push.example/".to_owned()).ok()).await.unwrap();
        }
        let owed = async || store.health().await.unwrap().wake_ups_owed;
        store.deposit(Sender { account: ALICE, device: PHONE }, vec![urgent(PHONE), urgent(TABLET)], 0).await.unwrap();
        assert_eq!(owed().await, 0, "both are connected");
        let [(phone, line), _] = &lines;
        hub.detach(*phone, line);
        relay.sweep().await.unwrap();
        assert_eq!(owed().await, 1);
        assert_eq!(store.here().await.unwrap(), [(TABLET, 1)]);
        relay.shutdown().await.unwrap();
    }
}
