//! What a payer meets: every practice card, 3-D Secure, the pages, and no real card number kept anywhere.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

mod counter;

use comptoir_sandbox::{PRACTICE_CARDS, answer_bank, type_card};
use counter::*;
use serde_json::{Value, json};

/// Pays with a card and returns what the payer is told.
async fn pay(counter: &Counter, reference: &str, card: &str) -> (Value, Value) {
    let payment = counter.payment(reference).await;
    let answer = counter.pay(&payment, card).await;
    assert_eq!(answer.status(), 200);
    (payment, answer.json().await.unwrap())
}

#[tokio::test]
async fn an_approved_card_pays() {
    let mut counter = open(true, None).await;
    let (payment, answer) = pay(&counter, "order-1", APPROVES).await;
    let expected = json!({ "payment": payment["id"], "status": "succeeded", "amount_minor": 1250, "currency": "EUR" });
    assert_eq!(answer, expected);
    let paid = counter.look_up(&payment).await;
    assert_eq!(paid["status"], "succeeded");
    assert_eq!(counter.webhook().await["data"]["status"], "processing");
    assert_eq!(counter.webhook().await["data"], paid);
    // Tapping twice pays once.
    assert_eq!(error(counter.pay(&payment, APPROVES).await, 409).await["code"], "not_payable");
    assert_eq!(counter.event_types().await, ["payment.processing", "payment.succeeded"]);
}

#[tokio::test]
async fn a_declined_payer_may_try_again() {
    let mut counter = open(true, None).await;
    let (payment, answer) = pay(&counter, "order-1", DECLINES).await;
    assert_eq!((text(&answer["status"]), text(&answer["last_error"])), ("awaiting_payer", "card_declined"));
    assert_eq!(counter.look_up(&payment).await["last_error"], "card_declined");
    assert_eq!(counter.pay(&payment, APPROVES).await.status(), 200);
    let paid = counter.look_up(&payment).await;
    assert_eq!((text(&paid["status"]), paid.get("last_error")), ("succeeded", None));
    assert_eq!(counter.webhook_types(3).await, ["payment.failed", "payment.processing", "payment.succeeded"]);
}

#[tokio::test]
async fn three_d_secure_can_be_passed() {
    let mut counter = open(true, None).await;
    let (payment, answer) = pay(&counter, "order-1", THREE_DS).await;
    assert_eq!(answer["status"], "requires_action");
    assert!(text(&answer["action_path"]).contains("/3ds?t="));
    assert_eq!(counter.look_up(&payment).await["status"], "requires_action");
    let answer = counter.answer_challenge(&payment, "ok").await;
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], "succeeded");
    assert_eq!(counter.webhook_types(2).await, ["payment.processing", "payment.succeeded"]);
    assert_eq!(error(counter.answer_challenge(&payment, "ok").await, 409).await["code"], "no_challenge");
    assert_eq!(counter.event_types().await.len(), 2);
}

#[tokio::test]
async fn three_d_secure_can_fail() {
    let mut counter = open(true, None).await;
    for (reference, card, outcome) in [("order-1", THREE_DS, "failed"), ("order-2", THREE_DS_FAILS, "ok")] {
        let (payment, _) = pay(&counter, reference, card).await;
        assert_eq!(error(counter.answer_challenge(&payment, "maybe").await, 400).await["field"], "outcome");
        let answer: Value = counter.answer_challenge(&payment, outcome).await.json().await.unwrap();
        assert_eq!((text(&answer["status"]), text(&answer["last_error"])), ("awaiting_payer", "authentication_failed"));
        assert_eq!(counter.webhook_types(1).await, ["payment.failed"]);
        assert_eq!(counter.pay(&payment, APPROVES).await.status(), 200);
        assert_eq!(counter.webhook_types(2).await, ["payment.processing", "payment.succeeded"]);
    }
}

#[tokio::test]
async fn a_terminal_taps_through_the_page() {
    let counter = open(false, None).await;
    let payment = counter.payment("order-1").await;
    let page = counter.pay_url(&payment);
    assert_eq!(type_card(&page, "a=1&card=4242424242424242").await.unwrap().status, 422);
    for (approves, status) in [(false, "awaiting_payer"), (true, "succeeded")] {
        let asked = type_card(&page, THREE_DS).await.unwrap();
        let answer = answer_bank(&page, asked.action_path().unwrap(), approves).await.unwrap();
        assert_eq!((answer.status, text(&answer.body["status"])), (200, status));
        assert_eq!(answer.action_path(), None);
    }
    counter.sandbox.shutdown().await;
    assert!(type_card(&page, APPROVES).await.is_err());
}

#[tokio::test]
async fn another_card_may_be_used_instead_of_three_d_secure() {
    let counter = open(false, None).await;
    let (payment, _) = pay(&counter, "order-1", THREE_DS).await;
    assert_eq!(counter.pay(&payment, APPROVES).await.status(), 200);
    assert_eq!(error(counter.answer_challenge(&payment, "failed").await, 409).await["code"], "no_challenge");
    assert_eq!(counter.look_up(&payment).await["status"], "succeeded");
}

#[tokio::test]
async fn an_unknown_outcome_is_known_at_the_third_look_up() {
    let mut counter = open(true, None).await;
    for (reference, card, status, event) in [
        ("order-1", UNKNOWN_PAID, "succeeded", "payment.succeeded"),
        ("order-2", UNKNOWN_DECLINED, "awaiting_payer", "payment.failed"),
    ] {
        let payment = counter.payment(reference).await;
        assert_eq!(error(counter.pay(&payment, card).await, 500).await["code"], "outcome_unknown");
        // Paying again is refused while nobody knows, and the payer's own page is no look-up.
        assert_eq!(error(counter.pay(&payment, APPROVES).await, 409).await["code"], "not_payable");
        assert_eq!(counter.look_up(&payment).await["status"], "processing");
        assert_eq!(counter.look_up(&payment).await["status"], "processing");
        assert_eq!(counter.webhook_types(1).await, ["payment.processing"]);
        let known = counter.read(&format!("/v1/payments?reference={reference}")).await;
        assert_eq!(known["payments"][0]["status"], status);
        assert_eq!(counter.look_up(&payment).await["status"], status);
        assert_eq!(counter.webhook_types(1).await, [event]);
    }
    let known = counter.read("/v1/payments?reference=order-2").await;
    assert_eq!(known["payments"][0]["last_error"], "card_declined");
}

#[tokio::test]
async fn the_payment_page_needs_its_token() {
    let counter = open(false, None).await;
    let payment = counter.payment("order-1").await;
    let url = counter.pay_url(&payment);
    assert_eq!(counter.client.get(&url).send().await.unwrap().status(), 200);
    let (page, token) = url.split_once("?t=").unwrap();
    let unknown = counter.path(&format!("/pay/pay_x?t={token}"));
    for wrong in [page.to_owned(), format!("{page}?t="), format!("{page}?t={}", "0".repeat(32)), unknown] {
        assert_eq!(counter.client.get(&wrong).send().await.unwrap().status(), 404);
        let paid = form(counter.client.post(&wrong), "card", APPROVES).send().await.unwrap();
        assert_eq!(paid.status(), 404);
        let json = counter.client.get(&wrong).header("accept", "application/json");
        assert_eq!(error(json.send().await.unwrap(), 404).await["code"], "payment_not_found");
    }
    assert_eq!(counter.look_up(&payment).await["status"], "awaiting_payer");
}

#[tokio::test]
async fn a_browser_is_led_through_the_pages() {
    let counter = open(false, None).await;
    let mut body = order("order-1");
    body["amount_minor"] = json!(123_450);
    body["description"] = json!("Two croissants <b>& a coffee</b>");
    body["return_url"] = json!("https://bakery.example/done?a=1&b=2");
    let payment: Value = counter.create("key-1", &body).await.json().await.unwrap();
    let url = counter.pay_url(&payment);
    let read = async || counter.client.get(&url).send().await.unwrap();

    let page = read().await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    assert_eq!(page.headers()["cache-control"], "no-store");
    let html = page.text().await.unwrap();
    assert!(html.contains("EUR 1,234.50") && html.contains("TEST · no real money") && html.contains("lang=\"en\""));
    assert!(html.contains("Two croissants &lt;b&gt;&amp; a coffee&lt;/b&gt;") && !html.contains("<b>"));
    assert!(!html.contains("<script") && !html.contains("style="));
    for card in &PRACTICE_CARDS {
        assert!(html.contains(&card.spaced()) && html.contains(card.does), "{}", card.number);
    }

    let declined = counter.pay_by_form(&payment, DECLINES).await;
    assert_eq!(declined.status(), 303);
    assert!(url.ends_with(declined.headers()["location"].to_str().unwrap()));
    assert!(read().await.text().await.unwrap().contains("The card was declined"));

    let refused = counter.pay_by_form(&payment, "4242").await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("not one of the practice cards"));

    let challenged = counter.pay_by_form(&payment, THREE_DS).await;
    let challenge = counter.path(challenged.headers()["location"].to_str().unwrap());
    let html = counter.client.get(&challenge).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("Approve") && html.contains("Fail"));
    assert!(read().await.text().await.unwrap().contains("One more step"));
    let approved = form(counter.client.post(&challenge), "outcome", "ok").send().await.unwrap();
    assert_eq!(approved.status(), 303);

    let html = read().await.text().await.unwrap();
    assert!(html.contains("Paid") && !html.contains("<form"));
    assert!(html.contains("href=\"https://bakery.example/done?a=1&amp;b=2\""));
    assert_eq!(counter.client.get(&challenge).send().await.unwrap().status(), 303);
}

#[tokio::test]
async fn a_browser_is_told_not_to_pay_again_while_nobody_knows() {
    let counter = open(false, None).await;
    let payment = counter.payment("order-1").await;
    let page = counter.pay_by_form(&payment, UNKNOWN_PAID).await;
    assert_eq!(page.status(), 500);
    let html = page.text().await.unwrap();
    assert!(html.contains("Do not pay again") && !html.contains("<form"));
}

#[tokio::test]
async fn a_real_looking_card_number_is_refused_and_kept_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sandbox.json");
    let counter = open(false, Some(path.clone())).await;
    let payment = counter.payment("order-1").await;
    let real = "4111 1111 1111 1111";
    for typed in [real.to_owned(), real.replace(' ', ""), real.replace(' ', "-"), "5555555555554444".to_owned()] {
        let answer = counter.pay(&payment, &typed).await;
        assert_eq!(answer.status(), 422);
        let answer = answer.text().await.unwrap();
        assert!(answer.contains("not_a_practice_card") && !answer.contains(&typed), "{answer}");
        let page = counter.pay_by_form(&payment, &typed).await;
        assert_eq!(page.status(), 422);
        assert!(!page.text().await.unwrap().contains(&typed));
    }
    // Nor where it does not belong: a number instead of text, another field, a note, a name, an unknown field.
    let as_number = counter.client.post(counter.pay_url(&payment)).header("accept", "application/json");
    let refused = as_number.json(&json!({ "card": 4_111_111_111_111_111_u64 })).send().await.unwrap();
    let refused = refused.text().await.unwrap();
    assert!(refused.contains("\"card\"") && !refused.contains("11111111"), "{refused}");
    for (field, value) in [
        ("description", json!(format!("card: {real}"))),
        ("reference", json!("4111111111111111")),
        ("account", json!("4111-1111-1111-1111")),
        ("4111111111111111", json!(1)),
    ] {
        let mut body = order("order-2");
        body[field] = value;
        let refused = counter.create("key-2", &body).await;
        assert_eq!(refused.status(), 400, "{field}");
        assert!(!refused.text().await.unwrap().contains("1111"), "{field}");
    }
    // What the practice cards did is kept, not their numbers.
    counter.pay(&payment, APPROVES).await;
    counter.sandbox.shutdown().await;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let content = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for digits in ["11111111", "1111 1111", "55554444", "42424242", "4242 4242"] {
            assert!(!content.contains(digits), "{digits}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_state_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sandbox.json");
    let counter = open(false, Some(path.clone())).await;
    counter.payment("order-1").await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
