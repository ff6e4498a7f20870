//! The rules of an invoice, each at its limit and one step beyond it.

use comptoir_content::{Amount, Currency, Invoice, Line, LineKind, MINOR_MAX, Payee};
use comptoir_engine::invoice::{check_payable, check_rules, sum_minor};
use comptoir_engine::{Refused, limits};

use crate::bakery::*;

fn check(change: impl FnOnce(&mut Invoice)) -> Result<(), Refused> {
    let mut bill = Shop::open(10).bill();
    change(&mut bill);
    check_rules(&bill)
}

fn rule(field: &'static str) -> Result<(), Refused> {
    Err(Refused::InvoiceRule { field })
}

fn line(kind: LineKind, quantity: u32, unit_minor: i64) -> Line {
    Line { label: "Something".to_owned(), quantity, unit_minor, kind }
}

/// The bill over these lines, with the total that they add up to.
fn over(lines: Vec<Line>) -> impl FnOnce(&mut Invoice) {
    |bill| {
        bill.total = eur(sum_minor(&lines).unwrap());
        bill.lines = lines;
    }
}

#[test]
fn texts_and_payload_have_lengths() {
    let too_long = |field, max| Err(Refused::TooLong { field, max });
    assert_eq!(check(|bill| bill.title = "é".repeat(limits::INVOICE_TITLE_CHARS_MAX)), Ok(()));
    assert_eq!(check(|bill| bill.title = "é".repeat(33)), too_long("title", 32));
    assert_eq!(check(|bill| bill.title = "  ".to_owned()), Err(Refused::Missing { field: "title" }));
    assert_eq!(check(|bill| bill.description = "x\n".repeat(127)), Ok(()));
    assert_eq!(check(|bill| bill.description = "x".repeat(256)), too_long("description", 255));
    assert_eq!(check(|bill| bill.lines[0].label = "x".repeat(64)), Ok(()));
    assert_eq!(check(|bill| bill.lines[0].label = "x".repeat(65)), too_long("line label", 64));
    assert_eq!(check(|bill| bill.payload = vec![0; limits::INVOICE_PAYLOAD_BYTES_MAX]), Ok(()));
    assert_eq!(check(|bill| bill.payload = vec![0; limits::INVOICE_PAYLOAD_BYTES_MAX + 1]), rule("payload"));
}

#[test]
fn lines_have_a_number_a_quantity_and_a_sign() {
    use LineKind::{Discount, Item, Shipping, Tax, Tip};
    let lines = |count| over(vec![line(Item, 1, 1); count]);
    assert_eq!(check(lines(limits::INVOICE_LINES_MAX)), Ok(()));
    assert_eq!(check(lines(limits::INVOICE_LINES_MAX + 1)), rule("lines"));
    assert_eq!(check(|bill| bill.lines.clear()), rule("lines"));
    assert_eq!(check(over(vec![line(Item, 0, 100), line(Item, 1, 100)])), rule("line"), "nothing of it");
    for kind in [Item, Tax, Shipping] {
        assert_eq!(check(over(vec![line(Item, 1, 100), line(kind, 1, 0)])), Ok(()), "{kind:?} for nothing");
        assert_eq!(check(over(vec![line(Item, 1, 100), line(kind, 1, -1)])), rule("line"), "{kind:?}");
    }
    assert_eq!(check(over(vec![line(Item, 1, 100), line(Discount, 1, -1)])), Ok(()));
    assert_eq!(check(over(vec![line(Item, 1, 100), line(Discount, 1, 0)])), rule("line"));
    assert_eq!(check(over(vec![line(Item, 1, 100), line(Discount, 1, 1)])), rule("line"));
    assert_eq!(check(over(vec![line(Item, 1, 100), line(Tip, 1, 10)])), rule("line"), "the customer's to give");
}

#[test]
fn sums_add_up_to_something_and_never_overflow() {
    use LineKind::{Discount, Item};
    assert_eq!(sum_minor(&[line(Item, 3, 120), line(Discount, 2, -50)]), Some(260));
    assert_eq!(sum_minor(&[line(Item, 1, MINOR_MAX)]), Some(MINOR_MAX));
    assert_eq!(sum_minor(&[line(Item, 1, MINOR_MAX), line(Item, 1, 1)]), None);
    assert_eq!(sum_minor(&[line(Discount, 1, -MINOR_MAX), line(Discount, 1, -1)]), None);
    assert_eq!(sum_minor(&[line(Item, u32::MAX, i64::MAX)]), None);
    assert_eq!(check(|bill| bill.lines = vec![line(Item, u32::MAX, i64::MAX)]), Err(Refused::InvoiceSums));
    assert_eq!(check(|bill| bill.total = eur(119)), Err(Refused::InvoiceSums));
    let dollars = Currency::of("USD").unwrap();
    assert_eq!(check(|bill| bill.total = Amount::new(120, dollars).unwrap()), Err(Refused::InvoiceSums));
    assert_eq!(check(over(vec![line(Item, 1, 100), line(Discount, 1, -100)])), rule("total"), "nothing to pay");
    assert_eq!(check(over(vec![line(Item, 1, 100), line(Discount, 1, -99)])), Ok(()));
}

#[test]
fn an_invoice_lives_from_five_minutes_to_thirty_days() {
    let lives = |ms| check(|bill| bill.expires_at = NOW.plus_ms(ms));
    assert_eq!(lives(300_000), Ok(()));
    assert_eq!(lives(299_999), rule("expiry"));
    assert_eq!(lives(30 * DAY_MS), Ok(()));
    assert_eq!(lives(30 * DAY_MS + 1), rule("expiry"));
}

#[test]
fn tips_are_few_rising_and_within_what_the_shop_takes() {
    let tips = |max: i64, tips: &[i64]| {
        check(|bill| {
            bill.tip_max_minor = max;
            bill.tips_minor = tips.to_vec();
        })
    };
    assert_eq!(tips(100, &[]), Ok(()));
    assert_eq!(tips(100, &[1, 20, 50, 100]), Ok(()));
    for wrong in [&[1, 2, 3, 4, 5][..], &[20, 20], &[50, 20], &[0, 20], &[-1], &[101]] {
        assert_eq!(tips(100, wrong), rule("tips"), "{wrong:?}");
    }
    assert_eq!(tips(-1, &[]), rule("tips"));
    assert_eq!(tips(MINOR_MAX, &[]), Ok(()));
    assert_eq!(tips(MINOR_MAX + 1, &[]), rule("tips"));
}

#[test]
fn payees_are_few_and_of_one_kind_of_money() {
    let payees = |payees: Vec<Payee>| check(|bill| bill.payees = payees);
    let payee = Shop::open(10).payee();
    assert_eq!(payees(vec![payee.clone(); limits::PAYEES_MAX]), Ok(()));
    assert_eq!(payees(vec![payee.clone(); limits::PAYEES_MAX + 1]), rule("payees"));
    assert_eq!(payees(vec![]), rule("payees"));
    let live = Payee { live: true, ..payee.clone() };
    assert_eq!(payees(vec![payee, live]), rule("payees"));
}

#[test]
fn it_is_payable_by_its_audience_and_in_its_time() {
    let shop = Shop::open(10);
    let judge = |change: fn(&mut Invoice), now_ms| {
        let mut bill = shop.bill();
        change(&mut bill);
        check_payable(&shop.signs(&bill), &shop.account, ALICE, NOW.plus_ms(now_ms))
    };
    assert_eq!(judge(|bill| bill.audience = None, 0), Ok(()), "anybody");
    assert_eq!(judge(|_| {}, DAY_MS - 1), Ok(()));
    assert_eq!(judge(|_| {}, DAY_MS), Err(Refused::InvoiceExpired));
    assert_eq!(judge(|_| {}, -limits::SKEW_MS), Ok(()), "clocks differ");
    assert_eq!(judge(|_| {}, -limits::SKEW_MS - 1), rule("issued_at"), "that much they do not");
}
