//! What we ask of the practice provider, and what its answers come down to, word by word.

use comptoir_content::{Handoff, Timestamp};
use comptoir_engine::payment::{Seen, Status};
use comptoir_gateway::provider::{
    ConfigError, Find, Found, Method, Operation, Outcome, Provider, RefundOutcome, Sandbox, SandboxConfig, Secret,
};
use serde_json::{Value, json};

use crate::bakery::*;

const URL: &str = "http://127.0.0.1:8090";

fn payment(changes: &Value) -> Value {
    let mut payment = json!({
        "id": "pay_0a1b", "amount_minor": 1250, "currency": "EUR", "reference": REFERENCE, "account": "bakery",
        "live": false, "status": "awaiting_payer", "created_at_ms": 1_760_000_000_000_i64,
        "pay_url": "http://127.0.0.1:8090/pay/pay_0a1b?t=secret", "amount_refunded_minor": 0, "something_new": [1],
    });
    for (name, value) in changes.as_object().unwrap() {
        payment[name] = value.clone();
    }
    payment
}

fn refund(changes: &Value) -> Value {
    let mut refund = json!({
        "id": "re_0a1b", "payment": "pay_0a1b", "amount_minor": 250, "currency": "EUR", "reference": "refund-1",
        "status": "succeeded",
    });
    for (name, value) in changes.as_object().unwrap() {
        refund[name] = value.clone();
    }
    refund
}

fn error(code: &str, field: Option<&str>) -> Value {
    let mut error = json!({ "error": { "code": code, "message": "no" } });
    if let Some(field) = field {
        error["error"]["field"] = json!(field);
    }
    error
}

#[test]
fn a_creation_is_written_out() {
    let request = sandbox(URL).create(&create(amount("12.50", "EUR")));
    assert_eq!((request.method, request.url.as_str()), (Method::Post, "http://127.0.0.1:8090/v1/payments"));
    assert_eq!(header(&request, "authorization"), Some("Bearer sk_test_bakery"));
    assert_eq!(header(&request, "idempotency-key"), Some(REFERENCE));
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({
        "amount_minor": 1250, "currency": "EUR", "reference": REFERENCE, "account": "bakery", "live": false,
        "description": "Two croissants & a café", "expires_at_ms": 1_760_000_900_000_i64, "return_url": "comptoir:paid",
    });
    assert_eq!(body, expected);
    // Sending it again sends the same bytes.
    assert!(request == sandbox(URL).create(&create(amount("12.50", "EUR"))));
}

#[test]
fn the_other_requests_are_short() {
    let sandbox = sandbox(URL);
    let short = |request: comptoir_gateway::provider::HttpRequest| {
        assert_eq!(header(&request, "authorization"), Some("Bearer sk_test_bakery"));
        let body = body_text(&request);
        format!("{:?} {} {body}", request.method, request.url.strip_prefix(URL).unwrap())
    };
    assert_eq!(short(sandbox.read("pay_1")), "Get /v1/payments/pay_1 ");
    assert_eq!(short(sandbox.read("../refunds")), "Get /v1/payments/..%2Frefunds ");
    assert_eq!(short(sandbox.find(&Find { reference: "pay_x.1", ..find() })), "Get /v1/payments?reference=pay_x.1 ");
    assert_eq!(short(sandbox.find(&Find { reference: "a&b=c", ..find() })), "Get /v1/payments?reference=a%26b%3Dc ");
    assert_eq!(short(sandbox.cancel("pay_1", "key")), "Post /v1/payments/pay_1/cancel ");
    assert_eq!(short(sandbox.find_refund("pay_1")), "Get /v1/refunds?payment=pay_1 ");
    let refund = sandbox.refund(&refund_of("pay_1", amount("2.50", "EUR"), "refund-1"));
    assert_eq!(header(&refund, "idempotency-key"), Some("refund-1"));
    let body: Value = serde_json::from_slice(&refund.body).unwrap();
    assert_eq!(body, json!({ "payment": "pay_1", "amount_minor": 250, "reference": "refund-1" }));
}

#[test]
fn every_status_comes_down_to_one_of_ours() {
    let check = |changes: Value, expected: Status| {
        let outcome = sandbox(URL).parse_payment(&answer(Operation::Read, 200, &payment(&changes)));
        let (seen, handoff) = seen(outcome);
        assert_eq!(handoff.is_some(), expected == Status::Open, "{changes}");
        assert_eq!(seen.status, expected, "{changes}");
    };
    check(json!({}), Status::Open);
    check(json!({ "last_error": "card_declined" }), Status::Open);
    check(json!({ "status": "requires_action" }), Status::Open);
    check(json!({ "status": "processing" }), Status::Processing);
    check(json!({ "status": "succeeded" }), Status::Captured { at: Timestamp(1_760_000_000_000) });
    check(json!({ "status": "canceled" }), dead("submit.bank_left"));
    check(json!({ "status": "canceled", "last_error": "card_declined" }), dead("card.declined"));
    check(json!({ "status": "expired" }), dead("submit.bank_late"));
    check(json!({ "status": "expired", "last_error": "authentication_failed" }), dead("submit.bank_failed"));
}

#[test]
fn a_payment_is_handed_on_as_the_provider_says_it() {
    let odd =
        json!({ "amount_minor": 9, "currency": "JPY", "account": "somebody_else", "live": true, "reference": "x" });
    let outcome = sandbox(URL).parse_payment(&answer(Operation::Create, 201, &payment(&odd)));
    let expected = Outcome::Seen {
        seen: Seen {
            provider_payment: "pay_0a1b".to_owned(),
            status: Status::Open,
            amount: amount("9", "JPY"),
            reference: "x".to_owned(),
            account: "somebody_else".to_owned(),
            live: true,
            method: "card".to_owned(),
        },
        handoff: Some(Handoff::Page { url: "http://127.0.0.1:8090/pay/pay_0a1b?t=secret".to_owned() }),
    };
    assert_eq!(outcome, expected);
}

#[test]
fn an_answer_in_doubt_is_no_answer() {
    let check = |operation, status, body: &str| {
        let response = comptoir_gateway::provider::HttpResponse::new(operation, status, body);
        assert_eq!(sandbox(URL).parse_payment(&response), Outcome::NoAnswer, "{operation:?} {status} {body}");
    };
    let good = payment(&json!({})).to_string();
    for (status, body) in [
        (500, error("outcome_unknown", None).to_string()),
        (500, good.clone()),
        (503, String::new()),
        (302, good.clone()),
        (201, String::new()),
        (201, good[..good.len() - 1].to_owned()),
        (201, "[]".to_owned()),
        (400, "<html>a proxy</html>".to_owned()),
        (401, String::new()),
        (409, error("idempotency_conflict", Some("Idempotency-Key")).to_string()),
        (408, error("invalid_body", None).to_string()),
        (429, error("slow_down", None).to_string()),
        (201, payment(&json!({ "status": "half_paid" })).to_string()),
        (201, payment(&json!({ "currency": "XXX" })).to_string()),
        (201, payment(&json!({ "amount_minor": 12.5 })).to_string()),
        (201, payment(&json!({ "amount_minor": 1_000_000_000_000_i64 })).to_string()),
        (201, payment(&json!({ "id": "../../x" })).to_string()),
        (201, payment(&json!({ "pay_url": null })).to_string()),
        (201, payment(&json!({ "pay_url": "http://elsewhere.example/pay" })).to_string()),
        (201, payment(&json!({ "pay_url": "javascript:alert(1)" })).to_string()),
        (201, good.replacen("\"live\":false", "\"live\":true,\"live\":false", 1)),
    ] {
        check(Operation::Create, status, &body);
    }
    // What proves something about a creation proves nothing about a payment that exists.
    for operation in [Operation::Read, Operation::Cancel] {
        check(operation, 404, &error("payment_not_found", None).to_string());
        check(operation, 401, &error("unauthorized", None).to_string());
        check(operation, 409, &error("not_cancelable", None).to_string());
    }
}

#[test]
fn a_refused_creation_says_why() {
    for (status, code, field, reason) in [
        (400, "invalid_field", Some("amount_minor"), "invoice.limits"),
        (400, "invalid_field", Some("currency"), "invoice.currency"),
        (400, "invalid_field", Some("expires_at_ms"), "submit.bank_late"),
        (400, "invalid_field", Some("account"), "method.provider_down"),
        (401, "unauthorized", None, "method.provider_down"),
        (404, "not_found", None, "method.provider_down"),
    ] {
        let outcome = sandbox(URL).parse_payment(&answer(Operation::Create, status, &error(code, field)));
        assert_eq!(outcome, rejected(reason), "{status} {code} {field:?}");
    }
}

#[test]
fn of_several_payments_the_one_that_may_be_paid_is_found() {
    let find = |payments: &[Value]| {
        let list = json!({ "payments": payments });
        match sandbox(URL).parse_found(&answer(Operation::Find, 200, &list), &find()) {
            Found::Outcome(outcome) => outcome,
            Found::More(after) => panic!("more after {after}"),
        }
    };
    let with = |id: &str, status: &str| payment(&json!({ "id": id, "status": status }));
    assert_eq!(find(&[]), Outcome::NotFound);
    assert_eq!(find(&[payment(&json!({ "reference": "order-2" }))]), Outcome::NotFound);
    let (found, _) = seen(find(&[with("a", "canceled"), with("b", "succeeded"), with("c", "awaiting_payer")]));
    assert_eq!(found.provider_payment, "b");
    let (found, handoff) = seen(find(&[with("a", "expired"), with("b", "awaiting_payer")]));
    assert_eq!((found.provider_payment.as_str(), handoff.is_some()), ("b", true));
    for (status, body) in [(404, error("not_found", None)), (500, json!({})), (200, json!({}))] {
        let outcome = sandbox(URL).parse_found(&answer(Operation::Find, status, &body), &self::find());
        assert_eq!(outcome, Found::Outcome(Outcome::NoAnswer), "{status} {body}");
    }
}

#[test]
fn refunds_are_done_refused_or_unknown() {
    let done = RefundOutcome::Done { provider_refund: "re_0a1b".to_owned(), amount: amount("2.50", "EUR") };
    let failed = RefundOutcome::Rejected { reason: "refund.failed".to_owned() };
    let sandbox = sandbox(URL);
    for (status, body, expected) in [
        (201, refund(&json!({})), &done),
        (201, refund(&json!({ "status": "thinking" })), &RefundOutcome::NoAnswer),
        (201, refund(&json!({ "currency": "?" })), &RefundOutcome::NoAnswer),
        (422, error("refund_too_large", Some("amount_minor")), &failed),
        (409, error("not_refundable", None), &failed),
        (404, error("payment_not_found", None), &failed),
        (409, error("idempotency_conflict", None), &RefundOutcome::NoAnswer),
        (401, error("unauthorized", None), &RefundOutcome::NoAnswer),
        (500, error("not_stored", None), &RefundOutcome::NoAnswer),
        (422, json!("nonsense"), &RefundOutcome::NoAnswer),
    ] {
        assert_eq!(&sandbox.parse_refund(&answer(Operation::Refund, status, &body)), expected, "{status} {body}");
    }
    let list = json!({ "refunds": [refund(&json!({ "reference": "refund-0" })), refund(&json!({}))] });
    let found =
        |status, reference| sandbox.parse_found_refund(&answer(Operation::FindRefund, status, &list), reference);
    assert_eq!(found(200, "refund-1"), done);
    assert_eq!(found(200, "refund-2"), RefundOutcome::NotFound);
    assert_eq!(found(500, "refund-1"), RefundOutcome::NoAnswer);
}

#[test]
fn a_configuration_names_the_field_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "sk_test_bakery\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let check = |toml: &str, expected: Option<&str>| {
        let config: SandboxConfig = toml::from_str(toml).unwrap();
        let opened = Sandbox::open(&config, folder.path());
        match (opened, expected) {
            (Ok(sandbox), None) => assert!(!sandbox.is_live() && sandbox.name() == "sandbox"),
            (Err(error), Some(field)) => assert!(error.to_string().starts_with(field), "{error}"),
            (opened, _) => panic!("{opened:?} for {toml}"),
        }
    };
    let good = "url = 'http://127.0.0.1:8090'\naccount = 'bakery'\nsecret_key_file = 'key'\n";
    check(good, None);
    check(&format!("{good}webhook_secret_file = 'key'"), None);
    check(&good.replace("http:", "ftp:"), Some("sandbox.url"));
    check(&good.replace("'bakery'", "'the bakery'"), Some("sandbox.account"));
    check(&good.replace("'key'", "'nothing'"), Some("sandbox.secret_key_file"));
    check(&good.replace("'key'", "'empty'"), Some("sandbox.secret_key_file"));
    check(&format!("{good}webhook_secret_file = 'empty'"), Some("sandbox.webhook_secret_file"));
    check(&format!("{good}previous_webhook_secret_file = 'key'"), Some("sandbox.previous_webhook_secret_file"));
    assert!(toml::from_str::<SandboxConfig>(&format!("{good}secret_key = 'x'")).is_err());
    let error = Sandbox::new(URL, "", Secret::new("x"), vec![]).unwrap_err();
    assert!(matches!(error, ConfigError::Field { field: "sandbox.account", .. }));
}
