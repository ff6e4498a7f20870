//! Codes at the terminal: what their texts mean, and new ones.

#![allow(clippy::unwrap_used, reason = "in a test, what is not expected is a failure")]

mod support;

use std::fs::{self, File};

use serde_json::{Value, json};
use support::{Ran, comptoir, run};

#[test]
fn a_code_says_its_fields_or_why_it_must_not_be_paid() {
    let good = run(comptoir().args(["--json", "qr", "parse", "upi://pay?pa=bakery@upi&pn=The%20Bakery&am=250.00"]));
    assert_eq!(good.code, Some(0));
    let said = good.json();
    assert_eq!((&said["kind"], &said["payee"]), (&json!("upi"), &json!("The Bakery")));
    let amount = json!({ "minor": 25_000, "currency": "INR", "exponent": 2 });
    assert_eq!((&said["ways"][0]["scheme"], &said["ways"][0]["amount"]), (&json!("upi"), &amount));
    assert_eq!(said["fields"][2], json!({ "place": "am", "name": "amount", "value": "250.00" }));

    let bad = run(comptoir().args(["--json", "qr", "parse", "0002010102116304FFFF"]));
    assert_eq!((bad.code, &bad.json()["error"]["reason"]), (Some(1), &json!("checksum")));
    let words = run(comptoir().args(["qr", "parse", "0002010102116304FFFF"]));
    assert_eq!((words.code, words.out.as_str()), (Some(1), ""));
    assert!(words.err.contains("its checksum is FFFF"), "{}", words.err);
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn one_bad_code_does_not_end_the_reading_of_many() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("codes.txt");
    let text = format!("hello\r\n0002010102116304FFFF\n{}\n\nhttps://bakery.example/", "7".repeat(100_000));
    fs::write(&file, text).unwrap();
    let said = run(comptoir().args(["--json", "qr", "parse", "-"]).stdin(File::open(&file).unwrap()));
    let kinds: Vec<Value> = lines(&said).iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(said.code, Some(1));
    assert_eq!(kinds, ["text", "refused", "text", "text", "url"]);
    assert_eq!(lines(&said)[0]["text"], "hello");
}

#[test]
fn a_shop_writes_a_code_that_says_what_it_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let png = dir.path().join("code.png");
    let pix =
        ["--scheme", "pix", "--account", "bakery@example.com", "--name", "Padaria São João", "--city", "Brasília"];
    let written = run(comptoir().args(["--json", "qr", "write", "--amount", "12.50", "--png"]).arg(&png).args(pix));
    assert_eq!(written.code, Some(0), "{}", written.err);
    let text = written.json()["text"].as_str().unwrap().to_owned();
    let said = run(comptoir().args(["--json", "qr", "parse", &text])).json();
    let amount = json!({ "minor": 1250, "currency": "BRL", "exponent": 2 });
    assert_eq!((&said["payee"], &said["ways"][0]["amount"]), (&json!("Padaria Sao Joao"), &amount));
    let scanned = run(comptoir().args(["--json", "qr", "scan"]).arg(&png)).json();
    assert_eq!((&scanned["codes"][0]["kind"], &scanned["codes"][0]["text"]), (&json!("merchant"), &json!(text)));

    let transfer = ["--scheme", "sepa", "--account", "BE72000000001616", "--name", "Bakery", "--amount", "1"];
    let drawn = run(comptoir().args(["qr", "write"]).args(transfer));
    assert!(drawn.code == Some(0) && drawn.out.contains("\u{2580}"), "{}", drawn.err);
    for (wrong, what) in [("1,5", "digits"), ("0", "zero"), ("1.005", "decimals"), ("10000000000000", "large")] {
        let refused = run(comptoir().args(["qr", "write", "--amount", wrong]).args(pix));
        assert!(refused.code == Some(2) && refused.err.contains(what), "{wrong}: {}", refused.err);
    }
}

#[test]
fn a_shop_in_switzerland_writes_a_bill_with_its_cross() {
    let dir = tempfile::tempdir().unwrap();
    let [png, svg] = ["bill.png", "bill.svg"].map(|name| dir.path().join(name));
    let bakery = ["--scheme", "swiss", "--name", "Bäckerei", "--city", "Zürich", "--amount", "12.50"];
    let write = |account: &str, more: &[&str]| {
        run(comptoir().args(["--json", "qr", "write", "--account", account]).args(bakery).args(more).args([
            "--png".as_ref(),
            png.as_os_str(),
            "--svg".as_ref(),
            svg.as_os_str(),
        ]))
    };
    let address = ["--street", "Bahnhofstrasse", "--house", "1", "--postcode", "8001"];
    let written = write("CH5204835012345671000", &[&address[..], &["--reference", "Croissants"]].concat());
    assert_eq!(written.code, Some(0), "{}", written.err);
    let text = written.json()["text"].as_str().unwrap().to_owned();
    assert!(text.ends_with("\nNON\n\nCroissants\nEPD"), "{text}");
    let scanned = run(comptoir().args(["--json", "qr", "scan"]).arg(&png)).json();
    assert_eq!((&scanned["codes"][0]["kind"], &scanned["codes"][0]["text"]), (&json!("swiss_bill"), &json!(text)));
    assert!(fs::read_to_string(&svg).unwrap().starts_with("<svg "));

    let no_postcode = write("CH5204835012345671000", &[]);
    assert!(no_postcode.code == Some(2), "{}", no_postcode.out);
    let no_reference = write("CH4431999123000889012", &address);
    assert!(no_reference.code == Some(2), "an account that wants a reference of 27 digits: {}", no_reference.out);
    // As they are printed: in groups.
    let printed = [
        ("CH5204835012345671000", "rf18 5390 0754 7034"),
        ("CH4431999123000889012", "21 00000 00003 13947 14300 09017"),
    ];
    for (account, reference) in printed {
        let written = write(account, &[&address[..], &["--reference", reference]].concat());
        assert_eq!(written.code, Some(0), "{}", written.err);
        let text = written.json()["text"].as_str().unwrap().to_owned();
        let close = reference.replace(' ', "").to_uppercase();
        assert!(text.contains(&format!("\n{close}\n")), "{text}");
    }
    let message = write("CH5204835012345671000", &[&address[..], &["--reference", "rfid tags"]].concat());
    assert!(message.json()["text"].as_str().unwrap().ends_with("\nNON\n\nrfid tags\nEPD"), "{}", message.out);
    let pix = ["--scheme", "pix", "--account", "bakery@example.org", "--name", "Bakery", "--postcode", "8001"];
    let elsewhere = run(comptoir().args(["qr", "write"]).args(pix));
    assert!(elsewhere.code == Some(2) && elsewhere.err.contains("Swiss"), "{}", elsewhere.err);
}

#[test]
fn a_code_with_a_logo_is_read_and_has_the_logo() {
    // Eight pixels a side: a red frame around white.
    const LOGO: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAGElEQVR42mM4YSOCFTEQkPiPBGglQYKrAFQRZFFQ3x2YAAAAAElFTkSuQmCC";
    let dir = tempfile::tempdir().unwrap();
    let [logo, png, svg] = ["logo.png", "code.png", "code.svg"].map(|name| dir.path().join(name));
    fs::write(&logo, data_encoding::BASE64.decode(LOGO.as_bytes()).unwrap()).unwrap();
    let show = |more: &[&std::ffi::OsStr]| {
        run(comptoir().args(["qr", "show", "two croissants", "--logo"]).arg(&logo).args(more))
    };
    let shown = show(&["--png".as_ref(), png.as_os_str(), "--svg".as_ref(), svg.as_os_str()]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let scanned = run(comptoir().args(["--json", "qr", "scan"]).arg(&png)).json();
    assert_eq!(scanned["codes"][0]["text"], json!("two croissants"));
    assert!(fs::read_to_string(&svg).unwrap().contains("<image "));
    let nowhere = show(&[]);
    assert!(nowhere.code == Some(2) && nowhere.err.contains("--png"), "{}", nowhere.err);
    fs::copy(&png, &logo).unwrap();
    let a_code = show(&["--png".as_ref(), png.as_os_str()]);
    assert!(a_code.code == Some(2), "a logo that is a code: {}", a_code.out);
}

#[test]
fn a_file_comes_back_from_pictures_of_its_parts_or_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let [file, codes, back] = ["receipt", "codes", "back"].map(|name| dir.path().join(name));
    let receipt: Vec<u8> = (0..900_u32).map(|at| (at * 7 % 253) as u8).collect();
    fs::write(&file, &receipt).unwrap();
    let split = run(comptoir().args(["--json", "qr", "split"]).arg(&file).arg("--out").arg(&codes)).json();
    let pngs: Vec<&str> = split["pngs"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert_eq!(pngs.len(), 3);
    let without = run(comptoir().args(["--json", "qr", "join", pngs[2], pngs[0], "--out"]).arg(&back));
    assert_eq!((without.code, &without.json()["error"]["code"]), (Some(1), &json!("qr.incomplete")));
    assert!(without.out.contains("missing: 2"), "{}", without.out);
    assert!(!back.exists());
    let joined = run(comptoir().args(["--json", "qr", "join", pngs[2], pngs[0], pngs[1], "--out"]).arg(&back));
    assert_eq!((joined.code, fs::read(&back).unwrap()), (Some(0), receipt));
}
