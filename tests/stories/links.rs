//! Codes that people show each other: who is who, and which bill is to be paid.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use comptoir_client::testing::replace_account_key;
use comptoir_client::{Client, ClientError, Scanned, draw_code, scan_picture};
use comptoir_content::{AccountId, ConversationId, Hash, Link};
use comptoir_tests::{Person, Town, copy_dir};

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

/// Alice and Bob have said hello.
async fn two_who_talk(town: &Town) -> (Person, Person, ConversationId) {
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    alice.syncs().await;
    bob.syncs().await;
    let chat = alice.meets(&bob).await;
    alice.says(chat, "Bonjour").await;
    bob.sees(chat, &["you: Bonjour"]).await;
    (alice, bob, chat)
}

#[tokio::test]
async fn two_people_verify_each_other_by_codes() {
    let town = Town::new().await;
    let (alice, bob, chat) = two_who_talk(&town).await;
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
    let (alice, bob, _) = two_who_talk(&town).await;
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
    let (alice, bob, _) = two_who_talk(&town).await;
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
