//! Payment codes that are lines or links: UPI, European transfers, Swiss bills. Real ones are read; each rule has its refusal.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

mod support;

use comptoir_qr::{Code, Scanned};
use support::{check, payment, refused};

#[test]
fn indian_links_are_read_as_they_are_met() {
    let text =
        "upi://pay?pa=bakery@okbank&pn=The+Bakery%20%26%20Co&am=250.00&mam=null&cu=INR&tr=ORDER7&mode=02&sign=a+b/==";
    check(text, Some("The Bakery & Co"), Some("ORDER7"), &["upi bakery@okbank 250.00 INR"]);
    check("UPI://PAY?pa=a.b-c_1@ybl", None, None, &["upi a.b-c_1@ybl *"]);
    check("upi://pay?pa=bakery%40okbank&pn=The Bakery&am=", Some("The Bakery"), None, &["upi bakery@okbank *"]);
    let editable = |text: &str| payment(text).ways()[0].is_editable;
    assert!(
        editable("upi://pay?pa=a@b&am=5&mam=2") && !editable("upi://pay?pa=a@b&am=5") && editable("upi://pay?pa=a@b")
    );
    for (wrong, reason) in [
        ("upi://pay?", "pa is missing"),
        ("upi://pay?pn=Bakery", "pa is missing"),
        ("upi://pay?pa=bakery", "pa: it is no address of the form name@bank"),
        ("upi://pay?pa=a@b@c", "pa: it is no address of the form name@bank"),
        ("upi://pay?pa=a@b&pa=c@d", "pa is there twice"),
        ("upi://pay?pa=a@b&am=1&AM=2", "am is there twice"),
        ("upi://pay?pa=a@b&am=1.005", "the amount in am: it has more than the 2 decimals of its currency"),
        ("upi://pay?pa=a@b&am=1&cu=USD", "cu: UPI moves rupees only"),
        ("upi://pay?pa=a@b&pn=%ff", "it is not text"),
        ("upi://pay?pa=a@b&pn=%1b[2J", "it is not text"),
    ] {
        assert_eq!(refused(wrong).to_string(), reason, "{wrong}");
    }
}

const EPC: &str = "BCD\n001\n1\nSCT\nBPOTBEB1\nRed Cross of Belgium\nBE72000000001616\nEUR1\nCHAR\n\nUrgency fund\nSample EPC QR code";

#[test]
fn european_transfers_are_read_with_either_end_of_line() {
    for text in [EPC.to_owned(), EPC.replace('\n', "\r\n"), format!("{EPC}\n")] {
        check(&text, Some("Red Cross of Belgium"), None, &["sepa BE72000000001616 1.00 EUR"]);
    }
    let least = "BCD\n002\n2\nINST\n\nM\u{fc}ller\nDE71110220330123456789";
    check(least, Some("Müller"), None, &["sepa DE71110220330123456789 *"]);
    for (from, to, reason) in [
        ("001", "003", "2: the version is neither 001 nor 002"),
        ("\n1\n", "\n9\n", "3: it is no number of a character set, 1 to 8"),
        ("SCT", "SDD", "4: it is no credit transfer"),
        ("BPOTBEB1", "BPOT", "5: it is no BIC"),
        ("BPOTBEB1", "", "5 is missing"),
        ("Red Cross of Belgium", "", "6 is missing"),
        ("BE72", "BE73", "7: it is no IBAN, or mistyped"),
        ("EUR1\n", "EUR0\n", "the amount in 8: it is zero"),
        ("EUR1\n", "USD1\n", "8: it does not begin with EUR"),
        ("EUR1\n", "EUR1000000000\n", "the amount in 8: it is too large"),
        ("\n\nUrgency", "\nRF18539007547034\nUrgency", "11: it has a reference and a text"),
        ("\n\nUrgency fund", "\nRF18539007547035\n", "10: the reference is mistyped"),
        ("CHAR", "CHARITY", "9: it is too long"),
        ("QR code", "QR code\nand more", "13: there are more than twelve lines"),
    ] {
        assert!(EPC.contains(from));
        assert_eq!(refused(&EPC.replacen(from, to, 1)).to_string(), reason);
    }
}

#[test]
fn the_third_line_of_a_transfer_says_how_it_is_spelled() {
    let text = "BCD\n002\n2\nSCT\n\nMüller\nDE71110220330123456789";
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    // The symbol declares nothing, and somebody guessed wrong.
    let code = Code { bytes, text: Some(text.replace('ü', "ﾃ")), ..Code::default() };
    let Scanned::Payment(payment) = Scanned::of(&code) else { panic!("a payment") };
    assert_eq!(payment.payee(), Some("Müller"));
}

const SWISS: &str = "SPC\n0200\n1\nCH4431999123000889012\nS\nRobert Schneider AG\nRue du Lac\n1268\n2501\nBiel\nCH\n\n\n\n\n\n\n\n1949.75\nCHF\nS\nPia-Maria Rutschmann-Schnyder\nGrosse Marktgasse\n28\n9400\nRorschach\nCH\nQRR\n210000000003139471430009017\nOrder of 15 June 2020\nEPD\n//S1/10/1234/11/201021/30/102673386/32/7.7/40/0:30\nName AV1: UV;UltraPay005;12345\nName AV2: XY;XYService;54321";

#[test]
fn swiss_bills_are_read_and_their_checks_hold() {
    for text in [SWISS.to_owned(), SWISS.replace('\n', "\r\n"), format!("{SWISS}\r\n")] {
        check(
            &text,
            Some("Robert Schneider AG"),
            Some("210000000003139471430009017"),
            &["swiss_bill CH4431999123000889012 1949.75 CHF"],
        );
    }
    let combined = "SPC\n0200\n1\nCH5800791123000889012\nK\nRobert Schneider AG\nRue du Lac 1268\n2501 Biel\n\n\nCH\n\n\n\n\n\n\n\n\nEUR\n\n\n\n\n\n\n\nNON\n\n\nEPD";
    check(combined, Some("Robert Schneider AG"), None, &["swiss_bill CH5800791123000889012 *"]);
    for (from, to, reason) in [
        ("0200", "0300", "2: the version is not 02"),
        ("\n1\n", "\n2\n", "3: it is not in UTF-8"),
        ("CH44", "CH45", "4: it is no Swiss IBAN, or mistyped"),
        ("CH4431999123000889012", "BE72000000001616", "4: it is no Swiss IBAN, or mistyped"),
        ("\nS\nRobert", "\nT\nRobert", "5: the address is neither of type S nor K"),
        ("Robert Schneider AG", "", "6: it is empty"),
        ("\nBiel", "\n", "9: postcode or town is empty"),
        ("CH\n\n\n", "CH\nS\n\n", "12: the final creditor is reserved for later"),
        ("1949.75", "0.00", "the amount in 19: it is zero"),
        ("1949.75", "1949.755", "the amount in 19: it has more than the 2 decimals of its currency"),
        ("CHF", "USD", "20: it is neither CHF nor EUR"),
        ("QRR", "NON", "29: the reference does not fit its type or the account"),
        ("QRR", "SCOR", "29: the reference does not fit its type or the account"),
        ("QRR", "XYZ", "28: it is neither QRR nor SCOR nor NON"),
        ("0009017", "0009018", "29: the reference does not fit its type or the account"),
        ("EPD", "END", "31: it is not EPD"),
        ("//S1", "S1", "32: it does not begin with //"),
        ("54321", "54321\nmore", "35: there are more than thirty-four lines"),
    ] {
        assert!(SWISS.contains(from));
        assert_eq!(refused(&SWISS.replacen(from, to, 1)).to_string(), reason, "{from} {to}");
    }
}
