//! Paying, and receipts.

use comptoir_content::{
    AccountId, Amount, Currency, Hash, Link, OrderId, OrderInfo, Part, PartBody, RECEIPT_FILE_MAGIC, ReceiptFile,
};
use comptoir_engine::account::Account;
use comptoir_engine::checkout::{SheetHint, State};
use comptoir_engine::payer::answer;
use comptoir_engine::receipt::{Proven, Verdict, verify};

use super::links::unreadable;
use super::{Client, ClientError, LineView, PayChoice, ReceiptRow};
use crate::actor::Input;
use crate::error::TurnError;
use crate::reads;
use crate::turns::checkout::Tapped;

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Client {
    /// The tap on Pay. A second one finds the attempt that is on its way. `invoice` is [`crate::CheckoutView::invoice`].
    ///
    /// # Errors
    /// [`ClientError::AskUser`] with the reason, such as `submit.unknown` ("checking, do not pay again").
    pub async fn pay(&self, invoice: Hash, choice: PayChoice) -> Result<State, ClientError> {
        let tapped = Tapped {
            tip_minor: choice.tip_minor,
            provider: choice.provider,
            info: OrderInfo { name: choice.name, phone: choice.phone, email: choice.email },
        };
        self.ask(|reply| Input::Pay { invoice: invoice.0, tapped, reply }).await
    }

    /// The payment sheet closed. Whatever it said, the state becomes "checking" until the shop's signed word is here.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `order.unknown`.
    pub async fn sheet_closed(&self, order: OrderId, hint: SheetHint) -> Result<State, ClientError> {
        self.ask(|reply| Input::SheetClosed { order, hint, reply }).await
    }

    /// Asks the shops about every unresolved payment now.
    ///
    /// # Errors
    /// [`ClientError`] when the store fails.
    pub async fn check_payments(&self) -> Result<(), ClientError> {
        self.ask(|reply| Input::AskNow { reply }).await
    }

    /// All receipts, the newest first.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn receipts(&self) -> Result<Vec<ReceiptRow>, ClientError> {
        self.read(reads::receipts)
    }

    /// The bytes of a receipt file, which anybody can verify, with these parts disclosed; with all when `None`.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `receipt.unknown`.
    pub fn receipt_file(&self, order: OrderId, parts: Option<Vec<Part>>) -> Result<Vec<u8>, ClientError> {
        self.read(|db| reads::receipt_file(db, order, parts.as_deref()))
    }

    /// Proves at a counter that the holder of this phone paid an order: answers the code that the till shows with one to
    /// show to the till. Only the device that paid can. Nothing is sent, and the answer is of use to this till only, once.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `link.unreadable` when it is no such code, `receipt.unknown` when this device has no receipt
    /// of the order or another one paid it, `payer.unproven` when another shop asks or the question is too old.
    pub fn prove_payer(&self, order: OrderId, question: &str) -> Result<String, ClientError> {
        let Link::PayerQuestion(question) = Link::parse(question).map_err(unreadable)? else {
            return Err(unreadable("this code does not ask who paid"));
        };
        let (merchant, payer) = self.read(|db| reads::payer_of(db, order))?;
        let proof = answer(&question, merchant, order, &payer, self.clock.now()).map_err(TurnError::from)?;
        Ok(proof.to_link())
    }

    /// As [`verify_receipt`], and against what this device knows of the merchant's account besides.
    ///
    /// # Errors
    /// As [`verify_receipt`].
    pub fn verify_receipt(&self, file: &[u8]) -> Result<ReceiptVerdict, ClientError> {
        judge(file, None, |merchant| self.read(|db| crate::store::read_account(db, merchant)))
    }
}

/// What a receipt file proves. "Paid" means that this merchant declares it; later refunds may be unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum ReceiptVerdict {
    /// Signed by a till that the merchant's account had certified at that moment.
    Holds { proof: ReceiptProof },
    /// As above, but the till was revoked later: the date could have been turned back.
    DateUnproven { proof: ReceiptProof },
    /// Altered, or not signed by who it names.
    Refused {
        /// For a developer.
        why: String,
    },
}

/// What a receipt says, and what its holder disclosed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct ReceiptProof {
    pub merchant: AccountId,
    pub order: OrderId,
    pub amount: Amount,
    pub live: bool,
    pub issued_at_ms: i64,
    /// As of so many entries of the merchant's account log.
    pub log_entries: u64,
    /// Empty when not disclosed, as are those below.
    pub title: String,
    pub lines: Vec<LineView>,
    pub customer: String,
    pub provider: String,
    /// As the provider words it, such as `card ···· 4242`.
    pub method: String,
}

/// Verifies a receipt file, offline and without an account. `merchant` pins who must have signed it.
///
/// # Errors
/// [`ClientError::AskUser`] `receipt.unreadable` when it is no receipt file at all; [`ClientError::UpdateApp`] when it is of
/// a newer version.
#[cfg_attr(feature = "uniffi", uniffi::export(default(merchant = None)))]
pub fn verify_receipt(file: &[u8], merchant: Option<AccountId>) -> Result<ReceiptVerdict, ClientError> {
    judge(file, merchant, |_| Ok(None))
}

fn judge(
    file: &[u8],
    merchant: Option<AccountId>,
    known: impl FnOnce(AccountId) -> Result<Option<Account>, ClientError>,
) -> Result<ReceiptVerdict, ClientError> {
    let refused = |why: &dyn std::fmt::Display| Ok(ReceiptVerdict::Refused { why: why.to_string() });
    let read = match ReceiptFile::from_file(file) {
        Ok(read) => read,
        Err(error @ comptoir_content::ContentError::UpdateApp { .. }) => {
            return Err(ClientError::UpdateApp { code: "receipt.version".to_owned(), detail: error.to_string() });
        }
        // It says that it is a receipt, and is not one as it was written.
        Err(error) if file.starts_with(RECEIPT_FILE_MAGIC) => return refused(&error),
        Err(error) => return Err(ClientError::ask("receipt.unreadable", error)),
    };
    let signer = match read.receipt.verify() {
        Ok(receipt) => receipt.merchant,
        Err(error) => return refused(&error),
    };
    if merchant.is_some_and(|wanted| wanted != signer) {
        return refused(&format!("it is from {signer}, not from the merchant that was named"));
    }
    let verdict = match verify(&read, known(signer)?.as_ref()) {
        Ok(verdict) => verdict,
        Err(error) => return refused(&error),
    };
    let proof = proof(verdict.proven(), read.log.links.len() as u64)?;
    Ok(match verdict {
        Verdict::Holds(_) => ReceiptVerdict::Holds { proof },
        Verdict::DateUnproven(_) => ReceiptVerdict::DateUnproven { proof },
    })
}

fn proof(proven: &Proven, log_entries: u64) -> Result<ReceiptProof, ClientError> {
    let Proven { receipt, disclosed } = proven;
    let mut proof = ReceiptProof {
        merchant: receipt.merchant,
        order: receipt.order,
        amount: receipt.amount,
        live: receipt.live,
        issued_at_ms: receipt.issued_at.0,
        log_entries,
        title: String::new(),
        lines: Vec::new(),
        customer: String::new(),
        provider: String::new(),
        method: String::new(),
    };
    for part in disclosed {
        match part {
            PartBody::Lines { title, lines } => {
                title.clone_into(&mut proof.title);
                proof.lines = lines_of(lines, receipt.amount.currency())?;
            }
            PartBody::OrderInfo(info) => info.name.clone_into(&mut proof.customer),
            PartBody::Evidence(evidence) => {
                evidence.provider.clone_into(&mut proof.provider);
                evidence.method.clone_into(&mut proof.method);
            }
            PartBody::Terms { .. } => {}
        }
    }
    Ok(proof)
}

fn lines_of(lines: &[comptoir_content::Line], currency: Currency) -> Result<Vec<LineView>, ClientError> {
    let views = lines.iter().map(|line| {
        let unit = Amount::new(line.unit_minor, currency);
        Ok(LineView {
            label: line.label.clone(),
            quantity: line.quantity,
            unit: unit.map_err(|error| ClientError::ask("receipt.unreadable", error))?,
            kind: line.kind,
        })
    });
    views.collect()
}
