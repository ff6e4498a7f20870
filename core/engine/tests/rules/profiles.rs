//! A profile is signed by the account key of a business, and no longer than a screen shows.

use comptoir_content::{AccountId, Payee, Profile, Signed, SigningKey};
use comptoir_engine::profile::check;
use comptoir_engine::{Refused, limits};

use crate::bakery::*;

fn checked(by: &SigningKey, change: impl FnOnce(&mut Profile)) -> Result<(), Refused> {
    let shop = Shop::open(10);
    let mut profile = Profile {
        account: shop.account.id,
        revision: 1,
        name: "The Bakery".to_owned(),
        about: "Bread\nsince 1907".to_owned(),
        payees: vec![shop.payee()],
        issued_at: NOW,
    };
    change(&mut profile);
    check(&Signed::sign(&profile, by).verify().unwrap(), &shop.account)
}

#[test]
fn only_the_account_key_introduces_its_shop() {
    assert_eq!(checked(&key(10), |_| {}), Ok(()));
    assert_eq!(checked(&key(11), |_| {}), Err(Refused::ProfileSigner), "its till cannot");
    assert_eq!(checked(&key(10), |profile| profile.account = AccountId([7; 20])), Err(Refused::ProfileSigner));
}

#[test]
fn a_profile_has_limits() {
    let with = |change: fn(&mut Profile)| checked(&key(10), change);
    assert_eq!(with(|profile| profile.name = "é".repeat(limits::NAME_CHARS_MAX)), Ok(()));
    assert_eq!(with(|profile| profile.name = "é".repeat(65)), Err(Refused::TooLong { field: "name", max: 64 }));
    assert_eq!(with(|profile| profile.name = " ".to_owned()), Err(Refused::Missing { field: "name" }));
    assert_eq!(with(|profile| profile.name = "two\nlines".to_owned()), Err(Refused::BadText { field: "name" }));
    assert_eq!(with(|profile| profile.about = "x".repeat(255)), Ok(()));
    assert_eq!(with(|profile| profile.about = "x".repeat(256)), Err(Refused::TooLong { field: "about", max: 255 }));
    let payee = |n: usize| Payee { provider: "sandbox".to_owned(), account: format!("shop {n}"), live: false };
    let payees = |count: usize| checked(&key(10), |profile| profile.payees = (0..count).map(payee).collect());
    assert_eq!(payees(limits::PAYEES_MAX), Ok(()));
    assert_eq!(payees(limits::PAYEES_MAX + 1), Err(Refused::TooLong { field: "payees", max: limits::PAYEES_MAX }));
}
