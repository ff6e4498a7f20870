//! The whole life of a payment at localstripe, a stand-in for Stripe that others wrote, through sockets.
//!
//! The phone's part is played as Stripe's sheet would. localstripe takes the publishable key for 3-D Secure only, so
//! entering the card uses a secret key of its own there.

use std::time::{SystemTime, UNIX_EPOCH};

use comptoir_content::{Amount, Handoff, Timestamp};
use comptoir_engine::payment::Status;
use comptoir_gateway::provider::http::Http;
use comptoir_gateway::provider::{
    Find, Found, Hint, HintKind, HttpRequest, HttpResponse, Outcome, Provider, RefundOutcome, Secret, Stripe,
    StripeKeys, WebhookRefused,
};
use serde_json::{Value, json};

use crate::bakery::*;
use crate::peer::LocalStripe;
use crate::webhooks::Webhooks;

const APPROVES: &str = "4242424242424242";
const DECLINES: &str = "4000000000000341";
const THREE_DS: &str = "4000002500003155";

struct Counter {
    peer: LocalStripe,
    stripe: Stripe,
    http: Http,
    phone: reqwest::Client,
}

fn open() -> Counter {
    let peer = LocalStripe::start();
    Counter {
        stripe: stripe(&peer.url),
        peer,
        http: Http::new().unwrap(),
        phone: reqwest::Client::builder().no_proxy().build().unwrap(),
    }
}

impl Counter {
    async fn send(&self, request: HttpRequest) -> HttpResponse {
        self.http.send(&request).await.unwrap()
    }

    /// Starts a payment; gives Stripe's id and what the phone opens.
    async fn create(&self, reference: &str, amount: Amount) -> (String, Handoff) {
        let response = self.send(self.stripe.create(&create_as(reference, amount))).await;
        let (seen, handoff) = seen(self.stripe.parse_payment(&response));
        assert_eq!((&seen.status, seen.amount), (&Status::Open, amount));
        assert_eq!((seen.reference.as_str(), seen.account.as_str()), (reference, STRIPE_ACCOUNT));
        assert!(!seen.live);
        (seen.provider_payment, handoff.unwrap())
    }

    async fn read(&self, payment: &str) -> Outcome {
        let response = self.send(self.stripe.read(payment)).await;
        self.stripe.parse_payment(&response)
    }

    async fn cancel(&self, payment: &str) -> Outcome {
        let response = self.send(self.stripe.cancel(payment, "key.cancel")).await;
        self.stripe.parse_payment(&response)
    }

    async fn find(&self, reference: &str) -> Outcome {
        let mut after: Option<String> = None;
        loop {
            let find = Find { reference, after: after.as_deref(), ..find() };
            let response = self.send(self.stripe.find(&find)).await;
            match self.stripe.parse_found(&response, &find) {
                Found::Outcome(outcome) => return outcome,
                Found::More(last) => after = Some(last),
            }
        }
    }

    async fn refund(&self, payment: &str, amount: Amount, reference: &str) -> RefundOutcome {
        let refund = refund_of(payment, amount, reference);
        let response = self.send(self.stripe.refund(&refund)).await;
        self.stripe.parse_refund(&response)
    }

    async fn find_refund(&self, payment: &str, reference: &str) -> RefundOutcome {
        let response = self.send(self.stripe.find_refund(payment)).await;
        self.stripe.parse_found_refund(&response, reference)
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.phone.post(format!("{}{path}", self.peer.url)).bearer_auth("sk_test_phone");
        let response = request.json(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    /// The payer types a card into the sheet and confirms.
    async fn enters(&self, payment: &str, card: &str) -> (u16, Value) {
        let card = json!({ "number": card, "exp_month": 12, "exp_year": 2090, "cvc": "123" });
        let (status, method) = self.post("/v1/payment_methods", &json!({ "type": "card", "card": card })).await;
        assert_eq!(status, 200, "{method}");
        let path = format!("/v1/payment_intents/{payment}");
        let (status, _) = self.post(&path, &json!({ "payment_method": method["id"] })).await;
        assert_eq!(status, 200);
        self.post(&format!("{path}/confirm"), &json!({})).await
    }

    /// The payer answers the bank, in the sheet: it knows the publishable key and the client secret, and nothing else.
    async fn answers_the_bank(&self, handoff: &Handoff, yes: bool) -> u16 {
        let Handoff::Sdk { publishable_key, client_secret } = handoff else { panic!("{handoff:?} is no sheet") };
        let (payment, _) = client_secret.split_once("_secret_").unwrap();
        let url = format!("{}/v1/payment_intents/{payment}/_authenticate", self.peer.url);
        let body = json!({ "key": publishable_key, "client_secret": client_secret, "success": yes });
        self.phone.post(url).json(&body).send().await.unwrap().status().as_u16()
    }

    async fn paid(&self, reference: &str, amount: Amount) -> String {
        let (payment, _) = self.create(reference, amount).await;
        assert_eq!(self.enters(&payment, APPROVES).await.0, 200);
        payment
    }
}

fn is_captured(outcome: Outcome) -> bool {
    let age_ms = |at: Timestamp| now().since_ms(at);
    match status(outcome) {
        Status::Captured { at } => (-2_000..600_000).contains(&age_ms(at)),
        Status::Open | Status::Processing | Status::Dead { .. } => false,
    }
}

fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since_1970.as_millis()).unwrap())
}

#[tokio::test]
async fn a_card_pays() {
    let counter = open();
    let (payment, _) = counter.create("order-1", amount("12.50", "EUR")).await;
    assert_eq!(status(counter.read(&payment).await), Status::Open);
    assert_eq!(counter.enters(&payment, APPROVES).await.0, 200);
    let (paid, handoff) = seen(counter.read(&payment).await);
    assert_eq!((paid.amount, handoff), (amount("12.50", "EUR"), None));
    assert_eq!((paid.reference.as_str(), paid.account.as_str()), ("order-1", STRIPE_ACCOUNT));
    assert!(is_captured(counter.read(&payment).await));
}

#[tokio::test]
async fn currencies_keep_their_value() {
    let counter = open();
    for (text, code) in [("1500", "JPY"), ("5", "ISK"), ("12.00", "MGA"), ("5.120", "KWD")] {
        let (payment, _) = counter.create(code, amount(text, code)).await;
        assert_eq!(seen(counter.read(&payment).await).0.amount, amount(text, code));
    }
    // What Stripe cannot express is refused for certain.
    let response = counter.send(counter.stripe.create(&create(amount("12.50", "MGA")))).await;
    assert_eq!(counter.stripe.parse_payment(&response), rejected("method.provider_down"));
}

#[tokio::test]
async fn a_declined_card_leaves_the_payment_open_until_it_is_canceled() {
    let counter = open();
    let (payment, _) = counter.create("order-1", amount("12.50", "EUR")).await;
    assert_eq!(counter.enters(&payment, DECLINES).await.0, 402);
    assert_eq!(status(counter.read(&payment).await), Status::Open);
    assert_eq!(status(counter.cancel(&payment).await), dead("card.declined"));
    assert_eq!(status(counter.read(&payment).await), dead("card.declined"));
}

#[tokio::test]
async fn three_d_secure_passes() {
    let counter = open();
    let (payment, handoff) = counter.create("order-1", amount("12.50", "EUR")).await;
    let (_, asked) = counter.enters(&payment, THREE_DS).await;
    assert_eq!(asked["status"], "requires_action");
    assert_eq!(status(counter.read(&payment).await), Status::Open);
    let stranger = Handoff::Sdk {
        publishable_key: "pk_test_bakery".to_owned(),
        client_secret: format!("{payment}_secret_guessed"),
    };
    assert_eq!(counter.answers_the_bank(&stranger, true).await, 401);
    assert_eq!(counter.answers_the_bank(&handoff, true).await, 200);
    assert!(is_captured(counter.read(&payment).await));
}

#[tokio::test]
async fn three_d_secure_fails() {
    let counter = open();
    let (payment, handoff) = counter.create("order-1", amount("12.50", "EUR")).await;
    counter.enters(&payment, THREE_DS).await;
    assert_eq!(counter.answers_the_bank(&handoff, false).await, 200);
    // The payer may try again, until the time is over.
    assert_eq!(status(counter.read(&payment).await), Status::Open);
    assert_eq!(status(counter.cancel(&payment).await), dead("submit.bank_failed"));
}

#[tokio::test]
async fn what_is_canceled_is_dead_and_what_is_paid_is_not_canceled() {
    let counter = open();
    let (payment, _) = counter.create("order-1", amount("12.50", "EUR")).await;
    assert_eq!(status(counter.cancel(&payment).await), dead("submit.bank_left"));
    assert_eq!(counter.enters(&payment, APPROVES).await.0, 400);
    assert_eq!(status(counter.read(&payment).await), dead("submit.bank_left"));

    let paid = counter.paid("order-2", amount("12.50", "EUR")).await;
    assert_eq!(counter.cancel(&paid).await, Outcome::NoAnswer);
    assert!(is_captured(counter.read(&paid).await));
    assert_eq!(counter.read("pi_nobody_made_this").await, Outcome::NoAnswer);
}

#[tokio::test]
async fn a_payment_is_found_by_our_reference() {
    let counter = open();
    assert_eq!(counter.find("order-1").await, Outcome::NotFound);
    let paid = counter.paid("order-1", amount("12.50", "EUR")).await;
    let (other, _) = counter.create("order-2", amount("3.20", "EUR")).await;
    let found = counter.find("order-1").await;
    assert_eq!(seen(found.clone()).0.provider_payment, paid);
    assert!(is_captured(found));
    let (found, handoff) = seen(counter.find("order-2").await);
    assert_eq!((found.provider_payment, handoff.is_some()), (other, true));
    assert_eq!(counter.find("order-3").await, Outcome::NotFound);
    // Whichever end the list begins at: one of the two stands on its second page.
    for n in 3..=110 {
        counter.create(&format!("order-{n}"), amount("1.00", "EUR")).await;
    }
    assert!(is_captured(counter.find("order-1").await));
    assert_eq!(seen(counter.find("order-110").await).0.reference, "order-110");
    assert_eq!(counter.find("order-111").await, Outcome::NotFound);
}

#[tokio::test]
async fn money_goes_back_in_part_and_in_full() {
    let counter = open();
    let payment = counter.paid("order-1", amount("12.50", "EUR")).await;
    assert_eq!(counter.find_refund(&payment, "refund-1").await, RefundOutcome::NotFound);
    let part = counter.refund(&payment, amount("2.50", "EUR"), "refund-1").await;
    let RefundOutcome::Done { provider_refund, amount: given_back } = &part else { panic!("{part:?}") };
    assert!(provider_refund.starts_with("re_"));
    assert_eq!(*given_back, amount("2.50", "EUR"));
    let rest = counter.refund(&payment, amount("10", "EUR"), "refund-2").await;
    assert!(matches!(&rest, RefundOutcome::Done { amount: rest, .. } if *rest == amount("10", "EUR")));
    assert_eq!(counter.find_refund(&payment, "refund-1").await, part);
    assert_eq!(counter.find_refund(&payment, "refund-2").await, rest);
    assert_eq!(counter.find_refund(&payment, "refund-3").await, RefundOutcome::NotFound);

    let (open, _) = counter.create("order-2", amount("12.50", "EUR")).await;
    let refused = counter.refund(&open, amount("1", "EUR"), "refund-4").await;
    assert!(matches!(refused, RefundOutcome::Rejected { reason } if reason == "refund.failed"));
}

#[tokio::test]
async fn webhooks_over_a_socket_are_verified_and_lead_to_a_read() {
    let counter = open();
    let mut webhooks = Webhooks::listen().await;
    let config = json!({ "url": webhooks.url, "secret": WEBHOOK_SECRET });
    assert_eq!(counter.post("/_config/webhooks/bakery", &config).await.0, 200);
    let paid = counter.paid("order-1", amount("12.50", "EUR")).await;
    let (declined, _) = counter.create("order-2", amount("3.20", "EUR")).await;
    assert_eq!(counter.enters(&declined, DECLINES).await.0, 402);

    let mut deliveries = [webhooks.next().await, webhooks.next().await];
    deliveries.sort_by_key(|delivered| text(&delivered.event()["type"]).to_owned());
    for (delivered, payment, kind) in [
        (&deliveries[0], &declined, "payment_intent.payment_failed"),
        (&deliveries[1], &paid, "payment_intent.succeeded"),
    ] {
        let event = delivered.event();
        assert_eq!(event["type"], kind);
        let hint =
            Hint { event: text(&event["id"]).to_owned(), provider_payment: payment.clone(), kind: HintKind::Payment };
        assert_eq!(delivered.verify(&counter.stripe, now()), Ok(hint.clone()));
        // Again is fine: the event says that it is the same one.
        assert_eq!(delivered.verify(&counter.stripe, now()), Ok(hint));
    }
    assert!(is_captured(counter.read(&paid).await));
    assert_eq!(status(counter.read(&declined).await), Status::Open);

    let delivered = &deliveries[1];
    for at in 0..delivered.body.len() {
        let tampered = delivered.tampered(at);
        assert_eq!(tampered.verify(&counter.stripe, now()), Err(WebhookRefused::NotSigned), "byte {at}");
    }
    let with_secrets = |secrets: &[&str]| {
        Stripe::new(StripeKeys {
            webhook_secrets: secrets.iter().map(|secret| Secret::new(secret)).collect(),
            ..stripe_keys(&counter.peer.url)
        })
        .unwrap()
    };
    let verify = |secrets: &[&str], now| delivered.verify(&with_secrets(secrets), now).map(|_| ());
    assert_eq!(verify(&["whsec_other"], now()), Err(WebhookRefused::NotSigned));
    assert_eq!(verify(&["whsec_new", WEBHOOK_SECRET], now()), Ok(()));
    assert_eq!(verify(&[], now()), Err(WebhookRefused::NotConfigured));
    assert_eq!(verify(&[WEBHOOK_SECRET], now().plus_ms(302_000)), Err(WebhookRefused::TooOld));
    assert_eq!(verify(&[WEBHOOK_SECRET], now().plus_ms(-310_000)), Err(WebhookRefused::TooNew));
    let mut unsigned = delivered.clone();
    unsigned.headers.remove("stripe-signature");
    assert_eq!(unsigned.verify(&counter.stripe, now()), Err(WebhookRefused::NoSignature));
    let mut downgraded = delivered.clone();
    let header = downgraded.headers.get_mut("stripe-signature").unwrap();
    *header = header.replace("v1=", "v0=");
    assert_eq!(downgraded.verify(&counter.stripe, now()), Err(WebhookRefused::BadSignatureHeader));
    let live = Stripe::new(StripeKeys {
        live: true,
        publishable_key: "pk_live_bakery".to_owned(),
        secret_key: Secret::new("sk_live_bakery"),
        ..stripe_keys(&counter.peer.url)
    });
    assert_eq!(delivered.verify(&live.unwrap(), now()), Err(WebhookRefused::OtherMode));
}
