//! Starting, stopping, being killed; TLS; what the operator sees.

use std::sync::Arc;

use comptoir_relay::{Clock, Config, Rate, Relay, StartError, StoreError, Tls};
use comptoir_wire::{Claimed, DepositStatus, Envelope, ErrorCode, Gate, Reply, Request};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::support::{Line, MINUTE_MS, Person, World, contains, deposit, envelope, soon, statuses, uid};

#[tokio::test]
async fn a_shutdown_tells_everybody_and_loses_nothing_accepted() {
    let mut world = World::with(|config| config.limits.reconnect_within_ms = 5_000).await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    let mut guest = world.line().await;
    at_alice.catch_up().await;
    let mut asked = Vec::new();
    for n in 1..=30 {
        asked.push((n, at_alice.tell(deposit(&bob, [n])).await));
    }
    // Shut down in the middle of it: each question is answered or not, and what was answered is kept.
    let mut accepted = Vec::new();
    let rest = asked.split_off(5);
    for (n, id) in asked {
        assert_eq!(statuses(at_alice.answer(id).await), [DepositStatus::Accepted]);
        accepted.push(n);
    }
    let stopping = world.stop();
    let reading = async {
        for (n, id) in rest {
            match at_alice.answer_or_end(id).await {
                Ok(reply) => {
                    assert_eq!(statuses(reply), [DepositStatus::Accepted]);
                    accepted.push(n);
                }
                Err(code) => {
                    assert_eq!(code, 1012);
                    return (accepted, true);
                }
            }
        }
        (accepted, false)
    };
    let ((), (accepted, ended)) = tokio::join!(stopping, reading);
    if !ended {
        assert_eq!(at_alice.end().await, 1012);
    }
    assert!(at_alice.notices.iter().all(|after_ms| *after_ms < 5_000));
    assert_eq!(at_alice.notices.len(), 1);
    assert_eq!(guest.end().await, 1012);

    world.start().await;
    let mut at_bob = world.arrive(&bob).await;
    let (items, _) = at_bob.catch_up().await;
    let got: Vec<_> = items.iter().map(|item| item.envelope.uid).collect();
    let accepted: Vec<_> = accepted.into_iter().map(uid).collect();
    assert_eq!(got, accepted, "what is stored was answered, and what was answered is stored");
}

#[tokio::test]
async fn a_relay_restored_from_a_copy_says_so_once() {
    let mut world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let (mut at_bob, before) = world.arrive_with(&bob, 1).await;
    let publish = Request::PublishKeyPackages { packages: vec![vec![1; 9], vec![2; 9]], last_resort: Some(vec![3; 9]) };
    assert_eq!(at_bob.ask(publish.clone()).await, Reply::KeyPackageCount { left: 2 });
    let mut at_alice = world.arrive(&alice).await;
    let Reply::Deposited(outcomes) = at_alice.ask(deposit(&bob, [1])).await else { panic!("an answer") };
    let accepted_at_ms = outcomes[0].accepted_at_ms;
    world.stop().await;
    let copy = std::fs::read(world.dir.path().join("relay.db")).unwrap();

    // What happens after the copy was taken is lost with the disk.
    world.start().await;
    let mut at_alice = world.arrive(&alice).await;
    let claim = Request::ClaimKeyPackages { devices: vec![bob.device] };
    assert_eq!(at_alice.ask(claim.clone()).await, Reply::KeyPackages(vec![Claimed::Fresh(vec![1; 9])]));
    world.stop().await;
    std::fs::write(world.dir.path().join("relay.db"), copy).unwrap();
    std::fs::write(world.dir.path().join("RESTORED"), "").unwrap();

    world.start().await;
    let (mut at_bob, after) = world.arrive_with(&bob, 1).await;
    assert_ne!(after.incarnation, before.incarnation);
    assert_eq!((after.head_seq, after.key_packages_left), (1, 0), "mail is kept");
    assert_eq!(before.lost_since_ms, 0);
    assert_eq!(after.lost_since_ms, accepted_at_ms, "the newest thing in the copy");
    at_bob.deliveries(1).await;
    let mut at_alice = world.arrive(&alice).await;
    assert_eq!(at_alice.ask(claim.clone()).await, Reply::KeyPackages(vec![Claimed::LastResort(vec![3; 9])]));
    assert_eq!(at_bob.ask(publish).await, Reply::KeyPackageCount { left: 0 }, "none is given twice");
    world.stop().await;
    world.start().await;
    let (_, again) = world.arrive_with(&bob, 1).await;
    assert_eq!(again.incarnation, after.incarnation, "the file is gone");
}

#[tokio::test]
async fn a_clock_that_is_an_hour_wrong_for_a_while_loses_nothing_and_refuses_nobody() {
    const HOUR_MS: i64 = 60 * MINUTE_MS;
    for wrong_ms in [-HOUR_MS, HOUR_MS] {
        let world = World::with(|config| config.quotas.envelopes = Rate { burst: 5, refill_ms: 60_000 }).await;
        let [alice, bob] = ["Alice", "Bob"].map(Person::new);
        let mut at_bob = world.arrive(&bob).await;
        let gate = Request::SetGate { peer: alice.account(), gate: Gate::Window };
        assert_eq!(at_bob.ask(gate).await, Reply::Done);
        drop(at_bob);
        let mut at_alice = world.arrive(&alice).await;
        // Each time all that the quota has, through a gate that stays open for a day, to be kept for two hours.
        let send = |first: u64| Request::Deposit {
            envelopes: (first..first + 5)
                .map(|n| Envelope { urgent: true, ttl_s: 2 * 60 * 60, ..envelope(&bob, n) })
                .collect(),
        };
        let first = at_alice.ask(send(1)).await;
        assert_eq!(statuses(first.clone()), [DepositStatus::Accepted; 5]);
        assert_eq!(at_alice.refused(send(6)).await.code, ErrorCode::RateLimited);
        world.later(wrong_ms);
        world.relay().sweep().await.unwrap();
        assert_eq!(statuses(at_alice.ask(send(6)).await), [DepositStatus::Accepted; 5], "{wrong_ms}");
        world.later(-wrong_ms);
        world.relay().sweep().await.unwrap();
        assert_eq!(statuses(at_alice.ask(send(11)).await), [DepositStatus::Accepted; 5], "{wrong_ms}");
        // What is said twice, across the jumps, is known, with the time of its first acceptance.
        world.later(HOUR_MS / 2);
        let Reply::Deposited(mut known) = first else { panic!("outcomes") };
        known.iter_mut().for_each(|one| one.status = DepositStatus::Duplicate);
        assert_eq!(at_alice.ask(send(1)).await, Reply::Deposited(known));
        let mut at_bob = world.arrive(&bob).await;
        let (items, seq) = at_bob.catch_up().await;
        let got: Vec<_> = items.iter().map(|item| (item.seq, item.envelope.uid)).collect();
        assert_eq!((got, seq), ((1..=15).map(|n| (n, uid(n))).collect(), 15));
    }
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_mail_but_no_new_accounts() {
    let mut world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&alice).await);
    world.stop().await;
    // No disk is as empty as this asks for: the database itself is on it.
    world.config.limits.disk_free_min_percent = 100;
    world.start().await;
    world.relay().sweep().await.unwrap();
    let mut line = world.line().await;
    let refusal = line.refused(Request::CreateAccount(bob.new_account())).await;
    assert_eq!((refusal.code, refusal.retry_after_ms), (ErrorCode::Unavailable, 60_000));
    line.sign_in(&alice, 1).await;
    assert_eq!(statuses(line.ask(deposit(&alice, [1])).await), [DepositStatus::Accepted]);
    world.stop().await;
    world.config.limits.disk_free_min_percent = 0;
    world.start().await;
    world.arrive(&bob).await;
}

#[tokio::test]
async fn two_relays_do_not_share_a_database() {
    let mut world = World::open().await;
    let again = Relay::start(world.config.clone(), Clock::system()).await;
    assert!(matches!(again, Err(StartError::Store(StoreError::InUse { .. }))), "{again:?}");
    world.stop().await;
    world.start().await;
}

#[tokio::test]
async fn a_relay_that_cannot_start_says_which_field_is_to_blame() {
    let dir = tempfile::tempdir().unwrap();
    let check = async |change: &dyn Fn(&mut Config), expected: &str| {
        let mut config = Config::local(dir.path());
        change(&mut config);
        let error = Relay::start(config, Clock::system()).await.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = held.local_addr().unwrap();
    check(&move |config| config.listen = taken, "listen: 127.0.0.1").await;
    check(&|config| config.listen = "0.0.0.0:0".parse().unwrap(), "listen: not loopback").await;
    check(&|config| config.listen = "192.0.2.1:1".parse().unwrap(), "listen: not loopback").await;
    let missing = Tls { certificate: "/nowhere/a.pem".into(), key: "/nowhere/b.pem".into() };
    check(&move |config| config.tls = Some(missing.clone()), "tls.certificate: /nowhere/a.pem").await;
    check(&|config| config.operator_listen = "192.0.2.1:1".parse().unwrap(), "operator_listen").await;
    check(&|config| config.limits.keep_days = 0, "limits.keep_days").await;
}

fn tls_files() -> (Tls, std::path::PathBuf) {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/relay/tls");
    let certificate = dir.join("localhost.pem");
    (Tls { certificate: certificate.clone(), key: dir.join("localhost.key.pem") }, certificate)
}

/// Passes bytes on and keeps what the relay's end said.
async fn tap(to: std::net::SocketAddr) -> (std::net::SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_relay, mut to_relay) = TcpStream::connect(to).await.unwrap().into_split();
        let asks = async move { tokio::io::copy(&mut from_client, &mut to_relay).await.ok() };
        let tells = async move {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from_relay.read(&mut buffer).await {
                keep.lock().await.extend_from_slice(&buffer[..read]);
                to_client.write_all(&buffer[..read]).await.unwrap();
            }
        };
        tokio::join!(asks, tells);
    });
    (address, heard)
}

#[tokio::test]
async fn with_tls_the_network_sees_nothing_and_without_it_only_what_is_sealed() {
    const MARKER: &[u8] = b"sealed by Alice for Bob";
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let (tls, certificate) = tls_files();
    for tls in [None, Some(tls)] {
        let encrypted = tls.is_some();
        let world = World::with(|config| {
            config.tls = tls;
            config.names = vec!["localhost:443".into()];
        })
        .await;
        let (address, heard) = tap(world.address()).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let talk = async |mut line: Line<Box<dyn Stream>>| {
            line.address = "localhost:443".into();
            line.create(&bob).await;
            line.sign_in(&bob, 8).await;
            let mut marked = envelope(&bob, 1);
            marked.sealed = MARKER.to_vec();
            let request = Request::Deposit { envelopes: vec![marked] };
            assert_eq!(statuses(line.ask(request).await), [DepositStatus::Accepted]);
            assert_eq!(line.deliveries(1).await[0].envelope.sealed, MARKER);
        };
        let stream: Box<dyn Stream> = if encrypted {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let name = ServerName::try_from("localhost").unwrap();
            Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
        } else {
            Box::new(stream)
        };
        talk(Line::over(stream, &address.to_string()).await).await;
        let heard = heard.lock().await;
        assert_eq!(contains(&heard, MARKER), !encrypted);
        // Nobody's name is anywhere, and Alice was never mentioned.
        assert!(!contains(&heard, alice.device.as_bytes()));
        assert!(!contains(&world.bytes_on_disk(), alice.device.as_bytes()));
        // Plain HTTP on the TLS port, and TLS on the plain one, get nothing.
        let mut raw = TcpStream::connect(world.address()).await.unwrap();
        let other: &[u8] = if encrypted { b"GET /v1/ws HTTP/1.1\r\n\r\n" } else { &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3] };
        raw.write_all(other).await.unwrap();
        raw.shutdown().await.unwrap();
        let mut answer = Vec::new();
        soon(raw.read_to_end(&mut answer)).await.ok();
        assert!(!contains(&answer, b"101 Switching"));
    }
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

#[tokio::test]
async fn the_operator_sees_counts_and_nobody() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    drop(world.arrive(&bob).await);
    let mut at_alice = world.arrive(&alice).await;
    at_alice.ask(deposit(&bob, 1..=3)).await;
    at_alice.ask(deposit(&bob, [3])).await;
    at_alice.refused(Request::RemoveDevice { device: bob.device, signed: None }).await;
    assert_eq!(world.operator("/health").await.0, 200);
    assert_eq!(world.operator("/ready").await.0, 200);
    for (name, value) in [
        ("deposits_total{status=\"accepted\"}", 3),
        ("deposits_total{status=\"duplicate\"}", 1),
        ("refusals_total{code=\"forbidden\"}", 1),
        ("mailbox_messages", 3),
        ("mailbox_bytes", 3 * 8),
        ("accounts", 2),
        ("devices", 2),
    ] {
        assert_eq!(world.metric(name).await, value, "{name}");
    }
    let (_, text) = world.operator("/metrics").await;
    for line in text.lines().filter(|line| line.starts_with("comptoir_relay_")) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        value.parse::<u64>().unwrap();
    }
    assert!(text.contains("# TYPE comptoir_relay_connections_total counter"));
    assert_eq!(world.operator("/v1/ws").await.0, 404, "devices are not served here");
}
