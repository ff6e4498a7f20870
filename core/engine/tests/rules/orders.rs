//! The shop's half: which orders it takes, and that no way of asking twice makes it take two.

use comptoir_content::{AccountId, Invoice, Needs, OrderId, OrderInfo, OrderPlaced, PaymentId, Timestamp};
use comptoir_engine::Refused;
use comptoir_engine::order::{Decision, Taken, decide, idempotency_key, may_open, reference};
use comptoir_engine::payment::State;

use crate::bakery::*;

const BOB: AccountId = AccountId([2; 20]);

struct Counter {
    shop: Shop,
    bill: Invoice,
}

impl Counter {
    fn open(change: impl FnOnce(&mut Invoice)) -> Self {
        let shop = Shop::open(10);
        let mut bill = shop.bill();
        bill.audience = None;
        bill.tip_max_minor = 50;
        change(&mut bill);
        Self { shop, bill }
    }

    /// Order and payment `n`, signed by the payer key `n`.
    fn order(&self, n: u8, change: impl FnOnce(&mut OrderPlaced)) -> OrderPlaced {
        let mut placed = OrderPlaced {
            invoice: self.bill.invoice,
            invoice_hash: self.shop.signs(&self.bill).hash(),
            order: OrderId([n; 16]),
            payment: PaymentId([n; 16]),
            attempt: 1,
            payer_key: key(n).public(),
            proof: [0; 64],
            tip_minor: 0,
            provider: "sandbox".to_owned(),
            info: OrderInfo::default(),
        };
        change(&mut placed);
        placed.prove(&key(n))
    }

    fn decides(&self, placed: &OrderPlaced, buyer: AccountId, taken: &[Taken]) -> Decision {
        self.decides_at(placed, buyer, taken, NOW)
    }

    fn decides_at(&self, placed: &OrderPlaced, buyer: AccountId, taken: &[Taken], now: Timestamp) -> Decision {
        decide(&self.shop.signs(&self.bill), placed, buyer, taken, now)
    }
}

/// What is in the books after `placed` was taken from `buyer`.
fn taken(placed: &OrderPlaced, buyer: AccountId, state: State) -> Taken {
    let &OrderPlaced { order, payment, attempt, payer_key, .. } = placed;
    Taken { buyer, order, payment, attempt, payer_key, state }
}

fn take(minor: i64) -> Decision {
    Decision::Take { amount: eur(minor) }
}

const LIVE: [State; 3] = [State::Starting, State::Requested, State::Unknown];

#[test]
fn an_order_is_taken_over_the_total_and_the_tip() {
    let counter = Counter::open(|_| {});
    assert_eq!(counter.decides(&counter.order(7, |_| {}), ALICE, &[]), take(120));
    assert_eq!(counter.decides(&counter.order(7, |order| order.tip_minor = 50), ALICE, &[]), take(170));
    for tip in [-1, 51] {
        let greedy = counter.order(7, |order| order.tip_minor = tip);
        assert_eq!(counter.decides(&greedy, ALICE, &[]), Decision::Refuse(Refused::Tip), "{tip}");
    }
}

#[test]
fn an_order_is_for_this_invoice_by_the_one_it_is_for() {
    let counter = Counter::open(|bill| bill.audience = Some(ALICE));
    let refused = |placed: &OrderPlaced, buyer, why| {
        assert_eq!(counter.decides(placed, buyer, &[]), Decision::Refuse(why));
    };
    assert_eq!(counter.decides(&counter.order(7, |_| {}), ALICE, &[]), take(120));
    refused(&counter.order(7, |_| {}), BOB, Refused::NotForYou);
    refused(&counter.order(7, |order| order.invoice.0[0] ^= 1), ALICE, Refused::InvoiceSignature);
    refused(&counter.order(7, |order| order.invoice_hash.0[0] ^= 1), ALICE, Refused::InvoiceSignature);
    refused(&counter.order(7, |order| order.provider = "elsewhere".to_owned()), ALICE, Refused::MethodNone);
    let mut altered = counter.order(7, |_| {});
    altered.tip_minor = 50;
    refused(&altered, ALICE, Refused::InvoiceSignature);
}

#[test]
fn an_order_comes_in_time_and_with_what_the_shop_needs() {
    let counter = Counter::open(|bill| bill.needs = Needs { name: true, ..Needs::default() });
    let named = counter.order(7, |order| order.info.name = "Alice".to_owned());
    assert_eq!(counter.decides_at(&named, ALICE, &[], NOW.plus_ms(DAY_MS - 1)), take(120));
    let late = counter.decides_at(&named, ALICE, &[], NOW.plus_ms(DAY_MS));
    assert_eq!(late, Decision::Refuse(Refused::InvoiceExpired));
    let nameless = counter.decides(&counter.order(7, |_| {}), ALICE, &[]);
    assert_eq!(nameless, Decision::Refuse(Refused::Info { field: "name" }));
    let broken = Counter::open(|bill| bill.total = eur(121));
    let refused = broken.decides(&broken.order(7, |_| {}), ALICE, &[]);
    assert_eq!(refused, Decision::Refuse(Refused::InvoiceSums), "what should never have been signed is not sold");
}

#[test]
fn the_same_attempt_twice_is_answered_again_whatever_became_of_it() {
    let counter = Counter::open(|_| {});
    let placed = counter.order(7, |_| {});
    for state in State::ALL {
        let books = [taken(&placed, ALICE, state)];
        assert_eq!(counter.decides(&placed, ALICE, &books), Decision::Again, "{state:?}");
        let late = counter.decides_at(&placed, ALICE, &books, NOW.plus_ms(DAY_MS));
        assert_eq!(late, Decision::Again, "{state:?} also after the invoice ran out");
    }
}

#[test]
fn a_new_attempt_waits_until_the_one_before_is_dead() {
    let counter = Counter::open(|_| {});
    let first = counter.order(7, |_| {});
    let second = counter.order(7, |order| order.attempt = 2);
    for state in LIVE {
        let decision = counter.decides(&second, ALICE, &[taken(&first, ALICE, state)]);
        assert_eq!(decision, Decision::Refuse(Refused::Checking), "{state:?}");
    }
    assert_eq!(counter.decides(&second, ALICE, &[taken(&first, ALICE, State::Dead)]), take(120));
    let paid = counter.decides(&second, ALICE, &[taken(&first, ALICE, State::Captured)]);
    assert_eq!(paid, Decision::Refuse(Refused::AlreadyPaid));
}

#[test]
fn a_single_use_invoice_has_one_slot_whoever_taps() {
    let counter = Counter::open(|_| {});
    let first = counter.order(7, |_| {});
    for (order, buyer) in [(counter.order(8, |_| {}), BOB), (counter.order(8, |_| {}), ALICE)] {
        for state in LIVE {
            let decision = counter.decides(&order, buyer, &[taken(&first, ALICE, state)]);
            assert_eq!(decision, Decision::Refuse(Refused::Checking), "{state:?}");
        }
        let paid = counter.decides(&order, buyer, &[taken(&first, ALICE, State::Captured)]);
        assert_eq!(paid, Decision::Refuse(Refused::AlreadyPaid));
        assert_eq!(counter.decides(&order, buyer, &[taken(&first, ALICE, State::Dead)]), take(120));
    }
}

#[test]
fn an_invoice_for_several_has_one_slot_a_buyer_and_no_more_payments_than_it_says() {
    let counter = Counter::open(|bill| bill.max_payments = 2);
    let first = counter.order(7, |_| {});
    let second = counter.order(8, |_| {});
    for state in LIVE {
        let books = [taken(&first, ALICE, state)];
        assert_eq!(counter.decides(&second, BOB, &books), take(120), "{state:?}: another buyer");
        assert_eq!(counter.decides(&second, ALICE, &books), Decision::Refuse(Refused::Checking), "{state:?}");
    }
    let one = taken(&first, ALICE, State::Captured);
    assert_eq!(counter.decides(&second, ALICE, &[one]), take(120), "once more");
    let two = taken(&second, BOB, State::Captured);
    let third = counter.decides(&counter.order(9, |_| {}), BOB, &[one, two]);
    assert_eq!(third, Decision::Refuse(Refused::AlreadyPaid));
}

#[test]
fn an_order_belongs_to_one_buyer_one_key_and_one_payment() {
    let counter = Counter::open(|bill| bill.max_payments = 9);
    let first = counter.order(7, |_| {});
    let books = [taken(&first, ALICE, State::Dead)];
    let again = |change: fn(&mut OrderPlaced)| {
        counter.order(7, |order| {
            order.attempt = 2;
            change(order);
        })
    };
    let refuse = Decision::Refuse(Refused::InvoiceSignature);
    assert_eq!(counter.decides(&again(|_| {}), ALICE, &books), take(120));
    assert_eq!(counter.decides(&again(|_| {}), BOB, &books), refuse, "another buyer");
    assert_eq!(counter.decides(&again(|order| order.payment.0[0] ^= 1), ALICE, &books), refuse, "another payment");
    let other_key = counter.order(8, |order| {
        order.order = OrderId([7; 16]);
        order.payment = PaymentId([7; 16]);
        order.attempt = 2;
    });
    assert_eq!(counter.decides(&other_key, ALICE, &books), refuse, "another payer key");
    let same_payment = counter.order(8, |order| order.payment = PaymentId([7; 16]));
    assert_eq!(counter.decides(&same_payment, BOB, &books), refuse, "the payment of another order");
}

#[test]
fn names_at_a_provider_are_one_for_each_attempt_and_operation() {
    let payment = PaymentId([7; 16]);
    assert_eq!(reference(payment, 2), format!("{payment}.2"));
    assert_eq!(idempotency_key(payment, 2, "create"), format!("{payment}.2.create"));
}

#[test]
fn a_bill_is_shown_to_whoever_may_still_pay_it() {
    let opens = |counter: &Counter, buyer, books: &[Taken], now| {
        may_open(&counter.shop.signs(&counter.bill), buyer, books, now)
    };
    let counter = Counter::open(|_| {});
    let placed = counter.order(7, |_| {});
    assert_eq!(opens(&counter, ALICE, &[], NOW), Ok(()));
    assert_eq!(opens(&counter, ALICE, &[], counter.bill.expires_at), Err(Refused::InvoiceExpired));
    for state in LIVE {
        let books = [taken(&placed, ALICE, state)];
        assert_eq!(opens(&counter, BOB, &books, NOW), Err(Refused::Checking), "{state:?}");
        assert_eq!(opens(&counter, ALICE, &books, NOW), Ok(()), "her own, on another phone");
    }
    let paid = [taken(&placed, ALICE, State::Captured)];
    assert_eq!(opens(&counter, BOB, &paid, NOW), Err(Refused::AlreadyPaid));
    assert_eq!(opens(&counter, BOB, &[taken(&placed, ALICE, State::Dead)], NOW), Ok(()), "it came to nothing");
    // Whoever comes too late hears that it is paid, not that it is over.
    assert_eq!(opens(&counter, BOB, &paid, counter.bill.expires_at), Err(Refused::AlreadyPaid));

    let for_two = Counter::open(|bill| bill.max_payments = 2);
    assert_eq!(opens(&for_two, BOB, &[taken(&placed, ALICE, State::Requested)], NOW), Ok(()));
    assert_eq!(opens(&for_two, BOB, &paid, NOW), Ok(()));
    let for_alice = Counter::open(|bill| bill.audience = Some(ALICE));
    assert_eq!(opens(&for_alice, BOB, &[], NOW), Err(Refused::NotForYou));
    assert_eq!(opens(&for_alice, ALICE, &[], NOW), Ok(()));
}
