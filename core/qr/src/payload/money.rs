//! Money as payment codes hold it: an integer of minor units, and an ISO 4217 currency with the exponent that the standard
//! gives it. An amount that does not fit is refused, never rounded.

use std::fmt;

/// The largest amount, in minor units: thirteen digits, which is what an EMVCo code has room for, and two decimals.
pub const MINOR_MAX: i64 = 999_999_999_999_999;

/// Numeric and alphabetic codes of ISO 4217 that money can be moved in, by their exponents.
const CURRENCIES: [(&str, u8); 4] = [
    (
        "784AED 971AFN 008ALL 051AMD 973AOA 032ARS 036AUD 533AWG 944AZN 977BAM 052BBD 050BDT 975BGN 060BMD 096BND \
         068BOB 986BRL 044BSD 064BTN 072BWP 933BYN 084BZD 124CAD 976CDF 756CHF 156CNY 170COP 188CRC 192CUP 132CVE \
         203CZK 208DKK 214DOP 012DZD 818EGP 232ERN 230ETB 978EUR 242FJD 238FKP 826GBP 981GEL 936GHS 292GIP 270GMD \
         320GTQ 328GYD 344HKD 340HNL 332HTG 348HUF 360IDR 376ILS 356INR 364IRR 388JMD 404KES 417KGS 116KHR 408KPW \
         136KYD 398KZT 418LAK 422LBP 144LKR 430LRD 426LSL 504MAD 498MDL 969MGA 807MKD 104MMK 496MNT 446MOP 929MRU \
         480MUR 462MVR 454MWK 484MXN 458MYR 943MZN 516NAD 566NGN 558NIO 578NOK 524NPR 554NZD 590PAB 604PEN 598PGK \
         608PHP 586PKR 985PLN 634QAR 946RON 941RSD 643RUB 682SAR 090SBD 690SCR 938SDG 752SEK 702SGD 654SHP 925SLE \
         706SOS 968SRD 728SSP 930STN 222SVC 760SYP 748SZL 764THB 972TJS 934TMT 776TOP 949TRY 780TTD 901TWD 834TZS \
         980UAH 840USD 858UYU 860UZS 926VED 928VES 882WST 951XCD 532XCG 886YER 710ZAR 967ZMW 924ZWG",
        2,
    ),
    (
        "108BIF 152CLP 262DJF 324GNF 352ISK 392JPY 174KMF 410KRW 600PYG 646RWF 800UGX 940UYI 704VND 548VUV 950XAF \
         952XOF 953XPF",
        0,
    ),
    ("048BHD 368IQD 400JOD 414KWD 434LYD 512OMR 788TND", 3),
    ("990CLF 927UYW", 4),
];

/// A currency of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    number: [u8; 3],
    code: [u8; 3],
    exponent: u8,
}

impl Currency {
    /// The currency of a code in capitals, such as `EUR`, or of a number of three digits, such as `978`. `None` when ISO 4217
    /// has none, or one that no money is moved in.
    ///
    /// ```
    /// use comptoir_qr::Currency;
    ///
    /// let yen = Currency::of("392").expect("it is in the table");
    /// assert_eq!((yen.code(), yen.exponent()), ("JPY", 0));
    /// assert_eq!(Currency::of("JPY"), Some(yen));
    /// ```
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        CURRENCIES.iter().find_map(|&(entries, exponent)| {
            let entry = entries.split_ascii_whitespace().find(|entry| entry[..3] == *code || entry[3..] == *code)?;
            let (number, code) = entry.as_bytes().split_first_chunk::<3>()?;
            Some(Self { number: *number, code: code.try_into().ok()?, exponent })
        })
    }

    /// Three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("made of three ASCII letters")
    }

    /// Three digits.
    #[must_use]
    pub fn number(&self) -> &str {
        std::str::from_utf8(&self.number).expect("made of three ASCII digits")
    }

    /// How many decimals the minor unit stands for.
    #[must_use]
    pub fn exponent(&self) -> u8 {
        self.exponent
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount above zero, in minor units of its currency; at most [`MINOR_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something else than digits with at most one point.
    #[error("it is not written in digits with at most one point")]
    NotANumber,
    /// A code without an amount lets the payer type one; zero says neither.
    #[error("it is zero")]
    Zero,
    /// More decimals than the currency has.
    #[error("it has more than the {exponent} decimals of its currency")]
    TooManyDecimals { exponent: u8 },
    /// More than the format has room for.
    #[error("it is too large")]
    TooLarge,
}

impl Money {
    /// # Errors
    /// [`AmountError::Zero`], also below zero, or [`AmountError::TooLarge`].
    pub fn new(minor: i64, currency: Currency) -> Result<Self, AmountError> {
        match minor {
            ..=0 => Err(AmountError::Zero),
            1..=MINOR_MAX => Ok(Self { minor, currency }),
            _ => Err(AmountError::TooLarge),
        }
    }

    /// Reads a decimal number with a point, as payment codes have it: `12`, `12.`, `12.5`, `12.50`.
    ///
    /// # Errors
    /// [`AmountError`] says what is wrong with it.
    ///
    /// ```
    /// use comptoir_qr::{AmountError, Currency, Money};
    ///
    /// let euro = Currency::of("EUR").expect("it is in the table");
    /// assert_eq!(Money::parse("98.", euro)?.minor(), 9800);
    /// assert_eq!(Money::parse("98,73", euro), Err(AmountError::NotANumber));
    /// # Ok::<(), AmountError>(())
    /// ```
    pub fn parse(text: &str, currency: Currency) -> Result<Self, AmountError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || whole.is_empty() {
            return Err(AmountError::NotANumber);
        }
        let exponent = currency.exponent;
        if decimals.len() > usize::from(exponent) {
            return Err(AmountError::TooManyDecimals { exponent });
        }
        let missing = usize::from(exponent) - decimals.len();
        let minor = whole.bytes().chain(decimals.bytes()).chain(std::iter::repeat_n(b'0', missing)).try_fold(
            0_i64,
            |minor, digit| {
                let minor = minor.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
                (minor <= MINOR_MAX).then_some(minor)
            },
        );
        Self::new(minor.ok_or(AmountError::TooLarge)?, currency)
    }

    /// In minor units.
    #[must_use]
    pub fn minor(&self) -> i64 {
        self.minor
    }

    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }
}

/// With a point and all the decimals of the currency, without its name: as payment codes want it.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.currency.exponent);
        let unit = 10_i64.pow(u32::from(self.currency.exponent));
        write!(f, "{}", self.minor / unit)?;
        if decimals > 0 {
            write!(f, ".{:0decimals$}", self.minor % unit)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {:?}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, currency: &str, expected: Result<i64, AmountError>) {
        let currency = Currency::of(currency).unwrap();
        assert_eq!(Money::parse(text, currency).map(|money| money.minor()), expected, "{text} {currency:?}");
    }

    #[test]
    fn amounts_are_counted_in_minor_units() {
        check("98.73", "EUR", Ok(9873));
        check("98.7", "EUR", Ok(9870));
        check("98.", "EUR", Ok(9800));
        check("098", "EUR", Ok(9800));
        check("3705", "JPY", Ok(3705));
        check("1.234", "KWD", Ok(1234));
        check("9999999999999", "EUR", Ok(999_999_999_999_900));
    }

    #[test]
    fn what_is_no_amount_is_refused_and_never_rounded() {
        for text in ["", ".", ".5", "98,73", "3 705", "-1", "+1", "1e3", "1.2.3", "١"] {
            check(text, "EUR", Err(AmountError::NotANumber));
        }
        for text in ["0", "0.00", "00."] {
            check(text, "EUR", Err(AmountError::Zero));
        }
        check("1.005", "EUR", Err(AmountError::TooManyDecimals { exponent: 2 }));
        check("1.0", "JPY", Err(AmountError::TooManyDecimals { exponent: 0 }));
        check("10000000000000", "EUR", Err(AmountError::TooLarge));
        check(&"9".repeat(5000), "EUR", Err(AmountError::TooLarge));
    }

    #[test]
    fn an_amount_is_written_with_all_its_decimals() {
        for (minor, currency, text) in
            [(5, "EUR", "0.05"), (1250, "EUR", "12.50"), (7, "XOF", "7"), (7, "BHD", "0.007")]
        {
            let currency = Currency::of(currency).unwrap();
            let money = Money::new(minor, currency).unwrap();
            assert_eq!(money.to_string(), text);
            assert_eq!(Money::parse(text, currency), Ok(money));
        }
    }

    #[test]
    fn every_currency_is_found_by_both_its_codes() {
        for entry in CURRENCIES.iter().flat_map(|(entries, _)| entries.split_ascii_whitespace()) {
            let currency = Currency::of(&entry[3..]).unwrap();
            assert_eq!(Currency::of(&entry[..3]), Some(currency));
            assert_eq!((currency.number(), currency.code()), (&entry[..3], &entry[3..]));
        }
        for unknown in ["", "EU", "eur", "000", "999", "XXX", "978EUR", "é€"] {
            assert_eq!(Currency::of(unknown), None, "{unknown}");
        }
    }
}
