//! Paying at the Bakery, through a real relay, a real till and the practice provider.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use comptoir_client::{BubbleKind, PaymentState, SheetHint};
use comptoir_content::{ConversationId, ReceiptFile};
use comptoir_engine::receipt::{Verdict, verify};
use comptoir_gateway::{Gateway, GatewayError};
use comptoir_tests::shop::{Bakery, answers_bank, at_the_counter, types_card};
use comptoir_tests::{DAY_MS, HOUR_MS, MINUTE_MS, Person, Town};

const APPROVE: &str = "4242 4242 4242 4242";
const DECLINE: &str = "4000 0000 0000 0002";
const ASK_BANK: &str = "4000 0000 0000 3220";
const BANK_FAILS: &str = "4000 0000 0000 3238";
const UNKNOWN_THEN_PAID: &str = "4000 0000 0000 0119";
const UNKNOWN_THEN_DECLINED: &str = "4000 0000 0000 0127";

#[tokio::test]
async fn alice_buys_a_croissant_and_keeps_a_receipt_that_proves_it() {
    let (town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    assert_eq!(bill.total.to_plain(), "1.20 EUR");
    let sheet = alice.taps_pay(chat, &bill).await;
    assert_eq!(types_card(&sheet, APPROVE).await.0, 200);
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [120]);
    let books = bakery.books(&town).await;
    assert_eq!(
        (&books["postings"], &books["balanced"], &books["chain_holds"]),
        (&1.into(), &true.into(), &true.into())
    );

    let file = alice.client.receipt_file(sheet.order, None).unwrap();
    let receipt = ReceiptFile::from_file(&file).unwrap();
    assert!(matches!(verify(&receipt, None), Ok(Verdict::Holds(_))));
    assert_eq!(alice.client.contact(alice.chats()[0].peer.account).unwrap().peer.name, "The Bakery");
}

#[tokio::test]
async fn any_flipped_byte_of_a_receipt_is_refused() {
    let (_town, _bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Baguette").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    let file = alice.client.receipt_file(sheet.order, None).unwrap();
    for place in 0..file.len() {
        let mut flipped = file.clone();
        flipped[place] ^= 1;
        let believed = ReceiptFile::from_file(&flipped).is_ok_and(|receipt| verify(&receipt, None).is_ok());
        assert!(!believed, "byte {place} of {} was flipped and nobody noticed", file.len());
    }
}

#[tokio::test]
async fn a_declined_card_is_not_the_end_and_the_second_card_pays_once() {
    let (_town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    types_card(&sheet, DECLINE).await;
    assert_eq!(alice.bill(chat).unwrap().state, PaymentState::AwaitingConsent);
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Failed).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [120]);
}

#[tokio::test]
async fn two_taps_on_pay_make_one_attempt() {
    let (_town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    let again = alice.client.pay(bill.invoice, comptoir_client::PayChoice::default()).await.unwrap_err();
    assert_eq!(again.code(), "submit.unknown");
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Canceled).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    let paid = alice.client.pay(bill.invoice, comptoir_client::PayChoice::default()).await.unwrap_err();
    assert_eq!(paid.code(), "invoice.already_paid");
    assert_eq!(bakery.charges().await, [120]);
}

#[tokio::test]
async fn webhooks_late_doubled_out_of_order_or_missing_end_in_one_receipt() {
    for card in ["4000 0000 0000 1000", "4000 0000 0000 2000", "4000 0000 0000 3000", "4000 0000 0000 4000"] {
        let (town, bakery, alice, chat) = at_the_counter().await;
        let bill = alice.orders(chat, "Croissant").await;
        let sheet = alice.taps_pay(chat, &bill).await;
        types_card(&sheet, card).await;
        alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
        alice.bill_is(chat, PaymentState::Paid).await;
        assert_eq!(bakery.charges().await, [120], "{card}");
        let books = bakery.books(&town).await;
        assert_eq!(books["postings"], 1, "{card}: {books}");
        assert_eq!(alice.client.receipts().unwrap().len(), 1, "{card}");
    }
}

#[tokio::test]
async fn the_till_goes_down_in_the_middle_and_the_payment_still_settles_once() {
    let (town, mut bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    bakery.closes().await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    assert_eq!(alice.bill(chat).unwrap().state, PaymentState::Settling);
    alice.client.shutdown().unwrap();
    bakery.opens(&town).await;
    let alice = town.open("alice");
    alice.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [120]);
    assert_eq!(bakery.books(&town).await["postings"], 1);
}

#[tokio::test]
async fn money_goes_back_in_parts_and_never_more_than_was_paid() {
    let (town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.refunds(&town, sheet.order, Some(50)).await.0, 200);
    let partly = alice.bill_is(chat, PaymentState::PartRefunded).await;
    assert_eq!(partly.refunded.minor(), 50);
    let (status, answer) = bakery.refunds(&town, sheet.order, Some(71)).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &"refund.too_large".into()), "{answer}");
    assert_eq!(bakery.refunds(&town, sheet.order, None).await.0, 200);
    let whole = alice.bill_is(chat, PaymentState::Refunded).await;
    assert_eq!(whole.refunded.minor(), 120);
    let books = bakery.books(&town).await;
    assert_eq!((&books["postings"], &books["balanced"]), (&3.into(), &true.into()));
    for book in books["books"].as_array().unwrap() {
        assert_eq!(book[2], 0, "{books}");
    }
}

#[tokio::test]
async fn an_offer_runs_out_and_says_so() {
    let (town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    town.pass(25 * HOUR_MS);
    alice.client.tick().await.unwrap();
    alice.bill_is(chat, PaymentState::Expired).await;
    let late = alice.client.pay(bill.invoice, comptoir_client::PayChoice::default()).await.unwrap_err();
    assert_eq!(late.code(), "invoice.expired");
    assert_eq!(bakery.charges().await, Vec::<i64>::new());
}

#[tokio::test]
async fn the_bank_asks_and_then_the_payment_settles() {
    let (_town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    let (_, page) = types_card(&sheet, ASK_BANK).await;
    assert_eq!(bakery.charges().await, Vec::<i64>::new(), "the bank was not answered yet");
    answers_bank(&sheet, &page, true).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [120]);
}

#[tokio::test]
async fn the_bank_says_no_and_another_card_pays_once() {
    let (_town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    let (_, page) = types_card(&sheet, BANK_FAILS).await;
    let (_, page) = answers_bank(&sheet, &page, true).await;
    assert_eq!(page["last_error"], "authentication_failed");
    assert_eq!(alice.bill(chat).unwrap().state, PaymentState::AwaitingConsent);
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [120]);
}

#[tokio::test]
async fn while_nobody_knows_the_phone_says_so_and_in_the_end_it_was_paid() {
    let (town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    assert_eq!(types_card(&sheet, UNKNOWN_THEN_PAID).await.0, 500, "the page broke off");
    alice.client.sheet_closed(sheet.order, SheetHint::Failed).await.unwrap();
    assert_eq!(alice.bill(chat).unwrap().state, PaymentState::Settling, "what the sheet says is a hint");
    let again = alice.client.pay(bill.invoice, comptoir_client::PayChoice::default()).await.unwrap_err();
    assert_eq!(again.code(), "submit.unknown");
    let paid = time_goes_by(&town, &bakery, &alice, chat, 120, PaymentState::Paid).await;
    assert_eq!(paid.total.minor(), 120);
    assert_eq!(bakery.charges().await, [120]);
}

#[tokio::test]
async fn what_was_unknown_and_never_charged_ends_unpaid_and_can_be_paid_again() {
    let (town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    assert_eq!(types_card(&sheet, UNKNOWN_THEN_DECLINED).await.0, 500);
    alice.client.sheet_closed(sheet.order, SheetHint::Failed).await.unwrap();
    time_goes_by(&town, &bakery, &alice, chat, 120, PaymentState::NotPaid).await;
    assert_eq!(bakery.charges().await, Vec::<i64>::new());
    let sheet = alice.taps_pay(chat, &bill).await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [120]);
    assert_eq!(bakery.books(&town).await["postings"], 1);
}

#[tokio::test]
async fn a_provider_that_is_down_delays_the_payment_and_loses_nothing() {
    let (town, mut bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    bakery.provider_goes_down().await;
    alice.client.pay(bill.invoice, comptoir_client::PayChoice::default()).await.unwrap();
    town.pass(MINUTE_MS);
    bakery.ticks().await;
    alice.syncs().await;
    assert_eq!(alice.bill(chat).unwrap().state, PaymentState::Placed);
    bakery.provider_comes_back(&town).await;
    town.pass(5 * MINUTE_MS);
    bakery.ticks().await;
    let sheet = alice.until("the payment sheet", |me| me.bill(chat)?.sheet).await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [120]);
}

/// Alice has paid for a croissant, and the provider went away before it was to give money back.
async fn a_refund_in_the_dark(amount_minor: i64) -> (Town, Bakery, Person, ConversationId, String) {
    let (town, mut bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    bakery.provider_goes_down().await;
    let (status, answer) = bakery.refunds(&town, sheet.order, Some(amount_minor)).await;
    assert_eq!(status, 200, "{answer}");
    bakery.closes().await;
    (town, bakery, alice, chat, answer["refund"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_refund_that_the_provider_never_heard_of_is_made_after_half_a_day() {
    let (town, mut bakery, alice, chat, _) = a_refund_in_the_dark(50).await;
    town.pass(13 * HOUR_MS);
    bakery.provider_comes_back(&town).await;
    bakery.opens(&town).await;
    let partly = alice.bill_is(chat, PaymentState::PartRefunded).await;
    assert_eq!(partly.refunded.minor(), 50);
    assert_eq!(bakery.gave_back().await, [50]);
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_found_and_not_made_twice() {
    let (town, mut bakery, alice, chat, refund) = a_refund_in_the_dark(50).await;
    town.pass(13 * HOUR_MS);
    bakery.provider_comes_back(&town).await;
    bakery.provider_refunds(&refund, 50).await;
    bakery.opens(&town).await;
    alice.bill_is(chat, PaymentState::PartRefunded).await;
    assert_eq!(bakery.gave_back().await, [50]);
}

#[tokio::test]
async fn a_refund_of_another_amount_than_was_asked_stays_counted_and_waits_for_a_person() {
    let (town, mut bakery, _alice, _chat, refund) = a_refund_in_the_dark(50).await;
    town.pass(13 * HOUR_MS);
    bakery.provider_comes_back(&town).await;
    bakery.provider_refunds(&refund, 60).await;
    bakery.opens(&town).await;
    let order = until_orders(&town, &bakery, |order| order.refunds_quarantined_minor == 50).await;
    assert_eq!((order.refunded_minor, order.refunds_failed_minor), (0, 0));
    let (status, answer) = bakery.refunds(&town, order.order.parse().unwrap(), Some(71)).await;
    assert_eq!((status, &answer["error"]["code"]), (422, &"refund.too_large".into()), "{answer}");
}

#[tokio::test]
async fn a_refund_that_the_provider_refuses_is_seen_by_the_merchant() {
    let (town, mut bakery, _alice, _chat, _) = a_refund_in_the_dark(50).await;
    bakery.provider_comes_back(&town).await;
    bakery.provider_refunds("by-hand", 100).await;
    bakery.opens(&town).await;
    let order = until_orders(&town, &bakery, |order| order.refunds_failed_minor == 50).await;
    assert_eq!((order.refunded_minor, order.refunds_quarantined_minor), (0, 0));
    assert_eq!(bakery.gave_back().await, [100]);
}

#[tokio::test]
async fn money_that_does_not_match_waits_for_a_person_whoever_asks() {
    let (town, mut bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    bakery.provider_changes_its_mind(&town, "\"amount_minor\":120", "\"amount_minor\":121").await;
    town.pass(MINUTE_MS);
    bakery.ticks().await;
    until_orders(&town, &bakery, |order| order.quarantined).await;
    // What the provider says now would pay; what it said before is still to be explained.
    bakery.provider_changes_its_mind(&town, "\"amount_minor\":121", "\"amount_minor\":120").await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    for _ in 0..2 {
        bakery.closes().await;
        bakery.opens(&town).await;
        town.pass(MINUTE_MS);
        alice.client.tick().await.unwrap();
        alice.syncs().await;
    }
    bakery.closes().await;
    bakery.opens(&town).await;
    alice.syncs().await;
    assert_eq!(bakery.books(&town).await["postings"], 0);
    assert_eq!(alice.bill(chat).unwrap().state, PaymentState::Settling);
    assert!(bakery.orders(&town).await[0].quarantined);
}

#[tokio::test]
async fn a_till_that_cannot_read_its_own_books_passes_nobody_over() {
    let (_town, bakery, alice, chat) = at_the_counter().await;
    let till = bakery.till.as_ref().unwrap().client();
    let sql = |sql: &'static str| till.turn(move |tx| Ok(tx.sql().execute_batch(sql)?));
    sql("CREATE TABLE kept AS SELECT * FROM till; DELETE FROM till").await.unwrap();
    alice.says(chat, "Bonjour").await;
    let mut changes = till.changes();
    while !till.chats(None, 10).unwrap().rows.iter().any(|row| row.preview == "Bonjour") {
        changes.next().await;
    }
    for _ in 0..100 {
        bakery.ticks().await;
    }
    sql("INSERT INTO till SELECT * FROM kept; DROP TABLE kept").await.unwrap();
    bakery.ticks().await;
    alice.until("the greeting", |me| me.bubbles(chat).into_iter().find(|bubble| !bubble.mine)).await;
}

#[tokio::test]
async fn damaged_books_are_not_taken_for_a_shop_that_never_was() {
    let (town, mut bakery, _alice, _chat) = at_the_counter().await;
    let till = bakery.till.as_ref().unwrap().client();
    till.turn(|tx| Ok(tx.sql().execute("UPDATE till SET profile = x'00'", ())?)).await.unwrap();
    bakery.closes().await;
    let refused = Gateway::start(&town.bakery_dir(), Some(town.clock())).await.err().unwrap();
    assert!(matches!(refused, GatewayError::Client(_)), "{refused}");
}

#[tokio::test]
async fn a_tablet_that_joined_after_the_greeting_pays() {
    let (town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let tablet = alice.links(&town, "alice-tablet").await;
    alice.takes_in(&town, &tablet, chat).await;
    // The till learns of the tablet in order: what the phone says after it invited it comes after the invitation.
    alice.says(chat, "I have a tablet now").await;
    let replies = |me: &Person| me.bubbles(chat).into_iter().rfind(|bubble| !bubble.replies.is_empty());
    tablet.until("the greeting", replies).await;
    let another = tablet.orders(chat, "Croissant").await;
    assert_ne!(another.invoice, bill.invoice);
    let sheet = tablet.taps_pay(chat, &another).await;
    types_card(&sheet, APPROVE).await;
    tablet.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    tablet.bill_is(chat, PaymentState::Paid).await;
    assert_eq!(bakery.charges().await, [120]);
}

#[tokio::test]
async fn a_till_whose_certificate_ends_stops_selling_before_it_does() {
    let town = Town::new().await;
    let mut bakery = town.bakery().await;
    bakery.closes().await;
    town.pass(362 * DAY_MS);
    bakery.opens(&town).await;
    let alice = town.arrives("alice").await;
    let chat = alice.client.add_contact(&bakery.link).await.unwrap();
    alice.orders(chat, "Croissant").await;
    town.pass(DAY_MS);
    alice.says(chat, "And tomorrow?").await;
    let greeted = |me: &Person| me.bubbles(chat).into_iter().rfind(|bubble| !bubble.replies.is_empty());
    let greeting = alice.until("the greeting", greeted).await;
    alice.client.tap(chat, greeting.uid, "Croissant").await.unwrap();
    let closed = "you: Sorry, we cannot take payments at the moment.";
    alice.until("that the shop is closed", |me| me.thread(chat).contains(&closed.to_owned()).then_some(())).await;
}

/// The one order at the till, once it is like this. Each of the till's answers is an exchange, so nobody sleeps.
async fn until_orders(
    town: &Town,
    bakery: &Bakery,
    done: impl Fn(&comptoir_gateway::OrderRow) -> bool,
) -> comptoir_gateway::OrderRow {
    let waiting = async {
        loop {
            let order = bakery.orders(town).await.remove(0);
            if done(&order) {
                return order;
            }
        }
    };
    tokio::time::timeout(comptoir_tests::PATIENCE, waiting).await.expect("the till never got there")
}

/// Minutes pass, at most `minutes`, until the bill is in this state. Till and phone look at the clock after each.
async fn time_goes_by(
    town: &Town,
    bakery: &Bakery,
    alice: &Person,
    chat: ConversationId,
    minutes: u32,
    state: PaymentState,
) -> comptoir_client::CheckoutView {
    for _ in 0..minutes {
        town.pass(MINUTE_MS);
        bakery.ticks().await;
        alice.client.tick().await.unwrap();
        // Time goes by as fast as they answer.
        let soon = std::time::Duration::from_millis(50);
        if tokio::time::timeout(soon, alice.bill_is(chat, state)).await.is_ok() {
            break;
        }
    }
    alice.bill_is(chat, state).await
}

/// The phone asks while the till is away, and the till answers each question with its receipt: it is one receipt.
#[tokio::test]
async fn a_receipt_that_is_sent_again_is_shown_once() {
    let (town, mut bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    alice.syncs().await;
    bakery.closes().await;
    types_card(&sheet, APPROVE).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    for _ in 0..3 {
        alice.client.check_payments().await.unwrap();
        town.pass(MINUTE_MS);
        alice.client.tick().await.unwrap();
    }
    alice.syncs().await;
    bakery.opens(&town).await;
    alice.bill_is(chat, PaymentState::Paid).await;
    bakery.ticks().await;
    alice.client.check_payments().await.unwrap();
    alice.syncs().await;
    bakery.ticks().await;
    alice.syncs().await;
    let receipts: Vec<String> = alice
        .bubbles(chat)
        .into_iter()
        .filter(|bubble| bubble.kind == BubbleKind::Receipt)
        .map(|bubble| bubble.text)
        .collect();
    assert_eq!(receipts, ["✓ 1.20 EUR"]);
    bakery.closes().await;
}
