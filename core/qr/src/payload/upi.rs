//! India's payment links: `upi://pay?` and parameters, which are kept as they were written, for some are signed.

use std::fmt::Write as _;

use super::{Currency, Field, Money, Refused};

const SCHEME: &str = "upi://pay?";

/// A link that an Indian payment app opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpiLink {
    /// Whom it pays: `name@bank`.
    pub address: String,
    pub name: Option<String>,
    /// `None`: the payer types it.
    pub amount: Option<Money>,
    pub minimum: Option<Money>,
    pub reference: Option<String>,
    pub note: Option<String>,
    /// Every parameter, in order: its name and its text. Whoever hands a signed link on hands on [`super::Payment::raw`].
    pub parameters: Vec<(String, String)>,
}

pub(super) fn claims(bytes: &[u8]) -> bool {
    bytes.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME.as_bytes()))
}

pub(super) fn read(text: &str) -> Result<UpiLink, Refused> {
    let query = text.get(SCHEME.len()..).unwrap_or_default();
    let mut parameters: Vec<(String, String)> = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = name.to_ascii_lowercase();
        if parameters.iter().any(|(known, _)| *known == name) {
            return Err(Refused::Twice { field: name });
        }
        parameters.push((name, unescaped(value).ok_or(Refused::NotText)?));
    }
    let value = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty() && *value != "null")
    };
    let address = value("pa").ok_or(Refused::Missing { field: "pa" })?;
    check_address(address)?;
    if value("cu").is_some_and(|currency| !currency.eq_ignore_ascii_case("INR")) {
        return Err(Refused::field("cu", "UPI moves rupees only"));
    }
    let rupee = Currency::of("INR").expect("it is in the table");
    let money = |field: &str| match value(field) {
        None => Ok(None),
        Some(text) => {
            Money::parse(text, rupee).map(Some).map_err(|why| Refused::Amount { field: field.to_owned(), why })
        }
    };
    let (amount, minimum) = (money("am")?, money("mam")?);
    let owned = |field| value(field).map(str::to_owned);
    let (address, name, reference, note) = (address.to_owned(), owned("pn"), owned("tr"), owned("tn"));
    Ok(UpiLink { address, name, amount, minimum, reference, note, parameters })
}

fn check_address(address: &str) -> Result<(), Refused> {
    let fits = |part: &str| {
        (1..=255).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    match address.split_once('@') {
        Some((name, bank)) if fits(name) && fits(bank) => Ok(()),
        _ => Err(Refused::field("pa", "it is no address of the form name@bank")),
    }
}

/// A plus sign is a space, as many apps write it; a per cent sign without two digits is itself.
fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match escaped {
            Some(byte) => bytes.push(byte),
            None => bytes.push(if *first == b'+' { b' ' } else { *first }),
        }
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl UpiLink {
    /// Writes a link with these of its fields; other parameters are left out, for they may be signed.
    ///
    /// # Errors
    /// [`Refused`] names the field that does not fit.
    ///
    /// ```
    /// use comptoir_qr::{Currency, Money, UpiLink};
    ///
    /// let rupee = Currency::of("INR").expect("it is in the table");
    /// let link = UpiLink {
    ///     address: "bakery@upi".to_owned(),
    ///     name: Some("The Bakery".to_owned()),
    ///     amount: Some(Money::new(25_000, rupee)?),
    ///     minimum: None,
    ///     reference: Some("ORDER7".to_owned()),
    ///     note: None,
    ///     parameters: Vec::new(),
    /// };
    /// assert_eq!(link.write()?, "upi://pay?pa=bakery@upi&pn=The%20Bakery&tr=ORDER7&am=250.00&cu=INR");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self) -> Result<String, Refused> {
        check_address(&self.address)?;
        let rupees = |field: &str, money: Option<Money>| match money {
            Some(money) if money.currency().code() != "INR" => Err(Refused::field(field, "UPI moves rupees only")),
            money => Ok(money.map(|money| money.to_string())),
        };
        let values = [
            ("pn", self.name.clone()),
            ("tr", self.reference.clone()),
            ("tn", self.note.clone()),
            ("am", rupees("am", self.amount)?),
            ("mam", rupees("mam", self.minimum)?),
            ("cu", Some("INR".to_owned())),
        ];
        let mut link = format!("{SCHEME}pa={}", self.address);
        for (name, value) in values {
            let Some(value) = value else { continue };
            let value = super::filled(&value, name, 99)?.ok_or(Refused::field(name, "it is empty"))?;
            write!(link, "&{name}={}", escaped(&value)).expect("writing to a string does not fail");
        }
        Ok(link)
    }

    pub(super) fn fields(&self) -> Vec<Field> {
        let field = |(place, value): &(String, String)| Field {
            place: place.clone(),
            name: name_of(place),
            value: value.clone(),
        };
        self.parameters.iter().map(field).collect()
    }
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    text
}

fn name_of(parameter: &str) -> &'static str {
    match parameter {
        "pa" => "address",
        "pn" => "payee_name",
        "mc" => "merchant_category",
        "tid" => "transaction_id",
        "tr" => "reference",
        "tn" => "note",
        "am" => "amount",
        "mam" => "minimum_amount",
        "cu" => "currency",
        "url" | "refurl" => "url",
        "ver" => "version",
        "mode" => "mode",
        "purpose" => "purpose",
        "orgid" => "organisation",
        "sign" => "signature",
        "qrmedium" => "medium",
        "mid" => "merchant_id",
        "msid" => "store_id",
        "mtid" => "terminal_id",
        _ => "other",
    }
}
