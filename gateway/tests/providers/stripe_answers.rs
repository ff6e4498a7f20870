//! What we ask of Stripe, and what its answers come down to, word by word. The answers have the shape of Stripe's published
//! schema (`stripe_schema.rs` checks that they do).

use comptoir_content::{Handoff, Timestamp};
use comptoir_engine::payment::{Seen, Status};
use comptoir_gateway::provider::{
    Find, Found, HttpRequest, HttpResponse, Method, Operation, Outcome, Provider, RefundOutcome, STRIPE_VERSION,
    Secret, Stripe, StripeConfig,
};
use serde_json::{Value, json};

use crate::bakery::*;

const URL: &str = "https://api.stripe.com";

/// A PaymentIntent with these changes.
pub(crate) fn intent(changes: &Value) -> Value {
    let mut intent = json!({
        "id": "pi_3Nx", "object": "payment_intent", "amount": 1250, "amount_capturable": 0, "amount_received": 0,
        "application": null, "canceled_at": null, "capture_method": "automatic",
        "client_secret": "pi_3Nx_secret_Abc", "confirmation_method": "automatic", "created": 1_760_000_000,
        "currency": "eur", "customer": null, "last_payment_error": null, "latest_charge": null, "livemode": false,
        "metadata": { "reference": REFERENCE, "account": STRIPE_ACCOUNT }, "next_action": null, "on_behalf_of": null,
        "payment_method": null, "payment_method_types": ["card"], "status": "requires_payment_method",
        "transfer_data": null, "something_new": { "deep": [1, 2] },
    });
    for (name, value) in changes.as_object().unwrap() {
        intent[name] = value.clone();
    }
    intent
}

pub(crate) fn charge() -> Value {
    json!({
        "id": "ch_3Nx", "object": "charge", "amount": 1250, "currency": "eur", "created": 1_760_000_042,
        "livemode": false, "paid": true, "status": "succeeded",
        "payment_method_details": { "type": "card", "card": { "brand": "visa", "last4": "4242", "funding": "credit" } },
    })
}

pub(crate) fn paid() -> Value {
    intent(&json!({ "status": "succeeded", "amount_received": 1250, "latest_charge": charge() }))
}

pub(crate) fn refund(changes: &Value) -> Value {
    let mut refund = json!({
        "id": "re_3Nx", "object": "refund", "amount": 250, "charge": "ch_3Nx", "created": 1_760_000_100,
        "currency": "eur", "metadata": { "reference": "refund-1" }, "payment_intent": "pi_3Nx", "reason": null,
        "status": "succeeded",
    });
    for (name, value) in changes.as_object().unwrap() {
        refund[name] = value.clone();
    }
    refund
}

pub(crate) fn list(data: &[Value], has_more: bool) -> Value {
    let url = data.first().map_or_else(String::new, |first| format!("/v1/{}s", text(&first["object"])));
    json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
}

pub(crate) fn error(kind: &str, code: Option<&str>, param: Option<&str>) -> Value {
    let mut error = json!({ "error": { "type": kind, "message": "no" } });
    for (name, value) in [("code", code), ("param", param)] {
        if let Some(value) = value {
            error["error"][name] = json!(value);
        }
    }
    error
}

fn short(request: &HttpRequest) -> String {
    assert_eq!(header(request, "authorization"), Some("Bearer sk_test_bakery"));
    assert_eq!(header(request, "stripe-version"), Some(STRIPE_VERSION));
    let path = request.url.strip_prefix(URL).unwrap();
    format!("{:?} {path} {}", request.method, body_text(request))
}

#[test]
fn a_creation_is_written_out() {
    let request = stripe(URL).create(&create(amount("12.50", "EUR")));
    assert_eq!(
        short(&request),
        "Post /v1/payment_intents amount=1250&currency=eur&payment_method_types%5B0%5D=card\
         &metadata%5Breference%5D=pay_06ewy9kxbdzq4jrpc1s8mt2vhg.1&metadata%5Baccount%5D=acct_bakery\
         &metadata%5Bdescription%5D=Two%20croissants%20%26%20a%20caf%C3%A9"
    );
    assert_eq!(request.method, Method::Post);
    assert_eq!(header(&request, "idempotency-key"), Some(REFERENCE));
    assert_eq!(header(&request, "content-type"), Some("application/x-www-form-urlencoded"));
    // Under one key always the same bytes: Stripe refuses another request under a used key.
    assert!(request == stripe(URL).create(&create(amount("12.50", "EUR"))));

    let long = "é".repeat(600);
    let mut plain = create(amount("1500", "JPY"));
    plain.description = &long;
    let request = stripe(URL).create(&plain);
    assert!(body_text(&request).starts_with("amount=1500&currency=jpy&"));
    assert!(body_text(&request).ends_with(&format!("={}", "%C3%A9".repeat(500))));
    plain.description = " ";
    assert!(!body_text(&stripe(URL).create(&plain)).contains("description"));
}

#[test]
fn the_other_requests_are_short() {
    let stripe = stripe(URL);
    assert_eq!(short(&stripe.read("pi_1")), "Get /v1/payment_intents/pi_1?expand[]=latest_charge ");
    assert_eq!(short(&stripe.read("../x?y")), "Get /v1/payment_intents/..%2Fx%3Fy?expand[]=latest_charge ");
    assert_eq!(short(&stripe.find(&find())), "Get /v1/payment_intents?limit=100&expand[]=data.latest_charge ");
    let next = Find { after: Some("pi_a&b"), ..find() };
    assert!(stripe.find(&next).url.ends_with("latest_charge&starting_after=pi_a%26b"));
    let cancel = stripe.cancel("pi_1", "key.cancel");
    assert_eq!(short(&cancel), "Post /v1/payment_intents/pi_1/cancel expand%5B0%5D=latest_charge");
    assert_eq!(header(&cancel, "idempotency-key"), Some("key.cancel"));
    let refund = stripe.refund(&refund_of("pi_1", amount("2.50", "EUR"), "refund-1"));
    assert_eq!(short(&refund), "Post /v1/refunds payment_intent=pi_1&amount=250&metadata%5Breference%5D=refund-1");
    assert_eq!(header(&refund, "idempotency-key"), Some("refund-1"));
    assert_eq!(short(&stripe.find_refund("pi_1")), "Get /v1/refunds?payment_intent=pi_1&limit=100 ");
}

#[test]
fn an_amount_that_stripe_cannot_express_is_known_and_never_rounded() {
    let stripe = stripe(URL);
    for (text, code, takes, written) in [
        ("12.50", "EUR", true, "amount=1250&"),
        ("5", "ISK", true, "amount=500&"),
        ("12.00", "MGA", true, "amount=12&"),
        ("12.50", "MGA", false, "amount=12.50&"),
        ("5.123", "KWD", false, "amount=5.123&"),
    ] {
        let amount = amount(text, code);
        assert_eq!(stripe.takes(amount), takes, "{amount:?}");
        let request = stripe.create(&create(amount));
        assert!(body_text(&request).starts_with(written), "{amount:?}");
    }
    assert!(!stripe.takes(amount("0", "EUR")));
}

#[test]
fn every_status_comes_down_to_one_of_ours() {
    let check = |changes: Value, expected: Status| {
        let outcome = stripe(URL).parse_payment(&answer(Operation::Read, 200, &intent(&changes)));
        let (seen, handoff) = seen(outcome);
        assert_eq!(handoff.is_some(), expected == Status::Open, "{changes}");
        assert_eq!(seen.status, expected, "{changes}");
    };
    let declined = json!({ "type": "card_error", "code": "card_declined" });
    check(json!({}), Status::Open);
    check(json!({ "last_payment_error": declined }), Status::Open);
    check(json!({ "status": "requires_confirmation" }), Status::Open);
    check(json!({ "status": "requires_action" }), Status::Open);
    check(json!({ "status": "processing" }), Status::Processing);
    check(json!({ "status": "requires_capture" }), Status::Processing);
    let captured_at = |at_s: i64| Status::Captured { at: Timestamp(at_s * 1000) };
    check(json!({ "status": "succeeded", "latest_charge": charge() }), captured_at(1_760_000_042));
    check(json!({ "status": "succeeded", "latest_charge": "ch_3Nx" }), captured_at(1_760_000_000));
    check(json!({ "status": "canceled" }), dead("submit.bank_left"));
    for (code, reason) in [
        ("card_declined", "card.declined"),
        ("processing_error", "card.declined"),
        ("expired_card", "card.expired"),
        ("incorrect_number", "card.number"),
        ("incorrect_cvc", "card.cvc"),
        ("payment_intent_authentication_failure", "submit.bank_failed"),
    ] {
        let error = json!({ "type": "card_error", "code": code });
        check(json!({ "status": "canceled", "last_payment_error": error }), dead(reason));
    }
}

#[test]
fn a_payment_is_handed_on_as_stripe_says_it() {
    let read = |intent: &Value| stripe(URL).parse_payment(&answer(Operation::Read, 200, intent));
    let expected = Outcome::Seen {
        seen: Seen {
            provider_payment: "pi_3Nx".to_owned(),
            status: Status::Open,
            amount: amount("12.50", "EUR"),
            reference: REFERENCE.to_owned(),
            account: STRIPE_ACCOUNT.to_owned(),
            live: false,
            method: "card".to_owned(),
        },
        handoff: Some(Handoff::Sdk {
            publishable_key: "pk_test_bakery".to_owned(),
            client_secret: "pi_3Nx_secret_Abc".to_owned(),
        }),
    };
    assert_eq!(read(&intent(&json!({}))), expected);

    let odd = json!({ "livemode": true, "currency": "isk", "amount": 500, "metadata": {} });
    let (odd, _) = seen(read(&intent(&odd)));
    assert_eq!((odd.live, odd.amount), (true, amount("5", "ISK")));
    assert_eq!((odd.reference.as_str(), odd.account.as_str()), ("", ""));
    for changes in [
        json!({ "transfer_data": { "destination": "acct_thief" } }),
        json!({ "on_behalf_of": "acct_thief" }),
        json!({ "on_behalf_of": { "id": "acct_thief", "object": "account" } }),
        json!({ "metadata": { "reference": REFERENCE, "account": "acct_thief" } }),
    ] {
        assert_eq!(seen(read(&intent(&changes))).0.account, "acct_thief", "{changes}");
    }
}

#[test]
fn what_counts_is_what_was_received() {
    let read = |intent: &Value| seen(stripe(URL).parse_payment(&answer(Operation::Read, 200, intent))).0;
    let seen = read(&paid());
    assert_eq!((seen.amount, seen.method.as_str()), (amount("12.50", "EUR"), "visa ···· 4242"));
    let partly = intent(&json!({ "status": "succeeded", "amount_received": 1000 }));
    assert_eq!(read(&partly).amount, amount("10", "EUR"));

    let mut odd = paid();
    for (card, method) in [
        (json!({ "brand": "Évil\n", "last4": "4242424242424242" }), "card"),
        (json!({ "brand": "american_express", "last4": null }), "american_express"),
        (json!({ "brand": null, "last4": "0005" }), "card ···· 0005"),
    ] {
        odd["latest_charge"]["payment_method_details"]["card"] = card;
        assert_eq!(read(&odd).method, method);
    }
    odd["latest_charge"]["payment_method_details"] = json!({ "type": "link" });
    assert_eq!(read(&odd).method, "card");
}

#[test]
fn an_answer_in_doubt_is_no_answer() {
    let check = |operation, status, body: &str| {
        let response = HttpResponse::new(operation, status, body);
        assert_eq!(stripe(URL).parse_payment(&response), Outcome::NoAnswer, "{operation:?} {status} {body}");
    };
    let good = intent(&json!({})).to_string();
    for (status, body) in [
        (500, error("api_error", None, None).to_string()),
        (500, good.clone()),
        (502, String::new()),
        (302, good.clone()),
        (200, String::new()),
        (200, good[..good.len() - 1].to_owned()),
        (200, "null".to_owned()),
        (400, "<html>a proxy</html>".to_owned()),
        (402, r#"{"error":"no"}"#.to_owned()),
        (400, error("idempotency_error", None, None).to_string()),
        (409, error("invalid_request_error", Some("idempotency_key_in_use"), None).to_string()),
        (429, error("invalid_request_error", Some("rate_limit"), None).to_string()),
        (400, error("api_error", None, None).to_string()),
        (200, intent(&json!({ "object": "setup_intent" })).to_string()),
        (200, intent(&json!({ "status": "half_paid" })).to_string()),
        (200, intent(&json!({ "currency": "xyz" })).to_string()),
        (200, intent(&json!({ "currency": "isk", "amount": 550 })).to_string()),
        (200, intent(&json!({ "amount": "1250" })).to_string()),
        (200, intent(&json!({ "amount": 12.5 })).to_string()),
        (200, intent(&json!({ "id": "../../x" })).to_string()),
        (200, intent(&json!({ "client_secret": null })).to_string()),
        (200, good.replacen("\"livemode\":false", "\"livemode\":true,\"livemode\":false", 1)),
    ] {
        check(Operation::Create, status, &body);
    }
    let overflow = intent(&json!({ "status": "succeeded", "created": i64::MAX })).to_string();
    check(Operation::Read, 200, &overflow);
    // What proves something about a creation proves nothing about a payment that exists.
    for operation in [Operation::Read, Operation::Cancel] {
        for (status, code) in [(404, "resource_missing"), (400, "payment_intent_unexpected_state"), (401, "")] {
            check(operation, status, &error("invalid_request_error", Some(code), None).to_string());
        }
    }
}

#[test]
fn a_refused_creation_says_why() {
    for (status, code, param, reason) in [
        (400, Some("amount_too_small"), Some("amount"), "invoice.limits"),
        (400, Some("amount_too_large"), Some("amount"), "invoice.limits"),
        (400, Some("parameter_invalid_integer"), Some("amount"), "invoice.currency"),
        (400, None, Some("currency"), "invoice.currency"),
        (400, None, None, "method.provider_down"),
        (401, None, None, "method.provider_down"),
        (403, None, None, "method.provider_down"),
    ] {
        let body = error("invalid_request_error", code, param);
        let outcome = stripe(URL).parse_payment(&answer(Operation::Create, status, &body));
        assert_eq!(outcome, rejected(reason), "{status} {body}");
    }
}

#[test]
fn a_list_without_ours_proves_something_only_when_it_reaches_far_enough() {
    let found = |data: &[Value], has_more| {
        stripe(URL).parse_found(&answer(Operation::Find, 200, &list(data, has_more)), &find())
    };
    let find = |data: &[Value], has_more| match found(data, has_more) {
        Found::Outcome(outcome) => outcome,
        Found::More(after) => panic!("more after {after}"),
    };
    let other = intent(&json!({ "metadata": { "reference": "order-2" } }));
    let strange = intent(&json!({ "metadata": null, "status": "brand_new_status", "currency": "xyz" }));
    assert_eq!(find(&[], false), Outcome::NotFound);
    assert_eq!(find(&[other.clone(), strange.clone()], false), Outcome::NotFound);
    let made = |id: &str, before_ms: i64| {
        let created = (NOW.0 - before_ms) / 1000;
        intent(&json!({ "id": id, "created": created, "metadata": { "reference": "order-2" } }))
    };
    let day_ms = 24 * 3_600_000;
    assert_eq!(found(&[made("pi_y", -5_000), made("pi_x", day_ms)], true), Found::More("pi_x".to_owned()));
    assert_eq!(find(&[made("pi_y", -5_000), made("pi_x", day_ms + 1_000)], true), Outcome::NotFound, "far enough");
    assert_eq!(find(&[made("pi_y", -5_000), made("pi x&", 0)], true), Outcome::NoAnswer, "not an id");
    assert_eq!(find(&[], true), Outcome::NoAnswer, "an empty page that is not the last");
    let ours = |id: &str, status: &str| intent(&json!({ "id": id, "status": status }));
    let data = [other, ours("pi_a", "canceled"), ours("pi_b", "succeeded"), ours("pi_c", "requires_action"), strange];
    assert_eq!(seen(find(&data, true)).0.provider_payment, "pi_b");
    assert_eq!(find(&[ours("pi_a", "brand_new_status")], false), Outcome::NoAnswer);
    for (status, body) in [
        (500, list(&[], false)),
        (401, error("invalid_request_error", None, None)),
        (200, json!({ "object": "list", "data": [] })),
        (200, json!({ "object": "search_result", "data": [], "has_more": false })),
    ] {
        let outcome = stripe(URL).parse_found(&answer(Operation::Find, status, &body), &self::find());
        assert_eq!(outcome, Found::Outcome(Outcome::NoAnswer), "{status} {body}");
    }
}

#[test]
fn refunds_are_done_on_their_way_refused_or_unknown() {
    let done = RefundOutcome::Done { provider_refund: "re_3Nx".to_owned(), amount: amount("2.50", "EUR") };
    let pending = RefundOutcome::Pending { provider_refund: "re_3Nx".to_owned() };
    let failed = RefundOutcome::Rejected { reason: "refund.failed".to_owned() };
    let stripe = stripe(URL);
    let too_much = error("invalid_request_error", Some("charge_already_refunded"), None);
    for (status, body, expected) in [
        (200, refund(&json!({})), &done),
        (200, refund(&json!({ "status": "pending" })), &pending),
        (200, refund(&json!({ "status": "requires_action" })), &pending),
        (200, refund(&json!({ "status": "failed" })), &failed),
        (200, refund(&json!({ "status": "canceled" })), &failed),
        (200, refund(&json!({ "status": null })), &RefundOutcome::NoAnswer),
        (200, refund(&json!({ "status": "new" })), &RefundOutcome::NoAnswer),
        (200, refund(&json!({ "object": "charge" })), &RefundOutcome::NoAnswer),
        (400, too_much.clone(), &failed),
        (404, error("invalid_request_error", Some("resource_missing"), None), &failed),
        (401, too_much.clone(), &RefundOutcome::NoAnswer),
        (403, too_much.clone(), &RefundOutcome::NoAnswer),
        (409, too_much.clone(), &RefundOutcome::NoAnswer),
        (429, too_much.clone(), &RefundOutcome::NoAnswer),
        (500, too_much, &RefundOutcome::NoAnswer),
        (400, error("idempotency_error", None, None), &RefundOutcome::NoAnswer),
    ] {
        assert_eq!(&stripe.parse_refund(&answer(Operation::Refund, status, &body)), expected, "{status} {body}");
    }
    let others = [refund(&json!({ "metadata": null })), refund(&json!({ "metadata": { "reference": "refund-0" } }))];
    let found = |data: &[Value], has_more| {
        stripe.parse_found_refund(&answer(Operation::FindRefund, 200, &list(data, has_more)), "refund-1")
    };
    assert_eq!(found(&others, false), RefundOutcome::NotFound);
    assert_eq!(found(&others, true), RefundOutcome::NoAnswer);
    let [first, second] = others;
    assert_eq!(found(&[first, second, refund(&json!({}))], true), done);
    let response = answer(Operation::FindRefund, 500, &list(&[], false));
    assert_eq!(stripe.parse_found_refund(&response, "refund-1"), RefundOutcome::NoAnswer);
}

#[test]
fn a_configuration_names_the_field_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("test", "sk_test_bakery\n"),
        ("live", "sk_live_bakery"),
        ("restricted", "rk_test_bakery"),
        ("webhook", "whsec_bakery"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let check = |toml: &str, expected: Option<&str>| {
        let config: StripeConfig = toml::from_str(toml).unwrap();
        match (Stripe::open(&config, folder.path()), expected) {
            (Ok(stripe), None) => assert_eq!((stripe.is_live(), stripe.name()), (config.live, "stripe")),
            (Err(error), Some(field)) => assert!(error.to_string().starts_with(field), "{error}"),
            (opened, _) => panic!("{opened:?} for {toml}"),
        }
    };
    let test = "live = false\naccount = 'acct_bakery'\npublishable_key = 'pk_test_bakery'\nsecret_key_file = 'test'\n";
    check(test, None);
    check(&test.replace("'test'", "'restricted'"), None);
    check(&format!("{test}webhook_secret_file = 'webhook'"), None);
    check(&test.replace("'test'", "'live'"), Some("stripe.secret_key_file"));
    check(&test.replace("live = false", "live = true"), Some("stripe.publishable_key"));
    check(&test.replace("pk_test", "pk_live"), Some("stripe.publishable_key"));
    check(&test.replace("pk_test_bakery", "sk_test_bakery"), Some("stripe.publishable_key"));
    check(&test.replace("'test'", "'webhook'"), Some("stripe.secret_key_file"));
    check(&test.replace("'test'", "'nothing'"), Some("stripe.secret_key_file"));
    check(&test.replace("acct_", ""), Some("stripe.account"));
    check(&format!("{test}webhook_secret_file = 'test'"), Some("stripe.webhook_secret_file"));
    check(
        &format!("{test}webhook_secret_file = 'webhook'\nprevious_webhook_secret_file = 'test'"),
        Some("stripe.webhook_secret_file"),
    );
    check(&format!("{test}url = 'http://api.stripe.com'"), Some("stripe.url"));
    let live = test.replace("live = false", "live = true").replace("pk_test", "pk_live");
    check(&live.replace("'test'", "'live'"), None);
    check(&live, Some("stripe.secret_key_file"));
    assert!(toml::from_str::<StripeConfig>(&format!("{test}secret_key = 'x'")).is_err());

    let keys = format!("{:?}", stripe_keys(URL));
    assert!(!keys.contains("sk_test") && !keys.contains("whsec"), "{keys}");
    let empty = comptoir_gateway::provider::StripeKeys { secret_key: Secret::new(""), ..stripe_keys(URL) };
    assert!(Stripe::new(empty).is_err());
}
