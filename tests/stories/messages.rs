//! Messages between people, through a real relay.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use comptoir_client::{BubbleState, Client};
use comptoir_content::ConversationId;
use comptoir_tests::{DAY_MS, MINUTE_MS, Person, Town};

#[tokio::test]
async fn a_message_reaches_bob_and_the_marks_come_back() {
    let town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("Bonjour Bob").await;
    alice.mine_is(chat, BubbleState::Delivered).await;
    assert_eq!(bob.chats()[0].unread, 1);
    bob.client.mark_read(chat, None).await.unwrap();
    assert_eq!(bob.chats()[0].unread, 0);
    alice.mine_is(chat, BubbleState::Read).await;
    bob.says(chat, "Bonjour Alice").await;
    alice.sees(chat, &["me: Bonjour Bob", "you: Bonjour Alice"]).await;
}

#[tokio::test]
async fn the_first_message_waits_while_bob_is_offline_for_days() {
    let town = Town::new().await;
    let bob = town.arrives("bob").await;
    bob.syncs().await;
    let link = bob.link();
    bob.client.shutdown().unwrap();
    let alice = town.arrives("alice").await;
    let chat = alice.client.add_contact(&link).await.unwrap();
    for text in ["one", "two", "three"] {
        alice.says(chat, text).await;
    }
    alice.mine_is(chat, BubbleState::Sent).await;
    town.pass(9 * DAY_MS);
    let bob = town.open("bob");
    bob.sees(chat, &["you: one", "you: two", "you: three"]).await;
    alice.mine_is(chat, BubbleState::Delivered).await;
}

#[tokio::test]
async fn what_is_written_offline_goes_out_when_the_relay_is_back() {
    let mut town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("before").await;
    town.stop_relay().await;
    alice.says(chat, "while it was away").await;
    alice.client.shutdown().unwrap();
    town.start_relay().await;
    let alice = town.open("alice");
    alice.client.connect().unwrap();
    bob.client.connect().unwrap();
    bob.sees(chat, &["you: before", "you: while it was away"]).await;
    alice.mine_is(chat, BubbleState::Delivered).await;
}

#[tokio::test]
async fn two_who_write_first_at_once_end_up_in_one_thread() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    alice.syncs().await;
    bob.syncs().await;
    let (to_bob, to_alice) = (bob.link(), alice.link());
    let (chat, same) = tokio::join!(alice.client.add_contact(&to_bob), bob.client.add_contact(&to_alice));
    let (chat, same) = (chat.unwrap(), same.unwrap());
    assert_eq!(chat, same);
    tokio::join!(alice.says(chat, "from Alice"), bob.says(chat, "from Bob"));
    for person in [&alice, &bob] {
        person
            .until("both messages", |me| {
                let mut thread = me.bubbles(chat).into_iter().map(|bubble| bubble.text).collect::<Vec<_>>();
                thread.sort();
                (thread == ["from Alice", "from Bob"]).then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn two_devices_of_one_account_read_the_same_thread() {
    let town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("before the tablet").await;

    let tablet = alice.links(&town, "alice-tablet").await;
    alice.takes_in(&town, &tablet, chat).await;
    // Bob learns of the tablet in order: what Alice says after she invited it comes after the invitation.
    alice.says(chat, "I have a tablet now").await;
    let so_far = ["you: before the tablet", "you: I have a tablet now"];
    bob.sees(chat, &so_far).await;
    bob.says(chat, "to both of you").await;
    tablet.sees(chat, &["me: I have a tablet now", "you: to both of you"]).await;
    tablet.says(chat, "from the tablet").await;
    let whole = ["me: before the tablet", "me: I have a tablet now", "you: to both of you", "me: from the tablet"];
    alice.sees(chat, &whole).await;
    bob.sees(chat, &[&so_far[..], &["me: to both of you", "you: from the tablet"]].concat()).await;
}

#[tokio::test]
async fn a_search_finds_words_as_people_write_them() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    bob.syncs().await;
    let chat = alice.meets(&bob).await;
    let said = ["Le café est prêt", "今日は東京で会いましょう", "the café on the corner", "السَّلامُ عليكم"];
    for text in said {
        alice.says(chat, text).await;
    }
    bob.until("all of it", |me| (me.thread(chat).len() == said.len()).then_some(())).await;
    let finds = |client: &Client, query: &str| -> Vec<String> {
        let found = client.search(query, 10).unwrap();
        assert!(found.iter().all(|hit| hit.chat == chat));
        found.into_iter().map(|hit| hit.bubble.text).collect()
    };
    for person in [&alice, &bob] {
        // Newest first; without accents, in capitals, and from the beginning of a word.
        assert_eq!(finds(&person.client, "cafe"), [said[2], said[0]], "{}", person.name);
        assert_eq!(finds(&person.client, "CORN"), [said[2]]);
        assert_eq!(finds(&person.client, "café prêt"), [said[0]]);
        assert_eq!(finds(&person.client, "東京"), [said[1]]);
        assert_eq!(finds(&person.client, "السلام"), [said[3]]);
        assert_eq!(finds(&person.client, "croissant"), [""; 0]);
        assert_eq!(finds(&person.client, "\"cafe* OR (x NEAR"), [""; 0], "words, not a language");
    }
}

/// What `person` reads in the chat, in any order.
async fn reads_all(person: &Person, chat: ConversationId, expected: usize) {
    person.until("all of it", |me| (me.thread(chat).len() == expected).then_some(())).await;
}

#[tokio::test]
async fn many_messages_written_before_the_first_meeting_all_arrive() {
    const EACH: usize = 70;
    let mut town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    alice.syncs().await;
    bob.syncs().await;
    let (to_bob, to_alice) = (bob.link(), alice.link());
    town.stop_relay().await;
    let (chat, same) = tokio::join!(alice.client.add_contact(&to_bob), bob.client.add_contact(&to_alice));
    let chat = chat.unwrap();
    assert_eq!(chat, same.unwrap());
    for n in 0..EACH {
        alice.says(chat, &format!("from Alice {n}")).await;
        bob.says(chat, &format!("from Bob {n}")).await;
    }
    town.start_relay().await;
    alice.client.connect().unwrap();
    bob.client.connect().unwrap();
    for (me, name) in [(&alice, "Bob"), (&bob, "Alice")] {
        reads_all(me, chat, 2 * EACH).await;
        let theirs: Vec<String> = me.thread(chat).into_iter().filter(|text| text.starts_with("you: ")).collect();
        let expected: Vec<String> = (0..EACH).map(|n| format!("you: from {name} {n}")).collect();
        assert_eq!(theirs, expected, "in order, none missing, none twice");
    }
}

#[tokio::test]
async fn a_relay_that_lost_its_memory_is_told_again() {
    let mut town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("before").await;
    alice.syncs().await;
    bob.syncs().await;
    town.stop_relay().await;
    std::fs::remove_dir_all(town.relay_dir()).unwrap();
    town.start_relay().await;
    // Whom it does not know yet nobody can invite: that is tried again later.
    bob.client.connect().unwrap();
    bob.syncs().await;
    alice.client.connect().unwrap();
    alice.says(chat, "after").await;
    bob.sees(chat, &["you: before", "you: after"]).await;
    bob.says(chat, "still here").await;
    alice.sees(chat, &["me: before", "me: after", "you: still here"]).await;
}

#[tokio::test]
async fn two_devices_linked_while_offline_both_take_part() {
    let mut town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("Bonjour").await;
    town.stop_relay().await;
    let mut others = Vec::new();
    for name in ["bob-tablet", "bob-laptop"] {
        others.push(bob.links(&town, name).await);
    }
    town.start_relay().await;
    for person in [&alice, &bob, &others[0], &others[1]] {
        person.client.connect().unwrap();
    }
    bob.syncs().await;
    for other in &others {
        other.until("a place at the relay", |me| me.is_online().then_some(())).await;
        other.syncs().await;
    }
    for _ in 0..3 {
        town.pass(DAY_MS);
        bob.client.tick().await.unwrap();
        bob.syncs().await;
    }
    for other in &others {
        other.until("the chat", |me| me.chats().iter().any(|row| row.chat == chat).then_some(())).await;
        other.says(chat, &format!("from {}", other.name)).await;
    }
    reads_all(&alice, chat, 3).await;
    alice.says(chat, "to all of you").await;
    for device in [&bob, &others[0], &others[1]] {
        device.until("the answer", |me| me.thread(chat).contains(&"you: to all of you".to_owned()).then_some(())).await;
    }
}

#[tokio::test]
async fn a_phone_that_fell_behind_for_good_begins_again() {
    let town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("Bonjour").await;
    alice.mine_is(chat, BubbleState::Delivered).await;
    bob.syncs().await;
    bob.client.shutdown().unwrap();
    let (folder, copy) = (town.dir.path().join("bob"), town.dir.path().join("bob as he was"));
    comptoir_tests::copy_dir(&folder, &copy);
    let bob = town.open("bob");
    // The group changes three times while nobody keeps this copy up to date.
    for name in ["alice-tablet", "alice-laptop", "alice-desk"] {
        let other = alice.links(&town, name).await;
        alice.takes_in(&town, &other, chat).await;
        alice.syncs().await;
        bob.syncs().await;
    }
    bob.client.shutdown().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    comptoir_tests::copy_dir(&copy, &folder);

    let bob = town.open("bob");
    bob.until("the relay", |me| me.is_online().then_some(())).await;
    bob.says(chat, "Where were we?").await;
    let arrived = |me: &Person| me.thread(chat).contains(&"you: Where were we?".to_owned()).then_some(());
    for _ in 0..600 {
        town.pass(MINUTE_MS);
        bob.client.tick().await.unwrap();
        alice.client.tick().await.unwrap();
        // Time goes by as fast as they answer.
        let soon = std::time::Duration::from_millis(20);
        if tokio::time::timeout(soon, alice.until("Bob's words", arrived)).await.is_ok() {
            break;
        }
    }
    alice.until("Bob's words", arrived).await;
    alice.says(chat, "Here").await;
    bob.until("Alice's words", |me| me.thread(chat).contains(&"you: Here".to_owned()).then_some(())).await;
}

#[tokio::test]
async fn several_texts_are_said_at_once_or_none_of_them() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    bob.syncs().await;
    let chat = alice.meets(&bob).await;
    let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    // Before the first meeting they wait; afterwards they are sealed at once.
    assert_eq!(alice.client.send_texts(chat, texts(&["one", "two"])).await.unwrap().len(), 2);
    bob.sees(chat, &["you: one", "you: two"]).await;
    let refused = alice.client.send_texts(chat, texts(&["three", &"x".repeat(4097)])).await.unwrap_err();
    assert_eq!(refused.code(), "text.too_long");
    let refused = alice.client.send_texts(chat, vec!["x".to_owned(); 101]).await.unwrap_err();
    assert_eq!(refused.code(), "text.too_many");
    assert_eq!(alice.client.send_texts(chat, Vec::new()).await.unwrap(), Vec::new());
    alice.client.send_texts(chat, texts(&["four", "five"])).await.unwrap();
    bob.sees(chat, &["you: one", "you: two", "you: four", "you: five"]).await;
    alice.mine_is(chat, BubbleState::Delivered).await;
}
