//! The road between the till and the practice provider: calls are lost on it, come twice, or lose their answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use comptoir_gateway::provider::{HttpRequest, HttpResponse, Method};
use comptoir_gateway::testing::Messenger;
use comptoir_sandbox::{Answer, Clock, Config, Counter, Webhook};

use super::steps::Fate;

pub(super) const PROVIDER: &str = "http://127.0.0.1:2";
pub(super) const SECRET: &str = "sk_practice_the_bakery";
pub(super) const WEBHOOK_SECRET: &str = "whsec_practice_the_bakery";

pub struct Road {
    provider: Counter,
    down: AtomicBool,
    next: Mutex<Fate>,
}

impl Road {
    pub(super) async fn open(now_ms: Arc<AtomicI64>) -> Self {
        let mut config = Config::new(([127, 0, 0, 1], 0).into(), SECRET);
        config.public_url = Some(PROVIDER.to_owned());
        config.webhook = Some(Webhook::new("http://127.0.0.1:3", WEBHOOK_SECRET));
        config.clock = Clock::from_fn(move || now_ms.load(Ordering::SeqCst));
        let provider = Counter::open(config).await.expect("a provider");
        Self { provider, down: AtomicBool::new(false), next: Mutex::new(Fate::Arrives) }
    }

    /// What becomes of the next call.
    pub(super) fn awaits(&self, fate: Fate) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }

    pub(super) async fn next_webhook(&self) -> Option<(String, Vec<u8>)> {
        self.provider.next_webhook().await
    }

    /// The provider cannot be reached, or can again.
    pub fn is_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// A tap on the provider's own page.
    pub async fn taps_on_page(&self, url: &str, fields: &serde_json::Value) -> Answer {
        let path = url.strip_prefix(PROVIDER).unwrap_or(url);
        let headers = [("accept", "application/json"), ("content-type", "application/json")];
        self.provider.answer("POST", path, &headers, fields.to_string().as_bytes()).await
    }

    /// Everything that ever happened at the provider.
    pub async fn events(&self) -> Vec<serde_json::Value> {
        let bearer = format!("Bearer {SECRET}");
        let answer = self.provider.answer("GET", "/v1/events", &[("authorization", &bearer)], &[]).await;
        let events: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        events["events"].as_array().expect("a list").clone()
    }
}

impl Messenger for Road {
    fn carry<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Option<HttpResponse>> + Send + 'a>> {
        Box::pin(async move {
            let fate = std::mem::replace(&mut *self.next.lock().unwrap_or_else(PoisonError::into_inner), Fate::Arrives);
            if fate == Fate::Lost || self.down.load(Ordering::SeqCst) {
                return None;
            }
            let path = request.url.strip_prefix(PROVIDER)?;
            let headers: Vec<(&str, &str)> =
                request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let method = match request.method {
                Method::Get => "GET",
                Method::Post => "POST",
            };
            let mut answer = self.provider.answer(method, path, &headers, &request.body).await;
            if fate == Fate::Twice {
                answer = self.provider.answer(method, path, &headers, &request.body).await;
            }
            let answered = HttpResponse::new(request.operation, answer.status, answer.body);
            (fate != Fate::AnswerLost).then_some(answered)
        })
    }
}
