//! Turns that say something: one transaction holds the message, the ratchet step and the final bytes.

use comptoir_content::{AccountKind, Basis, Body, Content, Marks, Tap, Text, Timestamp, Uid};
use comptoir_engine::consent::{self, Weight, weight};
use comptoir_engine::conversation::Conversation;
use comptoir_engine::{Refused, limits};
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, params};

use super::{gates, members, renewal};
use crate::error::TurnError;
use crate::store::{ConversationRow, Effect, Tx};

/// What fits into one envelope once it is padded and sealed.
const CONTENT_BYTES_MAX: usize = 56 * 1024;

/// Says `body` in a conversation and returns the message's uid. What cannot be sealed yet waits in the outbox.
pub(crate) fn send(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    body: Body,
    basis: Option<Basis>,
) -> Result<Uid, TurnError> {
    let uid = store(tx, conversation, body, basis)?;
    seal_stored(tx, conversation)?;
    Ok(uid)
}

/// Says several texts, one after the other: all of them in this transaction, or none.
pub(crate) fn send_texts(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    texts: Vec<String>,
) -> Result<Vec<Uid>, TurnError> {
    let said = texts.into_iter().map(|body| {
        let text = Text { body, reply_to: None, quick_replies: Vec::new() };
        store(tx, conversation, Body::Text(text), None)
    });
    let uids = said.collect::<Result<_, _>>()?;
    seal_stored(tx, conversation)?;
    Ok(uids)
}

/// Stores what is said and what has to go out. Nothing of it is sealed yet.
fn store(tx: &mut Tx<'_>, conversation: &ConversationRow, body: Body, basis: Option<Basis>) -> Result<Uid, TurnError> {
    let me = tx.me()?;
    let own = tx.account_row(me.account)?.ok_or(TurnError::Corrupt { what: "own account" })?;
    let weight = weight(&body);
    let mut content = Content::new(Uid(tx.new_id()), tx.now, body);
    limits::check_body(&content.body, &content.fallback, own.kind)?;
    content.head = own.account.as_ref().map(|account| account.head).filter(|_| weight != Weight::Silent);
    content.basis = match (own.kind, weight) {
        (AccountKind::Business, Weight::Words) => Some(reason(tx, conversation, basis)?),
        _ => basis,
    };
    if let Some(Basis::Token(token)) = content.basis {
        gates::used(tx, token, content.uid)?;
    }
    if let Body::OrderPlaced(order) = &content.body {
        gates::order_placed(tx, conversation.peer, order.order)?;
    }
    if content.encode().len() > CONTENT_BYTES_MAX {
        return Err(Refused::TooLong { field: "message in bytes", max: CONTENT_BYTES_MAX }.into());
    }
    let message = match weight {
        Weight::Silent => None,
        Weight::Words | Weight::Result => Some(tx.insert_message(
            conversation.id,
            &crate::store::NewMessage {
                sender: me.account,
                mine: true,
                state: "queued",
                unread: false,
                accepted_at: Timestamp(0),
                why: None,
                content: &content,
            },
        )?),
    };
    tx.queue_message(conversation.id, message, &content)?;
    if message.is_some() {
        tx.notify_chat(conversation.uid);
    }
    Ok(content.uid)
}

/// Seals what was stored, or sees to it that it can be.
fn seal_stored(tx: &mut Tx<'_>, conversation: &ConversationRow) -> Result<(), TurnError> {
    match conversation.state {
        Conversation::Opening { .. } | Conversation::Open { .. } => seal_queued(tx, conversation.id)?,
        Conversation::Absent | Conversation::Lost { .. } => members::begin(tx, conversation)?,
        Conversation::Awaiting { .. } => {}
    }
    tx.effect(Effect::Flush);
    Ok(())
}

/// The reason that a business names for its words: the one given, or the person's newest action here. When that was too long
/// ago, a token that the person gave.
fn reason(tx: &Tx<'_>, conversation: &ConversationRow, basis: Option<Basis>) -> Result<Basis, TurnError> {
    let (newest, newest_at): (Option<[u8; 16]>, i64) = tx
        .sql
        .prepare_cached("SELECT last_action, last_action_at FROM conversation WHERE id = ?1")?
        .query_row([conversation.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let basis = basis.or(newest.map(|uid| Basis::Action(Uid(uid))));
    let acted_at: Option<i64> = match basis {
        Some(Basis::Action(uid)) => tx
            .sql
            .prepare_cached("SELECT accepted_at FROM message WHERE uid = ?1 AND mine = 0 AND id >> 36 = ?2")?
            .query_row(params![uid.0, conversation.id], |row| row.get(0))
            .optional()?,
        Some(Basis::Order(_) | Basis::Token(_)) | None => None,
    };
    // No action is newer than the newest, which was dated by this clock too.
    let acted_at = acted_at.map(|at| Timestamp(at.min(newest_at)));
    match consent::may_write(basis, acted_at, tx.now) {
        Ok(basis) => Ok(basis),
        Err(refused) => Ok(Basis::Token(gates::unused(tx, conversation.peer)?.ok_or(refused)?)),
    }
}

/// Seals everything of a conversation that is not sealed yet, in order, in its group of now.
pub(crate) fn seal_queued(tx: &mut Tx<'_>, conversation: i64) -> Result<(), TurnError> {
    let row = tx.conversation_by_id(conversation)?;
    let (Conversation::Opening { generation } | Conversation::Open { generation }) = row.state else {
        return Ok(());
    };
    let waiting: Vec<(i64, Vec<u8>)> = {
        let mut select = tx.sql.prepare_cached(
            "SELECT id, content FROM outbox WHERE conversation = ?1 AND kind = 'message' AND sealed IS NULL ORDER BY id",
        )?;
        select.query_map([conversation], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
    };
    if waiting.is_empty() {
        return Ok(());
    }
    let me = tx.me()?;
    let Some(mut group) = tx.group(row.uid, generation)? else {
        return Err(TurnError::Corrupt { what: "group" });
    };
    if !group.is_active() {
        // Somebody removed this device; what was said waits for another generation.
        tx.keep_group(group);
        return Ok(());
    }
    renewal::used(tx, &row, waiting.len())?;
    for (id, content) in waiting {
        let epoch = group.epoch();
        let sealed = group.seal(&tx.mls, &me, &content)?;
        tx.sql
            .prepare_cached("UPDATE outbox SET sealed = ?2, generation = ?3, epoch = ?4 WHERE id = ?1")?
            .execute(params![id, sealed, generation, i64::try_from(epoch).unwrap_or(i64::MAX)])?;
        for member in group.members().filter(|member| member.device != me.device) {
            tx.add_recipient(id, member.device, false)?;
        }
    }
    tx.keep_group(group);
    Ok(())
}

/// Tells the other side what arrived here and was seen.
pub(crate) fn send_marks(tx: &mut Tx<'_>, conversation: &ConversationRow, marks: Marks) -> Result<(), TurnError> {
    send(tx, conversation, Body::Marks(marks), None).map(drop)
}

/// Taps a quick reply or a button of `on`: its title becomes one's own message, and it can be tapped once.
#[allow(clippy::wildcard_enum_match_arm, reason = "only these two kinds can be tapped")]
pub(crate) fn tap(tx: &mut Tx<'_>, conversation: &ConversationRow, on: Uid, title: &str) -> Result<Uid, TurnError> {
    let found: Option<(i64, Vec<u8>, bool)> = tx
        .sql
        .prepare_cached("SELECT id, content, tapped FROM message WHERE uid = ?1 AND mine = 0 AND id >> 36 = ?2")?
        .query_row(params![on.0, conversation.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (id, content, tapped) = found.ok_or(TurnError::NotFound { what: "message" })?;
    let replies = match Content::decode(&content)?.body {
        // Quick replies vanish with the first tap; the buttons of a card stay.
        Body::Text(text) if !tapped => text.quick_replies,
        Body::Card(card) => card.buttons,
        _ => Vec::new(),
    };
    let reply = replies.into_iter().find(|reply| reply.title == title).ok_or(Refused::ReplyGone)?;
    tx.sql.prepare_cached("UPDATE message SET tapped = 1 WHERE id = ?1")?.execute([id])?;
    send(tx, conversation, Body::Tap(Tap { on, title: reply.title, payload: reply.payload }), None)
}

/// Everything in a conversation was seen: here, and the other side is told.
pub(crate) fn mark_read(tx: &mut Tx<'_>, conversation: &ConversationRow, upto: Option<i64>) -> Result<(), TurnError> {
    let (low, end) = (conversation.id << 36, (conversation.id + 1) << 36);
    let high = upto.map_or(end, |upto| end.min(upto.saturating_add(1)));
    let newest: Option<[u8; 16]> = tx
        .sql
        .prepare_cached(
            "SELECT uid FROM message WHERE id >= ?1 AND id < ?2 AND unread = 1 AND mine = 0 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![low, high], |row| row.get(0))
        .optional()?;
    let Some(newest) = newest else {
        return Ok(());
    };
    tx.sql
        .prepare_cached("UPDATE message SET unread = 0 WHERE id >= ?1 AND id < ?2 AND unread = 1")?
        .execute(params![low, high])?;
    send_marks(tx, conversation, Marks { delivered: Vec::new(), read_upto: Some(Uid(newest)) })?;
    tx.notify_chat(conversation.uid);
    Ok(())
}

/// What became of our messages over there.
pub(crate) fn marked(tx: &mut Tx<'_>, conversation: &ConversationRow, marks: &Marks) -> Result<(), TurnError> {
    let me = tx.me()?;
    for uid in &marks.delivered {
        tx.sql
            .prepare_cached(
                "UPDATE message SET state = 'delivered' WHERE sender = ?1 AND uid = ?2 AND state IN ('queued', 'sent')",
            )?
            .execute(params![me.account.0, uid.0])?;
    }
    if let Some(upto) = marks.read_upto {
        let last: Option<i64> = tx
            .sql
            .prepare_cached("SELECT id FROM message WHERE sender = ?1 AND uid = ?2")?
            .query_row(params![me.account.0, upto.0], |row| row.get(0))
            .optional()?;
        if let Some(last) = last.filter(|last| last >> 36 == conversation.id) {
            tx.sql
                .prepare_cached(
                    "UPDATE message SET state = 'read'
                     WHERE id >= ?1 AND id <= ?2 AND mine = 1 AND state IN ('sent', 'delivered')",
                )?
                .execute(params![conversation.id << 36, last])?;
        }
    }
    tx.notify_chat(conversation.uid);
    Ok(())
}
