//! What a relay writes to its log names nobody. A binary of its own, because it listens to every thread's log.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use comptoir_wire::{ConversationId, Envelope, ErrorCode, PushEndpoint, Reply, Request};
use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

#[path = "relay/support.rs"]
#[allow(dead_code, reason = "shared with the larger suite")]
mod support;

use support::{Person, World, deposit, envelope, public, signed_entry};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The ways in which an id could be written down.
fn spellings(id: &[u8]) -> Vec<String> {
    const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let in_base = |bits: usize, digits: &[u8]| -> String {
        // Whole groups only: the last digit depends on padding.
        let groups = id.len() * 8 / bits;
        let bit = |n: usize| usize::from(id[n / 8] >> (7 - n % 8) & 1);
        let digit = |group: usize| (0..bits).fold(0, |value, at| value * 2 + bit(group * bits + at));
        (0..groups).map(|group| char::from(digits[digit(group)])).collect()
    };
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    // A part is enough to be recognised by.
    let part = |text: &str| text[..12].to_owned();
    vec![
        part(&hex),
        part(&hex.to_uppercase()),
        part(&in_base(5, BASE32)),
        part(&in_base(5, BASE32).to_lowercase()),
        part(&in_base(6, BASE64)),
        format!("{}, {}, {}, {}", id[0], id[1], id[2], id[3]),
        format!("{:02x}, {:02x}, {:02x}, {:02x}", id[0], id[1], id[2], id[3]),
        format!("{:x}, {:x}, {:x}, {:x}", id[0], id[1], id[2], id[3]),
    ]
}

#[tokio::test]
async fn the_log_names_nobody() {
    let log = Log::default();
    let written = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone())
        .with_ansi(false)
        .init();

    // Two push services: one takes its wake-up, the other one is not there.
    let push_service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = push_service.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = push_service.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let mut world = World::with(|config| {
        config.behind_proxy = true;
        (config.push.enabled, config.push.loopback, config.push.within_ms) = (true, true, 0);
        config.limits.mailbox_messages_max = 2;
    })
    .await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_bob = world.arrive(&bob).await;
    let mut at_alice = world.arrive(&alice).await;
    at_alice.ask(deposit(&bob, 1..=4)).await;
    at_bob.deliveries(2).await;
    at_bob.ack(2).await;
    // Everything that is refused, and everything that goes wrong.
    let forged =
        Request::AppendLog { account: alice.account(), expected_len: 1, entry: signed_entry(&bob.log_key, b"forged") };
    assert_eq!(at_alice.refused(forged).await.code, ErrorCode::Forbidden);
    at_alice.refused(Request::AddDevice { device: bob.device, device_key: public(&bob.device_key) }).await;
    at_alice.refused(Request::RemoveDevice { device: bob.device, signed: None }).await;
    at_alice.ask(Request::ClaimKeyPackages { devices: vec![bob.device] }).await;
    let opening = Request::OpenGeneration {
        peer: bob.account(),
        conversation: envelope(&bob, 1).conversation,
        generation: 0,
        token_hash: [1; 32],
        envelopes: vec![],
    };
    at_alice.ask(opening).await;
    let mut short = Request::RemoveDevice { device: bob.device, signed: None }.encode(9);
    short.truncate(short.len() - 3);
    at_alice.ws.send(Message::Binary(short.into())).await.unwrap();
    assert!(matches!(at_alice.next_refusal().await.code, ErrorCode::BadFrame));
    let mut guest = world.line().await;
    let wrong = alice.authenticate(&guest.nonce.clone(), "relay.example:1", 1);
    assert_eq!(guest.refused(wrong).await.code, ErrorCode::Unauthenticated);
    guest.end().await;
    let newer = world.arrive(&bob).await;
    at_bob.end().await;
    world.relay().sweep().await.unwrap();
    let mut newer = newer;
    for (endpoint, number, n) in [
        (format!("http://{here}/knock-knock"), "wake_ups_taken_total", 11),
        ("http://localhost:1/knock-knock".to_owned(), "wake_ups_later_total", 12),
    ] {
        assert_eq!(newer.ask(Request::SetPush { endpoint: PushEndpoint::new(endpoint).ok() }).await, Reply::Done);
        newer.ws.close(None).await.unwrap();
        newer.end().await;
        while world.metric("connections_open").await > 1 {
            tokio::task::yield_now().await;
        }
        let urgent = Envelope { urgent: true, ..envelope(&bob, n) };
        at_alice.ask(Request::Deposit { envelopes: vec![urgent] }).await;
        world.until_metric(number, 1).await;
        newer = world.arrive(&bob).await;
        let (_, seq) = newer.catch_up().await;
        newer.ack(seq).await;
    }
    let wrong = Request::SetPush { endpoint: PushEndpoint::new("https://10.0.0.1/knock-knock").ok() };
    assert_eq!(newer.refused(wrong).await.code, ErrorCode::Forbidden);
    drop(newer);
    world.stop().await;
    // Bob has told where to knock, and the key for it is lost.
    std::fs::remove_file(world.dir.path().join("push.key")).unwrap();
    world.start().await;
    world.stop().await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the relay is open") && log.contains("the relay is closed"), "{log}");
    assert!(log.contains("refused"), "{log}");
    assert!(log.contains("run="), "{log}");
    assert_eq!(log.matches("push.key was missing").count(), 1, "{log}");
    let ConversationId(conversation) = envelope(&bob, 1).conversation;
    let mut ids: Vec<Vec<u8>> = vec![conversation.to_vec(), support::uid(1).0.to_vec(), support::uid(3).0.to_vec()];
    for person in [&alice, &bob] {
        ids.push(person.device.0.to_vec());
        ids.push(person.account().0.to_vec());
        ids.push(public(&person.device_key).to_vec());
        ids.push(public(&person.log_key).to_vec());
        ids.push(person.genesis());
    }
    for spelling in ids.iter().flat_map(|id| spellings(id)) {
        assert!(!log.contains(&spelling), "{spelling} in\n{log}");
    }
    for part in ["127.0.0.1", "localhost", "10.0.0.1", "knock-knock"] {
        assert!(!log.contains(part), "{part} in\n{log}");
    }
}
