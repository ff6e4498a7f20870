use std::future::Future;

use comptoir_wire::{DepositStatus, EnvelopeKind, Item};

use super::{
    DAY_MS, NOW_MS, RETENTION, accepted, account, deposit_one, device, duplicate, entry, envelope, not_taken, people,
    sender, seqs, uid,
};
use crate::store::{Mailbox, RelayStore};

pub(super) async fn numbers_are_dense_and_order_is_kept<S: RelayStore>(store: &S) {
    people(store, 2).await;
    let outcomes =
        store.deposit(sender(1), vec![envelope(1, 1), envelope(2, 1), envelope(1, 2)], NOW_MS).await.unwrap();
    assert_eq!(outcomes, [accepted(NOW_MS); 3]);
    // Senders side by side: no number is skipped or given twice, and each sender's order stays.
    let send = |from: u16| async move {
        for n in 0..4 {
            deposit_one(store, envelope(1, from * 100 + n), NOW_MS + 1).await;
        }
    };
    futures_util::future::join_all([1, 2, 3].map(send)).await;
    let items = store.fetch(device(1), 0, 1_000, usize::MAX).await.unwrap();
    assert_eq!(items.iter().map(|item| item.seq).collect::<Vec<_>>(), (1..=14).collect::<Vec<_>>());
    assert_eq!(items[1], Item { seq: 2, accepted_at_ms: NOW_MS.cast_unsigned(), envelope: envelope(1, 2) });
    for from in [1, 2, 3] {
        let of = items.iter().filter(|item| (0..4).any(|n| item.envelope.uid == uid(from * 100 + n)));
        let uids: Vec<_> = of.map(|item| item.envelope.uid).collect();
        assert_eq!(uids, (0..4).map(|n| uid(from * 100 + n)).collect::<Vec<_>>());
    }
    assert_eq!(seqs(store, 2).await, [1]);
    let mailbox = store.open_mailbox(device(1), NOW_MS).await.unwrap().unwrap();
    assert_eq!((mailbox.acked_seq, mailbox.head_seq, mailbox.visit), (0, 14, 1));
}

pub(super) async fn a_repeated_deposit_gets_the_first_answer<S: RelayStore>(store: &S) {
    people(store, 2).await;
    let both = store.deposit(sender(1), vec![envelope(1, 1), envelope(1, 1)], NOW_MS).await.unwrap();
    assert_eq!(both, [accepted(NOW_MS), duplicate(NOW_MS)]);
    assert_eq!(deposit_one(store, envelope(1, 1), NOW_MS + 5).await, duplicate(NOW_MS));
    assert_eq!(deposit_one(store, envelope(2, 1), NOW_MS + 6).await, accepted(NOW_MS + 6), "another mailbox");
    // Also when it was delivered and acknowledged long ago.
    store.ack(vec![(device(1), 1)]).await.unwrap();
    assert_eq!(deposit_one(store, envelope(1, 1), NOW_MS + 29 * DAY_MS).await, duplicate(NOW_MS));
    assert_eq!(seqs(store, 1).await, [0_u64; 0]);
}

pub(super) async fn what_is_acknowledged_is_forgotten_and_nothing_else<S: RelayStore>(store: &S) {
    people(store, 2).await;
    for n in 1..=5 {
        store.deposit(sender(1), vec![envelope(1, n), envelope(2, n)], NOW_MS).await.unwrap();
    }
    store.ack(vec![(device(1), 2), (device(2), 1), (device(9), 7)]).await.unwrap();
    assert_eq!(seqs(store, 1).await, [3, 4, 5]);
    assert_eq!(seqs(store, 2).await, [2, 3, 4, 5]);
    // Again, an older one, and one beyond everything.
    for upto in [2, 1, 0] {
        store.ack(vec![(device(1), upto)]).await.unwrap();
        assert_eq!(seqs(store, 1).await, [3, 4, 5]);
    }
    store.ack(vec![(device(1), u64::MAX)]).await.unwrap();
    let mailbox = store.open_mailbox(device(1), NOW_MS).await.unwrap().unwrap();
    assert_eq!((mailbox.acked_seq, mailbox.head_seq), (5, 5));
    assert_eq!(deposit_one(store, envelope(1, 6), NOW_MS).await, accepted(NOW_MS));
    assert_eq!(seqs(store, 1).await, [6], "the numbers go on");
}

pub(super) async fn a_full_mailbox_says_so_until_there_is_room<S: RelayStore>(store: &S) {
    people(store, 2).await;
    for n in 1..=20 {
        assert_eq!(deposit_one(store, envelope(1, n), NOW_MS).await, accepted(NOW_MS));
    }
    assert_eq!(deposit_one(store, envelope(1, 21), NOW_MS).await, not_taken(DepositStatus::Full));
    assert_eq!(deposit_one(store, envelope(1, 20), NOW_MS).await, duplicate(NOW_MS), "it was taken before");
    store.ack(vec![(device(1), 1)]).await.unwrap();
    assert_eq!(deposit_one(store, envelope(1, 21), NOW_MS).await, accepted(NOW_MS));
    // By bytes: 4,096 and not one more.
    let large = |n, bytes| {
        let mut large = envelope(2, n);
        large.sealed = vec![1; bytes];
        large
    };
    assert_eq!(deposit_one(store, large(1, 4_000), NOW_MS).await, accepted(NOW_MS));
    assert_eq!(deposit_one(store, large(2, 97), NOW_MS).await, not_taken(DepositStatus::Full));
    assert_eq!(deposit_one(store, large(3, 96), NOW_MS).await, accepted(NOW_MS));
    store.ack(vec![(device(2), 2)]).await.unwrap();
    assert_eq!(deposit_one(store, large(2, 4_096), NOW_MS).await, accepted(NOW_MS), "the same uid, later");
}

pub(super) async fn a_fetch_keeps_its_limits_and_always_gets_on<S: RelayStore>(store: &S) {
    people(store, 1).await;
    for n in 1..=10 {
        deposit_one(store, envelope(1, n), NOW_MS).await;
    }
    let fetch = async |after, items_max, bytes_max| {
        let items = store.fetch(device(1), after, items_max, bytes_max).await.unwrap();
        items.into_iter().map(|item| item.seq).collect::<Vec<_>>()
    };
    assert_eq!(fetch(0, 3, usize::MAX).await, [1, 2, 3]);
    assert_eq!(fetch(3, 100, 250).await, [4, 5]);
    assert_eq!(fetch(5, 100, 1).await, [6], "one is always given");
    assert_eq!(fetch(9, 100, usize::MAX).await, [10]);
    assert_eq!(fetch(10, 100, usize::MAX).await, [0_u64; 0]);
}

pub(super) async fn strange_numbers_survive<S: RelayStore>(store: &S) {
    people(store, 1).await;
    let mut strange = envelope(1, 1);
    strange.generation = u32::MAX;
    strange.epoch = u64::MAX;
    strange.ttl_s = u32::MAX;
    strange.kind = EnvelopeKind::Welcome;
    strange.sealed = Vec::new();
    assert_eq!(deposit_one(store, strange.clone(), NOW_MS).await, accepted(NOW_MS));
    let items = store.fetch(device(1), 0, 1, 1).await.unwrap();
    assert_eq!(items[0].envelope, strange);
}

pub(super) async fn what_was_accepted_is_there_after_a_crash<S, F, Opening>(open: &F)
where
    S: RelayStore,
    F: Fn(&'static str) -> Opening,
    Opening: Future<Output = S>,
{
    let store = open("crash").await;
    let incarnation = store.incarnation();
    people(&store, 2).await;
    for n in 1..=3 {
        assert_eq!(deposit_one(&store, envelope(1, n), NOW_MS).await, accepted(NOW_MS));
    }
    store.ack(vec![(device(1), 1)]).await.unwrap();
    store.append_log(account(1), 2, entry(3)).await.unwrap();
    drop(store);

    let store = open("crash").await;
    assert_eq!(store.incarnation(), incarnation);
    let mailbox = store.open_mailbox(device(1), NOW_MS + RETENTION.keep_ms - 1).await.unwrap();
    let last_uid = Some(uid(3));
    let expected = Mailbox { acked_seq: 1, head_seq: 3, key_packages_left: 0, push_told: false, last_uid, visit: 1 };
    assert_eq!(mailbox, Some(expected));
    assert_eq!(seqs(&store, 1).await, [2, 3]);
    assert_eq!(deposit_one(&store, envelope(1, 1), NOW_MS + 1).await, duplicate(NOW_MS));
    assert_eq!(store.log_head(account(1)).await.unwrap().unwrap().len, 3);
    drop(store);
    assert_ne!(open("another").await.incarnation(), incarnation);
}
