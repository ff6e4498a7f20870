//! What a phone does to a core: puts it to sleep, wakes it, watches it, opens its payment sheets.
#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use comptoir_client::{
    Change, ChangeListener, Client, ClientError, Connection, PaymentSheet, Place, Sheet, ShellError, View,
};
use comptoir_tests::scenario::nothing_is_locked;
use comptoir_tests::shop::types_card;
use comptoir_tests::{MINUTE_MS, PATIENCE, Person, Town};

/// Hears changes, and keeps the list that they make.
struct Ear {
    told: Mutex<Sender<Vec<String>>>,
    rows: Mutex<Vec<String>>,
    resets: AtomicU32,
    deaf: AtomicBool,
}

impl Ear {
    fn new() -> (Arc<Self>, Receiver<Vec<String>>) {
        let (told, heard) = channel();
        let (rows, resets, deaf) = (Mutex::default(), AtomicU32::new(0), AtomicBool::new(false));
        (Arc::new(Self { told: Mutex::new(told), rows, resets, deaf }), heard)
    }
}

impl ChangeListener for Ear {
    fn changed(&self, changes: Vec<Change>) -> Result<(), ShellError> {
        if self.deaf.load(Ordering::SeqCst) {
            return Err(ShellError::Failed { detail: "not now".to_owned() });
        }
        let mut rows = self.rows.lock().unwrap();
        for change in changes {
            let (at, removed, new): (u32, u32, Vec<String>) = match change {
                Change::Reset => {
                    self.resets.fetch_add(1, Ordering::SeqCst);
                    rows.clear();
                    continue;
                }
                Change::Chats { at, removed, rows } => (at, removed, rows.into_iter().map(|row| row.preview).collect()),
                Change::Messages { at, removed, rows } => (at, removed, rows.into_iter().map(|row| row.text).collect()),
                Change::Status { .. } => continue,
            };
            rows.splice(at as usize..(at + removed) as usize, new);
        }
        let _ = self.told.lock().unwrap().send(rows.clone());
        Ok(())
    }
}

/// Waits until the list reads like this.
fn hears(heard: &Receiver<Vec<String>>, expected: &[&str]) {
    let mut last = Vec::new();
    while last != expected {
        last = heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("never {expected:?}, but {last:?}"));
    }
}

fn chat_of_two(alice: &Person, bob: &Person) -> impl Future<Output = comptoir_content::ConversationId> {
    let (client, link) = (alice.client.clone(), bob.link());
    async move { client.add_contact(&link).await.unwrap() }
}

#[tokio::test]
async fn a_listener_hears_the_whole_and_then_edits() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    // Whoever is written to at once has key packages at the relay.
    bob.syncs().await;
    let chat = chat_of_two(&alice, &bob).await;
    alice.says(chat, "one").await;
    let (ear, heard) = Ear::new();
    let watched = alice.client.clone().watch_chat(chat, 3, ear.clone()).unwrap();
    hears(&heard, &["one"]);
    for text in ["two", "three", "four", "five"] {
        alice.says(chat, text).await;
    }
    hears(&heard, &["three", "four", "five"]);
    // Scrolling up shows more.
    watched.show(9).unwrap();
    hears(&heard, &["one", "two", "three", "four", "five"]);
    assert_eq!(ear.resets.load(Ordering::SeqCst), 1, "edits only, after the first");

    // A listener that failed hears the whole again with the next change.
    ear.deaf.store(true, Ordering::SeqCst);
    alice.says(chat, "six").await;
    bob.until("six", |bob| bob.thread(chat).contains(&"you: six".to_owned()).then_some(())).await;
    ear.deaf.store(false, Ordering::SeqCst);
    alice.says(chat, "seven").await;
    hears(&heard, &["one", "two", "three", "four", "five", "six", "seven"]);

    // After its end it hears nothing more, whatever happens.
    watched.end().unwrap();
    while heard.try_recv().is_ok() {}
    alice.says(chat, "eight").await;
    alice.syncs().await;
    alice.client.shutdown().unwrap();
    assert!(heard.try_recv().is_err());
    assert_eq!(Arc::strong_count(&ear), 1, "it was let go of");
}

#[tokio::test]
async fn an_unknown_chat_is_not_watched() {
    let town = Town::new().await;
    let alice = town.arrives("alice").await;
    let nowhere = comptoir_content::ConversationId([7; 16]);
    let refused = alice.client.clone().watch_chat(nowhere, 3, Ear::new().0).err().unwrap();
    assert_eq!(refused.code(), "chat.unknown");
}

struct Counter(Mutex<Sender<Sheet>>);

impl PaymentSheet for Counter {
    fn show(&self, sheet: Sheet) -> Result<(), ShellError> {
        let _ = self.0.lock().unwrap().send(sheet);
        // What is said here is not needed: the sheet stays in the bill.
        Err(ShellError::Unavailable { detail: "no screen".to_owned() })
    }
}

#[tokio::test]
async fn the_shell_opens_the_payment_sheet_and_it_stays_when_it_could_not() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let (told, opened) = channel();
    let mut config = town.config("alice");
    config.sheet = Some(Arc::new(Counter(Mutex::new(told))));
    let client = Client::open_headless(config, town.setting()).unwrap();
    let alice = Person { client, name: "alice".to_owned() };
    alice.client.create_account(&town.relay_url()).await.unwrap();
    let chat = alice.client.add_contact(&bakery.link).await.unwrap();
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    let opened = tokio::task::spawn_blocking(move || opened.recv_timeout(PATIENCE).unwrap()).await.unwrap();
    assert_eq!(opened, sheet);
    types_card(&sheet, "4242424242424242").await;
    alice.bill_is(chat, comptoir_client::PaymentState::Paid).await;
    drop(alice);
    let mut bakery = bakery;
    bakery.closes().await;
}

/// Suspends and resumes again and again, while three threads write and one reads all the time.
fn cycles(dir: &Path, client: &Arc<Client>, chat: comptoir_content::ConversationId, cycles: u32) -> Vec<String> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (client, done) = (client.clone(), &done);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    let mut written = Vec::new();
                    for number in 0.. {
                        if done.load(Ordering::SeqCst) {
                            break;
                        }
                        let text = format!("{writer}-{number}");
                        match runtime.block_on(client.send_text(chat, &text, None)) {
                            Ok(_) => written.push(text),
                            Err(ClientError::TryAgain { code, .. }) if code == "core.suspended" => {
                                std::thread::yield_now();
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    written
                })
            })
            .collect();
        let (reader, stop) = (client.clone(), &done);
        scope.spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                match reader.page(chat, Place::Newest, 50) {
                    Ok(_) => {}
                    Err(ClientError::TryAgain { code, .. }) if code == "core.suspended" => std::thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        for cycle in 0..cycles {
            client.suspend(u64::from(cycle % 4)).unwrap();
            nothing_is_locked(dir).unwrap();
            client.resume().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_sleeps_and_wakes_while_others_write_and_nothing_is_lost_or_locked() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    let chat = chat_of_two(&alice, &bob).await;
    alice.client.disconnect().unwrap();
    let count = std::env::var("COMPTOIR_CYCLES").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let (client, dir) = (alice.client.clone(), town.dir.path().join("alice"));
    let mut written = tokio::task::spawn_blocking(move || cycles(&dir, &client, chat, count)).await.unwrap();
    let mut stored = Vec::new();
    let mut place = Place::Newest;
    loop {
        let page = alice.client.page(chat, place, 1000).unwrap();
        stored.extend(page.bubbles.into_iter().map(|bubble| bubble.text));
        match page.before {
            Some(id) => place = Place::Before { id },
            None => break,
        }
    }
    // What was answered is there once. What was interrupted may be there or not.
    stored.sort();
    written.sort();
    let unique = stored.len();
    stored.dedup();
    assert_eq!(stored.len(), unique, "something was stored twice");
    assert!(written.iter().all(|text| stored.binary_search(text).is_ok()), "something that was answered is gone");
    assert!(!written.is_empty());
}

#[tokio::test]
async fn a_second_process_hears_that_the_store_is_in_use() {
    let town = Town::new().await;
    let alice = town.arrives("alice").await;
    let refused = |why: &str| match Client::open_headless(town.config("alice"), town.setting()) {
        Err(ClientError::TryAgain { code, .. }) => assert_eq!(code, "storage.in_use", "{why}"),
        Err(error) => panic!("{why}: {error}"),
        Ok(_) => panic!("{why}: two have one store"),
    };
    refused("while she is here");
    alice.client.suspend(1000).unwrap();
    let other = Client::open_headless(town.config("alice"), town.setting()).unwrap();
    match alice.client.resume() {
        Err(ClientError::TryAgain { code, .. }) => assert_eq!(code, "storage.in_use"),
        other => panic!("{other:?}"),
    }
    other.shutdown().unwrap();
    alice.client.resume().unwrap();
    refused("after she is back");
}

#[tokio::test]
async fn a_device_that_is_not_let_in_is_told_so_and_tries_on() {
    let mut town = Town::new().await;
    let alice = town.arrives("alice").await;
    alice.syncs().await;
    town.stop_relay().await;
    town.start_relay_as("elsewhere.example:443").await;
    match alice.client.sync(None).await {
        Err(ClientError::SignInAgain { code, .. }) => assert_eq!(code, "relay.unauthenticated"),
        other => panic!("{other:?}"),
    }
    let connection = alice.client.status().unwrap().connection;
    assert!(matches!(connection, Connection::Refused { code, .. } if code == "relay.unauthenticated"));
    town.stop_relay().await;
    town.start_relay().await;
    alice.client.connect().unwrap();
    alice.until("the relay", |alice| alice.is_online().then_some(())).await;
    alice.syncs().await;
}

#[tokio::test]
async fn whoever_waits_for_the_relay_hears_of_a_suspension() {
    let mut town = Town::new().await;
    let alice = town.arrives("alice").await;
    town.stop_relay().await;
    alice.until("the end of the line", |me| (!me.is_online()).then_some(())).await;
    // Nothing is unsent and nothing is asked: the status of a suspended core is the one it has already.
    for end in [|client: &Client| client.suspend(1_000), Client::shutdown] {
        alice.client.resume().unwrap();
        let waiting = tokio::spawn({
            let client = alice.client.clone();
            async move { client.sync(None).await }
        });
        tokio::task::yield_now().await;
        let client = alice.client.clone();
        tokio::task::spawn_blocking(move || end(&client)).await.unwrap().unwrap();
        let told = tokio::time::timeout(PATIENCE, waiting).await.expect("it hears").unwrap().unwrap_err();
        assert_eq!(told.code(), "core.suspended");
    }
}

#[tokio::test]
async fn a_core_that_panicked_says_so_and_is_started_anew_by_resuming() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    let chat = chat_of_two(&alice, &bob).await;
    alice.syncs().await;
    let panicked: Result<(), _> = alice.client.turn(|_| panic!("a bug in a turn")).await;
    assert!(matches!(panicked.unwrap_err(), ClientError::Bug { .. }));
    let refused = alice.client.send_text(chat, "hello", None).await.unwrap_err();
    assert_eq!(refused.code(), "core.panicked");
    assert!(!alice.is_online());
    alice.client.resume().unwrap();
    alice.says(chat, "hello again").await;
    bob.sees(chat, &["you: hello again"]).await;
}

/// Ends its own subscription with the first call.
struct Once {
    subscription: Mutex<Receiver<Arc<comptoir_client::Subscription>>>,
    told: Sender<usize>,
}

impl ChangeListener for Once {
    fn changed(&self, changes: Vec<Change>) -> Result<(), ShellError> {
        self.subscription.lock().unwrap().recv().unwrap().end().unwrap();
        let _ = self.told.send(changes.len());
        Ok(())
    }
}

#[tokio::test]
async fn a_listener_that_ends_itself_is_not_called_again() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    let chat = chat_of_two(&alice, &bob).await;
    let (told, heard) = channel();
    let (give, subscription) = channel();
    let once = Arc::new(Once { subscription: Mutex::new(subscription), told });
    let subscription = alice.client.clone().watch_chat(chat, 9, once.clone()).unwrap();
    // Everything is said while its first call waits.
    for number in 0..20 {
        alice.client.turn(move |tx| tx.say(chat, text(number), None)).await.unwrap();
    }
    give.send(subscription).unwrap();
    assert!(heard.recv_timeout(PATIENCE).unwrap() > 0, "the whole");
    alice.client.shutdown().unwrap();
    assert!(heard.try_recv().is_err(), "it had ended");
}

fn text(number: u32) -> comptoir_content::Body {
    let body = number.to_string();
    comptoir_content::Body::Text(comptoir_content::Text { body, reply_to: None, quick_replies: Vec::new() })
}

#[tokio::test]
async fn an_empty_page_knows_that_there_is_more_beside_it() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    let chat = chat_of_two(&alice, &bob).await;
    let page = |place, limit| alice.client.page(chat, place, limit).unwrap();
    let empty = page(Place::Newest, 9);
    assert_eq!((empty.before, empty.after), (None, None));
    for text in ["one", "two", "three"] {
        alice.says(chat, text).await;
    }
    let texts = |place| page(place, 9).bubbles.into_iter().map(|bubble| bubble.text).collect::<Vec<_>>();
    let all = page(Place::Newest, 9).bubbles;
    // Whoever waits at the newest can still scroll up.
    let newest = page(Place::After { id: all[2].id }, 9);
    assert_eq!((newest.bubbles.len(), newest.after), (0, None));
    assert_eq!(texts(Place::Before { id: newest.before.unwrap() }), ["one", "two", "three"]);
    let oldest = page(Place::Before { id: all[0].id }, 9);
    assert_eq!((oldest.bubbles.len(), oldest.before), (0, None));
    assert_eq!(texts(Place::After { id: oldest.after.unwrap() }), ["one", "two", "three"]);
    let nothing = page(Place::Newest, 0);
    assert_eq!(texts(Place::Before { id: nothing.before.unwrap() }), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_contact_that_becomes_known_to_the_relay_shows_in_the_list() {
    let mut town = Town::new().await;
    let alice = town.arrives("alice").await;
    let bob = town.open("bob");
    // Bob has an account that his relay has not heard of: it was away when he made it.
    town.stop_relay().await;
    bob.client.create_account(&town.relay_url()).await.unwrap();
    bob.client.disconnect().unwrap();
    town.start_relay().await;
    let chat = chat_of_two(&alice, &bob).await;
    let refused = |me: &Person| me.chats()[0].peer.refused.is_some();
    alice.until("that the relay does not know Bob", |me| refused(me).then_some(())).await;
    bob.syncs().await;
    let mut changes = alice.client.changes();
    assert_eq!(changes.next().await, Some(View::Reset));
    alice.client.disconnect().unwrap();
    alice.client.connect().unwrap();
    // A list is read again only when it is said to have changed.
    let told = async { while changes.next().await != Some(View::Chats) || refused(&alice) {} };
    tokio::time::timeout(PATIENCE, told).await.expect("that the relay knows him now");
    alice.says(chat, "there you are").await;
    bob.sees(chat, &["you: there you are"]).await;
}

#[tokio::test]
async fn a_device_asks_with_the_same_keys_until_it_is_linked_and_is_linked_once() {
    let town = Town::new().await;
    let alice = town.arrives("alice").await;
    let tablet = town.open("tablet");
    let (one, two) = tokio::join!(tablet.client.link_request(), tablet.client.link_request());
    assert_eq!(one.as_ref().unwrap(), two.as_ref().unwrap());
    let grant = alice.client.link_device(&one.unwrap()).await.unwrap();
    tablet.client.finish_link(&grant).await.unwrap();
    let again = tablet.client.finish_link(&grant).await.unwrap_err();
    assert_eq!(again.code(), "account.exists", "{again}");
}

#[tokio::test]
async fn a_code_to_be_linked_is_good_once_and_not_for_long() {
    let town = Town::new().await;
    let alice = town.arrives("alice").await;
    let tablet = town.open("alice-tablet");
    let old = tablet.client.link_request().await.unwrap();
    assert_eq!(tablet.client.link_request().await.unwrap(), old, "the same while it is good");
    town.pass(16 * MINUTE_MS);
    assert_eq!(alice.client.link_device(&old).await.unwrap_err().code(), "account.request_expired");
    let request = tablet.client.link_request().await.unwrap();
    assert_ne!(request, old);
    let grant = alice.client.link_device(&request).await.unwrap();
    assert_eq!(alice.client.link_device(&request).await.unwrap_err().code(), "account.request_used");
    // A grant that was given in time is good also when it is read later.
    town.pass(16 * MINUTE_MS);
    tablet.client.finish_link(&grant).await.unwrap();
}
