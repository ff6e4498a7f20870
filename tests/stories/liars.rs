//! A relay that lies: it withholds, repeats, turns around, hides what an account log says, and gives one key package to two.
#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]
#![allow(clippy::wildcard_enum_match_arm, reason = "whatever else the relay says is passed on")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use comptoir_client::BubbleState;
use comptoir_content::ConversationId;
use comptoir_tests::tap::Tape;
use comptoir_tests::{PATIENCE, Person, Town};
use comptoir_wire::{Claimed, DeviceId, EnvelopeKind, Item, Reply};

/// Alice and Bob have talked, through a relay that will not stay honest.
async fn two_who_talk() -> (Town, Tape, Person, Person, ConversationId) {
    let (town, tape) = Town::with_a_tap().await;
    let (alice, bob, chat) = town.two_who_talk("one").await;
    alice.mine_is(chat, BubbleState::Delivered).await;
    bob.syncs().await;
    alice.syncs().await;
    (town, tape, alice, bob, chat)
}

fn device(person: &Person) -> DeviceId {
    DeviceId(person.client.identity().unwrap().unwrap().device.0)
}

/// Numbers what one device hears anew, so that nothing seems to be missing or too much.
fn numbered(next: &mut Option<u64>, items: Vec<Item>) -> Vec<Item> {
    let mut seq = next.unwrap_or_else(|| items.first().map_or(0, |item| item.seq));
    let again = items.into_iter().map(|item| {
        let numbered = Item { seq, ..item };
        seq += 1;
        numbered
    });
    let again = again.collect();
    *next = Some(seq);
    again
}

/// Bob cannot know what he was never given. Alice sees that it did not arrive.
#[tokio::test]
async fn what_a_relay_withholds_is_never_shown_as_delivered() {
    let (_town, tape, alice, bob, chat) = two_who_talk().await;
    let (bobs, withholds) = (device(&bob), Arc::new(AtomicBool::new(true)));
    let (now, mut next) = (withholds.clone(), None);
    let (kept_back, mut has_kept_back) = tokio::sync::watch::channel(false);
    tape.lies(move |to, reply| match reply {
        Reply::Delivery(mut items) if to == bobs => {
            let first = items.first().map(|item| item.seq);
            next = next.or(first);
            if now.load(Ordering::SeqCst) {
                items.retain(|item| item.envelope.kind != EnvelopeKind::Message);
                kept_back.send_replace(true);
            }
            Some(Reply::Delivery(numbered(&mut next, items)))
        }
        honest => Some(honest),
    });
    alice.says(chat, "two").await;
    alice.mine_is(chat, BubbleState::Sent).await;
    alice.syncs().await;
    // Whatever comes for Bob from now on is given to him.
    let waiting = has_kept_back.wait_for(|kept| *kept);
    tokio::time::timeout(PATIENCE, waiting).await.expect("something is kept back").unwrap();
    withholds.store(false, Ordering::SeqCst);
    alice.says(chat, "three").await;
    bob.sees(chat, &["you: one", "you: three"]).await;
    alice.mine_is(chat, BubbleState::Delivered).await;
    let states: Vec<BubbleState> = alice.bubbles(chat).into_iter().map(|bubble| bubble.state).collect();
    assert_eq!(states, [BubbleState::Delivered, BubbleState::Sent, BubbleState::Delivered]);
}

#[tokio::test]
async fn what_a_relay_repeats_or_turns_around_is_read_once_and_whole() {
    let (_town, tape, alice, bob, chat) = two_who_talk().await;
    let bobs = device(&bob);
    let (mut next, mut before) = (None, Vec::<Item>::new());
    tape.lies(move |to, reply| match reply {
        Reply::Delivery(items) if to == bobs => {
            // The newest first, and then everything that was ever delivered once more.
            let mut told: Vec<Item> = items.iter().rev().cloned().collect();
            told.extend(before.iter().cloned());
            before.extend(items);
            next = next.or(before.first().map(|item| item.seq));
            Some(Reply::Delivery(numbered(&mut next, told)))
        }
        honest => Some(honest),
    });
    let texts: Vec<String> = (2..12).map(|number| format!("number {number}")).collect();
    alice.client.send_texts(chat, texts.clone()).await.unwrap();
    let thread = bob.until("all of it", |me| Some(me.thread(chat)).filter(|thread| thread.len() == 11)).await;
    alice.says(chat, "the end").await;
    bob.until("the end", |me| (me.thread(chat).len() == 12).then_some(())).await;
    let mut came: Vec<&str> = thread.iter().skip(1).map(|text| text.trim_start_matches("you: ")).collect();
    came.sort_unstable();
    let mut said: Vec<&str> = texts.iter().map(String::as_str).collect();
    said.sort_unstable();
    assert_eq!(came, said);
}

/// Alice links a tablet, and the relay shows Bob a log in which there is none: nothing that the tablet says is believed, and
/// nothing of it is lost.
#[tokio::test]
async fn a_relay_that_hides_an_account_log_delays_and_fools_nobody() {
    let (town, tape, alice, bob, chat) = two_who_talk().await;
    let bobs = device(&bob);
    tape.lies(move |to, reply| match reply {
        Reply::Log(mut slice) if to == bobs => {
            // As it was before the tablet: the device that made the account, and nothing else.
            let keeps = 1_u64.saturating_sub(slice.from);
            slice.entries.truncate(usize::try_from(keeps).unwrap_or(0));
            slice.len = slice.len.min(1);
            Some(Reply::Log(slice))
        }
        honest => Some(honest),
    });
    let tablet = alice.links(&town, "alice-tablet").await;
    alice.takes_in(&town, &tablet, chat).await;
    alice.syncs().await;
    tablet.says(chat, "from my tablet").await;
    tablet.mine_is(chat, BubbleState::Sent).await;
    bob.syncs().await;
    assert_eq!(bob.thread(chat), ["you: one"]);
    tape.is_honest_again();
    tape.cuts_the_line();
    bob.until("another line", |me| me.is_online().then_some(())).await;
    bob.sees(chat, &["you: one", "you: from my tablet"]).await;
}

/// Alice and Carol are given the same key package of Bob's. He opens the first of the two invitations; the second is as good as
/// withheld, and never shown as delivered. As soon as he hears of Carol in any other way they can talk.
#[tokio::test]
async fn a_key_package_that_a_relay_gives_twice_opens_one_invitation() {
    let (town, tape) = Town::with_a_tap().await;
    let (alice, carol) = (town.arrives("alice").await, town.arrives("carol").await);
    let bob = town.arrives("bob").await;
    for person in [&alice, &bob, &carol] {
        person.syncs().await;
    }
    let (alices_device, carols, twice) = (device(&alice), device(&carol), Arc::new(AtomicBool::new(false)));
    let mut first: Option<Vec<Claimed>> = None;
    let was_given = twice.clone();
    tape.lies(move |to, reply| match reply {
        Reply::KeyPackages(claimed) if to == alices_device => {
            first = Some(claimed.clone());
            Some(Reply::KeyPackages(claimed))
        }
        // Once. Later ones are her own again.
        Reply::KeyPackages(claimed) if to == carols => {
            let given = first.take();
            was_given.fetch_or(given.is_some(), Ordering::SeqCst);
            Some(Reply::KeyPackages(given.unwrap_or(claimed)))
        }
        honest => Some(honest),
    });
    let alices = alice.meets(&bob).await;
    alice.says(alices, "from Alice").await;
    bob.sees(alices, &["you: from Alice"]).await;
    let carols = carol.meets(&bob).await;
    carol.says(carols, "from Carol").await;
    carol.mine_is(carols, BubbleState::Sent).await;
    carol.syncs().await;
    bob.syncs().await;
    assert!(twice.load(Ordering::SeqCst), "nobody was given it twice");
    assert_eq!(carol.bubbles(carols)[0].state, BubbleState::Sent);
    assert_eq!(bob.chats().len(), 1, "only Alice's");
    alice.says(alices, "still here").await;
    bob.sees(alices, &["you: from Alice", "you: still here"]).await;

    assert_eq!(bob.meets(&carol).await, carols);
    bob.says(carols, "Hello!").await;
    carol.until("his word", |me| me.thread(carols).contains(&"you: Hello!".to_owned()).then_some(())).await;
    carol.says(carols, "At last").await;
    bob.until("hers", |me| me.thread(carols).contains(&"you: At last".to_owned()).then_some(())).await;
}
