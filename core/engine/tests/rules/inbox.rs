//! What was opened is believed only from a device that its account vouches for, and only once.

use comptoir_content::{
    AccountId, AccountKind, AccountLog, Body, Content, DeviceCertificate, DeviceId, DeviceRole, Genesis, Signed,
    Statement, Text, Uid,
};
use comptoir_engine::account::Account;
use comptoir_engine::inbox::{Arrival, InboxRefused, Opened};
use comptoir_engine::session::Member;
use zeroize::Zeroizing;

use crate::bakery::*;

const PHONE: DeviceId = DeviceId([5; 16]);

fn bob() -> Account {
    let genesis = Genesis {
        kind: AccountKind::Person,
        account_key: key(30).public(),
        recovery_hash: key(99).public().hash(),
        nonce: [30; 16],
    };
    let mut account = Account::read(&AccountLog { genesis: genesis.encode(), links: Vec::new() }).unwrap();
    let certificate = DeviceCertificate {
        account: account.id,
        device: PHONE,
        key: key(31).public(),
        role: DeviceRole::Person,
        created_at: NOW,
        expires_at: NOW.plus_ms(DAY_MS),
    };
    let added = Statement::DeviceAdded(Signed::sign(&certificate, &key(30)));
    account.append(&account.next_link(added, &key(30), NOW)).unwrap();
    account
}

fn hello() -> Content {
    Content::new(Uid([9; 16]), NOW, Body::Text(Text::plain("Bonjour")))
}

fn said_by(change: impl FnOnce(&mut Member)) -> Opened {
    let mut sender = Member { account: bob().id, device: PHONE, key: key(31).public() };
    change(&mut sender);
    Opened { sender, plaintext: Zeroizing::new(hello().encode()) }
}

#[test]
fn only_a_device_on_the_log_speaks_for_its_account() {
    let bob = bob();
    assert_eq!(said_by(|_| {}).verify(&bob).unwrap().content, hello());
    let refused = |opened: Opened, account: &Account| {
        assert!(matches!(opened.verify(account), Err(InboxRefused::RevokedDevice)));
    };
    refused(said_by(|sender| sender.account = AccountId([8; 20])), &bob);
    refused(said_by(|sender| sender.device = DeviceId([6; 16])), &bob);
    refused(said_by(|sender| sender.key = key(32).public()), &bob);
    let mut later = bob.clone();
    let revoked = Statement::DeviceRevoked { device: PHONE };
    later.append(&later.next_link(revoked, &key(30), NOW)).unwrap();
    refused(said_by(|_| {}), &later);
}

#[test]
fn what_it_said_must_be_a_message() {
    let garbage = Opened { plaintext: Zeroizing::new(vec![0xff; 40]), ..said_by(|_| {}) };
    assert!(matches!(garbage.verify(&bob()), Err(InboxRefused::Content(_))));
}

#[test]
fn the_same_uid_of_the_same_account_is_the_same_message() {
    let said = || said_by(|_| {}).verify(&bob()).unwrap();
    let known = |answer| move |_: &Member, uid| (uid == hello().uid).then_some(answer).ok_or("another uid");
    assert!(matches!(said().dedupe(known(false)), Ok(Arrival::New(new)) if new.content == hello()));
    assert!(matches!(said().dedupe(known(true)), Ok(Arrival::Duplicate(uid)) if uid == hello().uid));
    assert!(matches!(said().dedupe(|_, _| Err("the look-up failed")), Err("the look-up failed")));
}
