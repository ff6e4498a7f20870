//! The embedded store keeps the contract, and what is its own: the lock, the version, the file.

use comptoir_relay::conformance::{self, RETENTION};
use comptoir_relay::{Created, Knocked, RelayStore, Retention, Sender, SqliteStore, StoreError};
use comptoir_wire::{DeviceId, Envelope, PushEndpoint};

use crate::support::{NOW_MS, Person, envelope, uid};

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run(async |name| SqliteStore::open(&dir.path().join(name), RETENTION, 0).unwrap()).await;
}

#[tokio::test]
async fn a_database_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(dir.path(), RETENTION, 0);
    let store = open().unwrap();
    assert!(matches!(open(), Err(StoreError::InUse { .. })));
    store.close().await.unwrap();
    open().unwrap();
    open().unwrap(); // dropping releases it too
}

#[tokio::test]
async fn a_database_of_a_newer_relay_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(dir.path(), RETENTION, 0).unwrap());
    let path = dir.path().join("relay.db");
    let db = comptoir_sqlcipher::open_plain(&path, comptoir_sqlcipher::Access::Write).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let refused = SqliteStore::open(dir.path(), RETENTION, 0);
    assert!(matches!(refused, Err(StoreError::TooNew { found: 99, known: 1 })), "{refused:?}");
}

#[tokio::test]
async fn its_incarnation_is_drawn_once() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let incarnation = |n: usize| SqliteStore::open(dirs[n].path(), RETENTION, 0).unwrap().incarnation();
    assert_eq!(incarnation(0), incarnation(0));
    assert_ne!(incarnation(0), incarnation(1));
}

#[tokio::test]
async fn the_file_is_an_ordinary_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), RETENTION, 0).unwrap();
    let file = std::fs::read(dir.path().join("relay.db")).unwrap();
    assert!(file.starts_with(b"SQLite format 3\0"));
    drop(store);
}

/// Nobody knows whether the push service heard of it; who sleeps on because of that would sleep for a minute more.
#[tokio::test]
async fn a_wake_up_that_was_under_way_when_the_relay_fell_is_due_at_once() {
    const AGAIN_MS: i64 = 80_000;
    let dir = tempfile::tempdir().unwrap();
    let open = |now_ms| SqliteStore::open(dir.path(), RETENTION, now_ms).unwrap();
    let due = async |store: &SqliteStore, now_ms| store.due_wake_ups(now_ms, now_ms + AGAIN_MS, 10).await.unwrap().now;
    let store = open(NOW_MS);
    let alice = Person::new("Alice");
    assert_eq!(store.create_account(alice.account(), alice.new_account()).await.unwrap(), Created::Done);
    let devices = [DeviceId([1; 16]), DeviceId([2; 16])];
    for (n, to) in (1..).zip(devices) {
        assert_eq!(store.add_device(alice.account(), to, [1; 32]).await.unwrap(), Created::Done);
        let endpoint = PushEndpoint::new(format!("https://push.example/{n}")).unwrap();
        assert!(store.set_push(to, Some(endpoint)).await.unwrap());
        let envelope = Envelope { to, urgent: true, uid: uid(n), ..envelope(&alice, n) };
        let sender = Sender { account: alice.account(), device: devices[0] };
        store.deposit(sender, vec![envelope], NOW_MS).await.unwrap();
    }
    let mut tried = due(&store, NOW_MS).await;
    assert_eq!(tried.len(), 2);
    // The first one's service is down, and was heard of; the second one's answer never is.
    let down = tried.remove(0);
    store.knocked(down, Knocked::Again { at_ms: NOW_MS + 30_000 }).await.unwrap();
    assert!(due(&store, NOW_MS + 1_000).await.is_empty());
    store.close().await.unwrap();

    let store = open(NOW_MS + 1_000);
    let again = due(&store, NOW_MS + 1_000).await;
    assert_eq!(
        again.iter().map(|wake_up| (wake_up.device, wake_up.knocks)).collect::<Vec<_>>(),
        [(tried[0].device, 2)]
    );
    store.knocked(again[0].clone(), Knocked::Done { at_ms: NOW_MS + 1_000 }).await.unwrap();
    store.close().await.unwrap();
    assert!(due(&open(NOW_MS + 2_000), NOW_MS + 2_000).await.is_empty(), "what ended is over");
}

/// A group of deposits writes each page that it touches, so what it touches must stand together, whoever it is for.
#[tokio::test]
async fn a_group_of_deposits_writes_few_pages() {
    const DEVICES: u8 = 64;
    const PAGE_BYTES: u64 = 4_096;
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { messages_max: 1_000, bytes_max: 1 << 20, devices_max: DEVICES.into(), ..RETENTION };
    let open = || SqliteStore::open(dir.path(), retention, NOW_MS).unwrap();
    let store = open();
    let alice = Person::new("Alice");
    assert_eq!(store.create_account(alice.account(), alice.new_account()).await.unwrap(), Created::Done);
    let devices: Vec<_> = (1..DEVICES).map(|n| DeviceId([n; 16])).collect();
    for device in &devices {
        assert_eq!(store.add_device(alice.account(), *device, [1; 32]).await.unwrap(), Created::Done);
    }
    let deposit = async |store: &SqliteStore, round: u64| {
        let one = |(n, to): (u64, &DeviceId)| Envelope { to: *to, uid: uid(round * 100 + n), ..envelope(&alice, n) };
        let envelopes = (0..).zip(&devices).map(one).collect();
        let now_ms = NOW_MS + round.cast_signed();
        store.deposit(Sender { account: alice.account(), device: devices[0] }, envelopes, now_ms).await.unwrap();
        store.ack(devices.iter().map(|device| (*device, round)).collect()).await.unwrap();
    };
    for round in 1..=40 {
        deposit(&store, round).await;
    }
    store.close().await.unwrap();
    let store = open();
    deposit(&store, 41).await;
    let pages = std::fs::metadata(dir.path().join("relay.db-wal")).unwrap().len() / PAGE_BYTES;
    assert!(pages < u64::from(DEVICES) / 2, "{pages} pages for {DEVICES} envelopes");
}
