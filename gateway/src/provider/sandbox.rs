//! Our practice provider (`docs/sandbox.md`): hosted page, practice cards, no money.

use std::path::{Path, PathBuf};

use comptoir_content::{Amount, Currency, Handoff, Timestamp};
use comptoir_engine::payment::{Seen, Status};
use serde::Deserialize;
use serde_json::json;

use super::message::{escaped, is_id, one_line};
use super::secret::{base_url, may_be_called, read, read_webhook};
use super::{
    ConfigError, Create, Hint, HintKind, HttpRequest, HttpResponse, Operation, Outcome, Provider, RefundOf,
    RefundOutcome, Secret, WebhookRefused, signature,
};

/// The longest description it takes, in characters.
const DESCRIPTION_CHARS_MAX: usize = 200;

/// Where the sandbox is, and the secrets that we share with it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxConfig {
    /// `https://…`, or `http://…` on a loopback address.
    pub url: String,
    /// The name that payers see, as in the profile's payees.
    pub account: String,
    pub secret_key_file: PathBuf,
    /// Without it no webhook is believed, and payments are only looked up.
    pub webhook_secret_file: Option<PathBuf>,
    /// The webhook secret before, while it is being replaced.
    pub previous_webhook_secret_file: Option<PathBuf>,
}

/// The adapter for the practice provider.
#[derive(Clone, Debug)]
pub struct Sandbox {
    url: String,
    account: String,
    secret_key: Secret,
    webhook_secrets: Vec<Secret>,
}

impl Sandbox {
    /// Reads the secrets; relative paths are meant from `folder`.
    ///
    /// # Errors
    /// [`ConfigError`] names the field.
    pub fn open(config: &SandboxConfig, folder: &Path) -> Result<Self, ConfigError> {
        let secret_key = read("sandbox.secret_key_file", folder, &config.secret_key_file)?;
        let webhook_secrets = read_webhook(
            ["sandbox.webhook_secret_file", "sandbox.previous_webhook_secret_file"],
            folder,
            [config.webhook_secret_file.as_deref(), config.previous_webhook_secret_file.as_deref()],
        )?;
        Self::new(&config.url, &config.account, secret_key, webhook_secrets)
    }

    /// An adapter with secrets at hand; `webhook_secrets` are the present one and the one before.
    ///
    /// # Errors
    /// [`ConfigError::Field`] names what is wrong.
    pub fn new(
        url: &str,
        account: &str,
        secret_key: Secret,
        webhook_secrets: Vec<Secret>,
    ) -> Result<Self, ConfigError> {
        let is_name = |text: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
            (1..=64).contains(&text.len()) && text.bytes().all(allowed)
        };
        if !is_name(account) {
            return Err(ConfigError::field("sandbox.account", "must be 1 to 64 of A-Z a-z 0-9 _ . : -"));
        }
        if !secret_key.is_plain() {
            return Err(ConfigError::field("sandbox.secret_key_file", "must hold visible ASCII"));
        }
        if webhook_secrets.iter().any(|secret| !secret.is_plain()) {
            return Err(ConfigError::field("sandbox.webhook_secret_file", "must hold visible ASCII"));
        }
        Ok(Self { url: base_url("sandbox.url", url)?, account: account.to_owned(), secret_key, webhook_secrets })
    }

    fn get(&self, operation: Operation, path: &str) -> HttpRequest {
        self.authorized(HttpRequest::get(operation, format!("{}{path}", self.url)))
    }

    fn post(&self, operation: Operation, path: &str) -> HttpRequest {
        self.authorized(HttpRequest::post(operation, format!("{}{path}", self.url)))
    }

    fn authorized(&self, request: HttpRequest) -> HttpRequest {
        request.header("authorization", format!("Bearer {}", self.secret_key.expose()))
    }
}

impl Provider for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn account(&self) -> &str {
        &self.account
    }

    fn is_live(&self) -> bool {
        false
    }

    fn takes(&self, amount: Amount) -> bool {
        amount.minor() > 0
    }

    fn create(&self, create: &Create<'_>) -> HttpRequest {
        let mut body = json!({
            "amount_minor": create.amount.minor(),
            "currency": create.amount.currency().code(),
            "reference": create.reference,
            "account": self.account,
            "live": false,
            "description": one_line(create.description, DESCRIPTION_CHARS_MAX),
            "expires_at_ms": create.expires_at.0,
        });
        if let Some(url) = create.return_url {
            body["return_url"] = json!(url);
        }
        self.post(Operation::Create, "/v1/payments")
            .header("idempotency-key", create.idempotency_key)
            .body("application/json", body.to_string())
    }

    fn read(&self, provider_payment: &str) -> HttpRequest {
        self.get(Operation::Read, &format!("/v1/payments/{}", escaped(provider_payment)))
    }

    fn find(&self, reference: &str) -> HttpRequest {
        self.get(Operation::Find, &format!("/v1/payments?reference={}", escaped(reference)))
    }

    fn cancel(&self, provider_payment: &str, idempotency_key: &str) -> HttpRequest {
        let path = format!("/v1/payments/{}/cancel", escaped(provider_payment));
        self.post(Operation::Cancel, &path).header("idempotency-key", idempotency_key)
    }

    fn refund(&self, refund: &RefundOf<'_>) -> HttpRequest {
        let body = json!({
            "payment": refund.provider_payment,
            "amount_minor": refund.amount.minor(),
            "reference": refund.reference,
        });
        self.post(Operation::Refund, "/v1/refunds")
            .header("idempotency-key", refund.idempotency_key)
            .body("application/json", body.to_string())
    }

    fn find_refund(&self, provider_payment: &str) -> HttpRequest {
        self.get(Operation::FindRefund, &format!("/v1/refunds?payment={}", escaped(provider_payment)))
    }

    fn parse_payment(&self, response: &HttpResponse) -> Outcome {
        match response.status {
            200..=299 => match serde_json::from_slice(&response.body).ok().and_then(seen) {
                // A creation that does not say where to pay is of no use to anyone.
                Some(Outcome::Seen { seen, handoff: None })
                    if response.operation == Operation::Create && seen.status == Status::Open =>
                {
                    Outcome::NoAnswer
                }
                outcome => outcome.unwrap_or(Outcome::NoAnswer),
            },
            status if response.operation == Operation::Create => match refusal(status, &response.body) {
                Some(error) => Outcome::Rejected { reason: error.reason().to_owned() },
                None => Outcome::NoAnswer,
            },
            _ => Outcome::NoAnswer,
        }
    }

    fn parse_found(&self, response: &HttpResponse, reference: &str) -> Outcome {
        let list = match response.status {
            200..=299 => serde_json::from_slice::<Payments>(&response.body).ok(),
            _ => None,
        };
        let Some(list) = list else {
            return Outcome::NoAnswer;
        };
        let ours = list.payments.into_iter().filter(|payment| payment.reference == reference);
        // Several under one reference: the one that was paid, or may be, counts before the others.
        match ours.max_by_key(|payment| payment.status.weight()) {
            Some(payment) => seen(payment).unwrap_or(Outcome::NoAnswer),
            None => Outcome::NotFound,
        }
    }

    fn parse_refund(&self, response: &HttpResponse) -> RefundOutcome {
        match response.status {
            200..=299 => {
                serde_json::from_slice(&response.body).ok().and_then(refunded).unwrap_or(RefundOutcome::NoAnswer)
            }
            status => match refusal(status, &response.body) {
                // Our key is wrong: that is mended, and then the same refund is made.
                Some(error) if error.code != "unauthorized" => {
                    RefundOutcome::Rejected { reason: "refund.failed".to_owned() }
                }
                _ => RefundOutcome::NoAnswer,
            },
        }
    }

    fn parse_found_refund(&self, response: &HttpResponse, reference: &str) -> RefundOutcome {
        let list = match response.status {
            200..=299 => serde_json::from_slice::<Refunds>(&response.body).ok(),
            _ => None,
        };
        let Some(list) = list else {
            return RefundOutcome::NoAnswer;
        };
        match list.refunds.into_iter().find(|refund| refund.reference == reference) {
            Some(refund) => refunded(refund).unwrap_or(RefundOutcome::NoAnswer),
            None => RefundOutcome::NotFound,
        }
    }

    fn verify_webhook(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Hint, WebhookRefused> {
        let signed = header("sandbox-signature");
        signature::verify(signed.as_deref(), body, &self.webhook_secrets, now)?;
        let event: Event = serde_json::from_slice(body).map_err(|_| WebhookRefused::Unreadable)?;
        let (kind, provider_payment) = match event.kind.split_once('.') {
            Some(("payment", _)) => (HintKind::Payment, event.data.id),
            Some(("refund", _)) => (HintKind::Refund, event.data.payment.unwrap_or_default()),
            _ => (HintKind::Other, String::new()),
        };
        if kind != HintKind::Other && !is_id(&provider_payment) || !is_id(&event.id) {
            return Err(WebhookRefused::Unreadable);
        }
        if event.data.account.is_some_and(|account| account != self.account) {
            return Err(WebhookRefused::OtherAccount);
        }
        if event.data.live == Some(true) {
            return Err(WebhookRefused::OtherMode);
        }
        Ok(Hint { event: event.id, provider_payment, kind })
    }

    fn acknowledge(&self) -> (u16, Vec<u8>) {
        (200, Vec::new())
    }
}

/// A payment as the sandbox tells it. Fields that we do not use are ignored.
#[derive(Deserialize)]
struct Payment {
    id: String,
    amount_minor: i64,
    currency: String,
    reference: String,
    account: String,
    live: bool,
    status: PaymentStatus,
    created_at_ms: i64,
    pay_url: Option<String>,
    last_error: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaymentStatus {
    AwaitingPayer,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
    Expired,
}

impl PaymentStatus {
    /// How much it matters when several payments share a reference.
    fn weight(self) -> u8 {
        match self {
            Self::Canceled | Self::Expired => 0,
            Self::AwaitingPayer | Self::RequiresAction => 1,
            Self::Processing => 2,
            Self::Succeeded => 3,
        }
    }
}

#[derive(Deserialize)]
struct Payments {
    payments: Vec<Payment>,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    amount_minor: i64,
    currency: String,
    reference: String,
    status: String,
}

#[derive(Deserialize)]
struct Refunds {
    refunds: Vec<Refund>,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    code: String,
    field: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    id: String,
    payment: Option<String>,
    account: Option<String>,
    live: Option<bool>,
}

/// `None` when anything in it makes no sense.
fn seen(payment: Payment) -> Option<Outcome> {
    let amount = amount(payment.amount_minor, &payment.currency)?;
    let may_pay = |url: &String| reqwest::Url::parse(url).is_ok_and(|url| may_be_called(&url));
    let (status, handoff) = match payment.status {
        PaymentStatus::AwaitingPayer | PaymentStatus::RequiresAction => {
            let page = payment.pay_url.filter(may_pay).map(|url| Handoff::Page { url });
            (Status::Open, page)
        }
        PaymentStatus::Processing => (Status::Processing, None),
        // It keeps no time of payment. The time of creation is at most fifteen minutes older.
        PaymentStatus::Succeeded => {
            let at = Timestamp(payment.created_at_ms);
            (Status::Captured { at }, None)
        }
        PaymentStatus::Canceled | PaymentStatus::Expired => {
            let reason = match (payment.last_error.as_deref(), payment.status) {
                (Some("card_declined"), _) => "card.declined",
                (Some("authentication_failed"), _) => "submit.bank_failed",
                (_, PaymentStatus::Expired) => "submit.bank_late",
                _ => "submit.bank_left",
            };
            let reason = reason.to_owned();
            (Status::Dead { reason }, None)
        }
    };
    is_id(&payment.id).then(|| Outcome::Seen {
        seen: Seen {
            provider_payment: payment.id,
            status,
            amount,
            reference: payment.reference,
            account: payment.account,
            live: payment.live,
            method: "card".to_owned(),
        },
        handoff,
    })
}

fn refunded(refund: Refund) -> Option<RefundOutcome> {
    let amount = amount(refund.amount_minor, &refund.currency)?;
    (is_id(&refund.id) && refund.status == "succeeded")
        .then_some(RefundOutcome::Done { provider_refund: refund.id, amount })
}

fn amount(minor: i64, currency: &str) -> Option<Amount> {
    Amount::new(minor, Currency::of(currency).ok()?).ok()
}

/// A readable refusal, which proves that nothing was done.
fn refusal(status: u16, body: &[u8]) -> Option<RefusalError> {
    let Ok(Refusal { error }) = serde_json::from_slice(body) else {
        return None;
    };
    // A key that was used for another request means that something was done under it.
    (matches!(status, 400 | 401 | 404 | 409 | 413 | 422) && error.code != "idempotency_conflict").then_some(error)
}

impl RefusalError {
    /// Why a creation was refused, as a key of the registry.
    fn reason(&self) -> &'static str {
        match self.field.as_deref() {
            Some("amount_minor") => "invoice.limits",
            Some("currency") => "invoice.currency",
            Some("expires_at_ms") => "submit.bank_late",
            _ => "method.provider_down",
        }
    }
}
