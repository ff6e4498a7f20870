//! Our practice provider (`docs/sandbox.md`): hosted page, practice cards, no money.

mod answers;
mod webhook;

use std::path::{Path, PathBuf};

use comptoir_content::{Amount, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::message::{escaped, one_line};
use super::secret::{base_url, read, read_webhook};
use super::{
    ConfigError, Create, Find, Found, Hint, HttpRequest, HttpResponse, Operation, Outcome, Provider, RefundOf,
    RefundOutcome, Secret, WebhookRefused,
};
use answers::{Payments, Refunds, refunded, refusal, seen};

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

    fn find(&self, find: &Find<'_>) -> HttpRequest {
        self.get(Operation::Find, &format!("/v1/payments?reference={}", escaped(find.reference)))
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
        Outcome::of(response, seen, || refusal(response).map(|error| error.create_reason()))
    }

    fn parse_found(&self, response: &HttpResponse, find: &Find<'_>) -> Found {
        let Some(Payments { payments }) = response.read() else {
            return Found::Outcome(Outcome::NoAnswer);
        };
        let ours = payments.into_iter().filter(|payment| payment.reference == find.reference);
        // Several under one reference: the one that was paid, or may be, counts before the others.
        Found::Outcome(match ours.max_by_key(|payment| payment.status.weight()) {
            Some(payment) => seen(payment).unwrap_or(Outcome::NoAnswer),
            None => Outcome::NotFound,
        })
    }

    fn parse_refund(&self, response: &HttpResponse) -> RefundOutcome {
        let refused = || refusal(response).is_some_and(|error| error.code != "unauthorized");
        RefundOutcome::of(response, refunded, refused)
    }

    fn parse_found_refund(&self, response: &HttpResponse, reference: &str) -> RefundOutcome {
        let Some(Refunds { refunds }) = response.read() else {
            return RefundOutcome::NoAnswer;
        };
        match refunds.into_iter().find(|refund| refund.reference == reference) {
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
        self.hint(header("sandbox-signature").as_deref(), body, now)
    }

    fn acknowledge(&self) -> (u16, Vec<u8>) {
        (200, Vec::new())
    }
}
