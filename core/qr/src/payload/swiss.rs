//! The Swiss QR-bill: thirty-one lines and up to three more.

use super::iban::{holds_swiss_check, is_creditor_reference, is_iban};
use super::{Currency, Field, Money, Refused, filled, headed, lines};

/// The payment part of a Swiss bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwissBill {
    /// Of Switzerland or Liechtenstein.
    pub iban: String,
    pub creditor: SwissAddress,
    /// `None`: the payer types it.
    pub amount: Option<Money>,
    /// Francs or euro.
    pub currency: Currency,
    pub debtor: Option<SwissAddress>,
    /// Twenty-seven digits for an account that wants them, else a creditor's reference, or none.
    pub reference: Option<String>,
    pub message: Option<String>,
    /// For the payer's books.
    pub bill_information: Option<String>,
    /// Other ways to pay, in words of their own.
    pub alternatives: Vec<String>,
}

/// A name and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwissAddress {
    pub name: String,
    /// `S`, in parts, or `K`, in two lines, which is read and no longer written.
    pub kind: char,
    /// The street, or the first line.
    pub street: Option<String>,
    /// The number of the house, or the second line.
    pub house: Option<String>,
    pub postcode: Option<String>,
    pub town: Option<String>,
    pub country: String,
}

const NAMES: [&str; 34] = [
    "format",
    "version",
    "character_set",
    "iban",
    "creditor_address_type",
    "creditor_name",
    "creditor_street",
    "creditor_house",
    "creditor_postcode",
    "creditor_town",
    "creditor_country",
    "final_creditor_address_type",
    "final_creditor_name",
    "final_creditor_street",
    "final_creditor_house",
    "final_creditor_postcode",
    "final_creditor_town",
    "final_creditor_country",
    "amount",
    "currency",
    "debtor_address_type",
    "debtor_name",
    "debtor_street",
    "debtor_house",
    "debtor_postcode",
    "debtor_town",
    "debtor_country",
    "reference_type",
    "reference",
    "message",
    "trailer",
    "bill_information",
    "alternative_1",
    "alternative_2",
];
/// The largest amount, in minor units.
const MINOR_MAX: i64 = 99_999_999_999;

pub(super) fn read(text: &str) -> Result<SwissBill, Refused> {
    let lines = lines(text, 34);
    if lines.len() > 34 {
        return Err(Refused::field("35", "there are more than thirty-four lines"));
    }
    let line = |at: usize, max| filled(lines[at - 1], &at.to_string(), max);
    if !(lines[1].starts_with("02") && lines[1].len() == 4 && lines[1].bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Refused::field("2", "the version is not 02"));
    }
    if lines[2] != "1" {
        return Err(Refused::field("3", "it is not in UTF-8"));
    }
    let iban = lines[3];
    if iban.len() != 21 || !is_iban(iban) || !["CH", "LI"].contains(&&iban[..2]) {
        return Err(Refused::field("4", "it is no Swiss IBAN, or mistyped"));
    }
    let creditor = address(&lines, 5)?.ok_or(Refused::Missing { field: "6" })?;
    if lines[11..18].iter().any(|line| !line.is_empty()) {
        return Err(Refused::field("12", "the final creditor is reserved for later"));
    }
    let currency = Some(lines[19]).filter(|code| ["CHF", "EUR"].contains(code)).and_then(Currency::of);
    let currency = currency.ok_or(Refused::field("20", "it is neither CHF nor EUR"))?;
    let reference = line(29, 27)?;
    check_reference(iban, lines[27], reference.as_deref())?;
    if lines[30] != "EPD" {
        return Err(Refused::field("31", "it is not EPD"));
    }
    let (message, bill_information) = (line(30, 140)?, line(32, 140)?);
    let length = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    if length(&message) + length(&bill_information) > 140 {
        return Err(Refused::field("32", "message and bill information are too long together"));
    }
    if bill_information.as_ref().is_some_and(|text| !text.starts_with("//")) {
        return Err(Refused::field("32", "it does not begin with //"));
    }
    Ok(SwissBill {
        iban: iban.to_owned(),
        creditor,
        amount: amount(lines[18], currency)?,
        currency,
        debtor: address(&lines, 21)?,
        reference,
        message,
        bill_information,
        alternatives: [line(33, 100)?, line(34, 100)?].into_iter().flatten().collect(),
    })
}

/// Seven lines from this one, counted from 1; all empty is no address.
fn address(lines: &[&str], from: usize) -> Result<Option<SwissAddress>, Refused> {
    let lines = &lines[from - 1..from + 6];
    if lines.iter().all(|line| line.is_empty()) {
        return Ok(None);
    }
    let field = |at: usize| (from + at).to_string();
    let kind = match lines[0] {
        "S" => 'S',
        "K" => 'K',
        _ => return Err(Refused::field(field(0), "the address is neither of type S nor K")),
    };
    let line = |at: usize, max| filled(lines[at], &field(at), max);
    let needed = |at: usize, max| line(at, max)?.ok_or(Refused::field(field(at), "it is empty"));
    let country = needed(6, 2)?;
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Refused::field(field(6), "it is not two letters"));
    }
    let address = SwissAddress {
        name: needed(1, 70)?,
        kind,
        street: line(2, 70)?,
        house: line(3, if kind == 'S' { 16 } else { 70 })?,
        postcode: line(4, 16)?,
        town: line(5, 35)?,
        country,
    };
    let has_place = address.postcode.is_some() && address.town.is_some();
    let has_no_place = address.postcode.is_none() && address.town.is_none();
    if kind == 'S' && !has_place {
        return Err(Refused::field(field(4), "postcode or town is empty"));
    }
    if kind == 'K' && !(has_no_place && address.house.is_some()) {
        return Err(Refused::field(field(3), "the second line is empty, or there is more than it"));
    }
    Ok(Some(address))
}

fn amount(line: &str, currency: Currency) -> Result<Option<Money>, Refused> {
    if line.is_empty() {
        return Ok(None);
    }
    let refused = |why| Refused::Amount { field: "19".to_owned(), why };
    let money = Money::parse(line, currency).map_err(refused)?;
    if money.minor() > MINOR_MAX {
        return Err(refused(super::AmountError::TooLarge));
    }
    Ok(Some(money))
}

/// An account that wants twenty-seven digits has a bank's number of its own, 30000 to 31999.
fn wants_digits(iban: &str) -> bool {
    iban.get(4..9).and_then(|bank| bank.parse().ok()).is_some_and(|bank: u32| (30_000..=31_999).contains(&bank))
}

fn check_reference(iban: &str, kind: &str, reference: Option<&str>) -> Result<(), Refused> {
    let fits = match (kind, reference) {
        ("QRR", Some(digits)) => wants_digits(iban) && digits.len() == 27 && holds_swiss_check(digits),
        ("SCOR", Some(reference)) => !wants_digits(iban) && is_creditor_reference(reference),
        ("NON", None) => !wants_digits(iban),
        ("QRR" | "SCOR" | "NON", _) => false,
        _ => return Err(Refused::field("28", "it is neither QRR nor SCOR nor NON")),
    };
    if fits { Ok(()) } else { Err(Refused::field("29", "the reference does not fit its type or the account")) }
}

impl SwissBill {
    /// Writes version 0200, for [`crate::Symbol::of_payment`]. Addresses are in parts; that has been the rule since 2025.
    ///
    /// # Errors
    /// [`Refused`] names the line, counted from 1, that does not fit.
    pub fn write(&self) -> Result<String, Refused> {
        if self.creditor.kind != 'S' || self.debtor.as_ref().is_some_and(|debtor| debtor.kind != 'S') {
            return Err(Refused::field("5", "addresses are written in parts"));
        }
        let text = self.lines().join("\n");
        if read(&text)? != *self {
            return Err(Refused::field("20", "a line is not as it would be read"));
        }
        Ok(text)
    }

    fn lines(&self) -> Vec<String> {
        let kind = match self.reference.as_deref() {
            None => "NON",
            Some(_) if wants_digits(&self.iban) => "QRR",
            Some(_) => "SCOR",
        };
        let or_empty = |line: &Option<String>| line.clone().unwrap_or_default();
        let mut lines: Vec<String> = ["SPC", "0200", "1", &self.iban].map(str::to_owned).into();
        lines.extend(SwissAddress::lines(Some(&self.creditor)));
        lines.extend(SwissAddress::lines(None));
        lines.push(self.amount.map(|amount| amount.to_string()).unwrap_or_default());
        lines.push(self.currency.code().to_owned());
        lines.extend(SwissAddress::lines(self.debtor.as_ref()));
        lines.push(kind.to_owned());
        lines.extend([or_empty(&self.reference), or_empty(&self.message), "EPD".to_owned()]);
        if self.bill_information.is_some() || !self.alternatives.is_empty() {
            lines.push(or_empty(&self.bill_information));
        }
        lines.extend(self.alternatives.iter().cloned());
        lines
    }

    pub(super) fn fields(&self, raw: &[u8]) -> Vec<Field> {
        headed(raw, &self.lines(), 3, &NAMES)
    }
}

impl SwissAddress {
    fn lines(address: Option<&Self>) -> [String; 7] {
        let Some(address) = address else { return Default::default() };
        let or_empty = |line: &Option<String>| line.clone().unwrap_or_default();
        [
            address.kind.to_string(),
            address.name.clone(),
            or_empty(&address.street),
            or_empty(&address.house),
            or_empty(&address.postcode),
            or_empty(&address.town),
            address.country.clone(),
        ]
    }
}
