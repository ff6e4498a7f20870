//! Payment providers behind one trait: an adapter turns what the till wants into an HTTP request, and what came back into
//! what the engine understands.
//!
//! Adapters are pure. They build a request, read an answer and verify a webhook; [`http::Http`] is what talks. A
//! provider's own names for statuses and errors stay in its adapter.
//!
//! Three rules hold for every adapter:
//!
//! * **Doubt is [`Outcome::NoAnswer`].** A 5xx, a time-out, a body that cannot be read, a status we do not know, a refusal
//!   of anything but a creation: none of them proves that no money moved. [`Outcome::Rejected`] comes only from a readable
//!   refusal to create.
//! * **Nothing is compared here.** Amount, currency, reference, account and live or test are handed on as the provider
//!   says them; `comptoir_engine::payment` compares.
//! * **A webhook is a [`Hint`]**: it names what to look up and proves nothing else.

pub mod http;
mod message;
mod sandbox;
mod secret;
mod signature;
mod stripe;

use comptoir_content::{Amount, Handoff, Timestamp};
use comptoir_engine::payment::{Seen, Status};
use serde::de::DeserializeOwned;

pub use message::{HttpRequest, HttpResponse, Method, Operation};
pub use sandbox::{Sandbox, SandboxConfig};
pub use secret::{ConfigError, Secret};
pub use stripe::{STRIPE_VERSION, Stripe, StripeConfig, StripeKeys};

/// The largest webhook that is looked at, in bytes.
pub const WEBHOOK_BYTES_MAX: usize = 256 << 10;

/// A place where money can be taken.
pub trait Provider: Send + Sync {
    /// The name in our registry, as the payees of a profile spell it: `sandbox`, `stripe`.
    fn name(&self) -> &'static str;

    /// Our account at the provider, as in the profile's payees.
    fn account(&self) -> &str;

    /// Whether real money moves.
    fn is_live(&self) -> bool;

    /// Whether the provider can express this amount exactly. Nothing is ever rounded: an amount that it cannot express
    /// is refused by the provider.
    fn takes(&self, amount: Amount) -> bool;

    /// Starts a payment. The same [`Create`] gives the same bytes, so it may be sent again under its key.
    fn create(&self, create: &Create<'_>) -> HttpRequest;

    /// Looks a payment up by the provider's id.
    fn read(&self, provider_payment: &str) -> HttpRequest;

    /// Looks a payment up by our own reference: for a creation that had no answer.
    fn find(&self, find: &Find<'_>) -> HttpRequest;

    /// Ends a payment that was not paid.
    fn cancel(&self, provider_payment: &str, idempotency_key: &str) -> HttpRequest;

    /// Gives money back. The same [`RefundOf`] gives the same bytes.
    fn refund(&self, refund: &RefundOf<'_>) -> HttpRequest;

    /// Lists the refunds of a payment, to find ours by its reference after no answer.
    fn find_refund(&self, provider_payment: &str) -> HttpRequest;

    /// The answer to [`Provider::create`], [`Provider::read`] or [`Provider::cancel`].
    ///
    /// Only a creation can be [`Outcome::Rejected`], and only [`Provider::find`] finds nothing: a provider that gave us an
    /// id once does not unlearn it, so a read that ends in "no such payment" (another key, another account) proves
    /// nothing and is [`Outcome::NoAnswer`], and so is a cancellation that is refused because the payment was made.
    fn parse_payment(&self, response: &HttpResponse) -> Outcome;

    /// The answer to [`Provider::find`] for the same [`Find`].
    fn parse_found(&self, response: &HttpResponse, find: &Find<'_>) -> Found;

    /// The answer to [`Provider::refund`].
    fn parse_refund(&self, response: &HttpResponse) -> RefundOutcome;

    /// The answer to [`Provider::find_refund`] for the refund with this reference.
    fn parse_found_refund(&self, response: &HttpResponse, reference: &str) -> RefundOutcome;

    /// Verifies a webhook over its raw bytes, before anything is parsed. `header` looks a request header up by name.
    ///
    /// # Errors
    /// [`WebhookRefused`] when it was not signed with one of our secrets within five minutes of `now`, is too large, cannot
    /// be read, or speaks of another account or of the other kind of money.
    fn verify_webhook(
        &self,
        header: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Hint, WebhookRefused>;

    /// What the provider wants to hear for a webhook that was stored: status and body.
    fn acknowledge(&self) -> (u16, Vec<u8>);
}

/// A payment to start.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    pub amount: Amount,
    /// Ours: payment and attempt.
    pub reference: &'a str,
    pub idempotency_key: &'a str,
    /// One line for the payer and for the merchant's dashboard.
    pub description: &'a str,
    /// Where the provider's page sends the payer afterwards. From our configuration only.
    pub return_url: Option<&'a str>,
    pub expires_at: Timestamp,
}

/// A payment to look for.
#[derive(Clone, Copy, Debug)]
pub struct Find<'a> {
    /// Ours: payment and attempt.
    pub reference: &'a str,
    /// When it was first asked for: nothing older can be it.
    pub since: Timestamp,
    /// Where the page before ended: what [`Found::More`] said.
    pub after: Option<&'a str>,
}

/// What a look-up by reference comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Found, not there, or nobody knows.
    Outcome(Outcome),
    /// Not on this page, and the list goes on: ask again after this one.
    More(String),
}

/// Money to give back.
#[derive(Clone, Copy, Debug)]
pub struct RefundOf<'a> {
    pub provider_payment: &'a str,
    pub amount: Amount,
    /// Ours, one per refund.
    pub reference: &'a str,
    pub idempotency_key: &'a str,
}

/// What an answer about a payment comes down to. `reason` is a key of the registry of reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider has it, and this is what it says.
    Seen {
        seen: Seen,
        /// Where the payer pays, while that is possible.
        handoff: Option<Handoff>,
    },
    /// The provider refused to create it, for certain.
    Rejected { reason: String },
    /// Nobody knows.
    NoAnswer,
    /// The provider has nothing under this reference.
    NotFound,
}

impl Outcome {
    /// The rule for [`Provider::parse_payment`]. `seen` puts a payment that can be read into our words; `refused` says why
    /// an answer is a certain refusal to create.
    fn of<P: DeserializeOwned>(
        response: &HttpResponse,
        seen: impl FnOnce(P) -> Option<Self>,
        refused: impl FnOnce() -> Option<&'static str>,
    ) -> Self {
        let creates = response.operation == Operation::Create;
        if creates && !response.is_success() {
            return refused().map_or(Self::NoAnswer, |reason| Self::Rejected { reason: reason.to_owned() });
        }
        match response.read().and_then(seen) {
            // A creation that does not say how to pay is of no use to anyone.
            Some(Self::Seen { seen, handoff: None }) if creates && seen.status == Status::Open => Self::NoAnswer,
            outcome => outcome.unwrap_or(Self::NoAnswer),
        }
    }
}

/// What an answer about a refund comes down to. `reason` is a key of the registry of reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    Done {
        provider_refund: String,
        amount: Amount,
    },
    /// It is on its way.
    Pending {
        provider_refund: String,
    },
    /// It was not made, for certain.
    Rejected {
        reason: String,
    },
    /// Nobody knows. The same refund may be sent again under its key, or looked for.
    NoAnswer,
    /// The payment has no refund with this reference.
    NotFound,
}

impl RefundOutcome {
    /// The rule for [`Provider::parse_refund`]. `refunded` puts a refund that can be read into our words; `refused` says
    /// whether an answer proves that none was made. That our key is wrong proves nothing: the key is mended, and then the
    /// same refund is made.
    fn of<R: DeserializeOwned>(
        response: &HttpResponse,
        refunded: impl FnOnce(R) -> Option<Self>,
        refused: impl FnOnce() -> bool,
    ) -> Self {
        if !response.is_success() && refused() {
            return Self::Rejected { reason: "refund.failed".to_owned() };
        }
        response.read().and_then(refunded).unwrap_or(Self::NoAnswer)
    }
}

/// What a webhook is worth: something happened to this payment, go and look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The id of the event, out of the signed bytes: the same event twice has the same one.
    pub event: String,
    /// The provider's id of the payment; empty when the event is about something else.
    pub provider_payment: String,
    pub kind: HintKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintKind {
    Payment,
    Refund,
    /// Nothing that we act on.
    Other,
}

/// Why a webhook was not believed. The answer to its sender is the same for all of them: no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefused {
    #[error("no webhook secret is configured")]
    NotConfigured,
    #[error("larger than {WEBHOOK_BYTES_MAX} bytes")]
    TooLarge,
    #[error("no signature header")]
    NoSignature,
    #[error("a signature header that cannot be read")]
    BadSignatureHeader,
    #[error("not signed with our secret")]
    NotSigned,
    #[error("signed more than five minutes ago")]
    TooOld,
    #[error("signed more than five minutes in the future")]
    TooNew,
    #[error("signed, but not an event that can be read")]
    Unreadable,
    #[error("about another account")]
    OtherAccount,
    #[error("live where test is expected, or the other way round")]
    OtherMode,
}
