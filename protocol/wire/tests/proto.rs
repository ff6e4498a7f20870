//! Holds `proto/relay.proto`, which others implement, against the structs, which we use.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use std::collections::BTreeSet;
use std::path::Path;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};

#[allow(dead_code, reason = "each test needs another part")]
mod samples;

fn pool() -> DescriptorPool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(["relay.proto"], [folder]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// Walks through a message: nothing in it may be unknown, and what is set is noted down.
fn walk(message: &DynamicMessage, seen: &mut BTreeSet<String>) {
    let name = message.descriptor().full_name().to_owned();
    seen.insert(name.clone());
    let unknown: Vec<_> = message.unknown_fields().map(|field| field.number()).collect();
    assert_eq!(unknown, [0_u32; 0], "fields that relay.proto does not have, in {name}");
    for (field, value) in message.fields() {
        seen.insert(field.full_name().to_owned());
        walk_value(field.full_name(), &field.kind(), value, seen);
    }
}

fn walk_value(field: &str, kind: &prost_reflect::Kind, value: &Value, seen: &mut BTreeSet<String>) {
    if let Some(message) = value.as_message() {
        walk(message, seen);
    } else if let Some(list) = value.as_list() {
        for value in list {
            walk_value(field, kind, value, seen);
        }
    } else if let (Some(values), Some(number)) = (kind.as_enum(), value.as_enum_number()) {
        let value = values.get_value(number);
        let value = value.unwrap_or_else(|| panic!("{field} has {number}, which relay.proto does not name"));
        seen.insert(value.full_name().to_owned());
    }
}

#[test]
fn every_golden_frame_is_one_of_the_published_format() {
    let pool = pool();
    for sample in samples::all() {
        let descriptor = pool.get_message_by_name(sample.said.message()).unwrap();
        let message = DynamicMessage::decode(descriptor, sample.bytes.as_slice()).unwrap();
        walk(&message, &mut BTreeSet::new());
        assert_eq!(message.encode_to_vec(), sample.bytes, "{}", sample.name);
    }
}

#[test]
fn nothing_of_the_published_format_is_left_unproven() {
    let pool = pool();
    let mut seen = BTreeSet::new();
    for sample in samples::all() {
        let descriptor = pool.get_message_by_name(sample.said.message()).unwrap();
        walk(&DynamicMessage::decode(descriptor, sample.bytes.as_slice()).unwrap(), &mut seen);
    }
    let mut published = BTreeSet::new();
    for message in pool.all_messages() {
        published.insert(message.full_name().to_owned());
        published.extend(message.fields().map(|field| field.full_name().to_owned()));
    }
    for values in pool.all_enums() {
        // 0 is "unspecified", which is never sent.
        let sent = values.values().filter(|value| value.number() != 0);
        published.extend(sent.map(|value| value.full_name().to_owned()));
    }
    assert_eq!(seen, published);
}
