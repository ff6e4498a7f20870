//! The customer's half against honest and dishonest shops: what is refused, with which reason, and that nothing but a
//! verified receipt ever says Paid.

use comptoir_content::{
    AccountId, AnswerBody, Disclosure, Hash, Invoice, NotPaid, OrderId, OrderInfo, PartBody, PaymentId, PaymentRequest,
    ReceiptFile, Salt, Signed, SigningKey, Statement,
};
use comptoir_engine::Refused;
use comptoir_engine::account::LogRefused;
use comptoir_engine::checkout::{Checkout, Choice, Effect, Input, SheetHint, State, step};
use comptoir_engine::invoice::check_payable;
use comptoir_engine::receipt::{Settled, Verdict, settles, verify};
use proptest::prelude::*;

use crate::bakery::*;

pub(crate) fn choice(n: u8) -> Box<Choice> {
    let (order, payment, payer) = (OrderId([n; 16]), PaymentId([n + 1; 16]), key(50));
    Box::new(Choice { tip_minor: 0, provider: None, info: OrderInfo::default(), order, payment, payer })
}

pub(crate) fn placed(shop: &Shop) -> Checkout {
    let offered = Checkout::offered(shop.signs(&shop.bill()));
    step(offered, Input::Place { choice: choice(7), merchant: &shop.account, key_changed: false }, NOW).unwrap().next
}

pub(crate) fn judged(checkout: &Checkout, file: &ReceiptFile) -> Result<Settled, Refused> {
    let order = checkout.order.as_ref().unwrap();
    let verdict = verify(file, None)?;
    settles(&verdict, &checkout.invoice, order.order, order.payer_key, order.tip_minor)
}

#[test]
fn a_receipt_for_anything_else_is_refused_with_the_reason() {
    let (shop, other) = (Shop::open(10), Shop::open(20));
    let checkout = placed(&shop);
    assert!(judged(&checkout, &shop.receipt(&checkout, |_| {})).is_ok());
    let no = |why| Err(Refused::ReceiptUnverified { why });
    let cases: [(&str, Result<Settled, Refused>, ReceiptFile); 6] = [
        ("other merchant", no("it is of another merchant"), other.receipt(&checkout, |_| {})),
        (
            "other invoice",
            no("it is for another invoice"),
            shop.receipt(&checkout, |receipt| receipt.invoice_hash = Hash([9; 32])),
        ),
        (
            "other order",
            no("it is for another order"),
            shop.receipt(&checkout, |receipt| receipt.order = OrderId([9; 16])),
        ),
        (
            "other payer",
            no("it is for another order"),
            shop.receipt(&checkout, |receipt| receipt.payer_key = key(60).public()),
        ),
        ("other amount", Err(Refused::AmountDiffers), shop.receipt(&checkout, |receipt| receipt.amount = eur(119))),
        (
            "other term",
            no("the merchant did not certify the till that signed it"),
            shop.receipt(&checkout, |receipt| receipt.term = 2),
        ),
    ];
    for (what, expected, file) in cases {
        assert_eq!(judged(&checkout, &file), expected, "{what}");
    }
    let mut stolen = other.receipt(&checkout, |receipt| receipt.merchant = shop.account.id);
    stolen.log = shop.account.log().clone();
    assert_eq!(judged(&checkout, &stolen), no("the merchant did not certify the till that signed it"));
    let mut altered = shop.receipt(&checkout, |_| {});
    let mut bytes = altered.receipt.encode();
    *bytes.last_mut().unwrap() ^= 1;
    altered.receipt = Signed::decode(&bytes).unwrap();
    assert_eq!(judged(&checkout, &altered), no("its signature does not hold"));
    let mut mixed = shop.receipt(&checkout, |_| {});
    mixed.log = other.account.log().clone();
    assert_eq!(judged(&checkout, &mixed), no("it names another merchant than the account log with it"));
    let mut swapped = shop.receipt(&checkout, |_| {});
    swapped.disclosures[0] =
        Disclosure::new(&PartBody::Lines { title: "Caviar".to_owned(), lines: Vec::new() }, Salt([4; 32]));
    assert_eq!(judged(&checkout, &swapped), no("a disclosed part is not the one that was signed"));
}

#[test]
fn the_same_receipt_twice_is_fine_and_another_one_is_not() {
    let shop = Shop::open(10);
    let checkout = placed(&shop);
    let settled = judged(&checkout, &shop.receipt(&checkout, |_| {})).unwrap();
    let paid = step(checkout.clone(), Input::Settled(settled.clone()), NOW).unwrap().next;
    assert_eq!(paid.state, State::Paid);
    let again = step(paid.clone(), Input::Settled(settled), NOW).unwrap();
    assert_eq!((again.next, again.effects), (paid.clone(), vec![]));
    let second = judged(&checkout, &shop.receipt(&checkout, |receipt| receipt.previous = Some(Hash([1; 32])))).unwrap();
    assert_eq!(step(paid, Input::Settled(second), NOW), Err(Refused::AlreadyPaid));
}

#[test]
fn a_till_revoked_later_leaves_the_date_unproven_and_pays_nothing_new() {
    let mut shop = Shop::open(10);
    let checkout = placed(&shop);
    let file = shop.receipt(&checkout, |_| {});
    let revoked = Statement::TillRevoked { till: shop.till.public(), since: NOW.plus_ms(1) };
    let link = shop.account.next_link(revoked, &key(10), NOW);
    shop.account.append(&link).unwrap();
    assert!(matches!(verify(&file, Some(&shop.account)), Ok(Verdict::DateUnproven(_))));
    let at_once = Statement::TillRevoked { till: shop.till.public(), since: NOW };
    let link = shop.account.next_link(at_once, &key(10), NOW);
    shop.account.append(&link).unwrap();
    let refused = Refused::ReceiptUnverified { why: "the merchant did not certify the till that signed it" };
    assert_eq!(verify(&file, Some(&shop.account)), Err(refused));
}

#[test]
fn an_invoice_that_breaks_a_rule_is_not_payable() {
    let (shop, other) = (Shop::open(10), Shop::open(20));
    let judge = |change: fn(&mut Invoice)| {
        let mut bill = shop.bill();
        change(&mut bill);
        check_payable(&shop.signs(&bill), &shop.account, ALICE, NOW)
    };
    assert_eq!(judge(|_| {}), Ok(()));
    assert_eq!(judge(|bill| bill.total = eur(121)), Err(Refused::InvoiceSums));
    assert_eq!(judge(|bill| bill.lines[0].unit_minor = -120), Err(Refused::InvoiceRule { field: "line" }));
    assert_eq!(judge(|bill| bill.audience = Some(AccountId([2; 20]))), Err(Refused::NotForYou));
    assert_eq!(judge(|bill| bill.expires_at = NOW.plus_ms(1000)), Err(Refused::InvoiceRule { field: "expiry" }));
    assert_eq!(judge(|bill| bill.payees.clear()), Err(Refused::InvoiceRule { field: "payees" }));
    assert_eq!(judge(|bill| bill.max_payments = 0), Err(Refused::InvoiceRule { field: "max_payments" }));
    assert_eq!(judge(|bill| bill.tips_minor = vec![5]), Err(Refused::InvoiceRule { field: "tips" }));
    assert_eq!(judge(|bill| bill.title = "pay\u{202E}me".to_owned()), Err(Refused::BadText { field: "title" }));
    assert_eq!(judge(|bill| bill.term = 2), Err(Refused::InvoiceSignature));
    assert_eq!(judge(|bill| bill.live = true), Err(Refused::InvoiceSignature));
    let forged = other.signs(&shop.bill());
    assert_eq!(check_payable(&forged, &shop.account, ALICE, NOW), Err(Refused::InvoiceSignature));
    let late = check_payable(&shop.signs(&shop.bill()), &shop.account, ALICE, NOW.plus_ms(DAY_MS));
    assert_eq!(late, Err(Refused::InvoiceExpired));
}

#[test]
fn money_only_goes_where_the_shop_vouches_for() {
    let (shop, other) = (Shop::open(10), Shop::open(20));
    let checkout = placed(&shop);
    let payees = [shop.payee()];
    let asks = |signer: &SigningKey, change: fn(&mut PaymentRequest)| {
        let mut request = shop.request();
        change(&mut request);
        let answer = Signed::sign(&shop.answers(&checkout, AnswerBody::Requested(request)), signer).verify().unwrap();
        step(checkout.clone(), Input::Answered { answer, merchant: &shop.account, payees: &payees }, NOW)
            .map(|step| step.effects)
    };
    assert_eq!(asks(&shop.till, |_| {}), Ok(vec![Effect::OpenSheet(shop.request())]));
    assert_eq!(asks(&shop.till, |request| request.account = "the-thief".to_owned()), Err(Refused::PayeeUnknown));
    assert_eq!(asks(&shop.till, |request| request.provider = "stripe".to_owned()), Err(Refused::PayeeUnknown));
    assert_eq!(asks(&shop.till, |request| request.amount = eur(1200)), Err(Refused::AmountDiffers));
    assert_eq!(asks(&other.till, |_| {}), Err(Refused::InvoiceSignature));
}

#[test]
fn a_shop_whose_key_changed_is_not_paid_before_somebody_looked() {
    let shop = Shop::open(10);
    let offered = Checkout::offered(shop.signs(&shop.bill()));
    let tap = |key_changed| Input::Place { choice: choice(7), merchant: &shop.account, key_changed };
    assert_eq!(step(offered.clone(), tap(true), NOW), Err(Refused::KeyChanged));
    assert_eq!(step(offered, tap(false), NOW).unwrap().next.state, State::Placed);
}

#[test]
fn the_tip_of_an_order_stays_what_it_was_first() {
    let shop = Shop::open(10);
    let mut bill = shop.bill();
    bill.tip_max_minor = 50;
    let tap = |tip_minor| Input::Place {
        choice: Box::new(Choice { tip_minor, ..*choice(7) }),
        merchant: &shop.account,
        key_changed: false,
    };
    let first = step(Checkout::offered(shop.signs(&bill)), tap(20), NOW).unwrap().next;
    assert_eq!(first.order.as_ref().unwrap().tip_minor, 20);
    let over = AnswerBody::NotPaid(NotPaid { reason: "card.declined".to_owned(), words: String::new() });
    let answer = Signed::sign(&shop.answers(&first, over), &shop.till).verify().unwrap();
    let not_paid = step(first, Input::Answered { answer, merchant: &shop.account, payees: &[] }, NOW).unwrap().next;
    // A receipt over the first sum may still come, and would not fit another one.
    assert_eq!(step(not_paid.clone(), tap(30), NOW), Err(Refused::TipFixed));
    assert_eq!(step(not_paid, tap(20), NOW).unwrap().next.order.unwrap().attempt, 2);
}

#[test]
fn another_try_is_another_attempt_of_the_same_payment() {
    let shop = Shop::open(10);
    let first = placed(&shop);
    let over = AnswerBody::NotPaid(NotPaid { reason: "card.declined".to_owned(), words: String::new() });
    let answer = Signed::sign(&shop.answers(&first, over), &shop.till).verify().unwrap();
    let not_paid =
        step(first.clone(), Input::Answered { answer, merchant: &shop.account, payees: &[] }, NOW).unwrap().next;
    assert_eq!(not_paid.state, State::NotPaid);
    let second = step(not_paid, Input::Place { choice: choice(30), merchant: &shop.account, key_changed: false }, NOW)
        .unwrap()
        .next;
    let (before, after) = (first.order.unwrap(), second.order.unwrap());
    assert_eq!((after.order, after.payment, after.payer_key), (before.order, before.payment, before.payer_key));
    assert_eq!((before.attempt, after.attempt), (1, 2));
    assert!(after.check_proof().is_ok());
}

#[test]
fn a_log_believes_only_its_own_keys_in_their_order() {
    let (shop, other) = (Shop::open(10), Shop::open(20));
    let replaced = Statement::KeyReplaced { account_key: key(70).public() };
    let mut account = shop.account.clone();
    let by_stranger = account.next_link(replaced.clone(), &key(80), NOW);
    assert_eq!(account.append(&by_stranger), Err(LogRefused::Signer { index: 1 }));
    let recovered = account.next_link(replaced, &key(99), NOW);
    account.append(&recovered).unwrap();
    assert_eq!((account.account_key, account.replaced), (key(70).public(), 1));
    let by_recovery_key =
        account.next_link(Statement::TillRevoked { till: shop.till.public(), since: NOW }, &key(99), NOW);
    assert_eq!(account.append(&by_recovery_key), Err(LogRefused::Signer { index: 2 }));
    let by_old_key = account.next_link(Statement::TillRevoked { till: shop.till.public(), since: NOW }, &key(10), NOW);
    assert_eq!(account.append(&by_old_key), Err(LogRefused::Signer { index: 2 }));
    assert_eq!(shop.account.grow(other.account.log()), Err(LogRefused::OtherAccount));
    assert_eq!(account.grow(shop.account.log()), Err(LogRefused::Forked));
    assert_eq!(shop.account.grow(account.log()).unwrap(), account);
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Tap,
    Requested,
    Checking,
    NotPaid,
    Sheet(bool),
    Receipt,
    Wake(i64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        Just(Move::Tap),
        Just(Move::Requested),
        Just(Move::Checking),
        Just(Move::NotPaid),
        any::<bool>().prop_map(Move::Sheet),
        Just(Move::Receipt),
        (0i64..3_600_000).prop_map(Move::Wake),
    ]
}

proptest! {
    #[test]
    fn only_a_receipt_says_paid_and_nothing_takes_it_back(moves in proptest::collection::vec(moves(), 1..30)) {
        let shop = Shop::open(10);
        let payees = [shop.payee()];
        let mut checkout = Checkout::offered(shop.signs(&shop.bill()));
        let (mut now, mut receipted, mut orders) = (NOW, false, 0);
        for (number, made) in moves.into_iter().enumerate() {
            let answer = |body| Signed::sign(&shop.answers(&checkout, body), &shop.till).verify().unwrap();
            let input = match made {
                Move::Tap => Input::Place {
                    choice: choice(u8::try_from(100 + number).unwrap()),
                    merchant: &shop.account,
                    key_changed: false,
                },
                _ if checkout.order.is_none() => continue,
                Move::Requested => Input::Answered { answer: answer(AnswerBody::Requested(shop.request())), merchant: &shop.account, payees: &payees },
                Move::Checking => Input::Answered { answer: answer(AnswerBody::Checking), merchant: &shop.account, payees: &payees },
                Move::NotPaid => {
                    let over = NotPaid { reason: "card.declined".to_owned(), words: String::new() };
                    Input::Answered { answer: answer(AnswerBody::NotPaid(over)), merchant: &shop.account, payees: &payees }
                }
                Move::Sheet(done) => Input::SheetClosed(if done { SheetHint::Done } else { SheetHint::Canceled }),
                Move::Receipt => Input::Settled(judged(&checkout, &shop.receipt(&checkout, |_| {})).unwrap()),
                Move::Wake(ms) => {
                    now = now.plus_ms(ms);
                    Input::Woken { random: 7 }
                }
            };
            let live_before = checkout.state.is_unresolved();
            let is_tap = matches!(made, Move::Tap);
            receipted |= matches!(made, Move::Receipt);
            if let Ok(step) = step(checkout.clone(), input, now) {
                let sent = step.effects.iter().filter(|effect| matches!(effect, Effect::SendOrder(_))).count();
                prop_assert!(sent == 0 || (is_tap && !live_before), "an order left while another was unresolved");
                orders += sent;
                checkout = step.next;
            }
            let paid = matches!(checkout.state, State::Paid | State::PartRefunded | State::Refunded);
            prop_assert_eq!(paid, receipted);
            prop_assert!(checkout.order.as_ref().is_none_or(|order| order.attempt as usize == orders));
        }
    }
}
