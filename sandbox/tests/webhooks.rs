//! Webhooks as they really are: signed, retried, late, twice, out of order, never.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

mod counter;

use axum::http::StatusCode;
use counter::*;
use ring::hmac;
use serde_json::json;

async fn paid(counter: &Counter, reference: &str, card: &str) -> serde_json::Value {
    let payment = counter.payment(reference).await;
    assert_eq!(counter.pay(&payment, card).await.status(), 200);
    payment
}

#[tokio::test]
async fn a_webhook_is_signed_over_time_and_body() {
    let mut counter = open(true, None).await;
    let payment = paid(&counter, "order-1", APPROVES).await;
    let delivered = counter.webhooks.as_mut().unwrap().next().await;
    let (time, signature) = delivered.signature.split_once(',').unwrap();
    assert_eq!(time, format!("t={}", NOW_MS / 1000));
    let signed = [format!("{}.", NOW_MS / 1000).as_bytes(), &delivered.body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
    let signature = signature.strip_prefix("v1=").unwrap();
    let signature = data_encoding::HEXLOWER.decode(signature.as_bytes()).unwrap();
    hmac::verify(&key, &signed, &signature).unwrap();

    let event = delivered.event();
    assert!(text(&event["id"]).starts_with("evt_"));
    assert_eq!(event["type"], "payment.processing");
    assert_eq!(event["created_at_ms"], NOW_MS);
    assert_eq!(event["data"]["id"], payment["id"]);
    let next = counter.webhook().await;
    assert_eq!(counter.read("/v1/events").await, json!({ "events": [event, next] }));
}

#[tokio::test]
async fn a_refused_webhook_is_tried_again_with_the_same_bytes() {
    let mut counter = open(true, None).await;
    let webhooks = counter.webhooks.as_mut().unwrap();
    webhooks.answer_next_with(&[StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_FOUND, StatusCode::FOUND]);
    paid(&counter, "order-1", APPROVES).await;
    let webhooks = counter.webhooks.as_mut().unwrap();
    let first = webhooks.next().await;
    for _ in 0..3 {
        assert_eq!(webhooks.next().await.body, first.body);
    }
    assert_eq!(counter.webhook_types(1).await, ["payment.succeeded"]);
}

#[tokio::test]
async fn a_webhook_is_given_up_after_five_attempts() {
    let mut counter = open(true, None).await;
    counter.webhooks.as_mut().unwrap().answer_next_with(&[StatusCode::SERVICE_UNAVAILABLE; 5]);
    paid(&counter, "order-1", APPROVES).await;
    assert_eq!(counter.webhook_types(5).await, ["payment.processing"; 5]);
    assert_eq!(counter.webhook_types(1).await, ["payment.succeeded"]);
    assert_eq!(counter.event_types().await, ["payment.processing", "payment.succeeded"]);
}

#[tokio::test]
async fn whoever_waits_hears_when_every_webhook_was_taken_or_given_up() {
    let mut counter = open(true, None).await;
    counter.sandbox.webhooks_done().await;
    counter.webhooks.as_mut().unwrap().answer_next_with(&[StatusCode::SERVICE_UNAVAILABLE; 5]);
    paid(&counter, "order-1", APPROVES).await;
    counter.sandbox.webhooks_done().await;
    assert_eq!(counter.webhooks.as_ref().unwrap().waiting(), 6, "five times the first, once the second");
    // What is held back until somebody looks is not waited for.
    paid(&counter, "late", WEBHOOK_LATE).await;
    counter.sandbox.webhooks_done().await;
    assert_eq!(counter.webhooks.as_ref().unwrap().waiting(), 6);
    open(false, None).await.sandbox.webhooks_done().await;
}

#[tokio::test]
async fn a_webhook_that_was_not_sent_is_sent_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut counter = open(true, Some(dir.path().join("sandbox.json"))).await;
    counter.webhooks.as_mut().unwrap().answer_next_with(&[StatusCode::SERVICE_UNAVAILABLE]);
    // Held back until the payment is looked up, which happens after the restart only.
    let payment = paid(&counter, "order-1", WEBHOOK_LATE).await;
    let mut counter = counter.restart().await;
    counter.look_up(&payment).await;
    assert_eq!(counter.webhook_types(3).await, ["payment.processing", "payment.processing", "payment.succeeded"]);
}

#[tokio::test]
async fn late_webhooks_wait_for_a_look_up() {
    let mut counter = open(true, None).await;
    let late = paid(&counter, "late", WEBHOOK_LATE).await;
    let prompt = paid(&counter, "prompt", APPROVES).await;
    for _ in 0..2 {
        assert_eq!(counter.webhook().await["data"]["id"], prompt["id"]);
    }
    counter.look_up(&prompt).await;
    counter.look_up(&late).await;
    for kind in ["payment.processing", "payment.succeeded"] {
        let event = counter.webhook().await;
        assert_eq!((&event["data"]["id"], text(&event["type"])), (&late["id"], kind));
    }
}

#[tokio::test]
async fn a_flush_lets_late_webhooks_go() {
    let mut counter = open(true, None).await;
    paid(&counter, "late", WEBHOOK_LATE).await;
    let flushed = counter.post("/v1/test/flush").send().await.unwrap();
    assert_eq!(flushed.json::<serde_json::Value>().await.unwrap(), json!({ "released": 2 }));
    assert_eq!(counter.webhook_types(2).await, ["payment.processing", "payment.succeeded"]);
    let flushed = counter.post("/v1/test/flush").send().await.unwrap();
    assert_eq!(flushed.json::<serde_json::Value>().await.unwrap(), json!({ "released": 0 }));
}

#[tokio::test]
async fn webhooks_come_twice() {
    let mut counter = open(true, None).await;
    paid(&counter, "order-1", WEBHOOK_TWICE).await;
    for kind in ["payment.processing", "payment.succeeded"] {
        let (first, second) = (counter.webhook().await, counter.webhook().await);
        assert_eq!(first["type"], kind);
        assert_eq!(first, second);
    }
    assert_eq!(counter.event_types().await, ["payment.processing", "payment.succeeded"]);
}

#[tokio::test]
async fn webhooks_come_out_of_order() {
    let mut counter = open(true, None).await;
    paid(&counter, "order-1", WEBHOOK_REVERSED).await;
    assert_eq!(counter.webhook_types(2).await, ["payment.succeeded", "payment.processing"]);
    assert_eq!(counter.event_types().await, ["payment.processing", "payment.succeeded"]);
}

#[tokio::test]
async fn webhooks_never_come() {
    let mut counter = open(true, None).await;
    let silent = paid(&counter, "silent", WEBHOOK_NEVER).await;
    assert_eq!(counter.look_up(&silent).await["status"], "succeeded");
    counter.post("/v1/test/flush").send().await.unwrap();
    // They would have come before these.
    let prompt = paid(&counter, "prompt", APPROVES).await;
    for _ in 0..2 {
        assert_eq!(counter.webhook().await["data"]["id"], prompt["id"]);
    }
    assert_eq!(counter.event_types().await.len(), 4);
}

#[tokio::test]
async fn a_canceled_payment_says_so() {
    let mut counter = open(true, None).await;
    let payment = counter.payment("order-1").await;
    counter.cancel(&payment).await;
    let event = counter.webhook().await;
    assert_eq!((text(&event["type"]), text(&event["data"]["status"])), ("payment.canceled", "canceled"));
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_a_deaf_receiver() {
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = comptoir_sandbox::Config::new("127.0.0.1:0".parse().unwrap(), SECRET_KEY);
    let url = format!("http://{}/webhook", deaf.local_addr().unwrap());
    config.webhook = Some(comptoir_sandbox::Webhook::new(url, WEBHOOK_SECRET));
    let sandbox = comptoir_sandbox::Sandbox::start(config).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |path: &str| client.post(format!("{}{path}", sandbox.url())).bearer_auth(SECRET_KEY);
    let payment = post("/v1/payments").header("idempotency-key", "1").json(&order("order-1")).send().await.unwrap();
    let payment: serde_json::Value = payment.json().await.unwrap();
    post(&format!("/v1/payments/{}/cancel", text(&payment["id"]))).send().await.unwrap();
    // It called, and will never be answered.
    let _call = deaf.accept().await.unwrap();
    sandbox.shutdown().await;
}
