//! Who may do what: accounts, devices, logs, key packages.

use std::collections::HashSet;

use comptoir_wire::{AccountId, Claimed, DepositStatus, ErrorCode, LogSlice, NewAccount, Reply, Request, SignedEntry};

use crate::support::{Person, World, deposit, handing_over, public, removal, signed_entry, statuses};

#[tokio::test]
async fn an_account_is_created_once_and_again_only_with_the_same_contents() {
    let world = World::open().await;
    let alice = Person::new("Alice");
    let mut line = world.line().await;
    line.create(&alice).await;
    line.create(&alice).await; // the answer was lost
    let other = NewAccount { device_key: public(&Person::new("Mallory").device_key), ..alice.new_account() };
    assert_eq!(line.refused(Request::CreateAccount(other)).await.code, ErrorCode::Conflict);
    line.sign_in(&alice, 1).await;
    assert_eq!(line.refused(Request::CreateAccount(alice.new_account())).await.code, ErrorCode::Conflict);
}

#[tokio::test]
async fn a_forged_log_entry_creates_nothing() {
    let world = World::open().await;
    let [alice, mallory] = ["Alice", "Mallory"].map(Person::new);
    let mut line = world.line().await;
    let mut forged = alice.new_account();
    forged.entries[0].entry.push(b'!');
    let refusal = line.refused(Request::CreateAccount(forged)).await;
    assert_eq!((refusal.code, refusal.detail.as_str()), (ErrorCode::Forbidden, "signature: does not fit the entry"));
    let mut foreign = alice.new_account();
    foreign.entries = vec![signed_entry(&mallory.log_key, b"mine now")];
    let refusal = line.refused(Request::CreateAccount(foreign)).await;
    assert!(refusal.detail.starts_with("signer"), "{}", refusal.detail);
    let read = Request::ReadLog { account: alice.account(), from: 0 };
    assert_eq!(line.refused(read).await.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn only_the_device_itself_gets_in_and_only_at_this_relay() {
    let world = World::open().await;
    let [alice, mallory] = ["Alice", "Mallory"].map(Person::new);
    drop(world.arrive(&alice).await);
    let address = world.address().to_string();

    // Somebody else's key.
    let mut line = world.line().await;
    let thief = Person { device: alice.device, ..Person::new("Mallory") };
    let refusal = line.refused(thief.authenticate(&line.nonce.clone(), &address, 1)).await;
    assert_eq!((refusal.code, refusal.detail.as_str()), (ErrorCode::Unauthenticated, "signature: does not fit"));
    assert_eq!(line.end().await, 4401);
    // A challenge passed on from another relay.
    let mut line = world.line().await;
    let refusal = line.refused(alice.authenticate(&line.nonce.clone(), "relay.example:443", 1)).await;
    assert_eq!(refusal.code, ErrorCode::Unauthenticated);
    assert!(refusal.detail.starts_with("address"), "{}", refusal.detail);
    assert_eq!(line.end().await, 4401);
    // An old challenge.
    let old = world.line().await.nonce;
    let mut line = world.line().await;
    assert_eq!(line.refused(alice.authenticate(&old, &address, 1)).await.code, ErrorCode::Unauthenticated);
    // Nobody.
    let mut line = world.line().await;
    let refusal = line.refused(mallory.authenticate(&line.nonce.clone(), &address, 1)).await;
    assert_eq!(refusal.code, ErrorCode::UnknownDevice);
    // By its other name, and not twice on one line.
    let mut line = world.line().await;
    line.address = format!("LocalHost:{}", world.address().port());
    line.sign_in(&alice, 1).await;
    let again = alice.authenticate(&line.nonce.clone(), &address, 1);
    assert_eq!(line.refused(again).await.code, ErrorCode::Conflict);
}

#[tokio::test]
async fn configured_names_are_the_only_ones() {
    let world = World::with(|config| config.names = vec!["relay.example:443".into()]).await;
    let alice = Person::new("Alice");
    let mut line = world.line().await;
    line.create(&alice).await;
    line.address = "relay.example:443".into();
    line.sign_in(&alice, 1).await;
    let mut line = world.line().await;
    let request = alice.authenticate(&line.nonce.clone(), &world.address().to_string(), 1);
    assert_eq!(line.refused(request).await.code, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn a_guest_is_served_an_account_and_a_log_and_nothing_else() {
    let world = World::open().await;
    let alice = Person::new("Alice");
    let mut line = world.line().await;
    line.create(&alice).await;
    let device = alice.device;
    for request in [
        Request::AddDevice { device, device_key: [1; 32] },
        Request::RemoveDevice { device, signed: None },
        Request::AppendLog { account: alice.account(), expected_len: 1, entry: signed_entry(&alice.log_key, b"x") },
        Request::PublishKeyPackages { packages: vec![vec![1]], last_resort: None },
        Request::ClaimKeyPackages { devices: vec![device] },
        deposit(&alice, [1]),
        Request::Ack { upto_seq: 1 },
        Request::OpenGeneration {
            peer: alice.account(),
            conversation: comptoir_wire::ConversationId([1; 16]),
            generation: 0,
            token_hash: [1; 32],
            envelopes: vec![],
        },
    ] {
        assert_eq!(line.refused(request).await.code, ErrorCode::Unauthenticated);
    }
    let read = Request::ReadLog { account: alice.account(), from: 0 };
    assert!(matches!(line.ask(read).await, Reply::Log(_)));
}

#[tokio::test]
async fn a_log_is_written_by_its_devices_one_entry_at_a_time() {
    let world = World::open().await;
    let [alice, bob, mallory] = ["Alice", "Bob", "Mallory"].map(Person::new);
    let mut line = world.arrive(&alice).await;
    let append = |at, entry| Request::AppendLog { account: alice.account(), expected_len: at, entry };
    let second = signed_entry(&alice.log_key, b"second");
    assert_eq!(line.ask(append(1, second.clone())).await, Reply::LogHead { appended: true, len: 2 });
    assert_eq!(line.ask(append(1, second.clone())).await, Reply::LogHead { appended: true, len: 2 }, "again");
    let late = signed_entry(&alice.log_key, b"late");
    assert_eq!(line.ask(append(1, late.clone())).await, Reply::LogHead { appended: false, len: 2 });
    assert_eq!(line.ask(append(9, late)).await, Reply::LogHead { appended: false, len: 2 });
    // Forged, and by another account's device.
    let forged = signed_entry(&mallory.log_key, b"forged");
    assert_eq!(line.refused(append(2, forged)).await.code, ErrorCode::Forbidden);
    let mut at_mallory = world.arrive(&mallory).await;
    let right = signed_entry(&alice.log_key, b"right, but not from here");
    assert_eq!(at_mallory.refused(append(2, right)).await.code, ErrorCode::Forbidden);
    // The recovery key takes over, and then the old key is done.
    let recovered = handing_over(&alice.recovery_key, b"recovered", &bob.log_key);
    // Whoever carries the entry names no key of theirs.
    let stolen = SignedEntry {
        next_key: handing_over(&mallory.log_key, b"recovered", &mallory.log_key).next_key,
        ..recovered.clone()
    };
    let refusal = line.refused(append(2, stolen)).await;
    assert_eq!(refusal.code, ErrorCode::Forbidden);
    assert!(refusal.detail.starts_with("next_key_signature"), "{}", refusal.detail);
    assert_eq!(line.ask(append(2, recovered.clone())).await, Reply::LogHead { appended: true, len: 3 });
    let old = signed_entry(&alice.log_key, b"old");
    assert_eq!(line.refused(append(3, old)).await.code, ErrorCode::Forbidden);
    assert_eq!(line.ask(append(2, recovered.clone())).await, Reply::LogHead { appended: true, len: 3 }, "again");

    // Anybody may read it, from anywhere on.
    let mut guest = world.line().await;
    let read = Request::ReadLog { account: alice.account(), from: 1 };
    let slice = LogSlice { genesis: vec![], from: 1, entries: vec![second, recovered], len: 3 };
    assert_eq!(guest.ask(read).await, Reply::Log(slice));
    let Reply::Log(whole) = guest.ask(Request::ReadLog { account: alice.account(), from: 0 }).await else {
        panic!("a log")
    };
    assert_eq!((whole.genesis, whole.entries.len()), (alice.genesis(), 3));
    let unknown = Request::ReadLog { account: AccountId([9; 20]), from: 0 };
    assert_eq!(guest.refused(unknown).await.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn of_two_who_append_at_once_one_is_first() {
    let world = World::open().await;
    let alice = Person::new("Alice");
    let phone = alice.second_device("Alice's tablet");
    let mut at_alice = world.arrive(&alice).await;
    let add = Request::AddDevice { device: phone.device, device_key: public(&phone.device_key) };
    assert_eq!(at_alice.ask(add).await, Reply::Done);
    let mut at_phone = world.line().await;
    at_phone.sign_in(&phone, 1).await;
    let append = |text: &[u8]| Request::AppendLog {
        account: alice.account(),
        expected_len: 1,
        entry: signed_entry(&alice.log_key, text),
    };
    let (one, two) = tokio::join!(at_alice.ask(append(b"one")), at_phone.ask(append(b"two")));
    let first = Reply::LogHead { appended: true, len: 2 };
    let second = Reply::LogHead { appended: false, len: 2 };
    assert!([one, two].contains(&first));
    let mut guest = world.line().await;
    let Reply::Log(log) = guest.ask(Request::ReadLog { account: alice.account(), from: 1 }).await else {
        panic!("a log")
    };
    assert_eq!(log.entries.len(), 1);
    let loser = if log.entries[0].entry == b"one" { b"two" } else { b"one" };
    assert_eq!(at_alice.ask(append(loser)).await, second);
}

#[tokio::test]
async fn a_removed_device_is_cut_off_and_stays_out() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let phone = alice.second_device("Alice's lost phone");
    let mut at_alice = world.arrive(&alice).await;
    let mut at_bob = world.arrive(&bob).await;
    at_alice.ask(Request::AddDevice { device: phone.device, device_key: public(&phone.device_key) }).await;
    let mut at_phone = world.line().await;
    at_phone.sign_in(&phone, 1).await;
    at_phone.ask(Request::PublishKeyPackages { packages: vec![vec![1; 9]], last_resort: Some(vec![2; 9]) }).await;
    let remove = removal(&alice.log_key, &phone);
    assert_eq!(at_bob.refused(remove.clone()).await.code, ErrorCode::Forbidden);
    assert_eq!(at_alice.ask(remove.clone()).await, Reply::Done);
    assert_eq!(at_phone.end().await, 4403);
    assert_eq!(at_alice.ask(remove).await, Reply::Done, "again");
    assert_eq!(statuses(at_bob.ask(deposit(&phone, [1])).await), [DepositStatus::Gone]);
    let claim = Request::ClaimKeyPackages { devices: vec![phone.device] };
    assert_eq!(at_bob.ask(claim).await, Reply::KeyPackages(vec![Claimed::None]));
    let mut at_phone = world.line().await;
    let request = phone.authenticate(&at_phone.nonce.clone(), &at_phone.address.clone(), 1);
    assert_eq!(at_phone.refused(request).await.code, ErrorCode::Forbidden);
    let again = Request::AddDevice { device: phone.device, device_key: public(&phone.device_key) };
    assert_eq!(at_alice.refused(again).await.code, ErrorCode::Conflict);
    // One's own: the answer comes before the end.
    assert_eq!(at_bob.ask(Request::RemoveDevice { device: bob.device, signed: None }).await, Reply::Done);
    assert_eq!(at_bob.end().await, 4403);
}

#[tokio::test]
async fn a_stolen_device_does_not_remove_its_siblings() {
    let world = World::open().await;
    let [alice, bob] = ["Alice", "Bob"].map(Person::new);
    let stolen = alice.second_device("Alice's stolen phone");
    let mut at_alice = world.arrive(&alice).await;
    let mut at_bob = world.arrive(&bob).await;
    at_alice.ask(Request::AddDevice { device: stolen.device, device_key: public(&stolen.device_key) }).await;
    let mut at_stolen = world.line().await;
    at_stolen.sign_in(&stolen, 1).await;
    // Unsigned, signed by the device's own key, by a stranger's, and for another device.
    let other = |signed| match signed {
        Request::RemoveDevice { signed, .. } => Request::RemoveDevice { device: alice.device, signed },
        other => other,
    };
    for forged in [
        Request::RemoveDevice { device: alice.device, signed: None },
        removal(&stolen.device_key, &alice),
        removal(&bob.log_key, &alice),
        other(removal(&alice.log_key, &stolen)),
    ] {
        assert_eq!(at_stolen.refused(forged).await.code, ErrorCode::Forbidden);
    }
    assert_eq!(statuses(at_bob.ask(deposit(&alice, [1])).await), [DepositStatus::Accepted]);
    at_alice.deliveries(1).await;
    // The recovery key may, and after the log was handed over the new key, and the old one no more.
    let entry = handing_over(&alice.log_key, b"handed over", &bob.recovery_key);
    let append = Request::AppendLog { account: alice.account(), expected_len: 1, entry };
    assert_eq!(at_alice.ask(append).await, Reply::LogHead { appended: true, len: 2 });
    assert_eq!(at_alice.refused(removal(&alice.log_key, &stolen)).await.code, ErrorCode::Forbidden);
    assert_eq!(at_alice.ask(removal(&bob.recovery_key, &stolen)).await, Reply::Done);
    assert_eq!(at_stolen.end().await, 4403);
    assert_eq!(at_alice.ask(removal(&alice.recovery_key, &stolen)).await, Reply::Done, "again");
}

#[tokio::test]
async fn eight_claimers_never_get_the_same_key_package() {
    const NAMES: [&str; 8] = ["Ada", "Ben", "Cat", "Dan", "Eve", "Fay", "Gus", "Hal"];
    let world = World::open().await;
    let bob = Person::new("Bob");
    let mut at_bob = world.arrive(&bob).await;
    let packages: Vec<_> = (0..20_u8).map(|n| vec![n; 300]).collect();
    let publish = Request::PublishKeyPackages { packages, last_resort: Some(vec![99; 300]) };
    assert_eq!(at_bob.ask(publish.clone()).await, Reply::KeyPackageCount { left: 20 });
    let claimers = NAMES.map(Person::new);
    let claim = async |claimer: &Person| {
        let mut line = world.arrive(claimer).await;
        let mut claimed = Vec::new();
        for _ in 0..5 {
            match line.ask(Request::ClaimKeyPackages { devices: vec![bob.device] }).await {
                Reply::KeyPackages(packages) => claimed.extend(packages),
                other => panic!("{other:?}"),
            }
        }
        claimed
    };
    let all = futures_util::future::join_all(claimers.iter().map(claim)).await;
    let mut fresh = HashSet::new();
    let mut last_resorts = 0;
    for claimed in all.into_iter().flatten() {
        match claimed {
            Claimed::Fresh(package) => assert!(fresh.insert(package), "given twice"),
            Claimed::LastResort(package) => {
                assert_eq!(package, vec![99; 300]);
                last_resorts += 1;
            }
            Claimed::None => panic!("there is a last resort"),
        }
    }
    assert_eq!((fresh.len(), last_resorts), (20, 20));
    // Publishing them again, because the answer was lost, brings none of them back.
    assert_eq!(at_bob.ask(publish).await, Reply::KeyPackageCount { left: 0 });
}
