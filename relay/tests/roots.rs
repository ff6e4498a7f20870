//! A relay on a system without root certificates. A binary of its own that starts itself: where the certificates are is said
//! by the environment of a process.

#![cfg(target_os = "linux")] // Elsewhere the system itself keeps them.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test, what is not expected is a failure")]

use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};

use comptoir_wire::{Envelope, PushEndpoint, Reply, Request, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[path = "relay/support.rs"]
#[allow(dead_code, reason = "shared with the larger suite")]
mod support;

use support::{MINUTE_MS, Person, World, envelope, soon};

const CERTIFICATES: &str = "SSL_CERT_FILE";

#[test]
fn a_relay_wakes_as_soon_as_there_are_root_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let played = Command::new(std::env::current_exe().unwrap())
        .args(["a_relay_without_root_certificates", "--exact", "--nocapture"])
        .env("RELAY_WITHOUT_ROOTS", "1")
        .env(CERTIFICATES, dir.path().join("roots.pem"))
        .env_remove("SSL_CERT_DIR")
        .status()
        .unwrap();
    assert!(played.success());
}

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

impl Log {
    fn errors(&self) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches("ERROR").count()
    }
}

/// Not a test by itself: what the process of the other one plays.
#[tokio::test]
async fn a_relay_without_root_certificates() {
    if std::env::var_os("RELAY_WITHOUT_ROOTS").is_none() {
        return;
    }
    let log = Log::default();
    let written = log.clone();
    tracing_subscriber::fmt().with_writer(move || written.clone()).with_ansi(false).init();
    let push_service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/bob", push_service.local_addr().unwrap());

    let world = World::with(|config| {
        (config.push.enabled, config.push.loopback, config.push.within_ms) = (true, true, 0);
    })
    .await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let mut at_alice = world.arrive(&alice).await;
    let (mut at_bob, welcome) = world.arrive_with(&bob, limits::WINDOW_MAX).await;
    assert!(welcome.push_key.is_some(), "a distributor can have the key meanwhile");
    assert_eq!(at_bob.ask(Request::SetPush { endpoint: PushEndpoint::new(endpoint).ok() }).await, Reply::Done);
    at_bob.ws.close(None).await.unwrap();
    at_bob.end().await;
    soon(async {
        while world.metric("connections_open").await > 1 || log.errors() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let urgent = Envelope { urgent: true, ..envelope(&bob, 1) };
    at_alice.ask(Request::Deposit { envelopes: vec![urgent] }).await;
    for _ in 0..3 {
        world.later(MINUTE_MS);
        world.relay().sweep().await.unwrap();
        assert_eq!((world.metric("push_ready").await, world.metric("wake_ups_owed").await), (0, 1));
    }

    let certificate = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/relay/tls/localhost.pem");
    std::fs::copy(certificate, std::env::var_os(CERTIFICATES).unwrap()).unwrap();
    world.later(MINUTE_MS);
    world.relay().sweep().await.unwrap();
    let (mut stream, _) = soon(push_service.accept()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    world.until_metric("wake_ups_taken_total", 1).await;
    assert_eq!((world.metric("push_ready").await, world.metric("wake_ups_later_total").await), (1, 0));
    assert_eq!(log.errors(), 1, "it is said once");
}
