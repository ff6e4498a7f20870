//! Merchants' codes as we write them: every rule of EMVCo kept, also those that readers forgive.

use unicode_normalization::UnicodeNormalization as _;

use super::merchant::{self, Initiation, NativeName, Tip};
use super::{Currency, Money, Refused, tlv};

/// What a merchant's code is to say.
///
/// Without an amount it is a sticker on the counter; with one, and [`Initiation::Dynamic`], a code for one payment.
///
/// ```
/// use comptoir_qr::{Currency, MerchantAccount, Money, NewMerchantCode};
///
/// let real = Currency::of("BRL").expect("it is in the table");
/// let key = "123e4567-e12b-12d1-a456-426655440000".to_owned();
/// let mut code = NewMerchantCode::new(MerchantAccount::Pix { key, text: None }, real, "BR", "Padaria São João", "Brasília");
/// code.amount = Some(Money::new(1250, real)?);
/// assert_eq!(
///     code.write()?,
///     "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-426655440000520400005303986540512.505802BR\
///      5916Padaria Sao Joao6008Brasilia62070503***6304D3F6"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMerchantCode {
    /// One or more, for the payer to choose from.
    pub accounts: Vec<MerchantAccount>,
    pub initiation: Option<Initiation>,
    /// Four digits of ISO 18245; `0000` says nothing.
    pub category: String,
    pub currency: Currency,
    pub amount: Option<Money>,
    pub tip: Option<Tip>,
    /// Two capitals of ISO 3166.
    pub country: String,
    /// At most 25 characters. Accents are taken off; what is not Latin goes to [`NewMerchantCode::native`].
    pub name: String,
    /// At most 15 characters, as the name.
    pub city: String,
    pub postcode: Option<String>,
    pub native: Option<NativeName>,
    pub bill: Option<String>,
    pub reference: Option<String>,
    pub terminal: Option<String>,
    /// Three digits: where the code is shown.
    pub channel: Option<String>,
}

/// Where the money goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MerchantAccount {
    Pix {
        key: String,
        text: Option<String>,
    },
    /// A code of a single payment: what is owed stands at the address, which is written without `https://`.
    PixUrl {
        url: String,
    },
    /// A mobile number (`0066` and nine digits), a tax number (13 digits) or a wallet (15 digits).
    PromptPay {
        account: String,
    },
    /// A mobile number (`+65…`) or a company's number.
    PayNow {
        proxy: String,
        is_editable: bool,
        /// `YYYYMMDD`.
        expires_on: Option<String>,
    },
    PiSpi {
        alias: String,
    },
    BharatUpi {
        address: String,
    },
    /// A number in a card scheme's place, 02 to 25.
    Card {
        id: u8,
        number: String,
    },
    /// Any other scheme's template, 26 to 51: its identifier, and its values from 01.
    Template {
        id: u8,
        identifier: String,
        values: Vec<(u8, String)>,
    },
}

/// The longest code that EMVCo allows, in characters.
const CHARACTERS_MAX: usize = 512;

impl NewMerchantCode {
    /// A code for one account, with nothing in it that may be left out.
    #[must_use]
    pub fn new(account: MerchantAccount, currency: Currency, country: &str, name: &str, city: &str) -> Self {
        Self {
            accounts: vec![account],
            initiation: None,
            category: "0000".to_owned(),
            currency,
            amount: None,
            tip: None,
            country: country.to_owned(),
            name: name.to_owned(),
            city: city.to_owned(),
            postcode: None,
            native: None,
            bill: None,
            reference: None,
            terminal: None,
            channel: None,
        }
    }

    /// The text of the code, with its checksum; [`crate::Symbol::of_payment`] draws it.
    ///
    /// # Errors
    /// [`Refused`] names the field that does not fit.
    pub fn write(&self) -> Result<String, Refused> {
        let mut text = String::new();
        let mut put = |id: u8, value: Option<String>| value.map_or(Ok(()), |value| tlv::push(&mut text, id, &value));
        put(0, Some("01".to_owned()))?;
        put(1, self.initiation.map(|initiation| initiation.digits().to_owned()))?;
        let mut accounts = self.accounts.iter().map(MerchantAccount::object).collect::<Result<Vec<_>, _>>()?;
        accounts.sort();
        for (id, value) in accounts {
            put(id, Some(value))?;
        }
        put(52, Some(self.category.clone()))?;
        put(53, Some(self.currency.number().to_owned()))?;
        put(54, self.money("54", self.amount)?)?;
        let [indicator, fixed, percent] = self.tip()?;
        put(55, indicator)?;
        put(56, fixed)?;
        put(57, percent)?;
        put(58, Some(checked("58", &self.country, 2)?))?;
        put(59, Some(checked("59", &latin("59", &self.name)?, 25)?))?;
        put(60, Some(checked("60", &latin("60", &self.city)?, 15)?))?;
        put(61, optional("61", self.postcode.as_deref(), 10)?)?;
        put(62, self.additional()?)?;
        put(64, self.native()?)?;
        text.push_str("6304");
        let checksum = tlv::checksum(text.as_bytes());
        text.push_str(&format!("{checksum:04X}"));

        let size = text.chars().count();
        if size > CHARACTERS_MAX {
            return Err(Refused::TooLong { size_bytes: text.len() });
        }
        merchant::read(text.as_bytes(), &text)?;
        Ok(text)
    }

    fn money(&self, field: &str, money: Option<Money>) -> Result<Option<String>, Refused> {
        if money.is_some_and(|money| money.currency() != self.currency) {
            return Err(Refused::field(field, "it is in another currency than the code"));
        }
        let text = money.map(|money| money.to_string());
        optional(field, text.as_deref(), 13)
    }

    /// Three fields: which kind, how much, which share.
    fn tip(&self) -> Result<[Option<String>; 3], Refused> {
        let indicator = |digits: &str| Some(digits.to_owned());
        Ok(match self.tip {
            None => [None, None, None],
            Some(Tip::Asked) => [indicator("01"), None, None],
            Some(Tip::Fixed(fee)) => [indicator("02"), self.money("56", Some(fee))?, None],
            Some(Tip::Percent { hundredths }) => {
                [indicator("03"), None, Some(format!("{:02}.{:02}", hundredths / 100, hundredths % 100))]
            }
        })
    }

    fn additional(&self) -> Result<Option<String>, Refused> {
        let is_pix =
            |account: &MerchantAccount| matches!(account, MerchantAccount::Pix { .. } | MerchantAccount::PixUrl { .. });
        // Brazil's codes say with three stars that they have no reference.
        let reference = self.reference.clone().or(self.accounts.iter().any(is_pix).then(|| "***".to_owned()));
        let mut text = String::new();
        for (id, value, max) in
            [(1, &self.bill, 25), (5, &reference, 25), (7, &self.terminal, 25), (11, &self.channel, 3)]
        {
            if let Some(value) = value {
                tlv::push(&mut text, id, &checked(&format!("62.{id:02}"), value, max)?)?;
            }
        }
        Ok((!text.is_empty()).then_some(text))
    }

    fn native(&self) -> Result<Option<String>, Refused> {
        let Some(native) = &self.native else { return Ok(None) };
        let mut text = String::new();
        let fits = |field, value: &str, max| match value.chars().count() {
            0 => Err(Refused::Missing { field }),
            count if count > max => Err(Refused::field(field, "it is too long")),
            _ if value.chars().any(char::is_control) => Err(Refused::field(field, "it holds a control character")),
            _ => Ok(()),
        };
        if native.language.len() != 2 || !native.language.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(Refused::field("64.00", "it is not two letters"));
        }
        tlv::push(&mut text, 0, &native.language)?;
        fits("64.01", &native.name, 25)?;
        tlv::push(&mut text, 1, &native.name)?;
        if let Some(city) = &native.city {
            fits("64.02", city, 15)?;
            tlv::push(&mut text, 2, city)?;
        }
        Ok(Some(text))
    }
}

impl Initiation {
    fn digits(self) -> &'static str {
        match self {
            Self::Static => "11",
            Self::Dynamic => "12",
        }
    }
}

impl MerchantAccount {
    /// Its number and its value.
    fn object(&self) -> Result<(u8, String), Refused> {
        let template = |id: u8, identifier: &str, values: &[(u8, &str)]| {
            let mut text = String::new();
            for (child, value) in std::iter::once(&(0, identifier)).chain(values) {
                let max = if *child == 0 { 32 } else { 99 };
                tlv::push(&mut text, *child, &checked(&format!("{id:02}.{child:02}"), value, max)?)?;
            }
            if text.len() > 99 {
                return Err(Refused::field(format!("{id:02}"), "it is longer than 99 characters"));
            }
            Ok((id, text))
        };
        match self {
            Self::Pix { key, text: None } => template(26, "br.gov.bcb.pix", &[(1, key)]),
            Self::Pix { key, text: Some(text) } => template(26, "br.gov.bcb.pix", &[(1, key), (2, text)]),
            Self::PixUrl { url } => template(26, "br.gov.bcb.pix", &[(25, url)]),
            Self::PromptPay { account } => {
                let child = match account.len() {
                    13 if account.starts_with("0066") => 1,
                    13 => 2,
                    15 => 3,
                    _ => return Err(Refused::field("29", "it has neither 13 nor 15 digits")),
                };
                if !account.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Refused::field("29", "it is not digits only"));
                }
                template(29, "A000000677010111", &[(child, account)])
            }
            Self::PayNow { proxy, is_editable, expires_on } => {
                let kind = if proxy.starts_with('+') { "0" } else { "2" };
                let mut values = vec![(1, kind), (2, proxy.as_str()), (3, if *is_editable { "1" } else { "0" })];
                values.extend(expires_on.as_deref().map(|day| (4, day)));
                template(26, "SG.PAYNOW", &values)
            }
            Self::PiSpi { alias } => template(36, "int.bceao.pi", &[(1, alias)]),
            Self::BharatUpi { address } => template(26, "A000000524", &[(1, address)]),
            Self::Card { id: id @ 2..=25, number } => Ok((*id, checked(&format!("{id:02}"), number, 99)?)),
            Self::Template { id: id @ 26..=51, identifier, values } => {
                let values: Vec<_> = values.iter().map(|(child, value)| (*child, value.as_str())).collect();
                template(*id, identifier, &values)
            }
            Self::Card { id, .. } | Self::Template { id, .. } => {
                Err(Refused::field(format!("{id:02}"), "no account is in this place"))
            }
        }
    }
}

fn optional(field: &str, value: Option<&str>, max: usize) -> Result<Option<String>, Refused> {
    value.map(|value| checked(field, value, max)).transpose()
}

/// Printable ASCII, one character or more.
fn checked(field: &str, value: &str, max: usize) -> Result<String, Refused> {
    if !(1..=max).contains(&value.chars().count()) {
        return Err(Refused::field(field, "it is empty or too long"));
    }
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Refused::field(field, "it is not in plain Latin letters"));
    }
    Ok(value.to_owned())
}

/// Without accents, which banks refuse.
fn latin(field: &str, value: &str) -> Result<String, Refused> {
    let mut text = String::with_capacity(value.len());
    for c in value.nfkd() {
        match c {
            ' '..='~' => text.push(c),
            '\u{300}'..='\u{36f}' => {}
            'ß' => text.push_str("ss"),
            'æ' => text.push_str("ae"),
            'Æ' => text.push_str("AE"),
            'œ' => text.push_str("oe"),
            'Œ' => text.push_str("OE"),
            'ø' => text.push('o'),
            'Ø' => text.push('O'),
            'đ' => text.push('d'),
            'Đ' => text.push('D'),
            'ł' => text.push('l'),
            'Ł' => text.push('L'),
            'ı' => text.push('i'),
            '\u{2018}' | '\u{2019}' => text.push('\''),
            '\u{2013}' | '\u{2014}' => text.push('-'),
            _ => {
                return Err(Refused::field(field, "write it in Latin letters; its own letters go to the native name"));
            }
        }
    }
    Ok(text)
}
