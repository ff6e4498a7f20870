//! A client as a phone runs it, with its folder on the disk that is measured.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use comptoir_client::headless::TurnError;
use comptoir_client::{Client, Config, FileVault, Status};
use comptoir_content::{AccountKind, ContactCode, ConversationId, Hash, LogHead};
use tempfile::TempDir;

use crate::corpus::{self, Chat, Corpus, Said};
use crate::{Plan, Result, same_schema};

/// Nobody listens there. What is measured without a relay does without one.
const NO_RELAY: &str = "ws://127.0.0.1:9";
/// The name of a client's one writer among the threads of a process.
pub(crate) const WRITER: &str = "comptoir-core";
/// Nothing here takes so long, on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Opens the client in this folder, or makes a new one.
pub(crate) fn open(dir: &Path) -> Result<Arc<Client>> {
    let vault = Arc::new(FileVault::new(dir.with_extension("key")));
    Ok(Client::open(Config { dir: dir.to_owned(), vault, sheet: None, push: None })?)
}

/// A phone that has been in use for a while.
pub(crate) struct Phone {
    pub(crate) client: Arc<Client>,
    pub(crate) chats: Arc<Vec<Chat>>,
    pub(crate) folder: TempDir,
}

impl Phone {
    /// Contacts are added through the façade. Messages are written in batches inside turns, with the client's own
    /// statements: nobody reads so many aloud.
    pub(crate) async fn filled(plan: &Plan, chats: usize, messages: usize) -> Result<Self> {
        let folder = plan.folder()?;
        let client = open(&folder.path().join("phone"))?;
        client.disconnect()?;
        let me = client.create_account(NO_RELAY).await?;
        let chats = Arc::new(corpus::chats(me.account, chats));
        for chat in chats.iter() {
            let head = LogHead { len: 1, hash: Hash::of(&chat.peer.0) };
            let code = ContactCode {
                account: chat.peer,
                kind: AccountKind::Person,
                relay: "wss://relay.example".to_owned(),
                head,
            };
            let uid = client.add_contact(&code.to_link()).await?;
            if uid != chat.uid {
                return Err("another chat than expected".into());
            }
        }
        let describe = chats.clone();
        client
            .turn(move |tx| {
                for chat in describe.iter() {
                    same_schema::describe(tx.sql(), chat).map_err(aborted)?;
                }
                Ok(())
            })
            .await?;
        let mut corpus = Corpus::new(chats.len(), messages);
        loop {
            let batch: Vec<Said> = corpus.by_ref().take(same_schema::BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let chats = chats.clone();
            client.turn(move |tx| same_schema::add(tx.sql(), &chats, &batch).map_err(aborted)).await?;
        }
        Ok(Self { client, chats, folder })
    }
}

pub(crate) fn aborted(error: impl ToString) -> TurnError {
    TurnError::Aborted(error.to_string())
}

/// A runtime for what waits; the clients have threads of their own.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Waits until the status of a client is like this.
pub(crate) async fn until(client: &Client, what: &str, is_so: impl Fn(&Status) -> bool) -> Result<()> {
    let mut status = client.watch_status();
    let waited = tokio::time::timeout(PATIENCE, status.wait_for(|status| is_so(status))).await;
    waited.map_err(|_| format!("a client never was {what}"))??;
    Ok(())
}

/// Waits until everything is at the relay and everything there is here.
pub(crate) async fn sync(client: &Client) -> Result<()> {
    tokio::time::timeout(PATIENCE, client.sync(None)).await.map_err(|_| "a client never synced")??;
    Ok(())
}

/// Waits until the chat shows what is looked for.
pub(crate) async fn sees(client: &Client, chat: ConversationId, is_there: impl Fn(&Client) -> bool) -> Result<()> {
    let mut changes = client.changes();
    let waiting = async {
        while !is_there(client) {
            changes.next().await.ok_or("a client stopped")?;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| format!("{chat} never showed what was sent"))?
}
