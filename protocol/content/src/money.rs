//! Money: an integer of minor units and an ISO 4217 currency, with the exponent that the standard gives it.

use std::fmt;

use crate::error::need;
use crate::{ContentError, proto};

/// The largest amount, on either side of zero, in minor units.
pub const MINOR_MAX: i64 = 999_999_999_999;

/// An ISO 4217 currency that money can be moved in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

/// The alphabetic codes of ISO 4217 whose minor unit is a hundredth.
const HUNDREDTHS: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD \
    CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF \
    IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR \
    MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
    SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
/// Whose minor unit is the unit itself.
const WHOLE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
/// Whose minor unit is a thousandth.
const THOUSANDTHS: &str = "BHD IQD JOD KWD LYD OMR TND";
/// Whose minor unit is a ten-thousandth.
const TEN_THOUSANDTHS: &str = "CLF UYW";

impl Currency {
    /// The currency of an ISO 4217 code in capitals.
    ///
    /// # Errors
    /// [`ContentError::Field`] when the table has no such code.
    ///
    /// ```
    /// use comptoir_content::Currency;
    /// assert_eq!(Currency::of("EUR")?.exponent(), 2);
    /// assert_eq!(Currency::of("JPY")?.exponent(), 0);
    /// assert!(Currency::of("eur").is_err());
    /// # Ok::<(), comptoir_content::ContentError>(())
    /// ```
    pub fn of(code: &str) -> Result<Self, ContentError> {
        let tables = [(HUNDREDTHS, 2), (WHOLE, 0), (THOUSANDTHS, 3), (TEN_THOUSANDTHS, 4)];
        let found = tables.iter().find(|(codes, _)| codes.split_ascii_whitespace().any(|known| known == code));
        match (found, code.as_bytes().try_into()) {
            (Some(&(_, exponent)), Ok(code)) => Ok(Self { code, exponent }),
            _ => Err(ContentError::field("currency", "not an ISO 4217 code that money is moved in")),
        }
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("made of three ASCII letters")
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

/// An amount of money in minor units of its currency; at most [`MINOR_MAX`] on either side of zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amount {
    minor: i64,
    currency: Currency,
}

impl Amount {
    /// # Errors
    /// [`ContentError::Field`] beyond [`MINOR_MAX`].
    pub fn new(minor: i64, currency: Currency) -> Result<Self, ContentError> {
        if minor.unsigned_abs() > MINOR_MAX.unsigned_abs() {
            return Err(ContentError::field("amount", "beyond 999,999,999,999 minor units"));
        }
        Ok(Self { minor, currency })
    }

    /// Minor units: cents of a euro, whole yen.
    #[must_use]
    pub fn minor(&self) -> i64 {
        self.minor
    }

    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The sum, if both are of one currency and it is within bounds.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Self::new(self.minor.checked_add(other.minor)?, self.currency).ok()
    }

    /// The amount in decimal digits with the ISO code, as it stands on paper: `12.50 EUR`, `1200 JPY`.
    ///
    /// Shells format for the reader's locale; this is for terminals, files and tests.
    #[must_use]
    pub fn to_plain(&self) -> String {
        let exponent = usize::from(self.currency.exponent);
        let digits = format!("{:0width$}", self.minor.unsigned_abs(), width = exponent + 1);
        let (whole, rest) = digits.split_at(digits.len() - exponent);
        let sign = if self.minor < 0 { "-" } else { "" };
        let point = if rest.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{rest} {}", self.currency.code())
    }

    /// Reads digits with at most the currency's decimals: `12.5` or `12.50` for euros.
    ///
    /// # Errors
    /// [`ContentError::Field`] for anything else; nothing is rounded.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, ContentError> {
        let bad = || ContentError::field("amount", "is written in digits, with at most the decimals of its currency");
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let exponent = usize::from(currency.exponent);
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || rest.len() > exponent || text.ends_with('.') || !digits(whole) || !digits(rest) {
            return Err(bad());
        }
        let minor: i64 = format!("{whole}{rest:0<exponent$}").parse().map_err(|_| bad())?;
        Self::new(minor, currency)
    }

    pub(crate) fn to_proto(self) -> proto::Amount {
        proto::Amount {
            minor: self.minor,
            currency: self.currency.code().to_owned(),
            exponent: self.currency.exponent.into(),
        }
    }

    pub(crate) fn from_parts(minor: i64, currency: &str, exponent: u32) -> Result<Self, ContentError> {
        let currency = Currency::of(currency)?;
        if u32::from(currency.exponent) != exponent {
            return Err(ContentError::field("exponent", "not the one of the currency"));
        }
        Self::new(minor, currency)
    }

    pub(crate) fn from_field(field: &'static str, amount: Option<proto::Amount>) -> Result<Self, ContentError> {
        let amount = need(field, amount)?;
        Self::from_parts(amount.minor, &amount.currency, amount.exponent)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_plain())
    }
}
