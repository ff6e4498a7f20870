//! Everything that we write: its golden bytes in `tests/golden/qr/v1`, and that a reader by others reads it.
//!
//! `COMPTOIR_BLESS=1` writes the golden files anew. Before the first release a change is a decision; after it, it is a break.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use std::fs;
use std::path::Path;

use comptoir_qr::{
    Currency, EpcTransfer, Initiation, MerchantAccount, Money, NativeName, NewMerchantCode, Payment, Scanned,
    SwissAddress, SwissBill, Symbol, Terminal, Tip, UpiLink, WriteError, read_picture, split,
};

#[path = "written/zbar.rs"]
mod zbar;
#[path = "written/zxing.rs"]
mod zxing;

fn golden(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file)
}

/// Compares with the golden file, or writes it.
fn check(file: &str, text: &str) {
    let path = golden("qr/v1").join(file);
    if std::env::var_os("COMPTOIR_BLESS").is_some_and(|bless| bless == "1") {
        fs::create_dir_all(golden("qr/v1")).unwrap();
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(golden, text, "{file} changed");
}

fn money(minor: i64, currency: &str) -> Money {
    Money::new(minor, Currency::of(currency).unwrap()).unwrap()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn merchant(account: MerchantAccount, currency: &str, country: &str) -> NewMerchantCode {
    NewMerchantCode::new(account, Currency::of(currency).unwrap(), country, "Boulangerie Café", "Lomé")
}

/// The merchants' codes: on the counter, for one payment, of every scheme that has a form of its own.
fn merchants() -> Vec<(&'static str, NewMerchantCode)> {
    let pix = MerchantAccount::Pix { key: "123e4567-e12b-12d1-a456-426655440000".to_owned(), text: some("balcao 1") };
    let url = "pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a99".to_owned();
    let paynow = |expires_on| MerchantAccount::PayNow { proxy: "202012345X".to_owned(), is_editable: true, expires_on };
    let counter = merchant(pix.clone(), "BRL", "BR");
    let mut one_payment = merchant(pix, "BRL", "BR");
    one_payment.amount = Some(money(1250, "BRL"));
    one_payment.reference = some("ORDER7");
    let mut by_address = merchant(MerchantAccount::PixUrl { url }, "BRL", "BR");
    by_address.initiation = Some(Initiation::Dynamic);
    let mut invoice = merchant(paynow(some("20271231")), "SGD", "SG");
    (invoice.initiation, invoice.amount) = (Some(Initiation::Dynamic), Some(money(999, "SGD")));
    (invoice.bill, invoice.terminal, invoice.postcode) = (some("INV-7"), some("TILL1"), some("138577"));
    let mut alias =
        merchant(MerchantAccount::PiSpi { alias: "111c3e1b-4312-49ec-b75e-4c8c74c10fd7".to_owned() }, "XOF", "TG");
    (alias.amount, alias.channel) = (Some(money(1500, "XOF")), some("500"));
    let mut cards = merchant(MerchantAccount::Card { id: 4, number: "5326311155509945".to_owned() }, "GHS", "GH");
    cards.accounts.insert(0, MerchantAccount::Card { id: 2, number: "4045875687459".to_owned() });
    cards.category = "5462".to_owned();
    cards.tip = Some(Tip::Percent { hundredths: 1050 });
    let values = vec![(1, "936000000001".to_owned()), (2, "bakery".to_owned())];
    let mut native =
        merchant(MerchantAccount::Template { id: 31, identifier: "com.example.pay".to_owned(), values }, "CNY", "CN");
    native.native =
        Some(NativeName { language: "ZH".to_owned(), name: "最佳面包店".to_owned(), city: some("北京") });
    native.tip = Some(Tip::Fixed(money(100, "CNY")));
    vec![
        ("pix_counter", counter),
        ("pix_one_payment", one_payment),
        ("pix_address", by_address),
        ("promptpay", merchant(MerchantAccount::PromptPay { account: "0066801234567".to_owned() }, "THB", "TH")),
        ("paynow_invoice", invoice),
        ("pi_spi", alias),
        ("bharat", merchant(MerchantAccount::BharatUpi { address: "bakery@okbank".to_owned() }, "INR", "IN")),
        ("cards_with_tip", cards),
        ("native_name", native),
    ]
}

fn epc() -> EpcTransfer {
    EpcTransfer {
        bic: some("BPOTBEB1"),
        name: "Boulangerie Müller".to_owned(),
        iban: "BE72000000001616".to_owned(),
        amount: Some(money(1250, "EUR")),
        purpose: some("GDDS"),
        reference: some("RF18539007547034"),
        text: None,
        note: some("Danke €"),
    }
}

fn swiss() -> SwissBill {
    let address = |name: &str, town: &str| SwissAddress {
        name: name.to_owned(),
        kind: 'S',
        street: some("Rue du Lac"),
        house: some("1268"),
        postcode: some("2501"),
        town: some(town),
        country: "CH".to_owned(),
    };
    SwissBill {
        iban: "CH4431999123000889012".to_owned(),
        creditor: address("Bäckerei Schneider AG", "Biel"),
        amount: Some(money(194_975, "CHF")),
        currency: Currency::of("CHF").unwrap(),
        debtor: Some(address("Alice", "Genève")),
        reference: some("210000000003139471430009017"),
        message: some("Croissants"),
        bill_information: some("//S1/10/1234"),
        alternatives: vec!["Name AV1: UV;UltraPay005;12345".to_owned()],
    }
}

fn upi() -> UpiLink {
    UpiLink {
        address: "bakery@okbank".to_owned(),
        name: some("The Bakery & Co"),
        amount: Some(money(25_000, "INR")),
        minimum: None,
        reference: some("ORDER7"),
        note: some("क्रोइसां"),
        parameters: Vec::new(),
    }
}

fn payment(text: &str) -> Payment {
    let Scanned::Payment(payment) = Scanned::of_text(text) else { panic!("{text}: {:?}", Scanned::of_text(text)) };
    *payment
}

/// All the texts of payments that we write.
fn payments() -> Vec<(String, String)> {
    let merchants = merchants().into_iter().map(|(name, code)| (format!("merchant_{name}"), code.write().unwrap()));
    let others =
        [("epc", epc().write().unwrap()), ("swiss", swiss().write().unwrap()), ("upi", upi().write().unwrap())];
    merchants.chain(others.map(|(name, text)| (name.to_owned(), text))).collect()
}

/// Of which the symbols are golden too: one of each standard, and one that is not in ASCII.
const DRAWN: [&str; 5] = ["merchant_pix_counter", "merchant_native_name", "epc", "swiss", "upi"];

/// Our own links, from the golden files of `content`.
fn links() -> Vec<(&'static str, String)> {
    ["contact", "device_request", "device_grant", "verify", "bill"]
        .map(|name| {
            (name, fs::read_to_string(golden("content/v1").join(format!("{name}.link"))).unwrap().trim().to_owned())
        })
        .into()
}

#[test]
fn payment_codes_have_the_golden_bytes_and_say_what_was_meant() {
    for (name, text) in payments() {
        check(&format!("{name}.txt"), &text);
        let payment = payment(&text);
        let symbol = Symbol::of_payment(&payment).unwrap();
        if DRAWN.contains(&name.as_str()) {
            check(&format!("{name}.svg"), &symbol.svg());
        }
        let codes = read_picture(&symbol.png(3).unwrap()).unwrap();
        assert_eq!(codes[0].bytes, text.as_bytes(), "{name}");
        assert_eq!(Scanned::of(&codes[0]), Scanned::Payment(Box::new(payment)), "{name}");
    }
    let ways = |code: &NewMerchantCode| payment(&code.write().unwrap()).ways().len();
    assert_eq!(merchants().iter().map(|(_, code)| ways(code)).sum::<usize>(), 10);
}

#[test]
fn receipts_and_links_have_the_golden_bytes() {
    let receipt = fs::read(golden("content/v1/receipt.comptoir")).unwrap();
    let parts = split(&receipt).unwrap();
    check("receipt_parts.txt", &parts.join("\n"));
    check("receipt_part_1.svg", &Symbol::of_text(&parts[0]).unwrap().svg());
    // A grant is as large as symbols get.
    for (name, link) in links().into_iter().filter(|(name, _)| *name != "device_grant") {
        check(&format!("{name}.svg"), &Symbol::of_text(&link).unwrap().svg());
    }
    let (_, contact) = &links()[0];
    check("contact.terminal", &Symbol::of_text(contact).unwrap().terminal(Terminal::Colour));
}

#[test]
fn merchants_codes_are_in_bytes_and_say_utf_8_when_it_matters() {
    use comptoir_qr::Mode;
    for (name, code) in merchants() {
        let text = code.write().unwrap();
        let png = Symbol::of_payment(&payment(&text)).unwrap().png(3).unwrap();
        let codes = read_picture(&png).unwrap();
        let [segment] = codes[0].segments.as_slice() else { panic!("{name}: {:?}", codes[0].segments) };
        let expected = if text.is_ascii() { None } else { Some(26) };
        assert_eq!((segment.mode, segment.eci), (Mode::Byte, expected), "{name}");
    }
}

#[test]
fn what_breaks_a_rule_is_not_written() {
    let good = || merchant(MerchantAccount::PromptPay { account: "0066801234567".to_owned() }, "THB", "TH");
    assert!(good().write().is_ok());
    let refused = |change: &dyn Fn(&mut NewMerchantCode)| {
        let mut code = good();
        change(&mut code);
        code.write().unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|code| code.name = "最佳".to_owned()),
        "59: write it in Latin letters; its own letters go to the native name"
    );
    assert_eq!(refused(&|code| code.name = "x".repeat(26)), "59: it is empty or too long");
    assert_eq!(refused(&|code| code.city = String::new()), "60: it is empty or too long");
    assert_eq!(refused(&|code| code.amount = Some(money(1, "EUR"))), "54: it is in another currency than the code");
    assert_eq!(
        refused(&|code| code.currency = Currency::of("EUR").unwrap()),
        "53: the scheme does not move this currency"
    );
    assert_eq!(refused(&|code| code.reference = some("é")), "62.05: it is not in plain Latin letters");
    assert_eq!(
        refused(&|code| code.tip = Some(Tip::Percent { hundredths: 0 })),
        "57: it is not between 00.01 and 99.99"
    );
    assert_eq!(refused(&|code| code.accounts.clear()), "an account, 02 to 51 is missing");
    assert_eq!(refused(&|code| code.accounts.push(good().accounts[0].clone())), "29 is there twice");
    assert_eq!(
        refused(&|code| code.accounts[0] = MerchantAccount::Card { id: 26, number: "1".to_owned() }),
        "26: no account is in this place"
    );
    assert!(EpcTransfer { text: some("and a text"), ..epc() }.write().is_err());
    assert!(EpcTransfer { iban: "BE73000000001616".to_owned(), ..epc() }.write().is_err());
    assert!(EpcTransfer { amount: Some(money(1, "USD")), ..epc() }.write().is_err());
    assert!(EpcTransfer { name: "two\nlines".to_owned(), ..epc() }.write().is_err());
    assert!(SwissBill { reference: None, ..swiss() }.write().is_err());
    assert!(SwissBill { amount: Some(money(1, "EUR")), ..swiss() }.write().is_err());
    assert!(UpiLink { address: "bakery".to_owned(), ..upi() }.write().is_err());
}

/// A logo: a brown crescent on nothing.
fn croissant() -> Vec<u8> {
    let inside =
        |x: u32, y: u32, middle: u32, radius: u32| x.abs_diff(middle).pow(2) + y.abs_diff(60).pow(2) < radius.pow(2);
    let picture = image::RgbaImage::from_fn(120, 120, |x, y| {
        let is_inked = inside(x, y, 60, 58) && !inside(x, y, 85, 40);
        image::Rgba(if is_inked { [140, 80, 30, 255] } else { [0, 0, 0, 0] })
    });
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

#[test]
fn a_code_with_a_logo_is_read() {
    let logo = croissant();
    for text in [links()[0].1.as_str(), "COMPTOIR:C/BAKERY", "Crème brûlée · 6,50 €", &"A".repeat(300)] {
        let symbol = Symbol::of_text_for_logo(text).unwrap();
        for scale in [3, 8] {
            let codes = read_picture(&symbol.png_with_logo(scale, &logo).unwrap()).unwrap();
            assert_eq!(codes[0].text.as_deref(), Some(text));
        }
        assert!(symbol.png_with_logo(8, b"no picture").is_err());
        let code = Symbol::of_text("LOGO").unwrap().png(8).unwrap();
        assert!(matches!(symbol.png_with_logo(8, &code), Err(WriteError::LogoIsACode)));
    }
    assert!(Symbol::of_text_for_logo(&"x".repeat(2900)).is_err());
    assert!(Symbol::of_text("A").unwrap().png_with_logo(8, &logo).is_err(), "no room in the smallest");
}

/// A text or bytes, and a picture of them.
type Written = (Vec<u8>, Vec<u8>);

/// One of everything that we write.
fn everything() -> Vec<Written> {
    let mut written: Vec<Written> = Vec::new();
    for (_, text) in payments() {
        let symbol = Symbol::of_payment(&payment(&text)).unwrap();
        written.push((text.into_bytes(), symbol.png(3).unwrap()));
    }
    let receipt = fs::read(golden("content/v1/receipt.comptoir")).unwrap();
    for text in split(&receipt).unwrap().into_iter().chain(links().into_iter().map(|(_, link)| link)) {
        let symbol = Symbol::of_text(&text).unwrap();
        written.push((text.into_bytes(), symbol.png(3).unwrap()));
    }
    let (_, contact) = &links()[0];
    let with_logo = Symbol::of_text_for_logo(contact).unwrap().png_with_logo(6, &croissant()).unwrap();
    written.push((contact.clone().into_bytes(), with_logo));
    written
}

/// Every version and every level that a text of some length comes to.
fn of_all_sizes(step: usize) -> Vec<Written> {
    let texts = (1..2900)
        .step_by(step)
        .map(|len| -> String { "Bakery: croissants & a coffee? 1234567890 ÀÉ".chars().cycle().take(len).collect() });
    let written = texts.filter_map(|text| {
        let symbol = Symbol::of_text(&text).ok()?;
        Some((text.into_bytes(), symbol.png(2).unwrap()))
    });
    written.collect()
}

#[test]
fn a_swiss_bill_with_its_cross_is_read() {
    let mut zxing = zxing::Zxing::start();
    let short = SwissBill { message: None, bill_information: None, alternatives: Vec::new(), debtor: None, ..swiss() };
    let long = SwissBill { alternatives: vec!["x".repeat(100), "y".repeat(100)], ..swiss() };
    for bill in [short, swiss(), long] {
        let text = bill.write().unwrap();
        let symbol = Symbol::of_payment(&payment(&text)).unwrap();
        for scale in [2, 3, 8] {
            let png = symbol.png_with_swiss_cross(scale).unwrap();
            assert_ne!(png, symbol.png(scale).unwrap());
            assert_eq!(read_picture(&png).unwrap()[0].bytes, text.as_bytes());
            assert_eq!(zxing.read(&png), std::slice::from_ref(&text));
            // The cross lies on an alignment pattern, which this one needs.
            let is_hidden = (7..=13).contains(&symbol.version());
            assert_eq!(zbar::found(&png), (!is_hidden).then(|| text.clone().into_bytes()));
        }
    }
    let symbol = Symbol::of_payment(&payment(&swiss().write().unwrap())).unwrap();
    check("swiss_cross.svg", &symbol.svg_with_swiss_cross().unwrap());
    assert!(symbol.png_with_swiss_cross(0).is_err());
}

#[test]
fn a_logo_in_an_svg_is_in_the_file() {
    let (_, contact) = &links()[0];
    let symbol = Symbol::of_text_for_logo(contact).unwrap();
    let svg = symbol.svg_with_logo(&croissant()).unwrap();
    assert!(svg.contains("href=\"data:image/png;base64,iVBORw0KGgo") && svg.ends_with("/></svg>"), "{svg}");
    assert_eq!(svg.matches("http").count(), 1, "the name of SVG itself");
    let code = Symbol::of_text("LOGO").unwrap().png(8).unwrap();
    assert!(matches!(symbol.svg_with_logo(&code), Err(WriteError::LogoIsACode)));
    assert!(Symbol::of_text("A").unwrap().svg_with_logo(&croissant()).is_err(), "no room in the smallest");
}

#[test]
fn a_reader_by_others_reads_everything_we_write() {
    let mut zxing = zxing::Zxing::start();
    let written = [everything(), of_all_sizes(31)].concat();
    assert!(written.len() > 100);
    for (bytes, png) in written {
        assert_eq!(zxing.read(&png), [String::from_utf8(bytes).unwrap()]);
    }
}

#[test]
fn another_reader_by_others_reads_the_same_bytes() {
    // Text of every alphabet and kind of segment, and bytes that are no text.
    let texts =
        ["7", "0123456789", "A-Z 0-9 $%*+-./:", "a1B2c3", "Crème brûlée · 6,50 €", "最佳面包店", "क्रोइसां", "🥐"];
    let texts = texts.map(|text| (text.as_bytes().to_vec(), Symbol::of_text(text).unwrap().png(3).unwrap()));
    let all_bytes: Vec<u8> = (0..=255).collect();
    let bytes = Symbol::of_bytes(&all_bytes).unwrap().png(3).unwrap();
    let written = [everything(), of_all_sizes(211), texts.to_vec(), vec![(all_bytes, bytes)]].concat();
    assert!(written.len() > 40);
    for (bytes, png) in written {
        assert_eq!(zbar::bytes(&png), bytes, "{}", String::from_utf8_lossy(&bytes));
    }
}

/// It guesses at letters only where a symbol does not say which they are. Ours say so.
#[test]
fn another_reader_by_others_takes_our_letters_for_what_they_are() {
    for text in ["Crème brûlée · 6,50 €", "最佳面包店", "क्रोइसां", "🥐", "é", "ｱｲｳ"]
    {
        assert_eq!(zbar::text(&Symbol::of_text(text).unwrap().png(3).unwrap()), text);
    }
    for text in payments().into_iter().map(|(_, text)| text) {
        let png = Symbol::of_payment(&payment(&text)).unwrap().png(3).unwrap();
        assert_eq!(zbar::text(&png), text);
    }
    // Its guesses, which are why we say it: UTF-8 and ISO 8859-1 that are not called that.
    for (bytes, guess) in [("é".as_bytes(), "矇"), (b"Cr\xe8me", "Cr鋗e"), (b"\xb1\xb2\xb3", "ｱｲｳ")] {
        assert_eq!(zbar::text(&Symbol::of_bytes(bytes).unwrap().png(3).unwrap()), guess);
    }
}
