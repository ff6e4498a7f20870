//! Turns about what arrives: opened, verified, told from duplicates and applied in one transaction, acknowledged after it.

use std::cmp::Ordering;
use std::collections::HashMap;

use comptoir_content::{AccountId, Basis, Body, Content, ConversationId, Marks, Profile, Signed, Timestamp, Uid};
use comptoir_engine::account::Account;
use comptoir_engine::consent::{self, Facts, Weight};
use comptoir_engine::conversation;
use comptoir_engine::inbox::{self, Arrival, Said};
use comptoir_engine::session::{Group, Opened, Roster, SessionError};
use comptoir_engine::{Refused, limits, profile};
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, params};
use comptoir_wire as wire;

use super::{account, checkout, contacts, gates, held, members, renewal, resend, send};
use crate::error::TurnError;
use crate::store::{ConversationRow, Effect, NewMessage, Tx};

/// An envelope as it came, from the relay or from among those that were held.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) conversation: ConversationId,
    pub(crate) generation: u32,
    pub(crate) kind: wire::EnvelopeKind,
    pub(crate) sealed: Vec<u8>,
    pub(crate) accepted_at: Timestamp,
}

impl Arrived {
    pub(super) fn of(item: &wire::Item) -> Self {
        Self {
            conversation: ConversationId(item.envelope.conversation.0),
            generation: item.envelope.generation,
            kind: item.envelope.kind,
            sealed: item.envelope.sealed.clone(),
            accepted_at: Timestamp(i64::try_from(item.accepted_at_ms).unwrap_or(i64::MAX)),
        }
    }
}

/// What to tell the other side about, after a batch.
#[derive(Default)]
pub(crate) struct News {
    delivered: HashMap<ConversationId, Vec<Uid>>,
}

/// Takes a batch as a whole. Any error means: nothing of it happened; then [`receive_one`] for each.
pub(crate) fn receive_batch(tx: &mut Tx<'_>, items: &[wire::Item]) -> Result<(), TurnError> {
    let mut news = News::default();
    let mut seq = tx.kv_u64("relay.seq")?;
    for item in items {
        if item.seq <= seq {
            continue;
        }
        follows(item, seq)?;
        open(tx, &Arrived::of(item), &mut news)?;
        seq = item.seq;
    }
    finish(tx, news, seq)
}

/// The numbers of a mailbox are dense: whatever is missing was never stored here.
fn follows(item: &wire::Item, seq: u64) -> Result<(), TurnError> {
    if seq.checked_add(1) == Some(item.seq) { Ok(()) } else { Err(TurnError::Gap) }
}

/// Takes one envelope whatever comes of it: applied, or kept for later with the reason.
pub(crate) fn receive_one(tx: &mut Tx<'_>, item: &wire::Item) -> Result<(), TurnError> {
    let seq = tx.kv_u64("relay.seq")?;
    if item.seq <= seq {
        return Ok(());
    }
    follows(item, seq)?;
    let mut news = News::default();
    open(tx, &Arrived::of(item), &mut news)?;
    finish(tx, news, item.seq)
}

pub(super) fn finish(tx: &mut Tx<'_>, news: News, seq: u64) -> Result<(), TurnError> {
    for (uid, delivered) in news.delivered {
        if let Some(conversation) = tx.conversation(uid)? {
            send::send_marks(tx, &conversation, Marks { delivered, read_upto: None })?;
        }
    }
    tx.set_kv_u64("relay.seq", seq)?;
    tx.effect(Effect::Ack(seq));
    Ok(())
}

pub(super) fn open(tx: &mut Tx<'_>, arrived: &Arrived, news: &mut News) -> Result<(), TurnError> {
    match arrived.kind {
        wire::EnvelopeKind::Welcome => join(tx, arrived),
        wire::EnvelopeKind::Message | wire::EnvelopeKind::Commit => open_sealed(tx, arrived, news),
    }
}

/// An invitation into a conversation, or into a newer generation of one.
#[allow(clippy::wildcard_enum_match_arm, reason = "one state needs care here, the others are the machine's")]
fn join(tx: &mut Tx<'_>, arrived: &Arrived) -> Result<(), TurnError> {
    let me = tx.me()?;
    if let Some(group) = tx.group(arrived.conversation, arrived.generation)? {
        let known = tx.conversation(arrived.conversation)?;
        let opening = conversation::Conversation::Opening { generation: arrived.generation };
        match known {
            // Both opened at once and the relay took theirs: make room for it.
            Some(known) if known.state == opening => group.delete(&tx.mls)?,
            known => {
                let find = |id: AccountId| tx.account(id).ok().flatten();
                let is_forked = group.is_forked_by(&tx.mls, &me, &arrived.sealed, &find)?;
                tx.keep_group(group);
                return match known {
                    Some(known) if is_forked => {
                        account::key_package_used(tx)?;
                        members::was_forgotten(tx, &known)
                    }
                    // Invited twice.
                    Some(_) | None => Ok(()),
                };
            }
        }
    }
    let (group, _inviter) = {
        let find = |id: AccountId| tx.account(id).ok().flatten();
        Group::join(&tx.mls, &me, &arrived.sealed, &find)?
    };
    if group.conversation != arrived.conversation || group.generation != arrived.generation {
        return Err(SessionError::Member { why: "the envelope names another conversation" }.into());
    }
    let peer = group.members().map(|member| member.account).find(|account| *account != me.account);
    let peer = peer.ok_or(SessionError::Member { why: "nobody else is there" })?;
    let generation = group.generation;
    tx.keep_group(group);
    account::key_package_used(tx)?;
    let conversation = tx.conversation_with(me.account, peer)?;
    let state = match conversation.state {
        // The group that was ours is gone already.
        conversation::Conversation::Opening { generation: ours } if ours == generation => {
            members::unseal_all(tx, conversation.id)?;
            let state = conversation::Conversation::Open { generation };
            tx.save_conversation_state(conversation.id, state)?;
            state
        }
        _ => members::moved(tx, &conversation, conversation::Input::Joined { generation })?,
    };
    renewal::renewed(tx, conversation.id)?;
    if let conversation::Conversation::Open { generation: before }
    | conversation::Conversation::Lost { generation: before } = conversation.state
    {
        match before.cmp(&generation) {
            Ordering::Less => resend::replaced(tx, conversation.id, generation)?,
            Ordering::Equal => {}
            Ordering::Greater => members::was_forgotten(tx, &conversation)?,
        }
    }
    if state == (conversation::Conversation::Open { generation }) {
        send::seal_queued(tx, conversation.id)?;
        tx.effect(Effect::Flush);
    }
    tx.notify_chat(conversation.uid);
    held::retry_held_in(tx, &conversation);
    Ok(())
}

fn open_sealed(tx: &mut Tx<'_>, arrived: &Arrived, news: &mut News) -> Result<(), TurnError> {
    let Some(conversation) = tx.conversation(arrived.conversation)? else {
        return Err(SessionError::Early.into());
    };
    let Some(mut group) = tx.group(arrived.conversation, arrived.generation)? else {
        return Err(SessionError::Early.into());
    };
    let me = tx.me()?;
    let logs = [tx.account(me.account)?, tx.account(conversation.peer)?];
    let find = |id| logs.iter().flatten().find(|account| account.id == id).cloned();
    let allowed = [me.account, conversation.peer];
    let opened = group.open(&tx.mls, &arrived.sealed, &Roster { allowed: &allowed, find: &find })?;
    match opened {
        Opened::Message { sender, plaintext } => {
            tx.keep_group(group);
            renewal::used(tx, &conversation, 0)?;
            let account = find(sender.account).ok_or(SessionError::UnknownAccount(sender.account))?;
            let said = match (inbox::Opened { sender, plaintext }).verify(&account) {
                Ok(said) => said,
                Err(error) => {
                    tracing::warn!(%error, "a message was refused");
                    return Ok(());
                }
            };
            match said.dedupe(|sender, uid| tx.is_known(sender.account, uid))? {
                Arrival::Duplicate(_) => Ok(()),
                Arrival::New(said) => apply(tx, &conversation, &account, *said, arrived.accepted_at, news),
            }
        }
        Opened::Commit { staged, .. } => {
            let ours: Option<i64> = tx
                .sql
                .prepare_cached(
                    "SELECT id FROM outbox WHERE conversation = ?1 AND kind <> 'message' AND kind = 'commit'",
                )?
                .query_row([conversation.id], |row| row.get(0))
                .optional()?;
            group.merge(&tx.mls, *staged)?;
            let active = group.is_active();
            tx.keep_group(group);
            if let Some(ours) = ours {
                // Theirs was first; ours is void, and made again if it is still needed.
                tx.delete_outbox(ours)?;
            }
            if active {
                members::begin(tx, &conversation)?;
            } else {
                members::moved(tx, &conversation, conversation::Input::Removed)?;
            }
            held::retry_held_in(tx, &conversation);
            Ok(())
        }
    }
}

/// A new message of a member: judged, stored, and handed to whom it concerns.
#[allow(clippy::wildcard_enum_match_arm, reason = "only these kinds prove something")]
fn apply(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    sender: &Account,
    said: Said,
    accepted_at: Timestamp,
    news: &mut News,
) -> Result<(), TurnError> {
    let me = tx.me()?;
    let content = said.content;
    let mine = sender.id == me.account;
    if let Some(head) = content.head.filter(|head| head.len > sender.head.len) {
        tx.want_log(sender.id, head)?;
        contacts::ask_for_log(tx, sender.id)?;
    }
    let weight = consent::weight(&content.body);
    let mut verdict = if mine { Ok(()) } else { judge(tx, conversation, sender, &content, weight, accepted_at)? };
    // A receipt or a refund is shown only once it holds for an order of ours.
    let proof = match &content.body {
        Body::Receipt(file) if !mine => Some(checkout::receipt_arrived(tx, file)?),
        Body::Refund(refund) if !mine => Some(checkout::refund_arrived(tx, refund)?),
        // A bill that was asked for twice is one bill.
        Body::Invoice(invoice) if !mine && verdict.is_ok() && checkout::is_offered(tx, invoice.hash())? => {
            Some(checkout::Proof::Again)
        }
        _ => None,
    };
    let mut is_again = false;
    match proof {
        Some(checkout::Proof::Refused(refused)) => verdict = Err(refused),
        Some(checkout::Proof::Again) => is_again = true,
        Some(checkout::Proof::New) | None => {}
    }
    let is_words = weight == Weight::Words && !matches!(content.body, Body::OrderPlaced(_));
    // A question about a payment is silent in the thread, but a till has to find it. A proof is shown once, however often
    // the shop sends it.
    let silent = is_again || weight == Weight::Silent && !matches!(content.body, Body::AskPayment(_));
    let message = match (silent, &verdict) {
        (true, _) => {
            tx.remember_heard(sender.id, content.uid)?;
            None
        }
        (false, verdict) => Some(tx.insert_message(
            conversation.id,
            &NewMessage {
                sender: sender.id,
                mine,
                state: match (verdict, mine) {
                    (Err(_), _) => "held",
                    (Ok(()), true) => "sent",
                    (Ok(()), false) => "received",
                },
                unread: !mine && verdict.is_ok() && is_words,
                accepted_at,
                why: verdict.as_ref().err().map(Refused::key),
                content: &content,
            },
        )?),
    };
    if verdict.is_err() {
        tx.notify_chat(conversation.uid);
        return Ok(());
    }
    if let Some(Basis::Token(token)) = content.basis {
        gates::used(tx, token, content.uid)?;
    }
    if !mine && is_words {
        news.delivered.entry(conversation.uid).or_default().push(content.uid);
    }
    if !mine && weight == Weight::Words {
        tx.sql
            .prepare_cached("UPDATE conversation SET last_action = ?2, last_action_at = ?3 WHERE id = ?1")?
            .execute(params![conversation.id, content.uid.0, accepted_at.min(tx.now).0])?;
    }
    match content.body {
        Body::Marks(marks) if mine => read_elsewhere(tx, conversation, &marks)?,
        Body::Marks(marks) => send::marked(tx, conversation, &marks)?,
        Body::Hello(profile) if !mine => introduced(tx, sender, &profile)?,
        Body::Invoice(invoice) => {
            if let Some(message) = message {
                checkout::invoice_arrived(tx, conversation, message, &invoice)?;
            }
        }
        Body::OrderPlaced(order) if mine => {
            gates::order_placed(tx, conversation.peer, order.order)?;
            checkout::placed_elsewhere(tx, *order)?;
        }
        Body::Token(token) => gates::token_came(tx, conversation.peer, token, mine)?,
        Body::PaymentAnswer(answer) => checkout::answered(tx, &answer)?,
        Body::Receipt(_)
        | Body::Refund(_)
        | Body::Text(_)
        | Body::Tap(_)
        | Body::Card(_)
        | Body::Unknown
        | Body::Hello(_)
        | Body::OrderPlaced(_)
        | Body::AskBill(_)
        | Body::AskPayment(_) => {}
    }
    tx.notify_chat(conversation.uid);
    Ok(())
}

/// The rules that this device holds a message of somebody else to.
fn judge(
    tx: &Tx<'_>,
    conversation: &ConversationRow,
    sender: &Account,
    content: &Content,
    weight: Weight,
    accepted_at: Timestamp,
) -> Result<Result<(), Refused>, TurnError> {
    let row = tx.account_row(sender.id)?.ok_or(TurnError::NotFound { what: "account" })?;
    let (mut action_accepted_at, mut order_is_ours, mut token_is_good) = (None, false, false);
    match content.basis {
        Some(Basis::Action(uid)) => {
            let at: Option<i64> = tx
                .sql
                .prepare_cached("SELECT accepted_at FROM message WHERE uid = ?1 AND mine = 1 AND id >> 36 = ?2")?
                .query_row(params![uid.0, conversation.id], |row| row.get(0))
                .optional()?;
            // Not accepted by our own copy yet: the answer overtook the acknowledgement. The relay has just had it.
            action_accepted_at = at.map(|at| if at == 0 { accepted_at } else { Timestamp(at) });
        }
        Some(Basis::Order(order)) => {
            order_is_ours = tx
                .sql
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM checkout WHERE order_id = ?1 AND merchant = ?2)")?
                .query_row(params![order.0, sender.id.0], |row| row.get(0))?;
        }
        Some(Basis::Token(token)) => token_is_good = gates::is_good(tx, sender.id, token, content.uid)?,
        None => {}
    }
    let facts = Facts {
        sender: sender.kind,
        blocked: row.blocked,
        basis: content.basis,
        action_accepted_at,
        order_is_ours,
        token_is_good,
        sent_at: content.sent_at,
        accepted_at,
    };
    Ok(consent::judge(weight, &facts).and_then(|()| limits::check_body(&content.body, &content.fallback, sender.kind)))
}

/// Another device of ours read this conversation.
fn read_elsewhere(tx: &mut Tx<'_>, conversation: &ConversationRow, marks: &Marks) -> Result<(), TurnError> {
    let Some(upto) = marks.read_upto else {
        return Ok(());
    };
    let (low, high) = (conversation.id << 36, (conversation.id + 1) << 36);
    tx.sql
        .prepare_cached(
            "UPDATE message SET unread = 0 WHERE unread = 1 AND id >= ?1 AND id < ?2
             AND id <= coalesce((SELECT id FROM message WHERE uid = ?3 AND sender = ?4), 0)",
        )?
        .execute(params![low, high, upto.0, conversation.peer.0])?;
    Ok(())
}

/// A business says who it is. Only its account key can, and an older profile never replaces a newer one.
fn introduced(tx: &mut Tx<'_>, sender: &Account, signed: &Signed<Profile>) -> Result<(), TurnError> {
    let Ok(profile) = signed.verify() else {
        return Ok(());
    };
    if let Err(refused) = profile::check(&profile, sender) {
        tracing::warn!(%refused, "a profile was refused");
        return Ok(());
    }
    let revision = i64::try_from(profile.revision).unwrap_or(i64::MAX);
    tx.sql
        .prepare_cached(
            "UPDATE account SET profile = ?2, profile_revision = ?3, name = ?4 WHERE id = ?1 AND profile_revision <= ?3",
        )?
        .execute(params![sender.id.0, signed.encode(), revision, profile.name])?;
    Ok(())
}
