//! What one would write first: SQLCipher as it comes, messages in the order of their arrival, an index over chat and time,
//! random ids, the search index kept by triggers. The cipher runs on our provider and the cache is as large as ours, so
//! that what is compared is settings and schema.

use std::path::{Path, PathBuf};

use comptoir_sqlcipher::rusqlite::{Connection, TransactionBehavior, params};

use crate::Result;
use crate::corpus::{Chat, Dice, Said};
use crate::same_schema::read_all;

const SCHEMA: &str = "
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY, uid BLOB NOT NULL UNIQUE, peer BLOB NOT NULL, name TEXT NOT NULL,
        last_at INTEGER NOT NULL DEFAULT 0, last_preview TEXT NOT NULL DEFAULT '', unread INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX conversation_list ON conversation (last_at DESC);
    CREATE TABLE message (
        id INTEGER PRIMARY KEY, conversation INTEGER NOT NULL REFERENCES conversation (id), uid BLOB NOT NULL UNIQUE,
        sender BLOB NOT NULL, mine INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
        sent_at INTEGER NOT NULL, accepted_at INTEGER NOT NULL, text TEXT NOT NULL, content BLOB NOT NULL);
    CREATE INDEX message_by_time ON message (conversation, sent_at);
    CREATE VIRTUAL TABLE message_search USING fts5 (text, content='message', content_rowid='id');
    CREATE TRIGGER message_inserted AFTER INSERT ON message BEGIN
        INSERT INTO message_search (rowid, text) VALUES (new.id, new.text);
        UPDATE conversation SET last_at = new.sent_at, last_preview = substr(new.text, 1, 120)
        WHERE id = new.conversation;
    END;";

const INSERT: &str = "INSERT INTO message
        (conversation, uid, sender, mine, kind, state, sent_at, accepted_at, text, content)
    VALUES (?1, ?2, ?3, ?4, 'text', ?5, ?6, ?6, ?7, ?8)";

const PAGE: &str = "SELECT id, uid, mine, kind, text, sent_at, state, content FROM message
    WHERE conversation = ?1 ORDER BY sent_at DESC LIMIT ?2";

/// A key that is used as it is: a passphrase would cost its derivation at every open.
const KEY: &str = "PRAGMA key = \"x'0707070707070707070707070707070707070707070707070707070707070707'\"";
/// A passphrase, as the documentation of SQLCipher begins.
const PASSPHRASE: &str = "PRAGMA key = 'two croissants and a coffee'";

pub(crate) struct Store {
    pub(crate) db: Connection,
    pub(crate) path: PathBuf,
    dice: Dice,
}

impl Store {
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let path = dir.join("obvious.db");
        let db = open_with(&path, KEY)?;
        db.execute_batch(SCHEMA)?;
        Ok(Self { db, path, dice: Dice::new(3) })
    }

    pub(crate) fn open(&self) -> Result<Connection> {
        open_with(&self.path, KEY)
    }

    pub(crate) fn add_chats(&mut self, chats: &[Chat]) -> Result<()> {
        let tx = self.db.transaction()?;
        for chat in chats {
            tx.prepare_cached("INSERT INTO conversation (uid, peer, name) VALUES (?1, ?2, ?3)")?.execute(params![
                chat.uid.0,
                chat.peer.0,
                format!("Somebody {:02x}{:02x}", chat.peer.0[0], chat.peer.0[1])
            ])?;
        }
        Ok(tx.commit()?)
    }

    pub(crate) fn add(&mut self, chats: &[Chat], batch: &[Said]) -> Result<()> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for said in batch {
            tx.prepare_cached(INSERT)?.execute(params![
                i64::try_from(said.chat)? + 1,
                self.dice.bytes::<16>(),
                if said.mine { [1; 20] } else { chats[said.chat].peer.0 },
                said.mine,
                if said.mine { "read" } else { "received" },
                said.sent_at_ms,
                said.text,
                said.content,
            ])?;
        }
        Ok(tx.commit()?)
    }
}

/// Opens a new file under a passphrase, or one that was made so.
pub(crate) fn open_with_passphrase(path: &Path) -> Result<Connection> {
    open_with(path, PASSPHRASE)
}

fn open_with(path: &Path, key: &str) -> Result<Connection> {
    // Brings the library up with our cipher provider, once per process.
    comptoir_sqlcipher::open_plain(Path::new(":memory:"), comptoir_sqlcipher::Access::Write)?;
    let db = Connection::open(path)?;
    db.execute_batch(key)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -8000;
         PRAGMA temp_store = MEMORY;",
    )?;
    db.set_prepared_statement_cache_capacity(128);
    Ok(db)
}

pub(crate) fn page(db: &Connection, chat: usize, limit: u32) -> Result<usize> {
    read_all(&mut db.prepare_cached(PAGE)?, params![i64::try_from(chat)? + 1, limit])
}
