//! Envelopes on their way: days offline, lost answers, lost acknowledgements, two sockets, windows.

use comptoir_relay::between;
use comptoir_wire::{DepositOutcome, DepositStatus, Envelope, Reply, Request};
use futures_util::SinkExt;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    DAY_MS, Line, MINUTE_MS, NOW_MS, Person, World, contains, deposit, envelope, seqs, statuses, uid,
};

use DepositStatus::{Accepted, Duplicate, Full, Gone};

#[tokio::test]
async fn bob_is_away_for_days_and_gets_everything_in_order() {
    let mut world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    assert_eq!(statuses(at_alice.ask(deposit(&bob, 1..=60)).await), [Accepted; 60]);
    world.later(3 * DAY_MS);
    assert_eq!(statuses(at_alice.ask(deposit(&bob, 61..=70)).await), [Accepted; 10]);
    world.later(5 * DAY_MS);
    world.stop().await; // between accepting and delivering
    world.start().await;

    let (mut at_bob, welcome) = world.arrive_with(&bob, 256).await;
    assert_eq!((welcome.acked_seq, welcome.head_seq), (0, 70));
    assert_eq!(welcome.server_time_ms, world.now_ms());
    let (items, seq) = at_bob.catch_up().await;
    assert_eq!(seqs(&items), (1..=70).collect::<Vec<_>>());
    assert_eq!(seq, 70);
    assert_eq!(items[0].envelope, envelope(&bob, 1));
    assert_eq!(items[59].accepted_at_ms, NOW_MS.cast_unsigned());
    assert_eq!(items[60].accepted_at_ms, (NOW_MS + 3 * DAY_MS).cast_unsigned());
    at_bob.ack(70).await;
    assert_eq!(world.metric("mailbox_messages").await, 0);
    let (_, welcome) = world.arrive_with(&bob, 256).await;
    assert_eq!((welcome.acked_seq, welcome.head_seq), (70, 70));
}

#[tokio::test]
async fn a_connected_device_gets_each_envelope_at_once_and_without_gaps() {
    let world = World::open().await;
    let people = ["Alice", "Carol", "Dave"].map(Person::new);
    let bob = Person::new("Bob");
    let mut at_bob = world.arrive(&bob).await;
    assert_eq!(at_bob.catch_up().await, (vec![], 0));
    let send = async |(person, first): (&Person, u64)| {
        let mut line = world.arrive(person).await;
        for n in first..first + 30 {
            let conversation = between(person.account(), bob.account());
            let envelopes = vec![Envelope { conversation, ..envelope(&bob, n) }];
            assert_eq!(statuses(line.ask(Request::Deposit { envelopes }).await), [Accepted]);
        }
    };
    let all = futures_util::future::join_all(people.iter().zip([100, 200, 300]).map(send));
    let (items, _) = tokio::join!(at_bob.deliveries(90), all);
    assert_eq!(seqs(&items), (1..=90).collect::<Vec<_>>());
    for first in [100, 200, 300] {
        let uids =
            items.iter().map(|item| item.envelope.uid).filter(|found| (uid(first)..uid(first + 30)).contains(found));
        assert_eq!(uids.collect::<Vec<_>>(), (first..first + 30).map(uid).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_lost_answer_is_repeated_and_delivers_nothing_twice() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_bob = world.arrive(&bob).await;
    let mut at_alice = world.arrive(&alice).await;
    let first = at_alice.ask(deposit(&bob, [1])).await;
    world.later(MINUTE_MS);
    // The answer was lost: the same again, on the same connection and on another one.
    let again = Reply::Deposited(vec![DepositOutcome { status: Duplicate, accepted_at_ms: NOW_MS.cast_unsigned() }]);
    assert_eq!(statuses(first), [Accepted]);
    assert_eq!(at_alice.ask(deposit(&bob, [1])).await, again);
    drop(at_alice);
    let mut at_alice = world.arrive(&alice).await;
    assert_eq!(at_alice.ask(deposit(&bob, [1])).await, again);
    at_bob.deliveries(1).await;
    at_bob.ack(1).await;
    // And after Bob acknowledged it.
    assert_eq!(at_alice.ask(deposit(&bob, [1, 2])).await, {
        let Reply::Deposited(mut outcomes) = again else { unreachable!() };
        outcomes.push(DepositOutcome { status: Accepted, accepted_at_ms: world.now_ms() });
        Reply::Deposited(outcomes)
    });
    let items = at_bob.deliveries(1).await;
    assert_eq!((items[0].seq, items[0].envelope.uid), (2, uid(2)));
}

#[tokio::test]
async fn a_lost_acknowledgement_brings_the_envelopes_once_more() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_bob = world.arrive(&bob).await;
    world.arrive(&alice).await.ask(deposit(&bob, 1..=5)).await;
    at_bob.deliveries(5).await;
    at_bob.ack(2).await;
    drop(at_bob); // the acknowledgement of 3 to 5 never left
    let (mut at_bob, welcome) = world.arrive_with(&bob, 256).await;
    assert_eq!(welcome.acked_seq, 2);
    // Bob has them already and says so before they come.
    at_bob.ack(5).await;
    let (items, seq) = at_bob.catch_up().await;
    assert!(seqs(&items).iter().all(|seq| (3..=5).contains(seq)), "{:?}", seqs(&items));
    assert_eq!(seq, 5);
    world.arrive(&alice).await.ask(deposit(&bob, [6])).await;
    assert_eq!(seqs(&at_bob.deliveries(1).await), [6]);
}

#[tokio::test]
async fn an_acknowledgement_of_what_never_was_forgets_only_what_is_there() {
    let world = World::open().await;
    let bob = Person::new("Bob");
    let mut at_bob = world.arrive(&bob).await;
    at_bob.ask(deposit(&bob, [1])).await;
    at_bob.deliveries(1).await;
    at_bob.ack(u64::MAX).await;
    at_bob.ask(deposit(&bob, [2])).await;
    assert_eq!(seqs(&at_bob.deliveries(1).await), [2]);
    let (_, welcome) = world.arrive_with(&bob, 1).await;
    assert_eq!((welcome.acked_seq, welcome.head_seq), (1, 2));
}

#[tokio::test]
async fn the_newest_socket_of_a_device_wins() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut older = world.arrive(&bob).await;
    let mut newer = world.arrive(&bob).await;
    assert_eq!(older.end().await, 4409);
    let mut at_alice = world.arrive(&alice).await;
    at_alice.ask(deposit(&bob, [1])).await;
    assert_eq!(seqs(&newer.deliveries(1).await), [1]);
    assert_eq!(world.metric("devices_connected").await, 2);
}

#[tokio::test]
async fn a_newer_socket_gets_all_that_the_older_one_had_not_acknowledged() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut older = world.arrive(&bob).await;
    let mut at_alice = world.arrive(&alice).await;
    for round in 0..10 {
        let (head, acked) = (10 * (round + 1), 5 * round);
        assert_eq!(statuses(at_alice.ask(deposit(&bob, head - 9..=head)).await), [Accepted; 10]);
        let mut newer = world.arrive(&bob).await;
        let (items, seq) = newer.catch_up().await;
        assert_eq!((seqs(&items), seq), ((acked + 1..=head).collect::<Vec<_>>(), head));
        assert!(items.iter().all(|item| item.envelope.uid == uid(item.seq)));
        newer.ack(acked + 5).await;
        assert_eq!(older.end().await, 4409);
        older = newer;
    }
}

#[tokio::test]
async fn of_two_sockets_that_a_device_opens_at_once_one_stays_and_misses_nothing() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    for round in 0..10 {
        let [mut one, mut other] = [world.line().await, world.line().await];
        let mut ids = [0; 2];
        for (line, id) in [&mut one, &mut other].into_iter().zip(&mut ids) {
            let request = bob.authenticate(&line.nonce, &line.address.clone(), 256);
            *id = line.tell(request).await;
        }
        let asked = at_alice.tell(deposit(&bob, [round + 1])).await;
        // The first of them may be let in before it reads why it has to go.
        let (first, second) = tokio::join!(one.answer_or_end(ids[0]), other.answer_or_end(ids[1]));
        let mut left = match (first, second) {
            (Ok(Reply::Welcome(_)), Ok(Reply::Welcome(_))) => tokio::select! {
                end = one.answer_or_end(u64::MAX) => { assert_eq!(end, Err(4409)); other }
                end = other.answer_or_end(u64::MAX) => { assert_eq!(end, Err(4409)); one }
            },
            (Err(4409), Ok(Reply::Welcome(_))) => other,
            (Ok(Reply::Welcome(_)), Err(4409)) => one,
            heard => panic!("{heard:?}"),
        };
        assert_eq!(statuses(at_alice.answer(asked).await), [Accepted]);
        assert_eq!(seqs(&left.deliveries(1).await), [round + 1]);
        left.ack(round + 1).await;
    }
}

#[tokio::test]
async fn what_is_in_flight_stays_within_the_window() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    world.arrive(&alice).await.ask(deposit(&bob, 1..=10)).await;
    let (mut at_bob, _) = world.arrive_with(&bob, 3).await;
    assert_eq!(seqs(&at_bob.deliveries(3).await), [1, 2, 3]);
    // An answer that comes after them shows that nothing more is under way.
    at_bob.ack(0).await;
    assert_eq!(world.metric("delivered_total").await, 3);
    at_bob.ack(2).await;
    assert_eq!(seqs(&at_bob.deliveries(2).await), [4, 5]);
    at_bob.ack(5).await;
    assert_eq!(seqs(&at_bob.deliveries(3).await), [6, 7, 8]);
    at_bob.ack(8).await;
    let (items, seq) = at_bob.catch_up().await;
    assert_eq!((seqs(&items), seq), (vec![9, 10], 10));
}

#[tokio::test]
async fn large_envelopes_stay_within_the_bytes_in_flight() {
    let world = World::with(|config| config.limits.in_flight_bytes_max = 100_000).await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    for n in 1..=4 {
        let mut large = envelope(&bob, n);
        large.sealed = vec![n as u8; 60_000];
        assert_eq!(statuses(at_alice.ask(Request::Deposit { envelopes: vec![large] }).await), [Accepted]);
    }
    let mut at_bob = world.arrive(&bob).await;
    assert_eq!(seqs(&at_bob.deliveries(2).await), [1, 2]);
    at_bob.ack(0).await;
    assert_eq!(world.metric("delivered_total").await, 2);
    at_bob.ack(2).await;
    let items = at_bob.deliveries(2).await;
    assert_eq!(seqs(&items), [3, 4]);
    assert_eq!(items[1].envelope.sealed, vec![4; 60_000]);
    at_bob.ack(4).await;
    assert_eq!(at_bob.catch_up().await, (vec![], 4));
}

#[tokio::test]
async fn a_socket_cut_in_the_middle_of_a_frame_stores_nothing_and_hurts_nobody() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_bob = world.arrive(&bob).await;
    let mut at_alice = world.arrive(&alice).await;
    // One whole frame, and half of the next one.
    let whole = deposit(&bob, [1]).encode(7);
    let half = deposit(&bob, [2]).encode(8);
    at_alice.ws.feed(Message::Binary(whole.into())).await.unwrap();
    at_alice.ws.flush().await.unwrap();
    let raw = at_alice.ws.get_mut();
    let head = [0x82, 0x80 | u8::try_from(half.len()).unwrap(), 0, 0, 0, 0];
    raw.write_all(&head).await.unwrap();
    raw.write_all(&half[..half.len() / 2]).await.unwrap();
    raw.shutdown().await.unwrap();
    drop(at_alice);

    assert_eq!(seqs(&at_bob.deliveries(1).await), [1]);
    world.until_metric("closed_total{reason=\"ended\"}", 1).await;
    let mut at_alice = world.arrive(&alice).await;
    assert_eq!(statuses(at_alice.ask(deposit(&bob, [1, 2])).await), [Duplicate, Accepted]);
    assert_eq!(seqs(&at_bob.deliveries(1).await), [2]);
}

#[tokio::test]
async fn expired_envelopes_are_gone() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    let mut short = envelope(&bob, 1);
    short.ttl_s = 60;
    at_alice.ask(Request::Deposit { envelopes: vec![short, envelope(&bob, 2)] }).await;
    world.later(MINUTE_MS);
    let (mut at_bob, welcome) = world.arrive_with(&bob, 256).await;
    assert_eq!((welcome.acked_seq, welcome.head_seq), (1, 2));
    assert_eq!(seqs(&at_bob.catch_up().await.0), [2]);
    drop(at_bob);
    // The retention time ends everything, without anybody arriving.
    world.later(30 * DAY_MS);
    assert_eq!(world.relay().sweep().await.unwrap().envelopes, 1);
    assert_eq!(world.metric("mailbox_messages").await, 0);
    assert_eq!(world.metric("expired_total").await, 1);
}

#[tokio::test]
async fn a_device_that_waited_while_its_mailbox_expired_is_sent_to_ask_again() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    at_alice.ask(deposit(&bob, 1..=3)).await;
    let (mut at_bob, _) = world.arrive_with(&bob, 1).await;
    assert_eq!(seqs(&at_bob.deliveries(1).await), [1]);
    world.later(31 * DAY_MS);
    world.relay().sweep().await.unwrap();
    at_alice.ask(deposit(&bob, [4])).await;
    at_bob.tell(Request::Ack { upto_seq: 1 }).await;
    assert_eq!(at_bob.end().await, 1012);
    let (mut at_bob, welcome) = world.arrive_with(&bob, 1).await;
    assert_eq!((welcome.acked_seq, welcome.head_seq), (3, 4));
    assert_eq!(seqs(&at_bob.deliveries(1).await), [4]);
}

#[tokio::test]
async fn a_full_mailbox_takes_no_more_until_it_is_read() {
    let world = World::with(|config| config.limits.mailbox_messages_max = 3).await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    assert_eq!(statuses(at_alice.ask(deposit(&bob, 1..=5)).await), [Accepted, Accepted, Accepted, Full, Full]);
    let mut at_bob = world.arrive(&bob).await;
    at_bob.deliveries(3).await;
    at_bob.ack(3).await;
    assert_eq!(statuses(at_alice.ask(deposit(&bob, 4..=5)).await), [Accepted, Accepted]);
    assert_eq!(seqs(&at_bob.deliveries(2).await), [4, 5]);
}

#[tokio::test]
async fn a_device_that_does_not_exist_is_gone() {
    let world = World::open().await;
    let alice = Person::new("Alice");
    let mut at_alice = world.arrive(&alice).await;
    assert_eq!(statuses(at_alice.ask(deposit(&Person::new("Nobody"), [1])).await), [Gone]);
}

#[tokio::test]
async fn what_is_sealed_is_stored_as_it_is_and_forgotten_when_it_was_acknowledged() {
    const MARKER: &[u8] = b"only Bob can open this";
    let mut world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_bob = world.arrive(&bob).await;
    let mut marked = envelope(&bob, 1);
    marked.sealed = MARKER.to_vec();
    world.arrive(&alice).await.ask(Request::Deposit { envelopes: vec![marked] }).await;
    assert!(contains(&world.bytes_on_disk(), MARKER));
    assert_eq!(at_bob.deliveries(1).await[0].envelope.sealed, MARKER);
    at_bob.ack(1).await;
    world.stop().await;
    assert!(!contains(&world.bytes_on_disk(), MARKER));
}

/// A thousand turns of a coin: every frame that is answered is answered once, whatever else is under way.
#[tokio::test]
async fn many_people_write_to_each_other_at_once() {
    const NAMES: [&str; 6] = ["Alice", "Bob", "Carol", "Dave", "Erin", "Frank"];
    const EACH: u64 = 25;
    let world = World::open().await;
    let people = NAMES.map(Person::new);
    for person in &people {
        drop(world.arrive(person).await);
    }
    let live = async |(me, person): (usize, &Person)| {
        let mut line: Line = world.arrive(person).await;
        let mut got = Vec::new();
        for n in 0..EACH {
            for other in &people {
                let n = me as u64 * 1_000 + n;
                let conversation = between(person.account(), other.account());
                let envelopes = vec![Envelope { conversation, ..envelope(other, n) }];
                let id = line.tell(Request::Deposit { envelopes }).await;
                assert_eq!(statuses(line.answer(id).await), [Accepted]);
            }
        }
        while got.len() < people.len() * EACH as usize {
            if let Reply::Delivery(items) = line.next().await {
                got.extend(items);
                line.tell(Request::Ack { upto_seq: got.len() as u64 }).await;
            }
        }
        assert_eq!(seqs(&got), (1..=got.len() as u64).collect::<Vec<_>>());
    };
    futures_util::future::join_all(people.iter().enumerate().map(live)).await;
}
