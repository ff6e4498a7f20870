use comptoir_wire::{NewAccount, NextKey};

use super::{DAY_MS, NOW_MS, account, device, entry, envelope, new_account, not_taken, people, seqs};
use crate::conformance::{accepted, deposit_one};
use crate::store::{Appended, Created, Device, RelayStore, Removed};
use comptoir_wire::{Claimed, DepositStatus};

pub(super) async fn an_account_is_created_once<S: RelayStore>(store: &S) {
    people(store, 1).await;
    let create = |new| store.create_account(account(1), new);
    assert_eq!(create(new_account(1)).await.unwrap(), Created::Done, "the same contents again");
    for changed in [
        NewAccount { genesis: vec![9; 60], ..new_account(1) },
        NewAccount { log_key: [9; 32], ..new_account(1) },
        NewAccount { recovery_hash: [9; 32], ..new_account(1) },
        NewAccount { entries: vec![entry(9)], ..new_account(1) },
        NewAccount { entries: vec![entry(1), entry(101), entry(2)], ..new_account(1) },
        NewAccount { device: device(9), ..new_account(1) },
        NewAccount { device_key: [9; 32], ..new_account(1) },
    ] {
        assert_eq!(create(changed.clone()).await.unwrap(), Created::Conflict, "{changed:?}");
    }
    // A retry may come after the log grew.
    store.append_log(account(1), 2, entry(3)).await.unwrap();
    assert_eq!(create(new_account(1)).await.unwrap(), Created::Done);
    let taken = NewAccount { device: device(1), ..new_account(2) };
    assert_eq!(store.create_account(account(2), taken).await.unwrap(), Created::Conflict);
    assert_eq!(store.log_head(account(2)).await.unwrap(), None, "a refused account leaves nothing");
}

pub(super) async fn a_device_belongs_to_one_account<S: RelayStore>(store: &S) {
    people(store, 2).await;
    assert_eq!(store.device(device(11)).await.unwrap(), None);
    let add = |to: u8, n: u8, key: u8| store.add_device(account(to), device(n), [key; 32]);
    assert_eq!(add(1, 11, 5).await.unwrap(), Created::Done);
    assert_eq!(add(1, 11, 5).await.unwrap(), Created::Done, "the same again");
    assert_eq!(add(1, 11, 6).await.unwrap(), Created::Conflict, "another key");
    assert_eq!(add(2, 11, 5).await.unwrap(), Created::Conflict, "another account");
    assert_eq!(add(9, 12, 5).await.unwrap(), Created::Conflict, "no account");
    let found = Device { account: account(1), device_key: [5; 32], removed: false };
    assert_eq!(store.device(device(11)).await.unwrap(), Some(found));
    assert_eq!(add(1, 12, 5).await.unwrap(), Created::Done);
    assert_eq!(add(1, 13, 5).await.unwrap(), Created::TooMany);
    assert_eq!(store.remove_device(account(1), device(12), NOW_MS).await.unwrap(), Removed::Done);
    assert_eq!(add(1, 13, 5).await.unwrap(), Created::Done, "a removed device makes room");
}

pub(super) async fn a_removed_device_is_gone_for_good<S: RelayStore>(store: &S) {
    people(store, 2).await;
    deposit_one(store, envelope(1, 1), NOW_MS).await;
    store.publish_key_packages(device(1), vec![vec![1; 50]], Some(vec![2; 50])).await.unwrap();
    let remove = |of: u8, n: u8| store.remove_device(account(of), device(n), NOW_MS + DAY_MS);
    assert_eq!(remove(2, 1).await.unwrap(), Removed::NotFound, "somebody else's");
    assert_eq!(remove(1, 9).await.unwrap(), Removed::NotFound);
    assert_eq!(seqs(store, 1).await, [1]);

    assert_eq!(remove(1, 1).await.unwrap(), Removed::Done);
    assert_eq!(remove(1, 1).await.unwrap(), Removed::Done, "the same again");
    assert!(store.device(device(1)).await.unwrap().unwrap().removed);
    assert_eq!(seqs(store, 1).await, [0_u64; 0]);
    assert_eq!(deposit_one(store, envelope(1, 1), NOW_MS).await, not_taken(DepositStatus::Gone));
    assert_eq!(deposit_one(store, envelope(9, 1), NOW_MS).await, not_taken(DepositStatus::Gone), "never there");
    assert_eq!(store.open_mailbox(device(1), NOW_MS).await.unwrap(), None);
    assert_eq!(store.claim_key_packages(vec![device(1)]).await.unwrap(), [Claimed::None]);
    assert_eq!(store.publish_key_packages(device(1), vec![vec![3; 50]], None).await.unwrap(), None);
    // Its id opens no other mailbox, and creating it again does not bring it back.
    assert_eq!(store.add_device(account(1), device(1), [1; 32]).await.unwrap(), Created::Conflict);
    assert_eq!(store.create_account(account(1), new_account(1)).await.unwrap(), Created::Conflict);
    assert_eq!(deposit_one(store, envelope(2, 1), NOW_MS).await, accepted(NOW_MS), "others are untouched");
}

pub(super) async fn a_log_grows_by_compare_and_swap<S: RelayStore>(store: &S) {
    people(store, 1).await;
    let append = |at: u64, n: u8| store.append_log(account(1), at, entry(n));
    assert_eq!(append(1, 3).await.unwrap(), Some(Appended { appended: false, len: 2 }), "too old");
    assert_eq!(append(3, 3).await.unwrap(), Some(Appended { appended: false, len: 2 }), "too new");
    assert_eq!(append(2, 3).await.unwrap(), Some(Appended { appended: true, len: 3 }));
    assert_eq!(append(2, 4).await.unwrap(), Some(Appended { appended: false, len: 3 }), "somebody was first");
    assert_eq!(append(2, 3).await.unwrap(), Some(Appended { appended: true, len: 3 }), "the same again");
    assert_eq!(append(u64::MAX, 3).await.unwrap(), Some(Appended { appended: false, len: 3 }));
    assert_eq!(store.append_log(account(9), 0, entry(1)).await.unwrap(), None);

    assert_eq!(store.log_head(account(1)).await.unwrap().unwrap().log_key, [1; 32]);
    let mut handing_over = entry(5);
    handing_over.next_key = Some(NextKey { key: [42; 32], signature: [43; 64] });
    store.append_log(account(1), 3, handing_over.clone()).await.unwrap();
    let head = store.log_head(account(1)).await.unwrap().unwrap();
    assert_eq!((head.len, head.log_key, head.recovery_hash), (4, [42; 32], [0xfe; 32]));

    let read = |from| store.read_log(account(1), from);
    let whole = read(0).await.unwrap().unwrap();
    assert_eq!(whole.genesis, vec![1; 60]);
    assert_eq!(whole.entries, [entry(1), entry(101), entry(3), handing_over.clone()]);
    assert_eq!((whole.from, whole.len), (0, 4));
    let rest = read(3).await.unwrap().unwrap();
    assert_eq!((rest.genesis.len(), rest.entries, rest.from, rest.len), (0, vec![handing_over], 3, 4));
    for beyond in [4, 5, u64::MAX] {
        let nothing = read(beyond).await.unwrap().unwrap();
        assert_eq!((nothing.entries.len(), nothing.len), (0, 4));
    }
    assert_eq!(store.read_log(account(9), 0).await.unwrap(), None);
}
