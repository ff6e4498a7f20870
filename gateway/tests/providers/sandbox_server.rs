//! The whole life of a payment at our practice provider, through sockets: every card, every manner of webhook.

use comptoir_content::{Amount, Handoff};
use comptoir_engine::payment::Status;
use comptoir_gateway::provider::http::Http;
use comptoir_gateway::provider::{
    Create, Find, Found, HintKind, HttpRequest, HttpResponse, Outcome, Provider, RefundOutcome, Sandbox, Secret,
    WebhookRefused,
};
use comptoir_sandbox::{Clock, Config, PRACTICE_CARDS, Webhook};
use serde_json::{Value, json};

use crate::bakery::*;
use crate::webhooks::{Delivered, Webhooks};

const APPROVES: &str = "4242 4242 4242 4242";
const DECLINES: &str = "4000 0000 0000 0002";
const THREE_DS: &str = "4000 0000 0000 3220";
const THREE_DS_FAILS: &str = "4000 0000 0000 3238";
const UNKNOWN_PAID: &str = "4000 0000 0000 0119";
const UNKNOWN_DECLINED: &str = "4000 0000 0000 0127";
const WEBHOOK_LATE: &str = "4000 0000 0000 1000";
const WEBHOOK_TWICE: &str = "4000 0000 0000 2000";
const WEBHOOK_REVERSED: &str = "4000 0000 0000 3000";
const WEBHOOK_NEVER: &str = "4000 0000 0000 4000";

struct Counter {
    server: comptoir_sandbox::Sandbox,
    sandbox: Sandbox,
    http: Http,
    phone: reqwest::Client,
    webhooks: Webhooks,
}

async fn open() -> Counter {
    let webhooks = Webhooks::listen().await;
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), "sk_test_bakery");
    config.clock = Clock::from_fn(|| NOW.0);
    config.webhook = Some(Webhook::new(&webhooks.url, WEBHOOK_SECRET));
    let server = comptoir_sandbox::Sandbox::start(config).await.unwrap();
    Counter {
        sandbox: sandbox(server.url()),
        server,
        http: Http::new().unwrap(),
        phone: reqwest::Client::builder().no_proxy().build().unwrap(),
        webhooks,
    }
}

impl Counter {
    async fn send(&self, request: HttpRequest) -> HttpResponse {
        self.http.send(&request).await.unwrap()
    }

    async fn create(&self, create: &Create<'_>) -> Outcome {
        let response = self.send(self.sandbox.create(create)).await;
        self.sandbox.parse_payment(&response)
    }

    /// A payment of 12.50 euros, and its page.
    async fn payment(&self, reference: &str) -> (String, String) {
        let outcome = self.create(&create_as(reference, amount("12.50", "EUR"))).await;
        let (seen, handoff) = seen(outcome);
        assert_eq!((&seen.status, seen.amount), (&Status::Open, amount("12.50", "EUR")));
        assert_eq!((seen.reference.as_str(), seen.account.as_str()), (reference, SANDBOX_ACCOUNT));
        match handoff {
            Some(Handoff::Page { url }) => (seen.provider_payment, url),
            other => panic!("{other:?} is no page"),
        }
    }

    /// The payer uses a card on the page.
    async fn pay(&self, page: &str, card: &str) -> (u16, Value) {
        self.page(page, &json!({ "card": card })).await
    }

    async fn page(&self, url: &str, body: &Value) -> (u16, Value) {
        let request = self.phone.post(url).header("accept", "application/json").json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn paid(&self, reference: &str, card: &str) -> String {
        let (payment, page) = self.payment(reference).await;
        assert_eq!(self.pay(&page, card).await.0, 200);
        payment
    }

    async fn read(&self, payment: &str) -> Outcome {
        let response = self.send(self.sandbox.read(payment)).await;
        self.sandbox.parse_payment(&response)
    }

    async fn cancel(&self, payment: &str) -> Outcome {
        let response = self.send(self.sandbox.cancel(payment, "key.cancel")).await;
        self.sandbox.parse_payment(&response)
    }

    async fn find(&self, reference: &str) -> Outcome {
        let mut after: Option<String> = None;
        loop {
            let find = Find { reference, after: after.as_deref(), ..find() };
            let response = self.send(self.sandbox.find(&find)).await;
            match self.sandbox.parse_found(&response, &find) {
                Found::Outcome(outcome) => return outcome,
                Found::More(last) => after = Some(last),
            }
        }
    }

    async fn refund(&self, payment: &str, amount: Amount, reference: &str) -> RefundOutcome {
        let response = self.send(self.sandbox.refund(&refund_of(payment, amount, reference))).await;
        self.sandbox.parse_refund(&response)
    }

    async fn find_refund(&self, payment: &str, reference: &str) -> RefundOutcome {
        let response = self.send(self.sandbox.find_refund(payment)).await;
        self.sandbox.parse_found_refund(&response, reference)
    }

    /// The next webhooks: verified, about this payment, and refused once a byte of them is changed.
    async fn hints(&mut self, payment: &str, kind: HintKind, types: &[&str]) -> Vec<String> {
        let mut events = Vec::new();
        for wanted in types {
            let delivered = self.webhooks.next().await;
            assert_eq!(delivered.event()["type"], *wanted);
            let hint = delivered.verify(&self.sandbox, NOW).unwrap();
            assert_eq!((hint.provider_payment.as_str(), hint.kind), (payment, kind));
            assert_eq!(hint.event, text(&delivered.event()["id"]));
            refused_when_tampered(&delivered, &self.sandbox);
            events.push(hint.event);
        }
        events
    }
}

fn refused_when_tampered(delivered: &Delivered, sandbox: &Sandbox) {
    for at in 0..delivered.body.len() {
        let verdict = delivered.tampered(at).verify(sandbox, NOW);
        assert_eq!(verdict, Err(WebhookRefused::NotSigned), "byte {at}");
    }
}

fn is_captured(outcome: Outcome) -> bool {
    status(outcome) == Status::Captured { at: NOW }
}

#[tokio::test]
async fn an_approved_card_pays() {
    let mut counter = open().await;
    let payment = counter.paid("order-1", APPROVES).await;
    let (paid, handoff) = seen(counter.read(&payment).await);
    assert_eq!((paid.status, handoff), (Status::Captured { at: NOW }, None));
    let types = ["payment.processing", "payment.succeeded"];
    counter.hints(&payment, HintKind::Payment, &types).await;
    counter.server.shutdown().await;
}

#[tokio::test]
async fn a_declined_payer_may_try_again() {
    let mut counter = open().await;
    let (payment, page) = counter.payment("order-1").await;
    assert_eq!(counter.pay(&page, DECLINES).await.1["last_error"], "card_declined");
    assert_eq!(status(counter.read(&payment).await), Status::Open);
    counter.hints(&payment, HintKind::Payment, &["payment.failed"]).await;
    assert_eq!(counter.pay(&page, APPROVES).await.0, 200);
    assert!(is_captured(counter.read(&payment).await));
}

#[tokio::test]
async fn three_d_secure_passes_fails_and_is_answered_no() {
    let counter = open().await;
    for (card, outcome, expected) in [
        (THREE_DS, "ok", Status::Captured { at: NOW }),
        (THREE_DS, "failed", Status::Open),
        (THREE_DS_FAILS, "ok", Status::Open),
    ] {
        // Not the number itself: the sandbox refuses a reference that looks like a card.
        let reference = format!("{}-{outcome}", &card[card.len() - 4..]);
        let (payment, page) = counter.payment(&reference).await;
        let (_, asked) = counter.pay(&page, card).await;
        assert_eq!(status(counter.read(&payment).await), Status::Open);
        let challenge = format!("{}{}", counter.server.url(), text(&asked["action_path"]));
        counter.page(&challenge, &json!({ "outcome": outcome })).await;
        assert_eq!(status(counter.read(&payment).await), expected, "{reference}");
        if expected == Status::Open {
            assert_eq!(status(counter.cancel(&payment).await), dead("submit.bank_failed"));
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_known_in_the_end() {
    let counter = open().await;
    for (card, expected) in [(UNKNOWN_PAID, Status::Captured { at: NOW }), (UNKNOWN_DECLINED, Status::Open)] {
        let (payment, page) = counter.payment(&card[card.len() - 4..]).await;
        assert_eq!(counter.pay(&page, card).await.0, 500);
        assert_eq!(status(counter.read(&payment).await), Status::Processing);
        // What is on its way cannot be canceled, and the refusal proves nothing.
        assert_eq!(counter.cancel(&payment).await, Outcome::NoAnswer);
        assert_eq!(status(counter.read(&payment).await), Status::Processing);
        assert_eq!(status(counter.read(&payment).await), expected);
    }
}

#[tokio::test]
async fn webhooks_come_late() {
    let mut counter = open().await;
    let payment = counter.paid("order-1", WEBHOOK_LATE).await;
    assert!(is_captured(counter.read(&payment).await));
    let types = ["payment.processing", "payment.succeeded"];
    counter.hints(&payment, HintKind::Payment, &types).await;
}

#[tokio::test]
async fn webhooks_come_twice_and_are_known_by_their_event() {
    let mut counter = open().await;
    let payment = counter.paid("order-1", WEBHOOK_TWICE).await;
    let types = ["payment.processing", "payment.processing", "payment.succeeded", "payment.succeeded"];
    let events = counter.hints(&payment, HintKind::Payment, &types).await;
    assert!(events[0] == events[1] && events[1] != events[2] && events[2] == events[3], "{events:?}");
}

#[tokio::test]
async fn webhooks_come_out_of_order() {
    let mut counter = open().await;
    let payment = counter.paid("order-1", WEBHOOK_REVERSED).await;
    let types = ["payment.succeeded", "payment.processing"];
    counter.hints(&payment, HintKind::Payment, &types).await;
    // Whichever came last, a read says what is.
    assert!(is_captured(counter.read(&payment).await));
}

#[tokio::test]
async fn webhooks_never_come_and_a_read_is_enough() {
    let mut counter = open().await;
    let silent = counter.paid("order-1", WEBHOOK_NEVER).await;
    let other = counter.paid("order-2", APPROVES).await;
    // The first webhook that comes is about the other payment.
    counter.hints(&other, HintKind::Payment, &["payment.processing"]).await;
    assert!(is_captured(counter.read(&silent).await));
}

#[tokio::test]
async fn only_our_webhooks_are_believed() {
    let mut counter = open().await;
    counter.paid("order-1", APPROVES).await;
    let delivered = counter.webhooks.next().await;
    let url = counter.server.url();
    let adapter = |account: &str, secrets: &[&str]| {
        let secrets = secrets.iter().map(|secret| Secret::new(secret)).collect();
        Sandbox::new(url, account, Secret::new("sk"), secrets).unwrap()
    };
    let verify = |sandbox: &Sandbox, now| delivered.verify(sandbox, now).map(|_| ());
    let ours = adapter(SANDBOX_ACCOUNT, &["whsec_new", WEBHOOK_SECRET]);
    assert_eq!(verify(&ours, NOW), Ok(()));
    assert_eq!(verify(&ours, NOW.plus_ms(300_001)), Err(WebhookRefused::TooOld));
    assert_eq!(verify(&ours, NOW.plus_ms(-300_001)), Err(WebhookRefused::TooNew));
    let brewery = adapter("brewery", &[WEBHOOK_SECRET]);
    assert_eq!(verify(&brewery, NOW), Err(WebhookRefused::OtherAccount));
    assert_eq!(verify(&adapter(SANDBOX_ACCOUNT, &["whsec_new"]), NOW), Err(WebhookRefused::NotSigned));
    assert_eq!(verify(&adapter(SANDBOX_ACCOUNT, &[]), NOW), Err(WebhookRefused::NotConfigured));
}

#[tokio::test]
async fn a_creation_may_be_sent_again_and_is_found_by_its_reference() {
    let counter = open().await;
    assert_eq!(counter.find("order-1").await, Outcome::NotFound);
    let (payment, page) = counter.payment("order-1").await;
    assert_eq!(counter.payment("order-1").await, (payment.clone(), page.clone()));
    let (found, handoff) = seen(counter.find("order-1").await);
    assert_eq!((found.provider_payment, handoff), (payment.clone(), Some(Handoff::Page { url: page.clone() })));
    // Another request under the key is no proof that there is no payment.
    let other = create_as("order-1", amount("13", "EUR"));
    assert_eq!(counter.create(&other).await, Outcome::NoAnswer);
    counter.pay(&page, APPROVES).await;
    assert!(is_captured(counter.find("order-1").await));
}

#[tokio::test]
async fn a_refused_creation_is_certain() {
    let counter = open().await;
    let mut late = create_as("order-1", amount("12.50", "EUR"));
    late.expires_at = NOW;
    assert_eq!(counter.create(&late).await, rejected("submit.bank_late"));
    let nothing = create_as("order-2", amount("0", "EUR"));
    assert!(!counter.sandbox.takes(nothing.amount));
    assert_eq!(counter.create(&nothing).await, rejected("invoice.limits"));
    let stranger = Sandbox::new(counter.server.url(), "bakery", Secret::new("sk_other"), vec![]).unwrap();
    let response = counter.send(stranger.create(&create_as("order-3", amount("1", "EUR")))).await;
    assert_eq!(stranger.parse_payment(&response), rejected("method.provider_down"));
    let (payment, _) = counter.payment("order-4").await;
    let response = counter.send(stranger.read(&payment)).await;
    assert_eq!(stranger.parse_payment(&response), Outcome::NoAnswer);
    assert_eq!(counter.read("pay_nobody").await, Outcome::NoAnswer);
}

#[tokio::test]
async fn what_is_canceled_is_dead_and_what_is_paid_is_not_canceled() {
    let mut counter = open().await;
    let (payment, page) = counter.payment("order-1").await;
    assert_eq!(status(counter.cancel(&payment).await), dead("submit.bank_left"));
    counter.hints(&payment, HintKind::Payment, &["payment.canceled"]).await;
    assert_eq!(counter.pay(&page, APPROVES).await.0, 409);
    assert_eq!(status(counter.cancel(&payment).await), dead("submit.bank_left"));
    let paid = counter.paid("order-2", APPROVES).await;
    assert_eq!(counter.cancel(&paid).await, Outcome::NoAnswer);
    assert!(is_captured(counter.read(&paid).await));
}

#[tokio::test]
async fn money_goes_back_in_part_in_full_and_never_beyond() {
    let mut counter = open().await;
    let payment = counter.paid("order-1", WEBHOOK_NEVER).await;
    assert_eq!(counter.find_refund(&payment, "refund-1").await, RefundOutcome::NotFound);
    let part = counter.refund(&payment, amount("2.50", "EUR"), "refund-1").await;
    assert!(matches!(&part, RefundOutcome::Done { amount: given, .. } if *given == amount("2.50", "EUR")));
    // Again under the same key is the same refund.
    assert_eq!(counter.refund(&payment, amount("2.50", "EUR"), "refund-1").await, part);
    counter.hints(&payment, HintKind::Refund, &["refund.succeeded"]).await;
    let failed = RefundOutcome::Rejected { reason: "refund.failed".to_owned() };
    assert_eq!(counter.refund(&payment, amount("10.01", "EUR"), "refund-2").await, failed);
    let rest = counter.refund(&payment, amount("10", "EUR"), "refund-3").await;
    assert_eq!(counter.find_refund(&payment, "refund-3").await, rest);
    assert_eq!(counter.find_refund(&payment, "refund-1").await, part);
    assert_eq!(counter.find_refund(&payment, "refund-2").await, RefundOutcome::NotFound);
    let (open, _) = counter.payment("order-2").await;
    assert_eq!(counter.refund(&open, amount("1", "EUR"), "refund-4").await, failed);
}

#[test]
fn every_practice_card_has_its_test() {
    let known = [
        APPROVES,
        DECLINES,
        THREE_DS,
        THREE_DS_FAILS,
        UNKNOWN_PAID,
        UNKNOWN_DECLINED,
        WEBHOOK_LATE,
        WEBHOOK_TWICE,
        WEBHOOK_REVERSED,
        WEBHOOK_NEVER,
    ];
    let cards: Vec<String> = PRACTICE_CARDS.iter().map(|card| card.spaced()).collect();
    assert_eq!(cards, known);
}
