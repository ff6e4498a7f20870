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
