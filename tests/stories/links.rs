//! Codes that people show each other: who is who, and which bill is to be paid.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use comptoir_client::testing::replace_account_key;
use comptoir_client::{
    BubbleKind, CheckoutView, Client, ClientError, PayChoice, PaymentState, Scanned, SheetHint, draw_code, scan_picture,
};
use comptoir_content::{AccountId, ConversationId, Hash, Link};
use comptoir_tests::shop::{Bakery, types_card};
use comptoir_tests::{HOUR_MS, Person, Town, copy_dir};

const APPROVE: &str = "4242 4242 4242 4242";

/// What a camera makes of a code that is shown on a screen.
fn scanned(code: &str) -> String {
    let found = scan_picture(&draw_code(code, 4).unwrap()).unwrap();
    let [found] = found.as_slice() else { panic!("one code") };
    let Scanned::Comptoir(link) = &found.scanned else { panic!("{:?}", found.scanned) };
    link.clone()
}

fn account(person: &Person) -> AccountId {
    person.client.identity().unwrap().unwrap().account
}

fn is_verified(client: &Client, account: AccountId) -> bool {
    client.contact(account).unwrap().peer.verified
}

/// The code that `shower` opens in the chat with `peer`, once it can.
async fn shows(shower: &Person, peer: AccountId) -> String {
    scanned(&shower.until("the keys of the other side", |me| me.client.verify_code(peer).ok()).await)
}

#[tokio::test]
async fn two_people_verify_each_other_by_codes() {
    let town = Town::new().await;
    let (alice, bob, chat) = town.two_who_talk("Bonjour").await;
    let (her, him) = (account(&alice), account(&bob));
    // Offline, as in a cellar: everything that is compared is on the two devices.
    alice.client.disconnect().unwrap();
    let his_code = shows(&bob, her).await;
    for _ in 0..2 {
        assert_eq!(alice.client.open_link(&his_code).await.unwrap(), chat);
        assert!(is_verified(&alice.client, him) && !is_verified(&bob.client, her), "each looks for themselves");
    }
    let her_code = shows(&alice, him).await;
    assert_eq!(bob.client.check_code(her, &her_code).await.unwrap(), chat);
    assert!(is_verified(&bob.client, her));
    assert_eq!(alice.client.safety_number(him).unwrap(), bob.client.safety_number(her).unwrap());
}

#[tokio::test]
async fn a_lookalike_is_not_verified_by_the_code_of_whom_it_imitates() {
    let town = Town::new().await;
    let (bob, carol) = (town.arrives("bob").await, town.arrives("carol").await);
    let (alice, mallory, chat) = {
        let (alice, mallory) = (town.arrives("alice").await, town.arrives("mallory").await);
        for person in [&alice, &bob, &carol, &mallory] {
            person.syncs().await;
        }
        // The relay gave her another account for Bob's.
        let chat = alice.meets(&mallory).await;
        (alice, mallory, chat)
    };
    alice.says(chat, "Is that you, Bob?").await;
    mallory.sees(chat, &["you: Is that you, Bob?"]).await;
    bob.meets(&alice).await;
    bob.meets(&carol).await;
    let (her, lookalike) = (account(&alice), account(&mallory));
    let refused = |refused: Result<ConversationId, ClientError>| refused.unwrap_err().code().to_owned();

    let his_code = shows(&bob, her).await;
    assert_eq!(refused(alice.client.check_code(lookalike, &his_code).await), "verify.other_account");
    let for_carol = shows(&bob, account(&carol)).await;
    let in_his_chat = alice.client.add_contact(&bob.link()).await.unwrap();
    assert_eq!(refused(alice.client.open_link(&for_carol).await), "verify.not_for_you");
    assert_eq!(refused(alice.client.open_link(&shows(&alice, lookalike).await).await), "contact.own_code");
    assert!(!is_verified(&alice.client, lookalike) && !is_verified(&alice.client, account(&bob)));
    // The true Bob, in his own chat.
    alice.until("his keys", |me| me.client.safety_number(account(&bob)).ok()).await;
    assert_eq!(alice.client.open_link(&his_code).await.unwrap(), in_his_chat);
    assert!(is_verified(&alice.client, account(&bob)) && !is_verified(&alice.client, lookalike));
}

#[tokio::test]
async fn a_key_that_was_replaced_is_verified_anew_once_it_has_come() {
    let town = Town::new().await;
    let (alice, bob, _) = town.two_who_talk("Bonjour").await;
    let (her, him) = (account(&alice), account(&bob));
    alice.client.open_link(&shows(&bob, her).await).await.unwrap();
    bob.client.turn(replace_account_key).await.unwrap();
    bob.syncs().await;
    // Her phone hears of another key from the code first, and does not believe a code.
    let his_code = shows(&bob, her).await;
    let behind = alice.client.open_link(&his_code).await.unwrap_err();
    assert!(matches!(behind, ClientError::TryAgain { .. }) && behind.code() == "verify.behind", "{behind}");
    let changed = |me: &Person| me.client.contact(him).ok().filter(|him| him.peer.key_changed);
    let told = alice.until("that his key was replaced", changed).await;
    assert!(!told.peer.verified);
    alice.client.open_link(&his_code).await.unwrap();
    let now = alice.client.contact(him).unwrap().peer;
    assert!(now.verified && !now.key_changed);
}

#[tokio::test]
async fn who_stole_an_account_is_given_away_by_the_code_of_its_owner() {
    let town = Town::new().await;
    let (alice, bob, _) = town.two_who_talk("Bonjour").await;
    let (her, him) = (account(&alice), account(&bob));
    let his_code = shows(&bob, her).await;
    bob.client.shutdown().unwrap();
    copy_dir(&town.dir.path().join("bob"), &town.dir.path().join("thief"));
    std::fs::copy(town.dir.path().join("bob.key"), town.dir.path().join("thief.key")).unwrap();
    let thief = town.open("thief");
    thief.client.turn(replace_account_key).await.unwrap();
    thief.syncs().await;
    alice.client.open_link(&thief.link()).await.unwrap();
    alice.until("another key", |me| me.client.contact(him).ok().filter(|him| him.peer.key_changed)).await;
    // What Bob's own phone shows, which has not heard of it.
    assert_eq!(alice.client.open_link(&his_code).await.unwrap_err().code(), "verify.differs");
    assert!(!is_verified(&alice.client, him));

    // And a code that speaks of another past than hers.
    let Ok(Link::Verify(mut forged)) = Link::parse(&his_code) else { panic!("a verify code") };
    forged.head.hash = Hash::of(b"another past");
    assert_eq!(alice.client.check_code(him, &forged.to_link()).await.unwrap_err().code(), "verify.differs");
}

/// The code of a bill over 2.20 EUR that stands on the Bakery's counter.
async fn bill_at_the_counter(town: &Town, bakery: &Bakery, payments: u32) -> String {
    let (status, answer) = bakery.makes_bill(town, [9; 16], payments).await;
    assert_eq!((status, &answer["amount"]), (200, &"2.20 EUR".into()), "{answer}");
    scanned(answer["code"].as_str().unwrap())
}

/// Scans the code of a bill, and waits for the bill.
async fn opens_bill(person: &Person, code: &str) -> (ConversationId, CheckoutView) {
    let chat = person.client.open_link(code).await.unwrap();
    (chat, person.until("the bill", |me| me.bill(chat)).await)
}

async fn is_told(person: &Person, chat: ConversationId, words: &str) {
    let words = format!("you: {words}");
    person.until(&words, |me| me.thread(chat).contains(&words).then_some(())).await;
}

fn bills(person: &Person, chat: ConversationId) -> usize {
    person.bubbles(chat).iter().filter(|bubble| bubble.kind == BubbleKind::Invoice).count()
}

async fn pays(person: &Person, chat: ConversationId, bill: &CheckoutView) {
    let sheet = person.taps_pay(chat, bill).await;
    types_card(&sheet, APPROVE).await;
    person.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    person.bill_is(chat, PaymentState::Paid).await;
}

const PAID: &str = "This bill has been paid already.";

#[tokio::test]
async fn alice_pays_the_bill_whose_code_she_scanned_and_bob_comes_too_late() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    let code = bill_at_the_counter(&town, &bakery, 1).await;
    let (chat, bill) = opens_bill(&alice, &code).await;
    assert_eq!((bill.title.as_str(), bill.total.to_plain().as_str(), bill.lines.len()), ("Table 4", "2.20 EUR", 2));
    assert_eq!(alice.chats()[0].peer.name, "The Bakery");
    pays(&alice, chat, &bill).await;
    assert_eq!((bakery.charges().await, alice.client.receipts().unwrap().len()), (vec![220], 1));

    let late = bob.client.open_link(&code).await.unwrap();
    is_told(&bob, late, PAID).await;
    assert!(bob.bill(late).is_none(), "there is nothing to pay");
    // Her own bill, scanned once more, is where it was.
    assert_eq!(alice.client.open_link(&code).await.unwrap(), chat);
    alice.syncs().await;
    assert_eq!((bills(&alice, chat), alice.bill(chat).unwrap().state), (1, PaymentState::Paid));
}

#[tokio::test]
async fn of_two_who_opened_one_bill_one_pays() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    let code = bill_at_the_counter(&town, &bakery, 1).await;
    let (hers, bill) = opens_bill(&alice, &code).await;
    let (his, same) = opens_bill(&bob, &code).await;
    assert_eq!(bill.invoice, same.invoice);
    let sheet = alice.taps_pay(hers, &bill).await;
    bob.client.pay(same.invoice, PayChoice::default()).await.unwrap();
    let told = bob.bill_is(his, PaymentState::NotPaid).await;
    assert_eq!(told.not_paid.unwrap().reason, "submit.unknown", "somebody is paying it");
    let carol = town.arrives("carol").await;
    let third = carol.client.open_link(&code).await.unwrap();
    let busy = "Somebody is paying this bill at the moment. If it is yours, scan the code again in a while.";
    is_told(&carol, third, busy).await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(hers, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [220]);
}

#[tokio::test]
async fn a_bill_for_many_is_paid_by_many() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let code = bill_at_the_counter(&town, &bakery, 2).await;
    for name in ["alice", "bob"] {
        let person = town.arrives(name).await;
        let (chat, bill) = opens_bill(&person, &code).await;
        pays(&person, chat, &bill).await;
    }
    let carol = town.arrives("carol").await;
    let chat = carol.client.open_link(&code).await.unwrap();
    is_told(&carol, chat, PAID).await;
    assert_eq!(bakery.charges().await, [220, 220]);
}

#[tokio::test]
async fn a_bill_that_was_asked_for_twice_is_one_bill() {
    let town = Town::new().await;
    let mut bakery = town.bakery().await;
    let alice = town.arrives("alice").await;
    let code = bill_at_the_counter(&town, &bakery, 1).await;
    // The till is away, and she scans again and again: every question arrives.
    bakery.closes().await;
    let mut chat = None;
    for _ in 0..3 {
        chat = Some(alice.client.open_link(&code).await.unwrap());
        alice.syncs().await;
    }
    bakery.opens(&town).await;
    let chat = chat.unwrap();
    let bill = alice.until("the bill", |me| me.bill(chat)).await;
    alice.says(chat, "Bonjour").await;
    alice
        .until("the answer to what came after", |me| {
            me.bubbles(chat).into_iter().find(|bubble| !bubble.replies.is_empty())
        })
        .await;
    let asked = alice.bubbles(chat).iter().filter(|bubble| bubble.kind == BubbleKind::AskBill).count();
    assert_eq!((asked, bills(&alice, chat)), (3, 1));
    pays(&alice, chat, &bill).await;
    // The command again is the same bill, and with other contents it is none.
    let (status, again) = bakery.makes_bill(&town, [9; 16], 1).await;
    assert_eq!((status, scanned(again["code"].as_str().unwrap())), (200, code));
    let (status, other) = bakery.makes_bill(&town, [9; 16], 7).await;
    assert_eq!((status, &other["error"]["code"]), (422, &"bill.id".into()));
}

#[tokio::test]
async fn a_till_that_died_between_question_and_answer_answers() {
    let town = Town::new().await;
    let mut bakery = town.bakery().await;
    let alice = town.arrives("alice").await;
    let code = bill_at_the_counter(&town, &bakery, 1).await;
    let till = bakery.till.as_ref().unwrap().client();
    // It hears the question and cannot answer: its own books are not there.
    let sql = |sql: &'static str| till.turn(move |tx| Ok(tx.sql().execute_batch(sql)?));
    sql("CREATE TABLE kept AS SELECT * FROM till; DELETE FROM till").await.unwrap();
    let chat = alice.client.open_link(&code).await.unwrap();
    let mut changes = till.changes();
    while !till.chats(None, 10).unwrap().rows.iter().any(|row| row.preview == "The bill, please.") {
        changes.next().await;
    }
    sql("INSERT INTO till SELECT * FROM kept; DROP TABLE kept").await.unwrap();
    bakery.closes().await;
    bakery.opens(&town).await;
    let bill = alice.until("the bill", |me| me.bill(chat)).await;
    pays(&alice, chat, &bill).await;
    assert_eq!((bakery.charges().await, bills(&alice, chat)), (vec![220], 1));
}

#[tokio::test]
async fn a_bill_that_is_over_or_was_never_made_is_answered_in_words() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let alice = town.arrives("alice").await;
    let code = bill_at_the_counter(&town, &bakery, 1).await;
    let Ok(Link::Bill(mut forged)) = Link::parse(&code) else { panic!("the code of a bill") };
    forged.invoice_hash = Hash::of(b"a bill that nobody signed");
    let chat = alice.client.open_link(&forged.to_link()).await.unwrap();
    is_told(&alice, chat, "We do not know this bill. Please ask us for a new one.").await;
    town.pass(HOUR_MS);
    assert_eq!(alice.client.open_link(&code).await.unwrap(), chat);
    is_told(&alice, chat, "This bill has expired. Please ask us for a new one.").await;
    assert!(alice.bill(chat).is_none());
    let refused = alice.client.add_contact(&code).await.unwrap_err();
    assert_eq!(refused.code(), "link.unreadable", "a bill is opened, not added");
}
