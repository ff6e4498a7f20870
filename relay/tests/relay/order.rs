//! Group changes: one winner for each epoch, and nobody without the token.

use comptoir_relay::between;
use comptoir_wire::{
    CommitToken, DepositStatus, Envelope, EnvelopeKind, ErrorCode, OrderStatus, Ordered, Reply, Request,
};
use ring::digest::{SHA256, digest};

use crate::support::{Line, Person, World, envelope, public, statuses, thread, uid};

fn token(epoch: u64) -> CommitToken {
    CommitToken([epoch as u8; 32])
}

fn hash(token: &CommitToken) -> [u8; 32] {
    digest(&SHA256, &token.0).as_ref().try_into().unwrap()
}

fn commit_envelope(to: &Person, n: u64, epoch: u64) -> Envelope {
    Envelope { conversation: thread("Bob"), kind: EnvelopeKind::Commit, epoch, ..envelope(to, n) }
}

fn open(generation: u32, envelopes: Vec<Envelope>) -> Request {
    let peer = Person::new("Bob").account();
    Request::OpenGeneration { peer, conversation: thread("Bob"), generation, token_hash: hash(&token(1)), envelopes }
}

fn submit(epoch: u64, n: u64, to: &Person) -> Request {
    Request::SubmitCommit {
        peer: Person::new("Bob").account(),
        conversation: thread("Bob"),
        generation: 0,
        epoch,
        token: token(epoch),
        next_token_hash: hash(&token(epoch + 1)),
        uid: uid(n),
        envelopes: vec![commit_envelope(to, n, epoch)],
    }
}

async fn ordered(line: &mut Line, request: Request) -> Ordered {
    match line.ask(request).await {
        Reply::Ordered(ordered) => ordered,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_two_commits_one_wins_and_the_other_learns_where_things_stand() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let phone = bob.second_device("Bob's phone");
    let mut at_alice = world.arrive(&alice).await;
    let mut at_bob = world.arrive(&bob).await;
    at_bob.ask(Request::AddDevice { device: phone.device, device_key: public(&phone.device_key) }).await;
    let mut at_phone = world.line().await;
    at_phone.sign_in(&phone, 64).await;
    let welcome = Envelope { kind: EnvelopeKind::Welcome, ..commit_envelope(&phone, 1, 1) };
    assert_eq!(ordered(&mut at_alice, open(0, vec![welcome])).await.status, OrderStatus::Accepted);
    at_phone.deliveries(1).await;

    let (one, two) = tokio::join!(
        ordered(&mut at_alice, submit(1, 10, &phone)),
        ordered(&mut at_bob, from_bob(submit(1, 20, &phone)))
    );
    let (winner, loser) = if one.status == OrderStatus::Accepted { (one, two) } else { (two, one) };
    assert_eq!((winner.status, winner.generation, winner.epoch), (OrderStatus::Accepted, 0, 2));
    assert_eq!((loser.status, loser.generation, loser.epoch), (OrderStatus::Stale, 0, 2));
    assert_eq!(winner.outcomes[0].status, DepositStatus::Accepted);
    assert_eq!(loser.outcomes, []);
    let items = at_phone.deliveries(1).await;
    assert_eq!(items[0].envelope.kind, EnvelopeKind::Commit);

    // The winner's answer may be lost: the same again is a duplicate, and the phone gets nothing twice.
    let again = if items[0].envelope.uid == uid(10) {
        ordered(&mut at_alice, submit(1, 10, &phone)).await
    } else {
        ordered(&mut at_bob, from_bob(submit(1, 20, &phone))).await
    };
    assert_eq!((again.status, again.accepted_at_ms), (OrderStatus::Duplicate, winner.accepted_at_ms));
    assert_eq!(again.outcomes[0].status, DepositStatus::Duplicate);
    // The loser does it again in the new epoch.
    assert_eq!(ordered(&mut at_bob, from_bob(submit(2, 30, &phone))).await.status, OrderStatus::Accepted);
    let items = at_phone.deliveries(1).await;
    assert_eq!((items[0].seq, items[0].envelope.uid), (3, uid(30)));
}

/// The same commit from the other of the two accounts.
fn from_bob(mut commit: Request) -> Request {
    let Request::SubmitCommit { peer, .. } = &mut commit else { unreachable!() };
    *peer = Person::new("Alice").account();
    commit
}

#[tokio::test]
async fn without_the_token_of_the_epoch_nothing_moves() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_alice = world.arrive(&alice).await;
    let mut at_bob = world.arrive(&bob).await;
    ordered(&mut at_alice, open(0, vec![])).await;
    // Not the token, and the hash that the relay knows, which is no token either.
    for wrong in [CommitToken([66; 32]), CommitToken(hash(&token(1)))] {
        let mut forged = from_bob(submit(1, 66, &alice));
        let Request::SubmitCommit { token: shown, .. } = &mut forged else { unreachable!() };
        *shown = wrong;
        let refused = ordered(&mut at_bob, forged).await;
        assert_eq!((refused.status, refused.epoch), (OrderStatus::Forbidden, 1));
    }
    assert_eq!(world.metric("mailbox_messages").await, 0);
    assert_eq!(ordered(&mut at_alice, submit(1, 1, &bob)).await.status, OrderStatus::Accepted);
}

#[tokio::test]
async fn a_stranger_does_not_learn_where_a_conversation_stands() {
    let world = World::open().await;
    let [alice, bob, mallory] = ["Alice", "Bob", "Mallory"].map(Person::new);
    let mut at_alice = world.arrive(&alice).await;
    drop(world.arrive(&bob).await);
    let mut at_mallory = world.arrive(&mallory).await;
    let ask = |named: &Person| {
        let mut commit = submit(1, 66, &alice);
        let Request::SubmitCommit { peer, .. } = &mut commit else { unreachable!() };
        *peer = named.account();
        commit
    };
    // Before the two have ever talked and after it, whomever she names and whatever she shows: the same words.
    let mut answers = Vec::new();
    for _ in 0..2 {
        for named in [&alice, &bob, &mallory] {
            answers.push(at_mallory.refused(ask(named)).await);
        }
        ordered(&mut at_alice, open(0, vec![])).await;
    }
    assert_eq!(answers[0].code, ErrorCode::Forbidden);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(ordered(&mut at_alice, submit(1, 1, &bob)).await.status, OrderStatus::Accepted);
}

#[tokio::test]
async fn what_recipients_can_no_longer_open_is_stale() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_alice = world.arrive(&alice).await;
    drop(world.arrive(&bob).await);
    ordered(&mut at_alice, open(0, vec![])).await;
    for epoch in 1..=3 {
        ordered(&mut at_alice, submit(epoch, epoch, &bob)).await;
    }
    let send = |epoch, n| Request::Deposit {
        envelopes: vec![Envelope { kind: EnvelopeKind::Message, ..commit_envelope(&bob, n, epoch) }],
    };
    // It stands at epoch 4; two epochs behind can still be opened.
    assert_eq!(statuses(at_alice.ask(send(1, 100)).await), [DepositStatus::StaleEpoch]);
    assert_eq!(statuses(at_alice.ask(send(2, 101)).await), [DepositStatus::Accepted]);
    assert_eq!(statuses(at_alice.ask(send(4, 100)).await), [DepositStatus::Accepted], "the same uid, sealed again");
    assert_eq!(ordered(&mut at_alice, open(1, vec![])).await.status, OrderStatus::Accepted);
    assert_eq!(statuses(at_alice.ask(send(4, 102)).await), [DepositStatus::StaleEpoch]);
}

#[tokio::test]
async fn what_rides_along_must_belong_to_the_change() {
    let world = World::open().await;
    let alice = Person::new("Alice");
    let mut at_alice = world.arrive(&alice).await;
    let refusal = at_alice.refused(open(0, vec![Envelope { generation: 7, ..envelope(&alice, 1) }])).await;
    assert_eq!(refusal.code, ErrorCode::BadFrame);
    assert!(refusal.detail.starts_with("envelopes"), "{}", refusal.detail);
    assert_eq!(ordered(&mut at_alice, open(0, vec![])).await.status, OrderStatus::Accepted, "nothing was opened");
}

#[tokio::test]
async fn a_stranger_neither_opens_a_conversation_nor_writes_into_it() {
    let world = World::open().await;
    let [alice, bob, mallory] = ["Alice", "Bob", "Mallory"].map(Person::new);
    let mut at_alice = world.arrive(&alice).await;
    let mut at_bob = world.arrive(&bob).await;
    let mut at_mallory = world.arrive(&mallory).await;
    // She knows both accounts, and so the id. Whoever she names as her peer, it is not her conversation.
    for peer in [&alice, &bob, &mallory] {
        let Request::OpenGeneration { conversation, generation, token_hash, envelopes, .. } = open(0, vec![]) else {
            unreachable!()
        };
        let peer = peer.account();
        let forged = Request::OpenGeneration { peer, conversation, generation, token_hash, envelopes };
        assert_eq!(at_mallory.refused(forged).await.code, ErrorCode::Forbidden);
    }
    assert_eq!(ordered(&mut at_alice, open(0, vec![])).await.status, OrderStatus::Accepted, "it is still theirs");
    let forged = Request::Deposit { envelopes: vec![envelope(&bob, 1), commit_envelope(&alice, 2, 1)] };
    assert_eq!(statuses(at_mallory.ask(forged).await), [DepositStatus::Forbidden; 2]);
    assert_eq!(world.metric("deposits_total{status=\"forbidden\"}").await, 2);
    assert_eq!(world.metric("mailbox_messages").await, 0);
    // In a conversation of her own she may write.
    let hers = between(mallory.account(), bob.account());
    let own = Envelope { conversation: hers, ..envelope(&bob, 3) };
    assert_eq!(statuses(at_mallory.ask(Request::Deposit { envelopes: vec![own] }).await), [DepositStatus::Accepted]);
    assert_eq!(at_bob.deliveries(1).await[0].envelope.conversation, hers);
}
