//! The life of a core: opened, suspended, resumed, ended; and the line to its relay.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use comptoir_content::Timestamp;
use comptoir_sqlcipher::DatabaseKey;
use comptoir_sqlcipher::rusqlite::Connection as Db;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{oneshot, watch};
use zeroize::Zeroizing;

use super::push::ask_for_tokens;
use super::shell::{SHELL_LIMIT, within};
use super::watch::{open_sheets, wait_for_listeners};
use super::{CancelToken, ClientError, Connection, KeyVault, PaymentSheet, PushToken, Status};
use crate::actor::{self, Clock, Input, Reply, Running};
use crate::alive::Alive;
use crate::changes::{Bell, Changes};
use crate::headless::Setting;
use crate::readers::Readers;
use crate::store::{Extension, Store};
use crate::vault::database_key;

/// How often what still runs is interrupted once the deadline of a suspension is over.
const INTERRUPT_EVERY: Duration = Duration::from_millis(1);
/// How long a thread that panics takes at most to be gone.
const LAST_BREATH: Duration = Duration::from_millis(500);
/// How long an end for good waits for work that was begun, in milliseconds.
const SHUTDOWN_MS: u64 = 5_000;

/// Where a core lives, and what the shell around it can do.
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Config {
    /// A folder of its own. Created when it is missing, with access for its owner only.
    pub dir: PathBuf,
    pub vault: Arc<dyn KeyVault>,
    /// Opens payment sheets. Without it they are only found in [`crate::CheckoutView::sheet`].
    #[cfg_attr(feature = "uniffi", uniffi(default = None))]
    pub sheet: Option<Arc<dyn PaymentSheet>>,
    /// Says where this phone can be woken. Without it the relay never knocks.
    #[cfg_attr(feature = "uniffi", uniffi(default = None))]
    pub push: Option<Arc<dyn PushToken>>,
}

/// A person's or a shop's core. Dropping the last handle stops it.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Client {
    dir: PathBuf,
    key: DatabaseKey,
    extension: Option<Extension>,
    pub(crate) clock: Clock,
    bell: Bell,
    /// Threads that call the shell's listeners.
    pub(crate) listeners: Arc<Alive>,
    /// Makes a thread ask the shell where it can be woken. `None` without a [`PushToken`], and after the end.
    pub(super) push: Mutex<Option<Sender<()>>>,
    readers: Readers,
    /// `None` while suspended. Locked for a moment only: nobody who asks for something waits for a suspension.
    running: RwLock<Option<Running>>,
    /// Held while it is suspended or resumed: one after the other.
    life: Mutex<()>,
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Client {
    /// Opens the store in `config.dir`, or creates it with a fresh key in the vault. Takes a millisecond, and as long as the
    /// vault takes.
    ///
    /// # Errors
    /// [`ClientError::Locked`] when there is a store and the key is missing or does not open it; nothing is changed then.
    /// [`ClientError::TryAgain`] `storage.in_use` when another process has it.
    #[cfg_attr(feature = "uniffi", uniffi::constructor)]
    pub fn open(config: Config) -> Result<Arc<Self>, ClientError> {
        Self::open_headless(config, Setting::default())
    }

    /// Stops and closes everything: afterwards no file is open or locked, as a phone wants it of an app that it puts to
    /// sleep. Work that was begun ends first; whatever is not done after `deadline_ms` milliseconds is interrupted, undone,
    /// and answered with `core.suspended`. Nothing is lost by it. Subscriptions stay, and wait.
    ///
    /// Blocks, so call it where waiting is allowed. Again does nothing.
    ///
    /// # Errors
    /// [`ClientError::Bug`] when a thread of the core had panicked; everything is closed all the same.
    pub fn suspend(&self, deadline_ms: u64) -> Result<(), ClientError> {
        let _life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        match self.running.write().unwrap_or_else(PoisonError::into_inner).take() {
            Some(ending) => self.end(ending, Duration::from_millis(deadline_ms)),
            None => Ok(()),
        }
    }

    /// Opens everything again after [`Client::suspend`], and connects now. When it was not suspended it only connects; a core
    /// whose thread had panicked is started anew.
    ///
    /// # Errors
    /// As [`Client::open`]; it stays suspended then.
    pub fn resume(&self) -> Result<(), ClientError> {
        {
            let _life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(broken) = self.take_broken() {
                // It said so to whoever was waiting for it.
                let _ = self.end(broken, Duration::ZERO);
            }
            if self.is_suspended() {
                let store = Store::open(&self.dir, &self.key, self.extension, self.clock.now())?;
                let readers = store.reader_factory();
                let started = actor::start(store, self.clock.clone(), self.bell.clone(), self.push_asking())?;
                self.readers.open(readers);
                *self.running.write().unwrap_or_else(PoisonError::into_inner) = Some(started);
                self.bell.reset();
            }
        }
        self.connect()
    }

    /// Stops for good: as [`Client::suspend`] with five seconds, and all subscriptions end; no listener is called
    /// afterwards. What was unsent is sent after the next start. Call it before a process ends by itself.
    ///
    /// # Errors
    /// As [`Client::suspend`].
    pub fn shutdown(&self) -> Result<(), ClientError> {
        self.bell.end();
        self.push.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stopped = self.suspend(SHUTDOWN_MS);
        wait_for_listeners(&self.listeners);
        stopped
    }

    /// Connects now, without waiting: the network is back, or the app is on the screen again.
    ///
    /// # Errors
    /// [`ClientError::TryAgain`] `core.suspended`.
    pub fn connect(&self) -> Result<(), ClientError> {
        self.send(Input::Connect { reply: None })
    }

    /// Closes the line to the relay until [`Client::connect`].
    ///
    /// # Errors
    /// [`ClientError::TryAgain`] `core.suspended`.
    pub fn disconnect(&self) -> Result<(), ClientError> {
        self.send(Input::Disconnect)
    }

    /// How far this core is with its relay, now.
    ///
    /// # Errors
    /// None: a `Result` because everything that is exported returns one.
    pub fn status(&self) -> Result<Status, ClientError> {
        Ok(self.bell.watch_status().borrow().clone())
    }

    /// Waits until everything here is at the relay and everything there is here. For its progress, watch the status.
    ///
    /// # Errors
    /// [`ClientError::TryAgain`] `call.canceled`; it goes on in the background. [`ClientError::SignInAgain`] when the relay
    /// does not let this device in any more, such as `relay.removed`; [`ClientError::UpdateApp`] `relay.version`.
    /// [`ClientError::TryAgain`] `core.suspended`.
    pub async fn sync(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), ClientError> {
        let synced = self.sync_with(|_| {});
        let Some(cancel) = cancel else {
            return synced.await;
        };
        tokio::select! {
            result = synced => result,
            () = cancel.canceled() => Err(ClientError::again("call.canceled", "canceled by the caller")),
        }
    }
}

impl Client {
    /// As [`Client::open`], with what only Rust can hand in: a clock, and the tables of another room.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_headless(config: Config, setting: Setting) -> Result<Arc<Self>, ClientError> {
        Self::open_with(config, setting, actor::start)
    }

    /// Opens what is on the disk; `start` brings it to life.
    pub(crate) fn open_with(
        config: Config,
        setting: Setting,
        start: impl FnOnce(Store, Clock, Bell, Option<Sender<()>>) -> Result<Running, ClientError>,
    ) -> Result<Arc<Self>, ClientError> {
        // Needed once per process by TLS; whoever is first wins, and they are all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        create_dir(&config.dir)?;
        let key = key_of(&config)?;
        let clock = Clock(setting.clock.unwrap_or_else(|| Arc::new(system_time)));
        let store = Store::open(&config.dir, &key, setting.extension, clock.now())?;
        let readers = Readers::new(store.reader_factory());
        let bell = Bell::new();
        let (asking, asked) = channel();
        let asking = config.push.is_some().then_some(asking);
        let running = start(store, clock.clone(), bell.clone(), asking.clone())?;
        let listeners = Arc::new(Alive::default());
        if let Some(sheet) = config.sheet {
            open_sheets(bell.sheets(), sheet, listeners.begin())?;
        }
        let (dir, extension, running) = (config.dir, setting.extension, RwLock::new(Some(running)));
        let (push, life) = (Mutex::new(asking), Mutex::new(()));
        let client = Arc::new(Self { dir, key, extension, clock, bell, listeners, push, readers, running, life });
        if let Some(shell) = config.push {
            ask_for_tokens(asked, Arc::downgrade(&client), shell, client.listeners.begin())?;
        }
        Ok(client)
    }

    /// Changes from now on, beginning with [`crate::View::Reset`].
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.bell.listen()
    }

    /// The status, now and whenever it changes.
    #[must_use]
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.bell.watch_status()
    }

    /// As [`Client::sync`]; `progress` hears of every step. Cancel by dropping the future.
    ///
    /// # Errors
    /// As [`Client::sync`].
    pub async fn sync_with(&self, progress: impl Fn(&Status)) -> Result<(), ClientError> {
        let mut status = self.watch_status();
        // What was asked of this core before is in the status when it answers.
        self.ask(|reply| Input::Connect { reply: Some(reply) }).await?;
        loop {
            let now = status.borrow_and_update().clone();
            // Whoever suspends it from here on changes the status again.
            if self.is_suspended() {
                return Err(ClientError::suspended());
            }
            progress(&now);
            if let Connection::Refused { code, detail } = now.connection {
                return Err(match code.as_str() {
                    actor::VERSION => ClientError::UpdateApp { code, detail },
                    _ => ClientError::SignInAgain { code, detail },
                });
            }
            if now.connection == Connection::Online && now.caught_up && now.unsent == 0 && now.asking == 0 {
                return Ok(());
            }
            status.changed().await.map_err(|_| ClientError::suspended())?;
        }
    }

    /// Looks at the clock: for those whose clock moves by itself.
    ///
    /// # Errors
    /// [`ClientError`] when the store fails.
    pub async fn tick(&self) -> Result<(), ClientError> {
        self.ask(|reply| Input::Tick { reply }).await
    }

    pub(crate) fn send(&self, input: Input) -> Result<(), ClientError> {
        self.hand_in(input).map(drop)
    }

    /// As [`Client::send`]. Says which of its lives took the input.
    pub(crate) fn hand_in(&self, input: Input) -> Result<u64, ClientError> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        let running = running.as_ref().ok_or_else(ClientError::suspended)?;
        running.send(input).map(|()| running.life())
    }

    /// Hands an input to the actor and waits for its turn.
    pub(crate) async fn ask<T>(&self, input: impl FnOnce(Reply<T>) -> Input) -> Result<T, ClientError> {
        let (reply, answer) = oneshot::channel();
        let life = self.hand_in(input(reply))?;
        answer.await.map_err(|_| self.unanswered(life))?
    }

    /// Why there is no answer: what was asked was undone by a suspension, or by a panic.
    pub(crate) fn unanswered(&self, life: u64) -> ClientError {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = running.as_ref().filter(|running| running.life() == life) else {
            return ClientError::suspended();
        };
        // It has dropped the answer and comes to its end right now: whoever resumes finds it there.
        let begun = Instant::now();
        while !running.is_broken() && begun.elapsed() < LAST_BREATH {
            std::thread::yield_now();
        }
        ClientError::panicked()
    }

    fn take_broken(&self) -> Option<Running> {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        running.take_if(|running| running.is_broken())
    }

    /// Waits until everything is closed; after the deadline what still runs is interrupted.
    fn end(&self, ending: Running, deadline: Duration) -> Result<(), ClientError> {
        let begun = Instant::now();
        ending.ask_to_stop();
        let readers = self.readers.close();
        let left = || deadline.saturating_sub(begun.elapsed());
        while !ending.wait(left().max(INTERRUPT_EVERY)) {
            ending.interrupt();
        }
        while !readers.wait(left().max(INTERRUPT_EVERY)) {
            readers.interrupt();
        }
        self.bell.halted();
        ending.join().map_err(|()| ClientError::panicked())
    }

    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Db) -> Result<T, crate::error::TurnError>,
    ) -> Result<T, ClientError> {
        self.readers.read(read)
    }

    fn is_suspended(&self) -> bool {
        self.running.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.suspend(SHUTDOWN_MS);
    }
}

/// The key of the database, from the vault; a new one where there is nothing yet.
fn key_of(config: &Config) -> Result<DatabaseKey, ClientError> {
    let unavailable = |error| ClientError::locked("vault.unavailable", error);
    let vault = config.vault.clone();
    let loaded = within(SHELL_LIMIT, move || vault.load().map(|key| key.map(Zeroizing::new))).map_err(unavailable)?;
    let root: Zeroizing<[u8; 32]> = match (loaded, Store::exists(&config.dir)) {
        (Some(bytes), _) => {
            let root = bytes.as_slice().try_into();
            Zeroizing::new(
                root.map_err(|_| ClientError::locked("vault.unavailable", "the vault's key has not 32 bytes"))?,
            )
        }
        (None, true) => return Err(ClientError::locked("vault.missing", "there is a database and no key to it")),
        (None, false) => {
            let mut root = Zeroizing::new([0u8; 32]);
            let random = SystemRandom::new().fill(&mut *root);
            random.map_err(|_| ClientError::ask("vault.random", "the system has no random numbers"))?;
            let (vault, kept) = (config.vault.clone(), Zeroizing::new(root.to_vec()));
            within(SHELL_LIMIT, move || vault.store(kept.to_vec())).map_err(unavailable)?;
            root
        }
    };
    Ok(database_key(&root))
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
