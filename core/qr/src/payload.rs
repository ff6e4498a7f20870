//! Payment codes of others: what they say, field by field, or why they are refused.
//!
//! A code is data of a stranger. It is read once, whole, under a limit of size; what has two readings is refused, and so is
//! a checksum that does not fit, always. Real codes that differ from their standard are accepted where the difference is
//! known and harmless, such as a checksum in small letters; what we write keeps every rule.
//!
//! A code never pays by itself: one that names several ways to pay is a list to choose from ([`Payment::ways`]), and
//! every name in it is the payee's own claim.

mod charset;
mod epc;
mod iban;
mod merchant;
mod money;
mod names;
mod schemes;
mod swiss;
mod tlv;
mod upi;
mod write;

pub use epc::EpcTransfer;
pub use merchant::{Initiation, MerchantCode, NativeName, Tip};
pub use money::{AmountError, Currency, MINOR_MAX, Money};
pub use schemes::Scheme;
pub use swiss::{SwissAddress, SwissBill};
pub use tlv::Object;
pub use upi::UpiLink;
pub use write::{MerchantAccount, NewMerchantCode};

pub(crate) use charset::text_of;
pub(crate) use tlv::checksum;

use crate::Code;

/// The longest payment code that is looked at, in bytes: what the largest symbol holds.
pub const MAX_PAYMENT_BYTES: usize = 2953;

/// A payment code that holds what its standard asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The bytes of the code, as they were scanned.
    pub raw: Vec<u8>,
    pub payload: Payload,
}

/// The standards of payment codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// EMVCo's merchant-presented code, of any scheme.
    Merchant(Box<MerchantCode>),
    /// A link of India's UPI.
    Upi(UpiLink),
    /// A SEPA credit transfer: EPC069-12, also called GiroCode.
    Epc(EpcTransfer),
    /// A Swiss QR-bill.
    Swiss(Box<SwissBill>),
}

/// One way to pay a code. Several are for the person to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub scheme: Scheme,
    /// Whom the scheme would pay, in its own words: a key, a number, an address.
    pub account: String,
    /// `None`: the payer types it.
    pub amount: Option<Money>,
    /// Whether the payer may pay another amount than the one that is there.
    pub is_editable: bool,
    /// Where the true amount and payee are, `https` without saying so. Nothing of this code may be shown as owed
    /// before that was fetched and its signature checked.
    pub ask_at: Option<String>,
    /// The last day on which it may be paid, as `YYYYMMDD`.
    pub expires_on: Option<String>,
}

/// A field of a payment code with its name, for people who look closely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where it stands: `26.01` in EMVCo's codes, a parameter in a link, a line from 1 elsewhere.
    pub place: String,
    pub name: &'static str,
    pub value: String,
}

/// Why a text that claims to be a payment code is none. It must not be paid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More than [`MAX_PAYMENT_BYTES`].
    #[error("it has {size_bytes} bytes, and a payment code at most {MAX_PAYMENT_BYTES}")]
    TooLong { size_bytes: usize },
    /// Its bytes spell nothing in the character set that it declares.
    #[error("it is not text")]
    NotText,
    /// It does not end in a checksum: cut off, or something was added.
    #[error("it does not end in its checksum")]
    NoChecksum,
    /// Damaged, mistyped or changed. Ask for another code.
    #[error("its checksum is {said} and should be {computed}: it is damaged, or was changed")]
    Checksum { said: String, computed: String },
    /// It cannot be taken apart. `inside` is empty, or the path of the template.
    #[error("at byte {at_byte} of {}: {why}", if inside.is_empty() { "the code" } else { inside })]
    Structure { at_byte: usize, inside: String, why: &'static str },
    /// Two readers may read two different things.
    #[error("it can be read in two ways")]
    Ambiguous,
    #[error("{field} is there twice")]
    Twice { field: String },
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error("{field}: {why}")]
    Field { field: String, why: &'static str },
    #[error("the amount in {field}: {why}")]
    Amount { field: String, why: AmountError },
}

impl Refused {
    /// A short name that stays the same, for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::NotText => "not_text",
            Self::NoChecksum => "no_checksum",
            Self::Checksum { .. } => "checksum",
            Self::Structure { .. } => "structure",
            Self::Ambiguous => "ambiguous",
            Self::Twice { .. } => "twice",
            Self::Missing { .. } => "missing",
            Self::Field { .. } => "field",
            Self::Amount { .. } => "amount",
        }
    }

    pub(crate) fn field(field: impl Into<String>, why: &'static str) -> Self {
        Self::Field { field: field.into(), why }
    }
}

impl Payment {
    /// Reads a payment code. `None` when it does not claim to be one.
    ///
    /// # Errors
    /// [`Refused`] says what is wrong with one that does.
    pub(crate) fn of(code: &Code) -> Option<Result<Self, Refused>> {
        let bytes = code.bytes.trim_ascii();
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let read: fn(&[u8], &str) -> Result<Payload, Refused> = if bytes.starts_with(b"000201") {
            |bytes, text| merchant::read(bytes, text).map(|code| Payload::Merchant(Box::new(code)))
        } else if upi::claims(bytes) {
            |_, text| upi::read(text).map(Payload::Upi)
        } else if starts_with_line(bytes, b"BCD") {
            |bytes, text| epc::read(bytes, text).map(Payload::Epc)
        } else if starts_with_line(bytes, b"SPC") {
            |_, text| swiss::read(text).map(|bill| Payload::Swiss(Box::new(bill)))
        } else {
            return None;
        };
        if bytes.len() > MAX_PAYMENT_BYTES {
            return Some(Err(Refused::TooLong { size_bytes: bytes.len() }));
        }
        // The same ends as those of the bytes.
        let text = code.text.as_deref().map(|text| text.trim_matches(|c: char| c.is_ascii_whitespace()));
        let text = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
        let payload = text.ok_or(Refused::NotText).and_then(|text| read(bytes, text));
        Some(payload.map(|payload| Self { raw: code.bytes.clone(), payload }))
    }

    /// The ways to pay it, one or more. The order says nothing.
    ///
    /// ```
    /// use comptoir_qr::{Scanned, Scheme};
    ///
    /// let code = "00020101021129370016A000000677010111011300668012345675802TH530376463046197";
    /// let Scanned::Payment(payment) = Scanned::of_text(code) else { panic!("a merchant code") };
    /// let ways = payment.ways();
    /// assert_eq!((ways[0].scheme, ways[0].account.as_str()), (Scheme::PromptPay, "0066801234567"));
    /// ```
    #[must_use]
    pub fn ways(&self) -> Vec<Way> {
        match &self.payload {
            Payload::Merchant(code) => code.ways.clone(),
            Payload::Upi(link) => {
                let way = Way::plain(Scheme::Upi, &link.address, link.amount);
                // Who names a least amount takes more.
                vec![Way { is_editable: way.is_editable || link.minimum.is_some(), ..way }]
            }
            Payload::Epc(transfer) => vec![Way::plain(Scheme::Sepa, &transfer.iban, transfer.amount)],
            Payload::Swiss(bill) => vec![Way::plain(Scheme::SwissBill, &bill.iban, bill.amount)],
        }
    }

    /// What the payee calls itself: a claim.
    #[must_use]
    pub fn payee(&self) -> Option<&str> {
        match &self.payload {
            Payload::Merchant(code) => code.name.as_deref(),
            Payload::Upi(link) => link.name.as_deref(),
            Payload::Epc(transfer) => Some(&transfer.name),
            Payload::Swiss(bill) => Some(&bill.creditor.name),
        }
    }

    /// By what the payee knows the payment again.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        match &self.payload {
            Payload::Merchant(code) => code.reference.as_deref(),
            Payload::Upi(link) => link.reference.as_deref(),
            Payload::Epc(transfer) => transfer.reference.as_deref(),
            Payload::Swiss(bill) => bill.reference.as_deref(),
        }
    }

    /// Everything that is in it, in the order in which it stands there.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        match &self.payload {
            Payload::Merchant(code) => names::of(code),
            Payload::Upi(link) => link.fields(),
            Payload::Epc(transfer) => transfer.fields(&self.raw),
            Payload::Swiss(bill) => bill.fields(&self.raw),
        }
    }
}

impl Way {
    fn plain(scheme: Scheme, account: &str, amount: Option<Money>) -> Self {
        let is_editable = amount.is_none();
        Self { scheme, account: account.to_owned(), amount, is_editable, ask_at: None, expires_on: None }
    }
}

fn starts_with_line(bytes: &[u8], line: &[u8]) -> bool {
    bytes.strip_prefix(line).is_some_and(|rest| matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// The lines of a payload, without the empty ones at its end; the first `at_least` are there whatever it holds.
fn lines(text: &str, at_least: usize) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines.resize(lines.len().max(at_least), "");
    lines
}

/// A line that holds something, within its length in characters.
fn filled(line: &str, field: &str, max: usize) -> Result<Option<String>, Refused> {
    if line.chars().count() > max {
        return Err(Refused::field(field, "it is too long"));
    }
    if line.chars().any(char::is_control) {
        return Err(Refused::field(field, "it holds a control character"));
    }
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

/// The lines that say how a payload is written, as they stand in it, and what it says in the others.
fn headed(raw: &[u8], said: &[String], head: usize, names: &[&'static str]) -> Vec<Field> {
    let raw = String::from_utf8_lossy(raw);
    let said = said.iter().skip(head).map(String::as_str);
    numbered(&lines(&raw, head).into_iter().take(head).chain(said).collect::<Vec<_>>(), names)
}

fn numbered(lines: &[&str], names: &[&'static str]) -> Vec<Field> {
    let named = lines.iter().zip(names).zip(1_usize..).filter(|((line, _), _)| !line.is_empty());
    named.map(|((line, &name), at)| Field { place: at.to_string(), name, value: (*line).to_owned() }).collect()
}
