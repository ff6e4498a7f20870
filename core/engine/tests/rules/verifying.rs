//! Two people verify each other by a code.

use comptoir_content::{
    AccountKind, AccountLog, DeviceCertificate, DeviceId, DeviceRole, Genesis, Hash, LogHead, Signed, Statement,
    VerifyCode,
};
use comptoir_engine::Refused;
use comptoir_engine::account::{Account, safety_number};
use comptoir_engine::verify::check;

use crate::bakery::*;

/// Somebody whose first key is `n` and who has one device.
fn person(n: u8) -> Account {
    let genesis = Genesis {
        kind: AccountKind::Person,
        account_key: key(n).public(),
        recovery_hash: key(99).public().hash(),
        nonce: [n; 16],
    };
    let account = Account::read(&AccountLog { genesis: genesis.encode(), links: Vec::new() }).unwrap();
    with_device(&account, n, n)
}

fn with_device(account: &Account, device: u8, by: u8) -> Account {
    let certificate = DeviceCertificate {
        account: account.id,
        device: DeviceId([device; 16]),
        key: key(device).public(),
        role: DeviceRole::Person,
        created_at: NOW,
        expires_at: NOW.plus_ms(DAY_MS),
    };
    says(account, Statement::DeviceAdded(Signed::sign(&certificate, &key(by))), by)
}

fn says(account: &Account, statement: Statement, by: u8) -> Account {
    let mut grown = account.clone();
    grown.append(&account.next_link(statement, &key(by), NOW)).unwrap();
    grown
}

fn with_key(account: &Account, new: u8, by: u8) -> Account {
    says(account, Statement::KeyReplaced { account_key: key(new).public() }, by)
}

/// What the device of `account` shows, as it knows both.
fn shown_by(account: &Account, peer: &Account) -> VerifyCode {
    VerifyCode { account: account.id, head: account.head, peer: peer.id, peer_head: peer.head }
}

/// Alice scans in her chat with Bob. What she knows of both, and the code.
fn scans(alice: &Account, bob: &Account, code: &VerifyCode) -> Result<(), Refused> {
    check(code, alice, Some(bob.id), Some(bob))
}

#[test]
fn a_code_confirms_what_both_devices_know_in_both_directions() {
    let (alice, bob) = (person(1), person(2));
    assert_eq!(scans(&alice, &bob, &shown_by(&bob, &alice)), Ok(()));
    assert_eq!(scans(&bob, &alice, &shown_by(&alice, &bob)), Ok(()));
}

#[test]
fn a_device_that_was_added_since_changes_no_key() {
    let (alice, bob) = (person(1), person(2));
    let (alice_now, bob_now) = (with_device(&alice, 11, 1), with_device(&bob, 12, 2));
    assert_eq!(scans(&alice_now, &bob_now, &shown_by(&bob, &alice)), Ok(()));
}

#[test]
fn who_knows_less_than_the_code_tries_again_when_connected() {
    let (alice, bob) = (person(1), person(2));
    let bob_now = with_device(&bob, 12, 2);
    assert_eq!(scans(&alice, &bob, &shown_by(&bob_now, &alice)), Err(Refused::VerifyBehind));
    let alice_now = with_device(&alice, 11, 1);
    assert_eq!(scans(&alice, &bob, &shown_by(&bob, &alice_now)), Err(Refused::VerifyBehind), "a device of one's own");
    let unfetched = check(&shown_by(&bob, &alice), &alice, Some(bob.id), None);
    assert_eq!(unfetched, Err(Refused::VerifyBehind));
}

#[test]
fn a_code_of_somebody_else_or_for_somebody_else_confirms_nobody() {
    let (alice, bob, carol) = (person(1), person(2), person(3));
    let code = shown_by(&bob, &alice);
    assert_eq!(scans(&alice, &carol, &code), Err(Refused::VerifyOtherAccount));
    assert_eq!(check(&code, &alice, None, None), Err(Refused::VerifyOtherAccount), "nobody one knows");
    assert_eq!(scans(&alice, &bob, &shown_by(&bob, &carol)), Err(Refused::VerifyNotForYou));
    assert_eq!(scans(&alice, &bob, &shown_by(&alice, &bob)), Err(Refused::OwnCode));
}

#[test]
fn another_past_or_another_key_is_never_confirmed() {
    let (alice, bob) = (person(1), person(2));
    let differs = Err(Refused::VerifyDiffers);
    let forged = |forge: &dyn Fn(&mut VerifyCode)| {
        let mut code = shown_by(&bob, &alice);
        forge(&mut code);
        scans(&alice, &bob, &code)
    };
    assert_eq!(forged(&|code| code.head.hash = Hash([7; 32])), differs);
    assert_eq!(forged(&|code| code.peer_head.hash = Hash([7; 32])), differs);
    assert_eq!(forged(&|code| code.head = LogHead { len: 0, hash: Hash([7; 32]) }), differs, "another beginning");
    // A wrong key is not excused by something newer on the other side.
    let both = |code: &mut VerifyCode| {
        code.head.hash = Hash([7; 32]);
        code.peer_head.len += 1;
    };
    assert_eq!(forged(&both), differs);
    // Somebody who stole Bob's key says one thing to Alice, Bob's own phone another.
    let (stolen, true_bob) = (with_key(&bob, 66, 2), with_key(&bob, 22, 2));
    assert_eq!(scans(&alice, &stolen, &shown_by(&true_bob, &alice)), differs);
    assert_eq!(scans(&alice, &stolen, &shown_by(&bob, &alice)), differs, "his phone has not heard of it");
    let alice_now = with_key(&alice, 11, 1);
    assert_eq!(scans(&alice_now, &bob, &shown_by(&bob, &alice)), differs, "nor of her new key");
}

/// The code and the 60 digits say the same: whatever two devices know, it is confirmed only where their numbers are equal.
#[test]
fn what_a_code_confirms_has_the_same_safety_number() {
    let stages = |n: u8| {
        let first = person(n);
        let second = with_device(&first, n + 10, n);
        let replaced = with_key(&second, n + 20, n);
        let elsewhere = with_key(&second, n + 30, n);
        [first, second, with_device(&replaced, n + 40, n + 20), replaced, elsewhere]
    };
    let number = |one: &Account, other: &Account| safety_number(one.account_key, other.account_key);
    let mut confirmed = 0;
    for (alice, bob) in stages(1).iter().flat_map(|alice| stages(2).map(|bob| (alice.clone(), bob))) {
        for (alices, bobs) in stages(1).iter().flat_map(|alice| stages(2).map(|bob| (alice.clone(), bob))) {
            let verdict = scans(&alice, &bob, &shown_by(&bobs, &alices));
            if verdict.is_ok() {
                confirmed += 1;
                assert_eq!(number(&alice, &bob), number(&alices, &bobs));
            } else if number(&alice, &bob) == number(&alices, &bobs) {
                assert_eq!(verdict, Err(Refused::VerifyBehind), "the same digits, and not the same log yet");
            }
        }
    }
    assert!(confirmed >= 5, "{confirmed}");
}
