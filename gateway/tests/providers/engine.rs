//! What the engine makes of what both adapters see: paid, or quarantine when anything is not as it was asked.

use comptoir_content::{Amount, Timestamp};
use comptoir_engine::Refused;
use comptoir_engine::payment::{Attempt, Effect, Input, Seen, State, Step, step};
use comptoir_gateway::provider::{Operation, Outcome, Provider};
use serde_json::{Value, json};

use crate::bakery::*;
use crate::stripe_answers::paid;

fn sandbox_paid() -> Value {
    json!({
        "id": "pay_0a1b", "amount_minor": 1250, "currency": "EUR", "reference": REFERENCE, "account": SANDBOX_ACCOUNT,
        "live": false, "status": "succeeded", "created_at_ms": NOW.0, "pay_url": "http://127.0.0.1:1/pay/pay_0a1b?t=x",
        "amount_refunded_minor": 0,
    })
}

/// An attempt over 12.50 euros that the provider has under this id.
fn attempt(provider: &dyn Provider, provider_payment: &str) -> Attempt {
    let account = provider.account().to_owned();
    Attempt {
        state: State::Requested,
        provider_payment: Some(provider_payment.to_owned()),
        ..Attempt::starting(amount("12.50", "EUR"), REFERENCE.to_owned(), account, provider.is_live(), NOW)
    }
}

fn read(provider: &dyn Provider, payment: &Value) -> Seen {
    seen(provider.parse_payment(&answer(Operation::Read, 200, payment))).0
}

fn after(provider: &dyn Provider, id: &str, payment: &Value) -> Result<Step, Refused> {
    let seen = read(provider, payment);
    step(attempt(provider, id), Input::Read { seen, random: 0 }, NOW)
}

fn with(payment: &Value, changes: &Value) -> Value {
    let mut changed = payment.clone();
    for (name, value) in changes.as_object().unwrap() {
        changed[name] = value.clone();
    }
    changed
}

fn settles(provider: &dyn Provider, payment: &Value, at: Timestamp, method: &str) {
    let id = text(&payment["id"]);
    let step = after(provider, id, payment).unwrap();
    assert_eq!(step.next.state, State::Captured);
    let settle = Effect::Settle { at, method: method.to_owned() };
    assert_eq!(step.effects, [settle]);
}

fn is_quarantined(provider: &dyn Provider, payment: &Value, changes: &Value) {
    let id = text(&payment["id"]);
    let verdict = after(provider, id, &with(payment, changes));
    assert_eq!(verdict, Err(Refused::AmountDiffers), "{changes}");
}

#[test]
fn a_sandbox_payment_settles_only_as_it_was_asked() {
    let sandbox = sandbox("http://127.0.0.1:1");
    let paid = sandbox_paid();
    settles(&sandbox, &paid, NOW, "card");
    for changes in [
        json!({ "amount_minor": 1249 }),
        json!({ "amount_minor": 1251 }),
        json!({ "currency": "USD" }),
        json!({ "reference": "pay_06ewy9kxbdzq4jrpc1s8mt2vhg.2" }),
        json!({ "account": "brewery" }),
        json!({ "live": true }),
        json!({ "id": "pay_other" }),
    ] {
        is_quarantined(&sandbox, &paid, &changes);
    }
}

#[test]
fn a_stripe_payment_settles_only_as_it_was_asked() {
    let stripe = stripe("https://api.stripe.com");
    let paid = paid();
    settles(&stripe, &paid, Timestamp(1_760_000_042_000), "visa ···· 4242");
    for changes in [
        json!({ "amount": 1249, "amount_received": 1249 }),
        json!({ "amount_received": 1000 }),
        json!({ "currency": "usd" }),
        json!({ "currency": "jpy" }),
        json!({ "metadata": { "reference": "pay_06ewy9kxbdzq4jrpc1s8mt2vhg.2", "account": STRIPE_ACCOUNT } }),
        json!({ "metadata": { "reference": REFERENCE, "account": "acct_brewery" } }),
        json!({ "metadata": {} }),
        json!({ "on_behalf_of": "acct_brewery" }),
        json!({ "transfer_data": { "destination": "acct_brewery" } }),
        json!({ "livemode": true }),
        json!({ "id": "pi_other" }),
    ] {
        is_quarantined(&stripe, &paid, &changes);
    }
}

/// The whole walk: created, asked for, paid; then everything a second time.
#[test]
fn both_adapters_walk_through_the_machine() {
    let (sandbox, stripe) = (sandbox("http://127.0.0.1:1"), stripe("https://api.stripe.com"));
    let stripe_open = crate::stripe_answers::intent(&json!({}));
    let sandbox_open = with(&sandbox_paid(), &json!({ "status": "awaiting_payer" }));
    let walks: [(&dyn Provider, Value, Value); 2] =
        [(&sandbox, sandbox_open, sandbox_paid()), (&stripe, stripe_open, paid())];
    for (provider, open, paid) in walks {
        let starting = |amount: Amount| {
            let account = provider.account().to_owned();
            Attempt::starting(amount, REFERENCE.to_owned(), account, provider.is_live(), NOW)
        };
        let (created, handoff) = seen(provider.parse_payment(&answer(Operation::Create, 200, &open)));
        assert!(handoff.is_some());
        let requested = step(starting(amount("12.50", "EUR")), Input::Created(created.clone()), NOW).unwrap();
        assert_eq!((requested.next.state, requested.effects), (State::Requested, vec![Effect::Request]));
        let again = step(requested.next, Input::Created(created), NOW).unwrap();
        assert_eq!((again.next.state, again.effects), (State::Requested, vec![]));

        let seen_paid = || Input::Read { seen: read(provider, &paid), random: 7 };
        let captured = step(again.next, seen_paid(), NOW).unwrap();
        assert_eq!((captured.next.state, captured.effects.len()), (State::Captured, 1));
        let again = step(captured.next, seen_paid(), NOW).unwrap();
        assert_eq!((again.next.state, again.effects), (State::Captured, vec![]));
    }
}

#[test]
fn a_refusal_and_silence_are_told_apart() {
    let stripe = stripe("https://api.stripe.com");
    let starting =
        || Attempt::starting(amount("12.50", "EUR"), REFERENCE.to_owned(), STRIPE_ACCOUNT.to_owned(), false, NOW);
    let refused =
        json!({ "error": { "type": "invalid_request_error", "code": "amount_too_small", "param": "amount" } });
    let Outcome::Rejected { reason } = stripe.parse_payment(&answer(Operation::Create, 400, &refused)) else {
        panic!("not refused")
    };
    let dead = step(starting(), Input::Rejected { reason }, NOW).unwrap();
    assert_eq!((dead.next.state, dead.next.reason.as_deref()), (State::Dead, Some("invoice.limits")));
    assert_eq!(stripe.parse_payment(&answer(Operation::Create, 500, &refused)), Outcome::NoAnswer);
    let unknown = step(starting(), Input::NoAnswer { random: 0 }, NOW).unwrap();
    assert_eq!(unknown.next.state, State::Unknown);
}
