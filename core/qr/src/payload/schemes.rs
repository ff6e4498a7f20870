//! Whose accounts a merchant's code names. One code may name several; each is a way to pay.

use super::tlv::Object;
use super::{Currency, Money, Refused, Way};

/// Who moves the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Visa,
    Mastercard,
    Discover,
    Amex,
    Jcb,
    UnionPay,
    /// Brazil.
    Pix,
    /// Thailand, to a person or a shop.
    PromptPay,
    /// Thailand, to a biller with references.
    PromptPayBill,
    /// Singapore.
    PayNow,
    /// Indonesia.
    Qris,
    /// Nigeria.
    Nqr,
    /// The eight states of the West African CFA franc.
    PiSpi,
    /// India's UPI in a Bharat QR code.
    BharatUpi,
    /// India's card scheme in a Bharat QR code.
    BharatRuPay,
    /// An account by its bank's code, in a Bharat QR code.
    BharatAccount,
    /// Ghana: Ecobank's account of a merchant in Visa's or Mastercard's place.
    EcobankPay,
    VietQr,
    DuitNow,
    LankaQr,
    /// An Indian link, `upi://pay`.
    Upi,
    /// A credit transfer in euro.
    Sepa,
    SwissBill,
    /// Not known here. Its account can be shown and not paid.
    Other,
}

impl Scheme {
    /// A name that stays the same, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Visa => "visa",
            Self::Mastercard => "mastercard",
            Self::Discover => "discover",
            Self::Amex => "amex",
            Self::Jcb => "jcb",
            Self::UnionPay => "unionpay",
            Self::Pix => "pix",
            Self::PromptPay => "promptpay",
            Self::PromptPayBill => "promptpay_bill",
            Self::PayNow => "paynow",
            Self::Qris => "qris",
            Self::Nqr => "nqr",
            Self::PiSpi => "pi_spi",
            Self::BharatUpi => "bharat_upi",
            Self::BharatRuPay => "bharat_rupay",
            Self::BharatAccount => "bharat_account",
            Self::EcobankPay => "ecobank_pay",
            Self::VietQr => "vietqr",
            Self::DuitNow => "duitnow",
            Self::LankaQr => "lankaqr",
            Self::Upi => "upi",
            Self::Sepa => "sepa",
            Self::SwissBill => "swiss_bill",
            Self::Other => "other",
        }
    }

    /// The one currency that it moves, if there is one.
    fn currency(self) -> Option<&'static str> {
        match self {
            Self::Pix => Some("BRL"),
            Self::PromptPay | Self::PromptPayBill => Some("THB"),
            Self::PayNow => Some("SGD"),
            Self::Qris => Some("IDR"),
            Self::Nqr => Some("NGN"),
            Self::PiSpi => Some("XOF"),
            Self::BharatUpi | Self::BharatRuPay | Self::BharatAccount | Self::Upi => Some("INR"),
            Self::VietQr => Some("VND"),
            Self::EcobankPay => Some("GHS"),
            Self::Visa
            | Self::Mastercard
            | Self::Discover
            | Self::Amex
            | Self::Jcb
            | Self::UnionPay
            | Self::DuitNow
            | Self::LankaQr
            | Self::Sepa
            | Self::SwissBill
            | Self::Other => None,
        }
    }
}

/// The templates that say by their first object whose they are, in any case. For each the child that is the account.
const TEMPLATES: [(&str, Scheme, u8); 11] = [
    ("br.gov.bcb.pix", Scheme::Pix, 1),
    ("A000000677010111", Scheme::PromptPay, 1),
    ("A000000677010112", Scheme::PromptPayBill, 1),
    ("SG.PAYNOW", Scheme::PayNow, 2),
    ("ID.CO.QRIS.WWW", Scheme::Qris, 2),
    ("NG.COM.NIBSS-PLC.QR", Scheme::Nqr, 1),
    ("NG.COM.NIBSSPLC.QR", Scheme::Nqr, 1),
    ("int.bceao.pi", Scheme::PiSpi, 1),
    ("A000000524", Scheme::BharatUpi, 1),
    ("A000000727", Scheme::VietQr, 1),
    ("A0000006150001", Scheme::DuitNow, 2),
];
/// Singapore's envelope around what other templates say.
pub(super) const SGQR: &str = "SG.SGQR";

pub(super) fn child(object: &Object, id: u8) -> Option<&str> {
    object.children.iter().find(|child| child.id == id).map(|child| child.value.as_str())
}

/// Whose template it is. Templates that only their country gives a meaning are known by that.
pub(super) fn of(object: &Object, country: &str, currency: Currency) -> Scheme {
    let is_indian = currency.code() == "INR";
    match object.id {
        2 | 3 => Scheme::Visa,
        4 | 5 => Scheme::Mastercard,
        6 | 7 if is_indian => Scheme::BharatRuPay,
        8 if is_indian => Scheme::BharatAccount,
        9 | 10 => Scheme::Discover,
        11 | 12 => Scheme::Amex,
        13 | 14 => Scheme::Jcb,
        15 | 16 => Scheme::UnionPay,
        26..=51 => {
            let whose = child(object, 0).unwrap_or_default();
            match TEMPLATES.iter().find(|(id, _, _)| id.eq_ignore_ascii_case(whose)) {
                Some((_, scheme, _)) => *scheme,
                None if object.id == 26 && country.eq_ignore_ascii_case("LK") => Scheme::LankaQr,
                None => Scheme::Other,
            }
        }
        _ => Scheme::Other,
    }
}

/// Every way to pay, at least one.
pub(super) fn ways(
    objects: &[Object],
    currency: Currency,
    country: &str,
    amount: Option<Money>,
) -> Result<Vec<Way>, Refused> {
    let accounts: Vec<(&Object, Scheme)> = objects
        .iter()
        .filter(|object| (2..=51).contains(&object.id))
        .map(|object| (object, of(object, country, currency)))
        .collect();
    let has = |wanted: Scheme| accounts.iter().any(|(_, scheme)| *scheme == wanted);
    let is_ecobank =
        country.eq_ignore_ascii_case("GH") && accounts.len() == 2 && has(Scheme::Visa) && has(Scheme::Mastercard);
    let mut ways: Vec<Way> = Vec::new();
    for &(object, scheme) in &accounts {
        let whose = child(object, 0).unwrap_or_default();
        let is_part_of_another = whose.eq_ignore_ascii_case(SGQR)
            // Nigeria's code fills UnionPay's place with stars and its own numbers.
            || (scheme == Scheme::UnionPay && has(Scheme::Nqr) && object.value.contains('*'))
            // An Indonesian acquirer's part, when the national one is there too.
            || (scheme == Scheme::Other && has(Scheme::Qris) && (26..=45).contains(&object.id))
            // India's code says more of the same account in the places that follow.
            || (scheme == Scheme::BharatUpi && object.id != 26);
        if is_part_of_another {
            continue;
        }
        let way = way(object, if is_ecobank { Scheme::EcobankPay } else { scheme }, currency, amount)?;
        ways.push(way);
    }
    if ways.is_empty() {
        return Err(Refused::Missing { field: "an account, 02 to 51" });
    }
    Ok(ways)
}

fn way(object: &Object, scheme: Scheme, currency: Currency, amount: Option<Money>) -> Result<Way, Refused> {
    let place = format!("{:02}", object.id);
    if scheme.currency().is_some_and(|only| only != currency.code()) {
        return Err(Refused::field("53", "the scheme does not move this currency"));
    }
    let mut way = Way::plain(scheme, account(object, scheme).unwrap_or_default(), amount);
    if scheme == Scheme::Pix
        && let Some(url) = child(object, 25)
    {
        // The code of a single payment holds an address only. What is owed stands there, signed.
        if child(object, 1).is_some() {
            return Err(Refused::field(place, "it has a key and an address"));
        }
        if !is_host_and_path(url) {
            return Err(Refused::field(format!("{place}.25"), "it is no web address"));
        }
        (way.account, way.ask_at) = (url.to_owned(), Some(format!("https://{url}")));
        (way.amount, way.is_editable) = (None, false);
    }
    if scheme == Scheme::PayNow {
        way.is_editable |= match child(object, 3) {
            None | Some("0") => false,
            Some("1") => true,
            Some(_) => return Err(Refused::field(format!("{place}.03"), "it is neither 0 nor 1")),
        };
        way.expires_on = child(object, 4).map(str::to_owned);
        let is_day = |day: &String| day.len() >= 8 && day.bytes().all(|byte| byte.is_ascii_digit());
        if !way.expires_on.as_ref().is_none_or(is_day) {
            return Err(Refused::field(format!("{place}.04"), "it is no day"));
        }
    }
    if way.account.is_empty() {
        return Err(Refused::field(place, "it names no account"));
    }
    Ok(way)
}

fn account(object: &Object, scheme: Scheme) -> Option<&str> {
    if object.children.is_empty() {
        return Some(&object.value);
    }
    let whose = child(object, 0).unwrap_or_default();
    match TEMPLATES.iter().find(|(id, _, _)| id.eq_ignore_ascii_case(whose)) {
        Some((_, Scheme::PromptPay, _)) => [1, 2, 3].into_iter().find_map(|id| child(object, id)),
        Some((_, Scheme::DuitNow | Scheme::Qris, _)) => child(object, 2).or_else(|| child(object, 1)),
        Some((_, _, id)) => child(object, *id),
        None if scheme == Scheme::Other => {
            let first = object.children.iter().find(|child| child.id > 0).map(|child| child.value.as_str());
            child(object, 1).or(first).or(Some(whose))
        }
        // Sri Lanka's identifier is the account.
        None => Some(whose),
    }
}

/// What may follow `https://`: a host, no name of a user before it, and nothing that reads otherwise than it opens.
fn is_host_and_path(url: &str) -> bool {
    let host = url.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_graphic();
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    host.contains('.') && host.bytes().all(in_host) && url.bytes().all(is_plain)
}
