//! Which orders the till takes: one at a time for a bill, each attempt once, and what is refused is over.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use comptoir_client::{CheckoutView, PayChoice, PaymentState, Sheet, SheetHint};
use comptoir_content::{
    AnswerBody, Body, ConversationId, Hash, NotPaid, OrderId, OrderPlaced, PaymentAnswer, PaymentId, Signed,
    SigningKey, Timestamp,
};
use comptoir_tests::Person;
use comptoir_tests::shop::{at_the_counter, types_card};

const APPROVE: &str = "4242 4242 4242 4242";

#[tokio::test]
async fn an_order_that_holds_its_slot_never_hears_that_it_is_over() {
    let (_town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    // What the till would say once more became larger than any message may be.
    let words = AnswerBody::NotPaid(NotPaid { reason: String::new(), words: "x".repeat(60_000) });
    let key = SigningKey::from_seed([7; 32]);
    let too_large = PaymentAnswer {
        merchant: alice.chats()[0].peer.account,
        term: 1,
        live: false,
        payer_key: key.public(),
        invoice_hash: Hash([7; 32]),
        order: sheet.order,
        payment: PaymentId([7; 16]),
        attempt: 1,
        issued_at: Timestamp(0),
        body: words,
    };
    let answer = Signed::sign(&too_large, &key).encode();
    let till = bakery.till.as_ref().unwrap().client();
    till.turn(move |tx| Ok(tx.sql().execute("UPDATE attempt SET handoff = ?1", (answer,))?)).await.unwrap();
    let placed: Vec<u8> =
        alice.client.view(|db| Ok(db.query_row("SELECT placed FROM checkout", (), |row| row.get(0))?)).unwrap();
    let placed = OrderPlaced::decode(&placed).unwrap();
    alice.client.turn(move |tx| tx.say(chat, Body::OrderPlaced(Box::new(placed)), None)).await.unwrap();
    alice.says(chat, "Did you hear me?").await;
    alice.until("the answer to what came after it", |me| (greetings(me, chat) == 2).then_some(())).await;
    assert_eq!(alice.bill(chat).unwrap().state, PaymentState::AwaitingConsent);
}

/// What another device of Alice's sends when she pays the same bill there.
fn order_of_another_device(placed: &[u8]) -> OrderPlaced {
    let key = SigningKey::from_seed([7; 32]);
    let (order, payment) = (OrderId([7; 16]), PaymentId([7; 16]));
    OrderPlaced { order, payment, payer_key: key.public(), ..OrderPlaced::decode(placed).unwrap() }.prove(&key)
}

/// Her phone was put back to where it had not heard the refusal, or could not believe it.
#[tokio::test]
async fn a_refusal_that_was_missed_is_told_again_and_final() {
    let (town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Canceled).await.unwrap();
    let placed = || -> Vec<u8> {
        alice.client.view(|db| Ok(db.query_row("SELECT placed FROM checkout", (), |row| row.get(0))?)).unwrap()
    };
    let attempts = |sql: &'static str| {
        let till = bakery.till.as_ref().unwrap().client();
        async move { till.turn(move |tx| Ok(tx.sql().execute(sql, ())?)).await.unwrap() }
    };
    // The other device takes the slot before the phone's next attempt.
    attempts("UPDATE attempt SET state = 'dead', reason = 'submit.declined', wake_at = NULL").await;
    alice.client.check_payments().await.unwrap();
    alice.bill_is(chat, PaymentState::NotPaid).await;
    let another = Box::new(order_of_another_device(&placed()));
    alice.client.turn(move |tx| tx.say(chat, Body::OrderPlaced(another), None)).await.unwrap();
    let refused = |bill: CheckoutView| bill.not_paid.is_some_and(|not_paid| not_paid.reason == "submit.unknown");
    alice.client.pay(bill.invoice, PayChoice::default()).await.unwrap();
    assert!(refused(alice.bill_is(chat, PaymentState::NotPaid).await), "the slot is taken");

    let missed = "UPDATE checkout SET state = 'placed', not_paid_reason = NULL, not_paid_words = NULL, wake_at = 0";
    alice.client.turn(move |tx| Ok(tx.sql().execute(missed, ())?)).await.unwrap();
    alice.client.tick().await.unwrap();
    assert!(refused(alice.bill_is(chat, PaymentState::NotPaid).await), "told again");

    // The same attempt comes once more when the slot is free.
    attempts("UPDATE attempt SET state = 'dead', reason = 'submit.declined', wake_at = NULL").await;
    let again = Box::new(OrderPlaced::decode(&placed()).unwrap());
    let (order, attempt) = (again.order, again.attempt);
    assert_eq!(attempt, 2);
    alice.client.turn(move |tx| tx.say(chat, Body::OrderPlaced(again), None)).await.unwrap();
    let next = alice.taps_pay(chat, &bill).await;
    types_card(&next, APPROVE).await;
    alice.client.sheet_closed(next.order, SheetHint::Done).await.unwrap();
    alice.bill_is(chat, PaymentState::Paid).await;
    let taken = "SELECT group_concat(attempt) FROM (SELECT attempt FROM attempt WHERE order_id = ?1 ORDER BY attempt)";
    let till = bakery.till.as_ref().unwrap().client();
    let taken: String = till.view(|db| Ok(db.query_row(taken, (order.0,), |row| row.get(0))?)).unwrap();
    assert_eq!(taken, "1,3", "the second stays refused");
    assert_eq!(bakery.books(&town).await["postings"], 1);
}

fn greetings(me: &Person, chat: ConversationId) -> usize {
    me.bubbles(chat).iter().filter(|bubble| bubble.text.starts_with("Bonjour!")).count()
}

/// Its books were put back to before it sold that. She may have paid by now: she never hears that she has not.
#[tokio::test]
async fn a_till_that_does_not_know_a_bill_says_nothing_final_about_it() {
    let (_town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    let till = bakery.till.as_ref().unwrap().client();
    for forget in ["DELETE FROM attempt", "DELETE FROM invoice"] {
        till.turn(move |tx| Ok(tx.sql().execute(forget, ())?)).await.unwrap();
    }
    let placed: Vec<u8> =
        alice.client.view(|db| Ok(db.query_row("SELECT placed FROM checkout", (), |row| row.get(0))?)).unwrap();
    let again = Box::new(OrderPlaced::decode(&placed).unwrap());
    let seen = greetings(&alice, chat);
    alice.client.turn(move |tx| tx.say(chat, Body::OrderPlaced(again), None)).await.unwrap();
    alice.client.check_payments().await.unwrap();
    alice.says(chat, "Hello?").await;
    alice.until("the answer to what came after it", |me| (greetings(me, chat) > seen).then_some(())).await;
    assert_eq!(alice.bill(chat).unwrap().state, PaymentState::Settling);
    let kept: u32 = till.view(|db| Ok(db.query_row("SELECT count(*) FROM refused", (), |row| row.get(0))?)).unwrap();
    assert_eq!(kept, 0);
}

/// The clock was set back, and what it refused before is dated after today.
#[tokio::test]
async fn the_newest_refusal_is_remembered_whatever_the_clock_says() {
    let (_town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    alice.taps_pay(chat, &bill).await;
    let placed: Vec<u8> =
        alice.client.view(|db| Ok(db.query_row("SELECT placed FROM checkout", (), |row| row.get(0))?)).unwrap();
    let till = bakery.till.as_ref().unwrap().client();
    let many = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100)
        INSERT INTO refused SELECT (SELECT buyer FROM attempt), randomblob(16), 1, zeroblob(16), zeroblob(32), zeroblob(32), 'old',
            9000000000000 FROM n";
    till.turn(move |tx| Ok(tx.sql().execute(many, ())?)).await.unwrap();
    // The slot is taken.
    let another = Box::new(order_of_another_device(&placed));
    let seen = greetings(&alice, chat);
    alice.client.turn(move |tx| tx.say(chat, Body::OrderPlaced(another), None)).await.unwrap();
    alice.says(chat, "And now?").await;
    alice.until("the answer to what came after it", |me| (greetings(me, chat) > seen).then_some(())).await;
    let newest = "SELECT count(*) FROM refused WHERE reason = 'submit.unknown'";
    assert_eq!(till.view(|db| Ok(db.query_row(newest, (), |row| row.get::<_, u32>(0))?)).unwrap(), 1);
}

#[tokio::test]
async fn late_money_for_a_bill_that_another_order_paid_goes_back() {
    let (town, bakery, alice, chat) = at_the_counter().await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    let till = bakery.till.as_ref().unwrap().client();
    let gave_up = "UPDATE attempt SET state = 'dead', reason = 'submit.bank_late', wake_at = NULL";
    till.turn(move |tx| Ok(tx.sql().execute(gave_up, ())?)).await.unwrap();
    // Another device of Alice's pays the same bill, with an order of its own.
    let placed: Vec<u8> =
        alice.client.view(|db| Ok(db.query_row("SELECT placed FROM checkout", (), |row| row.get(0))?)).unwrap();
    let another = Box::new(order_of_another_device(&placed));
    let order = another.order;
    alice.client.turn(move |tx| tx.say(chat, Body::OrderPlaced(another), None)).await.unwrap();
    let mut changes = till.changes();
    let asked: Vec<u8> = loop {
        let sql = "SELECT handoff FROM attempt WHERE order_id = ?1 AND handoff IS NOT NULL";
        match till.view(|db| Ok(db.query_row(sql, (order.0,), |row| row.get(0))?)) {
            Ok(asked) => break asked,
            Err(_) => assert!(changes.next().await.is_some()),
        }
    };
    let asked = Signed::<PaymentAnswer>::decode(&asked).unwrap().verify().unwrap().into_inner();
    let AnswerBody::Requested(request) = asked.body else { panic!("{:?}", asked.body) };
    let other_sheet = Sheet { handoff: request.handoff, ..sheet.clone() };
    types_card(&other_sheet, APPROVE).await;
    bakery.until_books(&town, 1).await;
    types_card(&sheet, APPROVE).await;
    // One capture, one surplus, and the surplus back.
    let books = bakery.until_books(&town, 3).await;
    alice.client.sheet_closed(sheet.order, SheetHint::Done).await.unwrap();
    let told = alice.bill_is(chat, PaymentState::NotPaid).await;
    assert_eq!(told.not_paid.unwrap().reason, "invoice.already_paid");
    assert!(books["books"].as_array().unwrap().contains(&serde_json::json!(["surplus", "EUR", 0])), "{books}");
    assert_eq!((bakery.charges().await, bakery.gave_back().await), (vec![120, 120], vec![120]));
}
