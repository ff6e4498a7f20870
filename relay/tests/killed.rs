//! A relay in a process of its own, killed without warning. A binary of its own: a process that starts others while it
//! holds databases open would hand their locks on for a moment.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use std::process::Stdio;

use comptoir_relay::{Clock, Config, Relay};
use comptoir_wire::DepositStatus;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

#[path = "relay/support.rs"]
#[allow(dead_code, reason = "shared with the larger suite")]
mod support;

use support::{Line, Person, deposit, seqs, soon, statuses};

/// Not a test by itself: the process that `a_killed_relay_keeps_what_it_accepted` starts and kills.
#[tokio::test]
async fn a_relay_to_be_killed() {
    let Ok(dir) = std::env::var("RELAY_TO_BE_KILLED") else {
        return;
    };
    let relay = Relay::start(Config::local(dir), Clock::system()).await.unwrap();
    println!("\nlistening on {}", relay.address());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_relay_keeps_what_it_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let start = async || {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["a_relay_to_be_killed", "--exact", "--nocapture"])
            .env("RELAY_TO_BE_KILLED", dir.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = loop {
            let line = soon(lines.next_line()).await.unwrap().expect("the relay starts");
            if let Some(address) = line.strip_prefix("listening on ") {
                break address.parse().unwrap();
            }
        };
        (process, address)
    };
    let (mut process, address) = start().await;
    let mut at_bob = Line::dial(address).await;
    at_bob.create(&bob).await;
    at_bob.sign_in(&bob, 1).await;
    let mut at_alice = Line::dial(address).await;
    at_alice.create(&alice).await;
    at_alice.sign_in(&alice, 1).await;
    let mut asked = Vec::new();
    for n in 1..=40 {
        asked.push(at_alice.tell(deposit(&bob, [n])).await);
    }
    // Killed with most of it under way.
    let accepted = 10;
    for id in asked.into_iter().take(accepted) {
        assert_eq!(statuses(at_alice.answer(id).await), [DepositStatus::Accepted]);
    }
    process.kill().await.unwrap();

    let (_process, address) = start().await;
    let mut at_bob = Line::dial(address).await;
    let welcome = at_bob.sign_in(&bob, 256).await;
    let (items, seq) = at_bob.catch_up().await;
    assert!(seq >= accepted as u64, "{seq} of {accepted} accepted");
    assert_eq!((welcome.acked_seq, welcome.head_seq), (0, seq));
    assert_eq!(seqs(&items), (1..=seq).collect::<Vec<_>>());
    // Alice sends everything again, as a client does that got no answer.
    let mut at_alice = Line::dial(address).await;
    at_alice.sign_in(&alice, 1).await;
    let again = statuses(at_alice.ask(deposit(&bob, 1..=40)).await);
    let (known, new) = again.split_at(usize::try_from(seq).unwrap());
    assert!(known.iter().all(|status| *status == DepositStatus::Duplicate), "{again:?}");
    assert!(new.iter().all(|status| *status == DepositStatus::Accepted), "{again:?}");
}
