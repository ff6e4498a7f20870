//! Gates and passes: what an account lets into its mailboxes from another one.

use comptoir_sqlcipher::rusqlite::{self, Connection, OptionalExtension};
use comptoir_wire::{AccountId, Envelope, EnvelopeKind, Gate, Pass};
use ring::digest::{SHA256, digest};

use crate::gate::{Standing, Verdict};

/// What is kept of an account, of each: the newest.
const GATES_MAX: i64 = 4_096;
const PASSES_MAX: i64 = 4_096;

/// Sets a gate. One that was there remembers when its account acted.
pub(super) fn set(db: &Connection, owner: AccountId, peer: AccountId, gate: Gate, now_ms: i64) -> rusqlite::Result<()> {
    if gate == Gate::Open {
        db.prepare_cached("DELETE FROM gate WHERE owner = ?1 AND peer = ?2")?.execute((owner.0, peer.0))?;
        return Ok(());
    }
    let new = Standing::new(gate, now_ms);
    db.prepare_cached(
        "INSERT INTO gate (owner, peer, gate, acted_at_ms, quiet_since_ms, quiet) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (owner, peer) DO UPDATE SET gate = excluded.gate",
    )?
    .execute((owner.0, peer.0, number(gate), new.acted_at_ms, new.quiet_since_ms, new.quiet))?;
    db.prepare_cached(
        "DELETE FROM gate WHERE owner = ?1 AND peer IN (
             SELECT peer FROM gate WHERE owner = ?1 ORDER BY acted_at_ms DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute((owner.0, GATES_MAX))?;
    Ok(())
}

/// Adds passes. One that is there already stays as it is, used or not.
pub(super) fn add_passes(
    db: &Connection,
    owner: AccountId,
    peer: AccountId,
    passes: &[Pass],
    now_ms: i64,
) -> rusqlite::Result<()> {
    for pass in passes {
        db.prepare_cached(
            "INSERT INTO pass (owner, peer, hash, once, added_at_ms) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute((owner.0, peer.0, pass.hash, pass.once, now_ms))?;
    }
    db.prepare_cached(
        "DELETE FROM pass WHERE owner = ?1 AND (peer, hash) IN (
             SELECT peer, hash FROM pass WHERE owner = ?1 ORDER BY added_at_ms DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute((owner.0, PASSES_MAX))?;
    Ok(())
}

/// Whether an envelope of `from` comes into a mailbox of `owner`. What it uses up on its way is written.
pub(super) fn lets_in(
    db: &Connection,
    owner: AccountId,
    from: AccountId,
    envelope: &Envelope,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let Some(standing) = standing(db, owner, from)? else {
        return Ok(true);
    };
    let verdict = standing.judge(envelope, false, now_ms);
    // A pass is used up only by what needs it.
    if verdict == Verdict::Passes || shows_pass(db, owner, from, standing.gate, envelope)? {
        return Ok(true);
    }
    match verdict {
        Verdict::Passes => Ok(true),
        Verdict::Closed => Ok(false),
        Verdict::Counted(next) => {
            db.prepare_cached("UPDATE gate SET quiet_since_ms = ?3, quiet = ?4 WHERE owner = ?1 AND peer = ?2")?
                .execute((owner.0, from.0, next.quiet_since_ms, next.quiet))?;
            Ok(true)
        }
    }
}

/// An envelope of `from` to `to` was accepted: an action, if it may wake somebody.
pub(super) fn accepted(
    db: &Connection,
    from: AccountId,
    to: AccountId,
    envelope: &Envelope,
    now_ms: i64,
) -> rusqlite::Result<()> {
    if envelope.urgent && envelope.kind == EnvelopeKind::Message {
        db.prepare_cached("UPDATE gate SET acted_at_ms = ?3 WHERE owner = ?1 AND peer = ?2 AND acted_at_ms <> ?3")?
            .execute((from.0, to.0, now_ms))?;
    }
    Ok(())
}

/// The database is a copy, and does not know who acted since: all gates are open for another window.
pub(super) fn restored(db: &Connection, now_ms: i64) -> rusqlite::Result<()> {
    db.execute("UPDATE gate SET acted_at_ms = ?1", [now_ms]).map(drop)
}

fn standing(db: &Connection, owner: AccountId, peer: AccountId) -> rusqlite::Result<Option<Standing>> {
    db.prepare_cached("SELECT gate, acted_at_ms, quiet_since_ms, quiet FROM gate WHERE owner = ?1 AND peer = ?2")?
        .query_row((owner.0, peer.0), |row| {
            Ok(Standing {
                gate: if row.get::<_, i64>("gate")? == number(Gate::Window) { Gate::Window } else { Gate::Shut },
                acted_at_ms: row.get("acted_at_ms")?,
                quiet_since_ms: row.get("quiet_since_ms")?,
                quiet: row.get("quiet")?,
            })
        })
        .optional()
}

/// True when the envelope shows a pass of this gate. One that serves once belongs to the envelope's uid from now on; a gate that
/// was shut revokes it.
fn shows_pass(
    db: &Connection,
    owner: AccountId,
    from: AccountId,
    gate: Gate,
    envelope: &Envelope,
) -> rusqlite::Result<bool> {
    let Some(pass) = envelope.pass else {
        return Ok(false);
    };
    let found = db
        .prepare_cached(
            "UPDATE pass SET used_by = CASE WHEN once THEN ?4 END
             WHERE owner = ?1 AND peer = ?2 AND hash = ?3
                 AND (NOT once OR (?5 AND (used_by IS NULL OR used_by = ?4)))",
        )?
        .execute((owner.0, from.0, digest(&SHA256, &pass).as_ref(), envelope.uid.0, gate != Gate::Shut))?;
    Ok(found > 0)
}

fn number(gate: Gate) -> i64 {
    match gate {
        Gate::Open => 1,
        Gate::Window => 2,
        Gate::Shut => 3,
    }
}
