use std::collections::HashSet;

use comptoir_wire::Claimed;

use super::{device, people};
use crate::store::RelayStore;

fn package(n: u8) -> Vec<u8> {
    vec![n; 60]
}

pub(super) async fn each_is_given_once<S: RelayStore>(store: &S) {
    people(store, 2).await;
    let claim = async |n: u8| store.claim_key_packages(vec![device(n)]).await.unwrap().remove(0);
    assert_eq!(claim(1).await, Claimed::None);
    let publish = async |packages: &[u8], last_resort: Option<u8>| {
        let packages = packages.iter().map(|n| package(*n)).collect();
        store.publish_key_packages(device(1), packages, last_resort.map(package)).await.unwrap()
    };
    assert_eq!(publish(&[1, 2], Some(90)).await, Some(2));
    assert_eq!(publish(&[1, 2], None).await, Some(2), "the same again");
    assert_eq!(claim(1).await, Claimed::Fresh(package(1)));
    assert_eq!(publish(&[1, 2], None).await, Some(1), "what was given does not come back");
    let three = store.claim_key_packages(vec![device(1), device(9), device(1)]).await.unwrap();
    assert_eq!(three, [Claimed::Fresh(package(2)), Claimed::None, Claimed::LastResort(package(90))]);
    assert_eq!(claim(1).await, Claimed::LastResort(package(90)), "again, and flagged again");
    assert_eq!(publish(&[3], Some(91)).await, Some(1));
    assert_eq!(store.open_mailbox(device(1), 0).await.unwrap().unwrap().key_packages_left, 1);
    assert_eq!(claim(1).await, Claimed::Fresh(package(3)));
    assert_eq!(claim(1).await, Claimed::LastResort(package(91)));
    assert_eq!(claim(2).await, Claimed::None);
    assert_eq!(store.publish_key_packages(device(9), vec![package(1)], None).await.unwrap(), None);
}

pub(super) async fn eight_claimers_never_share_one<S: RelayStore>(store: &S) {
    people(store, 1).await;
    store.publish_key_packages(device(1), (1..=5).map(package).collect(), Some(package(90))).await.unwrap();
    let claim = |_| store.claim_key_packages(vec![device(1)]);
    let claimed = futures_util::future::join_all((0..8).map(claim)).await;
    let mut fresh = HashSet::new();
    let mut last_resorts = 0;
    for claimed in claimed.into_iter().flat_map(Result::unwrap) {
        match claimed {
            Claimed::Fresh(package) => assert!(fresh.insert(package), "given twice"),
            Claimed::LastResort(_) => last_resorts += 1,
            Claimed::None => panic!("there was a last resort"),
        }
    }
    assert_eq!((fresh.len(), last_resorts), (5, 3));
}

pub(super) async fn the_newest_stay<S: RelayStore>(store: &S) {
    people(store, 1).await;
    store.publish_key_packages(device(1), (1..=4).map(package).collect(), None).await.unwrap();
    let left = store.publish_key_packages(device(1), (5..=7).map(package).collect(), None).await.unwrap();
    assert_eq!(left, Some(5));
    let claimed = store.claim_key_packages(vec![device(1); 6]).await.unwrap();
    let mut expected: Vec<_> = (3..=7).map(|n| Claimed::Fresh(package(n))).collect();
    expected.push(Claimed::None);
    assert_eq!(claimed, expected);
}
