use comptoir_wire::{DepositStatus, Envelope, OrderStatus};

use super::{
    DAY_MS, NOW_MS, RETENTION, accepted, account, conversation, deposit_one, device, duplicate, envelope, not_taken,
    people, sender, seqs, uid,
};
use crate::store::{Commit, Expired, Opening, QuotaKey, Rate, RelayStore, Spend, Spent, StoreError};

fn with_ttl(n: u16, ttl_s: u32) -> Envelope {
    Envelope { ttl_s, ..envelope(1, n) }
}

pub(super) async fn the_oldest_expires_first_and_leaves_no_gap<S: RelayStore>(store: &S) {
    people(store, 2).await;
    deposit_one(store, with_ttl(1, 60), NOW_MS).await;
    deposit_one(store, with_ttl(2, 3_600), NOW_MS).await;
    deposit_one(store, with_ttl(3, 60), NOW_MS).await;
    assert_eq!(store.expire(NOW_MS + 59_999, 100).await.unwrap(), Expired::default());
    let expired = store.expire(NOW_MS + 60_000, 100).await.unwrap();
    assert_eq!((expired.envelopes, expired.bytes, expired.more), (1, 100, false));
    assert_eq!(seqs(store, 1).await, [2, 3], "the third waits for the second, so that no number is missing");
    let mailbox = store.open_mailbox(device(1), NOW_MS + 60_000).await.unwrap().unwrap();
    assert_eq!((mailbox.acked_seq, mailbox.head_seq), (1, 3));
    store.expire(NOW_MS + 3_600_000, 100).await.unwrap();
    assert_eq!(seqs(store, 1).await, [0_u64; 0]);
    assert_eq!(deposit_one(store, with_ttl(1, 60), NOW_MS + 3_600_000).await, duplicate(NOW_MS), "still known");

    // Opening a mailbox expires by itself, and a ttl beyond the retention time is that time.
    deposit_one(store, with_ttl(4, u32::MAX), NOW_MS).await;
    deposit_one(store, with_ttl(5, 0), NOW_MS).await;
    let mailbox = store.open_mailbox(device(1), NOW_MS + RETENTION.keep_ms - 1).await.unwrap().unwrap();
    assert_eq!((mailbox.acked_seq, mailbox.head_seq), (3, 5));
    let mailbox = store.open_mailbox(device(1), NOW_MS + RETENTION.keep_ms).await.unwrap().unwrap();
    assert_eq!((mailbox.acked_seq, mailbox.head_seq), (5, 5));
    // What expired makes room.
    for n in 0..20 {
        deposit_one(store, with_ttl(100 + n, 1), NOW_MS).await;
    }
    assert_eq!(deposit_one(store, with_ttl(200, 1), NOW_MS).await, not_taken(DepositStatus::Full));
    store.expire(NOW_MS + 1_000, 100).await.unwrap();
    assert_eq!(deposit_one(store, with_ttl(200, 1), NOW_MS).await, accepted(NOW_MS));
}

pub(super) async fn memories_fade_after_the_retention_time<S: RelayStore>(store: &S) {
    people(store, 1).await;
    let opening = Opening {
        from: sender(1),
        conversation: conversation(1),
        generation: 0,
        token_hash: [1; 32],
        envelopes: vec![],
    };
    store.open_generation(opening, NOW_MS).await.unwrap();
    let commit = Commit {
        from: sender(1),
        conversation: conversation(1),
        generation: 0,
        epoch: 1,
        token_hash: [1; 32],
        next_token_hash: [2; 32],
        uid: uid(1),
        envelopes: vec![],
    };
    store.submit_commit(commit.clone(), NOW_MS).await.unwrap();
    deposit_one(store, envelope(1, 2), NOW_MS).await;
    store.ack(vec![(device(1), 1)]).await.unwrap();

    assert_eq!(store.expire(NOW_MS + RETENTION.keep_ms - 1, 100).await.unwrap().memories, 0);
    assert_eq!(store.submit_commit(commit.clone(), NOW_MS).await.unwrap().status, OrderStatus::Duplicate);
    assert_eq!(store.expire(NOW_MS + RETENTION.keep_ms, 100).await.unwrap().memories, 2);
    let now_ms = NOW_MS + RETENTION.keep_ms;
    assert_eq!(deposit_one(store, envelope(1, 2), now_ms).await, accepted(now_ms));
    assert_eq!(store.submit_commit(commit, now_ms).await.unwrap().status, OrderStatus::Stale);
}

pub(super) async fn a_sweep_takes_a_bounded_bite<S: RelayStore>(store: &S) {
    people(store, 2).await;
    for n in 1..=10 {
        store.deposit(sender(1), vec![envelope(1, n), envelope(2, n)], NOW_MS).await.unwrap();
    }
    let mut rounds = 0;
    let mut envelopes = 0;
    loop {
        let expired = store.expire(NOW_MS + 40 * DAY_MS, 7).await.unwrap();
        assert!(expired.envelopes <= 7);
        rounds += 1;
        envelopes += expired.envelopes;
        if !expired.more {
            break;
        }
    }
    assert!(rounds >= 3);
    assert_eq!(envelopes, 20);
    assert_eq!(store.health().await.unwrap().messages, 0);
}

pub(super) async fn quotas_are_taken_from_all_or_none<S: RelayStore>(store: &S) {
    let [alice, bob] = [&b"alice"[..], b"bob"].map(|name| QuotaKey::new(&[0; 16], "test", &[name]));
    let one = |key| Spend { key, cost: 1, rate: Rate { burst: 2, refill_ms: 1_000 } };
    let spend = async |spends: Vec<Spend>, now_ms| store.spend(spends, now_ms).await.unwrap();
    assert_eq!(spend(vec![one(alice), one(alice)], NOW_MS).await, Spent::Granted);
    let limited = Spent::Limited { retry_after_ms: 1_000 };
    for _ in 0..3 {
        assert_eq!(spend(vec![one(bob), one(alice)], NOW_MS).await, limited);
    }
    assert_eq!(spend(vec![one(bob), one(bob)], NOW_MS).await, Spent::Granted, "nothing was taken from Bob");
    assert_eq!(spend(vec![one(alice)], NOW_MS + 999).await, Spent::Limited { retry_after_ms: 1 });
    assert_eq!(spend(vec![one(alice)], NOW_MS + 1_000).await, Spent::Granted);
}

pub(super) async fn a_crowd_of_keys_refuses_nobody<S: RelayStore>(store: &S) {
    let key = |n: u32| QuotaKey::new(&[0; 16], "crowd", &[&n.to_be_bytes()]);
    let one = |n| Spend { key: key(n), cost: 1, rate: Rate { burst: 2, refill_ms: 600_000 } };
    let spend = async |spends: Vec<Spend>| store.spend(spends, NOW_MS).await.unwrap();
    assert_eq!(spend(vec![one(0), one(0)]).await, Spent::Granted);
    // More than any store remembers at the same time, and none of them is full again.
    for first in (1..600_000).step_by(1_000) {
        assert_eq!(spend((first..first + 1_000).map(one).collect()).await, Spent::Granted, "from {first} on");
    }
    let limited = Spent::Limited { retry_after_ms: 600_000 };
    assert_eq!(spend(vec![one(0)]).await, limited, "who took most is remembered longest");
}

pub(super) async fn health_counts<S: RelayStore>(store: &S) {
    people(store, 3).await;
    store.deposit(sender(1), vec![envelope(1, 1), envelope(1, 2), envelope(2, 1)], NOW_MS).await.unwrap();
    let health = store.health().await.unwrap();
    assert!(health.schema_version >= 1);
    assert!(health.database_bytes > 0);
    assert_eq!((health.accounts, health.devices, health.messages, health.message_bytes), (3, 3, 3, 300));
    store.ack(vec![(device(1), 1)]).await.unwrap();
    store.remove_device(account(2), device(2), NOW_MS).await.unwrap();
    let health = store.health().await.unwrap();
    assert_eq!((health.accounts, health.devices, health.messages, health.message_bytes), (3, 2, 1, 100));
}

pub(super) async fn a_closed_store_refuses<S: RelayStore>(store: &S) {
    people(store, 1).await;
    store.close().await.unwrap();
    assert!(matches!(store.deposit(sender(1), vec![envelope(1, 1)], NOW_MS).await, Err(StoreError::Closed)));
    assert!(matches!(store.fetch(device(1), 0, 1, 1).await, Err(StoreError::Closed)));
    assert!(store.health().await.is_err());
}
