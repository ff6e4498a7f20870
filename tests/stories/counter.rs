//! A customer at the counter who has paid, and others who only look like it.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use comptoir_client::PaymentState;
use comptoir_content::{Link, OrderId, PayerProof, PayerQuestion, SigningKey};
use comptoir_tests::shop::types_card;
use comptoir_tests::{MINUTE_MS, Person, Town};
use serde_json::{Value, json};

const APPROVE: &str = "4242 4242 4242 4242";

/// The till asks who paid.
async fn asks(town: &Town) -> (String, PayerQuestion) {
    let (status, asked) = comptoir_gateway::call(&town.bakery_dir(), "/payer", Some(json!({}))).await.unwrap();
    assert_eq!(status, 200, "{asked}");
    let code = asked["code"].as_str().unwrap().to_owned();
    let Ok(Link::PayerQuestion(question)) = Link::parse(&code) else { panic!("{code}") };
    (code, question)
}

/// A code is held before the till.
async fn shows(town: &Town, code: &str) -> Result<Value, String> {
    let body = json!({ "code": code });
    let (status, answer) = comptoir_gateway::call(&town.bakery_dir(), "/redeem", Some(body)).await.unwrap();
    match status {
        200 => Ok(answer),
        _ => Err(answer["error"]["detail"].as_str().unwrap().to_owned()),
    }
}

/// Alice has paid a croissant at the Bakery.
async fn buys(town: &Town, link: &str) -> (Person, OrderId) {
    let alice = town.arrives("alice").await;
    let chat = alice.client.add_contact(link).await.unwrap();
    alice.says(chat, "Bonjour").await;
    let bill = alice.orders(chat, "Croissant").await;
    let sheet = alice.taps_pay(chat, &bill).await;
    assert_eq!(types_card(&sheet, APPROVE).await.0, 200);
    let paid = alice.bill_is(chat, PaymentState::Paid).await;
    (alice, paid.order.unwrap())
}

#[tokio::test]
async fn who_paid_is_handed_the_order_once() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let (alice, order) = buys(&town, &bakery.link).await;
    let (question, _) = asks(&town).await;
    // In a cellar: the phone needs no line.
    alice.client.disconnect().unwrap();
    let proof = alice.client.prove_payer(order, &question).unwrap();
    let handed = shows(&town, &proof).await.unwrap();
    assert_eq!((&handed["order"], &handed["again"]), (&json!(order.to_string()), &json!(false)));
    assert_eq!((&handed["title"], &handed["amount"]), (&json!("Croissant"), &json!("1.20 EUR")));
    assert_eq!(shows(&town, &proof).await.unwrap()["again"], true, "the same phone before the same till, once more");
    let (question, _) = asks(&town).await;
    let proof = alice.client.prove_payer(order, &question).unwrap();
    assert_eq!(shows(&town, &proof).await.unwrap_err(), "payer.redeemed: handed out before");
}

#[tokio::test]
async fn a_copied_receipt_a_picture_and_a_forged_answer_get_nothing() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let (alice, order) = buys(&town, &bakery.link).await;
    let mallory = town.arrives("mallory").await;
    let (question_code, question) = asks(&town).await;

    // He has her receipt, every byte of it, and it is genuine.
    let copy = alice.client.receipt_file(order, None).unwrap();
    assert!(mallory.client.verify_receipt(&copy).is_ok());
    let refused = mallory.client.prove_payer(order, &question_code).unwrap_err();
    assert_eq!(refused.code(), "receipt.unknown");
    let forged = PayerProof::sign(&question, order, &SigningKey::from_seed([3; 32])).to_link();
    let unsigned = "payer.unproven: not proven to be the payer: it is not signed by who paid";
    assert_eq!(shows(&town, &forged).await.unwrap_err(), unsigned);
    for code in [&question_code, &bakery.link, &String::from_utf8_lossy(&copy).into_owned(), &"PAID".to_owned()] {
        assert!(shows(&town, code).await.is_err(), "{code}");
    }

    // He photographs the answer that she shows to this till, and comes back with it.
    let proof = alice.client.prove_payer(order, &question_code).unwrap();
    assert!(shows(&town, &proof).await.is_ok());
    town.pass(6 * MINUTE_MS);
    assert_eq!(shows(&town, &proof).await.unwrap_err(), "payer.redeemed: handed out before");

    // He lures her into answering a question of his own, which she takes for the shop's.
    let his = PayerQuestion { nonce: [1; 16], expires_at: question.expires_at.plus_ms(60 * MINUTE_MS), ..question };
    let lured = alice.client.prove_payer(order, &his.to_link()).unwrap();
    let unasked = "payer.unproven: not proven to be the payer: this till did not ask that, or it is long ago";
    assert_eq!(shows(&town, &lured).await.unwrap_err(), unasked);
}

#[tokio::test]
async fn a_till_that_was_ended_remembers_what_it_asked_and_what_it_handed_out() {
    let town = Town::new().await;
    let mut bakery = town.bakery().await;
    let (alice, order) = buys(&town, &bakery.link).await;
    let (question, _) = asks(&town).await;
    let proof = alice.client.prove_payer(order, &question).unwrap();
    for again in [false, true] {
        bakery.closes().await;
        bakery.opens(&town).await;
        assert_eq!(shows(&town, &proof).await.unwrap()["again"], again);
    }
}

#[tokio::test]
async fn what_went_back_is_not_handed_out() {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let (alice, order) = buys(&town, &bakery.link).await;
    let (status, refund) = bakery.refunds(&town, order, None).await;
    assert_eq!(status, 200, "{refund}");
    let (question, _) = asks(&town).await;
    let proof = alice.client.prove_payer(order, &question).unwrap();
    let back = "payer.unproven: not proven to be the payer: the money went back";
    assert_eq!(shows(&town, &proof).await.unwrap_err(), back);
}
