//! Our verdict on a webhook beside that of Stripe's own library, on the same bytes. Ours is the same or stricter, and
//! stricter in two ways only: a time in the future is bounded, and it is written in digits.

use comptoir_content::Timestamp;
use comptoir_gateway::provider::{HintKind, Provider, Secret, Stripe, StripeKeys, WebhookRefused};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::bakery::*;
use crate::peer::ask_stripe_library;

const NOW_S: i64 = 1_760_000_000;

fn event() -> Value {
    json!({
        "id": "evt_3Nx", "object": "event", "api_version": "2022-11-15", "created": NOW_S, "livemode": false,
        "type": "payment_intent.succeeded", "data": { "object": { "id": "pi_3Nx", "object": "payment_intent" } },
        "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null }, "naïve": "é ✓",
    })
}

struct Case {
    header: String,
    body: Vec<u8>,
    secret: &'static str,
}

impl Case {
    fn ours(&self) -> Result<(), WebhookRefused> {
        let stripe = Stripe::new(StripeKeys {
            webhook_secrets: vec![Secret::new(self.secret)],
            ..stripe_keys("https://api.stripe.com")
        });
        let header = |name: &str| (name == "stripe-signature").then(|| self.header.clone());
        let verdict = stripe.unwrap().verify_webhook(&header, &self.body, Timestamp(NOW_S * 1000));
        verdict.map(|_| ())
    }

    /// Whether its first time is written in digits and nothing else.
    fn has_plain_time(&self) -> bool {
        let mut times = self.header.split(',').filter_map(|item| item.strip_prefix("t="));
        let time = times.next().map(|time| time.split('=').next().unwrap_or_default());
        time.is_some_and(|time| !time.is_empty() && time.len() <= 15 && time.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// Stripe's library signs the event for each of these times and secrets.
fn signed(times: &[i64]) -> Vec<String> {
    let body = event().to_string();
    let sign: Vec<Value> =
        times.iter().map(|at_s| json!({ "body": body, "secret": WEBHOOK_SECRET, "at_s": at_s })).collect();
    let answer = ask_stripe_library(&json!({ "now_s": NOW_S, "sign": sign, "cases": [] }));
    let signed = answer["signed"].as_array().unwrap();
    signed.iter().map(|header| text(header).to_owned()).collect()
}

fn theirs(cases: &[Case]) -> Vec<bool> {
    let cases: Vec<Value> = cases
        .iter()
        .map(|case| json!({ "header": case.header, "body": HEXLOWER.encode(&case.body), "secret": case.secret }))
        .collect();
    let answer = ask_stripe_library(&json!({ "now_s": NOW_S, "sign": [], "cases": cases }));
    let genuine = answer["genuine"].as_array().unwrap();
    genuine.iter().map(|verdict| verdict.as_bool().unwrap()).collect()
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

/// A header with something small done to it.
fn spoiled(header: &str, dice: &mut Dice) -> String {
    const STUFF: [&str; 12] = [",", "=", " ", "t=", "v1=", "v0=", "0", "a", "F", "t", "v1", ",v1=,"];
    let mut bytes = header.as_bytes().to_vec();
    for _ in 0..=dice.roll(2) {
        let at = dice.roll(bytes.len());
        match dice.roll(5) {
            0 => drop(bytes.remove(at)),
            1 => bytes[at] = STUFF[dice.roll(STUFF.len())].as_bytes()[0],
            2 => drop(bytes.splice(at..at, STUFF[dice.roll(STUFF.len())].bytes())),
            3 => bytes[at].make_ascii_uppercase(),
            _ => drop(bytes.splice(0..0, [&header.as_bytes()[dice.roll(header.len())..], b","].concat())),
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn corpus() -> Vec<Case> {
    let times: Vec<i64> = [-100_000, -301, -300, -299, -1, 0, 1, 299, 300, 301, 100_000]
        .into_iter()
        .map(|offset_s| NOW_S + offset_s)
        .collect();
    let signed = signed(&times);
    let body = event().to_string().into_bytes();
    let case = |header: &str| Case { header: header.to_owned(), body: body.clone(), secret: WEBHOOK_SECRET };
    let mut cases: Vec<Case> = signed.iter().map(|header| case(header)).collect();
    let good = &signed[5];
    let (time, signature) = good.split_once(',').unwrap();
    let zeros = format!("v1={}", "0".repeat(64));
    for header in [
        String::new(),
        ",".to_owned(),
        time.to_owned(),
        signature.to_owned(),
        format!("{signature},{time}"),
        format!("{time},{zeros},{signature}"),
        format!("{time},{signature},{zeros}"),
        format!("{time},{zeros}"),
        format!("{time},{}", signature.replace("v1", "v0")),
        format!("{time},{zeros},{}", signature.replace("v1", "v0")),
        format!("{time}, {signature}"),
        format!("{time} ,{signature}"),
        format!(" {good}"),
        format!("{time},t=1,{signature}"),
        format!("t=1,{time},{signature}"),
        format!("t,{good}"),
        format!("{good},v1"),
        format!("{good},x"),
        format!("{good}=tail"),
        format!("{good},"),
        format!("{time},{}", signature.to_uppercase()),
        format!("{time},v1={}", signature["v1=".len()..].to_uppercase()),
        good.replace("t=", "t=0"),
        good.replace("t=", "t=+"),
        good.replace("t=", "t= "),
        good.replace("t=1", "t=1_"),
        good.replace("t=", "T="),
        good.replace("t=", "t=="),
        format!("t=x,{signature}"),
        format!("t=-1,{signature}"),
        format!("t=99999999999999999999,{signature}"),
    ] {
        cases.push(case(&header));
    }
    for at in (0..body.len()).step_by(7) {
        let mut tampered = case(good);
        tampered.body[at] ^= 1;
        cases.push(tampered);
    }
    for (secret, body) in [
        ("whsec_other", body.clone()),
        ("whsec_bakery_", body.clone()),
        (WEBHOOK_SECRET, Vec::new()),
        (WEBHOOK_SECRET, [body.as_slice(), b" "].concat()),
        (WEBHOOK_SECRET, [body.as_slice(), &[0xff]].concat()),
    ] {
        let header = good.clone();
        cases.push(Case { header, body, secret });
    }
    let mut dice = Dice(0x5eed);
    cases.extend((0..3000).map(|_| {
        let header = &signed[dice.roll(signed.len())];
        case(&spoiled(header, &mut dice))
    }));
    cases
}

#[test]
fn we_accept_what_stripes_library_signs_and_nothing_that_it_refuses() {
    let cases = corpus();
    let (mut both_accept, mut both_refuse, mut stricter) = (0, 0, 0);
    for (case, theirs) in cases.iter().zip(theirs(&cases)) {
        match (case.ours(), theirs) {
            (Ok(()), true) => both_accept += 1,
            (Err(_), false) => both_refuse += 1,
            (Err(WebhookRefused::TooNew), true) => stricter += 1,
            (Err(WebhookRefused::BadSignatureHeader), true) if !case.has_plain_time() => stricter += 1,
            (ours, theirs) => panic!("we say {ours:?}, Stripe's library {theirs}: {:?}", case.header),
        }
    }
    // The corpus has plenty of each, or it would prove little.
    assert!(both_accept > 100 && both_refuse > 1000 && stricter > 100, "{both_accept} {both_refuse} {stricter}");
}

#[test]
fn an_event_says_what_it_is_about() {
    let check = |changes: Value, expected: Result<(HintKind, &str), WebhookRefused>| {
        let mut event = event();
        for (name, value) in changes.as_object().unwrap() {
            event[name] = value.clone();
        }
        let body = event.to_string();
        let sign = json!([{ "body": body, "secret": WEBHOOK_SECRET, "at_s": NOW_S }]);
        let answer = ask_stripe_library(&json!({ "now_s": NOW_S, "sign": sign, "cases": [] }));
        let header = text(&answer["signed"][0]).to_owned();
        let verdict = stripe("https://api.stripe.com").verify_webhook(
            &|name| (name == "stripe-signature").then(|| header.clone()),
            body.as_bytes(),
            NOW,
        );
        let verdict = verdict.map(|hint| {
            assert_eq!(hint.event, "evt_3Nx");
            (hint.kind, hint.provider_payment)
        });
        assert_eq!(verdict, expected.map(|(kind, payment)| (kind, payment.to_owned())), "{changes}");
    };
    let about = |kind: &str, object: Value| json!({ "type": kind, "data": { "object": object } });
    check(json!({}), Ok((HintKind::Payment, "pi_3Nx")));
    check(json!({ "account": STRIPE_ACCOUNT }), Ok((HintKind::Payment, "pi_3Nx")));
    check(about("charge.refunded", json!({ "id": "ch_1", "payment_intent": "pi_1" })), Ok((HintKind::Refund, "pi_1")));
    check(
        about("refund.updated", json!({ "id": "re_1", "payment_intent": { "id": "pi_1" } })),
        Ok((HintKind::Refund, "pi_1")),
    );
    check(about("refund.updated", json!({ "id": "re_1", "payment_intent": null })), Ok((HintKind::Other, "")));
    check(
        about("charge.dispute.created", json!({ "id": "dp_1", "payment_intent": "pi_1" })),
        Ok((HintKind::Other, "pi_1")),
    );
    check(about("balance.available", json!({ "object": "balance" })), Ok((HintKind::Other, "")));

    check(json!({ "account": "acct_other" }), Err(WebhookRefused::OtherAccount));
    check(json!({ "livemode": true }), Err(WebhookRefused::OtherMode));
    check(json!({ "livemode": null }), Err(WebhookRefused::Unreadable));
    check(json!({ "object": "v2.core.event" }), Err(WebhookRefused::Unreadable));
    check(json!({ "id": "evt/../1" }), Err(WebhookRefused::Unreadable));
    check(json!({ "data": null }), Err(WebhookRefused::Unreadable));
    check(about("payment_intent.succeeded", json!({ "id": "../../x" })), Err(WebhookRefused::Unreadable));
}
