//! Stories of relays and phones that came back from an older copy of themselves.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use comptoir_client::BubbleState;
use comptoir_tests::tap::Tape;
use comptoir_tests::{DAY_MS, MINUTE_MS, Person, Restored, Town, copy_dir};
use comptoir_wire::Request;

#[tokio::test]
async fn a_relay_restored_from_an_older_copy_loses_nothing_that_comes_after() {
    let mut town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("one").await;
    alice.syncs().await;
    bob.syncs().await;
    town.copy_relay().await;
    alice.client.connect().unwrap();
    bob.client.connect().unwrap();
    for text in ["two", "three", "four"] {
        alice.says(chat, text).await;
    }
    bob.sees(chat, &["you: one", "you: two", "you: three", "you: four"]).await;
    alice.syncs().await;
    bob.syncs().await;
    town.restore_relay(Restored::InSilence).await;
    alice.client.connect().unwrap();
    bob.client.connect().unwrap();
    // Its numbers begin again where Bob has long been.
    for text in ["five", "six"] {
        alice.says(chat, text).await;
    }
    let all = ["you: one", "you: two", "you: three", "you: four", "you: five", "you: six"];
    bob.sees(chat, &all).await;
}

/// As many messages come after the restore as were lost by it: only the operator's mark tells the numbers apart.
#[tokio::test]
async fn a_restored_relay_that_is_marked_loses_nothing_even_while_bob_is_away() {
    let mut town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("zero").await;
    town.pass(MINUTE_MS);
    alice.says(chat, "one").await;
    bob.sees(chat, &["you: zero", "you: one"]).await;
    alice.syncs().await;
    bob.syncs().await;
    town.copy_relay().await;
    town.pass(MINUTE_MS);
    alice.client.connect().unwrap();
    bob.client.connect().unwrap();
    alice.says(chat, "two").await;
    bob.sees(chat, &["you: zero", "you: one", "you: two"]).await;
    alice.syncs().await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    town.restore_relay(Restored::Marked).await;
    alice.client.connect().unwrap();
    let later = ["three", "four", "five", "six", "seven", "eight"];
    for text in later {
        alice.says(chat, text).await;
    }
    alice.syncs().await;
    let bob = town.open("bob");
    let all: Vec<String> = ["zero", "one", "two"].iter().chain(&later).map(|text| format!("you: {text}")).collect();
    bob.sees(chat, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// What the relay had accepted after the copy was taken, and not delivered: a message in an old conversation, and the first
/// one to somebody whom nobody had written to before.
#[tokio::test]
async fn a_restored_relay_is_given_again_what_it_had_accepted_and_lost() {
    let mut town = Town::new().await;
    let (alice, bob, carol) = (town.arrives("alice").await, town.arrives("bob").await, town.arrives("carol").await);
    bob.syncs().await;
    carol.syncs().await;
    let chat = alice.meets(&bob).await;
    alice.says(chat, "one").await;
    bob.sees(chat, &["you: one"]).await;
    alice.syncs().await;
    bob.syncs().await;
    town.copy_relay().await;
    town.pass(MINUTE_MS);
    bob.client.shutdown().unwrap();
    carol.client.disconnect().unwrap();
    carol.until("the end of the line", |me| (!me.is_online()).then_some(())).await;
    alice.client.connect().unwrap();
    alice.says(chat, "two").await;
    let carols = alice.meets(&carol).await;
    carol.client.shutdown().unwrap();
    alice.says(carols, "hello, Carol").await;
    alice.mine_is(chat, BubbleState::Sent).await;
    alice.mine_is(carols, BubbleState::Sent).await;
    alice.syncs().await;
    town.restore_relay(Restored::Marked).await;
    let (bob, carol) = (town.open("bob"), town.open("carol"));
    bob.until("the relay", |me| me.is_online().then_some(())).await;
    carol.syncs().await;
    alice.client.connect().unwrap();
    bob.sees(chat, &["you: one", "you: two"]).await;
    carol.sees(carols, &["you: hello, Carol"]).await;
    alice.syncs().await;
    assert_eq!(alice.thread(chat), ["me: one", "me: two"]);
}

/// Bob's phone was copied, said something silent (that he had read), and was put back. It had received nothing in between, so
/// that no number of its mailbox tells it; the relay knows what it said last. Were that not noticed, the next thing it says
/// would be sealed with a key that was used before, and nobody could read it.
#[tokio::test]
async fn a_phone_that_had_only_sent_since_its_copy_notices_it() {
    let town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("one").await;
    alice.mine_is(chat, BubbleState::Delivered).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    let (folder, copy) = (town.dir.path().join("bob"), town.dir.path().join("bob-copy"));
    copy_dir(&folder, &copy);
    let bob = town.open("bob");
    bob.client.mark_read(chat, None).await.unwrap();
    bob.syncs().await;
    alice.mine_is(chat, BubbleState::Read).await;
    bob.client.shutdown().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    copy_dir(&copy, &folder);
    let bob = town.open("bob");
    bob.says(chat, "two").await;
    alice.sees(chat, &["me: one", "you: two"]).await;
}

/// After the copy was taken Bob's phone gave the relay other key packages. The copy has no keys for them: whoever was given one could
/// write to him, and neither would know that he cannot read it.
#[tokio::test]
async fn who_writes_first_to_a_phone_that_was_put_back_is_read() {
    let town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("one").await;
    alice.mine_is(chat, BubbleState::Delivered).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    let (folder, copy) = (town.dir.path().join("bob"), town.dir.path().join("bob-copy"));
    copy_dir(&folder, &copy);
    town.pass(31 * DAY_MS);
    let bob = town.open("bob");
    bob.syncs().await;
    alice.says(chat, "two").await;
    bob.sees(chat, &["you: one", "you: two"]).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    copy_dir(&copy, &folder);
    let bob = town.open("bob");
    bob.syncs().await;
    let carol = town.arrives("carol").await;
    let carols = carol.meets(&bob).await;
    carol.says(carols, "hello").await;
    bob.sees(carols, &["you: hello"]).await;
}

/// As above, and the line broke when the phone had just learned that it was put back, before the relay had its new key packages.
#[tokio::test]
async fn a_phone_that_was_put_back_goes_on_replacing_its_key_packages_after_a_broken_line() {
    let (town, tape) = Town::with_a_tap().await;
    let (alice, bob, chat) = town.two_who_talk("one").await;
    alice.mine_is(chat, BubbleState::Delivered).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    let (folder, copy) = (town.dir.path().join("bob"), town.dir.path().join("bob-copy"));
    copy_dir(&folder, &copy);
    let bob = town.open("bob");
    bob.syncs().await;
    // The phone takes them for old and gives others. The copy does not know it.
    let old = "UPDATE kv SET v = zeroblob(8) WHERE k = 'key_packages.made_at'";
    bob.client.turn(move |tx| Ok(tx.sql().execute(old, ())?)).await.unwrap();
    tape.cuts_the_line();
    bob.client.connect().unwrap();
    alice.client.connect().unwrap();
    alice.says(chat, "two").await;
    bob.sees(chat, &["you: one", "you: two"]).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    copy_dir(&copy, &folder);
    let given = Arc::new(AtomicU32::new(0));
    let times = Arc::clone(&given);
    tape.breaks_before(move |_, request| {
        matches!(request, Request::PublishKeyPackages { .. }) && times.fetch_add(1, Ordering::Relaxed) == 0
    });
    let bob = town.open("bob");
    bob.until("the end of the line", |_| (given.load(Ordering::Relaxed) > 0).then_some(())).await;
    comes_and_goes(&bob, &tape).await;
    assert_eq!(given.load(Ordering::Relaxed), 2, "again after the line broke, and then no more");
    bob.client.connect().unwrap();
    let carol = town.arrives("carol").await;
    let carols = carol.meets(&bob).await;
    carol.says(carols, "hello").await;
    bob.sees(carols, &["you: hello"]).await;
}

/// Its only chat began after the copy was taken: it has nothing to say by which the relay would know that it knows.
#[tokio::test]
async fn a_phone_that_was_put_back_replaces_its_key_packages_once() {
    let (town, tape) = Town::with_a_tap().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    alice.syncs().await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    let (folder, copy) = (town.dir.path().join("bob"), town.dir.path().join("bob-copy"));
    copy_dir(&folder, &copy);
    let bob = town.open("bob");
    let chat = bob.meets(&alice).await;
    bob.says(chat, "one").await;
    alice.sees(chat, &["you: one"]).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    copy_dir(&copy, &folder);
    let given = Arc::new(AtomicU32::new(0));
    let times = Arc::clone(&given);
    tape.breaks_before(move |_, request| {
        times.fetch_add(u32::from(matches!(request, Request::PublishKeyPackages { .. })), Ordering::Relaxed);
        false
    });
    let bob = town.open("bob");
    comes_and_goes(&bob, &tape).await;
    assert_eq!(given.load(Ordering::Relaxed), 1);
}

/// Three times, each on a line of its own.
async fn comes_and_goes(person: &Person, tape: &Tape) {
    for _ in 0..3 {
        person.client.connect().unwrap();
        person.syncs().await;
        tape.cuts_the_line();
        person.until("the end of the line", |me| (!me.is_online()).then_some(())).await;
    }
}

/// The copy of Bob's phone had begun a conversation and not heard that the relay took it. The phone said something in it.
#[tokio::test]
async fn a_phone_that_was_put_back_to_where_it_began_a_conversation_is_read() {
    let (town, tape) = Town::with_a_tap().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    alice.syncs().await;
    let opening = Arc::new(AtomicU32::new(0));
    let times = Arc::clone(&opening);
    tape.breaks_before(move |_, request| {
        matches!(request, Request::OpenGeneration { .. }) && times.fetch_add(1, Ordering::Relaxed) == 0
    });
    let chat = bob.meets(&alice).await;
    bob.says(chat, "one").await;
    bob.until("the end of the line", |_| (opening.load(Ordering::Relaxed) > 0).then_some(())).await;
    bob.client.shutdown().unwrap();
    let (folder, copy) = (town.dir.path().join("bob"), town.dir.path().join("bob-copy"));
    copy_dir(&folder, &copy);
    let bob = town.open("bob");
    bob.says(chat, "two").await;
    alice.sees(chat, &["you: one", "you: two"]).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    copy_dir(&copy, &folder);
    let bob = town.open("bob");
    bob.says(chat, "three").await;
    alice.sees(chat, &["you: one", "you: two", "you: three"]).await;
}

/// Bob's phone and the relay were copied together and put back together. Neither knows what he said since, and what he would seal with
/// the keys of before could be opened by nobody.
#[tokio::test]
async fn what_is_said_by_a_phone_that_was_put_back_with_its_relay_is_read() {
    let mut town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("one").await;
    town.pass(MINUTE_MS);
    alice.says(chat, "two").await;
    bob.sees(chat, &["you: one", "you: two"]).await;
    alice.mine_is(chat, BubbleState::Delivered).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    let (folder, copy) = (town.dir.path().join("bob"), town.dir.path().join("bob-copy"));
    copy_dir(&folder, &copy);
    town.copy_relay().await;
    town.pass(MINUTE_MS);
    alice.client.connect().unwrap();
    let bob = town.open("bob");
    for text in ["three", "four"] {
        bob.says(chat, text).await;
    }
    alice.sees(chat, &["me: one", "me: two", "you: three", "you: four"]).await;
    alice.syncs().await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    copy_dir(&copy, &folder);
    town.restore_relay(Restored::Marked).await;
    alice.client.connect().unwrap();
    let bob = town.open("bob");
    for text in ["five", "six"] {
        bob.says(chat, text).await;
    }
    alice.sees(chat, &["me: one", "me: two", "you: three", "you: four", "you: five", "you: six"]).await;
}
