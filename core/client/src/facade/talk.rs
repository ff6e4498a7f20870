//! Accounts, chats and messages.

use std::sync::Arc;

use comptoir_content::{AccountId, ContactCode, ConversationId, Uid};

use super::watch::{Subscription, Watched, watch};
use super::{
    ChangeListener, ChatCursor, ChatPage, Client, ClientError, Contact, Identity, Page, Place, SearchHit, check_relay,
};
use crate::actor::Input;
use crate::reads;

/// As many texts are said at once.
const TEXTS_MAX: usize = 100;

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Client {
    /// Creates a person's account. It works at once; the relay hears of it with the next connection.
    ///
    /// `relay` is `wss://host[:port]`, or `ws://` on loopback.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `relay.address` for an address that cannot be, `account.exists` when there is an account
    /// already.
    pub async fn create_account(&self, relay: &str) -> Result<Identity, ClientError> {
        check_relay(relay)?;
        let relay = relay.trim_end_matches('/').to_owned();
        self.ask(|reply| Input::CreateAccount { relay, reply }).await?;
        self.identity()?.ok_or_else(ClientError::suspended)
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

    /// A page of the list of chats, the newest first: from the beginning, or from where the page before ended.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn chats(&self, after: Option<ChatCursor>, limit: u32) -> Result<ChatPage, ClientError> {
        self.read(|db| reads::chats(db, after, limit))
    }

    /// Somebody we know.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `contact.unknown`.
    pub fn contact(&self, account: AccountId) -> Result<Contact, ClientError> {
        let found = self.read(|db| reads::contact_of(db, account))?;
        found.ok_or_else(|| ClientError::ask("contact.unknown", "there is no such contact"))
    }

    /// A page of a chat, oldest message first, `limit` messages at most.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `chat.unknown`.
    pub fn page(&self, chat: ConversationId, place: Place, limit: u32) -> Result<Page, ClientError> {
        let now = self.clock.now();
        self.read(|db| reads::page(db, chat, place, limit, now))
    }

    /// The newest messages that hold all words of `query`. [`Place::Around`] shows one where it was said.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn search(&self, query: &str, limit: u32) -> Result<Vec<SearchHit>, ClientError> {
        let now = self.clock.now();
        self.read(|db| reads::found(db, query, limit, now))
    }

    /// Says something, as an answer to a message or by itself. Returns as soon as it is on this device's disk.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] with the rule that the text breaks, such as `text.too_long`.
    pub async fn send_text(&self, chat: ConversationId, text: &str, reply_to: Option<Uid>) -> Result<Uid, ClientError> {
        let text = text.to_owned();
        self.ask(|reply| Input::SendText { chat, text, reply_to, reply }).await
    }

    /// Says several things, one after the other, as when messages are forwarded: all of them are on this device's disk when
    /// it returns, or none. At most 100.
    ///
    /// # Errors
    /// As [`Client::send_text`]; [`ClientError::AskUser`] `text.too_many`.
    pub async fn send_texts(&self, chat: ConversationId, texts: Vec<String>) -> Result<Vec<Uid>, ClientError> {
        if texts.len() > TEXTS_MAX {
            return Err(ClientError::ask("text.too_many", format!("{} at once, of {TEXTS_MAX}", texts.len())));
        }
        self.ask(|reply| Input::SendTexts { chat, texts, reply }).await
    }

    /// Taps a quick reply or a button of `on`, by its title.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `reply.gone` when it was tapped before.
    pub async fn tap(&self, chat: ConversationId, on: Uid, title: &str) -> Result<Uid, ClientError> {
        let title = title.to_owned();
        self.ask(|reply| Input::Tap { chat, on, title, reply }).await
    }

    /// Allows a shop one message more, whenever it comes: a single-use token. Shown as a bubble of one's own.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `chat.unknown`, `consent.not_needed` when the other side is no shop.
    pub async fn give_token(&self, chat: ConversationId) -> Result<Uid, ClientError> {
        self.ask(|reply| Input::GiveToken { chat, reply }).await
    }

    /// This chat was seen, up to the message with this id; all of it when `None`.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `chat.unknown`.
    pub async fn mark_read(&self, chat: ConversationId, upto: Option<i64>) -> Result<(), ClientError> {
        self.ask(|reply| Input::MarkRead { chat, upto, reply }).await
    }

    /// Blocks an account, or lets it write again.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `contact.unknown`.
    pub async fn block(&self, account: AccountId, blocked: bool) -> Result<(), ClientError> {
        self.ask(|reply| Input::Block { account, blocked, reply }).await
    }

    /// Tells the listener the newest `rows` chats, and from then on what changes in them.
    ///
    /// # Errors
    /// [`ClientError::Bug`] `core.threads` when the system has no thread left.
    pub fn watch_chats(
        self: Arc<Self>,
        rows: u32,
        listener: Arc<dyn ChangeListener>,
    ) -> Result<Arc<Subscription>, ClientError> {
        watch(&self, Watched::Chats, rows, listener)
    }

    /// Tells the listener the newest `rows` messages of a chat, and from then on what changes in them. While one scrolls
    /// up, [`Subscription::show`] more.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `chat.unknown`; [`ClientError::Bug`] `core.threads`.
    pub fn watch_chat(
        self: Arc<Self>,
        chat: ConversationId,
        rows: u32,
        listener: Arc<dyn ChangeListener>,
    ) -> Result<Arc<Subscription>, ClientError> {
        self.page(chat, Place::Newest, 1)?;
        watch(&self, Watched::Chat(chat), rows, listener)
    }

    /// Tells the listener how far this core is with its relay, now and whenever that changes.
    ///
    /// # Errors
    /// [`ClientError::Bug`] `core.threads`.
    pub fn watch_connection(
        self: Arc<Self>,
        listener: Arc<dyn ChangeListener>,
    ) -> Result<Arc<Subscription>, ClientError> {
        watch(&self, Watched::Status, 0, listener)
    }
}
