//! New codes: to be paid by, and for what is too large for one.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comptoir_qr::{
    AmountError, Currency, EpcTransfer, Initiation, JoinError, Joiner, MerchantAccount, Money, NewMerchantCode,
    Payload, Refused, Scanned, SwissAddress, SwissBill, Symbol, Terminal, UpiLink, WriteError, read_picture, split,
};
use serde_json::json;

use crate::out::{Failure, Out, plain};
use crate::pictures::{PIXELS_PER_MODULE, read, save};

/// What stands for a city that nobody named: merchant's codes must name one.
const NO_CITY: &str = "-";

/// What is on the code.
#[derive(Args)]
pub(crate) struct NewCode {
    /// Who moves the money.
    #[arg(long, value_enum)]
    scheme: NewScheme,
    /// Whom the scheme pays: a key, a number, an address, an IBAN.
    #[arg(long)]
    account: String,
    /// The shop. Accents are taken off where banks refuse them.
    #[arg(long)]
    name: String,
    /// Where the shop is; the European and Indian codes have no place for it.
    #[arg(long, default_value = NO_CITY)]
    city: String,
    /// For a Swiss bill, which has the whole address.
    #[arg(long, requires = "postcode")]
    street: Option<String>,
    /// The number of the house, for a Swiss bill.
    #[arg(long, requires = "street")]
    house: Option<String>,
    /// For a Swiss bill.
    #[arg(long)]
    postcode: Option<String>,
    /// Two letters; that of the scheme where it has one.
    #[arg(long)]
    country: Option<String>,
    /// Three letters; that of the scheme where it has one.
    #[arg(long)]
    currency: Option<String>,
    /// For one payment, such as `12.50`. Without it the payer types the amount, and the code can stay on the counter.
    #[arg(long)]
    amount: Option<String>,
    /// By what you know the payment again. For European and Swiss banks a reference begins with `RF`, or is the 27 digits of a Swiss
    /// QR-IBAN; anything else is a message to the payer.
    #[arg(long)]
    reference: Option<String>,
    /// Into this file, instead of drawing it here.
    #[arg(long)]
    png: Option<PathBuf>,
    /// Into this file, instead of drawing it here.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Without colours, for a dark terminal.
    #[arg(long)]
    plain: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum NewScheme {
    /// Brazil: a key.
    Pix,
    /// Brazil: the address of a single payment, without `https://`.
    PixUrl,
    /// Thailand.
    Promptpay,
    /// Singapore.
    Paynow,
    /// West African CFA franc: an alias. Name the country.
    PiSpi,
    /// India: a Bharat QR code.
    BharatUpi,
    /// India: a link.
    Upi,
    /// A transfer in euro to an IBAN.
    Sepa,
    /// The Swiss QR-bill: francs or euro to an IBAN of Switzerland or Liechtenstein. Pictures have the Swiss cross; printed, the
    /// code is 46 mm wide without its margin.
    Swiss,
    /// A merchant's number. Name country and currency.
    Visa,
    /// A merchant's number. Name country and currency.
    Mastercard,
}

impl NewScheme {
    /// Country and currency, where there is one of each.
    fn home(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Pix | Self::PixUrl => (Some("BR"), Some("BRL")),
            Self::Promptpay => (Some("TH"), Some("THB")),
            Self::Paynow => (Some("SG"), Some("SGD")),
            Self::PiSpi => (None, Some("XOF")),
            Self::BharatUpi | Self::Upi => (Some("IN"), Some("INR")),
            Self::Sepa => (None, Some("EUR")),
            Self::Swiss => (Some("CH"), Some("CHF")),
            Self::Visa | Self::Mastercard => (None, None),
        }
    }
}

/// Writes a payment code and draws it.
pub(crate) fn write(out: &Out, code: NewCode) -> Result<(), Failure> {
    let (png, svg, is_plain) = (code.png.clone(), code.svg.clone(), code.plain);
    let text = text(code)?;
    let Scanned::Payment(payment) = Scanned::of_text(&text) else {
        return Err(Failure::failed("qr.write", "what was written is not read as a payment"));
    };
    let symbol = Symbol::of_payment(&payment).map_err(|error| Failure::usage("qr.write", error))?;
    let is_swiss = matches!(payment.payload, Payload::Swiss(_));
    let failed = |error: WriteError| Failure::failed("qr.write", error);
    if let Some(path) = &png {
        let picture = if is_swiss { Symbol::png_with_swiss_cross } else { Symbol::png };
        save(path, &picture(&symbol, PIXELS_PER_MODULE).map_err(failed)?)?;
    }
    if let Some(path) = &svg {
        let picture = if is_swiss { symbol.svg_with_swiss_cross().map_err(failed)? } else { symbol.svg() };
        save(path, picture.as_bytes())?;
    }
    let drawn = if png.is_none() && svg.is_none() {
        symbol.terminal(if is_plain { Terminal::PlainOnDark } else { Terminal::Colour })
    } else {
        String::new()
    };
    out.say(
        &json!({ "text": text, "version": symbol.version(), "png": png, "svg": svg }),
        format!("{drawn}{}", plain(&text)),
    );
    Ok(())
}

fn text(code: NewCode) -> Result<String, Failure> {
    let (country, currency) = code.scheme.home();
    let usage = |text: &str| Failure::usage("qr.write", text);
    if code.postcode.is_some() && !matches!(code.scheme, NewScheme::Swiss) {
        return Err(usage("--postcode, --street and --house are for a Swiss bill"));
    }
    let currency = code.currency.as_deref().or(currency).ok_or(usage("name the currency with --currency"))?;
    let currency = Currency::of(currency).ok_or(usage("--currency is not a code of ISO 4217"))?;
    let amount = code.amount.as_deref().map(|amount| Money::parse(amount, currency)).transpose();
    let amount = amount.map_err(|why: AmountError| Failure::usage("qr.write", format!("--amount: {why}")))?;
    let refused = |why: Refused| Failure::usage("qr.write", why);
    let country = code.country.as_deref().or(country).ok_or(usage("name the country with --country"));
    let account = match code.scheme {
        NewScheme::Upi => return upi(code, amount).write().map_err(refused),
        NewScheme::Sepa => return transfer(code, amount).write().map_err(refused),
        NewScheme::Swiss => {
            let country = country?.to_owned();
            return swiss(code, country, currency, amount).write().map_err(refused);
        }
        NewScheme::Pix => MerchantAccount::Pix { key: code.account, text: None },
        NewScheme::PixUrl => MerchantAccount::PixUrl { url: code.account },
        NewScheme::Promptpay => MerchantAccount::PromptPay { account: code.account },
        NewScheme::Paynow => MerchantAccount::PayNow { proxy: code.account, is_editable: false, expires_on: None },
        NewScheme::PiSpi => MerchantAccount::PiSpi { alias: code.account },
        NewScheme::BharatUpi => MerchantAccount::BharatUpi { address: code.account },
        NewScheme::Visa => MerchantAccount::Card { id: 2, number: code.account },
        NewScheme::Mastercard => MerchantAccount::Card { id: 4, number: code.account },
    };
    let mut merchant = NewMerchantCode::new(account, currency, country?, &code.name, &code.city);
    let is_for_one_payment = amount.is_some() || matches!(code.scheme, NewScheme::PixUrl);
    merchant.initiation = Some(if is_for_one_payment { Initiation::Dynamic } else { Initiation::Static });
    (merchant.amount, merchant.reference) = (amount, code.reference);
    merchant.write().map_err(refused)
}

fn upi(code: NewCode, amount: Option<Money>) -> UpiLink {
    let (address, name, reference) = (code.account, Some(code.name), code.reference);
    UpiLink { address, name, amount, minimum: None, reference, note: None, parameters: Vec::new() }
}

fn transfer(code: NewCode, amount: Option<Money>) -> EpcTransfer {
    let (reference, text) = reference_or_message(code.reference, is_creditor_reference);
    let (name, iban) = (code.name, code.account);
    EpcTransfer { bic: None, name, iban, amount, purpose: None, reference, text, note: None }
}

/// References are printed in groups, and stand in the code without the spaces. What banks do not check is a message, as it was typed.
fn reference_or_message(text: Option<String>, is_reference: impl Fn(&str) -> bool) -> (Option<String>, Option<String>) {
    let close: Option<String> =
        text.as_deref().map(|text| text.split_whitespace().collect::<String>().to_ascii_uppercase());
    if close.as_deref().is_some_and(is_reference) { (close, None) } else { (None, text) }
}

/// As ISO 11649 has them: `RF` and two digits to check them by.
fn is_creditor_reference(text: &str) -> bool {
    let check = text.strip_prefix("RF").and_then(|rest| rest.as_bytes().get(..2));
    check.is_some_and(|check| check.iter().all(u8::is_ascii_digit))
}

fn swiss(code: NewCode, country: String, currency: Currency, amount: Option<Money>) -> SwissBill {
    let is_of_qr_iban = |text: &str| text.len() == 27 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_reference = |text: &str| is_creditor_reference(text) || is_of_qr_iban(text);
    let (reference, message) = reference_or_message(code.reference, is_reference);
    let creditor = SwissAddress {
        name: code.name,
        kind: 'S',
        street: code.street,
        house: code.house,
        postcode: code.postcode,
        town: Some(code.city).filter(|town| town != NO_CITY),
        country,
    };
    SwissBill {
        iban: code.account,
        creditor,
        amount,
        currency,
        debtor: None,
        reference,
        message,
        bill_information: None,
        alternatives: Vec::new(),
    }
}

/// Draws a file as several codes.
pub(crate) fn split_file(out: &Out, file: &Path, dir: &Path) -> Result<(), Failure> {
    let parts = split(&read(file)?).map_err(|error| Failure::usage("qr.write", error))?;
    std::fs::create_dir_all(dir)
        .map_err(|error| Failure::failed("storage.io", format!("{}: {error}", dir.display())))?;
    let mut paths = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let path = dir.join(format!("part-{:02}-of-{:02}.png", at + 1, parts.len()));
        crate::pictures::write_png(part, &path)?;
        paths.push(path);
    }
    let words: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    out.say(&json!({ "pngs": paths, "parts": parts.len() }), words.join("\n"));
    Ok(())
}

/// Puts a file together from pictures of its parts, in any order.
pub(crate) fn join(out: &Out, pictures: &[PathBuf], to: &Path) -> Result<(), Failure> {
    let (mut joiner, mut whole) = (Joiner::default(), None);
    for path in pictures {
        let unreadable =
            |why: &dyn std::fmt::Display| Failure::usage("qr.unreadable", format!("{}: {why}", path.display()));
        let codes = read_picture(&read(path)?).map_err(|error| unreadable(&error))?;
        for text in codes.iter().filter_map(|code| code.text.as_deref()) {
            match joiner.add(text) {
                Ok(joined) => whole = whole.or(joined),
                // Another code may be in view.
                Err(JoinError::NotAPart) => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
    }
    let Some(whole) = whole else {
        let missing: Vec<String> = joiner.missing().iter().map(|at| (at + 1).to_string()).collect();
        let text = match joiner.count() {
            Some(count) => format!("of {count} parts these are missing: {}", missing.join(", ")),
            None => "there is no part in these pictures".to_owned(),
        };
        return Err(Failure::failed("qr.incomplete", text));
    };
    save(to, &whole)?;
    out.say(&json!({ "path": to, "size_bytes": whole.len() }), to.display());
    Ok(())
}
