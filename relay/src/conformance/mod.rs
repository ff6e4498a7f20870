//! The contract of every [`RelayStore`], as one function that a test calls with a way to open stores.
//!
//! It panics where a store breaks the contract. What it checks is what a device can rely on: accepted means stored,
//! numbers are dense, a repeated question gets the first answer, and of two askers exactly one wins.

#![allow(clippy::unwrap_used, reason = "this is a test suite that other crates can call")]

mod accounts;
mod gates;
mod key_packages;
mod mailboxes;
mod order;
mod push;
mod upkeep;

use std::future::Future;

use comptoir_wire::{
    AccountId, ConversationId, DepositOutcome, DepositStatus, DeviceId, Envelope, EnvelopeKind, NewAccount,
    SignedEntry, Uid,
};

use crate::membership::between;
use crate::store::{Created, RelayStore, Retention, Sender};

/// What the stores of this suite hold: small, so that limits are reached.
pub const RETENTION: Retention = Retention {
    messages_max: 20,
    bytes_max: 4_096,
    keep_ms: 30 * DAY_MS,
    key_packages_max: 5,
    devices_max: 3,
    knock_within_ms: 0,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const NOW_MS: i64 = 1_800_000_000_000;

/// Runs the whole contract.
///
/// `open` opens the store of a name with [`RETENTION`]: an empty one at first, and later the same one again, after the
/// earlier handle was dropped without being closed.
///
/// # Panics
/// Where the store breaks the contract.
pub async fn run<S, F, Opening>(open: F)
where
    S: RelayStore,
    F: Fn(&'static str) -> Opening,
    Opening: Future<Output = S>,
{
    accounts::an_account_is_created_once(&open("create").await).await;
    accounts::a_device_belongs_to_one_account(&open("devices").await).await;
    accounts::a_removed_device_is_gone_for_good(&open("remove").await).await;
    accounts::a_log_grows_by_compare_and_swap(&open("log").await).await;
    mailboxes::numbers_are_dense_and_order_is_kept(&open("dense").await).await;
    mailboxes::a_repeated_deposit_gets_the_first_answer(&open("duplicate").await).await;
    mailboxes::what_is_acknowledged_is_forgotten_and_nothing_else(&open("ack").await).await;
    mailboxes::a_full_mailbox_says_so_until_there_is_room(&open("full").await).await;
    mailboxes::a_fetch_keeps_its_limits_and_always_gets_on(&open("fetch").await).await;
    gates::a_gate_is_open_for_a_window_after_each_action(&open("window").await).await;
    gates::a_shut_gate_keeps_everything_out_but_changes_and_a_few_marks(&open("shut").await).await;
    gates::a_pass_opens_a_closed_gate(&open("pass").await).await;
    gates::one_token_reaches_all_devices_of_who_gave_it(&open("token").await).await;
    gates::the_newest_thing_that_a_device_said_is_known(&open("said").await).await;
    mailboxes::strange_numbers_survive(&open("numbers").await).await;
    key_packages::each_is_given_once(&open("packages").await).await;
    key_packages::eight_claimers_never_share_one(&open("claimers").await).await;
    key_packages::the_newest_stay(&open("newest").await).await;
    order::a_generation_follows_the_one_before_or_comes_later(&open("generations").await).await;
    order::one_commit_wins_an_epoch(&open("epochs").await).await;
    order::sixteen_committers_have_one_winner(&open("race").await).await;
    order::old_epochs_are_stale(&open("stale").await).await;
    push::an_absence_owes_one_wake_up(&open("absence").await).await;
    push::a_wake_up_that_brought_nobody_is_owed_again_an_hour_later(&open("reminders").await).await;
    push::a_clock_that_was_wrong_loses_no_wake_up(&open("clocks").await).await;
    push::an_old_connection_does_not_speak_for_a_newer_one(&open("visits").await).await;
    push::a_wake_up_is_tried_again_and_given_up(&open("tries").await).await;
    push::where_to_knock_is_forgotten(&open("targets").await).await;
    push::what_is_owed_is_owed_after_a_crash(&open).await;
    upkeep::the_oldest_expires_first_and_leaves_no_gap(&open("expiry").await).await;
    upkeep::memories_fade_after_the_retention_time(&open("memories").await).await;
    upkeep::a_sweep_takes_a_bounded_bite(&open("bite").await).await;
    upkeep::quotas_are_taken_from_all_or_none(&open("quotas").await).await;
    upkeep::a_crowd_of_keys_refuses_nobody(&open("crowd").await).await;
    upkeep::health_counts(&open("health").await).await;
    upkeep::a_closed_store_refuses(&open("closed").await).await;
    mailboxes::what_was_accepted_is_there_after_a_crash(&open).await;
}

fn device(n: u8) -> DeviceId {
    DeviceId([n; 16])
}

fn account(n: u8) -> AccountId {
    AccountId([n; 20])
}

/// The conversation of account 1, who sends everything here, and account `n + 1`.
fn conversation(n: u8) -> ConversationId {
    between(account(1), account(n + 1))
}

fn uid(n: u16) -> Uid {
    let mut uid = Uid([7; 16]);
    uid.0[14..].copy_from_slice(&n.to_be_bytes());
    uid
}

/// The device of account `n`.
fn sender(n: u8) -> Sender {
    Sender { account: account(n), device: device(n) }
}

fn entry(n: u8) -> SignedEntry {
    SignedEntry { entry: vec![n; 40], signature: [n; 64], signer: [n; 32], next_key: None }
}

fn new_account(n: u8) -> NewAccount {
    NewAccount {
        genesis: vec![n; 60],
        log_key: [n; 32],
        recovery_hash: [n ^ 0xff; 32],
        entries: vec![entry(n), entry(n + 100)],
        device: device(n),
        device_key: [n; 32],
    }
}

/// An envelope of 100 bytes in conversation 1, generation 0, epoch 1.
fn envelope(to: u8, n: u16) -> Envelope {
    Envelope {
        to: device(to),
        uid: uid(n),
        conversation: conversation(1),
        generation: 0,
        epoch: 1,
        kind: EnvelopeKind::Message,
        urgent: n.is_multiple_of(2),
        ttl_s: 0,
        sealed: n.to_be_bytes().repeat(50),
        pass: None,
    }
}

/// Accounts 1 to `n`, each with the device of the same number.
async fn people<S: RelayStore>(store: &S, n: u8) {
    for n in 1..=n {
        assert_eq!(store.create_account(account(n), new_account(n)).await.unwrap(), Created::Done);
    }
}

async fn deposit_one<S: RelayStore>(store: &S, envelope: Envelope, now_ms: i64) -> DepositOutcome {
    let outcomes = store.deposit(sender(1), vec![envelope], now_ms).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes[0]
}

fn accepted(now_ms: i64) -> DepositOutcome {
    DepositOutcome { status: DepositStatus::Accepted, accepted_at_ms: now_ms.cast_unsigned() }
}

fn duplicate(now_ms: i64) -> DepositOutcome {
    DepositOutcome { status: DepositStatus::Duplicate, accepted_at_ms: now_ms.cast_unsigned() }
}

fn not_taken(status: DepositStatus) -> DepositOutcome {
    DepositOutcome { status, accepted_at_ms: 0 }
}

/// The numbers in a device's mailbox.
async fn seqs<S: RelayStore>(store: &S, n: u8) -> Vec<u64> {
    let items = store.fetch(device(n), 0, 1_000, usize::MAX).await.unwrap();
    items.into_iter().map(|item| item.seq).collect()
}
