//! The customer's half of a payment: one live attempt, and "paid" only by a verified receipt.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Offered: an invoice arrives
//!     Offered --> Placed: tap
//!     NotPaid --> Placed: tap again
//!     Placed --> AwaitingConsent: the till asks for the payment
//!     AwaitingConsent --> Settling: the sheet closed, whatever it says
//!     Settling --> AwaitingConsent: the hand-off came late, and was never used
//!     Placed --> NotPaid: the till says this attempt is over
//!     AwaitingConsent --> NotPaid: same
//!     Settling --> NotPaid: same
//!     Offered --> Expired
//!     Placed --> Paid: receipt
//!     AwaitingConsent --> Paid: receipt
//!     Settling --> Paid: receipt
//!     NotPaid --> Paid: receipt, late is not lost
//!     Expired --> Paid: receipt
//!     Paid --> PartRefunded
//!     Paid --> Refunded
//!     PartRefunded --> Refunded
//! ```
//!
//! What a payment sheet reports is a hint. From the moment the hand-off could have been used, the only ways out are a
//! receipt and the till's signed word that the attempt is over.

use comptoir_content::{
    AnswerBody, AskPayment, Handoff, Invoice, NotPaid, OrderId, OrderInfo, OrderPlaced, Payee, PaymentAnswer,
    PaymentId, PaymentRequest, Receipt, Refund, SigningKey, Timestamp, Verified,
};

use crate::account::{Account, TillVerdict};
use crate::receipt::{Settled, check_refund};
use crate::{Refused, limits, outbox};

/// What a shop's reason is taken for when it is none of ours.
const UNKNOWN_REASON: &str = "submit.failed";
/// While nothing was heard, the till is asked again after this long at first, in milliseconds.
const PATIENCE_MS: i64 = 8_000;
/// An order of another device is that device's to ask about. One that shows nothing else for so long was missed here, or is
/// gone with that device: then this one asks too, in milliseconds.
const ELSEWHERE_PATIENCE_MS: i64 = 15 * 60_000;

/// The states of a payment, and the only list of them. What a screen shows is a projection of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Offered,
    Placed,
    AwaitingConsent,
    Settling,
    NotPaid,
    Paid,
    PartRefunded,
    Refunded,
    Expired,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Offered,
        Self::Placed,
        Self::AwaitingConsent,
        Self::Settling,
        Self::NotPaid,
        Self::Paid,
        Self::PartRefunded,
        Self::Refunded,
        Self::Expired,
    ];

    /// The stable name, for storing.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Placed => "placed",
            Self::AwaitingConsent => "awaiting_consent",
            Self::Settling => "settling",
            Self::NotPaid => "not_paid",
            Self::Paid => "paid",
            Self::PartRefunded => "part_refunded",
            Self::Refunded => "refunded",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// True while nobody may pay this again.
    #[must_use]
    pub fn is_unresolved(self) -> bool {
        match self {
            Self::Placed | Self::AwaitingConsent | Self::Settling => true,
            Self::Offered | Self::NotPaid | Self::Paid | Self::PartRefunded | Self::Refunded | Self::Expired => false,
        }
    }
}

/// One invoice on a customer's device, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    pub invoice: Verified<Invoice>,
    pub state: State,
    /// The order, from the first tap on. Its attempt grows; order, payer key and payment keep.
    pub order: Option<OrderPlaced>,
    /// The last hand-off that the till gave.
    pub request: Option<PaymentRequest>,
    pub not_paid: Option<NotPaid>,
    pub receipt: Option<Verified<Receipt>>,
    pub refunded_minor: i64,
    /// How often the till was asked in a row.
    pub asks: u32,
    /// When to ask (or to give up an offer); nothing is scheduled when `None`.
    pub wake_at: Option<Timestamp>,
}

/// What the customer decided.
#[derive(Clone, Debug)]
pub struct Choice {
    pub tip_minor: i64,
    /// The provider to pay with, one of the invoice's payees. `None`: the first one.
    pub provider: Option<String>,
    pub info: OrderInfo,
    /// Fresh ids and key, used at the first tap only.
    pub order: OrderId,
    pub payment: PaymentId,
    pub payer: SigningKey,
}

/// What the payment sheet reported. Believed in nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SheetHint {
    Done,
    Canceled,
    Failed,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The customer tapped Pay, and `merchant` is the shop's account as verified now.
    Place {
        choice: Box<Choice>,
        merchant: &'a Account,
        /// Its account key was replaced, and nobody has confirmed the new one.
        key_changed: bool,
    },
    /// Another device of ours placed this order, and watches over it.
    PlacedElsewhere(Box<OrderPlaced>),
    /// The till answered; `payees` stand in the shop's profile.
    Answered { answer: Verified<PaymentAnswer>, merchant: &'a Account, payees: &'a [Payee] },
    /// The payment sheet closed.
    SheetClosed(SheetHint),
    /// A verified receipt for this order.
    Settled(Settled),
    /// A signed refund.
    Refunded { refund: Verified<Refund>, merchant: &'a Account },
    /// The time that `wake_at` named has come.
    Woken { random: u32 },
}

impl Input<'_> {
    fn name(&self) -> &'static str {
        match self {
            Input::Place { .. } => "a tap on Pay",
            Input::PlacedElsewhere(_) => "an order of our other device",
            Input::Answered { .. } => "the till's answer",
            Input::SheetClosed(_) => "a closed sheet",
            Input::Settled(_) => "a receipt",
            Input::Refunded { .. } => "a refund",
            Input::Woken { .. } => "an alarm",
        }
    }
}

/// What the caller does after it stored the next state, in the same transaction where it is a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    SendOrder(OrderPlaced),
    OpenSheet(PaymentRequest),
    Ask(AskPayment),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub next: Checkout,
    pub effects: Vec<Effect>,
}

impl Checkout {
    /// A verified invoice that just arrived.
    #[must_use]
    pub fn offered(invoice: Verified<Invoice>) -> Self {
        Self {
            wake_at: Some(invoice.expires_at),
            invoice,
            state: State::Offered,
            order: None,
            request: None,
            not_paid: None,
            receipt: None,
            refunded_minor: 0,
            asks: 0,
        }
    }

    fn order(&self) -> Result<&OrderPlaced, Refused> {
        self.order.as_ref().ok_or(Refused::OutOfOrder { state: self.state.name(), input: "anything about an order" })
    }

    fn ask(&self) -> Result<AskPayment, Refused> {
        let order = self.order()?;
        Ok(AskPayment { order: order.order, payment: order.payment, attempt: order.attempt })
    }

    fn stay(self) -> Result<Step, Refused> {
        Ok(Step { next: self, effects: vec![] })
    }
}

/// # Errors
/// [`Refused`] when a rule says no; nothing changed then.
pub fn step(checkout: Checkout, input: Input<'_>, now: Timestamp) -> Result<Step, Refused> {
    use {Input as I, State as S};
    match (checkout.state, input) {
        (S::Offered | S::NotPaid | S::Expired, I::Place { key_changed: true, .. }) => Err(Refused::KeyChanged),
        (S::Offered | S::NotPaid | S::Expired, I::Place { choice, merchant, key_changed: false }) => {
            place(checkout, *choice, merchant, now)
        }
        // A second tap finds the attempt that is on its way; it makes no other.
        (S::Placed | S::AwaitingConsent | S::Settling, I::Place { .. }) => Err(Refused::Checking),
        (S::Paid | S::PartRefunded | S::Refunded, I::Place { .. }) => Err(Refused::AlreadyPaid),

        (S::Offered | S::NotPaid | S::Expired, I::PlacedElsewhere(order)) => placed_elsewhere(checkout, *order, now),
        (
            S::Placed | S::AwaitingConsent | S::Settling | S::Paid | S::PartRefunded | S::Refunded,
            I::PlacedElsewhere(_),
        ) => checkout.stay(),

        (S::Placed | S::AwaitingConsent | S::Settling | S::NotPaid, I::Answered { answer, merchant, payees }) => {
            answered(checkout, &answer, merchant, payees, now)
        }
        // News about an attempt that the receipt has overtaken.
        (S::Paid | S::PartRefunded | S::Refunded, I::Answered { .. }) => checkout.stay(),

        (S::AwaitingConsent | S::Settling, I::SheetClosed(_)) => settling(checkout, now),
        (S::Paid | S::PartRefunded | S::Refunded | S::NotPaid, I::SheetClosed(_)) => checkout.stay(),

        // Late is not lost: also after it seemed over.
        (
            S::Placed
            | S::AwaitingConsent
            | S::Settling
            | S::NotPaid
            | S::Expired
            | S::Paid
            | S::PartRefunded
            | S::Refunded,
            I::Settled(settled),
        ) => settle(checkout, settled),

        (S::Paid | S::PartRefunded | S::Refunded, I::Refunded { refund, merchant }) => {
            refunded(checkout, &refund, merchant)
        }

        (S::Offered, I::Woken { .. }) if checkout.invoice.expires_at <= now => {
            Ok(Step { next: Checkout { state: S::Expired, wake_at: None, ..checkout }, effects: vec![] })
        }
        (S::Placed | S::AwaitingConsent | S::Settling, I::Woken { random }) => ask_again(checkout, random, now),
        (_, I::Woken { .. }) => checkout.stay(),

        (state, input) => Err(Refused::OutOfOrder { state: state.name(), input: input.name() }),
    }
}

fn place(checkout: Checkout, choice: Choice, merchant: &Account, now: Timestamp) -> Result<Step, Refused> {
    let invoice = &checkout.invoice;
    crate::invoice::check_signer(invoice, merchant)?;
    crate::invoice::check_rules(invoice)?;
    if invoice.expires_at <= now {
        return Err(Refused::InvoiceExpired);
    }
    if choice.tip_minor < 0 || choice.tip_minor > invoice.tip_max_minor {
        return Err(Refused::Tip);
    }
    check_info(invoice, &choice.info)?;
    let provider = match &choice.provider {
        Some(wanted) => invoice.payees.iter().find(|payee| payee.provider == *wanted),
        None => invoice.payees.first(),
    };
    let provider = provider.ok_or(Refused::MethodNone)?.provider.clone();
    // The order, its payer key and its payment are made once; another try is another attempt of the same payment.
    // Another device of ours may have placed it before: without its payer key this one makes an order of its own.
    let before = checkout.order.clone().filter(|before| before.payer_key == choice.payer.public());
    let order = match before {
        None => OrderPlaced {
            invoice: invoice.invoice,
            invoice_hash: invoice.hash(),
            order: choice.order,
            payment: choice.payment,
            attempt: 1,
            payer_key: choice.payer.public(),
            proof: [0; 64],
            tip_minor: choice.tip_minor,
            provider,
            info: choice.info,
        },
        // A receipt for an earlier try may still come, and it has to fit.
        Some(before) if before.tip_minor != choice.tip_minor => return Err(Refused::TipFixed),
        Some(before) => OrderPlaced {
            attempt: before.attempt.checked_add(1).ok_or(Refused::MethodNone)?,
            provider,
            info: choice.info,
            ..before
        },
    }
    .prove(&choice.payer);
    let next = Checkout {
        state: State::Placed,
        order: Some(order.clone()),
        request: None,
        not_paid: None,
        asks: 0,
        wake_at: Some(now.plus_ms(PATIENCE_MS)),
        ..checkout
    };
    Ok(Step { next, effects: vec![Effect::SendOrder(order)] })
}

/// This device shows that the invoice is being paid; the one that holds the payer key asks and opens sheets.
fn placed_elsewhere(checkout: Checkout, order: OrderPlaced, now: Timestamp) -> Result<Step, Refused> {
    if order.invoice_hash != checkout.invoice.hash() || order.check_proof().is_err() {
        return Err(Refused::InvoiceSignature);
    }
    let wake_at = Some(now.plus_ms(ELSEWHERE_PATIENCE_MS));
    let next =
        Checkout { state: State::Placed, order: Some(order), request: None, not_paid: None, wake_at, ..checkout };
    Ok(Step { next, effects: vec![] })
}

/// What the shop asked to know must be there, and look like it.
pub(crate) fn check_info(invoice: &Invoice, info: &OrderInfo) -> Result<(), Refused> {
    let missing = |field| Refused::Info { field };
    limits::check_text("name", &info.name, limits::ORDER_NAME_CHARS_MAX, false)?;
    if invoice.needs.name && info.name.trim().is_empty() {
        return Err(missing("name"));
    }
    let phone_fits = info.phone.strip_prefix('+').is_some_and(|digits| {
        (7..=limits::PHONE_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !phone_fits && (invoice.needs.phone || !info.phone.is_empty()) {
        return Err(missing("phone"));
    }
    let email_fits = info.email.len() <= limits::EMAIL_BYTES_MAX
        && info.email.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && !host.contains('@')
                && host.split('.').count() >= 2
                && !host.split('.').any(str::is_empty)
        })
        && !info.email.contains(char::is_whitespace);
    if !email_fits && (invoice.needs.email || !info.email.is_empty()) {
        return Err(missing("email"));
    }
    if invoice.needs.address {
        // Delivery is asked for in a step of its own, which this version does not have.
        return Err(Refused::UpdateApp);
    }
    Ok(())
}

fn answered(
    checkout: Checkout,
    answer: &Verified<PaymentAnswer>,
    merchant: &Account,
    payees: &[Payee],
    now: Timestamp,
) -> Result<Step, Refused> {
    let order = checkout.order()?;
    let invoice = &checkout.invoice;
    let till = merchant.judge_till(answer.signer(), answer.term, answer.live, answer.issued_at);
    if answer.merchant != invoice.merchant || till != TillVerdict::Holds || answer.live != invoice.live {
        return Err(Refused::InvoiceSignature);
    }
    let about_us = answer.order == order.order
        && answer.payment == order.payment
        && answer.payer_key == order.payer_key
        && answer.invoice_hash == invoice.hash();
    if !about_us {
        return Err(Refused::OutOfOrder { state: checkout.state.name(), input: "an answer about another order" });
    }
    if answer.attempt != order.attempt {
        // An echo of an earlier attempt says nothing about this one.
        return checkout.stay();
    }
    match (&answer.body, checkout.state) {
        (AnswerBody::Requested(request), state)
            if matches!(state, State::Placed | State::AwaitingConsent)
                // "Checking" overtook the hand-off: nobody can have used it.
                || (state == State::Settling && checkout.request.is_none()) =>
        {
            let expected = invoice.total.minor().checked_add(order.tip_minor);
            if request.amount.currency() != invoice.currency || Some(request.amount.minor()) != expected {
                return Err(Refused::AmountDiffers);
            }
            let payee =
                Payee { provider: request.provider.clone(), account: request.account.clone(), live: invoice.live };
            if !payees.contains(&payee) || !invoice.payees.contains(&payee) || request.provider != order.provider {
                return Err(Refused::PayeeUnknown);
            }
            check_handoff(&request.handoff)?;
            if request.expires_at <= now {
                return settling(checkout, now);
            }
            let again = checkout.request.as_ref() == Some(request);
            let effects = if again { vec![] } else { vec![Effect::OpenSheet(request.clone())] };
            let next = Checkout {
                state: State::AwaitingConsent,
                request: Some(request.clone()),
                asks: 0,
                wake_at: Some(request.expires_at),
                ..checkout
            };
            Ok(Step { next, effects })
        }
        // Once the hand-off could have been used, asking for it again changes nothing.
        (AnswerBody::Requested(_), _) => checkout.stay(),
        // It is known there, and nothing is certain: the state says so already.
        (AnswerBody::Checking, _) => checkout.stay(),
        (AnswerBody::NotPaid(not_paid), _) => {
            limits::check_text("words", &not_paid.words, limits::WORDS_CHARS_MAX, true)?;
            // Over is over, however it is spelled.
            let reason = if limits::is_reason(&not_paid.reason) { &not_paid.reason } else { UNKNOWN_REASON };
            let next = Checkout {
                state: State::NotPaid,
                not_paid: Some(NotPaid { reason: reason.to_owned(), words: not_paid.words.clone() }),
                request: None,
                wake_at: None,
                ..checkout
            };
            Ok(Step { next, effects: vec![] })
        }
    }
}

/// A page is opened over TLS, or on this very machine for practice; nothing else that an address can be.
fn check_handoff(handoff: &Handoff) -> Result<(), Refused> {
    let Handoff::Page { url } = handoff else {
        return Ok(());
    };
    limits::check_text("page address", url, limits::PAGE_URL_CHARS_MAX, false)?;
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host =
        authority.rsplit_once(':').map_or(authority, |(host, port)| if is_port(port) { host } else { authority });
    let is_here = scheme == "http" && ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    // What stands before an @ looks like a host and is none; and what a backslash ends, nobody agrees on.
    let fits =
        url.is_ascii() && !url.contains(char::is_whitespace) && !host.is_empty() && !authority.contains(['@', '\\']);
    if fits && (is_here || scheme == "https") { Ok(()) } else { Err(Refused::BadText { field: "page address" }) }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn settling(checkout: Checkout, now: Timestamp) -> Result<Step, Refused> {
    let ask = checkout.ask()?;
    let next = Checkout { state: State::Settling, asks: 0, wake_at: Some(now.plus_ms(PATIENCE_MS)), ..checkout };
    Ok(Step { next, effects: vec![Effect::Ask(ask)] })
}

/// Asks the till once more, and later each time. A hand-off that ran out may have been used just before.
fn ask_again(checkout: Checkout, random: u32, now: Timestamp) -> Result<Step, Refused> {
    if checkout.wake_at.is_none_or(|wake_at| wake_at > now) {
        return checkout.stay();
    }
    let ask = checkout.ask()?;
    let awaiting = checkout.state == State::AwaitingConsent;
    let state = if awaiting { State::Settling } else { checkout.state };
    let wake_at = outbox::next_try(checkout.asks.saturating_add(4), random, now);
    let next = Checkout { state, asks: checkout.asks.saturating_add(1), wake_at: Some(wake_at), ..checkout };
    Ok(Step { next, effects: vec![Effect::Ask(ask)] })
}

fn settle(checkout: Checkout, settled: Settled) -> Result<Step, Refused> {
    match &checkout.receipt {
        // The same receipt twice is fine.
        Some(known) if known.hash() == settled.receipt.hash() => checkout.stay(),
        // Two receipts for one order: money moved twice, and the shop owes one back. The first one stays.
        Some(_) => Err(Refused::AlreadyPaid),
        None => {
            let next = Checkout {
                state: State::Paid,
                receipt: Some(settled.receipt),
                request: None,
                not_paid: None,
                wake_at: None,
                ..checkout
            };
            Ok(Step { next, effects: vec![] })
        }
    }
}

fn refunded(checkout: Checkout, refund: &Verified<Refund>, merchant: &Account) -> Result<Step, Refused> {
    let receipt = checkout.receipt.as_ref().ok_or(Refused::ReceiptUnverified { why: "there is no receipt" })?;
    check_refund(refund, merchant, receipt)?;
    // The sum only grows: refunds may arrive in any order, and twice.
    let refunded_minor = checkout.refunded_minor.max(refund.refunded.minor());
    let state = if refunded_minor == receipt.amount.minor() { State::Refunded } else { State::PartRefunded };
    Ok(Step { next: Checkout { state, refunded_minor, ..checkout }, effects: vec![] })
}
