//! What has to go out: rows of the outbox and whom each is for.

use comptoir_content::{Content, DeviceId, Timestamp, Uid};
use comptoir_sqlcipher::rusqlite::{self, OptionalExtension as _, Row, params};

use super::tx::column;
use crate::error::TurnError;
use crate::store::Tx;

pub(crate) struct OutboxRow {
    pub(crate) id: i64,
    pub(crate) conversation: i64,
    pub(crate) kind: String,
    pub(crate) uid: Uid,
    pub(crate) message: Option<i64>,
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) welcome: Option<Vec<u8>>,
    pub(crate) generation: u32,
    pub(crate) epoch: u64,
    pub(crate) token: Option<[u8; 32]>,
    /// What opens the recipient's gate at the relay.
    pub(crate) pass: Option<[u8; 32]>,
    pub(crate) next_token_hash: Option<[u8; 32]>,
    pub(crate) failures: u32,
    pub(crate) not_before: Timestamp,
}

impl Tx<'_> {
    /// Queues something for the relay. Recipients are written by whoever seals it.
    pub(crate) fn insert_outbox(&self, conversation: i64, kind: &str, uid: Uid) -> Result<i64, TurnError> {
        self.sql
            .prepare_cached("INSERT INTO outbox (conversation, kind, uid) VALUES (?1, ?2, ?3)")?
            .execute(params![conversation, kind, uid.0])?;
        Ok(self.sql.last_insert_rowid())
    }

    /// Queues what is said, unless it is queued already. `message` is its row in the thread, if it has one.
    pub(crate) fn queue_message(
        &self,
        conversation: i64,
        message: Option<i64>,
        content: &Content,
    ) -> Result<(), TurnError> {
        self.queue_envelope(conversation, message, content.uid, content)
    }

    /// As `queue_message`, with another uid for the relay.
    pub(crate) fn queue_envelope(
        &self,
        conversation: i64,
        message: Option<i64>,
        uid: Uid,
        content: &Content,
    ) -> Result<(), TurnError> {
        let pass = content.basis.and_then(comptoir_engine::consent::pass).map(|pass| pass.0);
        self.sql
            .prepare_cached(
                "INSERT INTO outbox (conversation, kind, uid, message, content, pass)
                 VALUES (?1, 'message', ?2, ?3, ?4, ?5) ON CONFLICT (uid) DO NOTHING",
            )?
            .execute(params![conversation, uid.0, message, content.encode(), pass])?;
        Ok(())
    }

    pub(crate) fn add_recipient(&self, outbox: i64, device: DeviceId, invited: bool) -> Result<(), TurnError> {
        self.sql
            .prepare_cached(
                "INSERT INTO outbox_recipient (outbox, device, invited) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![outbox, device.0, invited])?;
        Ok(())
    }

    pub(crate) fn outbox_row(&self, id: i64) -> Result<Option<OutboxRow>, TurnError> {
        let mut select = self.sql.prepare_cached("SELECT * FROM outbox WHERE id = ?1")?;
        Ok(select.query_row([id], outbox_row).optional()?)
    }

    /// What of a conversation still has to reach the relay: the opening of its group before whatever was said before
    /// there was one, then the oldest first.
    pub(crate) fn outbox_of(&self, conversation: i64, limit: u32) -> Result<Vec<OutboxRow>, TurnError> {
        let mut select = self
            .sql
            .prepare_cached("SELECT * FROM outbox WHERE conversation = ?1 ORDER BY kind <> 'open', id LIMIT ?2")?;
        let rows = select.query_map(params![conversation, limit], outbox_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Devices that a row has not reached and can be tried now, and whether each is being invited.
    pub(crate) fn recipients(&self, outbox: i64) -> Result<Vec<(DeviceId, bool)>, TurnError> {
        let mut select = self.sql.prepare_cached(
            "SELECT device, invited FROM outbox_recipient WHERE outbox = ?1 AND not_before <= ?2 ORDER BY device",
        )?;
        let rows = select.query_map(params![outbox, self.now.0], |row| Ok((DeviceId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn recipient_done(&self, outbox: i64, device: DeviceId) -> Result<(), TurnError> {
        self.sql
            .prepare_cached("DELETE FROM outbox_recipient WHERE outbox = ?1 AND device = ?2")?
            .execute(params![outbox, device.0])?;
        Ok(())
    }

    pub(crate) fn delete_outbox(&self, id: i64) -> Result<(), TurnError> {
        self.sql.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
        Ok(())
    }
}

fn outbox_row(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    Ok(OutboxRow {
        id: row.get("id")?,
        conversation: row.get("conversation")?,
        kind: row.get("kind")?,
        uid: Uid(column(row, "uid")?),
        message: row.get("message")?,
        sealed: row.get("sealed")?,
        welcome: row.get("welcome")?,
        generation: row.get("generation")?,
        epoch: row.get::<_, i64>("epoch")?.try_into().unwrap_or(0),
        token: row.get("token")?,
        pass: row.get("pass")?,
        next_token_hash: row.get("next_token_hash")?,
        failures: row.get("failures")?,
        not_before: Timestamp(row.get("not_before")?),
    })
}
