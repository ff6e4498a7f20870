//! The shop's attempt at a provider, step by step: what each answer makes of it, when it is looked at again, and what the
//! till does then.

use comptoir_content::Timestamp;
use comptoir_engine::payment::{Attempt, Effect, Input, REQUEST_LIFE_MS, Seen, State, Status, Step, step};

use crate::bakery::*;

fn attempt(state: State) -> Attempt {
    let starting = Attempt::starting(eur(120), "pay_1.1".to_owned(), "the-bakery".to_owned(), false, NOW);
    let known = state != State::Starting && state != State::Unknown;
    Attempt { state, provider_payment: known.then(|| "p1".to_owned()), reads: 3, wake_at: Some(NOW), ..starting }
}

fn seen(status: Status) -> Seen {
    Seen {
        provider_payment: "p1".to_owned(),
        status,
        amount: eur(120),
        reference: "pay_1.1".to_owned(),
        account: "the-bakery".to_owned(),
        live: false,
        method: "card ···· 4242".to_owned(),
    }
}

fn read(status: Status) -> Input {
    Input::Read { seen: seen(status), random: 0 }
}

fn created(status: Status) -> Input {
    Input::Created(seen(status))
}

fn captured() -> Status {
    Status::Captured { at: NOW.plus_ms(-7) }
}

fn declined() -> Status {
    Status::Dead { reason: "card.declined".to_owned() }
}

fn after(state: State, input: Input) -> Step {
    step(attempt(state), input, NOW).unwrap()
}

/// Milliseconds until it is looked at again.
fn waits(step: &Step) -> Option<i64> {
    step.next.wake_at.map(|at| at.since_ms(NOW))
}

#[test]
fn names_are_stable() {
    for (state, name) in State::ALL.into_iter().zip(["starting", "requested", "unknown", "captured", "dead"]) {
        assert_eq!((state.name(), State::named(name)), (name, Some(state)));
    }
    assert_eq!(State::named("paid"), None);
    let live = State::ALL.into_iter().filter(|state| state.is_live()).collect::<Vec<_>>();
    assert_eq!(live, [State::Starting, State::Requested, State::Unknown]);
}

#[test]
fn it_begins_with_a_quarter_of_an_hour_and_a_look_soon() {
    let fresh = Attempt::starting(eur(120), "pay_1.1".to_owned(), "the-bakery".to_owned(), false, NOW);
    assert_eq!(REQUEST_LIFE_MS, 900_000);
    assert_eq!(fresh.expires_at, NOW.plus_ms(REQUEST_LIFE_MS));
    assert_eq!((fresh.state, fresh.wake_at), (State::Starting, Some(NOW.plus_ms(20_000))));
}

#[test]
fn a_payment_that_is_open_is_asked_for_once() {
    for (state, input) in [
        (State::Starting, created(Status::Open)),
        (State::Unknown, created(Status::Open)),
        (State::Unknown, read(Status::Open)),
    ] {
        let asked = after(state, input);
        assert_eq!(
            (asked.next.state, asked.effects.as_slice()),
            (State::Requested, &[Effect::Request][..]),
            "{state:?}"
        );
        assert_eq!((asked.next.reads, waits(&asked)), (0, Some(20_000)));
        assert_eq!(asked.next.provider_payment.as_deref(), Some("p1"));
    }
    let again = after(State::Requested, created(Status::Open));
    assert_eq!((again.next, again.effects), (attempt(State::Requested), vec![]), "the answer came twice");
    let still = after(State::Requested, read(Status::Open));
    assert_eq!((still.next.state, still.next.reads, still.effects.len()), (State::Requested, 4, 0));
    assert!(waits(&still) > Some(0));
}

#[test]
fn a_charge_settles_wherever_it_is_seen() {
    for state in [State::Starting, State::Requested, State::Unknown] {
        let paid = after(state, read(captured()));
        let settle = Effect::Settle { at: NOW.plus_ms(-7), method: "card ···· 4242".to_owned() };
        assert_eq!((paid.next.state, paid.effects.as_slice()), (State::Captured, &[settle][..]), "{state:?}");
        assert_eq!((waits(&paid), paid.next.reason.as_deref()), (None, None));
        assert_eq!(paid.next.provider_payment.as_deref(), Some("p1"));
    }
    // Money that comes after it was given up is not silent.
    let given_up = Attempt { reason: Some("card.declined".to_owned()), ..attempt(State::Dead) };
    let late = step(given_up, read(captured()), NOW).unwrap();
    assert!(matches!(late.effects.as_slice(), [Effect::LateMoney { .. }]));
    assert_eq!((late.next.state, waits(&late)), (State::Captured, None));
    // And what is settled rests.
    for input in
        [read(captured()), read(Status::Open), created(captured()), Input::Woken, Input::NoAnswer { random: 0 }]
    {
        let rest = after(State::Captured, input);
        assert_eq!((rest.next.state, rest.effects.len()), (State::Captured, 0));
    }
    assert_eq!(waits(&after(State::Captured, Input::Woken)), None);
    assert_eq!(waits(&after(State::Captured, Input::NoAnswer { random: 0 })), None);
}

#[test]
fn what_is_over_is_told_with_its_reason_and_frees_the_slot() {
    for (state, input, reason) in [
        (State::Starting, Input::Rejected { reason: "method.none".to_owned() }, "method.none"),
        (State::Unknown, Input::Rejected { reason: "method.none".to_owned() }, "method.none"),
        (State::Starting, Input::NotFound, "method.provider_down"),
        (State::Unknown, Input::NotFound, "method.provider_down"),
        (State::Starting, created(declined()), "card.declined"),
        (State::Requested, read(declined()), "card.declined"),
        (State::Unknown, read(declined()), "card.declined"),
    ] {
        let over = after(state, input);
        assert_eq!((over.next.state, over.effects.as_slice()), (State::Dead, &[Effect::TellDead][..]), "{state:?}");
        assert_eq!((over.next.reason.as_deref(), waits(&over)), (Some(reason), None));
    }
    for input in [Input::NotFound, Input::Rejected { reason: "method.none".to_owned() }] {
        for state in [State::Requested, State::Captured, State::Dead] {
            let unmoved = after(state, input.clone());
            assert_eq!((unmoved.next, unmoved.effects), (attempt(state), vec![]), "the provider had it once");
        }
    }
    for status in [Status::Open, Status::Processing, declined()] {
        let rest = after(State::Dead, read(status));
        assert_eq!((rest.next.state, rest.effects.len(), waits(&rest)), (State::Dead, 0, None));
    }
}

#[test]
fn without_an_answer_it_is_unknown_and_asked_about_ever_more_rarely() {
    for state in [State::Starting, State::Unknown] {
        let unknown = after(state, Input::NoAnswer { random: 0 });
        assert_eq!((unknown.next.state, unknown.next.reads, unknown.effects.len()), (State::Unknown, 4, 0));
        assert_eq!(waits(&unknown), Some(500 << 5));
    }
    let mut waited = 0;
    let mut attempt = attempt(State::Starting);
    attempt.reads = 0;
    for _ in 0..12 {
        let next = step(attempt, Input::NoAnswer { random: 0 }, NOW).unwrap();
        assert!(waits(&next) >= Some(waited));
        waited = waits(&next).unwrap();
        attempt = next.next;
    }
    assert_eq!(waited, 300_000);
    for state in [State::Requested, State::Dead] {
        let later = after(state, Input::NoAnswer { random: 0 });
        assert_eq!((later.next.state, later.next.reads, later.effects.len()), (state, 4, 0));
        assert!(waits(&later) > Some(0));
    }
    for state in [State::Starting, State::Unknown, State::Requested] {
        let processing = after(state, read(Status::Processing));
        let expected = if state == State::Starting { State::Unknown } else { state };
        assert_eq!((processing.next.state, processing.next.reads, processing.effects.len()), (expected, 4, 0));
        assert!(waits(&processing) > Some(0), "{state:?}");
    }
}

#[test]
fn an_alarm_looks_and_after_the_quarter_of_an_hour_it_cancels() {
    for state in [State::Starting, State::Unknown, State::Requested] {
        let looks = after(state, Input::Woken);
        assert_eq!((looks.next.state, looks.effects.as_slice()), (state, &[Effect::Read][..]));
        assert!(waits(&looks) > Some(0), "{state:?}");
    }
    let early = Attempt { wake_at: Some(NOW.plus_ms(1)), ..attempt(State::Requested) };
    let stays = step(early.clone(), Input::Woken, NOW).unwrap();
    assert_eq!((stays.next, stays.effects), (early, vec![]));

    let end = NOW.plus_ms(REQUEST_LIFE_MS);
    let at = |state, now: Timestamp| step(attempt(state), Input::Woken, now).unwrap().effects;
    assert_eq!(at(State::Requested, end.plus_ms(-1)), [Effect::Read]);
    assert_eq!(at(State::Requested, end), [Effect::Cancel]);
    assert_eq!(at(State::Unknown, end), [Effect::Read], "it is not known what there is to cancel");
    // The look before the end is not put off past it; the one after it waits as always.
    let near = step(attempt(State::Requested), Input::Woken, end.plus_ms(-1)).unwrap().next;
    assert_eq!(near.wake_at, Some(end));
    let past = step(attempt(State::Requested), Input::Woken, end).unwrap().next;
    assert!(past.wake_at > Some(end));
    let unknown = step(attempt(State::Unknown), Input::Woken, end.plus_ms(-1)).unwrap().next;
    assert!(unknown.wake_at > Some(end), "an end means nothing to what is unknown");

    let hinted = after(State::Dead, Input::Woken);
    assert_eq!((hinted.effects.as_slice(), waits(&hinted)), (&[Effect::Read][..], None));
}

#[test]
fn a_payment_keeps_its_name_at_the_provider() {
    let other = Seen { provider_payment: "p2".to_owned(), ..seen(captured()) };
    let refused = step(attempt(State::Requested), Input::Read { seen: other.clone(), random: 0 }, NOW);
    assert_eq!(refused, Err(comptoir_engine::Refused::AmountDiffers));
    let first = step(attempt(State::Unknown), Input::Read { seen: other, random: 0 }, NOW).unwrap();
    assert_eq!(first.next.provider_payment.as_deref(), Some("p2"));
}
