//! Money that goes back: a statement of the same merchant about the same receipt, of an amount that can be. And which of
//! two account logs a receipt is judged by.

use comptoir_content::{
    AccountId, Amount, Currency, Hash, OrderId, Receipt, ReceiptFile, Refund, RefundId, Signed, Statement,
    TillCertificate, Verified,
};
use comptoir_engine::Refused;
use comptoir_engine::receipt::{Verdict, check_refund, verify};

use crate::bakery::*;
use crate::paying::placed;

fn receipt(shop: &Shop) -> (ReceiptFile, Verified<Receipt>) {
    let file = shop.receipt(&placed(shop), |_| {});
    let receipt = file.receipt.verify().unwrap();
    (file, receipt)
}

fn check(change: impl FnOnce(&mut Refund)) -> Result<(), Refused> {
    let mut shop = Shop::open(10);
    let (_, receipt) = receipt(&shop);
    // The same key may also sign for real money, so that only the statement can be wrong about it.
    let (from, until) = (NOW.plus_ms(-DAY_MS), NOW.plus_ms(DAY_MS));
    let live = TillCertificate { till: key(40).public(), term: 1, live: true, from, until };
    shop.account.append(&shop.account.next_link(Statement::TillCertified(live), &key(10), NOW)).unwrap();
    let mut refund = Refund {
        merchant: shop.account.id,
        term: 1,
        live: false,
        payer_key: receipt.payer_key,
        order: receipt.order,
        receipt_hash: receipt.hash(),
        refund: RefundId([8; 16]),
        amount: eur(50),
        refunded: eur(50),
        issued_at: NOW,
    };
    change(&mut refund);
    let signer = if refund.live { key(40) } else { shop.till };
    check_refund(&Signed::sign(&refund, &signer).verify().unwrap(), &shop.account, &receipt)
}

fn no(why: &'static str) -> Result<(), Refused> {
    Err(Refused::ReceiptUnverified { why })
}

#[test]
fn a_refund_is_of_this_receipt_by_this_merchant() {
    assert_eq!(check(|_| {}), Ok(()));
    let not_theirs = no("the refund is not signed by a till of this merchant");
    assert_eq!(check(|refund| refund.merchant = AccountId([7; 20])), not_theirs);
    assert_eq!(check(|refund| refund.term = 2), not_theirs);
    assert_eq!(check(|refund| refund.issued_at = NOW.plus_ms(91 * DAY_MS)), not_theirs);
    let another = no("the refund is for another receipt");
    assert_eq!(check(|refund| refund.receipt_hash = Hash([7; 32])), another);
    assert_eq!(check(|refund| refund.order = OrderId([6; 16])), another);
    assert_eq!(check(|refund| refund.payer_key = key(60).public()), another);
    assert_eq!(check(|refund| refund.live = true), no("it mixes practice and real money"));
}

#[test]
fn a_refund_is_something_and_never_more_than_was_paid() {
    let of = |amount: Amount, refunded: Amount| check(|refund| (refund.amount, refund.refunded) = (amount, refunded));
    let cannot_be = no("the refund's amount cannot be");
    assert_eq!(of(eur(120), eur(120)), Ok(()), "all of it");
    assert_eq!(of(eur(1), eur(120)), Ok(()), "the last part");
    assert_eq!(of(eur(1), eur(121)), Err(Refused::RefundTooLarge));
    assert_eq!(of(eur(0), eur(50)), cannot_be);
    assert_eq!(of(eur(-1), eur(50)), cannot_be);
    assert_eq!(of(eur(51), eur(50)), cannot_be, "more than all refunds together");
    let dollars = |minor| Amount::new(minor, Currency::of("USD").unwrap()).unwrap();
    assert_eq!(of(dollars(50), dollars(50)), cannot_be);
}

#[test]
fn a_receipt_is_judged_by_the_newer_of_two_logs_and_never_by_a_fork() {
    let shop = Shop::open(10);
    let (file, _) = receipt(&shop);
    let grow = |statement| {
        let mut account = shop.account.clone();
        account.append(&account.next_link(statement, &key(10), NOW)).unwrap();
        account
    };
    let revoked = grow(Statement::TillRevoked { till: shop.till.public(), since: NOW });
    assert!(matches!(verify(&file, None), Ok(Verdict::Holds(_))));
    assert!(verify(&file, Some(&revoked)).is_err(), "the log we know is newer");
    // The file brings a newer log than the one we know: an entry that changes nothing for this till.
    let (from, until) = (NOW, NOW.plus_ms(DAY_MS));
    let another = TillCertificate { till: key(41).public(), term: 2, live: false, from, until };
    let mut newer = file.clone();
    newer.log = grow(Statement::TillCertified(another)).log().clone();
    assert!(matches!(verify(&newer, Some(&shop.account)), Ok(Verdict::Holds(_))));
    let fork = Err(Refused::ReceiptUnverified { why: "the account log with it is not the one we know" });
    assert_eq!(verify(&newer, Some(&revoked)), fork);
    // What we know of somebody else says nothing here.
    assert!(matches!(verify(&file, Some(&Shop::open(20).account)), Ok(Verdict::Holds(_))));
}
