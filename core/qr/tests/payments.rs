//! Payment codes: real ones of every scheme are read, field by field; what is damaged, doubtful or against the rules is not.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

mod support;

use comptoir_qr::{
    AmountError, Code, Currency, Initiation, MerchantAccount, Money, NativeName, NewMerchantCode, Payload, Refused,
    Scanned, Scheme, Segment, Tip,
};
use proptest::prelude::*;
use support::{check, payment, refused};

const ANNEX_B: &str = "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A60086670902ME91320016A0112233449988770708123456786304A13A";
const PIX_MANUAL: &str = "00020104141234567890123426580014BR.GOV.BCB.PIX0136123e4567-e12b-12d1-a456-42665544000027300012BR.COM.OUTRO011001234567895204000053039865406123.455802BR5917NOME DO RECEBEDOR6008BRASILIA61087007490080390012BR.COM.OUTRO01190123.ABCD.3456.WXYZ6304549C";
const PIX_DYNAMIC: &str = "00020101021226770014BR.GOV.BCB.PIX2555pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a995204000053039865802BR5907EMPRESA6009SAO PAULO62070503***6304EEAB";
const PROMPTPAY: &str = "00020101021129370016A000000677010111011300668012345675802TH530376463046197";
const PAYNOW_SGQR: &str = "00020101021126490009SG.PAYNOW010120210202012345X0301104082021123151820007SG.SGQR0113202012345X123020701.000103068286710402010503123060400000708201912315204000053037025802SG5911RATINAN LEE6009SINGAPORE610682876162140110987654321X630429FD";
const QRIS: &str = "00020101021126670016COM.NOBUBANK.WWW01189360050300000879140214703239147837910303UMI51440014ID.CO.QRIS.WWW0215ID20232709941630303UMI5204481253033605802ID5923GRANOOL STORE OK12295776006KEDIRI61056421262070703A0163047127";
const NQR: &str = "0002010102121531**999166**999166****M000000000126720019NG.COM.NIBSS-PLC.QR0111S000000000102309991662005210922520163783561015204000053035665402105802NG5913Test Merchant6007Nigeria6304A54A";
const ECOBANK: &str = "0002010102110213404587568745904155326311155509945204625353039365802GH5915MAXMART LIMITED6005ACCRA62240708620037450308620037456304C913";
const PI_SPI: &str = "00020136560012int.bceao.pi0136111c3e1b-4312-49ec-b75e-4c8c74c10fd7520400005303952540410005802CI5901X6001X62270516F2YG7643D5HH2023110350063049618";
const SMALL_LETTERS: &str = "0002010102112632002816990007000000000000446800005204510153031445802LK5910Direct Pay6010Colombo 0561050050062100506s.69906304106f";
const REFUSED: &str = "00020101021126580014A000000615000101065887340212MBBQR1666987031000000000005204581253034585802MY5908TAKOYAKI6006PAHANG630400D7";

/// A merchant's code with the checksum that it should have.
fn sealed(body: &str) -> String {
    let body = format!("{body}6304");
    let crc = body.bytes().fold(0xffff_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| (crc << 1) ^ if crc >> 15 == 0 { 0 } else { 0x1021 })
    });
    format!("{body}{crc:04X}")
}

#[test]
fn known_good_codes_of_every_scheme_are_read() {
    check(ANNEX_B, Some("BEST TRANSPORT"), None, &["other A93FO3230Q 23.72 CNY", "other 12345678 23.72 CNY"]);
    check(
        PIX_MANUAL,
        Some("NOME DO RECEBEDOR"),
        None,
        &[
            "mastercard 12345678901234 123.45 BRL",
            "pix 123e4567-e12b-12d1-a456-426655440000 123.45 BRL",
            "other 0123456789 123.45 BRL",
        ],
    );
    check(PIX_DYNAMIC, Some("EMPRESA"), None, &["pix pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a99 *"]);
    check(PROMPTPAY, None, None, &["promptpay 0066801234567 *"]);
    check(PAYNOW_SGQR, Some("RATINAN LEE"), None, &["paynow 202012345X *"]);
    check(QRIS, Some("GRANOOL STORE OK1229577"), None, &["qris ID2023270994163 *"]);
    check(NQR, Some("Test Merchant"), None, &["nqr S0000000001 10.00 NGN"]);
    check(ECOBANK, Some("MAXMART LIMITED"), None, &["ecobank_pay 4045875687459 *", "ecobank_pay 532631115550994 *"]);
    check(PI_SPI, Some("X"), Some("F2YG7643D5HH2023"), &["pi_spi 111c3e1b-4312-49ec-b75e-4c8c74c10fd7 1000 XOF"]);
    check(SMALL_LETTERS, Some("Direct Pay"), Some("s.6990"), &["lankaqr 1699000700000000000044680000 *"]);
}

#[test]
fn a_checksum_that_does_not_fit_is_refused_whatever_else_is_right() {
    assert_eq!(refused(REFUSED), Refused::Checksum { said: "00D7".to_owned(), computed: "611C".to_owned() });
    for code in [ANNEX_B, PIX_MANUAL, PIX_DYNAMIC, PROMPTPAY, PAYNOW_SGQR, QRIS, NQR, ECOBANK, PI_SPI, SMALL_LETTERS] {
        let letters: Vec<char> = code.chars().collect();
        for at in 6..letters.len() {
            // In the checksum the same letter in the other case is the same checksum.
            for other in ['0', '1', 'X', 'é'] {
                let mut changed = letters.clone();
                changed[at] = other;
                let changed: String = changed.into_iter().collect();
                assert!(
                    changed.eq_ignore_ascii_case(code)
                        || matches!(refused(&changed), Refused::Checksum { .. } | Refused::NoChecksum)
                );
            }
            let cut: String = letters[..at].iter().collect();
            assert!(matches!(refused(&cut), Refused::Checksum { .. } | Refused::NoChecksum), "{cut}");
        }
        assert!(matches!(refused(&format!("{code}0")), Refused::Checksum { .. } | Refused::NoChecksum));
    }
}

#[test]
fn a_code_of_emvco_says_everything_it_holds() {
    let payment = payment(ANNEX_B);
    let Payload::Merchant(code) = &payment.payload else { panic!("a merchant's code") };
    assert_eq!(code.initiation, Some(Initiation::Dynamic));
    assert_eq!((code.category.as_deref(), code.currency.code(), code.country.as_str()), (Some("4111"), "CNY", "CN"));
    assert_eq!((code.city.as_deref(), code.postcode.as_deref(), code.tip), (Some("BEIJING"), None, Some(Tip::Asked)));
    let native =
        NativeName { language: "ZH".to_owned(), name: "最佳运输".to_owned(), city: Some("北京".to_owned()) };
    assert_eq!(code.native, Some(native));
    let fields: Vec<_> =
        payment.fields().iter().map(|field| format!("{} {} {}", field.place, field.name, field.value)).collect();
    assert_eq!(
        fields,
        [
            "00 payload_format 01",
            "01 point_of_initiation 12",
            "29.00 identifier D15600000000",
            "29.05 scheme_data A93FO3230Q",
            "31.00 identifier D15600000001",
            "31.03 scheme_data 12345678",
            "52 merchant_category 4111",
            "58 country CN",
            "59 merchant_name BEST TRANSPORT",
            "60 merchant_city BEIJING",
            "64.00 language ZH",
            "64.01 native_name 最佳运输",
            "64.02 native_city 北京",
            "54 amount 23.72",
            "53 currency 156",
            "55 tip_indicator 01",
            "62.03 store_label 1234",
            "62.06 customer_label ***",
            "62.07 terminal_label A6008667",
            "62.09 consumer_data_request ME",
            "91.00 identifier A011223344998877",
            "91.07 unreserved 12345678",
        ]
    );
}

#[test]
fn what_is_owed_for_a_dynamic_pix_stands_behind_its_address() {
    let body = PIX_DYNAMIC.strip_suffix("6304EEAB").unwrap().replace("5802BR", "54041.005802BR");
    let payment = payment(&sealed(&body));
    let [way] = payment.ways().try_into().unwrap();
    assert_eq!((way.amount, way.is_editable), (None, false));
    assert_eq!(way.ask_at.as_deref(), Some("https://pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a99"));
    for host in ["pix.example.com@evil", "evil/.example.com", "example com/aaa/bb", "éxample.com/a"] {
        let url = format!("{host:x<20}");
        let body = format!("00020126{:02}0014br.gov.bcb.pix25{:02}{url}5204000053039865802BR", 18 + 4 + 20, 20);
        assert!(matches!(refused(&sealed(&body)), Refused::Field { .. }), "{url}");
    }
}

#[test]
fn paynow_says_until_when_and_whether_another_amount_will_do() {
    let [way] = payment(PAYNOW_SGQR).ways().try_into().unwrap();
    assert_eq!((way.is_editable, way.expires_on.as_deref()), (true, Some("20211231")));
}

const SHOP: &str = "00020102020000520400005303978540510.005802FR5906BAKERY6005PARIS";

#[test]
fn lengths_that_count_bytes_are_read_and_two_readings_are_refused() {
    let by_characters = "0002010208ACCOUNT152040000530397854031.05802FR5905CAFÉS6005PARIS";
    let by_bytes = by_characters.replace("5905", "5906");
    for body in [by_characters, &by_bytes] {
        check(&sealed(body), Some("CAFÉS"), None, &["visa ACCOUNT1 1.00 EUR"]);
    }
    // By characters the account 02 is `éX0` and what follows is a template 40; by bytes it is `éX`, and 04 and 05 follow.
    let doubtful = format!("0002010203éX04031ab0525{}5303978540510.005802FR", "A".repeat(25));
    assert_eq!(refused(&sealed(&doubtful)), Refused::Ambiguous);
}

#[test]
fn each_rule_of_the_standard_has_its_refusal() {
    let good = "0002010208ACCOUNT152040000530397854041.005802FR5906BAKERY6005PARIS";
    check(&sealed(good), Some("BAKERY"), None, &["visa ACCOUNT1 1.00 EUR"]);
    let reason = |from: &str, to: &str| {
        assert!(good.contains(from));
        refused(&sealed(&good.replacen(from, to, 1))).to_string()
    };
    let amount = |amount: &str| reason("54041.00", &format!("54{:02}{amount}", amount.len()));
    assert_eq!(amount("0.00"), "the amount in 54: it is zero");
    assert_eq!(amount("98,73"), "the amount in 54: it is not written in digits with at most one point");
    assert_eq!(amount("3 705"), "the amount in 54: it is not written in digits with at most one point");
    assert_eq!(amount("1.001"), "the amount in 54: it has more than the 2 decimals of its currency");
    assert_eq!(amount("12345678901234"), "54: it is longer than 13 characters");
    assert_eq!(reason("5303978", ""), "53 is missing");
    assert_eq!(reason("5303978", "5303999"), "53: it is no currency of ISO 4217");
    assert_eq!(reason("5303978", "5303EUR"), "53: it is no currency of ISO 4217");
    assert_eq!(reason("5802FR", ""), "58 is missing");
    assert_eq!(reason("5802FR", "58021R"), "58: it is not two letters");
    assert_eq!(reason("0208ACCOUNT1", ""), "an account, 02 to 51 is missing");
    assert_eq!(reason("52040000", "5203000"), "52: it is not four digits");
    assert_eq!(reason("52040000", "01021352040000"), "01: it is neither 11 nor 12");
    assert_eq!(reason("5906", "6304ABCD5906"), "63: the checksum is not at the end");
    assert_eq!(reason("000201", "000201000201"), "00 is there twice");
    assert_eq!(reason("5906", "59005906"), "at byte 47 of the code: an object is empty");
    assert_eq!(
        reason("5906BAKERY", "6204nope5906BAKERY"),
        "at byte 0 of 62.: the number of an object is not two digits"
    );
    assert_eq!(reason("0208ACCOUNT1", "26160002XX0101A0101B"), "26.01 is there twice");
}

#[test]
fn tips_are_announced() {
    let tip = |fields: &str| {
        let text = sealed(&format!("0002010208ACCOUNT153039785802FR{fields}"));
        match Scanned::of_text(&text) {
            Scanned::Payment(payment) => match payment.payload {
                Payload::Merchant(code) => Ok(code.tip),
                other => panic!("{other:?}"),
            },
            Scanned::Refused { why, .. } => Err(why.to_string()),
            other => panic!("{other:?}"),
        }
    };
    let euro = Currency::of("EUR").unwrap();
    assert_eq!(tip("550201"), Ok(Some(Tip::Asked)));
    assert_eq!(tip("55020256041.50"), Ok(Some(Tip::Fixed(Money::new(150, euro).unwrap()))));
    assert_eq!(tip("550203570512.25"), Ok(Some(Tip::Percent { hundredths: 1225 })));
    assert_eq!(tip("55020357015"), Ok(Some(Tip::Percent { hundredths: 500 })));
    for wrong in [
        "550204",
        "550202",
        "550203",
        "56041.50",
        "57015",
        "55020156041.50",
        "55020256040.00",
        "5502035703100",
        "550203570500.00",
    ] {
        assert!(tip(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_scheme_is_not_paid_in_a_currency_that_it_does_not_move() {
    for code in [PIX_MANUAL, PROMPTPAY, PAYNOW_SGQR, QRIS, NQR, PI_SPI] {
        let body = &code[..code.len() - 8];
        let at = ["5303986", "5303764", "5303702", "5303360", "5303566", "5303952"]
            .iter()
            .find_map(|currency| body.rfind(currency));
        let mut body = body.to_owned();
        body.replace_range(at.unwrap()..at.unwrap() + 7, "5303840");
        let why = refused(&sealed(&body));
        assert!(
            matches!(&why, Refused::Field { field, .. } if field == "53") || matches!(why, Refused::Amount { .. }),
            "{why:?}"
        );
    }
}

#[test]
fn a_symbol_in_another_alphabet_is_read_by_its_declaration() {
    // The checksum is counted over UTF-8, and the symbol holds ISO 8859-1.
    let text = sealed("0002010208ACCOUNT153039785802FR5904CAFÉ");
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let segments = vec![Segment { mode: comptoir_qr::Mode::Byte, eci: Some(3), range: 0..latin.len() }];
    let code = Code { bytes: latin.clone(), text: Some(text), segments, ..Code::default() };
    let Scanned::Payment(payment) = Scanned::of(&code) else { panic!("a payment") };
    assert_eq!((payment.payee(), payment.raw.as_slice()), (Some("CAFÉ"), latin.as_slice()));
}

#[test]
fn what_only_looks_like_a_payment_is_what_it_is() {
    for text in
        ["00020", "BCD", "BCDEF\n002", "SPC 0200", "upi://mandate?pa=a@b", "SPD*1.0*ACC:1", "0041000600000101030040220"]
    {
        assert_eq!(Scanned::of_text(text), Scanned::Text(text.to_owned()));
    }
    let long = format!("000201{}", "0".repeat(5000));
    assert_eq!(refused(&long), Refused::TooLong { size_bytes: 5006 });
    let code = Code { bytes: b"000201\xff\xfe".to_vec(), text: None, ..Code::default() };
    assert!(matches!(Scanned::of(&code), Scanned::Refused { why: Refused::NotText, .. }));
}

#[test]
fn an_amount_error_says_which() {
    let text = sealed("0002010208ACCOUNT1530397854030.05802FR");
    assert_eq!(refused(&text), Refused::Amount { field: "54".to_owned(), why: AmountError::Zero });
    assert_eq!(payment(&sealed(SHOP.replace("02020000", "0208ACCOUNT1").as_str())).ways()[0].scheme, Scheme::Visa);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        account in "[!-~]{1,60}",
        name in "[ -~]{1,25}",
        city in "[ -~]{1,15}",
        reference in prop::option::of("[A-Za-z0-9]{1,25}"),
        minor in prop::option::of(1_i64..999_999_999_999),
        currency in prop::sample::select(vec!["EUR", "JPY", "KWD", "XOF"]),
    ) {
        let currency = Currency::of(currency).unwrap();
        let number = MerchantAccount::Card { id: 4, number: account.clone() };
        let mut code = NewMerchantCode::new(number, currency, "FR", &name, &city);
        code.amount = minor.map(|minor| Money::new(minor, currency).unwrap());
        code.reference = reference.clone();
        let payment = payment(&code.write().unwrap());
        let [way] = payment.ways().try_into().unwrap();
        prop_assert_eq!((way.account, way.amount), (account, code.amount));
        prop_assert_eq!((payment.payee(), payment.reference()), (Some(name.as_str()), reference.as_deref()));
    }

    #[test]
    fn nothing_panics_and_what_is_read_has_a_good_checksum(body in "(0[0-9]|2[6-9]|5[1-9]|6[0-4]|[0-9]{2}|br.gov.bcb.pix|SG.PAYNOW|é|[A-Z.]{0,9}){0,30}") {
        let text = sealed(&format!("000201{body}"));
        if let Scanned::Payment(payment) = Scanned::of_text(&text) {
            prop_assert!(!payment.ways().is_empty());
            prop_assert!(!payment.fields().is_empty());
        }
    }

    #[test]
    fn lines_of_anything_never_panic(head in 0_usize..3, lines in prop::collection::vec("\\PC{0,40}|[0-9]{0,27}|EUR[0-9.]{0,15}", 0..40)) {
        let head = ["BCD\n002\n1\nSCT\n", "SPC\n0200\n1\n", "upi://pay?pa=a@b&"][head];
        let _ = Scanned::of_text(&format!("{head}{}", lines.join(if head.starts_with("upi") { "&" } else { "\n" })));
    }

    #[test]
    fn any_bytes_mean_something(bytes in prop::collection::vec(any::<u8>(), 0..300), head in 0_usize..5) {
        let heads: [&[u8]; 5] = [b"000201", b"BCD\n001\n2\nSCT\n", b"SPC\n0200\n1\n", b"upi://pay?", b""];
        let bytes = [heads[head], &bytes].concat();
        // Another reading of the bytes than UTF-8, whatever they are.
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let meaning = Scanned::of(&Code { bytes: bytes.clone(), text: Some(text), ..Code::default() });
        match meaning {
            Scanned::Payment(payment) => prop_assert_eq!(payment.raw, bytes),
            Scanned::Refused { raw, .. } => prop_assert_eq!(raw, bytes),
            _ => {}
        }
    }
}

#[test]
fn a_payload_of_lines_says_everything_it_holds_and_how_it_is_written() {
    let said = |text: &str| -> Vec<String> {
        let fields = payment(text).fields();
        fields.iter().map(|field| format!("{} {} {}", field.place, field.name, field.value)).collect()
    };
    let epc = "BCD\r\n001\r\n1\r\nSCT\r\nBPOTBEB1\r\nRed Cross\r\nBE72000000001616\r\nEUR1.5\r\nCHAR";
    let read = [
        "1 service_tag BCD",
        "2 version 001",
        "3 character_set 1",
        "4 identification SCT",
        "5 bic BPOTBEB1",
        "6 name Red Cross",
        "7 iban BE72000000001616",
        "8 amount EUR1.50",
        "9 purpose CHAR",
    ];
    assert_eq!(said(epc), read);
    let swiss = "SPC\n0200\n1\nCH4431999123000889012\nS\nMax Muster & Söhne\nMusterstrasse\n123\n8000\nSeldwyla\nCH\n\n\n\n\n\n\n\n\
        50.00\nCHF\n\n\n\n\n\n\n\nQRR\n210000000003139471430009017\n\nEPD";
    assert_eq!(
        said(swiss)[..4],
        ["1 format SPC", "2 version 0200", "3 character_set 1", "4 iban CH4431999123000889012"]
    );
}
