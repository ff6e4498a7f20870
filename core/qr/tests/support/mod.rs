//! What the tests of payment codes share.

use comptoir_qr::{Money, Payment, Refused, Scanned};

pub(crate) fn payment(text: &str) -> Payment {
    match Scanned::of_text(text) {
        Scanned::Payment(payment) => {
            assert_eq!(payment.raw, text.as_bytes());
            *payment
        }
        other => panic!("{text}: {other:?}"),
    }
}

pub(crate) fn refused(text: &str) -> Refused {
    match Scanned::of_text(text) {
        Scanned::Refused { raw, why } => {
            assert_eq!(raw, text.as_bytes());
            why
        }
        other => panic!("{text}: {other:?}"),
    }
}

/// The ways to pay as `scheme account amount`; a star is for the payer to type.
pub(crate) fn ways(payment: &Payment) -> Vec<String> {
    let amount = |amount: Option<Money>| amount.map_or_else(|| "*".to_owned(), |amount| format!("{amount:?}"));
    payment.ways().iter().map(|way| format!("{} {} {}", way.scheme.name(), way.account, amount(way.amount))).collect()
}

pub(crate) fn check(text: &str, payee: Option<&str>, reference: Option<&str>, expected: &[&str]) {
    let payment = payment(text);
    assert_eq!(ways(&payment), expected);
    assert_eq!((payment.payee(), payment.reference()), (payee, reference));
}
