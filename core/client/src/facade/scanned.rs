//! What a code means, as a shell shows it.

use comptoir_qr::{Code, Payment};

use super::Money;

/// What a code means. Nothing in it is trusted: show a link before it is opened, and let a person choose before anything is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Scanned {
    /// One of our own links.
    Comptoir(String),
    /// A payment code by a public standard: EMVCo's of any scheme, UPI, EPC or a Swiss QR-bill.
    Payment(PaymentCode),
    /// It claims to be a payment code and must not be paid. `reason` is a short name that stays the same, `detail` says more.
    Refused { raw: Vec<u8>, reason: String, detail: String },
    /// A web address, `http` or `https` only.
    Url(String),
    /// Any other text.
    Text(String),
    /// Bytes that are not text.
    Unknown(Vec<u8>),
}

/// A payment code. What it says of the payee is the payee's own claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct PaymentCode {
    /// As it was scanned, for the app that pays it.
    pub raw: Vec<u8>,
    pub payee: Option<String>,
    /// By what the payee knows the payment again.
    pub reference: Option<String>,
    /// One or more. Of several, let the person choose.
    pub ways: Vec<PaymentWay>,
}

/// One way to pay a payment code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct PaymentWay {
    /// A short name that stays the same: `pix`, `promptpay`, `sepa` …
    pub scheme: String,
    /// Whom the scheme would pay, in its own words.
    pub account: String,
    /// `None`: the payer types it.
    pub amount: Option<Money>,
    /// Whether the payer may pay another amount.
    pub is_editable: bool,
    /// Where the true amount and payee are. Show nothing as owed before that was fetched and its signature checked.
    pub ask_at: Option<String>,
    /// The last day on which it may be paid, as `YYYYMMDD`.
    pub expires_on: Option<String>,
}

impl Scanned {
    pub(super) fn of(code: &Code) -> Self {
        match comptoir_qr::Scanned::of(code) {
            comptoir_qr::Scanned::Comptoir(link) => Self::Comptoir(link),
            comptoir_qr::Scanned::Payment(payment) => Self::Payment(PaymentCode::of(*payment)),
            comptoir_qr::Scanned::Refused { raw, why } => {
                Self::Refused { raw, reason: why.reason().to_owned(), detail: why.to_string() }
            }
            comptoir_qr::Scanned::Url(address) => Self::Url(address),
            comptoir_qr::Scanned::Text(text) => Self::Text(text),
            comptoir_qr::Scanned::Unknown(bytes) => Self::Unknown(bytes),
        }
    }
}

impl PaymentCode {
    fn of(payment: Payment) -> Self {
        let ways = payment.ways().into_iter().map(|way| PaymentWay {
            scheme: way.scheme.name().to_owned(),
            account: way.account,
            amount: way.amount.map(|amount| Money {
                minor: amount.minor(),
                currency: amount.currency().code().to_owned(),
                exponent: amount.currency().exponent(),
            }),
            is_editable: way.is_editable,
            ask_at: way.ask_at,
            expires_on: way.expires_on,
        });
        let ways = ways.collect();
        let (payee, reference) = (payment.payee().map(str::to_owned), payment.reference().map(str::to_owned));
        Self { raw: payment.raw, payee, reference, ways }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Scanned {
        Scanned::of(&Code { bytes: text.as_bytes().to_vec(), text: Some(text.to_owned()), ..Code::default() })
    }

    #[test]
    fn a_payment_code_brings_its_ways_and_what_must_not_be_paid_a_reason() {
        let text = "00020101021129370016A000000677010111011300668012345675802TH530376463046197";
        let Scanned::Payment(payment) = of(text) else { panic!("a payment") };
        assert_eq!((payment.raw.as_slice(), payment.payee), (text.as_bytes(), None));
        assert_eq!((payment.ways[0].scheme.as_str(), payment.ways[0].account.as_str()), ("promptpay", "0066801234567"));
        assert_eq!(payment.ways[0].amount, None);

        let Scanned::Payment(payment) = of("upi://pay?pa=bakery@upi&am=2.50") else { panic!("a payment") };
        let money = Money { minor: 250, currency: "INR".to_owned(), exponent: 2 };
        assert_eq!(payment.ways[0].amount, Some(money));

        let Scanned::Refused { reason, .. } = of(&text.replace("6197", "6198")) else { panic!("refused") };
        assert_eq!(reason, "checksum");
    }
}
