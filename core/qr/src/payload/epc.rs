//! A credit transfer in euro: twelve lines (EPC069-12).

use super::iban::{is_creditor_reference, is_iban};
use super::{Currency, Field, Money, Refused, charset, filled, headed, lines};

/// A transfer that a European banking app fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpcTransfer {
    /// The bank, by eight or eleven letters and digits.
    pub bic: Option<String>,
    pub name: String,
    pub iban: String,
    /// In euro. `None`: the payer types it.
    pub amount: Option<Money>,
    /// Up to four letters.
    pub purpose: Option<String>,
    /// A creditor's reference. There is this or a text.
    pub reference: Option<String>,
    pub text: Option<String>,
    /// From the payee to the payer; not transferred.
    pub note: Option<String>,
}

const NAMES: [&str; 12] = [
    "service_tag",
    "version",
    "character_set",
    "identification",
    "bic",
    "name",
    "iban",
    "amount",
    "purpose",
    "reference",
    "text",
    "note",
];
/// What the third line says, from 1, by the numbers that symbols use for the same: UTF-8, then parts of ISO 8859.
const CHARACTER_SETS: [u32; 8] = [26, 3, 4, 6, 7, 9, 12, 17];
/// The largest amount, in cents.
const CENTS_MAX: i64 = 99_999_999_999;
/// What may be written, in bytes.
const BYTES_MAX: usize = 331;

pub(super) fn read(bytes: &[u8], text: &str) -> Result<EpcTransfer, Refused> {
    let declared = match lines(text, 12)[2].as_bytes() {
        [digit @ b'1'..=b'8'] => CHARACTER_SETS[usize::from(digit - b'1')],
        _ => return Err(Refused::field("3", "it is no number of a character set, 1 to 8")),
    };
    // The third line knows better than the symbol how the sixth is written.
    let text = charset::text_in(bytes, declared).unwrap_or_else(|| text.to_owned());
    let lines = lines(&text, 12);
    if lines.len() > 12 {
        return Err(Refused::field("13", "there are more than twelve lines"));
    }
    let must_have_bic = match lines[1] {
        "001" => true,
        "002" => false,
        _ => return Err(Refused::field("2", "the version is neither 001 nor 002")),
    };
    if !matches!(lines[3], "SCT" | "INST") {
        return Err(Refused::field("4", "it is no credit transfer"));
    }
    let bic = filled(lines[4], "5", 11)?;
    let is_bic = |bic: &String| {
        matches!(bic.len(), 8 | 11) && bic.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if !bic.as_ref().is_none_or(is_bic) {
        return Err(Refused::field("5", "it is no BIC"));
    }
    if must_have_bic && bic.is_none() {
        return Err(Refused::Missing { field: "5" });
    }
    let name = filled(lines[5], "6", 70)?.ok_or(Refused::Missing { field: "6" })?;
    if !is_iban(lines[6]) {
        return Err(Refused::field("7", "it is no IBAN, or mistyped"));
    }
    let reference = filled(lines[9], "10", 35)?;
    if reference.as_ref().is_some_and(|reference| reference.starts_with("RF") && !is_creditor_reference(reference)) {
        return Err(Refused::field("10", "the reference is mistyped"));
    }
    let text = filled(lines[10], "11", 140)?;
    if reference.is_some() && text.is_some() {
        return Err(Refused::field("11", "it has a reference and a text"));
    }
    Ok(EpcTransfer {
        bic,
        name,
        iban: lines[6].to_owned(),
        amount: euro(lines[7])?,
        purpose: filled(lines[8], "9", 4)?,
        reference,
        text,
        note: filled(lines[11], "12", 70)?,
    })
}

fn euro(line: &str) -> Result<Option<Money>, Refused> {
    if line.is_empty() {
        return Ok(None);
    }
    let digits = line.strip_prefix("EUR").ok_or(Refused::field("8", "it does not begin with EUR"))?;
    let euro = Currency::of("EUR").expect("it is in the table");
    let refused = |why| Refused::Amount { field: "8".to_owned(), why };
    let money = Money::parse(digits, euro).map_err(refused)?;
    if money.minor() > CENTS_MAX {
        return Err(refused(super::AmountError::TooLarge));
    }
    Ok(Some(money))
}

impl EpcTransfer {
    /// Writes version 002 in UTF-8, for [`crate::Symbol::of_payment`].
    ///
    /// # Errors
    /// [`Refused`] names the line that does not fit, or [`Refused::TooLong`] beyond 331 bytes.
    ///
    /// ```
    /// use comptoir_qr::{Currency, EpcTransfer, Money};
    ///
    /// let transfer = EpcTransfer {
    ///     bic: None,
    ///     name: "Red Cross of Belgium".to_owned(),
    ///     iban: "BE72000000001616".to_owned(),
    ///     amount: Some(Money::new(100, Currency::of("EUR").expect("it is in the table"))?),
    ///     purpose: None,
    ///     reference: None,
    ///     text: None,
    ///     note: None,
    /// };
    /// assert_eq!(transfer.write()?, "BCD\n002\n1\nSCT\n\nRed Cross of Belgium\nBE72000000001616\nEUR1.00");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self) -> Result<String, Refused> {
        let text = self.lines().join("\n");
        let text = text.trim_end_matches('\n').to_owned();
        if text.len() > BYTES_MAX {
            return Err(Refused::TooLong { size_bytes: text.len() });
        }
        if read(text.as_bytes(), &text)? != *self {
            return Err(Refused::field("8", "the amount is not in euro, or a line is not as it would be read"));
        }
        Ok(text)
    }

    fn lines(&self) -> [String; 12] {
        let or_empty = |line: &Option<String>| line.clone().unwrap_or_default();
        [
            "BCD".to_owned(),
            "002".to_owned(),
            "1".to_owned(),
            "SCT".to_owned(),
            or_empty(&self.bic),
            self.name.clone(),
            self.iban.clone(),
            self.amount.map(|amount| format!("{}{amount}", amount.currency().code())).unwrap_or_default(),
            or_empty(&self.purpose),
            or_empty(&self.reference),
            or_empty(&self.text),
            or_empty(&self.note),
        ]
    }

    pub(super) fn fields(&self, raw: &[u8]) -> Vec<Field> {
        headed(raw, &self.lines(), 4, &NAMES)
    }
}
