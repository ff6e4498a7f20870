//! For a core without a screen: a shop's till. Its own tables extend the store, and its turns run in the same
//! transactions as everybody's.

use std::sync::Arc;

use comptoir_content::{
    AccountId, AccountKind, Basis, Body, Content, ConversationId, DeviceRole, SigningKey, TillCertificate, Timestamp,
    Uid,
};
use comptoir_engine::account::Account;
use comptoir_sqlcipher::rusqlite::{self, params};

pub use crate::error::TurnError;
pub use crate::random::Random;
pub use crate::store::{Extension, MlsStoreError, Tx};
pub use crate::vault::write_secret;

use crate::actor::Input;
use crate::facade::{Client, ClientError, check_relay};
use crate::store::given_back;
use crate::turns::account::{NewAccount, create_account};
use crate::turns::send;

/// What only Rust can hand to a core.
#[derive(Clone, Default)]
pub struct Setting {
    /// The time. `None`: the system's clock.
    pub clock: Option<Arc<dyn Fn() -> Timestamp + Send + Sync>>,
    /// Tables of a room that extends the store, such as a till's.
    pub extension: Option<Extension>,
}

/// The owner's keys of a new shop. They belong into a file that is taken offline.
pub struct Owner {
    pub account: Account,
    pub account_key: SigningKey,
    pub recovery_key: SigningKey,
}

/// A message that a till has not acted on.
pub struct Incoming {
    pub id: i64,
    pub conversation: ConversationId,
    /// Who is on the other side.
    pub peer: AccountId,
    pub content: Content,
}

impl Client {
    /// Runs one turn: whatever it writes is committed as a whole, or nothing is.
    ///
    /// # Errors
    /// Those of the turn, by what to do about them.
    pub async fn turn<T: Send + 'static>(
        &self,
        turn: impl FnOnce(&mut Tx<'_>) -> Result<T, TurnError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let input = Input::Extension(Box::new(move |actor| {
            let _ = reply.send(actor.turn(turn));
        }));
        let life = self.hand_in(input)?;
        Ok(answer.await.map_err(|_| self.unanswered(life))??)
    }

    /// Reads on a connection of its own.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn view<T>(&self, read: impl FnOnce(&rusqlite::Connection) -> Result<T, TurnError>) -> Result<T, ClientError> {
        self.read(read)
    }
}

impl Tx<'_> {
    /// Creates a shop's account with certified tills, as part of this turn. The owner's keys are not kept here: put them
    /// where they belong before the turn ends, so that there is never an account without its keys.
    ///
    /// # Errors
    /// [`TurnError::Aborted`] for a relay address that cannot be; [`TurnError::Corrupt`] when there is an account.
    pub fn create_shop_account(&mut self, relay: &str, tills: &[TillCertificate]) -> Result<Owner, TurnError> {
        check_relay(relay).map_err(|error| TurnError::Aborted(error.to_string()))?;
        let new = NewAccount {
            kind: AccountKind::Business,
            role: DeviceRole::Gateway,
            relay: relay.trim_end_matches('/'),
            tills,
            keep_account_key: false,
        };
        let (account, keys) = create_account(self, &new)?;
        Ok(Owner { account, account_key: keys.account_key, recovery_key: keys.recovery_key })
    }

    /// Says something in a conversation, in this transaction. Without a `basis` a shop answers the person's newest
    /// action there.
    ///
    /// # Errors
    /// [`TurnError::Refused`] when the message breaks a rule.
    pub fn say(&mut self, chat: ConversationId, body: Body, basis: Option<Basis>) -> Result<Uid, TurnError> {
        let conversation = self.conversation(chat)?.ok_or(TurnError::NotFound { what: "chat" })?;
        send::send(self, &conversation, body, basis)
    }

    /// Messages that nobody has acted on yet, oldest first.
    ///
    /// # Errors
    /// [`TurnError`].
    pub fn unhandled(&self, limit: u32) -> Result<Vec<Incoming>, TurnError> {
        let mut select = self.sql().prepare_cached(
            "SELECT message.id, message.content, conversation.uid, conversation.peer, message.text FROM message
             JOIN conversation ON conversation.id = message.id >> 36
             WHERE message.handled = 0 AND message.mine = 0 AND message.state = 'received' ORDER BY message.id LIMIT ?1",
        )?;
        let rows = select.query_map([limit], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, [u8; 16]>(2)?,
                row.get::<_, [u8; 20]>(3)?,
                row.get::<_, String>(4)?,
            ))
        })?;
        let mut incoming = Vec::new();
        for row in rows {
            let (id, content, conversation, peer, text) = row?;
            incoming.push(Incoming {
                id,
                conversation: ConversationId(conversation),
                peer: AccountId(peer),
                content: given_back(&content, &text)?,
            });
        }
        Ok(incoming)
    }

    /// Marks a message as acted on.
    ///
    /// # Errors
    /// [`TurnError`].
    pub fn set_handled(&mut self, id: i64) -> Result<(), TurnError> {
        self.sql().prepare_cached("UPDATE message SET handled = 1 WHERE id = ?1")?.execute(params![id])?;
        Ok(())
    }

    /// True when this shop has said nothing in the conversation so far.
    ///
    /// # Errors
    /// [`TurnError`].
    pub fn is_first_contact(&self, chat: ConversationId) -> Result<bool, TurnError> {
        Ok(self
            .sql()
            .prepare_cached(
                "SELECT NOT EXISTS (SELECT 1 FROM message JOIN conversation ON conversation.id = message.id >> 36
                 WHERE conversation.uid = ?1 AND message.mine = 1)",
            )?
            .query_row([chat.0], |row| row.get(0))?)
    }

    /// This device's own account.
    ///
    /// # Errors
    /// [`TurnError::NotFound`] before there is one.
    pub fn own_account(&mut self) -> Result<Account, TurnError> {
        let me = self.me()?;
        self.account(me.account)?.ok_or(TurnError::NotFound { what: "account" })
    }
}
