//! Judging a receipt: offline, by anyone, as of the account log that travels with it.

use comptoir_content::{ContentError, Invoice, PartBody, Receipt, ReceiptFile, Refund, Verified};

use crate::Refused;
use crate::account::{Account, TillVerdict};

/// What a check of a receipt found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Signed by a till that the merchant's account certified at that moment.
    Holds(Proven),
    /// As above, but the till was revoked later: the date could have been turned back.
    DateUnproven(Proven),
}

/// What a receipt proves: that this merchant declares to have been paid this, by the holder of this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    pub receipt: Verified<Receipt>,
    /// The parts that were disclosed; each belongs to the receipt.
    pub disclosed: Vec<PartBody>,
}

/// Checks a receipt file against itself: the log from its genesis record on, the till's certificate, the signature, and
/// each disclosed part. `known` is a log of the merchant seen elsewhere, when there is one: the newer counts.
///
/// # Errors
/// [`Refused::ReceiptUnverified`] says what does not hold; [`Refused::UpdateApp`] when it says more than we know.
pub fn verify(file: &ReceiptFile, known: Option<&Account>) -> Result<Verdict, Refused> {
    let no = |why| Refused::ReceiptUnverified { why };
    let travelled = Account::read(&file.log).map_err(|_| no("the account log with it does not hold"))?;
    // One of the two logs must be the beginning of the other: a fork is somebody's lie.
    let merchant = match known.filter(|known| known.id == travelled.id) {
        Some(known) if travelled.grow(known.log()).is_ok() => known.clone(),
        Some(known) => known.grow(&file.log).map_err(|_| no("the account log with it is not the one we know"))?,
        None => travelled,
    };
    let receipt = file.receipt.verify().map_err(|error| match error {
        ContentError::UpdateApp { .. } => Refused::UpdateApp,
        ContentError::Unreadable { .. } | ContentError::Field { .. } | ContentError::Signature { .. } => {
            no("its signature does not hold")
        }
    })?;
    if receipt.merchant != merchant.id {
        return Err(no("it names another merchant than the account log with it"));
    }
    let mut disclosed = Vec::new();
    for disclosure in &file.disclosures {
        if !disclosure.belongs_to(&receipt) {
            return Err(no("a disclosed part is not the one that was signed"));
        }
        disclosed.push(disclosure.body().map_err(|_| no("a disclosed part cannot be read"))?);
    }
    if receipt.amount.minor() <= 0 {
        return Err(no("its amount cannot be"));
    }
    let proven = Proven { receipt, disclosed };
    let receipt = &proven.receipt;
    match merchant.judge_till(receipt.signer(), receipt.term, receipt.live, receipt.issued_at) {
        TillVerdict::Holds => Ok(Verdict::Holds(proven)),
        TillVerdict::RevokedLater => Ok(Verdict::DateUnproven(proven)),
        TillVerdict::Refused => Err(no("the merchant did not certify the till that signed it")),
    }
}

impl Verdict {
    /// What was proven, whatever is to be said about the date.
    #[must_use]
    pub fn proven(&self) -> &Proven {
        match self {
            Self::Holds(proven) | Self::DateUnproven(proven) => proven,
        }
    }
}

/// A receipt that belongs to an order of ours: the one thing that makes a bubble say Paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub receipt: Verified<Receipt>,
}

/// Checks that a receipt is for this invoice, this order and this payer.
///
/// # Errors
/// [`Refused`] says which of them it is not.
pub fn settles(
    verdict: &Verdict,
    invoice: &Verified<Invoice>,
    order: comptoir_content::OrderId,
    payer: comptoir_content::PublicKey,
    tip_minor: i64,
) -> Result<Settled, Refused> {
    let no = |why| Err(Refused::ReceiptUnverified { why });
    let Verdict::Holds(Proven { receipt, .. }) = verdict else {
        return no("its till was revoked");
    };
    if receipt.merchant != invoice.merchant {
        return no("it is of another merchant");
    }
    if receipt.invoice_hash != invoice.hash() {
        return no("it is for another invoice");
    }
    if receipt.order != order || receipt.payer_key != payer {
        return no("it is for another order");
    }
    if receipt.live != invoice.live {
        return no("it mixes practice and real money");
    }
    let expected = invoice.total.minor().checked_add(tip_minor);
    if receipt.amount.currency() != invoice.currency || expected != Some(receipt.amount.minor()) {
        return Err(Refused::AmountDiffers);
    }
    Ok(Settled { receipt: receipt.clone() })
}

/// Checks a refund statement against the receipt it belongs to.
///
/// # Errors
/// [`Refused`] says what does not fit.
pub fn check_refund(refund: &Verified<Refund>, merchant: &Account, receipt: &Verified<Receipt>) -> Result<(), Refused> {
    let no = |why| Err(Refused::ReceiptUnverified { why });
    let till = merchant.judge_till(refund.signer(), refund.term, refund.live, refund.issued_at);
    if refund.merchant != merchant.id || till != TillVerdict::Holds {
        return no("the refund is not signed by a till of this merchant");
    }
    if refund.receipt_hash != receipt.hash() || refund.order != receipt.order || refund.payer_key != receipt.payer_key {
        return no("the refund is for another receipt");
    }
    if refund.live != receipt.live {
        return no("it mixes practice and real money");
    }
    let (amount, so_far) = (refund.amount, refund.refunded);
    if amount.currency() != receipt.amount.currency() || amount.minor() <= 0 || so_far.minor() < amount.minor() {
        return no("the refund's amount cannot be");
    }
    if so_far.minor() > receipt.amount.minor() {
        return Err(Refused::RefundTooLarge);
    }
    Ok(())
}
