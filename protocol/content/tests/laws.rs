//! Hostile and newer bytes: nothing panics, nothing that is signed is half understood.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use comptoir_content::{
    AccountId, Amount, Content, ContentError, Currency, Link, LogHead, MINOR_MAX, OrderId, Payee, Profile, ReceiptFile,
    Signed, SigningKey, Timestamp,
};
use proptest::prelude::*;
use prost::Message as _;

fn profile() -> (Profile, SigningKey) {
    let profile = Profile {
        account: AccountId([1; 20]),
        revision: 1,
        name: "The Bakery".to_owned(),
        about: String::new(),
        payees: vec![Payee { provider: "sandbox".to_owned(), account: "b".to_owned(), live: false }],
        issued_at: Timestamp(5),
    };
    (profile, SigningKey::from_seed([1; 32]))
}

/// The shape of a signed object on the wire, for tests that build one by hand.
#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(bytes = "vec", tag = "1")]
    object: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    signer: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
}

/// Signs arbitrary bytes as a profile.
fn sign_bytes(object: Vec<u8>) -> Signed<Profile> {
    let key = SigningKey::from_seed([1; 32]);
    let signature = key.sign("comptoir/profile/v1", &object).to_vec();
    Signed::decode(&Envelope { object, signer: key.public().0.to_vec(), signature }.encode_to_vec()).unwrap()
}

fn profile_bytes() -> Vec<u8> {
    let (profile, key) = profile();
    Envelope::decode(Signed::sign(&profile, &key).encode().as_slice()).unwrap().object
}

#[test]
fn a_signed_object_with_anything_more_in_it_asks_for_an_update() {
    let update = Err(ContentError::UpdateApp { what: "profile" });
    assert!(sign_bytes(profile_bytes()).verify().is_ok());
    let unknown_field = [profile_bytes(), vec![0xf8, 0x07, 1]].concat();
    assert_eq!(sign_bytes(unknown_field).verify(), update);
    let field_twice = [profile_bytes(), vec![0x18, 1]].concat();
    assert_eq!(sign_bytes(field_twice).verify(), update);
    let default_written_out = [profile_bytes(), vec![0x2a, 0]].concat();
    assert_eq!(sign_bytes(default_written_out).verify(), update);
    let mut newer = profile_bytes();
    assert_eq!(newer[..2], [0x08, 1]);
    newer[1] = 2;
    assert_eq!(sign_bytes(newer).verify(), update);
}

#[test]
fn a_signature_serves_one_purpose() {
    let (profile, key) = profile();
    let signed = Signed::sign(&profile, &key);
    assert!(signed.verify().is_ok());
    let mut envelope = Envelope::decode(signed.encode().as_slice()).unwrap();
    envelope.signature = key.sign("comptoir/invoice/v1", &envelope.object).to_vec();
    let other: Signed<Profile> = Signed::decode(&envelope.encode_to_vec()).unwrap();
    assert_eq!(other.verify(), Err(ContentError::Signature { what: "profile" }));
}

#[test]
fn a_link_that_was_cut_or_mistyped_is_refused() {
    let code = comptoir_content::ContactCode {
        account: AccountId([1; 20]),
        kind: comptoir_content::AccountKind::Person,
        relay: "wss://relay.example".to_owned(),
        head: LogHead { len: 1, hash: comptoir_content::Hash([2; 32]) },
    };
    let link = code.to_link();
    assert!(link.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ':'), "{link}");
    for cut in 0..link.len() {
        assert!(Link::parse(&link[..cut]).is_err(), "cut at {cut}");
    }
    for place in 9..link.len() {
        let mut letters = link.clone().into_bytes();
        letters[place] = if letters[place] == b'A' { b'B' } else { b'A' };
        assert!(Link::parse(std::str::from_utf8(&letters).unwrap()).is_err(), "mistyped at {place}");
    }
    assert_eq!(
        Link::parse("https://example.org"),
        Err(ContentError::Field { field: "link", reason: "does not begin with COMPTOIR:" })
    );
}

#[test]
fn an_id_cannot_be_pasted_for_another() {
    let order = OrderId([7; 16]).to_string();
    assert_eq!(order.parse::<OrderId>(), Ok(OrderId([7; 16])));
    assert!(order.parse::<AccountId>().is_err());
    assert!(order.replace("ord_", "pay_").parse::<OrderId>().is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Content::decode(&bytes);
        let _ = ReceiptFile::from_file(&bytes);
        let _ = ReceiptFile::from_file(&[comptoir_content::RECEIPT_FILE_MAGIC, &bytes].concat());
        let _ = comptoir_content::Genesis::decode(&bytes);
        let _ = Signed::<Profile>::decode(&bytes).map(|signed| signed.verify());
        let _ = Link::parse(&String::from_utf8_lossy(&bytes));
        let _ = Link::parse(&format!("COMPTOIR:C{}", data_encoding::BASE32_NOPAD.encode(&bytes)));
    }

    #[test]
    fn money_is_written_and_read_without_loss(minor in -MINOR_MAX..=MINOR_MAX, code in "EUR|JPY|BHD|CLF") {
        let currency = Currency::of(&code).unwrap();
        let amount = Amount::new(minor, currency).unwrap();
        let plain = amount.to_plain();
        let digits = plain.strip_suffix(&format!(" {code}")).unwrap();
        let read = Amount::parse(digits.trim_start_matches('-'), currency).unwrap();
        prop_assert_eq!(read.minor(), minor.abs());
    }
}
