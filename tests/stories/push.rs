//! Being woken: what comes for a phone that is away makes the relay knock at its push service, once.
#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::sync::Arc;

use comptoir_client::{BubbleState, Client};
use comptoir_content::ConversationId;
use comptoir_tests::push::{Distributor, PushService, Says};
use comptoir_tests::{HOUR_MS, MINUTE_MS, Person, Town};

/// Somebody's phone, which has a distributor.
fn phone(town: &Town, name: &str, distributor: &Arc<Distributor>) -> Person {
    let mut config = town.config(name);
    config.push = Some(distributor.clone());
    Person { client: Client::open_headless(config, town.setting()).unwrap(), name: name.to_owned() }
}

/// Bob's phone has a distributor, Alice's has none, and they know each other.
async fn two_people(town: &Town, distributor: &Arc<Distributor>) -> (Person, Person, ConversationId) {
    let alice = town.arrives("alice").await;
    let (bob, chat) = friend_of(town, &alice, "bob", distributor).await;
    (alice, bob, chat)
}

/// Somebody with a distributor, whom Alice knows.
async fn friend_of(
    town: &Town,
    alice: &Person,
    name: &str,
    distributor: &Arc<Distributor>,
) -> (Person, ConversationId) {
    let bob = phone(town, name, distributor);
    bob.client.create_account(&town.relay_url()).await.unwrap();
    bob.syncs().await;
    let chat = alice.meets(&bob).await;
    alice.says(chat, "Bonjour Bob").await;
    bob.sees(chat, &["you: Bonjour Bob"]).await;
    // Told, and asked once more to see that nothing changed meanwhile.
    distributor.was_asked(2).await;
    (bob, chat)
}

/// A tablet of Alice's, with a distributor of its own, that takes part in the conversation.
async fn tablet_of_alice(town: &Town, alice: &Person, chat: ConversationId, distributor: &Arc<Distributor>) -> Person {
    let tablet = phone(town, "alice-tablet", distributor);
    let request = tablet.client.link_request().await.unwrap();
    tablet.client.finish_link(&alice.client.link_device(&request).await.unwrap()).await.unwrap();
    alice.takes_in(town, &tablet, chat).await;
    distributor.was_asked(2).await;
    tablet
}

/// Bob's phone puts the app to sleep, with everything read.
async fn sleeps(town: &Town, bob: &Person) {
    bob.syncs().await;
    falls_asleep(town, bob, 1).await;
}

/// Somebody's phone puts the app to sleep; so many others stay connected.
async fn falls_asleep(town: &Town, person: &Person, others: u64) {
    let client = person.client.clone();
    tokio::task::spawn_blocking(move || client.suspend(10_000)).await.unwrap().unwrap();
    town.until_number("connections_open", others).await;
}

async fn wakes(bob: &Person) {
    bob.client.resume().unwrap();
    bob.syncs().await;
}

/// Everything by which somebody could be known, as it could be written down.
fn ids_of(person: &Person, chat: ConversationId) -> Vec<String> {
    let me = person.client.identity().unwrap().unwrap();
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let bytes = [&me.account.0[..], &me.device.0, &chat.0].map(hex);
    let texts = [me.account.to_string(), me.device.to_string(), chat.to_string()];
    texts.into_iter().chain(bytes).map(|id| id.to_lowercase()).collect()
}

async fn says_and_is_heard(alice: &Person, chat: ConversationId, text: &str) {
    alice.says(chat, text).await;
    alice.mine_is(chat, BubbleState::Sent).await;
}

#[tokio::test]
async fn a_phone_that_is_away_is_woken_once() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bobs-token")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    alice.syncs().await;
    bob.says(chat, "I am here").await;
    alice.says(chat, "so you are").await;
    bob.until("so you are", |bob| bob.thread(chat).last().filter(|said| *said == "you: so you are").map(drop)).await;
    assert!(service.is_quiet(), "who is connected is not knocked for");
    let key = bob.client.push_key().unwrap().unwrap();
    let ids: Vec<String> = [&alice, &bob].into_iter().flat_map(|person| ids_of(person, chat)).collect();

    sleeps(&town, &bob).await;
    for text in ["one", "two", "three"] {
        says_and_is_heard(&alice, chat, text).await;
    }
    let request = service.hears().await;
    town.until_number("wake_ups_taken_total", 1).await;
    says_and_is_heard(&alice, chat, "four").await;
    town.pass(9 * HOUR_MS);
    town.relay_looks_at_the_clock().await;
    assert_eq!(town.number("wake_ups_owed").await, 0);
    assert!(service.is_quiet(), "no other until he was here");

    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "");
    assert!(head.starts_with("POST /up/bobs-token?v=1 HTTP/1.1\r\n"), "{head}");
    let signed = format!(", k={key}");
    for part in ["ttl: 2419200", "urgency: high", "topic: comptoir", "content-length: 0", &signed] {
        assert!(head.lines().any(|line| line == part || line.ends_with(part)), "{part} in {head}");
    }
    let request = request.to_lowercase();
    for id in ids {
        assert!(!request.contains(&id), "{id} in {request}");
    }
    wakes(&bob).await;
    bob.until("four", |bob| bob.thread(chat).contains(&"you: four".to_owned()).then_some(())).await;

    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "five").await;
    service.hears().await;
    town.until_number("wake_ups_taken_total", 2).await;
    assert!(service.is_quiet());
    distributor.was_asked(3).await;
    assert_eq!(distributor.asked(), 3, "once for each connection, and once after it was told");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_knocked_at_no_more_until_there_is_another() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("old")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    service.says(Says::Status(410));
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "one").await;
    service.hears().await;
    town.until_number("wake_ups_gone_total", 1).await;
    assert_eq!(town.number("push_targets").await, 0);
    says_and_is_heard(&alice, chat, "two").await;
    town.relay_looks_at_the_clock().await;
    assert_eq!(town.number("wake_ups_owed").await, 0);
    assert!(service.is_quiet());

    // His distributor gives another one while the core runs.
    service.says(Says::Status(201));
    distributor.gives(None);
    wakes(&bob).await;
    distributor.was_asked(3).await;
    distributor.gives(Some(service.endpoint("new")));
    bob.client.push_changed().unwrap();
    distributor.was_asked(5).await;
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "three").await;
    assert!(service.hears().await.starts_with("POST /up/new?v=1 "));
    town.until_number("wake_ups_taken_total", 1).await;

    // And withdraws it.
    wakes(&bob).await;
    distributor.was_asked(6).await;
    distributor.gives(None);
    bob.client.push_changed().unwrap();
    distributor.was_asked(8).await;
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "four").await;
    assert_eq!((town.number("push_targets").await, town.number("wake_ups_owed").await), (0, 0));
    assert!(service.is_quiet());
}

/// The push service says that it took the wake-up, or that it does not want it, and the phone sleeps on.
#[tokio::test]
async fn a_wake_up_that_was_lost_is_sent_again_with_what_comes_an_hour_later() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    sleeps(&town, &bob).await;
    for (status, number) in [(201, "wake_ups_taken_total"), (401, "wake_ups_refused_total")] {
        service.says(Says::Status(status));
        says_and_is_heard(&alice, chat, "one").await;
        service.hears().await;
        town.until_number(number, 1).await;
        town.pass(HOUR_MS - 1);
        says_and_is_heard(&alice, chat, "two").await;
        town.relay_looks_at_the_clock().await;
        assert_eq!(town.number("wake_ups_owed").await, 0);
        assert!(service.is_quiet(), "once within the hour");
        town.pass(1);
    }
    town.pass(HOUR_MS);
    town.relay_looks_at_the_clock().await;
    assert!(service.is_quiet(), "nothing has come since");
    service.says(Says::Status(201));
    says_and_is_heard(&alice, chat, "three").await;
    service.hears().await;
}

#[tokio::test]
async fn a_push_service_that_does_not_find_him_for_a_moment_finds_him_later() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    service.says(Says::Status(404));
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "one").await;
    service.hears().await;
    town.until_number("wake_ups_later_total", 1).await;
    assert_eq!(town.number("push_targets").await, 1);
    service.says(Says::Status(201));
    town.pass(MINUTE_MS);
    town.relay_looks_at_the_clock().await;
    service.hears().await;
    town.until_number("wake_ups_taken_total", 1).await;
}

/// With two places in all, one site has one of them, and one that does not answer may be two people's.
#[tokio::test]
async fn a_push_service_that_hangs_keeps_nobody_else_from_being_woken() {
    let town = Town::whose_relay(|config| {
        (config.push.at_once_max, config.push.answer_ms) = (2, 600_000);
    })
    .await;
    let alice = town.arrives("alice").await;
    let (mut hangs, mut works) = (PushService::opens().await, PushService::opens().await);
    let at_hangs = ["bob", "carol", "dave"].map(|name| (name, Distributor::giving(Some(hangs.endpoint(name)))));
    let mut people = Vec::new();
    for (name, distributor) in &at_hangs {
        people.push(friend_of(&town, &alice, name, distributor).await);
    }
    let erin_is_at = Distributor::giving(Some(works.endpoint_elsewhere("erin")));
    let (erin, erins) = friend_of(&town, &alice, "erin", &erin_is_at).await;
    for (person, others) in people.iter().map(|(person, _)| person).chain([&erin]).zip([4, 3, 2, 1]) {
        person.syncs().await;
        falls_asleep(&town, person, others).await;
    }
    // Hers has answered before.
    says_and_is_heard(&alice, erins, "one").await;
    works.hears().await;
    town.until_number("wake_ups_taken_total", 1).await;
    hangs.says(Says::Nothing);
    for (_, chat) in &people {
        says_and_is_heard(&alice, *chat, "one").await;
    }
    hangs.hears().await;
    town.until_number("wake_ups_put_off_total", 2).await;
    town.pass(HOUR_MS);
    says_and_is_heard(&alice, erins, "two").await;
    works.hears().await;
    town.until_number("wake_ups_taken_total", 2).await;
    assert!(hangs.is_quiet(), "one of three at a time");
}

/// Somebody writes whenever he leaves, and he leaves often.
#[tokio::test]
async fn nobody_is_woken_more_often_than_once_a_minute_for_long() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    for times in 1..=11 {
        sleeps(&town, &bob).await;
        says_and_is_heard(&alice, chat, "are you there?").await;
        if times <= 10 {
            service.hears().await;
            town.until_number("wake_ups_taken_total", times).await;
            wakes(&bob).await;
        }
    }
    town.until_number("wake_ups_put_off_total", 1).await;
    assert!(service.is_quiet());
    town.pass(MINUTE_MS);
    town.relay_looks_at_the_clock().await;
    service.hears().await;
    town.until_number("wake_ups_taken_total", 11).await;
}

#[tokio::test]
async fn a_push_service_that_takes_no_empty_message_gets_one_byte() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    service.says(Says::NotEmpty);
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "one").await;
    let [empty, again] = [service.hears().await, service.hears().await];
    let [(_, empty), (head, again)] = [&empty, &again].map(|request| request.split_once("\r\n\r\n").unwrap());
    assert_eq!((empty, again), ("", " "));
    assert!(head.contains("authorization: vapid t=") && head.contains("content-length: 1\r\n"), "{head}");
    town.until_number("wake_ups_taken_total", 1).await;
    // One that wants neither is not asked a third time.
    service.says(Says::Status(400));
    wakes(&bob).await;
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "two").await;
    town.until_number("wake_ups_refused_total", 1).await;
    service.hears().await;
    service.hears().await;
    assert!(service.is_quiet());
}

/// He believes that the relay has it, and the relay has forgotten it: a push service may be wrong about what is gone.
#[tokio::test]
async fn what_the_relay_has_forgotten_it_is_told_again() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    service.says(Says::Status(410));
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "one").await;
    service.hears().await;
    town.until_number("wake_ups_gone_total", 1).await;
    assert_eq!(town.number("push_targets").await, 0);

    service.says(Says::Status(201));
    wakes(&bob).await;
    town.until_number("push_targets", 1).await;
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "two").await;
    service.hears().await;
    town.until_number("wake_ups_taken_total", 1).await;
}

/// Nobody has left the mark of a restored copy: only the numbers of his mailbox tell him that the relay knows an older
/// endpoint than he believes.
#[tokio::test]
async fn a_relay_that_went_back_in_time_is_told_again() {
    let mut town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("old")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    alice.syncs().await;
    bob.syncs().await;
    town.stop_relay().await;
    let (database, copy) = (town.relay_dir().join("relay.db"), town.dir.path().join("copy.db"));
    std::fs::copy(&database, &copy).unwrap();
    distributor.gives(Some(service.endpoint("new")));
    town.start_relay().await;
    alice.client.connect().unwrap();
    bob.client.connect().unwrap();
    says_and_is_heard(&alice, chat, "one").await;
    bob.until("one", |bob| bob.thread(chat).contains(&"you: one".to_owned()).then_some(())).await;
    distributor.was_asked(4).await;
    alice.syncs().await;
    bob.syncs().await;

    town.stop_relay().await;
    std::fs::copy(&copy, &database).unwrap();
    town.start_relay().await;
    alice.client.connect().unwrap();
    bob.client.connect().unwrap();
    distributor.was_asked(6).await;
    alice.syncs().await;
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "two").await;
    assert!(service.hears().await.starts_with("POST /up/new?v=1 "));
}

/// The relay took the new one, the line broke before it said so, and then the old one was the right one after all.
#[tokio::test]
async fn an_endpoint_whose_telling_was_never_answered_is_told_again() {
    let (town, tape) = Town::with_a_tap().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("old")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    bob.syncs().await;
    tape.holds_answers(true);
    distributor.gives(Some(service.endpoint("new")));
    bob.client.push_changed().unwrap();
    tape.shows_soon(service.endpoint("new").as_bytes()).await;
    distributor.gives(Some(service.endpoint("old")));
    tape.cuts_the_line();
    tape.holds_answers(false);
    alice.client.connect().unwrap();
    bob.client.connect().unwrap();
    alice.syncs().await;
    // For the new one, for the connection, and after the old one was told.
    distributor.was_asked(5).await;
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "one").await;
    assert!(service.hears().await.starts_with("POST /up/old?v=1 "));
}

#[tokio::test]
async fn an_endpoint_that_comes_while_another_is_being_told_is_told_after_it() {
    let (town, tape) = Town::with_a_tap().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("old")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    bob.syncs().await;
    // The relay will refuse this one, and has not yet.
    tape.holds_answers(true);
    distributor.gives(Some("https://10.0.0.1/up".to_owned()));
    bob.client.push_changed().unwrap();
    tape.shows_soon(b"https://10.0.0.1/up").await;
    distributor.gives(Some(service.endpoint("new")));
    for times in [4, 5] {
        // When he is asked the second time, what he said the first time has been heard.
        bob.client.push_changed().unwrap();
        distributor.was_asked(times).await;
    }
    tape.holds_answers(false);
    distributor.was_asked(6).await;
    alice.syncs().await;
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "one").await;
    assert!(service.hears().await.starts_with("POST /up/new?v=1 "));
}

#[tokio::test]
async fn ones_own_devices_are_not_woken_for_what_one_says() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    let tablets = Distributor::giving(Some(service.endpoint("alices-tablet")));
    let tablet = tablet_of_alice(&town, &alice, chat, &tablets).await;
    for person in [&alice, &bob, &tablet] {
        person.syncs().await;
    }
    falls_asleep(&town, &tablet, 2).await;
    falls_asleep(&town, &bob, 1).await;
    says_and_is_heard(&alice, chat, "one").await;
    assert!(service.hears().await.starts_with("POST /up/bob?v=1 "));
    town.until_number("wake_ups_taken_total", 1).await;
    assert_eq!(town.number("wake_ups_owed").await, 0);
    assert!(service.is_quiet(), "the tablet sleeps on");
    // What Bob says wakes it.
    wakes(&bob).await;
    falls_asleep(&town, &alice, 1).await;
    bob.says(chat, "two").await;
    assert!(service.hears().await.starts_with("POST /up/alices-tablet?v=1 "));
}

#[tokio::test]
async fn a_push_service_that_is_down_is_tried_again_also_by_a_relay_that_was_closed_meanwhile() {
    let mut town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    sleeps(&town, &bob).await;
    service.says(Says::Status(503));
    says_and_is_heard(&alice, chat, "one").await;
    service.hears().await;
    town.until_number("wake_ups_later_total", 1).await;
    town.relay_looks_at_the_clock().await;
    assert_eq!(town.number("wake_ups_owed").await, 1);
    assert!(service.is_quiet(), "not before its time");
    let address = service.closes();
    town.pass(MINUTE_MS);
    town.relay_looks_at_the_clock().await;
    town.until_number("wake_ups_later_total", 2).await;

    town.stop_relay().await;
    town.pass(5 * MINUTE_MS);
    let mut service = PushService::at(address).await;
    town.start_relay().await;
    service.hears().await;
    town.until_number("wake_ups_taken_total", 1).await;
    assert_eq!(town.number("wake_ups_owed").await, 0);
    wakes(&bob).await;
    bob.until("one", |bob| bob.thread(chat).contains(&"you: one".to_owned()).then_some(())).await;
}

#[tokio::test]
async fn a_push_service_that_is_down_is_tried_for_three_days() {
    /// Between two tries never more than an hour, give or take a fifth: sixty in three days.
    const PAUSE_MS: i64 = HOUR_MS + 12 * MINUTE_MS;
    let town = Town::new().await;
    let service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    sleeps(&town, &bob).await;
    let address = service.closes();
    let it_is_time = async || {
        town.pass(PAUSE_MS);
        town.relay_looks_at_the_clock().await;
    };
    says_and_is_heard(&alice, chat, "one").await;
    town.until_number("wake_ups_later_total", 1).await;
    for tries in 2..=50 {
        it_is_time().await;
        town.until_number("wake_ups_later_total", tries).await;
    }
    let mut service = PushService::at(address).await;
    it_is_time().await;
    service.hears().await;
    town.until_number("wake_ups_taken_total", 1).await;

    // The next one is in vain, and then it is enough. The endpoint is kept.
    service.closes();
    town.pass(HOUR_MS);
    says_and_is_heard(&alice, chat, "two").await;
    town.until_number("wake_ups_later_total", 51).await;
    for tries in 52..=110 {
        it_is_time().await;
        town.until_number("wake_ups_later_total", tries).await;
    }
    it_is_time().await;
    town.until_number("wake_ups_given_up_total", 1).await;
    assert_eq!((town.number("wake_ups_owed").await, town.number("push_targets").await), (0, 1));
    let mut service = PushService::at(address).await;
    says_and_is_heard(&alice, chat, "three").await;
    service.hears().await;
}

#[tokio::test]
async fn a_push_service_that_hangs_holds_up_no_message() {
    let town = Town::new().await;
    let mut service = PushService::opens().await;
    let distributor = Distributor::giving(Some(service.endpoint("bob")));
    let (alice, bob, chat) = two_people(&town, &distributor).await;
    service.says(Says::Nothing);
    sleeps(&town, &bob).await;
    says_and_is_heard(&alice, chat, "one").await;
    service.hears().await;
    // The relay waits for an answer, and takes messages meanwhile.
    says_and_is_heard(&alice, chat, "two").await;
    let tried = ["taken", "refused", "gone", "later", "given_up"].map(|what| format!("wake_ups_{what}_total"));
    for what in &tried {
        assert_eq!(town.number(what).await, 0, "{what}");
    }
    // Bob is here before it answers: nothing is owed any more, whatever it says.
    wakes(&bob).await;
    bob.until("two", |bob| bob.thread(chat).contains(&"you: two".to_owned()).then_some(())).await;
    assert_eq!(town.number("wake_ups_owed").await, 0);
}
