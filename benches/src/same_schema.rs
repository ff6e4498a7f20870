//! Our schema and our statements on two connections: one that ciphers its pages, and one that is plain SQLite.
//!
//! The schema is the migration itself. The statements are copies, because a client's are its own business; a test holds
//! them to the originals.

use std::path::{Path, PathBuf};

use comptoir_sqlcipher::rusqlite::{Connection, params};
use comptoir_sqlcipher::{Access, DatabaseKey, open_encrypted, open_plain};

use crate::Result;
use crate::corpus::{Chat, Said};

pub(crate) const SCHEMA: &str = include_str!("../../core/client/migrations/0001.sql");

pub(crate) const CHATS: &str = "SELECT conversation.uid, last_at, last_preview, unread,
        account.id AS account_id, account.kind AS account_kind, account.name, account.verified,
        account.blocked, account.refused,
        EXISTS (SELECT 1 FROM checkout WHERE checkout.conversation = conversation.id
                AND checkout.state IN ('placed', 'awaiting_consent', 'settling')) AS unresolved
    FROM conversation JOIN account ON account.id = conversation.peer
    WHERE last_at <= ?1 AND (last_at < ?1 OR conversation.id > ?2)
    ORDER BY last_at DESC, conversation.id LIMIT ?3";

pub(crate) const PAGE: &str = "SELECT id, uid, mine, kind, text, sent_at, state, why, tapped, content FROM message
    WHERE id >= ?1 AND id < ?2 AND kind NOT IN ('order_placed', 'payment_answer', 'ask_payment')
    ORDER BY id DESC LIMIT ?3";

pub(crate) const SEARCH: &str =
    "SELECT searchable.message FROM message_search JOIN searchable ON searchable.n = message_search.rowid
    WHERE message_search MATCH ?1 ORDER BY message_search.rowid DESC LIMIT ?2";

const NEXT_SEQ: &str = "UPDATE conversation SET next_seq = next_seq + 1 WHERE id = ?1 RETURNING next_seq";

const INSERT: &str = "INSERT INTO message
        (id, uid, sender, mine, kind, state, unread, sent_at, accepted_at, text, content, why)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const INDEX: &str = "INSERT INTO message_search (rowid, body) VALUES (?1, ?2)";
const INDEXED: &str = "UPDATE search_state SET indexed_upto = ?1";

const SEQ_BITS: u32 = 36;
const SEQ_MIDDLE: i64 = 1 << 35;

/// Messages that are indexed in one transaction.
pub(crate) const BATCH: usize = 1_000;

/// A database with our schema, and the one connection that writes it.
pub(crate) struct Store {
    pub(crate) db: Connection,
    pub(crate) path: PathBuf,
    key: Option<DatabaseKey>,
}

impl Store {
    pub(crate) fn encrypted(dir: &Path) -> Result<Self> {
        let path = dir.join("encrypted.db");
        let key = DatabaseKey::from_bytes([7; DatabaseKey::LEN]);
        let db = open_encrypted(&path, &key, Access::Write)?;
        db.execute_batch(SCHEMA)?;
        Ok(Self { db, path, key: Some(key) })
    }

    pub(crate) fn plain(dir: &Path) -> Result<Self> {
        let path = dir.join("plain.db");
        let db = open_plain(&path, Access::Write)?;
        db.execute_batch(SCHEMA)?;
        Ok(Self { db, path, key: None })
    }

    /// One more connection to the same file.
    pub(crate) fn open(&self, access: Access) -> Result<Connection> {
        Ok(match &self.key {
            Some(key) => open_encrypted(&self.path, key, access)?,
            None => open_plain(&self.path, access)?,
        })
    }

    pub(crate) fn add_chats(&mut self, chats: &[Chat]) -> Result<()> {
        let tx = self.db.transaction()?;
        for chat in chats {
            tx.prepare_cached("INSERT INTO account (id, kind, relay, seen_at) VALUES (?1, 'person', ?2, 0)")?
                .execute(params![chat.peer.0, "wss://relay.example"])?;
            tx.prepare_cached("INSERT INTO conversation (uid, peer) VALUES (?1, ?2)")?
                .execute(params![chat.uid.0, chat.peer.0])?;
            describe(&tx, chat)?;
        }
        Ok(tx.commit()?)
    }

    /// Stores and indexes messages in one transaction.
    pub(crate) fn add(&mut self, chats: &[Chat], batch: &[Said]) -> Result<()> {
        let tx = self.db.transaction()?;
        add(&tx, chats, batch)?;
        Ok(tx.commit()?)
    }

    /// Stores one message in a transaction of its own, as a turn does; the index comes later.
    pub(crate) fn add_one(&mut self, chats: &[Chat], said: &Said) -> Result<()> {
        let tx = self.db.transaction_with_behavior(comptoir_sqlcipher::rusqlite::TransactionBehavior::Immediate)?;
        insert(&tx, chats, said)?;
        Ok(tx.commit()?)
    }
}

/// Gives a contact what one has after a while: a name, and a log as long as that of an account with one device.
pub(crate) fn describe(db: &Connection, chat: &Chat) -> Result<()> {
    let name = format!("Somebody {:02x}{:02x}", chat.peer.0[0], chat.peer.0[1]);
    // Views carry the log with them without reading it.
    db.prepare_cached("UPDATE account SET name = ?2, log = ?3 WHERE id = ?1")?.execute(params![
        chat.peer.0,
        name,
        [0u8; 420]
    ])?;
    Ok(())
}

/// Stores messages with the search index, as a client does that was idle for a while.
pub(crate) fn add(db: &Connection, chats: &[Chat], batch: &[Said]) -> Result<()> {
    let mut n = 0_i64;
    for said in batch {
        insert(db, chats, said)?;
        n = db.prepare_cached("SELECT max(n) FROM searchable")?.query_row([], |row| row.get(0))?;
        db.prepare_cached(INDEX)?.execute(params![n, said.words])?;
    }
    db.prepare_cached(INDEXED)?.execute([n])?;
    Ok(())
}

/// Stores a message, and leaves it to be indexed.
pub(crate) fn insert(db: &Connection, chats: &[Chat], said: &Said) -> Result<()> {
    let conversation = row_of(said.chat);
    let seq: i64 = db.prepare_cached(NEXT_SEQ)?.query_row([conversation], |row| row.get(0))?;
    let id = (conversation << SEQ_BITS) | (SEQ_MIDDLE + seq);
    let sender = if said.mine { [1; 20] } else { chats[said.chat].peer.0 };
    db.prepare_cached(INSERT)?.execute(params![
        id,
        said.uid.0,
        sender,
        said.mine,
        "text",
        if said.mine { "read" } else { "received" },
        false,
        said.sent_at_ms,
        said.sent_at_ms,
        said.text,
        said.content,
        None::<String>,
    ])?;
    Ok(())
}

/// The row of the chat with this place in the list: they were added in order.
fn row_of(chat: usize) -> i64 {
    i64::try_from(chat).unwrap_or(0) + 1
}

/// The rows of the newest page of a chat, every column read.
pub(crate) fn page(db: &Connection, chat: usize, limit: u32) -> Result<usize> {
    let conversation = row_of(chat);
    let mut select = db.prepare_cached(PAGE)?;
    read_all(&mut select, params![conversation << SEQ_BITS, (conversation + 1) << SEQ_BITS, limit])
}

pub(crate) fn list(db: &Connection, limit: u32) -> Result<usize> {
    read_all(&mut db.prepare_cached(CHATS)?, params![i64::MAX, 0, limit])
}

pub(crate) fn search(db: &Connection, words: &str, limit: u32) -> Result<usize> {
    read_all(&mut db.prepare_cached(SEARCH)?, params![words, limit])
}

/// Reads every value of every row, and counts the rows.
pub(crate) fn read_all(
    select: &mut comptoir_sqlcipher::rusqlite::CachedStatement<'_>,
    params: impl comptoir_sqlcipher::rusqlite::Params,
) -> Result<usize> {
    let columns = select.column_count();
    let mut rows = select.query(params)?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            std::hint::black_box(row.get::<_, comptoir_sqlcipher::rusqlite::types::Value>(column)?);
        }
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Where rows are looked for, and how they are written. Which columns a view takes may differ.
    #[test]
    fn the_statements_are_those_of_the_client() {
        let reads = include_str!("../../core/client/src/reads.rs");
        let shown = "kind NOT IN ('order_placed', 'payment_answer', 'ask_payment')";
        assert!(reads.contains(shown));
        let views = words(reads).replace("{SHOWN}", shown).replace("{order}", "DESC");
        let rows = words(include_str!("../../core/client/src/store/rows.rs"));
        let index = words(include_str!("../../core/client/src/store/search.rs"));
        let from = |statement: &str, table: &str| words(statement.split_at(statement.find(table).unwrap()).1);
        for (statement, original) in [
            (from(CHATS, "FROM conversation"), &views),
            (from(PAGE, "FROM message"), &views),
            (words(NEXT_SEQ), &rows),
            (words(INSERT), &rows),
            (words(SEARCH), &index),
            (words(INDEX), &index),
            (words(INDEXED), &index),
        ] {
            assert!(original.contains(&statement), "the client does this in another way now: {statement}");
        }
    }
}
