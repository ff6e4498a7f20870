//! Turns about the gate that a person's account has at the relay against each shop, and about the passes through it: what the
//! shop may write about when 24 hours are over. The relay only keeps out what this device would hold anyway.

use comptoir_content::{AccountId, AccountKind, Body, ConversationId, OrderId, TokenId, Uid};
use comptoir_engine::Refused;
use comptoir_engine::consent;
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, params};
use comptoir_wire as wire;

use super::send;
use crate::error::TurnError;
use crate::store::{AccountRow, ConversationRow, Effect, Question, Tx};

/// Tells the relay what it does not know yet about the gate to `peer`.
pub(crate) fn see_to(tx: &mut Tx<'_>, peer: AccountId) -> Result<(), TurnError> {
    let me = tx.me()?;
    let own = tx.account_row(me.account)?.ok_or(TurnError::Corrupt { what: "own account" })?;
    let Some(row) = tx.account_row(peer)?.filter(|_| own.kind == AccountKind::Person) else {
        return Ok(());
    };
    // An account that nobody here talks to needs no gate.
    if tx.conversation(ConversationId::between(me.account, peer))?.is_none() {
        return Ok(());
    }
    let told: String =
        tx.sql.prepare_cached("SELECT gate_told FROM account WHERE id = ?1")?.query_row([peer.0], |row| row.get(0))?;
    let gate = wanted(&row);
    if name(gate) != told {
        tx.effect(Effect::Ask(Question::Gate { account: peer, gate }));
    }
    let untold: Vec<[u8; 16]> = {
        let mut select = tx
            .sql
            .prepare_cached("SELECT id FROM pass WHERE peer = ?1 AND mine = 1 AND told = 0 ORDER BY id LIMIT ?2")?;
        let rows = select.query_map(params![peer.0, wire::limits::PASSES_PER_FRAME_MAX as i64], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    if !untold.is_empty() && gate != wire::Gate::Open {
        tx.effect(Effect::Ask(Question::Passes { account: peer, ids: untold }));
    }
    Ok(())
}

/// The relay opened our mailbox. `forgot`: what it was told may be gone.
pub(crate) fn connected(tx: &mut Tx<'_>, forgot: bool) -> Result<(), TurnError> {
    if forgot {
        tx.sql.execute("UPDATE account SET gate_told = 'open' WHERE gate_told <> 'open'", [])?;
        tx.sql.execute("UPDATE pass SET told = 0 WHERE mine = 1 AND told = 1", [])?;
    }
    let peers: Vec<[u8; 20]> = {
        let mut select = tx.sql.prepare_cached(
            "SELECT id FROM account WHERE kind = 'business' AND gate_told <> CASE WHEN blocked THEN 'shut' ELSE 'window' END
             UNION SELECT peer FROM pass WHERE mine = 1 AND told = 0",
        )?;
        select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    peers.into_iter().try_for_each(|peer| see_to(tx, AccountId(peer)))
}

/// What an envelope needs, and what the relay is asked to remember of a pass.
pub(crate) fn passes(tx: &Tx<'_>, ids: &[[u8; 16]]) -> Result<Vec<wire::Pass>, TurnError> {
    let pass = |id: &[u8; 16]| {
        let once = tx
            .sql
            .prepare_cached("SELECT once FROM pass WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?
            .unwrap_or(true);
        Ok(wire::Pass { hash: consent::pass_hash(id).0, once })
    };
    ids.iter().map(pass).collect()
}

/// The relay has set the gate.
pub(crate) fn gate_told(tx: &mut Tx<'_>, account: AccountId, gate: wire::Gate) -> Result<(), TurnError> {
    tx.sql
        .prepare_cached("UPDATE account SET gate_told = ?2 WHERE id = ?1")?
        .execute(params![account.0, name(gate)])?;
    // It may have been blocked, or unblocked, in the meantime.
    see_to(tx, account)
}

/// The relay knows these passes.
pub(crate) fn passes_told(tx: &mut Tx<'_>, account: AccountId, ids: &[[u8; 16]]) -> Result<(), TurnError> {
    for id in ids {
        tx.sql.prepare_cached("UPDATE pass SET told = 1 WHERE id = ?1")?.execute([id])?;
    }
    see_to(tx, account)
}

/// Blocks somebody, or no more.
pub(crate) fn block(tx: &mut Tx<'_>, account: AccountId, blocked: bool) -> Result<(), TurnError> {
    tx.set_account_flag(account, "blocked", blocked)?;
    see_to(tx, account)
}

/// This account placed an order, here or on another device: its results may always come.
pub(crate) fn order_placed(tx: &mut Tx<'_>, merchant: AccountId, order: OrderId) -> Result<(), TurnError> {
    keep(tx, order.0, merchant, Kind::Order)?;
    see_to(tx, merchant)
}

/// Allows a shop one message, whenever it comes.
pub(crate) fn give_token(tx: &mut Tx<'_>, conversation: &ConversationRow) -> Result<Uid, TurnError> {
    let is_shop = tx.account_row(conversation.peer)?.is_some_and(|row| row.kind == AccountKind::Business);
    if !is_shop {
        return Err(Refused::ConsentNotNeeded.into());
    }
    let token = TokenId(tx.new_id());
    keep(tx, token.0, conversation.peer, Kind::Given)?;
    see_to(tx, conversation.peer)?;
    send::send(tx, conversation, Body::Token(token), None)
}

/// A token came: given by another device of ours, or to this shop.
pub(crate) fn token_came(tx: &mut Tx<'_>, peer: AccountId, token: TokenId, mine: bool) -> Result<(), TurnError> {
    let me = tx.me()?;
    let am_shop = tx.account_row(me.account)?.is_some_and(|own| own.kind == AccountKind::Business);
    match (mine, am_shop) {
        (true, false) => {
            keep(tx, token.0, peer, Kind::Given)?;
            see_to(tx, peer)
        }
        (false, true) => keep(tx, token.0, peer, Kind::Taken),
        // Nobody gives a token to a person.
        (true, true) | (false, false) => Ok(()),
    }
}

/// Whether a message of `peer` may come with this token: we gave it to them, and nothing else came with it.
pub(crate) fn is_good(tx: &Tx<'_>, peer: AccountId, token: TokenId, uid: Uid) -> Result<bool, TurnError> {
    Ok(tx
        .sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM pass WHERE id = ?1 AND peer = ?2 AND mine = 1 AND once = 1
                 AND (used_by IS NULL OR used_by = ?3))",
        )?
        .query_row(params![token.0, peer.0, uid.0], |row| row.get(0))?)
}

/// A message came, or was said, with this token.
pub(crate) fn used(tx: &Tx<'_>, token: TokenId, uid: Uid) -> Result<(), TurnError> {
    tx.sql
        .prepare_cached("UPDATE pass SET used_by = ?2 WHERE id = ?1 AND once = 1 AND used_by IS NULL")?
        .execute(params![token.0, uid.0])?;
    Ok(())
}

/// A token that `peer` gave this shop and that nothing was said with yet, the oldest.
pub(crate) fn unused(tx: &Tx<'_>, peer: AccountId) -> Result<Option<TokenId>, TurnError> {
    let found: Option<[u8; 16]> = tx
        .sql
        .prepare_cached("SELECT id FROM pass WHERE peer = ?1 AND mine = 0 AND used_by IS NULL ORDER BY id LIMIT 1")?
        .query_row([peer.0], |row| row.get(0))
        .optional()?;
    Ok(found.map(TokenId))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Order,
    Given,
    Taken,
}

fn keep(tx: &Tx<'_>, id: [u8; 16], peer: AccountId, kind: Kind) -> Result<(), TurnError> {
    tx.sql
        .prepare_cached("INSERT INTO pass (id, peer, once, mine) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute(params![id, peer.0, kind != Kind::Order, kind != Kind::Taken])?;
    Ok(())
}

fn wanted(peer: &AccountRow) -> wire::Gate {
    match (peer.kind, peer.blocked) {
        // A person who is blocked is not told so by a relay that refuses.
        (AccountKind::Person, _) => wire::Gate::Open,
        (AccountKind::Business, false) => wire::Gate::Window,
        (AccountKind::Business, true) => wire::Gate::Shut,
    }
}

fn name(gate: wire::Gate) -> &'static str {
    match gate {
        wire::Gate::Open => "open",
        wire::Gate::Window => "window",
        wire::Gate::Shut => "shut",
    }
}
