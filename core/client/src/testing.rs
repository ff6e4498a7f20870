//! Cores that a test works by hand: no thread, no socket, no timer. Every call is a turn on the caller's thread, and the line
//! to the relay is two queues whose other ends are the test's. What would happen by itself in a running core happens when the
//! test says so; the turns, the store and the façade are those of every core.
//!
//! With the feature `testing`, never in a release.

use std::collections::HashMap;
use std::sync::Arc;

use comptoir_content::Statement;
use comptoir_engine::Refused;
use comptoir_wire as wire;
use tokio::sync::mpsc;

use crate::actor::{Input, start_by_hand};
use crate::error::TurnError;
use crate::facade::{Client, ClientError, Config};
use crate::headless::Setting;
use crate::link::{Command, Lost, News, Tag};
use crate::store::{Effect, Question, Tx};

/// Opens a core as [`Client::open_headless`] does, to be worked by hand. Its futures are ready at once, unless they wait
/// for the relay.
///
/// # Errors
/// As [`Client::open`].
pub fn open(config: Config, setting: Setting) -> Result<(Arc<Client>, Line), ClientError> {
    let mut commands = None;
    let client = Client::open_with(config, setting, |store, clock, bell, _| {
        let (running, commanded) = start_by_hand(store, clock, bell);
        commands = Some(commanded);
        Ok(running)
    })?;
    let commands = commands.ok_or_else(ClientError::suspended)?;
    Ok((client, Line { commands, asked: HashMap::new(), next_id: 0, login: None }))
}

/// Replaces the account key, as whoever holds it can: the log says so, signed by the key that goes.
///
/// # Errors
/// [`TurnError`] when this device does not hold the account key.
pub fn replace_account_key(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    let me = tx.me_row()?.ok_or(TurnError::NotFound { what: "account" })?;
    let key = me.account_key.ok_or(Refused::NoAccountKey)?;
    let mut account = tx.own_account()?;
    let (before, new) = (account.head.len, tx.random.key());
    account.append(&account.next_link(Statement::KeyReplaced { account_key: new.public() }, &key, tx.now))?;
    tx.save_log(&account)?;
    tx.sql.execute("UPDATE me SET account_seed = ?1", [*new.to_seed()])?;
    tx.effect(Effect::Ask(Question::AppendLog { len: before }));
    Ok(())
}

/// What a core says to its relay.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one is alive at a time")]
pub enum Said {
    /// Wants an answer under this number.
    Asks(u64, wire::Request),
    /// Holds everything up to here.
    Acknowledges(u64),
    /// Wants another line: what was delivered could not be stored.
    Redials,
}

/// Who a core says that it is.
#[derive(Clone, Debug)]
pub struct SignIn {
    pub device: wire::DeviceId,
    /// The account, as long as the relay may not know it.
    pub new_account: Option<wire::NewAccount>,
}

/// The line between a core and its relay, in the test's hands.
pub struct Line {
    commands: mpsc::UnboundedReceiver<Command>,
    asked: HashMap<u64, Tag>,
    next_id: u64,
    login: Option<SignIn>,
}

impl Line {
    /// The next thing that the core says. What it says while the line is down is lost, as on a real one.
    pub fn says(&mut self) -> Option<Said> {
        loop {
            match self.commands.try_recv().ok()? {
                Command::Login(login) => {
                    self.login = Some(SignIn { device: login.device, new_account: login.new_account });
                }
                Command::Send(tag, request) => {
                    self.next_id += 1;
                    self.asked.insert(self.next_id, tag);
                    return Some(Said::Asks(self.next_id, request));
                }
                Command::Ack(upto_seq) => return Some(Said::Acknowledges(upto_seq)),
                Command::Redial => return Some(Said::Redials),
                Command::Now | Command::Pause => {}
            }
        }
    }

    /// How the core presents itself, once it has an account.
    pub fn sign_in(&mut self) -> Option<SignIn> {
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Login(login) = command {
                self.login = Some(SignIn { device: login.device, new_account: login.new_account });
            }
        }
        self.login.clone()
    }

    /// The relay opened the mailbox.
    ///
    /// # Errors
    /// [`ClientError::TryAgain`] `core.suspended` when the core has ended.
    pub fn connected(&mut self, client: &Client, welcome: wire::Welcome) -> Result<(), ClientError> {
        client.send(Input::Link(News::Connected(welcome)))
    }

    /// The relay answered. An answer that nobody waits for any more is passed over.
    ///
    /// # Errors
    /// As [`Line::connected`].
    pub fn answered(&mut self, client: &Client, id: u64, reply: wire::Reply) -> Result<(), ClientError> {
        match self.asked.remove(&id) {
            Some(tag) => client.send(Input::Link(News::Answer(tag, reply))),
            None => Ok(()),
        }
    }

    /// Envelopes arrived.
    ///
    /// # Errors
    /// As [`Line::connected`].
    pub fn delivered(&mut self, client: &Client, items: Vec<wire::Item>) -> Result<(), ClientError> {
        client.send(Input::Link(News::Delivery(items)))
    }

    /// Everything that was there when the line came up has arrived.
    ///
    /// # Errors
    /// As [`Line::connected`].
    pub fn caught_up(&mut self, client: &Client) -> Result<(), ClientError> {
        client.send(Input::Link(News::CaughtUp))
    }

    /// The line broke, and with it everything that was on its way.
    ///
    /// # Errors
    /// As [`Line::connected`].
    pub fn lost(&mut self, client: &Client) -> Result<(), ClientError> {
        self.asked.clear();
        client.send(Input::Link(News::Lost(Lost::Network)))
    }

    /// The relay did not let the device in.
    ///
    /// # Errors
    /// As [`Line::connected`].
    pub fn turned_away(&mut self, client: &Client, refusal: wire::Refusal) -> Result<(), ClientError> {
        self.asked.clear();
        client.send(Input::Link(News::Lost(Lost::Refused { code: refusal.code, detail: refusal.detail })))
    }
}
