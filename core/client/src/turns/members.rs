//! Turns about who is in a conversation: opening its first group, and keeping the devices in it those of the logs.

use comptoir_content::{AccountId, ConversationId, DeviceId, Marks, Uid};
use comptoir_engine::conversation::{self, Conversation};
use comptoir_engine::outbox::next_try;
use comptoir_engine::session::{Group, Invitee, Roster, SessionError, read_key_package};
use comptoir_sqlcipher::rusqlite::params;
use comptoir_wire as wire;

use crate::error::TurnError;
use crate::store::{ConversationRow, Effect, Question, Tx};

/// Looks at all conversations that could need a group or a device.
pub(crate) fn begin_all(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    let ids: Vec<i64> = {
        let mut select = tx.sql.prepare_cached("SELECT id FROM conversation ORDER BY last_at DESC")?;
        select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for id in ids {
        let conversation = tx.conversation_by_id(id)?;
        begin(tx, &conversation)?;
    }
    Ok(())
}

/// Asks for the key packages of devices that should be in the conversation and are not; removes those that were revoked.
pub(crate) fn begin(tx: &mut Tx<'_>, conversation: &ConversationRow) -> Result<(), TurnError> {
    let me = tx.me()?;
    let Some(peer) = tx.account(conversation.peer)? else {
        return super::contacts::ask_for_log(tx, conversation.peer);
    };
    let own = tx.account(me.account)?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    let wanted = |member: &DeviceId| *member != me.device;
    let mut missing: Vec<DeviceId> =
        peer.active_devices().chain(own.active_devices()).map(|device| device.device).filter(wanted).collect();
    match conversation.state {
        Conversation::Absent | Conversation::Lost { .. } => {
            let queued: bool = tx
                .sql
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM outbox WHERE conversation = ?1)")?
                .query_row([conversation.id], |row| row.get(0))?;
            if !queued {
                return Ok(());
            }
        }
        Conversation::Opening { .. } | Conversation::Awaiting { .. } => return Ok(()),
        Conversation::Open { generation } => {
            let Some(mut group) = tx.group(conversation.uid, generation)? else {
                return Ok(());
            };
            let inside: Vec<_> = group.members().collect();
            missing.retain(|device| !inside.iter().any(|member| member.device == *device));
            let revoked: Vec<DeviceId> = inside
                .iter()
                .filter(|member| {
                    let account = if member.account == me.account { &own } else { &peer };
                    !account.has_device(member.device, member.key)
                })
                .map(|member| member.device)
                .collect();
            if !revoked.is_empty() && group.is_active() && !has_commit(tx, conversation.id)? {
                let change = group.remove(&tx.mls, &me, &revoked)?;
                let stay = inside.iter().map(|member| member.device);
                let stay: Vec<DeviceId> = stay.filter(|device| wanted(device) && !revoked.contains(device)).collect();
                queue_change(tx, conversation, "commit", &group, change, &stay, &[])?;
                tx.keep_group(group);
                return Ok(());
            }
            tx.keep_group(group);
        }
    }
    if !missing.is_empty() {
        missing.truncate(wire::limits::CLAIMS_PER_FRAME_MAX);
        tx.effect(Effect::Ask(Question::Claim { conversation: conversation.uid, devices: missing }));
    }
    Ok(())
}

pub(super) fn has_commit(tx: &Tx<'_>, conversation: i64) -> Result<bool, TurnError> {
    Ok(tx
        .sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox
                 WHERE conversation = ?1 AND kind <> 'message' AND kind IN ('open', 'commit'))",
        )?
        .query_row([conversation], |row| row.get(0))?)
}

/// The relay gave key packages: open the conversation with them, or invite the devices into it.
pub(crate) fn claimed(
    tx: &mut Tx<'_>,
    uid: ConversationId,
    devices: &[DeviceId],
    claimed: Vec<wire::Claimed>,
) -> Result<(), TurnError> {
    let Some(conversation) = tx.conversation(uid)? else {
        return Ok(());
    };
    let me = tx.me()?;
    let invitees = read_invitees(tx, &conversation, me.account, devices, claimed)?;
    let reaches_peer = invitees.iter().any(|invitee| invitee.member.account == conversation.peer);
    match conversation.state {
        Conversation::Absent | Conversation::Lost { .. } if reaches_peer => {
            tx.retry_conversation(conversation.id, None, 0)?;
            let step = conversation::step(conversation.state, conversation::Input::Start)?;
            open(tx, &conversation, &step, invitees)
        }
        Conversation::Open { generation } if !invitees.is_empty() && !has_commit(tx, conversation.id)? => {
            tx.retry_conversation(conversation.id, None, 0)?;
            let Some(mut group) = tx.group(uid, generation)? else {
                return Ok(());
            };
            let inside: Vec<DeviceId> = group.members().map(|member| member.device).collect();
            let mut invitees = invitees;
            invitees.retain(|invitee| !inside.contains(&invitee.member.device));
            if invitees.is_empty() || !group.is_active() {
                tx.keep_group(group);
                return Ok(());
            }
            let invited: Vec<DeviceId> = invitees.iter().map(|invitee| invitee.member.device).collect();
            let change = group.invite(&tx.mls, &me, invitees)?;
            let stay: Vec<DeviceId> = inside.into_iter().filter(|device| *device != me.device).collect();
            queue_change(tx, &conversation, "commit", &group, change, &stay, &invited)?;
            tx.keep_group(group);
            Ok(())
        }
        Conversation::Absent | Conversation::Lost { .. } | Conversation::Open { .. } => {
            // Nobody to be had now. A device that publishes key packages later is found then.
            let at = next_try(conversation.failures.saturating_add(1), tx.random.number(), tx.now);
            tx.retry_conversation(conversation.id, Some(at), conversation.failures.saturating_add(1))
        }
        Conversation::Opening { .. } | Conversation::Awaiting { .. } => Ok(()),
    }
}

fn read_invitees(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    me: AccountId,
    devices: &[DeviceId],
    claimed: Vec<wire::Claimed>,
) -> Result<Vec<Invitee>, TurnError> {
    let logs = [tx.account(me)?, tx.account(conversation.peer)?];
    let find = |id| logs.iter().flatten().find(|account| account.id == id).cloned();
    let allowed = [me, conversation.peer];
    let roster = Roster { allowed: &allowed, find: &find };
    let mut invitees = Vec::new();
    for (device, claimed) in devices.iter().zip(claimed) {
        let (wire::Claimed::Fresh(package) | wire::Claimed::LastResort(package)) = claimed else {
            continue;
        };
        match read_key_package(&tx.mls, &package, *device, &roster) {
            Ok(invitee) => invitees.push(invitee),
            Err(SessionError::Store { doing, reason }) => return Err(SessionError::Store { doing, reason }.into()),
            // A package that does not hold is as good as none.
            Err(error) => tracing::warn!(%error, "a key package was refused"),
        }
    }
    Ok(invitees)
}

/// Carries out what the conversation machine decided, where it creates a group.
fn open(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    step: &conversation::Step,
    invitees: Vec<Invitee>,
) -> Result<(), TurnError> {
    let me = tx.me()?;
    let mut invitees = Some(invitees);
    for effect in &step.effects {
        match *effect {
            conversation::Effect::CreateGroup { generation } => {
                let invitees = invitees.take().unwrap_or_default();
                let invited: Vec<DeviceId> = invitees.iter().map(|invitee| invitee.member.device).collect();
                let (group, change) = Group::create(&tx.mls, &me, conversation.uid, generation, invitees)?;
                queue_change(tx, conversation, "open", &group, change, &[], &invited)?;
                tx.keep_group(group);
                super::resend::replaced(tx, conversation.id, generation)?;
            }
            conversation::Effect::DropGroup { generation } => drop_group(tx, conversation.uid, generation)?,
            conversation::Effect::SealAgain => unseal_all(tx, conversation.id)?,
        }
    }
    tx.save_conversation_state(conversation.id, step.next)?;
    super::send::seal_queued(tx, conversation.id)?;
    tx.effect(Effect::Flush);
    Ok(())
}

/// Queues a change of a group for the relay to order: the commit for those who stay, the Welcome for those invited.
pub(super) fn queue_change(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    kind: &str,
    group: &Group,
    change: comptoir_engine::session::Change,
    stay: &[DeviceId],
    invited: &[DeviceId],
) -> Result<(), TurnError> {
    let uid = Uid(tx.new_id());
    let row = tx.insert_outbox(conversation.id, kind, uid)?;
    tx.sql
        .prepare_cached(
            "UPDATE outbox SET sealed = ?2, welcome = ?3, generation = ?4, epoch = ?5, token = ?6, next_token_hash = ?7
             WHERE id = ?1",
        )?
        .execute(params![
            row,
            change.commit,
            change.welcome,
            group.generation,
            i64::try_from(group.epoch()).unwrap_or(i64::MAX),
            *change.token,
            change.next_token_hash
        ])?;
    for device in stay {
        tx.add_recipient(row, *device, false)?;
    }
    for device in invited {
        tx.add_recipient(row, *device, true)?;
    }
    tx.effect(Effect::Flush);
    Ok(())
}

pub(crate) fn drop_group(tx: &mut Tx<'_>, uid: ConversationId, generation: u32) -> Result<(), TurnError> {
    if let Some(group) = tx.group(uid, generation)? {
        group.delete(&tx.mls)?;
    }
    Ok(())
}

/// Takes the seals off everything unsent, so that it can be sealed again in another group under the same uids.
pub(crate) fn unseal_all(tx: &mut Tx<'_>, conversation: i64) -> Result<(), TurnError> {
    tx.sql
        .prepare_cached("DELETE FROM outbox WHERE conversation = ?1 AND kind <> 'message'")?
        .execute([conversation])?;
    tx.sql
        .prepare_cached("DELETE FROM outbox_recipient WHERE outbox IN (SELECT id FROM outbox WHERE conversation = ?1)")?
        .execute([conversation])?;
    tx.sql.prepare_cached("UPDATE outbox SET sealed = NULL WHERE conversation = ?1")?.execute([conversation])?;
    Ok(())
}

/// Envelopes that wait so long for something before them wait in vain: ten minutes, in milliseconds.
const EARLY_PATIENCE_MS: i64 = 600_000;

/// Envelopes of a conversation that wait for their epoch or their invitation.
const EARLY: &str = "held JOIN conversation ON conversation.uid = held.conversation
     WHERE held.reason = 'early' AND conversation.state IN ('open', 'lost') AND held.generation >= conversation.generation";

/// When the oldest of them will have waited in vain.
pub(crate) fn catch_up_alarm() -> String {
    format!("SELECT min(received_at) + {EARLY_PATIENCE_MS} FROM {EARLY}")
}

/// Looks for conversations whose others are where this device never gets to: a commit that it cannot read, or a generation
/// it was not invited into. They begin another one.
pub(crate) fn catch_up(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    let behind: Vec<i64> = {
        let mut select = tx
            .sql
            .prepare_cached(&format!("SELECT DISTINCT conversation.id FROM {EARLY} AND held.received_at <= ?1"))?;
        select.query_map([tx.now.plus_ms(-EARLY_PATIENCE_MS).0], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for id in behind {
        let uid = tx.conversation_by_id(id)?.uid;
        tx.sql
            .prepare_cached("UPDATE held SET reason = 'unreadable' WHERE conversation = ?1 AND reason = 'early'")?
            .execute([uid.0])?;
        fell_behind(tx, id)?;
    }
    Ok(())
}

/// The groups of this store have gone on without it: each of its conversations begins another generation.
pub(crate) fn begin_anew(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    begun(tx)?.into_iter().try_for_each(|id| fell_behind(tx, id))
}

/// Conversations with a group that this device seals in.
fn begun(tx: &Tx<'_>) -> Result<Vec<i64>, TurnError> {
    let mut select = tx.sql.prepare_cached("SELECT id FROM conversation WHERE state IN ('open', 'opening')")?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The relay was put back to an older copy, so it could not say whether this store was as well, and what this device said by which
/// the relay would know. Nothing is sealed with ratchets that may have been used: whoever speaks next in a conversation begins
/// another generation of it.
pub(crate) fn begin_anew_when_spoken_in(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    for id in begun(tx)? {
        let row = tx.conversation_by_id(id)?;
        moved(tx, &row, conversation::Input::FellBehind)?;
    }
    Ok(())
}

/// This device will not catch up by waiting: another generation. Something silent is said in it, so that it begins also
/// when nothing waits to be said.
pub(crate) fn fell_behind(tx: &mut Tx<'_>, conversation: i64) -> Result<(), TurnError> {
    let row = tx.conversation_by_id(conversation)?;
    moved(tx, &row, conversation::Input::FellBehind)?;
    let row = tx.conversation_by_id(conversation)?;
    super::send::send_marks(tx, &row, Marks { delivered: Vec::new(), read_upto: None })
}

/// A member invited this device to where the conversation was long ago, or had not begun: that member was put back to an older copy,
/// and the relay as well, which would have told it so. Another generation finds them.
pub(super) fn was_forgotten(tx: &mut Tx<'_>, conversation: &ConversationRow) -> Result<(), TurnError> {
    match conversation.state {
        Conversation::Open { .. } | Conversation::Lost { .. } => fell_behind(tx, conversation.id),
        // Another generation is on its way.
        Conversation::Absent | Conversation::Opening { .. } | Conversation::Awaiting { .. } => Ok(()),
    }
}

/// What an answer of the relay or an invitation did to the conversation.
pub(crate) fn moved(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    input: conversation::Input,
) -> Result<Conversation, TurnError> {
    let step = conversation::step(conversation.state, input)?;
    for effect in &step.effects {
        match *effect {
            conversation::Effect::DropGroup { generation } => drop_group(tx, conversation.uid, generation)?,
            conversation::Effect::SealAgain => unseal_all(tx, conversation.id)?,
            // Only `Start` creates groups, and that comes through `claimed`.
            conversation::Effect::CreateGroup { .. } => return Err(TurnError::Corrupt { what: "conversation" }),
        }
    }
    tx.save_conversation_state(conversation.id, step.next)?;
    Ok(step.next)
}
