//! EMVCo's merchant-presented code: the checksum first, then the objects, then what each scheme asks of its own.
//!
//! Accepted, because real shops' codes are so: a checksum in small letters, no point of initiation, no category, name, city or
//! postcode, account data that is no template, and lengths that count bytes.

use super::tlv::{self, Counting, Object};
use super::{Currency, Money, Refused, Way, schemes};

/// A merchant's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantCode {
    pub initiation: Option<Initiation>,
    /// One or more; see [`super::Payment::ways`].
    pub ways: Vec<Way>,
    /// Four digits of ISO 18245: what is sold.
    pub category: Option<String>,
    pub currency: Currency,
    /// `None`: the payer types it. What a way asks for is in the way, which may know better.
    pub amount: Option<Money>,
    pub tip: Option<Tip>,
    /// Two letters of ISO 3166.
    pub country: String,
    pub name: Option<String>,
    pub city: Option<String>,
    pub postcode: Option<String>,
    pub native: Option<NativeName>,
    /// The label by which the merchant knows the payment. `***` asks for none and is left out.
    pub reference: Option<String>,
    /// Everything, in the order in which it stands there, without the checksum.
    pub objects: Vec<Object>,
}

/// How often a code is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiation {
    /// The same code for many payments.
    Static,
    /// A new code for each payment.
    Dynamic,
}

/// What is paid on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tip {
    /// The payer is asked for one.
    Asked,
    Fixed(Money),
    /// In hundredths of a per cent, 1 to 9999.
    Percent {
        hundredths: u16,
    },
}

/// The merchant in its own language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeName {
    /// Two letters of ISO 639.
    pub language: String,
    pub name: String,
    pub city: Option<String>,
}

const CHECKSUM_ID: &str = "6304";

pub(super) fn read(bytes: &[u8], text: &str) -> Result<MerchantCode, Refused> {
    let body = checked(bytes, text)?;
    let objects = match (objects(body, Counting::Characters), objects(body, Counting::Bytes)) {
        (Ok(one), Ok(other)) if one != other => return Err(Refused::Ambiguous),
        (Ok(objects), _) | (Err(_), Ok(objects)) => objects,
        (Err(why), Err(_)) => return Err(why),
    };
    Reader { objects: &objects }.code()
}

/// What stands before the checksum, when that fits. It is counted over UTF-8; a symbol in another character set may hold
/// one that was counted over its own bytes.
fn checked<'a>(bytes: &[u8], text: &'a str) -> Result<&'a str, Refused> {
    let (body, said) = text
        .len()
        .checked_sub(CHECKSUM_ID.len() + 4)
        .and_then(|at| text.split_at_checked(at))
        .and_then(|(body, end)| Some((body, end.strip_prefix(CHECKSUM_ID)?)))
        .ok_or(Refused::NoChecksum)?;
    if !said.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refused::NoChecksum);
    }
    let computed = format!("{:04X}", tlv::checksum(&text.as_bytes()[..text.len() - 4]));
    let over_bytes = bytes.len().checked_sub(4).map(|end| format!("{:04X}", tlv::checksum(&bytes[..end])));
    if said.eq_ignore_ascii_case(&computed)
        || over_bytes.is_some_and(|over_bytes| said.eq_ignore_ascii_case(&over_bytes))
    {
        Ok(body)
    } else {
        Err(Refused::Checksum { said: said.to_owned(), computed })
    }
}

fn objects(body: &str, counting: Counting) -> Result<Vec<Object>, Refused> {
    let mut objects = tlv::read(body, counting, "")?;
    for object in &mut objects {
        let place = format!("{:02}.", object.id);
        object.children = match object.id {
            62 | 64 => tlv::read(&object.value, counting, &place)?,
            // Some schemes put bare numbers where templates belong. What is a template has no number twice.
            26..=51 | 65..=99 => match tlv::read(&object.value, counting, &place) {
                Ok(children) => children,
                Err(twice @ Refused::Twice { .. }) => return Err(twice),
                Err(_) => Vec::new(),
            },
            _ => Vec::new(),
        };
    }
    Ok(objects)
}

struct Reader<'a> {
    objects: &'a [Object],
}

impl Reader<'_> {
    fn code(&self) -> Result<MerchantCode, Refused> {
        if !matches!(self.objects.first(), Some(Object { id: 0, value, .. }) if value == "01") {
            return Err(Refused::field("00", "the payload format is not 01"));
        }
        if self.value(63).is_some() {
            return Err(Refused::field("63", "the checksum is not at the end"));
        }
        let currency = self.value(53).ok_or(Refused::Missing { field: "53" })?;
        let currency = Currency::of(currency)
            .filter(|known| known.number() == currency)
            .ok_or(Refused::field("53", "it is no currency of ISO 4217"))?;
        let amount = self.money(54, currency)?;
        let country = self.value(58).ok_or(Refused::Missing { field: "58" })?;
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(Refused::field("58", "it is not two letters"));
        }
        if self.value(52).is_some_and(|category| category.len() != 4 || !is_number(category)) {
            return Err(Refused::field("52", "it is not four digits"));
        }
        let ways = schemes::ways(self.objects, currency, country, amount)?;
        // Where all is asked for elsewhere, what stands here is nobody's word.
        let is_elsewhere = ways.iter().all(|way| way.ask_at.is_some());
        let reference = self.child(62, 5).filter(|label| *label != "***" && !is_elsewhere);
        Ok(MerchantCode {
            initiation: self.initiation()?,
            category: self.text(52, 4)?,
            currency,
            amount: amount.filter(|_| !is_elsewhere),
            tip: self.tip(currency)?,
            country: country.to_owned(),
            name: self.text(59, 99)?,
            city: self.text(60, 99)?,
            postcode: self.text(61, 99)?,
            native: self.native()?,
            reference: reference.map(str::to_owned),
            ways,
            objects: self.objects.to_vec(),
        })
    }

    fn initiation(&self) -> Result<Option<Initiation>, Refused> {
        match self.value(1).map(str::as_bytes) {
            None => Ok(None),
            // The first digit says how it is shown: Bharat QR knows more ways than a picture.
            Some([b'1'..=b'9', b'1']) => Ok(Some(Initiation::Static)),
            Some([b'1'..=b'9', b'2']) => Ok(Some(Initiation::Dynamic)),
            Some(_) => Err(Refused::field("01", "it is neither 11 nor 12")),
        }
    }

    fn tip(&self, currency: Currency) -> Result<Option<Tip>, Refused> {
        let (fixed, percent) = (self.money(56, currency)?, self.value(57));
        let tip = match self.value(55) {
            None => None,
            Some("01") => Some(Tip::Asked),
            Some("02") => Some(Tip::Fixed(fixed.ok_or(Refused::Missing { field: "56" })?)),
            Some("03") => Some(hundredths(percent.ok_or(Refused::Missing { field: "57" })?)?),
            Some(_) => return Err(Refused::field("55", "it is neither 01 nor 02 nor 03")),
        };
        if fixed.is_some() && !matches!(tip, Some(Tip::Fixed(_))) {
            return Err(Refused::field("56", "55 does not announce it"));
        }
        if percent.is_some() && !matches!(tip, Some(Tip::Percent { .. })) {
            return Err(Refused::field("57", "55 does not announce it"));
        }
        Ok(tip)
    }

    fn native(&self) -> Result<Option<NativeName>, Refused> {
        if self.value(64).is_none() {
            return Ok(None);
        }
        let language = self.child(64, 0).ok_or(Refused::Missing { field: "64.00" })?;
        let name = self.child(64, 1).ok_or(Refused::Missing { field: "64.01" })?;
        Ok(Some(NativeName {
            language: language.to_owned(),
            name: name.to_owned(),
            city: self.child(64, 2).map(str::to_owned),
        }))
    }

    fn value(&self, id: u8) -> Option<&str> {
        self.objects.iter().find(|object| object.id == id).map(|object| object.value.as_str())
    }

    fn child(&self, id: u8, child: u8) -> Option<&str> {
        schemes::child(self.objects.iter().find(|object| object.id == id)?, child)
    }

    fn text(&self, id: u8, max: usize) -> Result<Option<String>, Refused> {
        super::filled(self.value(id).unwrap_or_default(), &format!("{id:02}"), max)
    }

    fn money(&self, id: u8, currency: Currency) -> Result<Option<Money>, Refused> {
        let Some(text) = self.value(id) else { return Ok(None) };
        let field = format!("{id:02}");
        if text.len() > 13 {
            return Err(Refused::field(field, "it is longer than 13 characters"));
        }
        Money::parse(text, currency).map(Some).map_err(|why| Refused::Amount { field, why })
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `00.01` to `99.99`, without its leading zeros if you like.
fn hundredths(percent: &str) -> Result<Tip, Refused> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, ""));
    let fits = (1..=2).contains(&whole.len()) && decimals.len() <= 2 && is_number(whole) && is_number(decimals);
    let hundredths = format!("{whole}{decimals:0<2}").parse().ok().filter(|hundredths| fits && *hundredths > 0);
    let hundredths = hundredths.ok_or(Refused::field("57", "it is not between 00.01 and 99.99"))?;
    Ok(Tip::Percent { hundredths })
}
