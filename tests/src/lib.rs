//! The stage for the stories: a town with a relay, and people with their own folders on disk.
//!
//! Everything goes through public doors: real sockets on loopback, real databases, a clock that the story
//! moves. Nobody sleeps: a story waits for a change, and fails with what it saw when none comes.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on has failed")]

pub mod fuzz;
pub mod push;
pub mod scenario;
pub mod shop;
pub mod storm;
pub mod stranger;
pub mod tap;

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use comptoir_client::headless::Setting;
use comptoir_client::{Bubble, BubbleState, ChatRow, Client, Config, Connection, FileVault, Place, View};
use comptoir_content::{ConversationId, Timestamp};
use comptoir_relay::{Clock, Relay, Running};
use tap::Tape;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A story gives up after this long without the change it waits for. Only a failing story ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// One place with one time.
pub struct Town {
    pub dir: TempDir,
    /// Moved by the story; `None` in the time of this machine.
    now_ms: Option<Arc<AtomicI64>>,
    relay: Option<Running>,
    /// How far the relay's clock is off.
    relay_off_ms: Arc<AtomicI64>,
    /// What its operator has set.
    relay_config: comptoir_relay::Config,
    /// Where people find the relay.
    address: SocketAddr,
    /// Somebody on the line between them and the relay.
    tap: Option<JoinHandle<()>>,
}

/// An address on this machine that can be given up and taken again: nobody gets it who asks for any port, for systems give those
/// from 32768 on, and an address that was just free there is often somebody else's a moment later.
pub fn free_address() -> SocketAddr {
    loop {
        let random = RandomState::new().hash_one(std::process::id());
        let port = 10_000 + u16::try_from(random % 20_000).expect("small");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if let Some(tap) = &self.tap {
            tap.abort();
        }
    }
}

impl Town {
    /// A town whose relay has just opened. `RUST_LOG=debug` shows what its people's cores have to say.
    pub async fn new() -> Self {
        Self::whose_relay(|_| {}).await
    }

    /// A town whose relay's operator has set something.
    pub async fn whose_relay(has_set: impl FnOnce(&mut comptoir_relay::Config)) -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        Self::at(Self::clock_of_its_own(), has_set).await
    }

    /// A town in the time of this machine, for stories with processes of their own.
    pub async fn with_real_time() -> Self {
        Self::at(None, |_| {}).await
    }

    /// A town in which every frame between its people and its relay is written down.
    pub async fn with_a_tap() -> (Self, Tape) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let tapped = listener.local_addr().expect("bound");
        let names = |config: &mut comptoir_relay::Config| config.names = vec![tapped.to_string()];
        let mut town = Self::at(Self::clock_of_its_own(), names).await;
        let tape = Tape::default();
        town.tap = Some(tokio::spawn(tap::serve(listener, town.address, tape.clone())));
        town.address = tapped;
        (town, tape)
    }

    fn clock_of_its_own() -> Option<Arc<AtomicI64>> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let now_ms = i64::try_from(since.as_millis()).expect("before the year 292 million");
        Some(Arc::new(AtomicI64::new(now_ms)))
    }

    async fn at(now_ms: Option<Arc<AtomicI64>>, has_set: impl FnOnce(&mut comptoir_relay::Config)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut config = comptoir_relay::Config::local(dir.path().join("relay"));
        // The push services of these towns are on this machine too, and their time passes only when the story says so.
        (config.push.enabled, config.push.loopback, config.push.within_ms) = (true, true, 0);
        config.listen = free_address();
        has_set(&mut config);
        let relay_off_ms = Arc::default();
        let relay = open_relay(&config, relay_clock(now_ms.as_ref(), &relay_off_ms)).await;
        config.listen = relay.address();
        Self { address: config.listen, dir, now_ms, relay: Some(relay), relay_off_ms, relay_config: config, tap: None }
    }

    pub fn now(&self) -> Timestamp {
        (self.clock())()
    }

    /// Time goes by, for everybody at once.
    pub fn pass(&self, ms: i64) {
        self.now_ms.as_ref().expect("a town with a time of its own").fetch_add(ms, Ordering::SeqCst);
    }

    pub fn clock(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let now_ms = self.now_ms.clone();
        Arc::new(move || match &now_ms {
            Some(now_ms) => Timestamp(now_ms.load(Ordering::SeqCst)),
            None => Timestamp(Clock::system().now_ms()),
        })
    }

    pub fn relay_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub fn relay_dir(&self) -> PathBuf {
        self.dir.path().join("relay")
    }

    /// The relay goes away, and what it accepted stays on its disk.
    pub async fn stop_relay(&mut self) {
        self.relay.take().expect("it runs").shutdown().await.expect("a graceful end");
    }

    /// It comes back under the same address.
    pub async fn start_relay(&mut self) {
        self.relay = Some(open_relay(&self.relay_config, relay_clock(self.now_ms.as_ref(), &self.relay_off_ms)).await);
    }

    /// The relay's clock is off by so much from now on.
    pub fn relay_is_off_by(&self, ms: i64) {
        self.relay_off_ms.store(ms, Ordering::SeqCst);
    }

    /// A copy of its folder is put aside.
    pub async fn copy_relay(&mut self) {
        self.stop_relay().await;
        copy_dir(&self.relay_dir(), &self.dir.path().join("relay-copy"));
        self.start_relay().await;
    }

    /// It lost its disk, and comes back from the copy.
    pub async fn restore_relay(&mut self, how: Restored) {
        self.stop_relay().await;
        std::fs::remove_dir_all(self.relay_dir()).expect("its folder");
        copy_dir(&self.dir.path().join("relay-copy"), &self.relay_dir());
        if how == Restored::Marked {
            std::fs::write(self.relay_dir().join("RESTORED"), "").expect("a mark");
        }
        self.start_relay().await;
    }

    /// It comes back under the same address, and takes itself for somebody else: nobody is let in.
    pub async fn start_relay_as(&mut self, name: &str) {
        let config = comptoir_relay::Config { names: vec![name.to_owned()], ..self.relay_config.clone() };
        self.relay = Some(open_relay(&config, relay_clock(self.now_ms.as_ref(), &self.relay_off_ms)).await);
    }

    /// The relay looks at the clock, as it does by itself every minute.
    pub async fn relay_looks_at_the_clock(&self) {
        self.relay.as_ref().expect("it runs").sweep().await.expect("a store that works");
    }

    /// One of the numbers that the relay's operator sees.
    pub async fn number(&self, name: &str) -> u64 {
        let address = self.relay.as_ref().expect("it runs").operator_address();
        let answer = reqwest::get(format!("http://{address}/metrics")).await.expect("an answer");
        let text = answer.text().await.expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("comptoir_relay_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().expect("a number")
    }

    /// Asks until the number is this one: how a story waits for what nobody is told.
    pub async fn until_number(&self, name: &str, expected: u64) {
        let waiting = async {
            while self.number(name).await != expected {
                tokio::task::yield_now().await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(came.is_ok(), "{name} never was {expected}");
    }

    /// A person's phone, opened again from its folder when it was there before.
    pub fn open(&self, name: &str) -> Person {
        let client =
            Client::open_headless(self.config(name), self.setting()).unwrap_or_else(|error| panic!("{name}: {error}"));
        Person { client, name: name.to_owned() }
    }

    pub fn config(&self, name: &str) -> Config {
        let dir = self.dir.path().join(name);
        Config {
            vault: Arc::new(FileVault::new(self.dir.path().join(format!("{name}.key")))),
            dir,
            sheet: None,
            push: None,
        }
    }

    /// The time of this town.
    pub fn setting(&self) -> Setting {
        Setting { clock: Some(self.clock()), extension: None }
    }

    /// Alice has written `first` to Bob, and he has read it.
    pub async fn two_who_talk(&self, first: &str) -> (Person, Person, ConversationId) {
        let (alice, bob) = (self.arrives("alice").await, self.arrives("bob").await);
        bob.syncs().await;
        let chat = alice.meets(&bob).await;
        alice.says(chat, first).await;
        bob.sees(chat, &[format!("you: {first}").as_str()]).await;
        (alice, bob, chat)
    }

    /// A new person with an account.
    pub async fn arrives(&self, name: &str) -> Person {
        let person = self.open(name);
        person.client.create_account(&self.relay_url()).await.expect("an account");
        person
    }
}

/// What the operator of a relay does who put a copy back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// Says so, with the file that the manual asks for.
    Marked,
    /// Nothing.
    InSilence,
}

/// Copies a folder with everything in it.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file");
        }
    }
}

fn relay_clock(now_ms: Option<&Arc<AtomicI64>>, off_ms: &Arc<AtomicI64>) -> Clock {
    let off_ms = off_ms.clone();
    match now_ms.cloned() {
        Some(now_ms) => Clock::from_fn(move || now_ms.load(Ordering::SeqCst) + off_ms.load(Ordering::SeqCst)),
        None => Clock::system(),
    }
}

async fn open_relay(config: &comptoir_relay::Config, clock: Clock) -> Running {
    Relay::start(config.clone(), clock).await.expect("a relay")
}

/// Somebody in a story.
pub struct Person {
    pub client: Arc<Client>,
    pub name: String,
}

impl Person {
    pub fn link(&self) -> String {
        self.client.identity().expect("readable").expect("an account").link
    }

    /// Links a new device of this account. It finds its place at the relay when both have been there.
    pub async fn links(&self, town: &Town, name: &str) -> Self {
        let other = town.open(name);
        let request = other.client.link_request().await.expect("a request");
        let grant = self.client.link_device(&request).await.expect("a grant");
        other.client.finish_link(&grant).await.expect("the account");
        other
    }

    /// Another device of this account, linked before, gets into a chat.
    pub async fn takes_in(&self, town: &Town, other: &Self, chat: ConversationId) {
        // It gives key packages to the relay, and what was asked before there were any has been answered.
        other.syncs().await;
        self.syncs().await;
        town.pass(DAY_MS);
        self.client.tick().await.expect("a tick");
        other.until("the chat", |me| me.chats().iter().any(|row| row.chat == chat).then_some(())).await;
    }

    pub async fn meets(&self, other: &Self) -> ConversationId {
        self.client.add_contact(&other.link()).await.expect("a contact")
    }

    pub async fn says(&self, chat: ConversationId, text: &str) {
        self.client
            .send_text(chat, text, None)
            .await
            .unwrap_or_else(|error| panic!("{} says {text:?}: {error}", self.name));
    }

    /// What stands in a chat, oldest first, as "me: …" and "you: …".
    pub fn thread(&self, chat: ConversationId) -> Vec<String> {
        let Ok(page) = self.client.page(chat, Place::Newest, 200) else {
            return Vec::new();
        };
        page.bubbles
            .iter()
            .map(|bubble| format!("{}: {}", if bubble.mine { "me" } else { "you" }, bubble.text))
            .collect()
    }

    pub fn bubbles(&self, chat: ConversationId) -> Vec<Bubble> {
        self.client.page(chat, Place::Newest, 200).map(|page| page.bubbles).unwrap_or_default()
    }

    pub fn is_online(&self) -> bool {
        self.client.status().is_ok_and(|status| status.connection == Connection::Online)
    }

    pub fn chats(&self) -> Vec<ChatRow> {
        self.client.chats(None, 100).expect("readable").rows
    }

    /// Waits until `look` finds something. Looks at once, and again after every change.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.client.changes();
        let waiting = async {
            loop {
                if let Some(found) = look(self) {
                    return found;
                }
                if changes.next().await.is_none() {
                    panic!("{}'s core stopped", self.name);
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("{} never saw {what}; chats: {:#?}", self.name, self.everything()),
        }
    }

    /// Waits until the chat reads exactly like this.
    pub async fn sees(&self, chat: ConversationId, expected: &[&str]) {
        self.until(&format!("{expected:?}"), |me| (me.thread(chat) == expected).then_some(())).await;
    }

    /// Waits until one's last message is in this state.
    pub async fn mine_is(&self, chat: ConversationId, state: BubbleState) {
        self.until(state.name(), |me| {
            let last = me.bubbles(chat).into_iter().rfind(|bubble| bubble.mine)?;
            (last.state == state).then_some(())
        })
        .await;
    }

    /// Everything unsent is at the relay and everything there is here.
    pub async fn syncs(&self) {
        let synced = tokio::time::timeout(PATIENCE, self.client.sync(None)).await;
        synced.unwrap_or_else(|_| panic!("{} never synced: {:?}", self.name, self.client.status())).expect("sync");
    }

    /// For the message of a failed story.
    fn everything(&self) -> Vec<(ChatRow, Vec<Bubble>)> {
        self.chats().into_iter().map(|row| (row.clone(), self.bubbles(row.chat))).collect()
    }
}

/// True when the change says something about this chat.
#[must_use]
pub fn is_about(view: &View, chat: ConversationId) -> bool {
    *view == View::Chat(chat) || *view == View::Reset
}
