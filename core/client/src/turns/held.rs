//! Turns about envelopes that cannot be opened yet, or ever: kept with the reason, tried again when something changed.

use comptoir_content::{AccountId, AccountKind, ConversationId, Timestamp};
use comptoir_engine::conversation;
use comptoir_engine::session::SessionError;
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, params};
use comptoir_wire as wire;

use super::members;
use super::receive::{Arrived, News, finish, open};
use crate::error::TurnError;
use crate::store::{ConversationRow, Effect, Question, Tx};

/// Envelopes that cannot be opened are kept, but not without end. Nobody takes another conversation's room.
const HELD_MAX: i64 = 5_000;
const HELD_PER_CONVERSATION_MAX: i64 = 500;

/// Keeps an envelope that could not be opened, and why. Its turn was rolled back before.
pub(crate) fn hold(tx: &mut Tx<'_>, item: &wire::Item, error: &TurnError) -> Result<(), TurnError> {
    hold_arrived(tx, &Arrived::of(item), error)?;
    finish(tx, News::default(), item.seq)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "every other error is final for this envelope")]
fn hold_arrived(tx: &mut Tx<'_>, arrived: &Arrived, error: &TurnError) -> Result<(), TurnError> {
    let (reason, account, log_len) = match error {
        TurnError::Session(SessionError::Own) => return Ok(()),
        TurnError::Session(SessionError::Early) => ("early", None, 0),
        TurnError::Session(SessionError::UnknownAccount(account)) => {
            let relay = tx.me_row()?.map(|me| me.relay).unwrap_or_default();
            // Who they are stands in the log that we ask for.
            tx.insert_account(*account, AccountKind::Person, &relay)?;
            let from = tx.account(*account)?.map_or(0, |known| known.head.len);
            tx.effect(Effect::Ask(Question::Log { account: *account, from }));
            ("account", Some(account.0), i64::try_from(from).unwrap_or(i64::MAX))
        }
        _ => ("unreadable", None, 0),
    };
    make_room(tx, arrived.conversation)?;
    let kind = match arrived.kind {
        wire::EnvelopeKind::Message => "message",
        wire::EnvelopeKind::Welcome => "welcome",
        wire::EnvelopeKind::Commit => "commit",
    };
    tx.sql
        .prepare_cached(
            "INSERT INTO held (conversation, generation, kind, sealed, accepted_at, reason, account, log_len, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            arrived.conversation.0,
            arrived.generation,
            kind,
            arrived.sealed,
            arrived.accepted_at.0,
            reason,
            account,
            log_len,
            tx.now.0
        ])?;
    if reason == "unreadable" && arrived.kind == wire::EnvelopeKind::Welcome {
        invitation_lost(tx, arrived.conversation, arrived.generation)?;
    }
    Ok(())
}

/// Makes room for one more held envelope. What will never open goes first, then what strangers sent, then the oldest.
fn make_room(tx: &Tx<'_>, conversation: ConversationId) -> Result<(), TurnError> {
    let here: i64 = tx
        .sql
        .prepare_cached("SELECT count(*) FROM held WHERE conversation = ?1")?
        .query_row([conversation.0], |row| row.get(0))?;
    if here >= HELD_PER_CONVERSATION_MAX {
        tx.sql
            .prepare_cached(
                "DELETE FROM held WHERE id = (
                     SELECT id FROM held WHERE conversation = ?1 ORDER BY reason = 'unreadable' DESC, id LIMIT 1)",
            )?
            .execute([conversation.0])?;
        return Ok(());
    }
    let all: i64 = tx.sql.prepare_cached("SELECT count(*) FROM held")?.query_row([], |row| row.get(0))?;
    if all >= HELD_MAX {
        tx.sql
            .prepare_cached(
                "DELETE FROM held WHERE id = (
                     SELECT held.id FROM held LEFT JOIN conversation ON conversation.uid = held.conversation
                     ORDER BY held.reason = 'unreadable' DESC, conversation.id IS NULL DESC, held.id LIMIT 1)",
            )?
            .execute([])?;
    }
    Ok(())
}

/// What is held for a conversation is tried again after this turn, each envelope in a turn of its own: one that cannot be
/// opened undoes nothing but itself.
pub(crate) fn retry_held_in(tx: &mut Tx<'_>, conversation: &ConversationRow) {
    tx.effect(Effect::Retry(conversation.uid));
}

/// The same for what waited for the log of an account.
pub(crate) fn retry_held_of(tx: &mut Tx<'_>, account: AccountId) -> Result<(), TurnError> {
    let conversations: Vec<[u8; 16]> = {
        let mut select = tx
            .sql
            .prepare_cached("SELECT DISTINCT conversation FROM held WHERE account = ?1 AND reason = 'account'")?;
        select.query_map([account.0], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for uid in conversations {
        tx.effect(Effect::Retry(ConversationId(uid)));
    }
    Ok(())
}

/// A core that ended right after a commit has not tried what that commit made possible, and nothing else would remind it: what
/// waited for a log that has grown since, or for a group that is there. What still waits is left alone, however much it is.
pub(crate) fn retry_all(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    let conversations: Vec<[u8; 16]> = {
        let mut select = tx.sql.prepare_cached(
            "SELECT DISTINCT held.conversation FROM held
                 JOIN account ON account.id = held.account AND account.log_len > held.log_len
                 WHERE held.reason = 'account'
             UNION
             SELECT DISTINCT held.conversation FROM held
                 JOIN conversation ON conversation.uid = held.conversation AND conversation.state = 'open'
                     AND held.generation <= conversation.generation
                 WHERE held.reason = 'early'",
        )?;
        select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for uid in conversations {
        tx.effect(Effect::Retry(ConversationId(uid)));
    }
    Ok(())
}

/// The held envelopes of a conversation that may open one day, oldest first.
pub(crate) fn held_in(tx: &mut Tx<'_>, uid: ConversationId) -> Result<Vec<i64>, TurnError> {
    let mut select =
        tx.sql.prepare_cached("SELECT id FROM held WHERE conversation = ?1 AND reason <> 'unreadable' ORDER BY id")?;
    Ok(select.query_map([uid.0], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Tries one held envelope. An error leaves it where it is.
pub(crate) fn retry_one(tx: &mut Tx<'_>, id: i64) -> Result<(), TurnError> {
    let arrived = tx
        .sql
        .prepare_cached("DELETE FROM held WHERE id = ?1 RETURNING conversation, generation, kind, sealed, accepted_at")?
        .query_row([id], |row| {
            let kind: String = row.get(2)?;
            Ok(Arrived {
                conversation: ConversationId(row.get(0)?),
                generation: row.get(1)?,
                kind: match kind.as_str() {
                    "welcome" => wire::EnvelopeKind::Welcome,
                    "commit" => wire::EnvelopeKind::Commit,
                    _ => wire::EnvelopeKind::Message,
                },
                sealed: row.get(3)?,
                accepted_at: Timestamp(row.get(4)?),
            })
        })
        .optional()?;
    let Some(arrived) = arrived else {
        return Ok(());
    };
    let mut news = News::default();
    open(tx, &arrived, &mut news)?;
    let seq = tx.kv_u64("relay.seq")?;
    finish(tx, news, seq)
}

/// What came of trying a held envelope again, when it did not open: it waits on, or never will.
#[allow(clippy::wildcard_enum_match_arm, reason = "every other error is final for this envelope")]
pub(crate) fn retry_failed(tx: &mut Tx<'_>, id: i64, error: &TurnError) -> Result<(), TurnError> {
    match error {
        TurnError::Session(SessionError::Early) => Ok(()),
        TurnError::Session(SessionError::UnknownAccount(account)) => {
            let relay = tx.me_row()?.map(|me| me.relay).unwrap_or_default();
            tx.insert_account(*account, AccountKind::Person, &relay)?;
            let log_len = tx.account(*account)?.map_or(0, |known| i64::try_from(known.head.len).unwrap_or(i64::MAX));
            tx.sql
                .prepare_cached("UPDATE held SET reason = 'account', account = ?2, log_len = ?3 WHERE id = ?1")?
                .execute(params![id, account.0, log_len])?;
            // Asked for only if it was never fetched: a log that lacks the device gains nothing by being read again.
            if log_len == 0 {
                tx.effect(Effect::Ask(Question::Log { account: *account, from: 0 }));
            }
            Ok(())
        }
        _ => {
            let found: Option<([u8; 16], u32, String)> = tx
                .sql
                .prepare_cached(
                    "UPDATE held SET reason = 'unreadable' WHERE id = ?1 RETURNING conversation, generation, kind",
                )?
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            match found {
                Some((uid, generation, kind)) if kind == "welcome" => {
                    invitation_lost(tx, ConversationId(uid), generation)
                }
                _ => Ok(()),
            }
        }
    }
}

fn invitation_lost(tx: &mut Tx<'_>, uid: ConversationId, generation: u32) -> Result<(), TurnError> {
    if let Some(conversation) = tx.conversation(uid)? {
        members::moved(tx, &conversation, conversation::Input::Unreadable { generation })?;
        members::begin(tx, &tx.conversation_by_id(conversation.id)?)?;
    }
    Ok(())
}
