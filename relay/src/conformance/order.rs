use comptoir_wire::{DepositStatus, Envelope, OrderStatus, Ordered};

use super::{NOW_MS, accepted, conversation, deposit_one, duplicate, envelope, not_taken, people, sender, seqs, uid};
use crate::store::{Commit, Opening, RelayStore};

fn opening(generation: u32, token: u8, envelopes: Vec<Envelope>) -> Opening {
    Opening { from: sender(1), conversation: conversation(1), generation, token_hash: [token; 32], envelopes }
}

/// From `epoch` on, with the token of that number, to the token of the next one.
fn commit(generation: u32, epoch: u64, n: u16, envelopes: Vec<Envelope>) -> Commit {
    Commit {
        from: sender(1),
        conversation: conversation(1),
        generation,
        epoch,
        token_hash: [epoch as u8; 32],
        next_token_hash: [(epoch as u8).wrapping_add(1); 32],
        uid: uid(n),
        envelopes,
    }
}

fn stands(ordered: &Ordered) -> (OrderStatus, u32, u64) {
    (ordered.status, ordered.generation, ordered.epoch)
}

pub(super) async fn a_generation_follows_the_one_before_or_comes_later<S: RelayStore>(store: &S) {
    people(store, 1).await;
    let open = async |generation, token, now_ms| {
        let opening = opening(generation, token, vec![envelope(1, generation as u16)]);
        store.open_generation(opening, now_ms).await.unwrap()
    };
    let first = open(0, 1, NOW_MS).await;
    assert_eq!(stands(&first), (OrderStatus::Accepted, 0, 1));
    assert_eq!((first.accepted_at_ms, first.outcomes), (NOW_MS.cast_unsigned(), vec![accepted(NOW_MS)]));
    let again = open(0, 1, NOW_MS + 9).await;
    assert_eq!(stands(&again), (OrderStatus::Duplicate, 0, 1));
    assert_eq!((again.accepted_at_ms, again.outcomes), (NOW_MS.cast_unsigned(), vec![duplicate(NOW_MS)]));
    assert_eq!(stands(&open(0, 2, NOW_MS).await), (OrderStatus::Stale, 0, 1), "another opening of it");
    // The opening is still known after a commit moved the epoch.
    store.submit_commit(commit(0, 1, 50, vec![]), NOW_MS).await.unwrap();
    assert_eq!(stands(&open(0, 1, NOW_MS).await), (OrderStatus::Duplicate, 0, 2));
    assert_eq!(stands(&open(1, 7, NOW_MS).await), (OrderStatus::Accepted, 1, 1));
    assert_eq!(stands(&open(0, 1, NOW_MS).await), (OrderStatus::Stale, 1, 1));
    assert_eq!(stands(&open(u32::MAX, 1, NOW_MS).await), (OrderStatus::Stale, 1, 1), "there would be none after it");
    // A store that lost what came in between stands behind its conversations.
    assert_eq!(stands(&open(5, 7, NOW_MS).await), (OrderStatus::Accepted, 5, 1));
    assert_eq!(stands(&open(4, 7, NOW_MS).await), (OrderStatus::Stale, 5, 1));
    assert_eq!(seqs(store, 1).await, [1, 2, 3], "what was refused deposited nothing");
}

pub(super) async fn one_commit_wins_an_epoch<S: RelayStore>(store: &S) {
    people(store, 1).await;
    let submit = |commit: Commit, now_ms| async move { store.submit_commit(commit, now_ms).await.unwrap() };
    let alone = submit(commit(0, 1, 1, vec![envelope(1, 1)]), NOW_MS).await;
    assert_eq!(stands(&alone), (OrderStatus::Stale, 0, 0), "not known here");
    store.open_generation(opening(0, 1, vec![]), NOW_MS).await.unwrap();

    let mut wrong = commit(0, 1, 1, vec![envelope(1, 1)]);
    wrong.token_hash = [99; 32];
    assert_eq!(stands(&submit(wrong, NOW_MS).await), (OrderStatus::Forbidden, 0, 1));
    assert_eq!(seqs(store, 1).await, [0_u64; 0], "what was refused deposited nothing");

    let won = submit(commit(0, 1, 1, vec![envelope(1, 1), envelope(9, 1)]), NOW_MS).await;
    assert_eq!(stands(&won), (OrderStatus::Accepted, 0, 2));
    assert_eq!(won.outcomes, [accepted(NOW_MS), not_taken(DepositStatus::Gone)]);
    assert_eq!(stands(&submit(commit(0, 1, 2, vec![envelope(1, 2)]), NOW_MS).await), (OrderStatus::Stale, 0, 2));
    assert_eq!(stands(&submit(commit(1, 2, 2, vec![]), NOW_MS).await), (OrderStatus::Stale, 0, 2));
    assert_eq!(stands(&submit(commit(0, u64::MAX, 2, vec![]), NOW_MS).await), (OrderStatus::Stale, 0, 2));
    let again = submit(commit(0, 1, 1, vec![envelope(1, 1)]), NOW_MS + 9).await;
    assert_eq!(stands(&again), (OrderStatus::Duplicate, 0, 2));
    assert_eq!((again.accepted_at_ms, again.outcomes), (NOW_MS.cast_unsigned(), vec![duplicate(NOW_MS)]));
    // Also when others went on since, and when its envelope found no room the first time.
    assert_eq!(stands(&submit(commit(0, 2, 3, vec![]), NOW_MS).await), (OrderStatus::Accepted, 0, 3));
    for n in 100..119 {
        deposit_one(store, Envelope { conversation: conversation(2), ..envelope(1, n) }, NOW_MS).await;
    }
    let full = submit(commit(0, 3, 4, vec![envelope(1, 4)]), NOW_MS).await;
    assert_eq!((full.status, full.outcomes), (OrderStatus::Accepted, vec![not_taken(DepositStatus::Full)]));
    for (epoch, n) in [(4, 5), (5, 6), (6, 7), (7, 8)] {
        submit(commit(0, epoch, n, vec![]), NOW_MS).await;
    }
    store.ack(vec![(super::device(1), 5)]).await.unwrap();
    let late = submit(commit(0, 3, 4, vec![envelope(1, 4)]), NOW_MS + 9).await;
    assert_eq!(stands(&late), (OrderStatus::Duplicate, 0, 8));
    assert_eq!(late.outcomes, [accepted(NOW_MS + 9)]);
}

pub(super) async fn sixteen_committers_have_one_winner<S: RelayStore>(store: &S) {
    people(store, 1).await;
    store.open_generation(opening(0, 1, vec![]), NOW_MS).await.unwrap();
    let submit = |n| store.submit_commit(commit(0, 1, n, vec![envelope(1, n)]), NOW_MS);
    let all = futures_util::future::join_all((1..=16).map(submit)).await;
    let won: Vec<_> = all.into_iter().map(Result::unwrap).filter(|one| one.status != OrderStatus::Stale).collect();
    assert_eq!(won.iter().map(stands).collect::<Vec<_>>(), [(OrderStatus::Accepted, 0, 2)]);
    assert_eq!(seqs(store, 1).await, [1], "only the winner's envelope is there");
}

pub(super) async fn old_epochs_are_stale<S: RelayStore>(store: &S) {
    people(store, 1).await;
    store.open_generation(opening(0, 1, vec![]), NOW_MS).await.unwrap();
    for (epoch, n) in [(1, 1), (2, 2), (3, 3)] {
        store.submit_commit(commit(0, epoch, n, vec![]), NOW_MS).await.unwrap();
    }
    let check = async |n, generation, epoch, expected| {
        let found = deposit_one(store, Envelope { generation, epoch, ..envelope(1, n) }, NOW_MS).await.status;
        assert_eq!(found, expected, "generation {generation}, epoch {epoch}");
    };
    // The conversation stands at generation 0, epoch 4.
    check(10, 0, 1, DepositStatus::StaleEpoch).await;
    check(11, 0, 2, DepositStatus::Accepted).await;
    check(12, 0, 4, DepositStatus::Accepted).await;
    check(13, 0, 9, DepositStatus::Accepted).await;
    check(14, 1, 1, DepositStatus::Accepted).await;
    store.open_generation(opening(1, 1, vec![]), NOW_MS).await.unwrap();
    check(15, 0, 9, DepositStatus::StaleEpoch).await;
    check(11, 0, 2, DepositStatus::Duplicate).await;
    check(10, 1, 1, DepositStatus::Accepted).await;
    let elsewhere = Envelope { conversation: conversation(2), epoch: 0, ..envelope(1, 20) };
    assert_eq!(deposit_one(store, elsewhere, NOW_MS).await, accepted(NOW_MS), "not ordered here");
}
