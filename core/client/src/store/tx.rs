//! One turn's transaction: rows, MLS state and what is to be done after the commit.

use std::collections::HashMap;

use comptoir_content::{AccountId, ConversationId, DeviceId, Timestamp, Uid};
use comptoir_engine::account::Account;
use comptoir_engine::session::{Group, Me};
use comptoir_sqlcipher::rusqlite::{self, Connection, OptionalExtension as _, Transaction};
use comptoir_wire as wire;

use super::known::Known;
use super::mls::TxProvider;
use crate::error::TurnError;
use crate::facade::Sheet;
use crate::random::Random;

/// Something to do after the commit. What must survive a crash is a row as well: effects may be lost.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Ask the relay something whose answer comes back as a turn.
    Ask(Question),
    /// Try the held envelopes of a conversation again, each in a turn of its own.
    Retry(ConversationId),
    /// Look at the outbox and send what is due.
    Flush,
    /// Tell the relay that everything up to here is stored.
    Ack(u64),
    /// Tell those who listen.
    Notify(Notice),
    /// Ask the shell where it can be woken.
    AskPush,
    /// Open the payment sheet.
    OpenSheet(Sheet),
}

/// Questions to the relay, by what to do with the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// The account log from an entry on.
    Log { account: AccountId, from: u64 },
    /// Key packages of devices that a conversation lacks.
    Claim { conversation: ConversationId, devices: Vec<DeviceId> },
    /// Fresh key packages.
    KeyPackages,
    /// A new mailbox for a sibling.
    AddDevice { device: DeviceId, key: [u8; 32] },
    /// Our own log, one entry longer.
    AppendLog { len: u64 },
    /// To knock there when something comes, or nowhere.
    Push { endpoint: Option<wire::PushEndpoint> },
    /// What a shop may put into our mailboxes.
    Gate { account: AccountId, gate: wire::Gate },
    /// Orders and tokens of ours that a shop may write about at any time.
    Passes { account: AccountId, ids: Vec<[u8; 16]> },
}

/// What changed, for those who listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Chats,
    Chat(ConversationId),
}

/// One transaction. Commits as a whole when the turn returns `Ok`, else nothing of it happened.
pub struct Tx<'t> {
    pub(crate) sql: &'t Transaction<'t>,
    pub(crate) mls: TxProvider<'t>,
    pub(crate) known: &'t Known,
    /// The time of this turn.
    pub now: Timestamp,
    pub random: Random,
    pub(crate) effects: Vec<Effect>,
    /// Groups loaded in this transaction. Dropped with it, whatever happens.
    groups: HashMap<(ConversationId, u32), Group>,
    me: Option<Me>,
}

impl<'t> Tx<'t> {
    pub(crate) fn new(
        sql: &'t Transaction<'t>,
        mls: TxProvider<'t>,
        known: &'t Known,
        now: Timestamp,
        random: Random,
    ) -> Self {
        Self { sql, mls, known, now, random, effects: Vec::new(), groups: HashMap::new(), me: None }
    }

    /// The open transaction, for the tables of a room that extends the store.
    #[must_use]
    pub fn sql(&self) -> &Transaction<'t> {
        self.sql
    }

    /// A fresh id that sorts by time.
    #[must_use]
    pub fn new_id(&self) -> [u8; 16] {
        self.random.id(self.now)
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn notify_chats(&mut self) {
        self.effect(Effect::Notify(Notice::Chats));
    }

    pub(crate) fn notify_chat(&mut self, conversation: ConversationId) {
        self.effect(Effect::Notify(Notice::Chat(conversation)));
        self.notify_chats();
    }

    /// This device, with its keys.
    pub(crate) fn me(&mut self) -> Result<Me, TurnError> {
        if let Some(me) = &self.me {
            return Ok(me.clone());
        }
        let me = self.me_row()?.ok_or(TurnError::NotFound { what: "account" })?.into_me()?;
        self.me = Some(me.clone());
        Ok(me)
    }

    /// The verified log of an account, if we have it.
    ///
    /// # Errors
    /// [`TurnError`].
    pub fn account(&self, id: AccountId) -> Result<Option<Account>, TurnError> {
        Ok(self.account_row(id)?.and_then(|row| row.account))
    }

    /// Takes a group out of this transaction's cache, or loads it. Put it back with [`Tx::keep_group`].
    pub(crate) fn group(&mut self, conversation: ConversationId, generation: u32) -> Result<Option<Group>, TurnError> {
        if let Some(group) = self.groups.remove(&(conversation, generation)) {
            return Ok(Some(group));
        }
        Ok(Group::load(&self.mls, conversation, generation)?)
    }

    pub(crate) fn keep_group(&mut self, group: Group) {
        self.groups.insert((group.conversation, group.generation), group);
    }

    pub(crate) fn kv(&self, key: &str) -> Result<Option<Vec<u8>>, TurnError> {
        Ok(read_kv(self.sql, key)?)
    }

    pub(crate) fn set_kv(&self, key: &str, value: &[u8]) -> Result<(), TurnError> {
        Ok(write_kv(self.sql, key, value)?)
    }

    pub(crate) fn kv_u64(&self, key: &str) -> Result<u64, TurnError> {
        let bytes = self.kv(key)?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    pub(crate) fn set_kv_u64(&self, key: &str, value: u64) -> Result<(), TurnError> {
        self.set_kv(key, &value.to_be_bytes())
    }
}

pub(crate) fn read_kv(db: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT v FROM kv WHERE k = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub(crate) fn write_kv(db: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO kv (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = ?2")?
        .execute((key, value))?;
    Ok(())
}

/// An id of fixed length from a column.
pub(crate) fn column<const N: usize>(row: &rusqlite::Row<'_>, name: &str) -> rusqlite::Result<[u8; N]> {
    row.get::<_, [u8; N]>(name)
}

/// The same id on the other side of the wall between what is sealed and what a relay sees.
pub(crate) fn to_wire_device(device: DeviceId) -> wire::DeviceId {
    wire::DeviceId(device.0)
}

pub(crate) fn to_wire_conversation(conversation: ConversationId) -> wire::ConversationId {
    wire::ConversationId(conversation.0)
}

pub(crate) fn to_wire_uid(uid: Uid) -> wire::Uid {
    wire::Uid(uid.0)
}
