//! The façade: what a shell calls. Writing is asynchronous and goes through the actor; reading is quick, on connections
//! of its own, and never waits for a write.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use comptoir_content::{
    AccountId, ContactCode, ConversationId, DeviceId, Link, OrderId, OrderInfo, SigningKey, Timestamp, Uid,
};
use comptoir_engine::checkout::{SheetHint, State};
use comptoir_sqlcipher::rusqlite::Connection as Db;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{oneshot, watch};

use crate::ClientError;
use crate::actor::{self, Clock, FinishLink, Input, Reply, Threads};
use crate::changes::{Bell, Changes, Status};
use crate::store::{Extension, Store, read_kv, search};
use crate::turns::checkout::Tapped;
use crate::vault::{KeyVault, database_key};
use crate::views::{self, Bubble, ChatRow, Contact, Identity, LinkGrant, LinkRequest, Page, PayChoice, ReceiptRow};

/// Where a client lives.
pub struct Config {
    /// A folder of its own. Created when it is missing, with access for its owner only.
    pub dir: PathBuf,
    pub vault: Arc<dyn KeyVault>,
    /// The time. `None`: the system's clock.
    pub clock: Option<Arc<dyn Fn() -> Timestamp + Send + Sync>>,
    /// Tables of a room that extends the store, such as a till's.
    pub extension: Option<Extension>,
}

/// A person's or a shop's core. Dropping the last handle stops it.
pub struct Client {
    inputs: std::sync::mpsc::Sender<Input>,
    bell: Bell,
    readers: Mutex<Vec<Db>>,
    open_reader: Box<dyn Fn() -> Result<Db, ClientError> + Send + Sync>,
    clock: Clock,
    threads: Mutex<Option<Threads>>,
}

impl Client {
    /// Opens the store in `config.dir`, or creates it with a fresh key in the vault.
    ///
    /// # Errors
    /// [`ClientError::Locked`] when there is a store and the key is missing or does not open it; nothing is changed then.
    /// [`ClientError::TryAgain`] `storage.in_use` when another process has it.
    pub fn open(config: Config) -> Result<Self, ClientError> {
        // Needed once per process by TLS; whoever is first wins, and they are all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        create_dir(&config.dir)?;
        let root = match (config.vault.load()?, Store::exists(&config.dir)) {
            (Some(root), _) => root,
            (None, true) => {
                return Err(ClientError::Locked {
                    code: "vault.missing".to_owned(),
                    detail: "there is a database and no key to it".to_owned(),
                });
            }
            (None, false) => {
                let mut root = zeroize::Zeroizing::new([0u8; 32]);
                let random = SystemRandom::new().fill(&mut *root);
                random.map_err(|_| ClientError::ask("vault.random", "the system has no random numbers"))?;
                config.vault.store(&root)?;
                root
            }
        };
        let store = Store::open(&config.dir, &database_key(&root), config.extension)?;
        let open_reader = store.reader_factory();
        let clock = Clock(config.clock.unwrap_or_else(|| Arc::new(system_time)));
        let bell = Bell::new();
        let (inputs, receiver) = std::sync::mpsc::channel();
        let threads = actor::start(store, clock.clone(), bell.clone(), (inputs.clone(), receiver))?;
        Ok(Self { inputs, bell, readers: Mutex::default(), open_reader, clock, threads: Mutex::new(Some(threads)) })
    }

    /// Stops and waits until the store is closed. Whatever was unsent is sent after the next start.
    pub fn shutdown(self) {
        drop(self);
    }

    async fn ask<T>(&self, input: impl FnOnce(Reply<T>) -> Input) -> Result<T, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(input(reply)).map_err(|_| ClientError::stopped())?;
        answer.await.map_err(|_| ClientError::stopped())?
    }

    fn read<T>(&self, read: impl FnOnce(&Db) -> Result<T, crate::error::TurnError>) -> Result<T, ClientError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = match kept {
            Some(db) => db,
            None => (self.open_reader)()?,
        };
        let value = read(&db);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < 2 {
            readers.push(db);
        }
        Ok(value?)
    }

    /// Changes from now on, beginning with [`View::Reset`].
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.bell.listen()
    }

    /// How far this client is with its relay; changes can be awaited.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.bell.watch_status()
    }

    /// Waits until everything here is at the relay and everything there is here. `progress` hears of every step.
    /// Cancel by dropping the future: nothing is undone, and it goes on in the background.
    ///
    /// # Errors
    /// [`ClientError::TryAgain`] when the core is shut down meanwhile.
    pub async fn sync(&self, progress: impl Fn(Status)) -> Result<(), ClientError> {
        let mut status = self.status();
        let _ = self.inputs.send(Input::Reconnect);
        loop {
            let now = *status.borrow_and_update();
            progress(now);
            if now.online && now.caught_up && now.unsent == 0 && now.asking == 0 {
                return Ok(());
            }
            status.changed().await.map_err(|_| ClientError::stopped())?;
        }
    }

    /// Creates a person's account. It works at once; the relay hears of it with the next connection.
    ///
    /// `relay` is `wss://host[:port]`, or `ws://` on loopback.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `relay.address` for an address that cannot be, [`ClientError::Bug`] when there is an
    /// account already.
    pub async fn create_account(&self, relay: &str) -> Result<Identity, ClientError> {
        check_relay(relay)?;
        let relay = relay.trim_end_matches('/').to_owned();
        self.ask(|reply| Input::CreateAccount { relay, reply }).await?;
        self.identity()?.ok_or_else(ClientError::stopped)
    }

    /// Who this is; `None` before there is an account.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn identity(&self) -> Result<Option<Identity>, ClientError> {
        self.read(|db| {
            let Some(me) = crate::store::read_me(db)? else {
                return Ok(None);
            };
            let code = ContactCode {
                account: me.account.id,
                kind: me.account.kind,
                relay: me.relay.clone(),
                head: me.account.head,
            };
            Ok(Some(Identity {
                account: me.account.id,
                device: me.device,
                kind: me.account.kind,
                relay: me.relay,
                link: code.to_link(),
            }))
        })
    }

    /// Adds whoever a link or code leads to, and opens a chat. Works offline.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `link.unreadable` when it is no contact code.
    pub async fn add_contact(&self, link: &str) -> Result<ConversationId, ClientError> {
        let Link::Contact(code) = Link::parse(link).map_err(|error| ClientError::ask("link.unreadable", error))?;
        check_relay(&code.relay)?;
        self.ask(|reply| Input::AddContact { code, reply }).await
    }

    /// The newest chats.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn chats(&self, limit: u32) -> Result<Vec<ChatRow>, ClientError> {
        self.read(|db| views::chats(db, limit))
    }

    /// Somebody we know.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `contact.unknown`.
    pub fn contact(&self, account: AccountId) -> Result<Contact, ClientError> {
        let found = self.read(|db| views::contact_of(db, account))?;
        found.ok_or_else(|| ClientError::ask("contact.unknown", "there is no such contact"))
    }

    /// A page of a chat, oldest message first: the newest `limit`, or those before `before`.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `chat.unknown`.
    pub fn page(&self, chat: ConversationId, before: Option<i64>, limit: u32) -> Result<Page, ClientError> {
        let now = self.clock.now();
        self.read(|db| views::page(db, chat, before, limit, now))
    }

    /// The newest messages that hold all words of `query`, as (chat, bubble).
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn search(&self, query: &str, limit: u32) -> Result<Vec<(ConversationId, Bubble)>, ClientError> {
        let now = self.clock.now();
        self.read(|db| {
            let ids = search(db, query, limit)?;
            ids.into_iter().map(|id| views::bubble(db, id, now)).collect()
        })
    }

    /// Says something. Returns as soon as it is on this device's disk.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] with the rule that the text breaks, such as `text.too_long`.
    pub async fn send_text(&self, chat: ConversationId, text: &str) -> Result<Uid, ClientError> {
        let text = text.to_owned();
        self.ask(|reply| Input::SendText { chat, text, reply_to: None, reply }).await
    }

    /// Answers a message.
    ///
    /// # Errors
    /// As [`Client::send_text`].
    pub async fn reply_text(&self, chat: ConversationId, to: Uid, text: &str) -> Result<Uid, ClientError> {
        let text = text.to_owned();
        self.ask(|reply| Input::SendText { chat, text, reply_to: Some(to), reply }).await
    }

    /// Taps a quick reply or a button of `on`, by its title.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `reply.gone` when it was tapped before.
    pub async fn tap(&self, chat: ConversationId, on: Uid, title: &str) -> Result<Uid, ClientError> {
        let title = title.to_owned();
        self.ask(|reply| Input::Tap { chat, on, title, reply }).await
    }

    /// Everything in this chat was seen.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `chat.unknown`.
    pub async fn mark_read(&self, chat: ConversationId) -> Result<(), ClientError> {
        self.ask(|reply| Input::MarkRead { chat, reply }).await
    }

    /// Blocks an account, or lets it write again.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `contact.unknown`.
    pub async fn block(&self, account: AccountId, blocked: bool) -> Result<(), ClientError> {
        self.ask(|reply| Input::Block { account, blocked, reply }).await
    }

    /// The safety number of a chat: 60 digits, the same on both sides, that two people compare.
    ///
    /// # Errors
    /// [`ClientError::TryAgain`] until the other side's log was fetched.
    pub fn safety_number(&self, account: AccountId) -> Result<String, ClientError> {
        let keys = self.read(|db| {
            let me = crate::store::read_me(db)?.map(|me| me.account.account_key);
            let them = crate::store::read_account(db, account)?.map(|them| them.account_key);
            Ok(me.zip(them))
        })?;
        let (me, them) = keys.ok_or_else(|| ClientError::TryAgain {
            code: "account.log_missing".to_owned(),
            detail: "the other side's keys were not fetched yet".to_owned(),
        })?;
        Ok(comptoir_engine::account::safety_number(me, them))
    }

    /// Remembers that a person compared the safety number.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `contact.unknown`.
    pub async fn set_verified(&self, account: AccountId, verified: bool) -> Result<(), ClientError> {
        self.ask(|reply| Input::SetVerified { account, verified, reply }).await
    }

    /// The tap on Pay. A second one finds the attempt that is on its way.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] with the reason, such as `submit.unknown` ("checking, do not pay again").
    pub async fn pay(&self, invoice: comptoir_content::Hash, choice: PayChoice) -> Result<State, ClientError> {
        let tapped = Tapped {
            tip_minor: choice.tip_minor,
            provider: choice.provider,
            info: OrderInfo { name: choice.name, phone: choice.phone, email: choice.email },
        };
        self.ask(|reply| Input::Pay { invoice: invoice.0, tapped, reply }).await
    }

    /// The payment sheet closed. Whatever it said, the state becomes "checking" until the shop's signed word is here.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `order.unknown`.
    pub async fn sheet_closed(&self, order: OrderId, hint: SheetHint) -> Result<State, ClientError> {
        self.ask(|reply| Input::SheetClosed { order, hint, reply }).await
    }

    /// Asks the shops about every unresolved payment now.
    ///
    /// # Errors
    /// [`ClientError`] when the store fails.
    pub async fn check_payments(&self) -> Result<(), ClientError> {
        self.ask(|reply| Input::AskNow { reply }).await
    }

    /// All receipts, the newest first.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn receipts(&self) -> Result<Vec<ReceiptRow>, ClientError> {
        self.read(views::receipts)
    }

    /// The bytes of a receipt file: what anybody can verify.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `receipt.unknown`.
    pub fn receipt_file(&self, order: OrderId) -> Result<Vec<u8>, ClientError> {
        self.read(|db| views::receipt_file(db, order))
    }

    /// On a new device: makes its keys and the request to be linked. The same request again until it was granted.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `account.exists` when this device has an account.
    pub async fn link_request(&self) -> Result<LinkRequest, ClientError> {
        if self.identity()?.is_some() {
            return Err(ClientError::ask("account.exists", "this device belongs to an account already"));
        }
        let (device, key) = self.link_keys().await?;
        Ok(LinkRequest { device, key: key.public() })
    }

    async fn link_keys(&self) -> Result<(DeviceId, SigningKey), ClientError> {
        let stored = self.read(|db| read_kv(db, "link.keys"))?;
        let bytes: [u8; 48] = match stored.and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => bytes,
            None => {
                let random = crate::random::Random::new();
                let mut bytes = [0; 48];
                bytes[..16].copy_from_slice(&random.id(self.clock.now()));
                bytes[16..].copy_from_slice(&random.bytes::<32>());
                self.turn(move |tx| tx.set_kv("link.keys", &bytes)).await?;
                bytes
            }
        };
        let (device, seed) = bytes.split_first_chunk::<16>().expect("48 bytes hold 16");
        let seed: [u8; 32] = seed.try_into().expect("48 less 16 bytes");
        Ok((DeviceId(*device), SigningKey::from_seed(seed)))
    }

    /// On the device with the account key: takes the new device into the account.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] when this device does not hold the account key.
    pub async fn link_device(&self, request: LinkRequest) -> Result<LinkGrant, ClientError> {
        let LinkRequest { device, key } = request;
        let (account, certificate, relay) = self.ask(|reply| Input::LinkDevice { device, key, reply }).await?;
        Ok(LinkGrant { relay, certificate: certificate.encode(), log: account.log().clone() })
    }

    /// On the new device: takes over the account.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] when the grant is not for this device or does not hold.
    pub async fn finish_link(&self, grant: LinkGrant) -> Result<Identity, ClientError> {
        let (device, key) = self.link_keys().await?;
        let certificate = comptoir_content::Signed::decode(&grant.certificate)
            .map_err(|error| ClientError::ask("link.grant", error))?;
        let grant = FinishLink { log: grant.log, certificate, device, key, relay: grant.relay };
        self.ask(|reply| Input::FinishLink { grant, reply }).await?;
        self.identity()?.ok_or_else(ClientError::stopped)
    }

    /// Closes the line to the relay until [`Client::resume`].
    pub fn pause(&self) {
        let _ = self.inputs.send(Input::Pause);
    }

    /// Connects now, without waiting for the back-off.
    pub fn resume(&self) {
        let _ = self.inputs.send(Input::Reconnect);
    }

    /// Looks at the clock: for tests, whose clock moves by itself.
    ///
    /// # Errors
    /// [`ClientError`] when the store fails.
    pub async fn tick(&self) -> Result<(), ClientError> {
        self.ask(|reply| Input::Tick { reply }).await
    }

    pub(crate) fn inputs(&self) -> &std::sync::mpsc::Sender<Input> {
        &self.inputs
    }

    pub(crate) fn read_with<T>(
        &self,
        read: impl FnOnce(&Db) -> Result<T, crate::error::TurnError>,
    ) -> Result<T, ClientError> {
        self.read(read)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Stop);
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Threads { actor, link }) = threads {
            // The actor drops its end of the link, which ends the link.
            let _ = actor.join();
            let _ = link.join();
        }
    }
}

fn system_time() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn create_dir(dir: &std::path::Path) -> Result<(), ClientError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir).map_err(|error| ClientError::ask("storage.io", format!("{}: {error}", dir.display())))
}

/// TLS everywhere, but on this very machine.
pub(crate) fn check_relay(relay: &str) -> Result<(), ClientError> {
    let bad = |why| Err(ClientError::ask("relay.address", format!("{relay:?}: {why}")));
    if relay.len() > 255 || relay.contains(char::is_whitespace) {
        return bad("not an address");
    }
    if let Some(host) = relay.strip_prefix("wss://") {
        return if host.is_empty() || host.contains('@') { bad("not an address") } else { Ok(()) };
    }
    let Some(host) = relay.strip_prefix("ws://") else {
        return bad("begins with wss://");
    };
    let host = host.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match name {
        "localhost" | "127.0.0.1" | "[::1]" => Ok(()),
        _ => bad("without TLS only on this machine: use wss://"),
    }
}
