//! The customer's half, step by step: what each input makes of a checkout, when it looks again, and what it asks or sends.

use comptoir_content::{
    AnswerBody, AskPayment, Handoff, Invoice, Needs, NotPaid, OrderInfo, OrderPlaced, Payee, PaymentAnswer,
    PaymentRequest, Signed, Verified,
};
use comptoir_engine::Refused;
use comptoir_engine::checkout::{Checkout, Choice, Effect, Input, SheetHint, State, Step, step};

use crate::bakery::*;
use crate::paying::{choice, judged, placed};

/// A checkout of the Bakery's in each state, on its way from the offer to the end.
fn at(shop: &Shop, state: State) -> Checkout {
    let next = |checkout: Checkout, input: Input<'_>| step(checkout, input, NOW).unwrap().next;
    let requested = || next(placed(shop), answer(shop, &placed(shop), AnswerBody::Requested(shop.request())));
    match state {
        State::Offered => Checkout::offered(shop.signs(&shop.bill())),
        State::Placed => placed(shop),
        State::AwaitingConsent => requested(),
        State::Settling => next(requested(), Input::SheetClosed(SheetHint::Done)),
        State::NotPaid => next(placed(shop), answer(shop, &placed(shop), not_paid("card.declined"))),
        State::Paid => {
            let checkout = requested();
            let settled = judged(&checkout, &shop.receipt(&checkout, |_| {})).unwrap();
            next(checkout, Input::Settled(settled))
        }
        State::Expired => {
            let offered = Checkout::offered(shop.signs(&shop.bill()));
            step(offered, Input::Woken { random: 0 }, NOW.plus_ms(DAY_MS)).unwrap().next
        }
        State::PartRefunded | State::Refunded => unreachable!("refunds have a file of their own"),
    }
}

const UNRESOLVED: [State; 3] = [State::Placed, State::AwaitingConsent, State::Settling];

fn not_paid(reason: &str) -> AnswerBody {
    AnswerBody::NotPaid(NotPaid { reason: reason.to_owned(), words: String::new() })
}

fn signed(shop: &Shop, answer: &PaymentAnswer) -> Verified<PaymentAnswer> {
    Signed::sign(answer, &shop.till).verify().unwrap()
}

fn answer<'a>(shop: &'a Shop, about: &Checkout, body: AnswerBody) -> Input<'a> {
    let answer = signed(shop, &shop.answers(about, body));
    Input::Answered { answer, merchant: &shop.account, payees: payees() }
}

/// What the Bakery's profile says.
fn payees() -> &'static [Payee] {
    Box::leak(vec![Shop::open(10).payee()].into_boxed_slice())
}

fn ask(checkout: &Checkout) -> Effect {
    let order = checkout.order.as_ref().unwrap();
    Effect::Ask(AskPayment { order: order.order, payment: order.payment, attempt: order.attempt })
}

fn waits(step: &Step) -> Option<i64> {
    step.next.wake_at.map(|at| at.since_ms(NOW))
}

#[test]
fn names_are_stable_and_nothing_unresolved_is_paid_again() {
    let names = [
        "offered",
        "placed",
        "awaiting_consent",
        "settling",
        "not_paid",
        "paid",
        "part_refunded",
        "refunded",
        "expired",
    ];
    assert_eq!(State::ALL.map(State::name), names);
    assert_eq!(names.map(State::named), State::ALL.map(Some));
    assert_eq!(State::named("done"), None);
    let unresolved: Vec<State> = State::ALL.into_iter().filter(|state| state.is_unresolved()).collect();
    assert_eq!(unresolved, UNRESOLVED);
    let shop = Shop::open(10);
    let tap = || Input::Place { choice: choice(30), merchant: &shop.account, key_changed: false };
    for state in UNRESOLVED {
        assert_eq!(step(at(&shop, state), tap(), NOW), Err(Refused::Checking), "{state:?}");
    }
    assert_eq!(step(at(&shop, State::Paid), tap(), NOW), Err(Refused::AlreadyPaid));
    assert_eq!(step(at(&shop, State::Expired), tap(), NOW.plus_ms(DAY_MS)), Err(Refused::InvoiceExpired));
}

#[test]
fn a_tap_sends_the_order_and_looks_again_in_eight_seconds() {
    let shop = Shop::open(10);
    for before in [State::Offered, State::NotPaid] {
        let mut checkout = at(&shop, before);
        (checkout.asks, checkout.request) = (5, Some(shop.request()));
        let tap = Input::Place { choice: choice(7), merchant: &shop.account, key_changed: false };
        let tapped = step(checkout, tap, NOW).unwrap();
        let order = tapped.next.order.clone().unwrap();
        assert_eq!(tapped.effects, [Effect::SendOrder(order.clone())], "{before:?}");
        assert_eq!((tapped.next.state, waits(&tapped), tapped.next.asks), (State::Placed, Some(8_000), 0));
        assert_eq!((&tapped.next.request, &tapped.next.not_paid), (&None, &None));
        assert_eq!((order.provider.as_str(), order.invoice_hash), ("sandbox", tapped.next.invoice.hash()));
        assert!(order.check_proof().is_ok());
    }
}

#[test]
fn a_choice_is_one_that_the_invoice_offers() {
    let shop = Shop::open(10);
    let mut bill = shop.bill();
    bill.tip_max_minor = 50;
    bill.payees.push(Payee { provider: "stripe".to_owned(), account: "acct_1".to_owned(), live: false });
    let tap = |change: fn(&mut Choice)| {
        let mut choice = choice(7);
        change(&mut choice);
        let offered = Checkout::offered(shop.signs(&bill));
        step(offered, Input::Place { choice, merchant: &shop.account, key_changed: false }, NOW)
            .map(|step| step.next.order.unwrap())
    };
    let order = |change| tap(change).unwrap();
    assert_eq!(order(|choice| choice.tip_minor = 50).tip_minor, 50);
    assert_eq!(tap(|choice| choice.tip_minor = 51), Err(Refused::Tip));
    assert_eq!(tap(|choice| choice.tip_minor = -1), Err(Refused::Tip));
    assert_eq!(order(|choice| choice.provider = Some("stripe".to_owned())).provider, "stripe");
    assert_eq!(tap(|choice| choice.provider = Some("elsewhere".to_owned())), Err(Refused::MethodNone));
    assert_eq!(order(|choice| choice.info.name = "Alice".to_owned()).info.name, "Alice");
}

#[test]
fn what_the_shop_needs_to_know_has_to_look_like_it() {
    let shop = Shop::open(10);
    let place = |needs: Needs, info: OrderInfo| {
        let bill = Invoice { needs, ..shop.bill() };
        let choice = Box::new(Choice { info, ..*choice(7) });
        let offered = Checkout::offered(shop.signs(&bill));
        step(offered, Input::Place { choice, merchant: &shop.account, key_changed: false }, NOW).map(drop)
    };
    let none = Needs::default();
    let missing = |field| Err(Refused::Info { field });
    let name = |name: &str| OrderInfo { name: name.to_owned(), ..OrderInfo::default() };
    assert_eq!(place(Needs { name: true, ..none }, name("Alice")), Ok(()));
    assert_eq!(place(Needs { name: true, ..none }, name("  ")), missing("name"));
    assert_eq!(place(none, name("")), Ok(()));
    let phone = |phone: &str| OrderInfo { phone: phone.to_owned(), ..OrderInfo::default() };
    for good in ["+1234567", "+331426853001234"] {
        assert_eq!(place(Needs { phone: true, ..none }, phone(good)), Ok(()), "{good}");
    }
    for bad in ["331426853", "+123456", "+1234567890123456", "+33 1 42", "+"] {
        assert_eq!(place(none, phone(bad)), missing("phone"), "{bad}: also when nobody asked");
    }
    assert_eq!(place(Needs { phone: true, ..none }, phone("")), missing("phone"));
    assert_eq!(place(none, phone("")), Ok(()));
    let email = |email: &str| OrderInfo { email: email.to_owned(), ..OrderInfo::default() };
    assert_eq!(place(Needs { email: true, ..none }, email("alice@example.org")), Ok(()));
    let long = format!("{}@example.org", "a".repeat(254 - 12));
    assert_eq!(place(none, email(&long)), Ok(()));
    assert_eq!(place(none, email(&format!("a{long}"))), missing("email"));
    for bad in ["alice", "@example.org", "alice@org", "alice@example..org", "a@b@c.org", "al ice@example.org"] {
        assert_eq!(place(none, email(bad)), missing("email"), "{bad}");
    }
    assert_eq!(place(Needs { email: true, ..none }, email("")), missing("email"));
    assert_eq!(place(Needs { address: true, ..none }, OrderInfo::default()), Err(Refused::UpdateApp));
}

#[test]
fn a_hand_off_opens_the_sheet_once() {
    let shop = Shop::open(10);
    let requested =
        step(placed(&shop), answer(&shop, &placed(&shop), AnswerBody::Requested(shop.request())), NOW).unwrap();
    assert_eq!(requested.effects, [Effect::OpenSheet(shop.request())]);
    assert_eq!((requested.next.state, requested.next.asks), (State::AwaitingConsent, 0));
    assert_eq!(requested.next.request, Some(shop.request()));
    assert_eq!(waits(&requested), Some(900_000), "until it runs out");
    let checkout = requested.next;
    let again = step(checkout.clone(), answer(&shop, &checkout, AnswerBody::Requested(shop.request())), NOW).unwrap();
    assert_eq!((&again.next, again.effects.len()), (&checkout, 0));
    // Once it could have been used, asking for it again changes nothing.
    let settling = at(&shop, State::Settling);
    let late = step(settling.clone(), answer(&shop, &settling, AnswerBody::Requested(shop.request())), NOW).unwrap();
    assert_eq!((late.next, late.effects.len()), (settling, 0));
    // "Checking" overtook it: nobody can have used it.
    let mut overtaken = at(&shop, State::Settling);
    overtaken.request = None;
    let input = answer(&shop, &overtaken, AnswerBody::Requested(shop.request()));
    assert_eq!(step(overtaken, input, NOW).unwrap().next.state, State::AwaitingConsent);
    // One that has run out by now may have been used on the way.
    let old = PaymentRequest { expires_at: NOW, ..shop.request() };
    let gone = step(placed(&shop), answer(&shop, &placed(&shop), AnswerBody::Requested(old)), NOW).unwrap();
    assert_eq!((gone.next.state, gone.effects), (State::Settling, vec![ask(&placed(&shop))]));
}

#[test]
fn money_is_asked_for_as_agreed_and_nowhere_else() {
    let shop = Shop::open(10);
    let request = |change: fn(&mut PaymentRequest)| {
        let mut request = shop.request();
        change(&mut request);
        step(placed(&shop), answer(&shop, &placed(&shop), AnswerBody::Requested(request)), NOW).map(drop)
    };
    assert_eq!(request(|_| {}), Ok(()));
    assert_eq!(request(|request| request.amount = eur(121)), Err(Refused::AmountDiffers));
    let dollars = |request: &mut PaymentRequest| {
        let usd = comptoir_content::Currency::of("USD").unwrap();
        request.amount = comptoir_content::Amount::new(120, usd).unwrap();
    };
    assert_eq!(request(dollars), Err(Refused::AmountDiffers));
    assert_eq!(request(|request| request.account = "a-thief".to_owned()), Err(Refused::PayeeUnknown));
    assert_eq!(request(|request| request.provider = "stripe".to_owned()), Err(Refused::PayeeUnknown));
    // In the profile and not in the invoice, or the other way round: neither alone is enough.
    let other = Payee { account: "the-other".to_owned(), ..shop.payee() };
    let to_other = PaymentRequest { account: "the-other".to_owned(), ..shop.request() };
    for payees in [vec![shop.payee(), other.clone()], vec![other]] {
        let answer = signed(&shop, &shop.answers(&placed(&shop), AnswerBody::Requested(to_other.clone())));
        let input = Input::Answered { answer, merchant: &shop.account, payees: &payees };
        assert_eq!(step(placed(&shop), input, NOW), Err(Refused::PayeeUnknown));
    }
    let answer = signed(&shop, &shop.answers(&placed(&shop), AnswerBody::Requested(shop.request())));
    let input = Input::Answered { answer, merchant: &shop.account, payees: &[] };
    assert_eq!(step(placed(&shop), input, NOW), Err(Refused::PayeeUnknown));
}

#[test]
fn a_payment_page_is_opened_over_tls_or_on_this_machine() {
    let shop = Shop::open(10);
    let open = |url: &str| {
        let handoff = Handoff::Page { url: url.to_owned() };
        let request = PaymentRequest { handoff, ..shop.request() };
        step(placed(&shop), answer(&shop, &placed(&shop), AnswerBody::Requested(request)), NOW).map(drop)
    };
    for good in [
        "https://pay.example/1?a=b#c",
        "https://pay.example:8443/@bakery?for=alice@example.org#@",
        "https://pay.example/?for=a\\b",
        "http://127.0.0.1:8090/pay/1",
        "http://localhost/1",
        "http://[::1]:1/",
        "http://[::1]/",
    ] {
        assert_eq!(open(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "https://",
        "http://pay.example/1",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "intent://pay",
        "https://bank.example@evil.example/",
        "https://bank.example:443@evil.example/",
        "https://bank.example\\@evil.example/",
        "https:///bank.example",
        "https://:443/",
        "HTTPS://pay.example/1",
        "http://localhost@evil.example/",
        "https://pay.example/ 1",
        "https://pay.example/\u{1b}[2J",
        "https://pаy.example/1",
    ] {
        assert_eq!(open(bad), Err(Refused::BadText { field: "page address" }), "{bad:?}");
    }
    let long = format!("https://pay.example/{}", "x".repeat(2048));
    assert_eq!(open(&long), Err(Refused::TooLong { field: "page address", max: 2048 }));
}

#[test]
fn a_reason_that_is_no_key_is_a_failure_all_the_same() {
    let shop = Shop::open(10);
    let reason = |reason: &str| {
        let over = step(placed(&shop), answer(&shop, &placed(&shop), not_paid(reason)), NOW).unwrap().next;
        assert_eq!(over.state, State::NotPaid);
        over.not_paid.unwrap().reason
    };
    assert_eq!(reason("card.declined_2"), "card.declined_2");
    for odd in ["", "Card declined", "\u{1b}[2J", &"x".repeat(65)] {
        assert_eq!(reason(odd), "submit.failed", "{odd:?}");
    }
}

#[test]
fn an_answer_is_about_this_very_attempt() {
    let shop = Shop::open(10);
    let answered = |change: fn(&mut PaymentAnswer)| {
        let mut answer = shop.answers(&placed(&shop), not_paid("card.declined"));
        change(&mut answer);
        let answer = signed(&shop, &answer);
        step(placed(&shop), Input::Answered { answer, merchant: &shop.account, payees: payees() }, NOW)
            .map(|step| step.next.state)
    };
    assert_eq!(answered(|_| {}), Ok(State::NotPaid));
    assert_eq!(answered(|answer| answer.attempt = 2), Ok(State::Placed), "an echo of another attempt");
    let changes: [fn(&mut PaymentAnswer); 4] = [
        |answer| answer.order.0[0] ^= 1,
        |answer| answer.payment.0[0] ^= 1,
        |answer| answer.payer_key.0[0] ^= 1,
        |answer| answer.invoice_hash.0[0] ^= 1,
    ];
    for change in changes {
        assert!(matches!(answered(change), Err(Refused::OutOfOrder { .. })));
    }
    let not_theirs: [fn(&mut PaymentAnswer); 3] =
        [|answer| answer.merchant.0[0] ^= 1, |answer| answer.term = 2, |answer| answer.live = true];
    for change in not_theirs {
        assert_eq!(answered(change), Err(Refused::InvoiceSignature));
    }
}

#[test]
fn a_final_no_is_kept_with_its_reason_and_checking_changes_nothing() {
    let shop = Shop::open(10);
    for state in UNRESOLVED {
        let checkout = at(&shop, state);
        let over = step(checkout.clone(), answer(&shop, &checkout, not_paid("card.declined")), NOW).unwrap();
        assert_eq!((over.next.state, waits(&over), &over.next.request), (State::NotPaid, None, &None), "{state:?}");
        assert_eq!(over.next.not_paid.unwrap().reason, "card.declined");
        let checking = step(checkout.clone(), answer(&shop, &checkout, AnswerBody::Checking), NOW).unwrap();
        assert_eq!((checking.next, checking.effects.len()), (checkout, 0), "{state:?}");
    }
    let paid = at(&shop, State::Paid);
    let late = step(paid.clone(), answer(&shop, &paid, not_paid("card.declined")), NOW).unwrap();
    assert_eq!(late.next, paid);
}

#[test]
fn whatever_the_sheet_says_the_till_is_asked() {
    let shop = Shop::open(10);
    for hint in [SheetHint::Done, SheetHint::Canceled, SheetHint::Failed] {
        for state in [State::AwaitingConsent, State::Settling] {
            let mut checkout = at(&shop, state);
            checkout.asks = 5;
            let closed = step(checkout.clone(), Input::SheetClosed(hint), NOW).unwrap();
            assert_eq!((closed.next.state, closed.next.asks, waits(&closed)), (State::Settling, 0, Some(8_000)));
            assert_eq!(closed.effects, [ask(&checkout)]);
        }
        for state in [State::Paid, State::NotPaid] {
            let stays = step(at(&shop, state), Input::SheetClosed(hint), NOW).unwrap();
            assert_eq!((stays.next, stays.effects.len()), (at(&shop, state), 0));
        }
    }
}

#[test]
fn while_nothing_is_heard_it_asks_ever_more_rarely() {
    let shop = Shop::open(10);
    for (state, then) in
        [(State::Placed, State::Placed), (State::AwaitingConsent, State::Settling), (State::Settling, State::Settling)]
    {
        let mut checkout = at(&shop, state);
        (checkout.wake_at, checkout.asks) = (Some(NOW), 2);
        let woken = step(checkout.clone(), Input::Woken { random: 0 }, NOW).unwrap();
        assert_eq!((woken.next.state, woken.next.asks, waits(&woken)), (then, 3, Some(500 << 6)), "{state:?}");
        assert_eq!(woken.effects, [ask(&checkout)]);
        for not_yet in [None, Some(NOW.plus_ms(1))] {
            checkout.wake_at = not_yet;
            let stays = step(checkout.clone(), Input::Woken { random: 0 }, NOW).unwrap();
            assert_eq!((stays.next, stays.effects.len()), (checkout.clone(), 0), "{state:?}");
        }
    }
}

#[test]
fn an_offer_runs_out_and_a_receipt_pays_it_all_the_same() {
    let shop = Shop::open(10);
    let offered = at(&shop, State::Offered);
    assert_eq!(offered.wake_at, Some(NOW.plus_ms(DAY_MS)));
    let early = step(offered.clone(), Input::Woken { random: 0 }, NOW.plus_ms(DAY_MS - 1)).unwrap();
    assert_eq!(early.next, offered);
    let expired = step(offered, Input::Woken { random: 0 }, NOW.plus_ms(DAY_MS)).unwrap().next;
    assert_eq!((expired.state, expired.wake_at), (State::Expired, None));
    for state in [State::Placed, State::AwaitingConsent, State::Settling, State::NotPaid] {
        let checkout = at(&shop, state);
        let settled = judged(&checkout, &shop.receipt(&checkout, |_| {})).unwrap();
        let paid = step(checkout, Input::Settled(settled), NOW).unwrap();
        assert_eq!((paid.next.state, waits(&paid), paid.effects.len()), (State::Paid, None, 0), "{state:?}");
        assert_eq!((&paid.next.request, &paid.next.not_paid), (&None, &None), "nothing is left to be paid");
    }
}

#[test]
fn an_order_of_another_device_is_shown_and_left_to_it_for_a_while() {
    let shop = Shop::open(10);
    let theirs = placed(&shop).order.unwrap();
    let mut offered = at(&shop, State::NotPaid);
    offered.request = Some(shop.request());
    let shown = step(offered, Input::PlacedElsewhere(Box::new(theirs.clone())), NOW).unwrap();
    let quarter = Some(15 * 60_000);
    assert_eq!((shown.next.state, &shown.next.order, waits(&shown)), (State::Placed, &Some(theirs.clone()), quarter));
    assert_eq!((&shown.next.request, &shown.next.not_paid, shown.effects.len()), (&None, &None, 0));
    let unmoved = step(shown.next.clone(), Input::Woken { random: 0 }, NOW).unwrap();
    assert_eq!((&unmoved.next, unmoved.effects.len()), (&shown.next, 0), "the other device watches over it");
    // Its answer was missed here, or never comes there.
    let asked = step(shown.next, Input::Woken { random: 0 }, NOW.plus_ms(15 * 60_000)).unwrap();
    assert!(matches!(asked.effects[..], [Effect::Ask(ask)] if ask.order == theirs.order), "{:?}", asked.effects);
    let refused = |change: fn(&mut OrderPlaced)| {
        let mut order = theirs.clone();
        change(&mut order);
        step(at(&shop, State::Offered), Input::PlacedElsewhere(Box::new(order)), NOW)
    };
    assert_eq!(refused(|order| order.invoice_hash.0[0] ^= 1), Err(Refused::InvoiceSignature));
    assert_eq!(refused(|order| order.tip_minor = 1), Err(Refused::InvoiceSignature), "the proof does not hold");
    // With a payer key of its own this device makes an order of its own, and keeps out of theirs.
    let elsewhere = step(at(&shop, State::Offered), Input::PlacedElsewhere(Box::new(theirs)), NOW).unwrap().next;
    let over = step(elsewhere.clone(), answer(&shop, &elsewhere, not_paid("card.declined")), NOW).unwrap().next;
    let mine = Box::new(Choice { payer: key(51), ..*choice(30) });
    let tap = Input::Place { choice: mine, merchant: &shop.account, key_changed: false };
    let order = step(over, tap, NOW).unwrap().next.order.unwrap();
    assert_eq!((order.attempt, order.payer_key), (1, key(51).public()));
}

#[test]
fn a_pair_that_cannot_be_is_named() {
    let shop = Shop::open(10);
    let offered = at(&shop, State::Offered);
    let settled = judged(&placed(&shop), &shop.receipt(&placed(&shop), |_| {})).unwrap();
    for (input, name) in [
        (Input::SheetClosed(SheetHint::Done), "a closed sheet"),
        (Input::Settled(settled), "a receipt"),
        (answer(&shop, &placed(&shop), AnswerBody::Checking), "the till's answer"),
    ] {
        let refused = step(offered.clone(), input, NOW);
        assert_eq!(refused, Err(Refused::OutOfOrder { state: "offered", input: name }));
    }
}
