//! The 24-hour rule, with shops and relays that do not keep it.
#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::sync::Arc;

use comptoir_client::{BubbleState, Client, PaymentState, Place, SheetHint};
use comptoir_content::{ConversationId, Timestamp};
use comptoir_gateway::Gateway;
use comptoir_tests::shop::{Bakery, types_card};
use comptoir_tests::{DAY_MS, HOUR_MS, MINUTE_MS, PATIENCE, Person, Restored, Town, copy_dir};

/// Alice wrote to the Bakery, and it greeted her.
async fn greeted() -> (Town, Bakery, Person, ConversationId) {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let alice = town.arrives("alice").await;
    let chat = alice.client.add_contact(&bakery.link).await.unwrap();
    alice.says(chat, "Bonjour").await;
    alice.until("the greeting", |me| (me.thread(chat).len() == 2).then_some(())).await;
    alice.syncs().await;
    (town, bakery, alice, chat)
}

/// The Bakery's till as somebody runs it who has taken the rule out: for its own half it is always this time.
async fn modified(town: &Town, bakery: &mut Bakery, always: Timestamp) -> Gateway {
    if let Some(till) = bakery.till.take() {
        till.shutdown().await;
    }
    let till = Gateway::start(&town.bakery_dir(), Some(Arc::new(move || always))).await.unwrap();
    till.client().sync(None).await.unwrap();
    till
}

/// The state of what a till said last, once the relay has answered.
async fn becomes(till: &Client, chat: ConversationId) -> (BubbleState, Option<String>) {
    tokio::time::timeout(PATIENCE, till.sync(None)).await.expect("an answer").unwrap();
    let last = till.page(chat, Place::Newest, 1).unwrap().bubbles.pop().unwrap();
    (last.state, last.why)
}

fn closed() -> (BubbleState, Option<String>) {
    (BubbleState::Failed, Some("consent.closed".to_owned()))
}

#[tokio::test]
async fn an_honest_shop_asks_itself_first() {
    let (town, bakery, alice, chat) = greeted().await;
    let till = bakery.till.as_ref().unwrap().client();
    town.pass(24 * HOUR_MS - MINUTE_MS);
    till.send_text(chat, "Fresh bread!", None).await.unwrap();
    alice.until("the offer", |me| (me.thread(chat).len() == 3).then_some(())).await;
    town.pass(2 * MINUTE_MS);
    let refused = till.send_text(chat, "Fresh bread!", None).await.unwrap_err();
    assert_eq!(refused.code(), "consent.closed");
    // She writes again, and so may they.
    alice.says(chat, "Still there?").await;
    alice.until("the greeting", |me| (me.thread(chat).len() == 5).then_some(())).await;
    till.send_text(chat, "Fresh bread!", None).await.unwrap();
}

#[tokio::test]
async fn a_modified_shop_is_stopped_at_the_relay() {
    let (town, mut bakery, alice, chat) = greeted().await;
    let then = town.now();
    town.pass(25 * HOUR_MS);
    let till = modified(&town, &mut bakery, then).await;
    till.client().send_text(chat, "BUY NOW", None).await.unwrap();
    assert_eq!(becomes(till.client(), chat).await, closed());
    alice.syncs().await;
    assert_eq!(alice.thread(chat).len(), 2, "nothing came, not even to be held");
    till.shutdown().await;
}

/// A relay that lost what Alice told it of her gate, or does not care: her device holds the message, and shows no word.
#[tokio::test]
async fn a_modified_shop_and_a_relay_without_gates_are_stopped_by_the_phone() {
    let mut town = Town::new().await;
    let mut bakery = town.bakery().await;
    let alice = town.arrives("alice").await;
    alice.syncs().await;
    // The relay's copy is of a time before she knew the Bakery.
    town.copy_relay().await;
    alice.client.connect().unwrap();
    bakery.till.as_ref().unwrap().client().sync(None).await.unwrap();
    let chat = alice.client.add_contact(&bakery.link).await.unwrap();
    alice.says(chat, "Bonjour").await;
    alice.until("the greeting", |me| (me.thread(chat).len() == 2).then_some(())).await;
    alice.syncs().await;
    let then = town.now();
    alice.client.shutdown().unwrap();
    bakery.closes().await;
    town.restore_relay(Restored::InSilence).await;
    town.pass(25 * HOUR_MS);
    let till = modified(&town, &mut bakery, then).await;
    till.client().send_text(chat, "BUY NOW", None).await.unwrap();
    let alice = town.open("alice");
    let held = alice
        .until("what is held", |me| me.bubbles(chat).into_iter().find(|bubble| bubble.state == BubbleState::Held))
        .await;
    assert_eq!((held.why.as_deref(), held.text.as_str()), (Some("consent.closed"), ""));
    assert_eq!(alice.chats()[0].unread, 1, "the greeting");
    till.shutdown().await;
}

#[tokio::test]
async fn a_relay_that_dates_actions_into_the_future_opens_nothing() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let alice = town.arrives("alice").await;
    let chat = alice.client.add_contact(&bakery.link).await.unwrap();
    town.relay_is_off_by(30 * DAY_MS);
    alice.says(chat, "Bonjour").await;
    let till = bakery.till.as_ref().unwrap().client();
    let heard = async {
        let mut changes = till.changes();
        while !till.page(chat, Place::Newest, 10).is_ok_and(|page| page.bubbles.iter().any(|bubble| !bubble.mine)) {
            changes.next().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("the Bakery hears her");
    town.relay_is_off_by(0);
    town.pass(25 * HOUR_MS);
    let refused = till.send_text(chat, "Fresh bread!", None).await.unwrap_err();
    assert_eq!(refused.code(), "consent.closed", "the shop's own clock counts too");
}

#[tokio::test]
async fn a_relay_whose_clock_is_off_by_an_hour_keeps_no_answer_out() {
    for off in [-HOUR_MS, HOUR_MS] {
        let town = Town::new().await;
        town.relay_is_off_by(off);
        let bakery = town.bakery().await;
        let alice = town.arrives("alice").await;
        let chat = alice.client.add_contact(&bakery.link).await.unwrap();
        alice.says(chat, "Bonjour").await;
        alice.until("the greeting", |me| (me.thread(chat).len() == 2).then_some(())).await;
        // Somebody sets it right.
        town.relay_is_off_by(0);
        alice.says(chat, "Are you open?").await;
        alice.until("the answer", |me| (me.thread(chat).len() == 4).then_some(())).await;
    }
}

#[tokio::test]
async fn results_of_an_order_come_at_any_time_also_after_a_block() {
    let (mut town, bakery, alice, chat) = greeted().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    types_card(&sheet, "4242 4242 4242 4242").await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    alice.syncs().await;
    town.pass(40 * DAY_MS);
    assert_eq!(bakery.refunds(&town, sheet.order, Some(20)).await.0, 200);
    alice.bill_is(chat, PaymentState::PartRefunded).await;

    let shop = alice.chats()[0].peer.account;
    alice.client.block(shop, true).await.unwrap();
    alice.syncs().await;
    town.pass(DAY_MS);
    assert_eq!(bakery.refunds(&town, sheet.order, None).await.0, 200);
    alice.bill_is(chat, PaymentState::Refunded).await;
    // The same through a relay that was restored, and is told again.
    town.copy_relay().await;
    alice.client.connect().unwrap();
    alice.syncs().await;
}

#[tokio::test]
async fn a_blocked_shop_says_nothing_more_until_it_is_unblocked() {
    let (_town, bakery, alice, chat) = greeted().await;
    let till = bakery.till.as_ref().unwrap().client();
    let shop = alice.chats()[0].peer.account;
    alice.client.block(shop, true).await.unwrap();
    alice.syncs().await;
    till.send_text(chat, "Why?", None).await.unwrap();
    assert_eq!(becomes(till, chat).await, closed());
    alice.client.block(shop, false).await.unwrap();
    alice.syncs().await;
    till.send_text(chat, "Welcome back", None).await.unwrap();
    alice.until("their word", |me| me.thread(chat).contains(&"you: Welcome back".to_owned()).then_some(())).await;
    assert_eq!(alice.thread(chat).len(), 3, "what was refused does not come after all");
}

#[tokio::test]
async fn a_token_lets_one_message_through_once() {
    let (town, mut bakery, alice, chat) = greeted().await;
    alice.client.give_token(chat).await.unwrap();
    alice.syncs().await;
    {
        let till = bakery.till.as_ref().unwrap().client();
        let came = async {
            let mut changes = till.changes();
            while !till.page(chat, Place::Newest, 10).is_ok_and(|page| page.bubbles.len() == 3) {
                changes.next().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, came).await.expect("the token comes");
        till.sync(None).await.unwrap();
    }
    bakery.closes().await;
    let (folder, copy) = (town.bakery_dir(), town.dir.path().join("bakery-copy"));
    copy_dir(&folder, &copy);
    bakery.opens(&town).await;
    town.pass(3 * DAY_MS);
    {
        let till = bakery.till.as_ref().unwrap().client();
        till.send_text(chat, "Your cake is ready", None).await.unwrap();
        alice
            .until("the cake", |me| me.thread(chat).contains(&"you: Your cake is ready".to_owned()).then_some(()))
            .await;
        let refused = till.send_text(chat, "And now for something else", None).await.unwrap_err();
        assert_eq!(refused.code(), "consent.closed");
    }
    // A till that forgets that it has used it: the relay does not.
    bakery.closes().await;
    std::fs::remove_dir_all(&folder).unwrap();
    copy_dir(&copy, &folder);
    bakery.opens(&town).await;
    let till = bakery.till.as_ref().unwrap().client();
    till.send_text(chat, "And now for something else", None).await.unwrap();
    assert_eq!(becomes(till, chat).await, closed());
    alice.syncs().await;
    assert_eq!(alice.thread(chat).len(), 4);
}

#[tokio::test]
async fn nobody_needs_a_token_to_write_to_a_person() {
    let town = Town::new().await;
    let (alice, bob) = (town.arrives("alice").await, town.arrives("bob").await);
    let chat = alice.meets(&bob).await;
    assert_eq!(alice.client.give_token(chat).await.unwrap_err().code(), "consent.not_needed");
}
