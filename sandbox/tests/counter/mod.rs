//! The Bakery's side of the counter: a running sandbox, a client that talks to it, and a server that takes its webhooks.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use comptoir_sandbox::{Clock, Config, Sandbox, Webhook};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub(crate) const SECRET_KEY: &str = "sk_test_bakery";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_bakery";
pub(crate) const NOW_MS: i64 = 1_760_000_000_000;

pub(crate) const APPROVES: &str = "4242 4242 4242 4242";
pub(crate) const DECLINES: &str = "4000 0000 0000 0002";
pub(crate) const THREE_DS: &str = "4000 0000 0000 3220";
pub(crate) const THREE_DS_FAILS: &str = "4000 0000 0000 3238";
pub(crate) const UNKNOWN_PAID: &str = "4000 0000 0000 0119";
pub(crate) const UNKNOWN_DECLINED: &str = "4000 0000 0000 0127";
pub(crate) const WEBHOOK_LATE: &str = "4000 0000 0000 1000";
pub(crate) const WEBHOOK_TWICE: &str = "4000 0000 0000 2000";
pub(crate) const WEBHOOK_REVERSED: &str = "4000 0000 0000 3000";
pub(crate) const WEBHOOK_NEVER: &str = "4000 0000 0000 4000";

pub(crate) struct Counter {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
    pub(crate) now_ms: Arc<AtomicI64>,
    pub(crate) webhooks: Option<Webhooks>,
    state_file: Option<PathBuf>,
}

/// Starts a sandbox; `webhooks` says whether the Bakery listens.
pub(crate) async fn open(webhooks: bool, state_file: Option<PathBuf>) -> Counter {
    let webhooks = if webhooks { Some(Webhooks::listen().await) } else { None };
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    let sandbox = start(&now_ms, webhooks.as_ref(), state_file.clone()).await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    Counter { sandbox, client, now_ms, webhooks, state_file }
}

async fn start(now_ms: &Arc<AtomicI64>, webhooks: Option<&Webhooks>, state_file: Option<PathBuf>) -> Sandbox {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), SECRET_KEY);
    let now_ms = Arc::clone(now_ms);
    config.clock = Clock::from_fn(move || now_ms.load(Ordering::SeqCst));
    config.state_file = state_file;
    config.webhook = webhooks.map(|webhooks| {
        let mut webhook = Webhook::new(&webhooks.url, WEBHOOK_SECRET);
        webhook.base_delay = Duration::ZERO;
        webhook
    });
    Sandbox::start(config).await.unwrap()
}

impl Counter {
    /// Stops the sandbox and starts another one on the same state file.
    pub(crate) async fn restart(self) -> Self {
        self.sandbox.shutdown().await;
        let sandbox = start(&self.now_ms, self.webhooks.as_ref(), self.state_file.clone()).await;
        Self { sandbox, ..self }
    }

    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.path(path)).bearer_auth(SECRET_KEY)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.path(path)).bearer_auth(SECRET_KEY)
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        let response = self.get(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn look_up(&self, payment: &Value) -> Value {
        self.read(&format!("/v1/payments/{}", text(&payment["id"]))).await
    }

    pub(crate) async fn create(&self, key: &str, body: &Value) -> Response {
        self.post("/v1/payments").header("idempotency-key", key).json(body).send().await.unwrap()
    }

    /// A payment of 12.50 euros under a reference of its own.
    pub(crate) async fn payment(&self, reference: &str) -> Value {
        let response = self.create(reference, &order(reference)).await;
        assert_eq!(response.status(), 201);
        response.json().await.unwrap()
    }

    pub(crate) async fn refund(&self, key: &str, body: &Value) -> Response {
        self.post("/v1/refunds").header("idempotency-key", key).json(body).send().await.unwrap()
    }

    pub(crate) async fn cancel(&self, payment: &Value) -> Response {
        self.post(&format!("/v1/payments/{}/cancel", text(&payment["id"]))).send().await.unwrap()
    }

    /// Uses a card as the terminal shell does.
    pub(crate) async fn pay(&self, payment: &Value, card: &str) -> Response {
        let request = self.client.post(self.pay_url(payment)).header("accept", "application/json");
        request.json(&json!({ "card": card })).send().await.unwrap()
    }

    /// Uses a card as a browser does.
    pub(crate) async fn pay_by_form(&self, payment: &Value, card: &str) -> Response {
        form(self.client.post(self.pay_url(payment)), "card", card).send().await.unwrap()
    }

    pub(crate) async fn answer_challenge(&self, payment: &Value, outcome: &str) -> Response {
        let url = self.pay_url(payment).replace("?t=", "/3ds?t=");
        let request = self.client.post(url).header("accept", "application/json");
        form(request, "outcome", outcome).send().await.unwrap()
    }

    /// The payment page at the address where the sandbox listens now, also after a restart.
    pub(crate) fn pay_url(&self, payment: &Value) -> String {
        let url = text(&payment["pay_url"]);
        self.path(&url[url.find("/pay/").unwrap()..])
    }

    pub(crate) async fn webhook(&mut self) -> Value {
        self.webhooks.as_mut().unwrap().next().await.event()
    }

    /// The next webhooks that did not come before: one that was cut short by a restart is sent again.
    pub(crate) async fn new_webhook_types(&mut self, count: usize) -> Vec<String> {
        let mut types = Vec::new();
        while types.len() < count {
            let seen = self.webhooks.as_ref().unwrap().seen.clone();
            let event = self.webhook().await;
            if !seen.contains(text(&event["id"])) {
                types.push(text(&event["type"]).to_owned());
            }
        }
        types
    }

    /// The next webhooks, in the order in which they came.
    pub(crate) async fn webhook_types(&mut self, count: usize) -> Vec<String> {
        let mut types = Vec::new();
        for _ in 0..count {
            types.push(text(&self.webhook().await["type"]).to_owned());
        }
        types
    }

    pub(crate) async fn event_types(&self) -> Vec<String> {
        let events = self.read("/v1/events").await;
        let events = events["events"].as_array().unwrap();
        events.iter().map(|event| text(&event["type"]).to_owned()).collect()
    }
}

pub(crate) fn order(reference: &str) -> Value {
    json!({ "amount_minor": 1250, "currency": "EUR", "reference": reference, "account": "bakery", "live": false })
}

/// What a browser sends for a form with one field.
pub(crate) fn form(request: RequestBuilder, field: &str, value: &str) -> RequestBuilder {
    let body = format!("{field}={}", value.replace(' ', "+"));
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text"))
}

pub(crate) async fn error(response: Response, status: u16) -> Value {
    assert_eq!(response.status(), status);
    let body: Value = response.json().await.unwrap();
    assert!(body["error"]["message"].is_string(), "{body}");
    body["error"].clone()
}

/// A server that takes webhooks and answers what it is told to; 204 otherwise.
pub(crate) struct Webhooks {
    url: String,
    came: mpsc::UnboundedReceiver<Delivered>,
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    seen: BTreeSet<String>,
    _server: tokio::task::JoinHandle<()>,
}

pub(crate) struct Delivered {
    pub(crate) signature: String,
    pub(crate) body: Bytes,
}

impl Delivered {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Webhooks {
    async fn listen() -> Self {
        let (tell, came) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<StatusCode>>> = Arc::default();
        let script = Arc::clone(&answers);
        let take = async move |headers: HeaderMap, body: Bytes| {
            let signature = headers["sandbox-signature"].to_str().unwrap().to_owned();
            let _ = tell.send(Delivered { signature, body });
            script.lock().unwrap().pop_front().unwrap_or(StatusCode::NO_CONTENT)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let routes = Router::new().route("/webhook", post(take));
        let server = tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        Self { url, came, answers, seen: BTreeSet::new(), _server: server }
    }

    pub(crate) fn answer_next_with(&self, statuses: &[StatusCode]) {
        self.answers.lock().unwrap().extend(statuses);
    }

    /// How many came that nobody looked at.
    pub(crate) fn waiting(&self) -> usize {
        self.came.len()
    }

    pub(crate) async fn next(&mut self) -> Delivered {
        let delivered = self.came.recv().await.unwrap();
        self.seen.insert(text(&delivered.event()["id"]).to_owned());
        delivered
    }
}
