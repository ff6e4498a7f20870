//! Turns about this device's keys in its conversations: used, due, replaced.

use comptoir_content::DeviceId;
use comptoir_engine::conversation::Conversation;
use comptoir_engine::renewal::Keys;
use comptoir_sqlcipher::rusqlite::params;

use super::members;
use crate::error::TurnError;
use crate::store::{ConversationRow, Tx};

/// Something was said in a conversation; `sealed` of it by this device, a moment ago.
pub(crate) fn used(tx: &Tx<'_>, conversation: &ConversationRow, sealed: usize) -> Result<(), TurnError> {
    if sealed == 0 && conversation.keys.due_at.is_some() {
        return Ok(());
    }
    let sealed = u32::try_from(sealed).unwrap_or(u32::MAX);
    let keys = conversation.keys.used(tx.own_kind()?, sealed, tx.random.number(), tx.now);
    save(tx, conversation.id, keys)
}

/// This device has new keys there.
pub(crate) fn renewed(tx: &Tx<'_>, conversation: i64) -> Result<(), TurnError> {
    save(tx, conversation, Keys::default())
}

/// Conversations whose turn may have come.
const OPEN: &str = "conversation WHERE state = 'open' AND keys_due_at IS NOT NULL";

/// When the next keys are due.
pub(crate) fn alarm() -> String {
    format!("SELECT min(keys_due_at) FROM {OPEN}")
}

/// Replaces the keys that are due. Where a change of the group is on its way already, that comes first.
pub(crate) fn renew_due(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    let due: Vec<i64> = {
        let mut select = tx.sql.prepare_cached(&format!("SELECT id FROM {OPEN} AND keys_due_at <= ?1"))?;
        select.query_map([tx.now.0], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for id in due {
        let conversation = tx.conversation_by_id(id)?;
        save(tx, id, conversation.keys.tried(tx.now))?;
        let Conversation::Open { generation } = conversation.state else {
            continue;
        };
        if members::has_commit(tx, id)? {
            continue;
        }
        let me = tx.me()?;
        let Some(mut group) = tx.group(conversation.uid, generation)? else {
            continue;
        };
        let others = group.members().map(|member| member.device).filter(|device| *device != me.device);
        let others: Vec<DeviceId> = others.collect();
        if group.is_active() && !others.is_empty() {
            let change = group.renew(&tx.mls, &me)?;
            members::queue_change(tx, &conversation, "commit", &group, change, &others, &[])?;
        }
        tx.keep_group(group);
    }
    Ok(())
}

fn save(tx: &Tx<'_>, conversation: i64, keys: Keys) -> Result<(), TurnError> {
    tx.sql
        .prepare_cached("UPDATE conversation SET keys_due_at = ?2, keys_sealed = ?3 WHERE id = ?1")?
        .execute(params![conversation, keys.due_at.map(|at| at.0), keys.sealed])?;
    Ok(())
}
