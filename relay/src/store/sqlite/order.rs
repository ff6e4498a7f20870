//! The order of group changes: one compare-and-swap on (generation, epoch) for each step of a conversation, and the
//! deposit of what belongs to it, in one transaction.

use comptoir_sqlcipher::rusqlite::{self, Connection, OptionalExtension};
use comptoir_wire::{ConversationId, Envelope, OrderStatus, Ordered};

use super::mailbox::{self, Freshness};
use super::{stored, unsigned};
use crate::store::{Commit, Opening, Retention};

/// Epochs that a recipient can still open behind the newest one.
const PAST_EPOCHS: u64 = 2;
/// Generations that a conversation may be ahead of what is known of it here.
const AHEAD_MAX: u32 = 10_000;

struct Standing {
    conversation_no: i64,
    generation: u32,
    epoch: u64,
    token_hash: [u8; 32],
    opening_hash: [u8; 32],
    opened_at_ms: u64,
}

pub(super) fn open_generation(
    db: &Connection,
    opening: &Opening,
    retention: &Retention,
    now_ms: i64,
) -> rusqlite::Result<Ordered> {
    let standing = standing(db, opening.conversation)?;
    let next = standing.as_ref().map_or(Some(0), |standing| standing.generation.checked_add(1));
    // A relay that was restored, or lost everything, stands behind its conversations: they go on where they are.
    if next.is_some_and(|next| (next..=next.saturating_add(AHEAD_MAX)).contains(&opening.generation)) {
        db.prepare_cached(
            "INSERT INTO conversation (conversation, generation, epoch, token_hash, opening_hash, opened_at_ms)
             VALUES (?1, ?2, 1, ?3, ?3, ?4)
             ON CONFLICT (conversation) DO UPDATE SET
                generation = excluded.generation, epoch = excluded.epoch, token_hash = excluded.token_hash,
                opening_hash = excluded.opening_hash, opened_at_ms = excluded.opened_at_ms",
        )?
        .execute((opening.conversation.0, opening.generation, opening.token_hash, now_ms))?;
        return Ok(Ordered {
            status: OrderStatus::Accepted,
            generation: opening.generation,
            epoch: 1,
            accepted_at_ms: now_ms.cast_unsigned(),
            outcomes: mailbox::deposit(db, opening.from, &opening.envelopes, Freshness::Ordered, retention, now_ms)?,
        });
    }
    match standing {
        Some(at) if at.generation == opening.generation && at.opening_hash == opening.token_hash => Ok(Ordered {
            status: OrderStatus::Duplicate,
            generation: at.generation,
            epoch: at.epoch,
            accepted_at_ms: at.opened_at_ms,
            outcomes: mailbox::deposit(db, opening.from, &opening.envelopes, Freshness::Ordered, retention, now_ms)?,
        }),
        standing => Ok(refused(OrderStatus::Stale, standing.as_ref())),
    }
}

pub(super) fn submit_commit(
    db: &Connection,
    commit: &Commit,
    retention: &Retention,
    now_ms: i64,
) -> rusqlite::Result<Ordered> {
    let Some(at) = standing(db, commit.conversation)? else {
        return Ok(refused(OrderStatus::Stale, None));
    };
    let accepted = db
        .prepare_cached(
            "SELECT accepted_at_ms FROM accepted_commit
             WHERE conversation_no = ?1 AND generation = ?2 AND epoch = ?3 AND uid = ?4",
        )?
        .query_row((at.conversation_no, commit.generation, stored(commit.epoch), commit.uid.0), |row| {
            unsigned(row, "accepted_at_ms")
        })
        .optional()?;
    if let Some(accepted_at_ms) = accepted {
        return Ok(Ordered {
            status: OrderStatus::Duplicate,
            generation: at.generation,
            epoch: at.epoch,
            accepted_at_ms,
            outcomes: mailbox::deposit(db, commit.from, &commit.envelopes, Freshness::Ordered, retention, now_ms)?,
        });
    }
    if (at.generation, at.epoch) != (commit.generation, commit.epoch) {
        return Ok(refused(OrderStatus::Stale, Some(&at)));
    }
    if at.token_hash != commit.token_hash {
        return Ok(refused(OrderStatus::Forbidden, Some(&at)));
    }
    db.prepare_cached("UPDATE conversation SET epoch = ?2, token_hash = ?3 WHERE conversation_no = ?1")?.execute((
        at.conversation_no,
        stored(at.epoch + 1),
        commit.next_token_hash,
    ))?;
    db.prepare_cached(
        "INSERT INTO accepted_commit (conversation_no, generation, epoch, uid, accepted_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((at.conversation_no, at.generation, stored(at.epoch), commit.uid.0, now_ms))?;
    // Also when nobody else is in the group yet, and no envelope rides along.
    mailbox::heard_from(db, commit.from.device, commit.uid)?;
    Ok(Ordered {
        status: OrderStatus::Accepted,
        generation: at.generation,
        epoch: at.epoch + 1,
        accepted_at_ms: now_ms.cast_unsigned(),
        outcomes: mailbox::deposit(db, commit.from, &commit.envelopes, Freshness::Ordered, retention, now_ms)?,
    })
}

/// True when the conversation moved on so far that the envelope's recipients can no longer open it.
pub(super) fn is_stale(db: &Connection, envelope: &Envelope) -> rusqlite::Result<bool> {
    let at = db
        .prepare_cached("SELECT generation, epoch FROM conversation WHERE conversation = ?1")?
        .query_row([envelope.conversation.0], |row| Ok((row.get::<_, u32>("generation")?, unsigned(row, "epoch")?)))
        .optional()?;
    Ok(at.is_some_and(|(generation, epoch)| {
        envelope.generation < generation
            || (envelope.generation == generation && envelope.epoch.saturating_add(PAST_EPOCHS) < epoch)
    }))
}

fn refused(status: OrderStatus, at: Option<&Standing>) -> Ordered {
    Ordered {
        status,
        generation: at.map_or(0, |at| at.generation),
        // 0 says that the conversation is not known here: a known one stands at 1 or later.
        epoch: at.map_or(0, |at| at.epoch),
        accepted_at_ms: 0,
        outcomes: Vec::new(),
    }
}

fn standing(db: &Connection, conversation: ConversationId) -> rusqlite::Result<Option<Standing>> {
    db.prepare_cached(
        "SELECT conversation_no, generation, epoch, token_hash, opening_hash, opened_at_ms
         FROM conversation WHERE conversation = ?1",
    )?
    .query_row([conversation.0], |row| {
        Ok(Standing {
            conversation_no: row.get("conversation_no")?,
            generation: row.get("generation")?,
            epoch: unsigned(row, "epoch")?,
            token_hash: row.get("token_hash")?,
            opening_hash: row.get("opening_hash")?,
            opened_at_ms: unsigned(row, "opened_at_ms")?,
        })
    })
    .optional()
}
