//! The rules of an invoice, held on both ends: the till before it signs, the phone before it shows Pay.

use comptoir_content::{AccountId, Amount, Invoice, Line, LineKind, Timestamp, Verified};

use crate::Refused;
use crate::account::{Account, TillVerdict};
use crate::limits::{self, check_text, check_title};

/// Shape, sums and limits. What a till must hold to before it signs.
///
/// # Errors
/// [`Refused::InvoiceSums`] or [`Refused::InvoiceRule`] with the field.
pub fn check_rules(invoice: &Invoice) -> Result<(), Refused> {
    let rule = |field| Refused::InvoiceRule { field };
    check_title("title", &invoice.title, limits::INVOICE_TITLE_CHARS_MAX)?;
    check_text("description", &invoice.description, limits::INVOICE_DESCRIPTION_CHARS_MAX, true)?;
    if invoice.payload.len() > limits::INVOICE_PAYLOAD_BYTES_MAX {
        return Err(rule("payload"));
    }
    if invoice.lines.is_empty() || invoice.lines.len() > limits::INVOICE_LINES_MAX {
        return Err(rule("lines"));
    }
    for line in &invoice.lines {
        check_title("line label", &line.label, limits::LINE_LABEL_CHARS_MAX)?;
        let sign_fits = match line.kind {
            LineKind::Discount => line.unit_minor < 0,
            LineKind::Item | LineKind::Tax | LineKind::Shipping => line.unit_minor >= 0,
            // A tip is the customer's to give.
            LineKind::Tip => false,
        };
        if line.quantity == 0 || !sign_fits {
            return Err(rule("line"));
        }
    }
    let sum = sum_minor(&invoice.lines).ok_or(Refused::InvoiceSums)?;
    if sum != invoice.total.minor() || invoice.total.currency() != invoice.currency {
        return Err(Refused::InvoiceSums);
    }
    if sum <= 0 {
        return Err(rule("total"));
    }
    let life = invoice.expires_at.since_ms(invoice.issued_at);
    if !(limits::INVOICE_LIFE_MS_MIN..=limits::INVOICE_LIFE_MS_MAX).contains(&life) {
        return Err(rule("expiry"));
    }
    let rising = invoice.tips_minor.windows(2).all(|pair| pair[0] < pair[1]);
    let within = invoice.tips_minor.iter().all(|&tip| tip > 0 && tip <= invoice.tip_max_minor);
    if invoice.tip_max_minor < 0
        || Amount::new(invoice.tip_max_minor, invoice.currency).is_err()
        || invoice.tips_minor.len() > limits::TIPS_MAX
        || !rising
        || !within
    {
        return Err(rule("tips"));
    }
    if invoice.max_payments == 0 {
        return Err(rule("max_payments"));
    }
    let one_kind_of_money = invoice.payees.iter().all(|payee| payee.live == invoice.live);
    if invoice.payees.is_empty() || invoice.payees.len() > limits::PAYEES_MAX || !one_kind_of_money {
        return Err(rule("payees"));
    }
    Ok(())
}

/// Σ quantity × unit, `None` on overflow or out of bounds.
#[must_use]
pub fn sum_minor(lines: &[Line]) -> Option<i64> {
    lines.iter().try_fold(0i64, |sum, line| {
        let line = line.unit_minor.checked_mul(i64::from(line.quantity))?;
        sum.checked_add(line).filter(|sum| sum.abs() <= comptoir_content::MINOR_MAX)
    })
}

/// Whether `buyer` may pay this invoice now: its rules, its signer, its audience, its expiry.
///
/// # Errors
/// [`Refused`] says why not.
pub fn check_payable(
    invoice: &Verified<Invoice>,
    merchant: &Account,
    buyer: AccountId,
    now: Timestamp,
) -> Result<(), Refused> {
    check_signer(invoice, merchant)?;
    check_rules(invoice)?;
    if invoice.audience.is_some_and(|audience| audience != buyer) {
        return Err(Refused::NotForYou);
    }
    if invoice.expires_at <= now {
        return Err(Refused::InvoiceExpired);
    }
    // An invoice from far in the future is a clock gone wrong, or a trick with one.
    if invoice.issued_at > now.plus_ms(limits::SKEW_MS) {
        return Err(Refused::InvoiceRule { field: "issued_at" });
    }
    Ok(())
}

/// The till that signed must be certified by the merchant the invoice names, for that term, money and moment.
///
/// # Errors
/// [`Refused::InvoiceSignature`].
pub fn check_signer(invoice: &Verified<Invoice>, merchant: &Account) -> Result<(), Refused> {
    if invoice.merchant != merchant.id {
        return Err(Refused::InvoiceSignature);
    }
    match merchant.judge_till(invoice.signer(), invoice.term, invoice.live, invoice.issued_at) {
        TillVerdict::Holds => Ok(()),
        // Good enough for an old receipt, not for new money.
        TillVerdict::RevokedLater | TillVerdict::Refused => Err(Refused::InvoiceSignature),
    }
}
