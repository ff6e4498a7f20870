//! Gates, passes, and what a store remembers of a sender.

use comptoir_wire::{DepositStatus, Envelope, EnvelopeKind, Gate, Pass};
use ring::digest::{SHA256, digest};

use super::{NOW_MS, account, conversation, device, envelope, people, sender, uid};
use crate::gate::{QUIET_MAX, WINDOW_MS};
use crate::store::RelayStore;

const LATER_MS: i64 = NOW_MS + WINDOW_MS + 1;

/// From account 2 to device 1: urgent words.
fn words(n: u16) -> Envelope {
    Envelope { urgent: true, ..envelope(1, n) }
}

fn pass_for(secret: [u8; 32], once: bool) -> Pass {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &secret).as_ref());
    Pass { hash, once }
}

/// What becomes of an envelope of account 2.
async fn sends<S: RelayStore>(store: &S, envelope: Envelope, now_ms: i64) -> DepositStatus {
    store.deposit(sender(2), vec![envelope], now_ms).await.unwrap()[0].status
}

pub(super) async fn a_gate_is_open_for_a_window_after_each_action<S: RelayStore>(store: &S) {
    use DepositStatus::{Accepted, Closed, Duplicate};
    people(store, 2).await;
    assert_eq!(sends(store, words(1), LATER_MS).await, Accepted, "no gate");
    store.set_gate(account(1), account(2), Gate::Window, NOW_MS).await.unwrap();
    assert_eq!(sends(store, words(2), NOW_MS + WINDOW_MS).await, Accepted);
    assert_eq!(sends(store, words(3), LATER_MS).await, Closed);
    assert_eq!(sends(store, words(2), LATER_MS).await, Duplicate, "what was accepted stays accepted");
    // Setting it again is no action.
    store.set_gate(account(1), account(2), Gate::Window, LATER_MS).await.unwrap();
    assert_eq!(sends(store, words(4), LATER_MS).await, Closed);
    // Neither are a mark, or a message to somebody else.
    let mark = Envelope { urgent: false, conversation: conversation(1), ..envelope(2, 5) };
    store.deposit(sender(1), vec![mark], LATER_MS).await.unwrap();
    assert_eq!(sends(store, words(6), LATER_MS).await, Closed);
    let action = Envelope { urgent: true, conversation: conversation(1), ..envelope(2, 7) };
    store.deposit(sender(1), vec![action.clone()], LATER_MS).await.unwrap();
    assert_eq!(sends(store, words(8), LATER_MS + WINDOW_MS).await, Accepted);
    // The same action again is not another one.
    store.deposit(sender(1), vec![action], LATER_MS + WINDOW_MS).await.unwrap();
    assert_eq!(sends(store, words(9), LATER_MS + WINDOW_MS + 1).await, Closed);
    store.set_gate(account(1), account(2), Gate::Open, LATER_MS).await.unwrap();
    assert_eq!(sends(store, words(9), LATER_MS + WINDOW_MS + 1).await, Accepted);
}

pub(super) async fn a_shut_gate_keeps_everything_out_but_changes_and_a_few_marks<S: RelayStore>(store: &S) {
    use DepositStatus::{Accepted, Closed};
    people(store, 2).await;
    store.set_gate(account(1), account(2), Gate::Shut, NOW_MS).await.unwrap();
    assert_eq!(sends(store, words(1), NOW_MS).await, Closed);
    for (n, kind) in [(2, EnvelopeKind::Commit), (3, EnvelopeKind::Welcome)] {
        assert_eq!(sends(store, Envelope { kind, ..words(n) }, NOW_MS).await, Accepted);
    }
    let mut came = 0;
    for n in 100..200 {
        let mark = Envelope { urgent: false, sealed: vec![1], ..words(n) };
        came += u32::from(sends(store, mark, NOW_MS).await == Accepted);
        store.ack(vec![(device(1), u64::MAX)]).await.unwrap();
    }
    assert_eq!(came, QUIET_MAX);
    // It is the gate of one account to another: nobody else is kept out, and the way back is open.
    let back = Envelope { urgent: true, conversation: conversation(1), ..envelope(2, 4) };
    let outcomes = store.deposit(sender(1), vec![back, words(5)], NOW_MS).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.status == Accepted), "{outcomes:?}");
}

pub(super) async fn a_pass_opens_a_closed_gate<S: RelayStore>(store: &S) {
    use DepositStatus::{Accepted, Closed, Duplicate};
    people(store, 3).await;
    for peer in [2, 3] {
        store.set_gate(account(1), account(peer), Gate::Window, NOW_MS - WINDOW_MS - 1).await.unwrap();
    }
    let (order, token, unknown) = ([1; 32], [2; 32], [3; 32]);
    let passes = vec![pass_for(order, false), pass_for(token, true)];
    store.add_passes(account(1), account(2), passes.clone(), NOW_MS).await.unwrap();
    let with = |secret, n| Envelope { pass: Some(secret), ..words(n) };
    for n in [1, 2, 3] {
        assert_eq!(sends(store, with(order, n), NOW_MS).await, Accepted, "as often as there is something to say");
    }
    assert_eq!(sends(store, with(unknown, 4), NOW_MS).await, Closed);
    assert_eq!(sends(store, with(token, 5), NOW_MS).await, Accepted);
    assert_eq!(sends(store, with(token, 5), NOW_MS).await, Duplicate);
    assert_eq!(sends(store, with(token, 6), NOW_MS).await, Closed, "it serves once");
    // Told again, it is still used up.
    store.add_passes(account(1), account(2), passes, NOW_MS).await.unwrap();
    assert_eq!(sends(store, with(token, 6), NOW_MS).await, Closed);
    // A shut gate revokes tokens, and lets results come.
    store.add_passes(account(1), account(2), vec![pass_for([4; 32], true)], NOW_MS).await.unwrap();
    store.set_gate(account(1), account(2), Gate::Shut, NOW_MS).await.unwrap();
    assert_eq!(sends(store, with([4; 32], 8), NOW_MS).await, Closed);
    assert_eq!(sends(store, with(order, 9), NOW_MS).await, Accepted);
    // Another account has nothing of it.
    let other = Envelope { pass: Some(order), conversation: crate::between(account(1), account(3)), ..words(7) };
    assert_eq!(store.deposit(sender(3), vec![other], NOW_MS).await.unwrap()[0].status, Closed);
    // Nobody but the relay sees it.
    let items = store.fetch(device(1), 0, 100, usize::MAX).await.unwrap();
    assert!(items.iter().all(|item| item.envelope.pass.is_none()));
}

pub(super) async fn one_token_reaches_all_devices_of_who_gave_it<S: RelayStore>(store: &S) {
    people(store, 2).await;
    store.add_device(account(1), device(11), [1; 32]).await.unwrap();
    store.set_gate(account(1), account(2), Gate::Window, NOW_MS - WINDOW_MS - 1).await.unwrap();
    store.add_passes(account(1), account(2), vec![pass_for([2; 32], true)], NOW_MS).await.unwrap();
    let to = |n: u8| Envelope { to: device(n), pass: Some([2; 32]), ..words(1) };
    let outcomes = store.deposit(sender(2), vec![to(1), to(11)], NOW_MS).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.status == DepositStatus::Accepted), "{outcomes:?}");
}

pub(super) async fn the_newest_thing_that_a_device_said_is_known<S: RelayStore>(store: &S) {
    people(store, 2).await;
    let last = async || store.open_mailbox(device(2), NOW_MS).await.unwrap().unwrap().last_uid;
    assert_eq!(last().await, None);
    store.deposit(sender(2), vec![words(1), words(2)], NOW_MS).await.unwrap();
    assert_eq!(last().await, Some(uid(2)));
    // What was there already, or was not taken, says nothing new.
    let elsewhere = Envelope { to: device(9), ..words(3) };
    store.deposit(sender(2), vec![words(1), elsewhere], NOW_MS).await.unwrap();
    assert_eq!(last().await, Some(uid(2)));
}
