//! The relay came back from an older copy of its database. What it had accepted since, and not delivered to everybody, is in
//! no mailbox any more; whoever said it still has it, and says it again under the same uids. Whoever has heard it already
//! tells it by them.

use comptoir_content::Timestamp;

use super::{members, send};
use crate::error::TurnError;
use crate::store::{Effect, Tx, given_back};

/// How long a relay keeps what nobody fetched: 30 days, in milliseconds. Nobody waits for what is older.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

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
        let mut select =
            tx.sql.prepare_cached("SELECT id FROM conversation WHERE invited_at >= ?1 AND state = 'open'")?;
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
