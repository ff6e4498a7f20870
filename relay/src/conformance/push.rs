use std::future::Future;

use comptoir_wire::{Envelope, PushEndpoint};

use super::{NOW_MS, account, conversation, deposit_one, device, envelope, people};
use crate::store::{ABSENCE_MS, AHEAD_MS_MAX, DueWakeUps, Knocked, REMIND_MS, RelayStore, WakeUp};

/// When what was handed out is handed out again.
const AGAIN_MS: i64 = 70_000;

fn endpoint(n: u8) -> PushEndpoint {
    PushEndpoint::new(format!("https://push.example/{n}")).unwrap()
}

fn urgent(to: u8, n: u16) -> Envelope {
    Envelope { urgent: true, conversation: conversation(to.saturating_sub(1)), ..envelope(to, n) }
}

async fn due<S: RelayStore>(store: &S, now_ms: i64) -> DueWakeUps {
    store.due_wake_ups(now_ms, now_ms + AGAIN_MS, 100).await.unwrap()
}

/// The one wake-up that is due now.
async fn one_due<S: RelayStore>(store: &S, now_ms: i64) -> WakeUp {
    let mut due = due(store, now_ms).await.now;
    assert_eq!(due.len(), 1, "{due:?}");
    due.remove(0)
}

/// It is sent at this time, and the push service takes it.
async fn is_sent<S: RelayStore>(store: &S, wake_up: WakeUp, at_ms: i64) {
    store.knocked(wake_up, Knocked::Done { at_ms }).await.unwrap();
}

async fn none_due<S: RelayStore>(store: &S, now_ms: i64) {
    assert_eq!(due(store, now_ms).await, DueWakeUps::default());
}

/// The device connects, says where to knock, and leaves.
async fn comes_and_goes<S: RelayStore>(store: &S, n: u8) {
    let mailbox = store.open_mailbox(device(n), NOW_MS).await.unwrap().unwrap();
    assert!(store.set_push(device(n), Some(endpoint(n))).await.unwrap());
    store.leave_mailbox(device(n), mailbox.visit, NOW_MS + ABSENCE_MS).await.unwrap();
}

pub(super) async fn an_absence_owes_one_wake_up<S: RelayStore>(store: &S) {
    people(store, 3).await;
    comes_and_goes(store, 1).await;
    deposit_one(store, Envelope { urgent: false, ..envelope(1, 1) }, NOW_MS).await;
    deposit_one(store, urgent(2, 1), NOW_MS).await;
    none_due(store, NOW_MS).await;

    deposit_one(store, urgent(1, 2), NOW_MS + 5).await;
    assert_eq!(due(store, NOW_MS + 4).await, DueWakeUps { now: vec![], next_at_ms: Some(NOW_MS + 5) });
    let wake_up = one_due(store, NOW_MS + 5).await;
    let owed_at_ms = NOW_MS + 5;
    assert_eq!(wake_up, WakeUp { device: device(1), endpoint: endpoint(1), visit: 1, knocks: 1, owed_at_ms });
    deposit_one(store, urgent(1, 3), NOW_MS + 6).await;
    // Handed out: not again, unless nothing more is heard of it.
    let later = DueWakeUps { now: vec![], next_at_ms: Some(NOW_MS + 5 + AGAIN_MS) };
    assert_eq!(due(store, NOW_MS + 6).await, later);
    let again = one_due(store, NOW_MS + 5 + AGAIN_MS).await;
    assert_eq!(again, WakeUp { knocks: 2, owed_at_ms: NOW_MS + 6, ..wake_up });
    is_sent(store, again.clone(), NOW_MS + 7).await;
    deposit_one(store, urgent(1, 4), NOW_MS + 8).await;
    none_due(store, NOW_MS + 10 * AGAIN_MS).await;

    // The next absence owes the next one; what was left behind unread counts, after a while.
    let mailbox = store.open_mailbox(device(1), NOW_MS).await.unwrap().unwrap();
    assert_eq!(mailbox.visit, 2);
    deposit_one(store, urgent(1, 5), NOW_MS + 8).await;
    none_due(store, NOW_MS + 10 * AGAIN_MS).await;
    store.leave_mailbox(device(1), 2, NOW_MS + 100).await.unwrap();
    assert_eq!(due(store, NOW_MS + 99).await, DueWakeUps { now: vec![], next_at_ms: Some(NOW_MS + 100) });
    // What comes after that does not wait.
    deposit_one(store, urgent(1, 50), NOW_MS + 50).await;
    assert_eq!(one_due(store, NOW_MS + 50).await.visit, 2);
    // Who comes back first is not knocked for, and what is said of the older wake-up concerns nobody.
    let mailbox = store.open_mailbox(device(1), NOW_MS).await.unwrap().unwrap();
    store.ack(vec![(device(1), mailbox.head_seq)]).await.unwrap();
    none_due(store, NOW_MS + 10 * AGAIN_MS).await;
    store.leave_mailbox(device(1), mailbox.visit, NOW_MS).await.unwrap();
    none_due(store, NOW_MS + 10 * AGAIN_MS).await;
    deposit_one(store, urgent(1, 6), NOW_MS + 200).await;
    let at_ms = NOW_MS + 900;
    for stale in [Knocked::Done { at_ms }, Knocked::GivenUp, Knocked::Again { at_ms }, Knocked::PutOff { at_ms }] {
        store.knocked(again.clone(), stale).await.unwrap();
    }
    assert_eq!(one_due(store, NOW_MS + 200).await, WakeUp { visit: 3, knocks: 1, owed_at_ms: NOW_MS + 200, ..again });
    let health = store.health().await.unwrap();
    assert_eq!((health.push_targets, health.wake_ups_owed), (1, 1));
}

pub(super) async fn a_wake_up_that_brought_nobody_is_owed_again_an_hour_later<S: RelayStore>(store: &S) {
    people(store, 2).await;
    comes_and_goes(store, 1).await;
    deposit_one(store, urgent(1, 1), NOW_MS).await;
    let first = one_due(store, NOW_MS).await;
    is_sent(store, first.clone(), NOW_MS + 100).await;
    deposit_one(store, urgent(1, 2), NOW_MS + 100 + REMIND_MS - 1).await;
    deposit_one(store, Envelope { urgent: false, ..urgent(1, 3) }, NOW_MS + 100 + REMIND_MS).await;
    none_due(store, NOW_MS + 10 * REMIND_MS).await;
    let hour_ms = NOW_MS + 100 + REMIND_MS;
    deposit_one(store, urgent(1, 4), hour_ms).await;
    let second = one_due(store, hour_ms).await;
    assert_eq!(second, WakeUp { owed_at_ms: hour_ms, ..first }, "it begins anew");
    // A clock that was ahead when it was sent does not silence the device until then.
    is_sent(store, second, NOW_MS + 1_000 * REMIND_MS).await;
    deposit_one(store, urgent(1, 5), hour_ms + 1).await;
    one_due(store, hour_ms + 1).await;
}

pub(super) async fn a_clock_that_was_wrong_loses_no_wake_up<S: RelayStore>(store: &S) {
    people(store, 3).await;
    for n in [1, 2] {
        comes_and_goes(store, n).await;
    }
    // One came by a clock that is ahead; the other is put off for as long as the schedule may.
    let ahead_ms = NOW_MS + 1_000 * AHEAD_MS_MAX;
    deposit_one(store, urgent(1, 1), NOW_MS).await;
    let put_off = one_due(store, NOW_MS).await;
    store.knocked(put_off, Knocked::Again { at_ms: NOW_MS + AHEAD_MS_MAX }).await.unwrap();
    deposit_one(store, urgent(2, 1), ahead_ms).await;
    let due = due(store, NOW_MS).await;
    assert_eq!(due.now.iter().map(|wake_up| wake_up.device).collect::<Vec<_>>(), [device(2)]);
    assert_eq!(due.next_at_ms, Some(NOW_MS + AGAIN_MS));
}

pub(super) async fn an_old_connection_does_not_speak_for_a_newer_one<S: RelayStore>(store: &S) {
    people(store, 2).await;
    comes_and_goes(store, 1).await;
    let older = store.open_mailbox(device(1), NOW_MS).await.unwrap().unwrap();
    let newer = store.open_mailbox(device(1), NOW_MS).await.unwrap().unwrap();
    assert!(older.visit < newer.visit);
    store.leave_mailbox(device(1), older.visit, NOW_MS).await.unwrap();
    assert_eq!(store.here().await.unwrap(), [(device(1), newer.visit)]);
    deposit_one(store, urgent(1, 1), NOW_MS).await;
    none_due(store, NOW_MS + AGAIN_MS).await;
    store.leave_mailbox(device(1), newer.visit, NOW_MS).await.unwrap();
    assert_eq!(store.here().await.unwrap(), []);
    let wake_up = one_due(store, NOW_MS).await;
    // It is owed once, however often the same departure is told.
    is_sent(store, wake_up, NOW_MS).await;
    store.leave_mailbox(device(1), newer.visit, NOW_MS).await.unwrap();
    none_due(store, NOW_MS + AGAIN_MS).await;
}

pub(super) async fn a_wake_up_is_tried_again_and_given_up<S: RelayStore>(store: &S) {
    people(store, 4).await;
    for n in 1..=3 {
        comes_and_goes(store, n).await;
        deposit_one(store, urgent(n, 1), NOW_MS + i64::from(n)).await;
    }
    let two = store.due_wake_ups(NOW_MS + 3, NOW_MS + AGAIN_MS, 2).await.unwrap();
    assert_eq!(two.now.iter().map(|wake_up| wake_up.device).collect::<Vec<_>>(), [device(1), device(2)]);
    assert_eq!(two.next_at_ms, Some(NOW_MS + 3));
    let [first, second] = two.now.try_into().unwrap();
    store.knocked(first.clone(), Knocked::Again { at_ms: NOW_MS + 50_000 }).await.unwrap();
    store.knocked(second.clone(), Knocked::GivenUp).await.unwrap();
    // Put off is not tried.
    let third = one_due(store, NOW_MS + 3).await;
    store.knocked(third.clone(), Knocked::PutOff { at_ms: NOW_MS + 9 }).await.unwrap();
    assert_eq!(due(store, NOW_MS + 8).await, DueWakeUps { now: vec![], next_at_ms: Some(NOW_MS + 9) });
    assert_eq!(one_due(store, NOW_MS + 9).await, third);
    is_sent(store, third, NOW_MS + 10).await;
    assert_eq!(due(store, NOW_MS + 11).await.next_at_ms, Some(NOW_MS + 50_000));
    assert_eq!(one_due(store, NOW_MS + 50_000).await, WakeUp { knocks: 2, ..first.clone() });
    // What comes later is a reason to go on for longer, and none to hurry.
    deposit_one(store, urgent(1, 2), NOW_MS + 55_000).await;
    let again = one_due(store, NOW_MS + 50_000 + AGAIN_MS).await;
    assert_eq!(again, WakeUp { knocks: 3, owed_at_ms: NOW_MS + 55_000, ..first.clone() });
    is_sent(store, first, NOW_MS + 50_001 + AGAIN_MS).await;
    // Given up is not sent: the next message begins anew.
    deposit_one(store, urgent(2, 2), NOW_MS + 60_000).await;
    assert_eq!(one_due(store, NOW_MS + 60_000).await, WakeUp { owed_at_ms: NOW_MS + 60_000, ..second });
}

pub(super) async fn where_to_knock_is_forgotten<S: RelayStore>(store: &S) {
    people(store, 5).await;
    for n in 1..=4 {
        comes_and_goes(store, n).await;
        deposit_one(store, urgent(n, 1), NOW_MS).await;
    }
    assert_eq!(store.health().await.unwrap().push_targets, 4);
    // By the device, with what is owed; with the device; and when the push service says so.
    assert!(store.set_push(device(1), None).await.unwrap());
    store.remove_device(account(2), device(2), NOW_MS).await.unwrap();
    assert!(!store.set_push(device(2), Some(endpoint(2))).await.unwrap(), "it is gone for good");
    assert!(!store.set_push(device(9), Some(endpoint(9))).await.unwrap(), "never there");
    let gone = due(store, NOW_MS).await.now;
    assert_eq!(gone.iter().map(|wake_up| wake_up.device).collect::<Vec<_>>(), [device(3), device(4)]);
    // Of the two, the fourth has a newer endpoint by now, which nobody has complained about.
    assert!(store.set_push(device(4), Some(endpoint(44))).await.unwrap());
    for wake_up in gone {
        store.knocked(wake_up, Knocked::Gone).await.unwrap();
    }
    let health = store.health().await.unwrap();
    assert_eq!((health.push_targets, health.wake_ups_owed), (1, 1));
    deposit_one(store, urgent(3, 2), NOW_MS).await;
    assert_eq!(one_due(store, NOW_MS + AGAIN_MS).await.endpoint, endpoint(44));
    // The device reads whether it has to tell it again.
    for (n, told) in [(1, false), (3, false), (4, true)] {
        let mailbox = store.open_mailbox(device(n), NOW_MS).await.unwrap().unwrap();
        assert_eq!(mailbox.push_told, told, "{n}");
    }
}

pub(super) async fn what_is_owed_is_owed_after_a_crash<S, F, Opening>(open: &F)
where
    S: RelayStore,
    F: Fn(&'static str) -> Opening,
    Opening: Future<Output = S>,
{
    let store = open("owed").await;
    people(&store, 4).await;
    for n in 1..=3 {
        comes_and_goes(&store, n).await;
    }
    // The first is away and owed one; the second is here with unread mail; the third is here and has read everything.
    deposit_one(&store, urgent(1, 1), NOW_MS).await;
    for n in [2, 3] {
        store.open_mailbox(device(n), NOW_MS).await.unwrap().unwrap();
        deposit_one(&store, urgent(n, 1), NOW_MS).await;
    }
    store.ack(vec![(device(3), 1)]).await.unwrap();
    drop(store);
    let store = open("owed").await;
    // Nobody is connected after a start.
    let mut owed = due(&store, NOW_MS + ABSENCE_MS).await.now;
    owed.sort_by_key(|wake_up| wake_up.device);
    assert_eq!(owed.iter().map(|wake_up| wake_up.device).collect::<Vec<_>>(), [device(1), device(2)]);
    deposit_one(&store, urgent(3, 2), NOW_MS).await;
    assert_eq!(one_due(&store, NOW_MS).await.device, device(3));
}
