//! Stripe, by PaymentIntents: the till creates an intent, the phone confirms it in Stripe's own sheet with the client
//! secret, the till looks it up. No card number comes near us.
//!
//! Requests use parameters that Stripe's published schema has and a stand-in server understands too: cards only (which
//! includes Apple Pay and Google Pay), captured at once, our reference and account in `metadata`. Descriptions go there
//! as well. An intent has no expiry of its own, and no address to return to before it is confirmed; the engine cancels
//! what ran out.
//!
//! Look-up by reference lists intents, newest first and a hundred a page, instead of searching, because Stripe's search is
//! minutes behind and would deny what exists. The list is read back to the day before ours was first asked for.

mod answers;
mod money;
mod webhook;

use std::path::{Path, PathBuf};

use comptoir_content::{Amount, Timestamp};
use serde::Deserialize;

use super::message::{escaped, form, is_id, one_line};
use super::secret::{base_url, read, read_webhook};
use super::{
    ConfigError, Create, Find, Found, Hint, HttpRequest, HttpResponse, Operation, Outcome, Provider, RefundOf,
    RefundOutcome, Secret, WebhookRefused,
};
use answers::{Intent, Refund, list, refunded, refusal};

/// The version of Stripe's interface that this adapter was written against, and is answered in.
pub const STRIPE_VERSION: &str = "2022-11-15";
const FORM: &str = "application/x-www-form-urlencoded";
/// How far clocks may be apart, generously: an intent older than this before ours cannot be ours.
const DAY_MS: i64 = 24 * 3_600_000;
/// The longest value in `metadata`, in characters.
const METADATA_CHARS_MAX: usize = 500;

/// Our account at Stripe and where its keys are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeConfig {
    /// Whether real money moves. Keys of the other kind are refused.
    pub live: bool,
    /// `acct_…`, as in the profile's payees.
    pub account: String,
    /// `pk_…`; phones get it.
    pub publishable_key: String,
    /// Holds `sk_…`, or better a restricted `rk_…` that may write PaymentIntents and refunds.
    pub secret_key_file: PathBuf,
    /// Holds `whsec_…`. Without it no webhook is believed, and payments are only looked up.
    pub webhook_secret_file: Option<PathBuf>,
    /// The webhook secret before, while it is being replaced.
    pub previous_webhook_secret_file: Option<PathBuf>,
    /// Stripe, unless a stand-in for tests takes its place.
    #[serde(default = "stripe_url")]
    pub url: String,
}

fn stripe_url() -> String {
    "https://api.stripe.com".to_owned()
}

/// What [`Stripe::new`] is made of; the same as [`StripeConfig`] with the secrets at hand.
#[derive(Clone, Debug)]
pub struct StripeKeys {
    pub live: bool,
    pub account: String,
    pub publishable_key: String,
    pub secret_key: Secret,
    /// The present one and the one before.
    pub webhook_secrets: Vec<Secret>,
    pub url: String,
}

/// The adapter for Stripe.
#[derive(Clone, Debug)]
pub struct Stripe {
    keys: StripeKeys,
}

impl Stripe {
    /// Reads the secrets; relative paths are meant from `folder`.
    ///
    /// # Errors
    /// [`ConfigError`] names the field.
    pub fn open(config: &StripeConfig, folder: &Path) -> Result<Self, ConfigError> {
        let webhook_secrets = read_webhook(
            ["stripe.webhook_secret_file", "stripe.previous_webhook_secret_file"],
            folder,
            [config.webhook_secret_file.as_deref(), config.previous_webhook_secret_file.as_deref()],
        )?;
        Self::new(StripeKeys {
            live: config.live,
            account: config.account.clone(),
            publishable_key: config.publishable_key.clone(),
            secret_key: read("stripe.secret_key_file", folder, &config.secret_key_file)?,
            webhook_secrets,
            url: config.url.clone(),
        })
    }

    /// # Errors
    /// [`ConfigError::Field`] when a key is not a key, or one of live money where test is configured and the other way
    /// round.
    pub fn new(mut keys: StripeKeys) -> Result<Self, ConfigError> {
        let mode = if keys.live { "_live_" } else { "_test_" };
        let is_key = |key: &str, kinds: &[&str]| kinds.iter().any(|kind| key.starts_with(&format!("{kind}{mode}")));
        if !keys.account.starts_with("acct_") || !is_id(&keys.account) {
            return Err(ConfigError::field("stripe.account", "must be the acct_… of the account"));
        }
        if !is_key(&keys.publishable_key, &["pk"]) || !is_id(&keys.publishable_key) {
            let rule = "must be pk_live_… with live = true, pk_test_… with live = false";
            return Err(ConfigError::field("stripe.publishable_key", rule));
        }
        if !is_key(keys.secret_key.expose(), &["sk", "rk"]) || !keys.secret_key.is_plain() {
            let rule = "must hold sk_live_… or rk_live_… with live = true, sk_test_… or rk_test_… with live = false";
            return Err(ConfigError::field("stripe.secret_key_file", rule));
        }
        let is_webhook_secret = |secret: &Secret| secret.is_plain() && secret.expose().starts_with("whsec_");
        if !keys.webhook_secrets.iter().all(is_webhook_secret) {
            return Err(ConfigError::field("stripe.webhook_secret_file", "must hold whsec_…"));
        }
        keys.url = base_url("stripe.url", &keys.url)?;
        Ok(Self { keys })
    }

    fn get(&self, operation: Operation, path: &str) -> HttpRequest {
        self.authorized(HttpRequest::get(operation, format!("{}{path}", self.keys.url)))
    }

    fn post(&self, operation: Operation, path: &str, key: &str, fields: &[(&str, &str)]) -> HttpRequest {
        self.authorized(HttpRequest::post(operation, format!("{}{path}", self.keys.url)))
            .header("idempotency-key", key)
            .body(FORM, form(fields))
    }

    fn authorized(&self, request: HttpRequest) -> HttpRequest {
        request
            .header("authorization", format!("Bearer {}", self.keys.secret_key.expose()))
            .header("stripe-version", STRIPE_VERSION)
    }
}

impl Provider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn account(&self) -> &str {
        &self.keys.account
    }

    fn is_live(&self) -> bool {
        self.keys.live
    }

    fn takes(&self, amount: Amount) -> bool {
        amount.minor() > 0 && money::to_stripe(amount).is_some()
    }

    fn create(&self, create: &Create<'_>) -> HttpRequest {
        let amount = money::digits(create.amount);
        let currency = create.amount.currency().code().to_ascii_lowercase();
        let description = one_line(create.description, METADATA_CHARS_MAX);
        let mut fields = vec![
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("payment_method_types[0]", "card"),
            ("metadata[reference]", create.reference),
            ("metadata[account]", &self.keys.account),
        ];
        if !description.trim().is_empty() {
            fields.push(("metadata[description]", &description));
        }
        self.post(Operation::Create, "/v1/payment_intents", create.idempotency_key, &fields)
    }

    fn read(&self, provider_payment: &str) -> HttpRequest {
        let path = format!("/v1/payment_intents/{}?expand[]=latest_charge", escaped(provider_payment));
        self.get(Operation::Read, &path)
    }

    fn find(&self, find: &Find<'_>) -> HttpRequest {
        let after = find.after.map(|id| format!("&starting_after={}", escaped(id))).unwrap_or_default();
        self.get(Operation::Find, &format!("/v1/payment_intents?limit=100&expand[]=data.latest_charge{after}"))
    }

    fn cancel(&self, provider_payment: &str, idempotency_key: &str) -> HttpRequest {
        let path = format!("/v1/payment_intents/{}/cancel", escaped(provider_payment));
        self.post(Operation::Cancel, &path, idempotency_key, &[("expand[0]", "latest_charge")])
    }

    fn refund(&self, refund: &RefundOf<'_>) -> HttpRequest {
        let amount = money::digits(refund.amount);
        let fields = [
            ("payment_intent", refund.provider_payment),
            ("amount", &amount),
            ("metadata[reference]", refund.reference),
        ];
        self.post(Operation::Refund, "/v1/refunds", refund.idempotency_key, &fields)
    }

    fn find_refund(&self, provider_payment: &str) -> HttpRequest {
        let path = format!("/v1/refunds?payment_intent={}&limit=100", escaped(provider_payment));
        self.get(Operation::FindRefund, &path)
    }

    fn parse_payment(&self, response: &HttpResponse) -> Outcome {
        let refused = || refusal(response).map(|error| error.create_reason());
        Outcome::of(response, |intent| self.seen(intent), refused)
    }

    fn parse_found(&self, response: &HttpResponse, find: &Find<'_>) -> Found {
        let Some(list) = list::<Intent>(response) else {
            return Found::Outcome(Outcome::NoAnswer);
        };
        let oldest = list.data.last().map(|intent| (intent.id.clone(), intent.created));
        let is_ours = |intent: &Intent| answers::reference(intent.metadata.as_ref()) == Some(find.reference);
        // Several under one reference: the one that was paid, or may be, counts before the others.
        if let Some(intent) = list.data.into_iter().filter(is_ours).max_by_key(|intent| intent.status.weight()) {
            return Found::Outcome(self.seen(intent).unwrap_or(Outcome::NoAnswer));
        }
        match oldest {
            Some((id, created_s)) if list.has_more => {
                if Timestamp(created_s.saturating_mul(1000)).plus_ms(DAY_MS) < find.since {
                    Found::Outcome(Outcome::NotFound)
                } else if is_id(&id) {
                    Found::More(id)
                } else {
                    Found::Outcome(Outcome::NoAnswer)
                }
            }
            None if list.has_more => Found::Outcome(Outcome::NoAnswer),
            Some(_) | None => Found::Outcome(Outcome::NotFound),
        }
    }

    fn parse_refund(&self, response: &HttpResponse) -> RefundOutcome {
        let refused = || !matches!(response.status, 401 | 403) && refusal(response).is_some();
        RefundOutcome::of(response, refunded, refused)
    }

    fn parse_found_refund(&self, response: &HttpResponse, reference: &str) -> RefundOutcome {
        let Some(list) = list::<Refund>(response) else {
            return RefundOutcome::NoAnswer;
        };
        let is_ours = |refund: &Refund| answers::reference(refund.metadata.as_ref()) == Some(reference);
        match list.data.into_iter().find(is_ours) {
            Some(refund) => refunded(refund).unwrap_or(RefundOutcome::NoAnswer),
            None if list.has_more => RefundOutcome::NoAnswer,
            None => RefundOutcome::NotFound,
        }
    }

    fn verify_webhook(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Hint, WebhookRefused> {
        self.hint(header("stripe-signature").as_deref(), body, now)
    }

    fn acknowledge(&self) -> (u16, Vec<u8>) {
        (200, Vec::new())
    }
}
