//! What strangers and broken clients do: garbage, floods, silence.

use std::time::Duration;

use comptoir_wire::{Claimed, DepositStatus, ErrorCode, Reply, Request, limits};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::{self, Message};

use comptoir_relay::Rate;

use crate::support::{
    Line, MINUTE_MS, Person, World, deposit, envelope, http_get, public, soon, statuses, upgrade_request,
};

/// The status that a WebSocket handshake gets.
async fn handshake(world: &World, subprotocol: Option<&str>, forwarded_for: Option<&str>) -> (u16, Option<String>) {
    let mut request = upgrade_request(&world.address().to_string(), subprotocol);
    if let Some(address) = forwarded_for {
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    }
    let stream = TcpStream::connect(world.address()).await.unwrap();
    let spoken = |headers: &tungstenite::http::HeaderMap, name| {
        headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    match soon(tokio_tungstenite::client_async(request, stream)).await {
        Ok((_, response)) => (response.status().as_u16(), spoken(response.headers(), "sec-websocket-protocol")),
        Err(tungstenite::Error::Http(response)) => {
            let name = if response.status() == 429 { "retry-after" } else { "sec-websocket-protocol" };
            (response.status().as_u16(), spoken(response.headers(), name))
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn another_subprotocol_is_refused_and_ours_is_named() {
    let world = World::open().await;
    assert_eq!(handshake(&world, Some("relay.v1"), None).await, (101, Some("relay.v1".into())));
    assert_eq!(handshake(&world, Some("relay.v9, relay.v1"), None).await, (101, Some("relay.v1".into())));
    assert_eq!(handshake(&world, Some("relay.v9"), None).await, (426, Some("relay.v1".into())));
    let (status, _) = http_get(world.address(), limits::PATH).await;
    assert!((400..500).contains(&status), "{status}");
    assert_eq!(http_get(world.address(), "/metrics").await.0, 404, "the operator's pages are not here");
    // None at all: the client of this test would not accept the answer, so by hand.
    let mut raw = TcpStream::connect(world.address()).await.unwrap();
    let head = "GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    raw.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon(raw.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn garbage_is_named_and_too_much_of_it_ends_the_line() {
    let world = World::open().await;
    let mut line = world.line().await;
    // Readable but for one field: the refusal finds its question.
    let mut frame = Request::RemoveDevice { device: comptoir_wire::DeviceId([1; 16]), signed: None }.encode(77);
    let length = frame.len() - 17;
    frame[length] = 15; // the device id, cut short by one byte
    frame[length - 2] -= 1;
    frame.pop();
    line.ws.send(Message::Binary(frame.into())).await.unwrap();
    match line.answer(77).await {
        Reply::Refused(refusal) => {
            assert_eq!(
                (refusal.code, refusal.detail.as_str()),
                (ErrorCode::BadFrame, "device: 15 bytes instead of 16")
            );
        }
        other => panic!("{other:?}"),
    }
    // Bytes of a generator with a fixed seed.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for length in 0..40 {
        let bytes: Vec<u8> = (0..length * 7)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        if line.ws.send(Message::Binary(bytes.into())).await.is_err() {
            break;
        }
    }
    assert_eq!(line.end().await, 1008);
    // Bytes that are not even HTTP, and a request head without an end.
    for bytes in [vec![0xff; 3_000], [b"GET /v1/ws HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(3_000)].concat()] {
        let mut raw = TcpStream::connect(world.address()).await.unwrap();
        raw.write_all(&bytes).await.ok();
        let mut answer = Vec::new();
        soon(raw.read_to_end(&mut answer)).await.ok();
        assert!(!answer.starts_with(b"HTTP/1.1 2"));
    }
    let alice = Person::new("Alice");
    world.arrive(&alice).await; // and it still serves
}

#[tokio::test]
async fn text_is_not_spoken_here() {
    let world = World::open().await;
    let mut line = world.line().await;
    line.ws.send(Message::text("hello")).await.unwrap();
    assert_eq!(line.end().await, 1003);
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_the_line_with_a_clear_code() {
    let world = World::open().await;
    let alice = Person::new("Alice");
    let mut line = world.arrive(&alice).await;
    line.ws.send(Message::Binary(vec![0; limits::FRAME_BYTES_MAX + 1].into())).await.unwrap();
    assert_eq!(line.next_refusal().await.code, ErrorCode::TooLarge);
    assert_eq!(line.end().await, 1009);
    // One that is far too large is not even read.
    let mut line = world.arrive(&alice).await;
    line.ws.send(Message::Binary(vec![0; 3 * limits::FRAME_BYTES_MAX].into())).await.ok();
    assert_eq!(line.end().await, 1009);
    assert_eq!(world.metric("closed_total{reason=\"too_large\"}").await, 2);
}

#[tokio::test]
async fn a_relay_may_take_less_than_the_protocol_allows() {
    let world = World::with(|config| {
        config.limits.envelope_bytes_max = 100;
        config.limits.envelopes_per_frame_max = 2;
        config.limits.devices_per_account_max = 1;
    })
    .await;
    let alice = Person::new("Alice");
    let (mut line, welcome) = world.arrive_with(&alice, 1).await;
    assert_eq!((welcome.limits.envelope_bytes_max, welcome.limits.envelopes_per_frame_max), (100, 2));
    let mut large = envelope(&alice, 1);
    large.sealed = vec![1; 101];
    let refusal = line.refused(Request::Deposit { envelopes: vec![large.clone()] }).await;
    assert_eq!((refusal.code, refusal.detail.as_str()), (ErrorCode::TooLarge, "sealed: more than 100 bytes"));
    let refusal = line.refused(deposit(&alice, 1..=3)).await;
    assert_eq!((refusal.code, refusal.detail.as_str()), (ErrorCode::TooLarge, "envelopes: more than 2"));
    large.sealed.pop();
    assert_eq!(statuses(line.ask(Request::Deposit { envelopes: vec![large] }).await), [DepositStatus::Accepted]);
    let other = Person::new("Bob");
    let add = Request::AddDevice { device: other.device, device_key: public(&other.device_key) };
    assert_eq!(line.refused(add).await.code, ErrorCode::TooLarge);
    let empty = Request::PublishKeyPackages { packages: vec![vec![]], last_resort: None };
    assert_eq!(line.refused(empty).await.code, ErrorCode::BadFrame);
}

#[tokio::test]
async fn quotas_refuse_with_a_time_and_come_back_with_it() {
    let world = World::with(|config| {
        config.quotas.envelopes = Rate { burst: 5, refill_ms: 1_000 };
        config.quotas.claims = Rate { burst: 2, refill_ms: 600_000 };
        config.quotas.changes = Rate { burst: 1, refill_ms: 5_000 };
        config.quotas.log_reads = Rate { burst: 1, refill_ms: 5_000 };
    })
    .await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_bob = world.arrive(&bob).await;
    let mut line = world.arrive(&alice).await;
    assert_eq!(statuses(line.ask(deposit(&bob, 1..=4)).await), [DepositStatus::Accepted; 4]);
    let refusal = line.refused(deposit(&bob, 5..=7)).await;
    assert_eq!((refusal.code, refusal.retry_after_ms), (ErrorCode::RateLimited, 2_000));
    world.later(1_999);
    assert_eq!(line.refused(deposit(&bob, 5..=7)).await.retry_after_ms, 1);
    world.later(1);
    assert_eq!(statuses(line.ask(deposit(&bob, 5..=7)).await), [DepositStatus::Accepted; 3]);
    assert_eq!(statuses(at_bob.ask(deposit(&alice, 1..=5)).await), [DepositStatus::Accepted; 5], "Bob has his own");

    // A drained key package pool needs more than one claimer.
    at_bob.ask(Request::PublishKeyPackages { packages: (1..9).map(|n| vec![n; 9]).collect(), last_resort: None }).await;
    let claim = Request::ClaimKeyPackages { devices: vec![bob.device] };
    for _ in 0..2 {
        assert!(matches!(line.ask(claim.clone()).await, Reply::KeyPackages(_)));
    }
    let refusal = line.refused(claim.clone()).await;
    assert_eq!((refusal.code, refusal.retry_after_ms), (ErrorCode::RateLimited, 600_000));
    let own = Request::ClaimKeyPackages { devices: vec![alice.device] };
    assert!(matches!(line.ask(own).await, Reply::KeyPackages(_)), "another target has its own quota");
    world.later(10 * MINUTE_MS);
    assert!(matches!(line.ask(claim).await, Reply::KeyPackages(_)));

    let change = Request::RemoveDevice { device: bob.device, signed: None };
    assert_eq!(line.refused(change.clone()).await.code, ErrorCode::Forbidden);
    assert_eq!(line.refused(change).await.retry_after_ms, 5_000);
    let read = Request::ReadLog { account: bob.account(), from: 0 };
    assert!(matches!(line.ask(read.clone()).await, Reply::Log(_)));
    assert_eq!(line.refused(read).await.retry_after_ms, 5_000);
}

#[tokio::test]
async fn claims_of_devices_that_are_nowhere_are_counted_by_frames_only() {
    let world = World::with(|config| {
        config.quotas.claim_frames = Rate { burst: 5, refill_ms: 250 };
        config.quotas.claims = Rate { burst: 1, refill_ms: 600_000 };
    })
    .await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let lost = bob.second_device("Bob's lost phone");
    let mut at_bob = world.arrive(&bob).await;
    at_bob.ask(Request::AddDevice { device: lost.device, device_key: public(&lost.device_key) }).await;
    let mut at_lost = world.line().await;
    at_lost.sign_in(&lost, 1).await;
    assert_eq!(at_lost.ask(Request::RemoveDevice { device: lost.device, signed: None }).await, Reply::Done);
    let mut line = world.arrive(&alice).await;
    // A device that is not there leaves no trace in the table of quotas, however often it is asked for.
    let nowhere = comptoir_wire::DeviceId([0x77; 16]);
    let claim = |devices: &[comptoir_wire::DeviceId]| Request::ClaimKeyPackages { devices: devices.to_vec() };
    for _ in 0..2 {
        let answer = line.ask(claim(&[nowhere, nowhere, lost.device, lost.device])).await;
        assert_eq!(answer, Reply::KeyPackages(vec![Claimed::None; 4]));
    }
    assert_eq!(line.ask(claim(&[bob.device, nowhere])).await, Reply::KeyPackages(vec![Claimed::None; 2]));
    assert_eq!(line.refused(claim(&[nowhere, bob.device])).await.retry_after_ms, 600_000, "one that is there counts");
    line.ask(claim(&[nowhere])).await;
    let refusal = line.refused(claim(&[nowhere])).await;
    assert_eq!((refusal.code, refusal.retry_after_ms), (ErrorCode::RateLimited, 250));
    assert_eq!(statuses(line.ask(deposit(&bob, [1])).await), [DepositStatus::Accepted], "mail is another matter");
    world.later(250);
    assert_eq!(line.ask(claim(&[nowhere])).await, Reply::KeyPackages(vec![Claimed::None]));
}

#[tokio::test]
async fn strangers_are_counted_by_network() {
    let world = World::with(|config| {
        config.behind_proxy = true;
        config.quotas.connections = Rate { burst: 2, refill_ms: 30_000 };
    })
    .await;
    let connect = async |from| handshake(&world, Some("relay.v1"), Some(from)).await;
    assert_eq!(connect("192.0.2.1").await.0, 101);
    assert_eq!(connect("203.0.113.5, 192.0.2.1").await.0, 101, "only what the proxy wrote counts");
    assert_eq!(connect("192.0.2.1").await, (429, Some("30".into())));
    assert_eq!(connect("192.0.2.2").await.0, 101);
    assert_eq!(connect("2001:db8::1").await.0, 101);
    assert_eq!(connect("2001:db8::2").await.0, 101);
    assert_eq!(connect("2001:db8::3").await.0, 429, "one /64 is one network");
    world.later(30_000);
    assert_eq!(connect("192.0.2.1").await.0, 101);
    assert_eq!(world.metric("turned_away_total").await, 2);
}

#[tokio::test]
async fn new_accounts_are_counted_by_network() {
    let world = World::with(|config| {
        config.behind_proxy = true;
        config.quotas.accounts = Rate { burst: 1, refill_ms: 600_000 };
    })
    .await;
    let mut request = upgrade_request(&world.address().to_string(), Some("relay.v1"));
    request.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    let stream = TcpStream::connect(world.address()).await.unwrap();
    let (mut ws, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let mut create = async |name, id| {
        let request = Request::CreateAccount(Person::new(name).new_account());
        ws.send(Message::Binary(request.encode(id).into())).await.unwrap();
        loop {
            let frame = soon(ws.next()).await.unwrap().unwrap().into_data();
            match Reply::decode(&frame).unwrap() {
                (found, reply) if found == id => return reply,
                _ => {}
            }
        }
    };
    assert_eq!(create("Alice", 1).await, Reply::Done);
    match create("Bob", 2).await {
        Reply::Refused(refusal) => assert_eq!(refusal.retry_after_ms, 600_000),
        other => panic!("{other:?}"),
    }
    world.later(600_000);
    assert_eq!(create("Bob", 3).await, Reply::Done);
}

#[tokio::test]
async fn no_more_sockets_than_allowed() {
    let world = World::with(|config| {
        config.limits.sockets_max = 2;
        config.limits.guests_max = 1;
    })
    .await;
    let turned_away = async || {
        let mut raw = TcpStream::connect(world.address()).await.unwrap();
        let mut nothing = Vec::new();
        // Closed without a word; on some systems with a reset.
        soon(raw.read_to_end(&mut nothing)).await.ok();
        assert_eq!(nothing, b"");
    };
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_alice = world.line().await;
    turned_away().await; // one guest is there already
    at_alice.create(&alice).await;
    at_alice.sign_in(&alice, 1).await; // and is a guest no more
    let mut at_bob = world.line().await;
    at_bob.create(&bob).await;
    at_bob.sign_in(&bob, 1).await;
    turned_away().await; // two sockets are all there are
    at_bob.ws.close(None).await.unwrap();
    at_bob.end().await;
    soon(async { while world.metric("connections_open").await > 1 {} }).await;
    world.line().await;
}

#[tokio::test]
async fn one_who_says_nothing_is_sent_away() {
    // No request.
    let world = World::with(|config| config.limits.handshake_ms = 50).await;
    let mut raw = TcpStream::connect(world.address()).await.unwrap();
    let mut nothing = Vec::new();
    soon(raw.read_to_end(&mut nothing)).await.ok();
    assert_eq!(world.metric("connections_open").await, 0);
    // No authentication.
    let world = World::with(|config| config.limits.authenticate_ms = 50).await;
    let mut line = world.line().await;
    assert_eq!(line.end().await, 4401);
    // No sign of life: this client answers pings only while it reads, and it does not read.
    let world = World::with(|config| {
        config.limits.ping_ms = 20;
        config.limits.idle_ms = 100;
    })
    .await;
    let mut line = world.arrive(&Person::new("Alice")).await;
    world.until_metric("closed_total{reason=\"slow\"}", 1).await;
    assert_eq!(line.end().await, 4408);
}

#[tokio::test]
async fn one_who_answers_pings_may_stay() {
    let world = World::with(|config| {
        config.limits.ping_ms = 10;
        config.limits.idle_ms = 2_000;
    })
    .await;
    let mut line = world.arrive(&Person::new("Alice")).await;
    let mut pings = 0;
    while pings < 5 {
        if let Message::Ping(_) = soon(line.ws.next()).await.unwrap().unwrap() {
            pings += 1;
        }
    }
}

#[tokio::test]
async fn one_who_does_not_read_is_cut_off_and_nobody_waits_for_him() {
    let world = World::with(|config| {
        config.limits.write_ms = 100;
        config.limits.linger_ms = 20_000;
        config.limits.in_flight_bytes_max = 16 * 1024 * 1024;
    })
    .await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    for first in (0..240).step_by(12) {
        let envelopes = (first..first + 12).map(|n| {
            let mut large = envelope(&bob, n);
            large.sealed = vec![7; 64 * 1024];
            large
        });
        let request = Request::Deposit { envelopes: envelopes.collect() };
        assert_eq!(statuses(at_alice.ask(request).await), [DepositStatus::Accepted; 12]);
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let stream = socket.connect(world.address()).await.unwrap();
    let mut at_bob = Line::over(stream, &world.address().to_string()).await;
    at_bob.sign_in(&bob, 256).await;
    world.until_metric("closed_total{reason=\"slow\"}", 1).await;
    // Alice was served all the while, and Bob reads why when he reads again.
    assert_eq!(statuses(at_alice.ask(deposit(&alice, [1])).await), [DepositStatus::Accepted]);
    assert_eq!(at_bob.end().await, 4408);
    // Nothing is lost: he comes back and reads.
    let mut at_bob = world.arrive(&bob).await;
    assert_eq!(at_bob.deliveries(240).await.len(), 240);
}

#[tokio::test]
async fn a_client_that_asks_much_and_reads_late_gets_every_answer() {
    let world = World::open().await;
    let alice = Person::new("Alice");
    let mut line = world.arrive(&alice).await;
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(line.tell(deposit(&alice, [n])).await);
    }
    for id in ids {
        assert_eq!(statuses(line.answer(id).await), [DepositStatus::Accepted]);
    }
    tokio::time::timeout(Duration::from_secs(20), line.deliveries(200)).await.unwrap();
}
