//! The turn of a time that came: payments to ask about, devices to look for, messages to try again.

use comptoir_engine::conversation::Input;

use crate::error::TurnError;
use crate::store::{Effect, Tx};
use crate::turns::contacts::Wanted;
use crate::turns::{checkout, contacts, members, renewal};

pub(crate) fn wake(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    checkout::woken(tx)?;
    contacts::ask_for_logs(tx, Wanted::NotRefused)?;
    members::catch_up(tx)?;
    renewal::renew_due(tx)?;
    let due: Vec<i64> = {
        let mut select = tx.sql.prepare_cached("SELECT id FROM conversation WHERE retry_at <= ?1")?;
        select.query_map([tx.now.0], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for id in due {
        let conversation = tx.conversation_by_id(id)?;
        tx.retry_conversation(id, None, conversation.failures)?;
        members::moved(tx, &conversation, Input::Overdue)?;
        members::begin(tx, &tx.conversation_by_id(id)?)?;
    }
    tx.sql.execute("UPDATE outbox SET not_before = 0 WHERE not_before <= ?1 AND not_before > 0", [tx.now.0])?;
    tx.sql
        .execute("UPDATE outbox_recipient SET not_before = 0 WHERE not_before <= ?1 AND not_before > 0", [tx.now.0])?;
    tx.effect(Effect::Flush);
    Ok(())
}
