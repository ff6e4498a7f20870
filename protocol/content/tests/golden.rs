//! The bytes of everything peers say, kept in `tests/golden/content/v1` for this and every other implementation, and held
//! against `proto/content.proto`: nothing in them is unknown there, and nothing there is left unproven.
//!
//! `COMPTOIR_BLESS=1` writes them anew. Before the first release a change is a decision; after it, it is a break.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use comptoir_content::{
    AccountId, AccountKind, AccountLog, Amount, AnswerBody, AskPayment, Basis, BillCode, Body, Card, ContactCode,
    Content, ConversationId, Currency, DeviceCertificate, DeviceGrant, DeviceId, DeviceRequest, DeviceRole, Disclosure,
    Evidence, Genesis, Handoff, Hash, Invoice, InvoiceId, Line, LineKind, Link, LogEntry, LogHead, LogLink, Marks,
    Needs, NotPaid, OrderId, OrderInfo, OrderPlaced, PartBody, Payee, PayerProof, PayerQuestion, PaymentAnswer,
    PaymentId, PaymentRequest, Profile, QuickReply, Receipt, ReceiptFile, Refund, RefundId, Salt, Signed, SigningKey,
    Statement, Tap, Text, TillCertificate, Timestamp, TokenId, Uid, VerifyCode,
};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};

/// The package's name before each message.
const PACKAGE: &str = "comptoir.content.v1.";
const NOW: Timestamp = Timestamp(1_800_000_000_123);

struct Sample {
    name: &'static str,
    message: &'static str,
    bytes: Vec<u8>,
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
}

fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::of("EUR").unwrap()).unwrap()
}

fn genesis() -> Genesis {
    let (kind, nonce) = (AccountKind::Business, [7; 16]);
    Genesis { kind, account_key: key(1).public(), recovery_hash: key(2).public().hash(), nonce }
}

fn merchant() -> AccountId {
    Genesis::account_of(&genesis().encode())
}

fn certificate(role: DeviceRole) -> Signed<DeviceCertificate> {
    let certificate = DeviceCertificate {
        account: merchant(),
        device: DeviceId([3; 16]),
        key: key(3).public(),
        role,
        created_at: NOW,
        expires_at: NOW.plus_ms(1000),
    };
    Signed::sign(&certificate, &key(1))
}

fn statements() -> Vec<Statement> {
    let till = TillCertificate { till: key(4).public(), term: 2, live: true, from: NOW, until: NOW.plus_ms(9) };
    vec![
        Statement::DeviceAdded(certificate(DeviceRole::Gateway)),
        Statement::DeviceAdded(certificate(DeviceRole::Merchant)),
        Statement::DeviceAdded(certificate(DeviceRole::Person)),
        Statement::DeviceRevoked { device: DeviceId([3; 16]) },
        Statement::TillCertified(till),
        Statement::TillRevoked { till: key(4).public(), since: NOW },
        Statement::KeyReplaced { account_key: key(5).public() },
    ]
}

fn log() -> AccountLog {
    let genesis = genesis().encode();
    let mut previous = Hash::of(&genesis);
    let mut links = Vec::new();
    for (index, statement) in statements().into_iter().enumerate() {
        let entry = LogEntry { account: merchant(), index: index as u64, previous, at: NOW, statement };
        let link = LogLink::sign(&entry, &key(1));
        previous = link.hash();
        links.push(link);
    }
    AccountLog { genesis, links }
}

fn payee() -> Payee {
    Payee { provider: "sandbox".to_owned(), account: "the-bakery".to_owned(), live: true }
}

fn lines() -> Vec<Line> {
    let line = |label: &str, unit_minor, kind| Line { label: label.to_owned(), quantity: 2, unit_minor, kind };
    vec![
        line("Croissant", 120, LineKind::Item),
        line("VAT", 13, LineKind::Tax),
        line("Delivery", 200, LineKind::Shipping),
        line("Regular", -30, LineKind::Discount),
        line("Tip", 50, LineKind::Tip),
    ]
}

fn invoice() -> Signed<Invoice> {
    let invoice = Invoice {
        merchant: merchant(),
        term: 2,
        invoice: InvoiceId([9; 16]),
        audience: Some(AccountId([8; 20])),
        live: true,
        issued_at: NOW,
        expires_at: NOW.plus_ms(3_600_000),
        currency: Currency::of("EUR").unwrap(),
        title: "Breakfast".to_owned(),
        description: "Café à emporter".to_owned(),
        lines: lines(),
        total: eur(706),
        needs: Needs { name: true, phone: true, email: true, address: true },
        tip_max_minor: 500,
        tips_minor: vec![50, 100],
        max_payments: 1,
        terms_hash: Some(Hash([5; 32])),
        payload: b"table 4".to_vec(),
        payees: vec![payee()],
    };
    Signed::sign(&invoice, &key(4))
}

fn info() -> OrderInfo {
    let (name, phone, email) = ("Alice".to_owned(), "+33142685300".to_owned(), "alice@example.org".to_owned());
    OrderInfo { name, phone, email }
}

fn placed() -> OrderPlaced {
    OrderPlaced {
        invoice: InvoiceId([9; 16]),
        invoice_hash: invoice().hash(),
        order: OrderId([10; 16]),
        payment: PaymentId([11; 16]),
        attempt: 1,
        payer_key: key(6).public(),
        proof: [0; 64],
        tip_minor: 50,
        provider: "sandbox".to_owned(),
        info: info(),
    }
    .prove(&key(6))
}

fn answer(body: AnswerBody) -> Signed<PaymentAnswer> {
    let answer = PaymentAnswer {
        merchant: merchant(),
        term: 2,
        live: true,
        payer_key: key(6).public(),
        invoice_hash: invoice().hash(),
        order: OrderId([10; 16]),
        payment: PaymentId([11; 16]),
        attempt: 1,
        issued_at: NOW,
        body,
    };
    Signed::sign(&answer, &key(4))
}

fn requested(handoff: Handoff) -> AnswerBody {
    AnswerBody::Requested(PaymentRequest {
        provider: "sandbox".to_owned(),
        account: "the-bakery".to_owned(),
        amount: eur(756),
        expires_at: NOW.plus_ms(900_000),
        handoff,
    })
}

fn disclosures() -> Vec<(&'static str, Disclosure)> {
    let evidence = Evidence {
        provider: "sandbox".to_owned(),
        account: "the-bakery".to_owned(),
        provider_payment: "pay_1".to_owned(),
        method: "card ···· 4242".to_owned(),
        paid_at: NOW,
    };
    let parts = [
        ("part_lines", PartBody::Lines { title: "Breakfast".to_owned(), lines: lines() }),
        ("part_order_info", PartBody::OrderInfo(info())),
        ("part_evidence", PartBody::Evidence(evidence)),
        ("part_terms", PartBody::Terms { terms_hash: Some(Hash([5; 32])) }),
    ];
    parts.into_iter().map(|(name, part)| (name, Disclosure::new(&part, Salt([12; 32])))).collect()
}

fn receipt() -> ReceiptFile {
    let disclosures: Vec<Disclosure> = disclosures().into_iter().map(|(_, disclosure)| disclosure).collect();
    let receipt = Receipt {
        merchant: merchant(),
        term: 2,
        live: true,
        invoice_hash: invoice().hash(),
        order: OrderId([10; 16]),
        payer_key: key(6).public(),
        amount: eur(756),
        issued_at: NOW,
        previous: Some(Hash([13; 32])),
        digests: [0, 1, 2, 3].map(|part: usize| disclosures[part].digest()),
    };
    ReceiptFile { receipt: Signed::sign(&receipt, &key(4)), disclosures, log: log() }
}

fn refund() -> Signed<Refund> {
    let refund = Refund {
        merchant: merchant(),
        term: 2,
        live: true,
        payer_key: key(6).public(),
        order: OrderId([10; 16]),
        receipt_hash: receipt().receipt.hash(),
        refund: RefundId([14; 16]),
        amount: eur(100),
        refunded: eur(300),
        issued_at: NOW,
    };
    Signed::sign(&refund, &key(4))
}

fn profile() -> Signed<Profile> {
    let profile = Profile {
        account: merchant(),
        revision: 3,
        name: "The Bakery".to_owned(),
        about: "Bread since 1907".to_owned(),
        payees: vec![payee()],
        issued_at: NOW,
    };
    Signed::sign(&profile, &key(1))
}

fn bodies() -> Vec<(&'static str, Body)> {
    let reply = || QuickReply { title: "Croissant".to_owned(), payload: b"product/croissant".to_vec() };
    let text = Text { body: "Bonjour".to_owned(), reply_to: Some(Uid([1; 16])), quick_replies: vec![reply()] };
    let card = Card {
        title: "Croissant".to_owned(),
        subtitle: "Butter".to_owned(),
        price: Some(eur(120)),
        buttons: vec![reply()],
    };
    let page = Handoff::Page { url: "https://pay.example/1".to_owned() };
    let sdk = Handoff::Sdk { publishable_key: "pk_1".to_owned(), client_secret: "cs_1".to_owned() };
    let not_paid = NotPaid { reason: "card.declined".to_owned(), words: "Sorry".to_owned() };
    let ask = AskPayment { order: OrderId([10; 16]), payment: PaymentId([11; 16]), attempt: 1 };
    vec![
        ("text", Body::Text(text)),
        ("marks", Body::Marks(Marks { delivered: vec![Uid([1; 16])], read_upto: Some(Uid([2; 16])) })),
        ("tap", Body::Tap(Tap { on: Uid([1; 16]), title: "Croissant".to_owned(), payload: b"p".to_vec() })),
        ("card", Body::Card(card)),
        ("hello", Body::Hello(profile())),
        ("invoice", Body::Invoice(invoice())),
        ("order_placed", Body::OrderPlaced(Box::new(placed()))),
        ("payment_requested_page", Body::PaymentAnswer(answer(requested(page)))),
        ("payment_requested_sdk", Body::PaymentAnswer(answer(requested(sdk)))),
        ("payment_checking", Body::PaymentAnswer(answer(AnswerBody::Checking))),
        ("payment_not_paid", Body::PaymentAnswer(answer(AnswerBody::NotPaid(not_paid)))),
        ("ask_payment", Body::AskPayment(ask)),
        ("receipt", Body::Receipt(Box::new(receipt()))),
        ("refund", Body::Refund(refund())),
        ("token", Body::Token(TokenId([13; 16]))),
        ("ask_bill", Body::AskBill(invoice().hash())),
    ]
}

fn contents() -> Vec<(&'static str, Content)> {
    let bases = [
        None,
        Some(Basis::Action(Uid([1; 16]))),
        Some(Basis::Order(OrderId([2; 16]))),
        Some(Basis::Token(TokenId([3; 16]))),
    ];
    let head = log().head();
    let with = |(index, (name, body))| {
        let content = Content::new(Uid([index as u8; 16]), NOW, body);
        (name, Content { basis: bases[index % 4], head: Some(head), ..content })
    };
    bodies().into_iter().enumerate().map(with).collect()
}

/// The bytes that were signed, out of the envelope of a signed object.
fn object<T>(signed: &Signed<T>) -> Vec<u8> {
    let pool = pool();
    let descriptor = pool.get_message_by_name("comptoir.content.v1.Signed").unwrap();
    let message = DynamicMessage::decode(descriptor, signed.encode().as_slice()).unwrap();
    message.get_field_by_name("object").unwrap().as_bytes().unwrap().to_vec()
}

fn code() -> ContactCode {
    let relay = "wss://relay.example".to_owned();
    ContactCode { account: merchant(), kind: AccountKind::Person, relay, head: LogHead { len: 3, hash: Hash([4; 32]) } }
}

fn device_request() -> DeviceRequest {
    DeviceRequest { device: DeviceId([3; 16]), key: key(3).public(), expires_at: NOW }
}

fn device_grant() -> DeviceGrant {
    let certificate = certificate(DeviceRole::Person).encode();
    DeviceGrant { relay: "wss://relay.example".to_owned(), certificate, log: log() }
}

fn bill_code() -> BillCode {
    BillCode { shop: ContactCode { kind: AccountKind::Business, ..code() }, invoice_hash: invoice().hash() }
}

fn verify_code() -> VerifyCode {
    let head = |n: u8| LogHead { len: n.into(), hash: Hash([n; 32]) };
    VerifyCode { account: merchant(), head: head(3), peer: AccountId([8; 20]), peer_head: head(1) }
}

fn payer_question() -> PayerQuestion {
    PayerQuestion { merchant: merchant(), nonce: [5; 16], expires_at: Timestamp(1_800_000_300_000) }
}

fn payer_proof() -> PayerProof {
    PayerProof::sign(&payer_question(), OrderId([6; 16]), &key(9))
}

fn samples() -> Vec<Sample> {
    let sample = |name, message, bytes| Sample { name, message, bytes };
    let mut samples: Vec<Sample> =
        contents().into_iter().map(|(name, content)| sample(name, "Content", content.encode())).collect();
    samples.push(sample("genesis", "Genesis", genesis().encode()));
    let names = [
        "entry_gateway",
        "entry_merchant",
        "entry_person",
        "entry_revoked",
        "entry_till",
        "entry_till_revoked",
        "entry_key",
    ];
    for (name, link) in names.into_iter().zip(log().links) {
        samples.push(sample(name, "LogEntry", link.entry));
    }
    for (name, role) in [
        ("device_gateway", DeviceRole::Gateway),
        ("device_merchant", DeviceRole::Merchant),
        ("device_person", DeviceRole::Person),
    ] {
        samples.push(sample(name, "DeviceCertificate", object(&certificate(role))));
    }
    samples.push(sample("signed_profile", "Profile", object(&profile())));
    samples.push(sample("signed_invoice", "Invoice", object(&invoice())));
    samples.push(sample("signed_receipt", "Receipt", object(&receipt().receipt)));
    samples.push(sample("signed_refund", "Refund", object(&refund())));
    for (name, handoff) in [
        ("signed_requested", requested(Handoff::Page { url: "https://pay.example/1".to_owned() })),
        ("signed_checking", AnswerBody::Checking),
        (
            "signed_not_paid",
            AnswerBody::NotPaid(NotPaid { reason: "card.declined".to_owned(), words: "Sorry".to_owned() }),
        ),
        ("signed_sdk", requested(Handoff::Sdk { publishable_key: "pk".to_owned(), client_secret: "cs".to_owned() })),
    ] {
        samples.push(sample(name, "PaymentAnswer", object(&answer(handoff))));
    }
    let shapes = ["Lines", "OrderInfo", "Evidence", "Terms"];
    for ((name, disclosure), message) in disclosures().into_iter().zip(shapes) {
        samples.push(sample(name, message, disclosure.bytes().to_vec()));
    }
    samples.push(sample("link_contact", "ContactCode", payload_of(&code().to_link())));
    samples.push(sample("link_device_request", "DeviceRequest", payload_of(&device_request().to_link())));
    samples.push(sample("link_payer_question", "PayerQuestion", payload_of(&payer_question().to_link())));
    samples.push(sample("link_payer_proof", "PayerProof", payload_of(&payer_proof().to_link())));
    samples.push(sample("link_device_grant", "DeviceGrant", payload_of(&device_grant().to_link())));
    samples.push(sample("link_bill", "BillCode", payload_of(&bill_code().to_link())));
    samples.push(sample("link_verify", "VerifyCode", payload_of(&verify_code().to_link())));
    samples
}

/// The protobuf inside a link.
fn payload_of(link: &str) -> Vec<u8> {
    let bytes = data_encoding::BASE32_NOPAD.decode(&link.as_bytes()["COMPTOIR:C".len()..]).unwrap();
    bytes[..bytes.len() - 4].to_vec()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/content/v1")
}

fn pool() -> DescriptorPool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    DescriptorPool::from_file_descriptor_set(protox::compile(["content.proto"], [folder]).unwrap()).unwrap()
}

/// Compares with the golden file, or writes it.
fn check(file: &str, bytes: &[u8]) {
    let path = folder().join(file);
    if std::env::var_os("COMPTOIR_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(golden == bytes, "{file} changed: {} bytes were golden, {} are written now", golden.len(), bytes.len());
}

#[test]
fn what_is_said_has_the_golden_bytes_and_is_read_from_them() {
    let links = [
        ("contact.link", Link::Contact(code()), code().to_link()),
        ("device_request.link", Link::DeviceRequest(device_request()), device_request().to_link()),
        ("payer_question.link", Link::PayerQuestion(payer_question()), payer_question().to_link()),
        ("payer_proof.link", Link::PayerProof(payer_proof()), payer_proof().to_link()),
        ("device_grant.link", Link::DeviceGrant(Box::new(device_grant())), device_grant().to_link()),
        ("bill.link", Link::Bill(bill_code()), bill_code().to_link()),
        ("verify.link", Link::Verify(verify_code()), verify_code().to_link()),
    ];
    let mut expected = BTreeSet::from(["receipt.comptoir".to_owned()]);
    expected.extend(links.iter().map(|(file, ..)| (*file).to_owned()));
    for sample in samples() {
        check(&format!("{}.bin", sample.name), &sample.bytes);
        assert!(expected.insert(format!("{}.bin", sample.name)), "{} is there twice", sample.name);
    }
    check("receipt.comptoir", &receipt().to_file());
    for (file, _, text) in &links {
        check(file, text.as_bytes());
    }
    let found: BTreeSet<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, expected, "files that no sample has");

    let read = |name: &str| std::fs::read(folder().join(name)).unwrap();
    for (name, content) in contents() {
        assert_eq!(Content::decode(&read(&format!("{name}.bin"))), Ok(content), "{name}");
    }
    assert_eq!(ReceiptFile::from_file(&read("receipt.comptoir")), Ok(receipt()));
    for (file, link, _) in links {
        let text = String::from_utf8(read(file)).unwrap();
        assert_eq!(Link::parse(&text), Ok(link.clone()), "{file}");
        assert_eq!(Link::parse(&format!("  {}\n", text.to_lowercase())), Ok(link), "{file}");
    }
}

#[test]
fn only_a_shop_has_bills() {
    let of_a_person = BillCode { shop: code(), ..bill_code() };
    assert!(Link::parse(&of_a_person.to_link()).unwrap_err().to_string().contains("not a business"));
}

#[test]
fn a_part_is_called_one_of_several() {
    let part = std::fs::read_to_string(folder().join("../../qr/v1/receipt_parts.txt")).unwrap();
    let refused = Link::parse(part.lines().next().unwrap()).unwrap_err().to_string();
    assert!(refused.contains("the others are needed too"), "{refused}");
}

#[test]
fn only_a_grant_may_be_long() {
    let is_too_long = |kind: char, letters: usize| {
        let refused = Link::parse(&format!("COMPTOIR:{kind}{}", "A".repeat(letters))).unwrap_err();
        refused.to_string().contains("too long")
    };
    assert!(is_too_long('C', 2048) && is_too_long('D', 2048) && is_too_long('G', 1 << 18));
    assert!(!is_too_long('C', 200) && !is_too_long('G', 2048));
}

#[test]
fn every_signature_in_the_golden_bytes_holds() {
    assert!(profile().verify().is_ok() && invoice().verify().is_ok() && refund().verify().is_ok());
    assert!(receipt().receipt.verify().is_ok() && placed().check_proof().is_ok());
    for link in log().links {
        link.verify().unwrap();
    }
}

/// Nothing may be unknown, and what is set is noted down.
fn walk(message: &DynamicMessage, seen: &mut BTreeSet<String>) {
    let name = message.descriptor().full_name().to_owned();
    assert_eq!(message.unknown_fields().count(), 0, "{name} has fields that content.proto does not have");
    seen.insert(name);
    for (field, value) in message.fields() {
        seen.insert(field.full_name().to_owned());
        let values = match value {
            Value::List(values) => values.iter().collect(),
            value => vec![value],
        };
        for value in values {
            if let Some(inner) = value.as_message() {
                walk(inner, seen);
            }
            if let (Some(kind), Some(number)) = (field.kind().as_enum(), value.as_enum_number()) {
                seen.insert(kind.get_value(number).expect("a value that content.proto names").full_name().to_owned());
            }
        }
    }
}

#[test]
fn the_published_format_and_the_golden_bytes_say_the_same() {
    let pool = pool();
    let mut seen = BTreeSet::new();
    for sample in samples() {
        let descriptor = pool.get_message_by_name(&format!("{PACKAGE}{}", sample.message)).unwrap();
        let message = DynamicMessage::decode(descriptor, sample.bytes.as_slice()).unwrap();
        walk(&message, &mut seen);
        assert_eq!(message.encode_to_vec(), sample.bytes, "{}", sample.name);
    }
    let file = receipt().to_file();
    let body = file.strip_prefix(comptoir_content::RECEIPT_FILE_MAGIC).unwrap();
    let descriptor = pool.get_message_by_name("comptoir.content.v1.ReceiptFile").unwrap();
    walk(&DynamicMessage::decode(descriptor, body).unwrap(), &mut seen);
    let mut published = BTreeSet::new();
    for message in pool.all_messages() {
        published.insert(message.full_name().to_owned());
        published.extend(message.fields().map(|field| field.full_name().to_owned()));
    }
    for values in pool.all_enums() {
        let sent = values.values().filter(|value| value.number() != 0);
        published.extend(sent.map(|value| value.full_name().to_owned()));
    }
    assert_eq!(published.difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The relay derives the same ids, and holds them to the same bytes.
#[test]
fn the_conversation_of_two_accounts_has_one_id() {
    let [one, two] = [1, 2].map(|n| AccountId([n; 20]));
    let expected = ConversationId(*b"\xa5\x48\xa8\x27\x3d\xb0\x5e\x10\x1f\x87\x33\x13\x57\xf8\x49\x49");
    assert_eq!(ConversationId::between(one, two), expected);
    assert_eq!(ConversationId::between(two, one), expected);
}
