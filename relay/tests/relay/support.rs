//! A relay on a free port, people with keys, and a client that speaks `relay.v1` frame by frame.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use comptoir_relay::{Clock, Config, Relay, Running, between};
use comptoir_wire::{
    AccountId, ConversationId, DeviceId, Envelope, EnvelopeKind, ErrorCode, Item, KeySignature, LOG_CONTEXT,
    NEXT_KEY_CONTEXT, NewAccount, NextKey, REMOVE_DEVICE_CONTEXT, Refusal, Reply, Request, SignedEntry, Uid, Welcome,
    auth_input, limits, next_key_bytes, remove_device_bytes, signature_input,
};
use futures_util::{SinkExt, StreamExt};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};

pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes soon")
}

/// A relay, its directory and its clock.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) config: Config,
    relay: Option<Running>,
}

impl World {
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::local(dir.path());
        change(&mut config);
        let clock = Arc::new(AtomicI64::new(NOW_MS));
        let relay = Some(Relay::start(config.clone(), Clock::shared(Arc::clone(&clock))).await.unwrap());
        Self { dir, clock, config, relay }
    }

    pub(crate) fn relay(&self) -> &Running {
        self.relay.as_ref().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.relay().address()
    }

    pub(crate) fn later(&self, by_ms: i64) {
        self.clock.fetch_add(by_ms, Ordering::SeqCst);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.load(Ordering::SeqCst).cast_unsigned()
    }

    pub(crate) async fn stop(&mut self) {
        soon(self.relay.take().unwrap().shutdown()).await.unwrap();
    }

    pub(crate) async fn start(&mut self) {
        let clock = Clock::shared(Arc::clone(&self.clock));
        self.relay = Some(Relay::start(self.config.clone(), clock).await.unwrap());
    }

    pub(crate) async fn line(&self) -> Line {
        Line::dial(self.address()).await
    }

    /// A line on which `person` is signed in, created when it is new.
    pub(crate) async fn arrive(&self, person: &Person) -> Line {
        self.arrive_with(person, limits::WINDOW_MAX).await.0
    }

    pub(crate) async fn arrive_with(&self, person: &Person, window: u32) -> (Line, Welcome) {
        let mut line = self.line().await;
        line.create(person).await;
        let welcome = line.sign_in(person, window).await;
        (line, welcome)
    }

    /// A page of the operator's port.
    pub(crate) async fn operator(&self, path: &str) -> (u16, String) {
        http_get(self.relay().operator_address(), path).await
    }

    /// One number of the metrics, by its name and label as printed.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.operator("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("comptoir_relay_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    /// Asks until a number of the metrics is at least `value`: how a test waits for what nobody is told.
    pub(crate) async fn until_metric(&self, name: &str, value: u64) {
        soon(async {
            while self.metric(name).await < value {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// All bytes of all files of the relay.
    pub(crate) fn bytes_on_disk(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.dir.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

pub(crate) async fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text)
}

/// One of the cast: an account with its log key and one device.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) device: DeviceId,
    pub(crate) device_key: Ed25519KeyPair,
    pub(crate) log_key: Ed25519KeyPair,
    pub(crate) recovery_key: Ed25519KeyPair,
}

impl Person {
    pub(crate) fn new(name: &'static str) -> Self {
        let seed = |purpose: &str| digest(&SHA256, format!("{name} {purpose}").as_bytes());
        let key = |purpose| Ed25519KeyPair::from_seed_unchecked(seed(purpose).as_ref()).unwrap();
        Self {
            name,
            device: DeviceId(seed("device").as_ref()[..16].try_into().unwrap()),
            device_key: key("device key"),
            log_key: key("log key"),
            recovery_key: key("recovery key"),
        }
    }

    /// A second device of the same account.
    pub(crate) fn second_device(&self, name: &'static str) -> Self {
        let other = Self::new(name);
        Self { device: other.device, device_key: other.device_key, ..Self::new(self.name) }
    }

    pub(crate) fn genesis(&self) -> Vec<u8> {
        format!("genesis of {}", self.name).into_bytes()
    }

    pub(crate) fn account(&self) -> AccountId {
        AccountId(digest(&SHA256, &self.genesis()).as_ref()[..20].try_into().unwrap())
    }

    pub(crate) fn new_account(&self) -> NewAccount {
        NewAccount {
            genesis: self.genesis(),
            log_key: public(&self.log_key),
            recovery_hash: digest(&SHA256, &public(&self.recovery_key)).as_ref().try_into().unwrap(),
            entries: vec![signed_entry(&self.log_key, format!("{}'s first device", self.name).as_bytes())],
            device: self.device,
            device_key: public(&self.device_key),
        }
    }

    pub(crate) fn authenticate(&self, nonce: &[u8; 32], address: &str, window: u32) -> Request {
        let signature = self.device_key.sign(&auth_input(nonce, self.device, address));
        Request::Authenticate {
            device: self.device,
            address: address.to_owned(),
            signature: signature.as_ref().try_into().unwrap(),
            window,
        }
    }
}

pub(crate) fn public(key: &Ed25519KeyPair) -> [u8; 32] {
    key.public_key().as_ref().try_into().unwrap()
}

pub(crate) fn signed_entry(by: &Ed25519KeyPair, entry: &[u8]) -> SignedEntry {
    SignedEntry {
        entry: entry.to_vec(),
        signature: by.sign(&signature_input(LOG_CONTEXT, entry)).as_ref().try_into().unwrap(),
        signer: public(by),
        next_key: None,
    }
}

/// `entry` and its handing the log over to `next`.
pub(crate) fn handing_over(by: &Ed25519KeyPair, entry: &[u8], next: &Ed25519KeyPair) -> SignedEntry {
    let bytes = next_key_bytes(&digest(&SHA256, entry).as_ref().try_into().unwrap(), &public(next));
    let signature = by.sign(&signature_input(NEXT_KEY_CONTEXT, &bytes)).as_ref().try_into().unwrap();
    SignedEntry { next_key: Some(NextKey { key: public(next), signature }), ..signed_entry(by, entry) }
}

/// The removal of `device` from its account, signed by `by`.
pub(crate) fn removal(by: &Ed25519KeyPair, device: &Person) -> Request {
    let bytes = signature_input(REMOVE_DEVICE_CONTEXT, &remove_device_bytes(device.account(), device.device));
    let signature = by.sign(&bytes).as_ref().try_into().unwrap();
    Request::RemoveDevice { device: device.device, signed: Some(KeySignature { signer: public(by), signature }) }
}

/// Alice's conversation with somebody.
pub(crate) fn thread(with: &'static str) -> ConversationId {
    between(Person::new("Alice").account(), Person::new(with).account())
}

pub(crate) fn uid(n: u64) -> Uid {
    let mut uid = Uid([3; 16]);
    uid.0[8..].copy_from_slice(&n.to_be_bytes());
    uid
}

/// An envelope of Alice's conversation with `to`; one to herself is of hers with Bob.
pub(crate) fn envelope(to: &Person, n: u64) -> Envelope {
    Envelope {
        to: to.device,
        uid: uid(n),
        conversation: thread(if to.name == "Alice" { "Bob" } else { to.name }),
        generation: 0,
        epoch: 1,
        kind: EnvelopeKind::Message,
        urgent: false,
        ttl_s: 0,
        sealed: format!("sealed {n}").into_bytes(),
        pass: None,
    }
}

pub(crate) fn deposit(to: &Person, numbers: impl IntoIterator<Item = u64>) -> Request {
    Request::Deposit { envelopes: numbers.into_iter().map(|n| envelope(to, n)).collect() }
}

/// The client's end of a connection.
pub(crate) struct Line<IO = TcpStream> {
    pub(crate) ws: WebSocketStream<IO>,
    pub(crate) nonce: [u8; 32],
    pub(crate) address: String,
    /// What `Notice` frames asked for.
    pub(crate) notices: Vec<u64>,
    unasked: VecDeque<Reply>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

pub(crate) fn upgrade_request(address: &str, subprotocol: Option<&str>) -> tungstenite::handshake::client::Request {
    let mut request = format!("ws://{address}{}", limits::PATH).into_client_request().unwrap();
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse().unwrap());
    }
    request
}

impl Line {
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, &address.to_string()).await
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Line<IO> {
    pub(crate) async fn over(stream: IO, address: &str) -> Self {
        let request = upgrade_request(address, Some(limits::SUBPROTOCOL));
        let (ws, _) = soon(tokio_tungstenite::client_async(request, stream)).await.unwrap();
        let mut line =
            Self { ws, nonce: [0; 32], address: address.to_owned(), notices: Vec::new(), unasked: VecDeque::new() };
        match line.read().await.unwrap() {
            (0, Reply::Challenge { nonce, .. }) => line.nonce = nonce,
            other => panic!("{other:?} instead of a challenge"),
        }
        line
    }

    pub(crate) async fn tell(&mut self, request: Request) -> u64 {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        soon(self.ws.send(Message::Binary(request.encode(id).into()))).await.unwrap();
        id
    }

    /// The next frame, or why there is none.
    async fn read(&mut self) -> Result<(u64, Reply), Option<CloseFrame>> {
        loop {
            match soon(self.ws.next()).await {
                Some(Ok(Message::Binary(frame))) => match Reply::decode(&frame).unwrap() {
                    (0, Reply::Notice { reconnect_after_ms }) => self.notices.push(reconnect_after_ms),
                    reply => return Ok(reply),
                },
                Some(Ok(Message::Close(close))) => return Err(close),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    pub(crate) async fn answer(&mut self, id: u64) -> Reply {
        self.answer_or_end(id).await.expect("an answer and not the end")
    }

    /// The answer, or the code of the end when that comes first.
    pub(crate) async fn answer_or_end(&mut self, id: u64) -> Result<Reply, u16> {
        loop {
            match self.read().await.map_err(|close| close.map_or(0, |close| close.code.into()))? {
                (found, reply) if found == id => return Ok(reply),
                (0, reply) => self.unasked.push_back(reply),
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn ask(&mut self, request: Request) -> Reply {
        let id = self.tell(request).await;
        self.answer(id).await
    }

    pub(crate) async fn refused(&mut self, request: Request) -> Refusal {
        match self.ask(request).await {
            Reply::Refused(refusal) => refusal,
            other => panic!("{other:?} instead of a refusal"),
        }
    }

    /// The next frame that nobody asked for.
    pub(crate) async fn next(&mut self) -> Reply {
        match self.unasked.pop_front() {
            Some(reply) => reply,
            None => match self.read().await.expect("a frame and not the end") {
                (0, reply) => reply,
                other => panic!("{other:?}"),
            },
        }
    }

    /// Waits for the end and its code; 0 when there was none. What comes before it is read and dropped.
    pub(crate) async fn end(&mut self) -> u16 {
        loop {
            if let Err(close) = self.read().await {
                return close.map_or(0, |close| close.code.into());
            }
        }
    }

    /// The next refusal of a frame whose id could not be read.
    pub(crate) async fn next_refusal(&mut self) -> Refusal {
        loop {
            if let Reply::Refused(refusal) = self.next().await {
                return refusal;
            }
        }
    }

    pub(crate) async fn create(&mut self, person: &Person) {
        assert_eq!(self.ask(Request::CreateAccount(person.new_account())).await, Reply::Done);
    }

    pub(crate) async fn sign_in(&mut self, person: &Person, window: u32) -> Welcome {
        let request = person.authenticate(&self.nonce, &self.address.clone(), window);
        match self.ask(request).await {
            Reply::Welcome(welcome) => welcome,
            other => panic!("{other:?} instead of a welcome"),
        }
    }

    /// The next deliveries until there are `count` envelopes.
    pub(crate) async fn deliveries(&mut self, count: usize) -> Vec<Item> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await {
                Reply::Delivery(items) => all.extend(items),
                Reply::CaughtUp { .. } => {}
                other => panic!("{other:?} instead of a delivery"),
            }
        }
        assert_eq!(all.len(), count);
        all
    }

    /// Everything until the mailbox is empty, and the number it stands at.
    pub(crate) async fn catch_up(&mut self) -> (Vec<Item>, u64) {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Reply::Delivery(items) => all.extend(items),
                Reply::CaughtUp { seq } => return (all, seq),
                other => panic!("{other:?} instead of a delivery"),
            }
        }
    }

    /// Acknowledges, and comes back when the relay has it on disk: frames of one connection are served in order.
    pub(crate) async fn ack(&mut self, upto_seq: u64) {
        self.tell(Request::Ack { upto_seq }).await;
        let account = AccountId([0; 20]);
        assert_eq!(self.refused(Request::ReadLog { account, from: 0 }).await.code, ErrorCode::NotFound);
    }
}

pub(crate) fn seqs(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.seq).collect()
}

pub(crate) fn statuses(reply: Reply) -> Vec<comptoir_wire::DepositStatus> {
    match reply {
        Reply::Deposited(outcomes) => outcomes.into_iter().map(|outcome| outcome.status).collect(),
        other => panic!("{other:?} instead of outcomes"),
    }
}

pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
