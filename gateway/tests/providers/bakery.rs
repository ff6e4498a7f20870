//! The Bakery's adapters and what it asks of them.

use comptoir_content::{Amount, Currency, Handoff, Timestamp};
use comptoir_engine::payment::{Seen, Status};
use comptoir_gateway::provider::{
    Create, Find, HttpRequest, HttpResponse, Operation, Outcome, RefundOf, Sandbox, Secret, Stripe, StripeKeys,
};
use serde_json::Value;

pub(crate) const NOW: Timestamp = Timestamp(1_760_000_000_000);
pub(crate) const REFERENCE: &str = "pay_06ewy9kxbdzq4jrpc1s8mt2vhg.1";
pub(crate) const STRIPE_ACCOUNT: &str = "acct_bakery";
pub(crate) const SANDBOX_ACCOUNT: &str = "bakery";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_bakery";

pub(crate) fn sandbox(url: &str) -> Sandbox {
    let secrets = vec![Secret::new(WEBHOOK_SECRET)];
    Sandbox::new(url, SANDBOX_ACCOUNT, Secret::new("sk_test_bakery"), secrets).unwrap()
}

pub(crate) fn stripe(url: &str) -> Stripe {
    Stripe::new(stripe_keys(url)).unwrap()
}

pub(crate) fn stripe_keys(url: &str) -> StripeKeys {
    StripeKeys {
        live: false,
        account: STRIPE_ACCOUNT.to_owned(),
        publishable_key: "pk_test_bakery".to_owned(),
        secret_key: Secret::new("sk_test_bakery"),
        webhook_secrets: vec![Secret::new(WEBHOOK_SECRET)],
        url: url.to_owned(),
    }
}

pub(crate) fn amount(text: &str, code: &str) -> Amount {
    Amount::parse(text, Currency::of(code).unwrap()).unwrap()
}

pub(crate) fn create(amount: Amount) -> Create<'static> {
    create_as(REFERENCE, amount)
}

/// The reference is the key too: every payment of a test has its own.
pub(crate) fn create_as(reference: &str, amount: Amount) -> Create<'_> {
    Create {
        amount,
        reference,
        idempotency_key: reference,
        description: "Two croissants & a café",
        return_url: Some("comptoir:paid"),
        expires_at: NOW.plus_ms(900_000),
    }
}

/// Looks for [`REFERENCE`], asked for just now.
pub(crate) fn find() -> Find<'static> {
    Find { reference: REFERENCE, since: NOW, after: None }
}

pub(crate) fn refund_of<'a>(provider_payment: &'a str, amount: Amount, reference: &'a str) -> RefundOf<'a> {
    RefundOf { provider_payment, amount, reference, idempotency_key: reference }
}

pub(crate) fn answer(operation: Operation, status: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(operation, status, body.to_string())
}

pub(crate) fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.as_str())
}

pub(crate) fn body_text(request: &HttpRequest) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

pub(crate) fn seen(outcome: Outcome) -> (Seen, Option<Handoff>) {
    let Outcome::Seen { seen, handoff } = outcome.clone() else { panic!("{outcome:?} where a payment was expected") };
    (seen, handoff)
}

pub(crate) fn status(outcome: Outcome) -> Status {
    seen(outcome).0.status
}

pub(crate) fn rejected(reason: &str) -> Outcome {
    Outcome::Rejected { reason: reason.to_owned() }
}

pub(crate) fn dead(reason: &str) -> Status {
    Status::Dead { reason: reason.to_owned() }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text"))
}
