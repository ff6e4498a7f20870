//! Amounts as Stripe counts them: mostly ISO 4217's minor units, with exceptions.
//!
//! Where Stripe's unit is coarser than ours, an amount between two units cannot be expressed. It is never rounded.

use comptoir_content::{Amount, Currency};

/// Whose exponent at Stripe is not the one of ISO 4217. MGA has no decimals there; ISK and UGX have two for old times'
/// sake, but only whole units; three-decimal currencies end in a zero.
const EXCEPTIONS: [(&str, Rule); 8] = [
    ("MGA", Rule { exponent: 0, step: 1 }),
    ("ISK", Rule { exponent: 2, step: 100 }),
    ("UGX", Rule { exponent: 2, step: 100 }),
    ("BHD", Rule { exponent: 3, step: 10 }),
    ("JOD", Rule { exponent: 3, step: 10 }),
    ("KWD", Rule { exponent: 3, step: 10 }),
    ("OMR", Rule { exponent: 3, step: 10 }),
    ("TND", Rule { exponent: 3, step: 10 }),
];

/// How Stripe counts a currency.
#[derive(Clone, Copy)]
struct Rule {
    exponent: u8,
    /// What every amount is a multiple of, in Stripe's units.
    step: i64,
}

impl Rule {
    fn of(currency: Currency) -> Self {
        let found = EXCEPTIONS.iter().find(|(code, _)| *code == currency.code());
        let as_in_iso = Self { exponent: currency.exponent(), step: 1 };
        found.map_or(as_in_iso, |(_, rule)| *rule)
    }
}

/// The amount in Stripe's units, if they can express it.
pub(super) fn to_stripe(amount: Amount) -> Option<i64> {
    let currency = amount.currency();
    let rule = Rule::of(currency);
    let units = rescaled(amount.minor(), currency.exponent(), rule.exponent)?;
    (units % rule.step == 0).then_some(units)
}

/// The amount that Stripe's units mean, if the currency is one and they can mean it. `currency` is in lower case.
pub(super) fn from_stripe(units: i64, currency: &str) -> Option<Amount> {
    let currency = Currency::of(&currency.to_ascii_uppercase()).ok()?;
    let minor = rescaled(units, Rule::of(currency).exponent, currency.exponent())?;
    Amount::new(minor, currency).ok()
}

/// The amount as it goes into a request. What Stripe cannot express is written as a decimal number, which it refuses.
pub(super) fn digits(amount: Amount) -> String {
    match to_stripe(amount) {
        Some(units) => units.to_string(),
        None => amount.to_plain().split(' ').next().unwrap_or_default().to_owned(),
    }
}

fn rescaled(units: i64, from: u8, to: u8) -> Option<i64> {
    let factor = 10_i64.checked_pow(u32::from(from.abs_diff(to)))?;
    if from <= to { units.checked_mul(factor) } else { (units % factor == 0).then(|| units / factor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str, code: &str) -> Amount {
        Amount::parse(text, Currency::of(code).unwrap()).unwrap()
    }

    #[test]
    fn amounts_go_there_and_back() {
        for (text, code, units) in [
            ("12.50", "EUR", 1250),
            ("0.01", "USD", 1),
            ("1500", "JPY", 1500),
            ("1500", "KRW", 1500),
            ("100", "XOF", 100),
            ("12", "MGA", 12),
            ("5", "ISK", 500),
            ("5", "UGX", 500),
            ("5.000", "KWD", 5000),
            ("5.120", "BHD", 5120),
            ("295.990", "TND", 295_990),
            ("10.45", "HUF", 1045),
            ("8.00", "TWD", 800),
        ] {
            let amount = amount(text, code);
            assert_eq!(to_stripe(amount), Some(units), "{amount:?}");
            assert_eq!(digits(amount), units.to_string());
            assert_eq!(from_stripe(units, &code.to_lowercase()), Some(amount), "{amount:?}");
        }
    }

    #[test]
    fn what_stripe_cannot_express_is_not_rounded() {
        for (text, code, written) in [("12.50", "MGA", "12.50"), ("5.123", "KWD", "5.123"), ("0.001", "TND", "0.001")] {
            assert_eq!(to_stripe(amount(text, code)), None);
            assert_eq!(digits(amount(text, code)), written);
        }
        for (units, code) in [(550, "isk"), (1, "ugx"), (100, "xxx"), (100, "e"), (i64::MAX, "mga"), (i64::MIN, "eur")]
        {
            assert_eq!(from_stripe(units, code), None, "{units} {code}");
        }
    }

    #[test]
    fn every_currency_without_decimals_at_stripe_has_none_here() {
        let zero_decimal = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF";
        for code in zero_decimal.split(' ') {
            assert_eq!(to_stripe(amount("7", code)), Some(7), "{code}");
        }
    }
}
