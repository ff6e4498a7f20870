//! What anybody can send us, byte by byte: one function for each door, which takes whatever comes. None may panic, hang, or
//! take two readings of the same bytes. `fuzz/` drives them with a fuzzer; `stories/corpora.rs` plays everything that was ever
//! found, on any machine.

use comptoir_client::verify_receipt;
use comptoir_content::{
    AccountLog, Content, DeviceCertificate, Genesis, Invoice, Link, LogLink, OrderPlaced, PaymentAnswer, Profile,
    Receipt, ReceiptFile, Signed, SigningKey, Timestamp,
};
use comptoir_engine::account::Account;
use comptoir_engine::receipt::verify;
use comptoir_gateway::provider::{Find, HttpResponse, Operation, Provider, Sandbox, Secret, Stripe, StripeKeys};
use comptoir_qr::{Code, Joiner, Live, Payload, Plane, Scanned, look_in_every_way, split};
use comptoir_wire::{Reply, Request};
use ring::hmac;

/// A door: its name, which is that of its corpus, and what stands behind it.
pub type Door = (&'static str, fn(&[u8]));

/// All of them.
pub const DOORS: [Door; 12] = [
    ("wire", wire),
    ("content", content),
    ("signed", signed),
    ("account", account),
    ("receipt", receipt),
    ("links", links),
    ("webhook", webhook),
    ("answers", answers),
    ("picture", picture),
    ("plane", plane),
    ("payload", payload),
    ("storm", storm),
];

/// Frames, as a relay and a device read them. What can be read is written again and read the same.
pub fn wire(bytes: &[u8]) {
    if let Ok((id, request)) = Request::decode(bytes) {
        let written = request.clone().encode(id);
        assert_eq!(Request::decode(&written), Ok((id, request)), "a request has one reading");
    }
    if let Ok((id, reply)) = Reply::decode(bytes) {
        let written = reply.clone().encode(id);
        assert_eq!(Reply::decode(&written), Ok((id, reply)), "a reply has one reading");
    }
}

/// What peers say to each other once it is opened.
pub fn content(bytes: &[u8]) {
    if let Ok(content) = Content::decode(bytes) {
        let again = Content::decode(&content.encode());
        assert_eq!(again.as_ref(), Ok(&content), "content has one reading");
    }
    if let Ok(order) = OrderPlaced::decode(bytes) {
        assert_eq!(OrderPlaced::decode(&order.encode()).as_ref(), Ok(&order), "an order has one reading");
    }
}

/// Signed objects. The same bytes are never good for two kinds.
pub fn signed(bytes: &[u8]) {
    let verified = [
        Signed::<Invoice>::decode(bytes).is_ok_and(|signed| signed.verify().is_ok()),
        Signed::<PaymentAnswer>::decode(bytes).is_ok_and(|signed| signed.verify().is_ok()),
        Signed::<Receipt>::decode(bytes).is_ok_and(|signed| signed.verify().is_ok()),
        Signed::<Profile>::decode(bytes).is_ok_and(|signed| signed.verify().is_ok()),
        Signed::<DeviceCertificate>::decode(bytes).is_ok_and(|signed| signed.verify().is_ok()),
    ];
    assert!(verified.iter().filter(|good| **good).count() <= 1, "good for two kinds");
}

/// Account logs: a genesis record, and one entry after it.
pub fn account(bytes: &[u8]) {
    if let Some((signature, entry)) = bytes.split_first_chunk::<64>() {
        let link =
            LogLink { entry: entry.to_vec(), signer: SigningKey::from_seed([1; 32]).public(), signature: *signature };
        let _ = link.verify();
    }
    if Genesis::decode(bytes).is_ok() {
        let log = AccountLog { genesis: bytes.to_vec(), links: Vec::new() };
        let account = Account::read(&log);
        assert!(account.is_ok_and(|account| account.id == log.account()), "a genesis record makes its account");
    }
}

/// Receipt files, as a shell, a terminal and the engine judge them: all alike.
pub fn receipt(bytes: &[u8]) {
    let judged = ReceiptFile::from_file(bytes).is_ok_and(|file| verify(&file, None).is_ok());
    let shown = verify_receipt(bytes, None);
    assert!(!judged || shown.is_ok(), "one that holds is shown");
}

/// Codes that were scanned or typed.
pub fn links(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(link) = Link::parse(text) {
        let written = match &link {
            Link::Contact(code) => code.to_link(),
            Link::DeviceRequest(request) => request.to_link(),
            Link::DeviceGrant(grant) => grant.to_link(),
            Link::Verify(code) => code.to_link(),
            Link::Bill(code) => code.to_link(),
            Link::PayerQuestion(question) => question.to_link(),
            Link::PayerProof(proof) => proof.to_link(),
        };
        assert_eq!(Link::parse(&written), Ok(link), "a link has one reading");
    }
}

const SECRET: &str = "whsec_practice_the_bakery";
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn sandbox() -> Sandbox {
    let secrets = vec![Secret::new(SECRET)];
    Sandbox::new("https://provider.example", "the-bakery", Secret::new("sk_practice"), secrets).expect("a provider")
}

fn stripe() -> Stripe {
    Stripe::new(StripeKeys {
        live: false,
        account: "acct_bakery".to_owned(),
        publishable_key: "pk_test_bakery".to_owned(),
        secret_key: Secret::new("sk_test_bakery"),
        webhook_secrets: vec![Secret::new(SECRET)],
        url: "https://provider.example".to_owned(),
    })
    .expect("a provider")
}

/// Webhooks: with a signature that somebody made up, and with a good one, so that what is behind it is reached.
pub fn webhook(bytes: &[u8]) {
    let header = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let seconds = NOW.0 / 1000;
    let mut signer = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));
    signer.update(format!("{seconds}.").as_bytes());
    signer.update(bytes);
    let tag: String = signer.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let good = format!("t={seconds},v1={tag}");
    for provider in [&sandbox() as &dyn Provider, &stripe()] {
        let forged = provider.verify_webhook(&|_| Some(header.clone()), bytes, NOW);
        assert!(forged.is_err(), "a signature that was made up");
        let _ = provider.verify_webhook(&|_| Some(good.clone()), bytes, NOW);
    }
}

/// Answers of providers, to whatever was asked and with whatever status.
pub fn answers(bytes: &[u8]) {
    let Some((&[kind, status], body)) = bytes.split_first_chunk::<2>() else { return };
    let operations = [
        Operation::Create,
        Operation::Read,
        Operation::Find,
        Operation::Cancel,
        Operation::Refund,
        Operation::FindRefund,
    ];
    let operation = operations[usize::from(kind) % operations.len()];
    let status = [200, 201, 202, 400, 401, 402, 404, 409, 429, 500, 503][usize::from(status) % 11];
    let response = HttpResponse::new(operation, status, body);
    let find = Find { reference: "pay_1.1", since: NOW, after: None };
    for provider in [&sandbox() as &dyn Provider, &stripe()] {
        let _ = provider.parse_payment(&response);
        let _ = provider.parse_found(&response, &find);
        let _ = provider.parse_refund(&response);
        let _ = provider.parse_found_refund(&response, "ref_1");
    }
}

/// Pictures, and camera frames.
pub fn picture(bytes: &[u8]) {
    let _ = comptoir_qr::read_picture(bytes);
    if let Some((&[width], luma)) = bytes.split_first_chunk::<1>() {
        let width = u32::from(width) + 1;
        let height = u32::try_from(luma.len()).unwrap_or(0) / width;
        let _ = comptoir_qr::read_frame(luma, width, height, width);
    }
}

/// Raw planes in every way that a frame or a picture is looked at, without a net for panics: a byte for the width, one for what is
/// left unused of each row.
pub fn plane(bytes: &[u8]) {
    let Some((&[width, padding], luma)) = bytes.split_first_chunk::<2>() else { return };
    let (width, padding) = (u32::from(width) + 1, u32::from(padding % 16));
    let height = u32::try_from(luma.len()).unwrap_or(0) / (width + padding);
    let Ok(plane) = Plane::new(luma, width, height, width + padding) else { return };
    let _ = look_in_every_way(plane);
    let mut live = Live::default();
    for _ in 0..3 {
        live.frame(plane);
    }
}

/// What the text of a code means, and parts of something larger. A merchant's code gets the checksum that it should have, so that what is
/// behind it is reached.
pub fn payload(bytes: &[u8]) {
    let _ = Scanned::of(&Code { bytes: bytes.to_vec(), ..Code::default() });
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let sealed = format!("{text}6304");
    let crc = sealed.bytes().fold(0xffff_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| (crc << 1) ^ if crc >> 15 == 0 { 0 } else { 0x1021 })
    });
    for text in [text.to_owned(), format!("{sealed}{crc:04X}")] {
        if let Scanned::Payment(payment) = Scanned::of_text(&text) {
            assert_eq!(payment.raw, text.as_bytes(), "what was scanned is kept");
            assert!(!payment.ways().is_empty(), "a payment code can be paid");
            assert!(payment.ways().iter().all(|way| way.amount.is_none_or(|amount| amount.minor() > 0)));
            let written = match &payment.payload {
                Payload::Merchant(_) => continue,
                Payload::Upi(link) => link.write(),
                Payload::Epc(transfer) => transfer.write(),
                Payload::Swiss(bill) => bill.write(),
            };
            if let Ok(written) = written {
                let Scanned::Payment(again) = Scanned::of_text(&written) else { panic!("what is written is read") };
                assert_eq!(again.ways(), payment.ways(), "a payment code has one reading");
            }
        }
    }
    if let Ok(Some(whole)) = Joiner::default().add(text) {
        assert!(split(&whole).is_ok_and(|parts| parts.len() == 1), "a whole has one splitting");
    }
}

/// Any sequence of inputs to everybody's turns, two bytes for each: a storm without a seed.
pub fn storm(bytes: &[u8]) {
    thread_local! {
        static DAWN: (tokio::runtime::Runtime, crate::storm::Dawn) = {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let dawn = runtime.block_on(crate::storm::Dawn::new());
            (runtime, dawn)
        };
    }
    let steps = crate::storm::steps::from_bytes(bytes);
    DAWN.with(|(runtime, dawn)| {
        let played = runtime.block_on(dawn.play(&steps));
        assert!(played.is_ok(), "{played:?}");
    });
}
