//! Turns about other accounts: adding one from a code, and believing its log.

use comptoir_content::{
    AccountId, AccountLog, BillCode, Body, ContactCode, ConversationId, LogLink, PublicKey, VerifyCode,
};
use comptoir_engine::account::{Account, LogRefused};
use comptoir_engine::outbox::next_try;
use comptoir_engine::{Refused, verify};
use comptoir_wire as wire;

use super::{checkout, members, send};
use crate::error::TurnError;
use crate::store::{AccountRow, ConversationRow, Effect, Question, Tx};

/// Scanned or pasted: this account is trusted from now on, under the newest log entry that the code names.
pub(crate) fn add_contact(tx: &mut Tx<'_>, code: &ContactCode) -> Result<ConversationRow, TurnError> {
    let me = tx.me()?;
    if code.account == me.account {
        return Err(Refused::OwnCode.into());
    }
    match tx.account(code.account)? {
        // Its log speaks for itself, and a code can only say that it has grown. One that contradicts it changes nothing.
        Some(known) => match known.hash_at(code.head.len) {
            Some(hash) if hash != code.head.hash => return Err(Refused::CodeDiffers.into()),
            Some(_) => {}
            None => tx.want_log(code.account, code.head)?,
        },
        None => {
            tx.insert_account(code.account, code.kind, &code.relay)?;
            tx.expect_log(code.account, code.head)?;
        }
    }
    let conversation = tx.conversation_with(me.account, code.account)?;
    ask_for_log(tx, code.account)?;
    members::begin(tx, &conversation)?;
    tx.notify_chat(conversation.uid);
    Ok(conversation)
}

/// The code of a bill was scanned: the shop is met and asked for it, unless it is here already.
pub(crate) fn ask_bill(tx: &mut Tx<'_>, code: &BillCode) -> Result<ConversationRow, TurnError> {
    let conversation = add_contact(tx, &code.shop)?;
    if !checkout::is_offered(tx, code.invoice_hash)? {
        send::send(tx, &conversation, Body::AskBill(code.invoice_hash), None)?;
    }
    Ok(conversation)
}

/// Somebody's verify code was scanned: verified, or why not. A refusal leaves behind that logs may have grown, so that they are
/// there when it is scanned again.
pub(crate) fn check_code(
    tx: &mut Tx<'_>,
    expected: Option<AccountId>,
    code: &VerifyCode,
) -> Result<Result<ConversationId, Refused>, TurnError> {
    let me = tx.me()?;
    let row = tx.account_row(code.account)?;
    let expected = expected.or(row.as_ref().map(|_| code.account));
    let them = row.as_ref().and_then(|row| row.account.as_ref());
    let own = tx.account(me.account)?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    match verify::check(code, &own, expected, them) {
        Ok(()) => {
            tx.set_account_flag(code.account, "verified", true)?;
            Ok(Ok(tx.conversation_with(me.account, code.account)?.uid))
        }
        Err(refused) => {
            if refused == Refused::VerifyBehind {
                // What a contact code made us expect of a log that never came stays as it is.
                if them.is_some() {
                    tx.want_log(code.account, code.head)?;
                }
                ask_for_log(tx, code.account)?;
                tx.effect(Effect::Ask(Question::Log { account: me.account, from: own.head.len }));
            }
            Ok(Err(refused))
        }
    }
}

/// Asks for the log of an account if we lack it or know that it has grown.
pub(crate) fn ask_for_log(tx: &mut Tx<'_>, id: AccountId) -> Result<(), TurnError> {
    let Some(row) = tx.account_row(id)? else {
        return Ok(());
    };
    if row.account.is_none() || row.wanted.is_some() {
        let from = row.account.map_or(0, |account| account.head.len);
        tx.effect(Effect::Ask(Question::Log { account: id, from }));
    }
    Ok(())
}

/// Which logs are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All that something waits for: once with each connection.
    All,
    /// Not those that the relay does not have or that were not believed. Made-up accounts must not use up what we may ask.
    NotRefused,
}

pub(crate) fn ask_for_logs(tx: &mut Tx<'_>, which: Wanted) -> Result<(), TurnError> {
    let wanted: Vec<[u8; 20]> = {
        let mut select = tx.sql.prepare_cached(
            "SELECT id FROM account WHERE (refused IS NULL OR ?1) AND (log IS NULL OR wanted_hash IS NOT NULL
                 OR id IN (SELECT account FROM held WHERE reason = 'account'))",
        )?;
        select.query_map([which == Wanted::All], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for id in wanted {
        let from = tx.account(AccountId(id))?.map_or(0, |account| account.head.len);
        tx.effect(Effect::Ask(Question::Log { account: AccountId(id), from }));
    }
    Ok(())
}

/// The relay gave (part of) an account log. It is verified from the first entry on, and must hold what we saw before and,
/// at first contact, what the scanned code told us to expect.
pub(crate) fn log_arrived(tx: &mut Tx<'_>, id: AccountId, slice: &wire::LogSlice) -> Result<(), TurnError> {
    let Some(row) = tx.account_row(id)? else {
        return Ok(());
    };
    let me = tx.me()?;
    let ours = row.account.as_ref().map_or(0, |account| account.head.len);
    if id == me.account && slice.len < ours {
        // Our own log has grown here and the relay has not heard of it yet.
        tx.effect(Effect::Ask(Question::AppendLog { len: slice.len }));
        return Ok(());
    }
    match believe(&row, id, slice) {
        Ok(None) => {}
        Ok(Some(account)) => {
            tx.save_log(&account)?;
            // A new key, or a log that can be believed again: both show in the list.
            tx.notify_chats();
            super::held::retry_held_of(tx, id)?;
            super::gates::see_to(tx, id)?;
            members::begin_all(tx)?;
        }
        Err(refused) => {
            // Nothing that we believed before is forgotten; no new entry is believed either.
            tracing::warn!(%refused, "an account log was refused");
            tx.refuse_log(id, &refused.to_string())?;
            tx.notify_chats();
        }
    }
    Ok(())
}

/// The relay did not give the log, now: somebody who waits for it asks again later.
pub(crate) fn log_refused(tx: &mut Tx<'_>, id: AccountId, code: wire::ErrorCode) -> Result<(), TurnError> {
    let me = tx.me()?;
    if code == wire::ErrorCode::NotFound && tx.account(id)?.is_none() {
        tx.refuse_log(id, "our relay does not know this account: it may be at another one")?;
        tx.notify_chats();
    }
    let Some(conversation) = tx.conversation(ConversationId::between(me.account, id))? else {
        return Ok(());
    };
    let at = next_try(conversation.failures.saturating_add(1), tx.random.number(), tx.now);
    tx.retry_conversation(conversation.id, Some(at), conversation.failures.saturating_add(1))
}

fn believe(row: &AccountRow, id: AccountId, slice: &wire::LogSlice) -> Result<Option<Account>, LogRefused> {
    let known = row.account.as_ref();
    let seen = known.map_or(0, |account| account.log().links.len());
    if slice.from != seen as u64 {
        return Ok(None); // An answer to an older question.
    }
    let mut links: Vec<LogLink> = known.map(|account| account.log().links.clone()).unwrap_or_default();
    links.extend(slice.entries.iter().map(|entry| LogLink {
        entry: entry.entry.clone(),
        signer: PublicKey(entry.signer),
        signature: entry.signature,
    }));
    // The relay gives the genesis record with the first entry only.
    let genesis = known.map_or_else(|| slice.genesis.clone(), |account| account.log().genesis.clone());
    if known.is_some() && links.len() == seen {
        return Ok(None); // Nothing new.
    }
    let log = AccountLog { genesis, links };
    if log.account() != id {
        return Err(LogRefused::OtherAccount);
    }
    let account = match known {
        Some(known) => known.grow(&log)?,
        None => Account::read(&log)?,
    };
    let fits = row.wanted.is_none_or(|wanted| account.hash_at(wanted.len) == Some(wanted.hash));
    match known {
        // The entry that the scanned code names must be there, with that very hash: nobody can hide it or show another.
        None if !fits => Err(LogRefused::Forked),
        // What the account key signed on top of what we knew is believed whatever others say of it: who speaks of another
        // entry, a device that is being revoked perhaps, must not keep us from hearing of it.
        _ => Ok(Some(account)),
    }
}
