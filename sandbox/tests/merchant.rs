//! What a merchant's gateway may rely on: idempotency, checks that name the field, refunds, cancels, expiry, and a
//! state that survives restarts.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

mod counter;

use std::sync::atomic::Ordering;

use comptoir_sandbox::{Config, Sandbox, StartError, Webhook};
use counter::*;
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_payment_awaits_its_payer() {
    let counter = open(false, None).await;
    let payment = counter.payment("order-1").await;
    let id = text(&payment["id"]);
    assert!(id.starts_with("pay_") && id.len() == 36, "{id}");
    let url = text(&payment["pay_url"]);
    let token = url.strip_prefix(&counter.path(&format!("/pay/{id}?t="))).unwrap();
    assert_eq!(token.len(), 32);
    let expected = json!({
        "id": id, "amount_minor": 1250, "currency": "EUR", "reference": "order-1", "account": "bakery", "live": false,
        "status": "awaiting_payer", "created_at_ms": NOW_MS, "pay_url": url, "amount_refunded_minor": 0,
    });
    assert_eq!(payment, expected);
    assert_eq!(counter.look_up(&payment).await, expected);
    assert_eq!(counter.read("/v1/payments?reference=order-1").await, json!({ "payments": [expected] }));
    assert_eq!(counter.read("/v1/payments?reference=order-2").await, json!({ "payments": [] }));
}

#[tokio::test]
async fn the_same_key_and_body_is_one_payment_and_one_answer() {
    let counter = open(false, None).await;
    let first = counter.create("key-1", &order("order-1")).await;
    assert_eq!(first.status(), 201);
    let first = first.text().await.unwrap();
    counter.pay(&serde_json::from_str(&first).unwrap(), APPROVES).await;

    // The order of the fields makes no other request; the answer is the stored one, although the payment moved on.
    let again = counter
        .post("/v1/payments")
        .header("idempotency-key", "key-1")
        .body(r#"{ "live": false, "account": "bakery", "reference": "order-1", "currency": "EUR", "amount_minor": 1250 }"#)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 201);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.text().await.unwrap(), first);
    let found = counter.read("/v1/payments?reference=order-1").await;
    assert_eq!(found["payments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_double_tap_at_the_same_moment_is_one_payment() {
    let counter = open(false, None).await;
    let body = order("order-1");
    let (one, other) = tokio::join!(counter.create("key-1", &body), counter.create("key-1", &body));
    assert_eq!(one.text().await.unwrap(), other.text().await.unwrap());
    let found = counter.read("/v1/payments?reference=order-1").await;
    assert_eq!(found["payments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_key_for_another_request_is_a_conflict() {
    let counter = open(false, None).await;
    let payment = counter.payment("key-1").await;
    let mut other = order("key-1");
    other["amount_minor"] = json!(1251);
    assert_eq!(error(counter.create("key-1", &other).await, 409).await["code"], "idempotency_conflict");
    // A key belongs to one operation, too.
    let refund = json!({ "payment": payment["id"], "amount_minor": 1, "reference": "refund-1" });
    assert_eq!(error(counter.refund("key-1", &refund).await, 409).await["code"], "idempotency_conflict");
}

#[tokio::test]
async fn a_refused_request_may_be_corrected_under_its_key() {
    let counter = open(false, None).await;
    let mut wrong = order("order-1");
    wrong["currency"] = json!("euro");
    assert_eq!(error(counter.create("key-1", &wrong).await, 400).await["field"], "currency");
    assert_eq!(counter.create("key-1", &order("order-1")).await.status(), 201);
}

#[tokio::test]
async fn the_key_is_mandatory_and_bounded() {
    let counter = open(false, None).await;
    let send = async |key: Option<&str>| {
        let request = counter.post("/v1/payments").json(&order("order-1"));
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        request.send().await.unwrap()
    };
    for key in [None, Some(""), Some("two words"), Some("x".repeat(256).as_str())] {
        let error = error(send(key).await, 400).await;
        assert_eq!((text(&error["code"]), text(&error["field"])), ("idempotency_key_required", "Idempotency-Key"));
    }
    assert_eq!(send(Some("x".repeat(255).as_str())).await.status(), 201);
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let counter = open(false, None).await;
    let check = async |field: &str, value: Value| {
        let mut body = order("order-1");
        body[field] = value.clone();
        let error = error(counter.create("key-1", &body).await, 400).await;
        assert_eq!((text(&error["code"]), text(&error["field"])), ("invalid_field", field), "{value}");
    };
    for amount in
        [json!(0), json!(-1), json!(1_000_000_000_000_i64), json!(12.5), json!("1250"), json!(1e30), json!(null)]
    {
        check("amount_minor", amount).await;
    }
    for currency in [json!("eur"), json!("EURO"), json!(""), json!(978), json!(null)] {
        check("currency", currency).await;
    }
    for name in [json!(""), json!("a b"), json!("é"), json!("x".repeat(65)), json!(1), json!(null)] {
        check("reference", name.clone()).await;
        check("account", name).await;
    }
    for live in [json!(true), json!("false"), json!(null)] {
        check("live", live).await;
    }
    check("description", json!("x".repeat(201))).await;
    check("description", json!("two\nlines")).await;
    for url in ["javascript:alert(1)", "bakery.example", "https://bakery.example/a b", "data:text/html,hi"] {
        check("return_url", json!(url)).await;
    }
    for time in [json!(NOW_MS), json!(NOW_MS - 1), json!("soon"), json!(1.5)] {
        check("expires_at_ms", time).await;
    }
    check("amount", json!(1250)).await;
    for field in ["amount_minor", "currency", "reference", "account", "live"] {
        let mut body = order("order-1");
        body.as_object_mut().unwrap().remove(field);
        assert_eq!(error(counter.create("key-1", &body).await, 400).await["field"], field);
    }
    assert_eq!(counter.read("/v1/payments?reference=order-1").await, json!({ "payments": [] }));
}

#[tokio::test]
async fn what_is_not_a_json_object_is_refused() {
    let counter = open(false, None).await;
    for body in ["", "hello", "[]", "{", "\"x\"", "{} {}"] {
        let request = counter.post("/v1/payments").header("idempotency-key", "key-1").body(body);
        assert_eq!(error(request.send().await.unwrap(), 400).await["code"], "invalid_json", "{body}");
    }
    for path in ["/v1/payments", "/v1/payments?reference=", "/v1/payments?reference=a%20b", "/v1/refunds"] {
        assert_eq!(error(counter.get(path).send().await.unwrap(), 400).await["code"], "invalid_field", "{path}");
    }
}

#[tokio::test]
async fn a_huge_body_is_refused() {
    let counter = open(false, None).await;
    let payment = counter.payment("order-1").await;
    let huge = "x".repeat(70 << 10);
    let request = counter.post("/v1/payments").header("idempotency-key", "key-1").body(huge.clone());
    assert_eq!(error(request.send().await.unwrap(), 413).await["code"], "body_too_large");
    assert_eq!(error(counter.pay(&payment, &huge).await, 413).await["code"], "body_too_large");
    assert_eq!(counter.pay_by_form(&payment, &huge).await.status(), 413);
}

#[tokio::test]
async fn only_the_secret_key_opens_the_merchants_door() {
    let counter = open(false, None).await;
    let paths = ["/v1/payments?reference=a", "/v1/payments/pay_x", "/v1/refunds/re_x", "/v1/events"];
    for path in paths {
        let bare = counter.client.get(counter.path(path));
        for request in [
            bare.try_clone().unwrap(),
            bare.try_clone().unwrap().bearer_auth("sk_test_baker"),
            bare.try_clone().unwrap().bearer_auth(""),
            bare.try_clone().unwrap().basic_auth(SECRET_KEY, None::<&str>),
            bare.try_clone().unwrap().header("authorization", SECRET_KEY),
        ] {
            assert_eq!(error(request.send().await.unwrap(), 401).await["code"], "unauthorized");
        }
    }
    let request = counter.client.post(counter.path("/v1/payments")).json(&order("order-1"));
    assert_eq!(error(request.send().await.unwrap(), 401).await["code"], "unauthorized");
    let health = counter.client.get(counter.path("/health")).send().await.unwrap();
    assert_eq!(health.json::<Value>().await.unwrap(), json!({ "status": "ok" }));
}

#[tokio::test]
async fn unknown_addresses_and_methods_answer_in_json() {
    let counter = open(false, None).await;
    let get = async |path: &str| counter.get(path).send().await.unwrap();
    assert_eq!(error(get("/v2/payments").await, 404).await["code"], "not_found");
    assert_eq!(error(get("/v1/payments/pay_x").await, 404).await["code"], "payment_not_found");
    assert_eq!(error(get("/v1/refunds/re_x").await, 404).await["code"], "refund_not_found");
    let request = counter.client.delete(counter.path("/health"));
    assert_eq!(error(request.send().await.unwrap(), 405).await["code"], "method_not_allowed");
    assert_eq!(error(counter.cancel(&json!({ "id": "pay_x" })).await, 404).await["code"], "payment_not_found");
}

#[tokio::test]
async fn refunds_stop_at_what_was_captured() {
    let mut counter = open(true, None).await;
    let payment = counter.payment("order-1").await;
    let refund = |amount_minor: i64, reference: &str| json!({ "payment": payment["id"], "amount_minor": amount_minor, "reference": reference });
    let early = counter.refund("early", &refund(1, "early")).await;
    assert_eq!(error(early, 409).await["code"], "not_refundable");
    counter.pay(&payment, APPROVES).await;

    let first = counter.refund("refund-1", &refund(1000, "refund-1")).await;
    assert_eq!(first.status(), 201);
    let first: Value = first.json().await.unwrap();
    let id = text(&first["id"]);
    assert!(id.starts_with("re_"));
    let expected = json!({
        "id": id, "payment": payment["id"], "amount_minor": 1000, "currency": "EUR", "reference": "refund-1",
        "status": "succeeded",
    });
    assert_eq!(first, expected);
    // The same refund again is the same refund.
    let again: Value = counter.refund("refund-1", &refund(1000, "refund-1")).await.json().await.unwrap();
    assert_eq!(again, expected);

    let error = error(counter.refund("refund-2", &refund(251, "refund-2")).await, 422).await;
    assert_eq!((text(&error["code"]), text(&error["field"])), ("refund_too_large", "amount_minor"));
    let second: Value = counter.refund("refund-2", &refund(250, "refund-2")).await.json().await.unwrap();
    assert_eq!(counter.refund("refund-3", &refund(1, "refund-3")).await.status(), 422);

    assert_eq!(counter.look_up(&payment).await["amount_refunded_minor"], 1250);
    assert_eq!(counter.look_up(&payment).await["status"], "succeeded");
    assert_eq!(counter.read(&format!("/v1/refunds/{id}")).await, expected);
    let all = counter.read(&format!("/v1/refunds?payment={}", text(&payment["id"]))).await;
    assert_eq!(all, json!({ "refunds": [expected, second] }));
    assert_eq!(counter.webhook_types(2).await, ["payment.processing", "payment.succeeded"]);
    let event = counter.webhook().await;
    assert_eq!((text(&event["type"]), &event["data"]), ("refund.succeeded", &expected));
    assert_eq!(counter.webhook_types(1).await, ["refund.succeeded"]);
}

#[tokio::test]
async fn a_refund_names_its_wrong_field() {
    let counter = open(false, None).await;
    let payment = counter.payment("order-1").await;
    let good = json!({ "payment": payment["id"], "amount_minor": 1, "reference": "refund-1" });
    for (field, value) in
        [("payment", json!(1)), ("amount_minor", json!(0)), ("reference", json!("a b")), ("currency", json!("EUR"))]
    {
        let mut body = good.clone();
        body[field] = value;
        assert_eq!(error(counter.refund("key-2", &body).await, 400).await["field"], field);
    }
    let mut body = good.clone();
    body["payment"] = json!("pay_x");
    assert_eq!(error(counter.refund("key-2", &body).await, 404).await["code"], "payment_not_found");
}

#[tokio::test]
async fn a_payment_is_canceled_once_and_stays_canceled() {
    let counter = open(false, None).await;
    let payment = counter.payment("order-1").await;
    for _ in 0..2 {
        let canceled = counter.cancel(&payment).await;
        assert_eq!(canceled.status(), 200);
        assert_eq!(canceled.json::<Value>().await.unwrap()["status"], "canceled");
    }
    assert_eq!(counter.event_types().await, ["payment.canceled"]);
    assert_eq!(error(counter.pay(&payment, APPROVES).await, 409).await["code"], "not_payable");

    // Also in the middle of 3-D Secure, whose answer then comes too late.
    let payment = counter.payment("order-2").await;
    counter.pay(&payment, THREE_DS).await;
    assert_eq!(counter.cancel(&payment).await.status(), 200);
    assert_eq!(error(counter.answer_challenge(&payment, "ok").await, 409).await["code"], "no_challenge");
    assert_eq!(counter.look_up(&payment).await["status"], "canceled");
}

#[tokio::test]
async fn what_may_have_been_paid_cannot_be_canceled() {
    let counter = open(false, None).await;
    for (reference, card) in [("order-1", APPROVES), ("order-2", UNKNOWN_DECLINED)] {
        let payment = counter.payment(reference).await;
        counter.pay(&payment, card).await;
        assert_eq!(error(counter.cancel(&payment).await, 409).await["code"], "not_cancelable");
    }
}

#[tokio::test]
async fn a_payment_expires_when_its_time_has_come() {
    let counter = open(false, None).await;
    let mut body = order("order-1");
    body["expires_at_ms"] = json!(NOW_MS + 1000);
    let payment: Value = counter.create("key-1", &body).await.json().await.unwrap();
    counter.pay(&payment, THREE_DS).await;
    counter.now_ms.store(NOW_MS + 999, Ordering::SeqCst);
    assert_eq!(counter.look_up(&payment).await["status"], "requires_action");
    counter.now_ms.store(NOW_MS + 1000, Ordering::SeqCst);
    assert_eq!(error(counter.answer_challenge(&payment, "ok").await, 409).await["code"], "no_challenge");
    assert_eq!(error(counter.pay(&payment, APPROVES).await, 409).await["code"], "not_payable");
    assert_eq!(counter.look_up(&payment).await["status"], "expired");
    // It is dead already, which is all that cancelling wants to know.
    assert_eq!(counter.cancel(&payment).await.json::<Value>().await.unwrap()["status"], "expired");
    // Its creation repeated late is still the same payment.
    let again: Value = counter.create("key-1", &body).await.json().await.unwrap();
    assert_eq!(again, payment);
}

#[tokio::test]
async fn what_was_paid_in_time_does_not_expire() {
    let counter = open(false, None).await;
    for (reference, card, status) in [("order-1", APPROVES, "succeeded"), ("order-2", UNKNOWN_PAID, "processing")] {
        let mut body = order(reference);
        body["expires_at_ms"] = json!(NOW_MS + 1000);
        let payment: Value = counter.create(reference, &body).await.json().await.unwrap();
        counter.pay(&payment, card).await;
        counter.now_ms.store(NOW_MS + 5000, Ordering::SeqCst);
        assert_eq!(counter.look_up(&payment).await["status"], status);
        counter.now_ms.store(NOW_MS, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut counter = open(true, Some(dir.path().join("sandbox.json"))).await;
    let paid = counter.payment("order-1").await;
    counter.pay(&paid, APPROVES).await;
    let unknown = counter.payment("order-2").await;
    counter.pay(&unknown, UNKNOWN_PAID).await;
    counter.look_up(&unknown).await;
    let challenged = counter.payment("order-3").await;
    counter.pay(&challenged, THREE_DS).await;
    let late = counter.payment("order-4").await;
    counter.pay(&late, WEBHOOK_LATE).await;
    let events = counter.read("/v1/events").await;
    assert_eq!(counter.webhook_types(3).await, ["payment.processing", "payment.succeeded", "payment.processing"]);

    let mut counter = counter.restart().await;
    assert_eq!(counter.read("/v1/events").await, events);
    let again: Value = counter.create("order-1", &order("order-1")).await.json().await.unwrap();
    assert_eq!(again, paid);
    assert_eq!(counter.look_up(&paid).await["status"], "succeeded");
    assert_eq!(counter.look_up(&unknown).await["status"], "processing");
    assert_eq!(counter.look_up(&unknown).await["status"], "succeeded");
    assert_eq!(counter.new_webhook_types(1).await, ["payment.succeeded"]);
    assert_eq!(counter.answer_challenge(&challenged, "ok").await.status(), 200);
    assert_eq!(counter.look_up(&challenged).await["status"], "succeeded");
    assert_eq!(counter.new_webhook_types(2).await, ["payment.processing", "payment.succeeded"]);
    counter.look_up(&late).await;
    assert_eq!(counter.new_webhook_types(2).await, ["payment.processing", "payment.succeeded"]);
    let refund = json!({ "payment": paid["id"], "amount_minor": 1250, "reference": "refund-1" });
    assert_eq!(counter.refund("refund-1", &refund).await.status(), 201);

    let counter = counter.restart().await;
    assert_eq!(counter.look_up(&paid).await["amount_refunded_minor"], 1250);
    let second = json!({ "payment": paid["id"], "amount_minor": 1, "reference": "refund-2" });
    assert_eq!(counter.refund("refund-2", &second).await.status(), 422);
}

#[tokio::test]
async fn a_state_file_that_is_not_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sandbox.json");
    for content in ["", "{}", "[1, 2]", "not a state file"] {
        std::fs::write(&path, content).unwrap();
        let mut config = Config::new("127.0.0.1:0".parse().unwrap(), SECRET_KEY);
        config.state_file = Some(path.clone());
        let error = Sandbox::start(config).await.unwrap_err();
        assert!(matches!(error, StartError::StateFile { .. }), "{error:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn two_sandboxes_do_not_share_a_state_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sandbox.json");
    let counter = open(false, Some(path.clone())).await;
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), SECRET_KEY);
    config.state_file = Some(path);
    let error = Sandbox::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::StateFile { .. }), "{error:?}");
    counter.restart().await;
}

#[tokio::test]
async fn a_change_that_cannot_be_stored_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sandbox.json");
    let counter = open(false, Some(path.clone())).await;
    let payment = counter.payment("order-1").await;
    // A folder where the new file should go: writing it must fail.
    std::fs::create_dir(dir.path().join("sandbox.json.new")).unwrap();
    assert_eq!(error(counter.create("order-2", &order("order-2")).await, 500).await["code"], "not_stored");
    assert_eq!(error(counter.pay(&payment, APPROVES).await, 500).await["code"], "not_stored");
    std::fs::remove_dir(dir.path().join("sandbox.json.new")).unwrap();
    assert_eq!(counter.look_up(&payment).await["status"], "awaiting_payer");
    assert_eq!(counter.read("/v1/payments?reference=order-2").await, json!({ "payments": [] }));
    assert_eq!(counter.pay(&payment, APPROVES).await.status(), 200);
}

#[tokio::test]
async fn a_sandbox_that_would_be_open_to_all_does_not_start() {
    let config = Config::new("127.0.0.1:0".parse().unwrap(), "");
    assert!(matches!(Sandbox::start(config).await, Err(StartError::EmptySecret(_))));
    for url in ["http://bakery.example/hook", "ftp://127.0.0.1/", "127.0.0.1", ""] {
        let mut config = Config::new("127.0.0.1:0".parse().unwrap(), SECRET_KEY);
        config.webhook = Some(Webhook::new(url, WEBHOOK_SECRET));
        assert!(matches!(Sandbox::start(config).await, Err(StartError::WebhookUrl)), "{url}");
    }
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), SECRET_KEY);
    config.webhook = Some(Webhook::new("https://bakery.example/hook", ""));
    assert!(matches!(Sandbox::start(config).await, Err(StartError::EmptySecret(_))));
}

#[tokio::test]
async fn a_taken_address_is_said() {
    let counter = open(false, None).await;
    let config = Config::new(counter.sandbox.address(), SECRET_KEY);
    assert!(matches!(Sandbox::start(config).await, Err(StartError::Listen { .. })));
}

#[tokio::test]
async fn nobody_answers_after_shutdown() {
    let counter = open(false, None).await;
    let address = counter.sandbox.address();
    counter.sandbox.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), SECRET_KEY);
    config.webhook = Some(Webhook::new("https://bakery.example/hook", WEBHOOK_SECRET));
    let shown = format!("{config:?}");
    assert!(!shown.contains(SECRET_KEY) && !shown.contains(WEBHOOK_SECRET), "{shown}");
}
