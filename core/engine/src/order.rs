//! The shop's half of an order: may this order be taken, now, by this till? It holds one slot per single-use invoice,
//! whichever phone taps, and frees it only when the attempt in it is over for certain.

use comptoir_content::{AccountId, Amount, Invoice, OrderId, OrderPlaced, PaymentId, PublicKey, Timestamp, Verified};

use crate::{Refused, payment};

/// An attempt that was taken before, for the same invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub buyer: AccountId,
    pub order: OrderId,
    pub payment: PaymentId,
    pub attempt: u32,
    pub payer_key: PublicKey,
    pub state: payment::State,
}

/// What the till does with an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take it: journal an attempt over this amount and call the provider.
    Take { amount: Amount },
    /// This very attempt was taken before: answer again what was answered.
    Again,
    /// No: say so, with this reason.
    Refuse(Refused),
}

/// Decides about an order. `taken` are all attempts ever taken for this invoice.
#[must_use]
pub fn decide(
    invoice: &Verified<Invoice>,
    placed: &OrderPlaced,
    buyer: AccountId,
    taken: &[Taken],
    now: Timestamp,
) -> Decision {
    match check(invoice, placed, buyer, taken, now) {
        Ok(decision) => decision,
        Err(refused) => Decision::Refuse(refused),
    }
}

fn check(
    invoice: &Verified<Invoice>,
    placed: &OrderPlaced,
    buyer: AccountId,
    taken: &[Taken],
    now: Timestamp,
) -> Result<Decision, Refused> {
    placed.check_proof().map_err(|_| Refused::InvoiceSignature)?;
    if placed.invoice != invoice.invoice || placed.invoice_hash != invoice.hash() {
        return Err(Refused::InvoiceSignature);
    }
    if invoice.audience.is_some_and(|audience| audience != buyer) {
        return Err(Refused::NotForYou);
    }
    let same_order = |known: &&Taken| known.order == placed.order;
    if let Some(before) = taken.iter().find(same_order) {
        // An order belongs to one buyer, one payer key and one payment, for ever.
        if before.buyer != buyer || before.payer_key != placed.payer_key || before.payment != placed.payment {
            return Err(Refused::InvoiceSignature);
        }
    }
    if taken.iter().any(|known| known.payment == placed.payment && known.order != placed.order) {
        return Err(Refused::InvoiceSignature);
    }
    if taken.iter().filter(same_order).any(|known| known.attempt == placed.attempt) {
        return Ok(Decision::Again);
    }
    if taken.iter().filter(same_order).any(|known| known.state == payment::State::Captured) {
        return Err(Refused::AlreadyPaid);
    }
    let single = invoice.max_payments == 1;
    let in_slot = |known: &&Taken| known.state.is_live() && (single || known.buyer == buyer);
    if taken.iter().any(|known| in_slot(&known)) {
        return Err(Refused::Checking);
    }
    let paid = taken.iter().filter(|known| known.state == payment::State::Captured).count();
    if paid >= invoice.max_payments as usize {
        return Err(Refused::AlreadyPaid);
    }
    if invoice.expires_at <= now {
        return Err(Refused::InvoiceExpired);
    }
    crate::invoice::check_rules(invoice)?;
    if placed.tip_minor < 0 || placed.tip_minor > invoice.tip_max_minor {
        return Err(Refused::Tip);
    }
    crate::checkout::check_info(invoice, &placed.info)?;
    let known_provider = invoice.payees.iter().any(|payee| payee.provider == placed.provider);
    if !known_provider {
        return Err(Refused::MethodNone);
    }
    let total = invoice.total.minor().checked_add(placed.tip_minor).ok_or(Refused::InvoiceSums)?;
    let amount = Amount::new(total, invoice.currency).map_err(|_| Refused::InvoiceSums)?;
    Ok(Decision::Take { amount })
}

/// Whether the till shows a bill to somebody who scanned its code. Whom it is shown may still be too late to pay it: the slot is
/// taken by the tap on Pay ([`decide`]).
///
/// # Errors
/// [`Refused::NotForYou`], [`Refused::AlreadyPaid`], [`Refused::Checking`] while somebody else is paying the only payment,
/// [`Refused::InvoiceExpired`].
pub fn may_open(invoice: &Verified<Invoice>, buyer: AccountId, taken: &[Taken], now: Timestamp) -> Result<(), Refused> {
    if invoice.audience.is_some_and(|audience| audience != buyer) {
        return Err(Refused::NotForYou);
    }
    let paid = taken.iter().filter(|known| known.state == payment::State::Captured).count();
    if paid >= invoice.max_payments as usize {
        return Err(Refused::AlreadyPaid);
    }
    let by_another = |known: &Taken| known.state.is_live() && known.buyer != buyer;
    if invoice.max_payments == 1 && taken.iter().any(by_another) {
        return Err(Refused::Checking);
    }
    if invoice.expires_at <= now { Err(Refused::InvoiceExpired) } else { Ok(()) }
}

/// Our reference at a provider: the payment and its attempt. Also the root of the idempotency keys.
#[must_use]
pub fn reference(payment: PaymentId, attempt: u32) -> String {
    format!("{payment}.{attempt}")
}

/// The idempotency key of one operation on one attempt.
#[must_use]
pub fn idempotency_key(payment: PaymentId, attempt: u32, operation: &str) -> String {
    format!("{payment}.{attempt}.{operation}")
}
