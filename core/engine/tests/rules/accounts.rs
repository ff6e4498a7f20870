//! What an account may say of itself, and who may say it.

use comptoir_content::{
    AccountId, AccountKind, AccountLog, DeviceCertificate, DeviceId, DeviceRequest, DeviceRole, Genesis, Hash, Signed,
    SigningKey, Statement, TillCertificate,
};
use comptoir_engine::Refused;
use comptoir_engine::account::{Account, LogRefused, TillVerdict, safety_number};
use comptoir_engine::limits::{LOG_ENTRIES_MAX, SKEW_MS};
use comptoir_engine::linking::{self, REQUEST_LIFE_MS};

use crate::bakery::*;

fn open(kind: AccountKind, n: u8) -> Account {
    let genesis =
        Genesis { kind, account_key: key(n).public(), recovery_hash: key(99).public().hash(), nonce: [n; 16] };
    Account::read(&AccountLog { genesis: genesis.encode(), links: Vec::new() }).unwrap()
}

fn certificate(account: &Account, device: u8, role: DeviceRole) -> DeviceCertificate {
    DeviceCertificate {
        account: account.id,
        device: DeviceId([device; 16]),
        key: key(device).public(),
        role,
        created_at: NOW,
        expires_at: NOW.plus_ms(DAY_MS),
    }
}

fn say(account: &mut Account, statement: Statement, by: &SigningKey) -> Result<(), LogRefused> {
    account.append(&account.next_link(statement, by, NOW))
}

fn statement_refused(result: &Result<(), LogRefused>) -> bool {
    matches!(result, Err(LogRefused::Statement { .. }))
}

#[test]
fn a_device_has_a_role_that_its_account_can_have() {
    use AccountKind::{Business, Person};
    for (kind, role, fits) in [
        (Person, DeviceRole::Person, true),
        (Person, DeviceRole::Merchant, false),
        (Person, DeviceRole::Gateway, false),
        (Business, DeviceRole::Person, false),
        (Business, DeviceRole::Merchant, true),
        (Business, DeviceRole::Gateway, true),
    ] {
        let mut account = open(kind, 10);
        let added = Statement::DeviceAdded(Signed::sign(&certificate(&account, 5, role), &key(10)));
        let said = say(&mut account, added, &key(10));
        assert_eq!(said.is_ok(), fits, "{kind:?} {role:?}");
        assert!(fits || statement_refused(&said));
    }
}

#[test]
fn a_device_is_added_once_by_the_account_key_and_revoked_for_good() {
    let mut account = open(AccountKind::Person, 10);
    let phone = certificate(&account, 5, DeviceRole::Person);
    let signed = Signed::sign(&phone, &key(10));
    say(&mut account, Statement::DeviceAdded(signed.clone()), &key(10)).unwrap();
    assert_eq!(account.active_devices().count(), 1);
    assert!(account.has_device(phone.device, phone.key));
    assert!(account.check_certificate(&signed).is_ok());
    // Another certificate of the same device, though the account key signed it: it does not stand in the log.
    let other = DeviceCertificate { expires_at: NOW.plus_ms(2 * DAY_MS), ..phone.clone() };
    assert!(account.check_certificate(&Signed::sign(&other, &key(10))).is_err());
    assert!(open(AccountKind::Person, 11).check_certificate(&signed).is_err());

    let add = |certificate: &DeviceCertificate, by: &SigningKey| {
        let added = Statement::DeviceAdded(Signed::sign(certificate, by));
        say(&mut account.clone(), added, &key(10))
    };
    assert!(statement_refused(&add(&phone, &key(10))), "it is there");
    let same_key = DeviceCertificate { device: DeviceId([6; 16]), ..phone.clone() };
    assert!(statement_refused(&add(&same_key, &key(10))), "the key is there");
    let same_device = DeviceCertificate { key: key(6).public(), ..phone.clone() };
    assert!(statement_refused(&add(&same_device, &key(10))), "the device is there");
    let tablet = certificate(&open(AccountKind::Person, 10), 6, DeviceRole::Person);
    assert!(add(&tablet, &key(10)).is_ok());
    assert!(statement_refused(&add(&tablet, &key(77))), "a certificate by another key");
    let stranger = DeviceCertificate { account: AccountId([7; 20]), ..tablet };
    assert!(statement_refused(&add(&stranger, &key(10))), "of another account");

    let revoke = |device| Statement::DeviceRevoked { device };
    assert!(statement_refused(&say(&mut account, revoke(DeviceId([6; 16])), &key(10))), "it never was");
    say(&mut account, revoke(phone.device), &key(10)).unwrap();
    assert_eq!(account.active_devices().count(), 0);
    assert!(!account.has_device(phone.device, phone.key));
    assert!(account.check_certificate(&signed).is_err());
}

#[test]
fn a_till_signs_within_its_certificate() {
    let mut shop = open(AccountKind::Business, 10);
    let till = TillCertificate { till: key(40).public(), term: 1, live: false, from: NOW, until: NOW.plus_ms(DAY_MS) };
    say(&mut shop, Statement::TillCertified(till.clone()), &key(10)).unwrap();
    let judge = |at_ms| shop.judge_till(key(40).public(), 1, false, NOW.plus_ms(at_ms));
    assert_eq!(
        [-1, 0, DAY_MS - 1, DAY_MS].map(judge),
        [TillVerdict::Refused, TillVerdict::Holds, TillVerdict::Holds, TillVerdict::Refused]
    );
    assert_eq!(shop.judge_till(key(41).public(), 1, false, NOW), TillVerdict::Refused);
    assert_eq!(shop.judge_till(key(40).public(), 2, false, NOW), TillVerdict::Refused);
    assert_eq!(shop.judge_till(key(40).public(), 1, true, NOW), TillVerdict::Refused);

    let certify = |till: TillCertificate| Statement::TillCertified(till);
    assert!(statement_refused(&say(&mut shop.clone(), certify(till.clone()), &key(10))), "twice");
    let empty = TillCertificate { till: key(41).public(), until: NOW, ..till.clone() };
    assert!(statement_refused(&say(&mut shop.clone(), certify(empty), &key(10))));
    assert!(statement_refused(&say(&mut open(AccountKind::Person, 10), certify(till), &key(10))), "a person");
    let revoke = |n: u8, since| Statement::TillRevoked { till: key(n).public(), since };
    assert!(statement_refused(&say(&mut shop.clone(), revoke(41, NOW), &key(10))), "it never was");
    say(&mut shop, revoke(40, NOW.plus_ms(100)), &key(10)).unwrap();
    let judge = |shop: &Account, at_ms| shop.judge_till(key(40).public(), 1, false, NOW.plus_ms(at_ms));
    assert_eq!([99, 100].map(|at| judge(&shop, at)), [TillVerdict::RevokedLater, TillVerdict::Refused]);
    // The earliest revocation counts.
    say(&mut shop, revoke(40, NOW.plus_ms(200)), &key(10)).unwrap();
    assert_eq!(judge(&shop, 150), TillVerdict::Refused);
    say(&mut shop, revoke(40, NOW.plus_ms(50)), &key(10)).unwrap();
    assert_eq!(judge(&shop, 60), TillVerdict::Refused);
}

#[test]
fn the_account_key_speaks_and_the_recovery_key_replaces_it() {
    let mut account = open(AccountKind::Person, 10);
    let replaced = |n: u8| Statement::KeyReplaced { account_key: key(n).public() };
    let revoke = Statement::DeviceRevoked { device: DeviceId([5; 16]) };
    assert!(matches!(say(&mut account, revoke, &key(99)), Err(LogRefused::Signer { .. })), "nothing but that");
    assert!(matches!(say(&mut account, replaced(12), &key(77)), Err(LogRefused::Signer { .. })));
    say(&mut account, replaced(12), &key(99)).unwrap();
    assert_eq!((account.replaced, account.account_key), (1, key(12).public()));
    assert!(matches!(say(&mut account, replaced(13), &key(10)), Err(LogRefused::Signer { .. })), "the old key");
    say(&mut account, replaced(13), &key(12)).unwrap();
    assert_eq!(account.replaced, 2);
}

#[test]
fn a_log_is_a_chain_of_its_own_and_not_without_end() {
    let mut account = open(AccountKind::Person, 10);
    let next = |n: u8| Statement::KeyReplaced { account_key: key(n).public() };
    let first = account.next_link(next(10), &key(10), NOW);
    account.append(&first).unwrap();
    assert!(matches!(account.append(&first), Err(LogRefused::Broken { index: 1 })), "an entry twice");
    let of_another = open(AccountKind::Person, 11).next_link(next(11), &key(11), NOW);
    assert!(matches!(account.append(&of_another), Err(LogRefused::Broken { .. })));
    let mut fork = open(AccountKind::Person, 10);
    fork.append(&fork.next_link(next(10), &key(10), NOW.plus_ms(1))).unwrap();
    let after_fork = fork.next_link(next(10), &key(10), NOW);
    assert!(matches!(account.append(&after_fork), Err(LogRefused::Broken { .. })), "it follows another entry");

    assert_eq!(account.hash_at(0), Some(Hash::of(&account.log().genesis)));
    assert_eq!(account.hash_at(1), Some(account.head.hash));
    assert_eq!((account.hash_at(2), account.hash_at(u64::MAX)), (None, None));

    let mut long = open(AccountKind::Person, 10);
    for _ in 0..LOG_ENTRIES_MAX {
        long.append(&long.next_link(next(10), &key(10), NOW)).unwrap();
    }
    assert!(Account::read(long.log()).is_ok());
    let mut log = long.log().clone();
    log.links.push(long.next_link(next(10), &key(10), NOW));
    assert_eq!(Account::read(&log), Err(LogRefused::TooLong { max: LOG_ENTRIES_MAX }));
}

#[test]
fn a_request_to_be_linked_is_good_once_and_for_ten_minutes() {
    let mut account = open(AccountKind::Person, 10);
    let asks = |device: u8, key_of: u8, left_ms: i64| {
        let (device, key) = (DeviceId([device; 16]), key(key_of).public());
        DeviceRequest { device, key, expires_at: NOW.plus_ms(left_ms) }
    };
    for left in [1 - SKEW_MS, 0, REQUEST_LIFE_MS, REQUEST_LIFE_MS + SKEW_MS] {
        assert_eq!(linking::check(&asks(5, 5, left), &account, NOW), Ok(()), "{left}");
    }
    for left in [-SKEW_MS, REQUEST_LIFE_MS + SKEW_MS + 1, i64::MIN, i64::MAX] {
        assert_eq!(linking::check(&asks(5, 5, left), &account, NOW), Err(Refused::RequestExpired), "{left}");
    }
    let certificate = certificate(&account, 5, DeviceRole::Person);
    say(&mut account, Statement::DeviceAdded(Signed::sign(&certificate, &key(10))), &key(10)).unwrap();
    for (device, key_of) in [(5, 5), (5, 6), (6, 5)] {
        assert_eq!(linking::check(&asks(device, key_of, 1), &account, NOW), Err(Refused::RequestUsed));
    }
    assert_eq!(linking::check(&asks(6, 6, 1), &account, NOW), Ok(()));
}

#[test]
fn both_see_the_same_sixty_digits() {
    let number = safety_number(key(1).public(), key(2).public());
    assert_eq!(number, safety_number(key(2).public(), key(1).public()));
    // Computed once with other tools: OpenSSL and a few lines of Python.
    assert_eq!(number, "29400 44689 57056 00808 46055 88964 98450 34130 24687 44589 45663 47146");
    assert_ne!(number, safety_number(key(1).public(), key(3).public()));
}
