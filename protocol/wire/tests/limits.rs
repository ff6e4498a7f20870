//! Each limit, at it and one above it: refused, and the field named.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use std::path::Path;

use comptoir_wire::{
    AccountId, Claimed, DepositOutcome, DepositStatus, DeviceId, Envelope, EnvelopeKind, Item, LogSlice, NewAccount,
    PushEndpoint, Reply, Request, SignedEntry, WireError, limits,
};
use prost::Message as _;
use prost_reflect::bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};

#[allow(dead_code, reason = "each test needs another part")]
mod samples;

fn is_taken(request: Request) {
    assert!(Request::decode(&request.encode(1)).is_ok());
}

fn is_too_many(request: Request, field: &'static str, max: usize) {
    assert_eq!(Request::decode(&request.encode(1)), Err(WireError::TooMany { field, len: max + 1, max }));
}

/// `make` at the limit is taken, and with one more is refused by the name of the field.
fn check(make: impl Fn(usize) -> Request, field: &'static str, max: usize) {
    is_taken(make(max));
    is_too_many(make(max + 1), field, max);
}

fn check_reply(make: impl Fn(usize) -> Reply, field: &'static str, max: usize) {
    assert!(Reply::decode(&make(max).encode(1)).is_ok());
    let refused = Reply::decode(&make(max + 1).encode(1));
    assert_eq!(refused, Err(WireError::TooMany { field, len: max + 1, max }));
}

fn entry(bytes: usize) -> SignedEntry {
    SignedEntry { entry: vec![1; bytes], ..samples::signed_entry(1, None) }
}

fn new_account(genesis: usize, entries: Vec<SignedEntry>) -> Request {
    Request::CreateAccount(NewAccount {
        genesis: vec![1; genesis],
        log_key: [1; 32],
        recovery_hash: [1; 32],
        entries,
        device: DeviceId([1; 16]),
        device_key: [1; 32],
    })
}

#[test]
fn accounts_and_logs() {
    let address = |bytes| Request::Authenticate {
        device: DeviceId([1; 16]),
        address: "a".repeat(bytes),
        signature: [1; 64],
        window: 1,
    };
    check(address, "address", limits::ADDRESS_BYTES_MAX);
    check(|bytes| new_account(bytes, vec![]), "genesis", limits::GENESIS_BYTES_MAX);
    check(|bytes| new_account(1, vec![entry(bytes)]), "entry", limits::LOG_ENTRY_BYTES_MAX);
    check(|count| new_account(1, vec![entry(1); count]), "entries", limits::LOG_ENTRIES_MAX);
    let append = |bytes| Request::AppendLog { account: AccountId([1; 20]), expected_len: 0, entry: entry(bytes) };
    check(append, "entry", limits::LOG_ENTRY_BYTES_MAX);
    let log = |genesis, entries| Reply::Log(LogSlice { genesis: vec![1; genesis], from: 0, entries, len: 0 });
    check_reply(|bytes| log(bytes, vec![]), "genesis", limits::GENESIS_BYTES_MAX);
    check_reply(|count| log(1, vec![entry(1); count]), "entries", limits::LOG_ENTRIES_MAX);
}

#[test]
fn key_packages() {
    let publish = |packages, last_resort| Request::PublishKeyPackages { packages, last_resort };
    check(|count| publish(vec![vec![1]; count], None), "packages", limits::KEY_PACKAGES_MAX);
    check(|bytes| publish(vec![vec![1; bytes]], None), "key package", limits::KEY_PACKAGE_BYTES_MAX);
    check(|bytes| publish(vec![], Some(vec![1; bytes])), "key package", limits::KEY_PACKAGE_BYTES_MAX);
    let claim = |count| Request::ClaimKeyPackages { devices: vec![DeviceId([1; 16]); count] };
    check(claim, "devices", limits::CLAIMS_PER_FRAME_MAX);
    check_reply(|count| Reply::KeyPackages(vec![Claimed::None; count]), "packages", limits::CLAIMS_PER_FRAME_MAX);
    let claimed = |bytes| Reply::KeyPackages(vec![Claimed::Fresh(vec![1; bytes])]);
    check_reply(claimed, "key package", limits::KEY_PACKAGE_BYTES_MAX);
    let empty = publish(vec![vec![1], vec![]], None).encode(1);
    assert_eq!(Request::decode(&empty), Err(WireError::Missing { field: "key package" }));
}

#[test]
fn envelopes() {
    let envelope = |bytes| Envelope { sealed: vec![1; bytes], ..samples::envelope(EnvelopeKind::Message) };
    let deposit = |envelopes| Request::Deposit { envelopes };
    check(|bytes| deposit(vec![envelope(bytes)]), "sealed", limits::ENVELOPE_BYTES_MAX);
    check(|count| deposit(vec![envelope(1); count]), "envelopes", limits::ENVELOPES_PER_FRAME_MAX);
    let outcome = DepositOutcome { status: DepositStatus::Gone, accepted_at_ms: 0 };
    check_reply(|count| Reply::Deposited(vec![outcome; count]), "outcomes", limits::ENVELOPES_PER_FRAME_MAX);
    let item = |bytes| Item { seq: 1, accepted_at_ms: 1, envelope: envelope(bytes) };
    check_reply(|count| Reply::Delivery(vec![item(1); count]), "items", limits::WINDOW_MAX as usize);
    check_reply(|bytes| Reply::Delivery(vec![item(bytes)]), "sealed", limits::ENVELOPE_BYTES_MAX);
}

#[test]
fn where_to_knock() {
    let endpoint = |bytes| PushEndpoint::new("a".repeat(bytes));
    let max = limits::PUSH_ENDPOINT_BYTES_MAX;
    is_taken(Request::SetPush { endpoint: Some(endpoint(max).unwrap()) });
    assert_eq!(endpoint(max + 1), Err(WireError::TooMany { field: "endpoint", len: max + 1, max }));
    assert_eq!(endpoint(0), Err(WireError::Missing { field: "endpoint" }));
    assert_eq!(format!("{:?}", endpoint(9).unwrap()), "PushEndpoint(…)", "never in a log by accident");
    // What others send is held to it too.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let pool = DescriptorPool::from_file_descriptor_set(protox::compile(["relay.proto"], [folder]).unwrap()).unwrap();
    let descriptor = pool.get_message_by_name(samples::Said::ByClient.message()).unwrap();
    let frame = Request::SetPush { endpoint: Some(endpoint(1).unwrap()) }.encode(1);
    let message = DynamicMessage::decode(descriptor, frame.as_slice()).unwrap();
    let longer = set(&message, &["set_push", "endpoint"], Value::String("a".repeat(max + 1)));
    let refused = WireError::TooMany { field: "endpoint", len: max + 1, max };
    assert_eq!(Request::decode(&longer.encode_to_vec()), Err(refused));
}

#[test]
fn a_frame_as_a_whole() {
    for decoded in [
        Request::decode(&vec![0; limits::FRAME_BYTES_MAX + 1]).unwrap_err(),
        Reply::decode(&vec![0; limits::FRAME_BYTES_MAX + 1]).unwrap_err(),
    ] {
        let max = limits::FRAME_BYTES_MAX;
        assert_eq!(decoded, WireError::TooMany { field: "frame", len: max + 1, max });
    }
    assert_eq!(Request::decode(&[]), Err(WireError::Missing { field: "body" }));
    assert_eq!(Reply::decode(&[]), Err(WireError::Missing { field: "body" }));
    assert!(matches!(Request::decode(&[0xff]), Err(WireError::NotAFrame(_))));
}

#[test]
fn a_window_is_brought_into_its_range() {
    for (asked, taken) in [(0, 1), (1, 1), (256, 256), (257, 256), (u32::MAX, 256)] {
        let (device, signature) = (DeviceId([1; 16]), [1; 64]);
        let request = Request::Authenticate { device, address: "a:1".into(), signature, window: asked };
        match Request::decode(&request.encode(1)) {
            Ok((1, Request::Authenticate { window, .. })) => assert_eq!(window, taken),
            other => panic!("{other:?}"),
        }
    }
}

/// What the errors call a field that is an id, when it is not called like the id.
fn called(field: &str) -> &str {
    match field {
        "to" | "devices" => "device",
        "peer" => "account",
        field => field,
    }
}

/// Fields of a fixed length.
const EXACT: [&str; 20] = [
    "push_key",
    "next_key_signature",
    "peer",
    "device",
    "devices",
    "to",
    "account",
    "conversation",
    "uid",
    "incarnation",
    "nonce",
    "signature",
    "signer",
    "next_key",
    "log_key",
    "recovery_hash",
    "device_key",
    "token",
    "token_hash",
    "next_token_hash",
];

/// Shortens each fixed-length field of a message in turn, and hands out what the whole frame is then.
fn shorten(message: &DynamicMessage, rebuild: &dyn Fn(DynamicMessage) -> Vec<u8>, found: &mut dyn FnMut(&str, &[u8])) {
    for (field, value) in message.fields() {
        let change = |value: Value| {
            let mut changed = message.clone();
            changed.set_field(&field, value);
            rebuild(changed)
        };
        let short = |bytes: &Bytes| Value::Bytes(bytes.slice(..bytes.len() - 1));
        if let (true, Some(bytes)) = (EXACT.contains(&field.name()), value.as_bytes()) {
            found(field.name(), &change(short(bytes)));
        } else if let Some(inner) = value.as_message() {
            shorten(inner, &|inner| change(Value::Message(inner)), found);
        } else if let Some(list) = value.as_list() {
            for (at, item) in list.iter().enumerate() {
                let change_item = |item: Value| {
                    let mut list = list.to_vec();
                    list[at] = item;
                    change(Value::List(list))
                };
                if let (true, Some(bytes)) = (EXACT.contains(&field.name()), item.as_bytes()) {
                    found(field.name(), &change_item(short(bytes)));
                } else if let Some(inner) = item.as_message() {
                    shorten(inner, &|inner| change_item(Value::Message(inner)), found);
                }
            }
        }
    }
}

#[test]
fn ids_keys_and_signatures_have_their_length() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let pool = DescriptorPool::from_file_descriptor_set(protox::compile(["relay.proto"], [folder]).unwrap()).unwrap();
    let mut checked = std::collections::BTreeSet::new();
    for sample in samples::all() {
        let descriptor = pool.get_message_by_name(sample.said.message()).unwrap();
        let message = DynamicMessage::decode(descriptor, sample.bytes.as_slice()).unwrap();
        assert_eq!(message.descriptor().full_name(), sample.said.message());
        shorten(&message, &|frame| frame.encode_to_vec(), &mut |field, frame| {
            let error = match sample.said {
                samples::Said::ByClient => Request::decode(frame).unwrap_err(),
                samples::Said::ByRelay => Reply::decode(frame).unwrap_err(),
            };
            match &error {
                WireError::Length { field: named, len, expected } => {
                    assert_eq!((*named, *len), (called(field), expected - 1), "{field} in {}", sample.name);
                }
                other => panic!("{other:?} for {field} in {}", sample.name),
            }
            assert!(error.to_string().starts_with(called(field)), "{error}");
            checked.insert(field.to_owned());
        });
    }
    assert_eq!(checked, EXACT.map(str::to_owned).into_iter().collect());
}

/// Of two fields that belong together, one alone is refused.
#[test]
fn a_key_comes_with_its_signature() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let pool = DescriptorPool::from_file_descriptor_set(protox::compile(["relay.proto"], [folder]).unwrap()).unwrap();
    let without = |name: &str, path: &[&str]| {
        let sample = samples::all().into_iter().find(|sample| sample.name == name).unwrap();
        let descriptor = pool.get_message_by_name(sample.said.message()).unwrap();
        let message = DynamicMessage::decode(descriptor, sample.bytes.as_slice()).unwrap();
        Request::decode(&set(&message, path, Value::Bytes(Bytes::new())).encode_to_vec()).unwrap_err()
    };
    let missing = |field, expected| WireError::Length { field, len: 0, expected };
    assert_eq!(without("remove_device", &["remove_device", "signer"]), missing("signer", 32));
    assert_eq!(without("remove_device", &["remove_device", "signature"]), missing("signature", 64));
    let handed_over = Request::AppendLog {
        account: AccountId([1; 20]),
        expected_len: 0,
        entry: samples::signed_entry(1, Some([1; 32])),
    };
    let frame = handed_over.encode(1);
    for (field, expected) in [("next_key", 32), ("next_key_signature", 64)] {
        let descriptor = pool.get_message_by_name(samples::Said::ByClient.message()).unwrap();
        let message = DynamicMessage::decode(descriptor, frame.as_slice()).unwrap();
        let cut = set(&message, &["append_log", "entry", field], Value::Bytes(Bytes::new())).encode_to_vec();
        assert_eq!(Request::decode(&cut), Err(missing(field, expected)));
    }
}

#[test]
fn values_that_are_not_known_are_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let pool = DescriptorPool::from_file_descriptor_set(protox::compile(["relay.proto"], [folder]).unwrap()).unwrap();
    let change = |name: &str, path: &[&str], value: i32| {
        let sample = samples::all().into_iter().find(|sample| sample.name == name).unwrap();
        let descriptor = pool.get_message_by_name(sample.said.message()).unwrap();
        let message = DynamicMessage::decode(descriptor, sample.bytes.as_slice()).unwrap();
        let frame = set(&message, path, Value::EnumNumber(value)).encode_to_vec();
        match sample.said {
            samples::Said::ByClient => Request::decode(&frame).unwrap_err(),
            samples::Said::ByRelay => Reply::decode(&frame).unwrap_err(),
        }
    };
    for value in [0, 99, -1] {
        for (name, path, field) in [
            ("deposit", &["deposit", "envelopes", "kind"][..], "kind"),
            ("delivery", &["delivery", "items", "envelope", "kind"], "kind"),
            ("deposited", &["deposited", "outcomes", "status"], "status"),
            ("ordered_accepted", &["ordered", "status"], "status"),
            ("refused_conflict", &["error", "code"], "code"),
        ] {
            assert_eq!(change(name, path, value), WireError::Unknown { field, value: value.into() });
        }
    }
}

/// Sets a field at the end of a path, in the first item of every list on the way.
fn set(message: &DynamicMessage, path: &[&str], value: Value) -> DynamicMessage {
    let mut changed = message.clone();
    let (field, rest) = path.split_first().unwrap();
    if rest.is_empty() {
        changed.set_field_by_name(field, value);
        return changed;
    }
    let found = message.get_field_by_name(field).unwrap().into_owned();
    let inner = match found {
        Value::Message(inner) => Value::Message(set(&inner, rest, value)),
        Value::List(mut list) => {
            list[0] = Value::Message(set(list[0].as_message().unwrap(), rest, value));
            Value::List(list)
        }
        other => panic!("{other:?}"),
    };
    changed.set_field_by_name(field, inner);
    changed
}
