//! A relay whose disk hangs. A binary of its own: the disk of the test lies below all databases of the process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use comptoir_sqlcipher::faults::Disk;
use comptoir_wire::{DepositStatus, ErrorCode, Reply, Request, limits};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

#[path = "relay/support.rs"]
#[allow(dead_code, reason = "shared with the larger suite")]
mod support;

use support::{Person, World, deposit, envelope, seqs, soon, statuses, uid};

/// Bytes that may wait for the disk, and envelopes of the largest size that make a frame of nearly the largest size.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
const LARGE: u64 = 15;
/// Frames that fit while nothing is written: a quarter of the room is kept for what lets go of something.
const FIT: usize = WAITING_BYTES_MAX / 4 * 3 / (LARGE as usize * limits::ENVELOPE_BYTES_MAX);
const NAMES: [&str; 24] = [
    "Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ida", "Jan", "Kim", "Leo", "Mia", "Nils", "Olga",
    "Pia", "Quin", "Rosa", "Sam", "Tess", "Udo", "Vera", "Wim", "Yara",
];

async fn until_stalled(disk: &Disk) {
    soon(async {
        while disk.waiting() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Large envelopes of `person` to itself.
fn large(person: &Person, first: u64) -> Request {
    let large = |n| {
        let mut large = envelope(person, n);
        large.sealed = vec![7; limits::ENVELOPE_BYTES_MAX];
        large
    };
    Request::Deposit { envelopes: (first..first + LARGE).map(large).collect() }
}

/// A relay on a disk of its own. The disk is dropped first, so that nothing waits for it when a test fails.
async fn world() -> (World, Disk) {
    let mut disk = None;
    let world = World::with(|config| disk = Some(Disk::below(&config.data_dir))).await;
    (world, disk.unwrap())
}

#[tokio::test]
async fn while_the_disk_hangs_what_is_too_much_is_refused_and_what_waits_is_kept() {
    let (mut world, disk) = world().await;
    let people = NAMES.map(Person::new);
    let mut lines = Vec::new();
    for person in &people {
        let mut line = world.arrive(person).await;
        line.catch_up().await;
        lines.push(line);
    }
    disk.stalls();
    let asking = people.iter().zip(&mut lines).map(async |(person, line)| {
        let id = line.tell(large(person, 1)).await;
        (person.name, line.answer(id).await)
    });
    let mut asking: FuturesUnordered<_> = asking.collect();
    // Nothing is written, and still so many have an answer: the others wait, and they are no more than fit.
    let mut refused = Vec::new();
    while refused.len() < NAMES.len() - FIT {
        match asking.next().await.unwrap() {
            (name, Reply::Refused(refusal)) => {
                assert_eq!(refusal.code, ErrorCode::Unavailable);
                assert!(refusal.retry_after_ms > 0);
                refused.push(name);
            }
            other => panic!("{other:?} while the disk hangs"),
        }
    }
    until_stalled(&disk).await;
    assert_eq!(asking.len(), FIT);
    disk.goes_on();
    while let Some((name, reply)) = asking.next().await {
        assert_eq!(statuses(reply), [DepositStatus::Accepted; LARGE as usize], "{name}");
    }
    drop(asking);
    // Who was refused asks again; then everybody has everything once.
    for (person, line) in people.iter().zip(&mut lines) {
        if refused.contains(&person.name) {
            assert_eq!(statuses(line.ask(large(person, 1)).await), [DepositStatus::Accepted; LARGE as usize]);
        }
        let got: Vec<_> = line.deliveries(LARGE as usize).await.into_iter().map(|item| item.envelope.uid).collect();
        assert_eq!(got, (1..=LARGE).map(uid).collect::<Vec<_>>());
    }
    world.stop().await;
    world.start().await;
    let (_, welcome) = world.arrive_with(&people[0], 1).await;
    assert_eq!(welcome.head_seq, LARGE);
}

#[tokio::test]
async fn while_the_disk_hangs_others_read_and_are_delivered_to() {
    let (world, disk) = world().await;
    let [alice, bob, carol] = ["Alice", "Bob", "Carol"].map(Person::new);
    drop(world.arrive(&bob).await);
    drop(world.arrive(&carol).await);
    let mut at_alice = world.arrive(&alice).await;
    assert_eq!(statuses(at_alice.ask(deposit(&bob, 1..=3)).await), [DepositStatus::Accepted; 3]);
    let (mut at_bob, _) = world.arrive_with(&bob, 1).await;
    assert_eq!(seqs(&at_bob.deliveries(1).await), [1]);
    disk.stalls();
    let asked = at_alice.tell(deposit(&bob, [4])).await;
    until_stalled(&disk).await;
    // A guest and a device read; what Bob has acknowledged makes room in his window before it is written down.
    let mut at_carol = world.line().await;
    for (line, account) in [(&mut at_carol, alice.account()), (&mut at_bob, carol.account())] {
        assert!(matches!(line.ask(Request::ReadLog { account, from: 0 }).await, Reply::Log(_)));
    }
    at_bob.tell(Request::Ack { upto_seq: 1 }).await;
    assert_eq!(seqs(&at_bob.deliveries(1).await), [2]);
    // Who comes now is let in when the disk goes on.
    let (nonce, address) = (at_carol.nonce, at_carol.address.clone());
    let signed_in = at_carol.tell(carol.authenticate(&nonce, &address, 1)).await;
    disk.goes_on();
    assert!(matches!(at_carol.answer(signed_in).await, Reply::Welcome(_)));
    assert_eq!(statuses(at_alice.answer(asked).await), [DepositStatus::Accepted]);
    at_bob.ack(2).await;
    assert_eq!(seqs(&at_bob.deliveries(1).await), [3]);
    at_bob.ack(3).await;
    assert_eq!(seqs(&at_bob.deliveries(1).await), [4]);
}

#[tokio::test]
async fn an_answer_that_a_hanging_disk_held_back_is_repeated_to_who_came_back_meanwhile() {
    let (world, disk) = world().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_bob = world.arrive(&bob).await;
    let mut at_alice = world.arrive(&alice).await;
    disk.stalls();
    at_alice.tell(deposit(&bob, [1])).await;
    until_stalled(&disk).await;
    // Alice waits no longer and dials again.
    drop(at_alice);
    let mut at_alice = world.line().await;
    let (nonce, address) = (at_alice.nonce, at_alice.address.clone());
    let signed_in = at_alice.tell(alice.authenticate(&nonce, &address, 1)).await;
    disk.goes_on();
    assert!(matches!(at_alice.answer(signed_in).await, Reply::Welcome(_)));
    assert_eq!(
        statuses(at_alice.ask(deposit(&bob, [1, 2])).await),
        [DepositStatus::Duplicate, DepositStatus::Accepted]
    );
    let got: Vec<_> = at_bob.deliveries(2).await.into_iter().map(|item| item.envelope.uid).collect();
    assert_eq!(got, [uid(1), uid(2)]);
}
