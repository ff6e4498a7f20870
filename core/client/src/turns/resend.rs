//! What may be lost is said again, by whoever said it, under the same uids. Whoever has heard it already tells it by them.
//!
//! A relay that came back from an older copy of its database has lost what it had accepted since and not delivered to
//! everybody. And a generation may be replaced because somebody could not get into it, who then has messages of it that
//! nobody will ever open.

use comptoir_content::{AccountKind, Timestamp};
use comptoir_engine::consent::WINDOW_MS;
use comptoir_engine::outbox;
use comptoir_sqlcipher::rusqlite::params;

use super::{members, send};
use crate::error::TurnError;
use crate::store::{Effect, Tx, given_back};

/// How long a relay keeps what nobody fetched: 30 days, in milliseconds. Nobody waits for what is older.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// So many messages are said again in a new generation, the newest ones. Who makes generations must not make others talk for
/// ever.
const AGAIN_MAX: u32 = 500;

/// The generation that this device spoke in is replaced, by itself or by others. What it said there and nobody has confirmed is said
/// again in the new one: by a shop only as long as it may still say it.
pub(crate) fn replaced(tx: &mut Tx<'_>, conversation: i64, generation: u32) -> Result<(), TurnError> {
    let kept_ms = match tx.own_kind()? {
        AccountKind::Person => KEPT_MS,
        AccountKind::Business => WINDOW_MS,
    };
    let unconfirmed: Vec<(i64, Vec<u8>, String)> = {
        let mut select = tx.sql.prepare_cached(
            "SELECT id, content, text FROM (
                 SELECT id, content, text FROM message
                 WHERE id >= ?1 AND id < ?2 AND mine = 1 AND state = 'sent' AND accepted_at >= ?3
                     AND id NOT IN (SELECT message FROM outbox WHERE message IS NOT NULL)
                 ORDER BY id DESC LIMIT ?4) ORDER BY id",
        )?;
        let range = params![conversation << 36, (conversation + 1) << 36, tx.now.plus_ms(-kept_ms).0, AGAIN_MAX];
        select.query_map(range, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?
    };
    for (message, kept, text) in unconfirmed {
        let content = given_back(&kept, &text)?;
        // The relay remembers the envelope that it took under the message's own uid.
        let uid = outbox::again(content.uid, generation);
        tx.queue_envelope(conversation, Some(message), uid, &content)?;
    }
    Ok(())
}

/// Queues everything again that the relay accepted at this time of its clock or later; by that clock it is `relay_now`.
pub(crate) fn lost_since(tx: &mut Tx<'_>, since: Timestamp, relay_now: Timestamp) -> Result<(), TurnError> {
    let since = since.0.max(relay_now.plus_ms(-KEPT_MS).0);
    let lost: Vec<(i64, Vec<u8>, String)> = {
        let mut select = tx.sql.prepare_cached(
            "SELECT id, content, text FROM message WHERE mine = 1 AND accepted_at >= ?1
                 AND state IN ('sent', 'delivered', 'read') ORDER BY id",
        )?;
        let rows = select.query_map([since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    for (message, kept, text) in lost {
        tx.queue_message(message >> 36, Some(message), &given_back(&kept, &text)?)?;
    }
    // An invitation that was lost is known to nobody but who sent it: there the conversation begins another generation.
    let invited: Vec<i64> = {
        let mut select = tx
            .sql
            .prepare_cached("SELECT id FROM conversation WHERE invited_at >= ?1 AND state IN ('open', 'lost')")?;
        select.query_map([since], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for conversation in invited {
        members::fell_behind(tx, conversation)?;
    }
    let waiting: Vec<i64> = {
        let mut select = tx.sql.prepare_cached("SELECT DISTINCT conversation FROM outbox WHERE sealed IS NULL")?;
        select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for conversation in waiting {
        send::seal_queued(tx, conversation)?;
    }
    tx.effect(Effect::Flush);
    Ok(())
}
