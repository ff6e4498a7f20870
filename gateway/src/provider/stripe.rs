//! Stripe, by PaymentIntents: the till creates an intent, the phone confirms it in Stripe's own sheet with the client
//! secret, the till looks it up. No card number comes near us.
//!
//! Requests use parameters that Stripe's published schema has and a stand-in server understands too: cards only (which
//! includes Apple Pay and Google Pay), captured at once, our reference and account in `metadata`. Descriptions go there
//! as well. An intent has no expiry of its own, and no address to return to before it is confirmed; the engine cancels
//! what ran out.
//!
//! Look-up by reference lists the newest hundred intents instead of searching, because Stripe's search is minutes behind
//! and would deny what exists. A list that goes on without ours in it is no answer.

mod money;

use std::path::{Path, PathBuf};

use comptoir_content::{Amount, Handoff, Timestamp};
use comptoir_engine::payment::{Seen, Status};
use serde::Deserialize;

use super::message::{escaped, form, is_id, one_line};
use super::secret::{base_url, read, read_webhook};
use super::{
    ConfigError, Create, Hint, HintKind, HttpRequest, HttpResponse, Operation, Outcome, Provider, RefundOf,
    RefundOutcome, Secret, WebhookRefused, signature,
};

/// The version of Stripe's interface that this adapter was written against, and is answered in.
pub const STRIPE_VERSION: &str = "2022-11-15";
const FORM: &str = "application/x-www-form-urlencoded";
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

    fn seen(&self, intent: Intent) -> Option<Outcome> {
        let amount = match (intent.status, intent.amount_received) {
            (IntentStatus::Succeeded, Some(received)) => received,
            _ => intent.amount,
        };
        let amount = money::from_stripe(amount, &intent.currency)?;
        let account = intent.payee().unwrap_or_default();
        let charge = match intent.latest_charge {
            Some(IdOr::Object(charge)) => Some(charge),
            Some(IdOr::Id(_)) | None => None,
        };
        let (status, handoff) = match intent.status {
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation | IntentStatus::RequiresAction => {
                let handoff = intent.client_secret.filter(|secret| !secret.is_empty()).map(|client_secret| {
                    let publishable_key = self.keys.publishable_key.clone();
                    Handoff::Sdk { publishable_key, client_secret }
                });
                (Status::Open, handoff)
            }
            // Authorised and not captured: not by us, who capture at once. The engine cancels it when its time is over.
            IntentStatus::Processing | IntentStatus::RequiresCapture => (Status::Processing, None),
            IntentStatus::Succeeded => {
                let created_s = charge.as_ref().map_or(intent.created, |charge| charge.created);
                let at = Timestamp(created_s.checked_mul(1000)?);
                (Status::Captured { at }, None)
            }
            IntentStatus::Canceled => {
                let error = intent.last_payment_error.as_ref();
                let reason = error.map_or("submit.bank_left", |error| error.card_reason()).to_owned();
                (Status::Dead { reason }, None)
            }
            IntentStatus::Unrecognised => return None,
        };
        let ours = intent.object == "payment_intent" && is_id(&intent.id);
        ours.then(|| Outcome::Seen {
            seen: Seen {
                provider_payment: intent.id,
                status,
                amount,
                reference: reference(intent.metadata.as_ref()).unwrap_or_default().to_owned(),
                account,
                live: intent.livemode,
                method: charge.map_or_else(|| "card".to_owned(), |charge| charge.method()),
            },
            handoff,
        })
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

    fn find(&self, _reference: &str) -> HttpRequest {
        self.get(Operation::Find, "/v1/payment_intents?limit=100&expand[]=data.latest_charge")
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
        match response.status {
            200..=299 => {
                let intent = serde_json::from_slice(&response.body).ok();
                match intent.and_then(|intent| self.seen(intent)) {
                    // A creation that does not say how to pay is of no use to anyone.
                    Some(Outcome::Seen { seen, handoff: None })
                        if response.operation == Operation::Create && seen.status == Status::Open =>
                    {
                        Outcome::NoAnswer
                    }
                    outcome => outcome.unwrap_or(Outcome::NoAnswer),
                }
            }
            status if response.operation == Operation::Create => match refusal(status, &response.body) {
                Some(error) => Outcome::Rejected { reason: error.create_reason().to_owned() },
                None => Outcome::NoAnswer,
            },
            _ => Outcome::NoAnswer,
        }
    }

    fn parse_found(&self, response: &HttpResponse, reference: &str) -> Outcome {
        let Some(list) = list::<Intent>(response) else {
            return Outcome::NoAnswer;
        };
        let is_ours = |intent: &Intent| self::reference(intent.metadata.as_ref()) == Some(reference);
        // Several under one reference: the one that was paid, or may be, counts before the others.
        match list.data.into_iter().filter(is_ours).max_by_key(|intent| intent.status.weight()) {
            Some(intent) => self.seen(intent).unwrap_or(Outcome::NoAnswer),
            None if list.has_more => Outcome::NoAnswer,
            None => Outcome::NotFound,
        }
    }

    fn parse_refund(&self, response: &HttpResponse) -> RefundOutcome {
        match response.status {
            200..=299 => {
                serde_json::from_slice(&response.body).ok().and_then(refunded).unwrap_or(RefundOutcome::NoAnswer)
            }
            // Our key is wrong: that is mended, and then the same refund is made.
            401 | 403 => RefundOutcome::NoAnswer,
            status => match refusal(status, &response.body) {
                Some(_) => RefundOutcome::Rejected { reason: "refund.failed".to_owned() },
                None => RefundOutcome::NoAnswer,
            },
        }
    }

    fn parse_found_refund(&self, response: &HttpResponse, reference: &str) -> RefundOutcome {
        let Some(list) = list::<Refund>(response) else {
            return RefundOutcome::NoAnswer;
        };
        let is_ours = |refund: &Refund| self::reference(refund.metadata.as_ref()) == Some(reference);
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
        let signed = header("stripe-signature");
        signature::verify(signed.as_deref(), body, &self.keys.webhook_secrets, now)?;
        let event: Event = serde_json::from_slice(body).map_err(|_| WebhookRefused::Unreadable)?;
        if event.object != "event" || !is_id(&event.id) {
            return Err(WebhookRefused::Unreadable);
        }
        if event.account.is_some_and(|account| account != self.keys.account) {
            return Err(WebhookRefused::OtherAccount);
        }
        if event.livemode != self.keys.live {
            return Err(WebhookRefused::OtherMode);
        }
        let about = event.data.object;
        let payment = about.payment_intent.map(IdOr::into_id);
        let (kind, provider_payment) = match event.kind.as_str() {
            kind if kind.starts_with("payment_intent.") => (HintKind::Payment, about.id),
            kind if kind.starts_with("refund.") => (HintKind::Refund, payment),
            "charge.refunded" | "charge.refund.updated" => (HintKind::Refund, payment),
            _ => (HintKind::Other, payment),
        };
        match provider_payment {
            Some(id) if !is_id(&id) => Err(WebhookRefused::Unreadable),
            Some(provider_payment) => Ok(Hint { event: event.id, provider_payment, kind }),
            // A refund of a charge that no intent made is not ours.
            None => Ok(Hint { event: event.id, provider_payment: String::new(), kind: HintKind::Other }),
        }
    }

    fn acknowledge(&self) -> (u16, Vec<u8>) {
        (200, Vec::new())
    }
}

/// A PaymentIntent, of which we read what we need: other fields may come and go.
#[derive(Deserialize)]
struct Intent {
    id: String,
    object: String,
    amount: i64,
    amount_received: Option<i64>,
    currency: String,
    status: IntentStatus,
    livemode: bool,
    created: i64,
    client_secret: Option<String>,
    metadata: Option<Metadata>,
    latest_charge: Option<IdOr<Charge>>,
    last_payment_error: Option<StripeError>,
    /// Set when the money goes to somebody else, which we never ask for.
    on_behalf_of: Option<IdOr<Named>>,
    transfer_data: Option<Transfer>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
    /// A status that is newer than we are. Other intents in the same list can be read all the same.
    #[serde(other)]
    Unrecognised,
}

impl IntentStatus {
    /// How much it matters when several intents share a reference.
    fn weight(self) -> u8 {
        match self {
            Self::Canceled => 0,
            Self::RequiresPaymentMethod | Self::RequiresConfirmation | Self::RequiresAction => 1,
            Self::Processing | Self::RequiresCapture | Self::Unrecognised => 2,
            Self::Succeeded => 3,
        }
    }
}

/// What we wrote there when we created it.
#[derive(Deserialize)]
struct Metadata {
    reference: Option<String>,
    account: Option<String>,
}

fn reference(metadata: Option<&Metadata>) -> Option<&str> {
    metadata?.reference.as_deref()
}

/// Stripe gives an id, or the object itself where it was asked to expand it.
#[derive(Deserialize)]
#[serde(untagged)]
enum IdOr<T> {
    Id(String),
    Object(T),
}

impl IdOr<Named> {
    fn into_id(self) -> String {
        match self {
            Self::Id(id) | Self::Object(Named { id }) => id,
        }
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Transfer {
    destination: IdOr<Named>,
}

#[derive(Deserialize)]
struct Charge {
    created: i64,
    payment_method_details: Option<MethodDetails>,
}

#[derive(Deserialize)]
struct MethodDetails {
    card: Option<CardDetails>,
}

#[derive(Deserialize)]
struct CardDetails {
    brand: Option<String>,
    last4: Option<String>,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    object: String,
    amount: i64,
    currency: String,
    status: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct List<T> {
    object: String,
    data: Vec<T>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Refusal {
    error: StripeError,
}

#[derive(Deserialize)]
struct StripeError {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    object: String,
    #[serde(rename = "type")]
    kind: String,
    livemode: bool,
    account: Option<String>,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: About,
}

#[derive(Deserialize)]
struct About {
    id: Option<String>,
    payment_intent: Option<IdOr<Named>>,
}

impl Intent {
    /// Whose money it becomes. The creation wrote our account into `metadata`.
    fn payee(&self) -> Option<String> {
        let others = [self.transfer_data.as_ref().map(|transfer| &transfer.destination), self.on_behalf_of.as_ref()];
        let other = others.into_iter().flatten().next().map(|account| match account {
            IdOr::Id(id) | IdOr::Object(Named { id }) => id.clone(),
        });
        other.or_else(|| self.metadata.as_ref()?.account.clone())
    }
}

impl Charge {
    /// `visa ···· 4242`.
    fn method(&self) -> String {
        let card = self.payment_method_details.as_ref().and_then(|details| details.card.as_ref());
        let fits = |text: &&String, chars: std::ops::RangeInclusive<usize>, allowed: fn(&u8) -> bool| {
            chars.contains(&text.len()) && text.as_bytes().iter().all(allowed)
        };
        let brand = card
            .and_then(|card| card.brand.as_ref())
            .filter(|brand| fits(brand, 1..=20, |byte| byte.is_ascii_lowercase() || *byte == b'_'));
        let last4 = card.and_then(|card| card.last4.as_ref()).filter(|last4| fits(last4, 4..=4, u8::is_ascii_digit));
        let brand = brand.map_or("card", String::as_str);
        match last4 {
            Some(last4) => format!("{brand} ···· {last4}"),
            None => brand.to_owned(),
        }
    }
}

impl StripeError {
    /// Why the last card was not taken.
    fn card_reason(&self) -> &'static str {
        match self.code.as_deref() {
            Some("expired_card" | "invalid_expiry_month" | "invalid_expiry_year") => "card.expired",
            Some("incorrect_number" | "invalid_number") => "card.number",
            Some("incorrect_cvc" | "invalid_cvc") => "card.cvc",
            Some("payment_intent_authentication_failure" | "authentication_required") => "submit.bank_failed",
            _ => "card.declined",
        }
    }

    /// Why a creation was refused.
    fn create_reason(&self) -> &'static str {
        match (self.code.as_deref(), self.param.as_deref()) {
            (Some("amount_too_small" | "amount_too_large"), _) => "invoice.limits",
            (_, Some("amount" | "currency")) => "invoice.currency",
            _ => "method.provider_down",
        }
    }
}

fn refunded(refund: Refund) -> Option<RefundOutcome> {
    let amount = money::from_stripe(refund.amount, &refund.currency)?;
    if refund.object != "refund" || !is_id(&refund.id) {
        return None;
    }
    let provider_refund = refund.id;
    match refund.status.as_deref()? {
        "succeeded" => Some(RefundOutcome::Done { provider_refund, amount }),
        "pending" | "requires_action" => Some(RefundOutcome::Pending { provider_refund }),
        "failed" | "canceled" => Some(RefundOutcome::Rejected { reason: "refund.failed".to_owned() }),
        _ => None,
    }
}

fn list<T: serde::de::DeserializeOwned>(response: &HttpResponse) -> Option<List<T>> {
    if !(200..=299).contains(&response.status) {
        return None;
    }
    let list: List<T> = serde_json::from_slice(&response.body).ok()?;
    (list.object == "list").then_some(list)
}

/// A readable refusal, which proves that nothing was done.
fn refusal(status: u16, body: &[u8]) -> Option<StripeError> {
    let Ok(Refusal { error }) = serde_json::from_slice(body) else {
        return None;
    };
    let kind = error.kind.as_deref()?;
    // An idempotency error means that something was done under the key; an API error that Stripe itself does not know.
    let is_certain = !matches!(kind, "idempotency_error" | "api_error");
    (is_certain && matches!(status, 400..=404)).then_some(error)
}
