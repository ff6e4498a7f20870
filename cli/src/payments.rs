//! What the texts of codes mean, field by field.

use std::io::{BufRead as _, Read as _, Write as _};

use comptoir_qr::{Money, Payment, Refused, Scanned, Way};
use serde_json::{Value, json};

use crate::out::{Failure, Out, plain};
use crate::pictures::kind;

/// The code of a text that must not be paid.
const REFUSED: &str = "qr.refused";
/// No code holds more than this. The rest of a longer line is skipped.
const LINE_BYTES_MAX: u64 = 8192;

/// Says what a text means, or each line of standard input for `-`.
pub(crate) fn parse(out: &Out, text: &str) -> Result<(), Failure> {
    if text != "-" {
        let scanned = Scanned::of_text(text);
        let refused = match &scanned {
            Scanned::Refused { why, .. } => Some(Failure::failed(REFUSED, refused_in_words(why))),
            Scanned::Comptoir(_) | Scanned::Payment(_) | Scanned::Url(_) | Scanned::Text(_) | Scanned::Unknown(_) => {
                None
            }
        };
        if refused.is_none() || out.is_json() {
            say(out, &scanned);
        }
        return refused.map_or(Ok(()), |failure| Err(Failure { is_in_json: true, ..failure }));
    }
    let (mut input, mut lines, mut refused) = (std::io::stdin().lock(), 0_u64, 0_u64);
    while let Some(line) = next_line(&mut input)? {
        let scanned = Scanned::of_text(&line);
        lines += 1;
        refused += u64::from(matches!(scanned, Scanned::Refused { .. }));
        say(out, &scanned);
        std::io::stdout().flush().map_err(|error| Failure::failed("storage.io", error))?;
    }
    if refused > 0 {
        let text = format!("{refused} of {lines} must not be paid");
        return Err(Failure { is_in_json: true, ..Failure::failed(REFUSED, text) });
    }
    Ok(())
}

/// A line without its end, or of one that is too long as much as is surely too long. Bytes that are no text stay visible.
fn next_line(input: &mut impl std::io::BufRead) -> Result<Option<String>, Failure> {
    let failed = |error| Failure::usage("qr.unreadable", format!("standard input: {error}"));
    let mut line = Vec::new();
    if input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        input.skip_until(b'\n').map_err(failed)?;
    }
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()))
}

fn say(out: &Out, scanned: &Scanned) {
    let kind = kind(scanned);
    match scanned {
        Scanned::Payment(payment) => out.say(&in_json(kind, payment), in_words(payment)),
        Scanned::Refused { raw, why } => {
            let error = json!({ "code": REFUSED, "reason": why.reason(), "detail": why.to_string() });
            let told = json!({ "kind": kind, "text": String::from_utf8_lossy(raw), "error": error });
            out.say(&told, refused_in_words(why));
        }
        Scanned::Comptoir(text) | Scanned::Url(text) | Scanned::Text(text) => {
            out.say(&json!({ "kind": kind, "text": text }), plain(text));
        }
        Scanned::Unknown(bytes) => {
            let told = json!({ "kind": kind, "bytes": data_encoding::BASE64.encode(bytes) });
            out.say(&told, format!("({} bytes)", bytes.len()));
        }
    }
}

fn in_json(kind: &str, payment: &Payment) -> Value {
    let ways: Vec<Value> = payment
        .ways()
        .iter()
        .map(|way| {
            json!({ "scheme": way.scheme.name(), "account": way.account, "amount": way.amount.map(money),
                "is_editable": way.is_editable, "ask_at": way.ask_at, "expires_on": way.expires_on })
        })
        .collect();
    let fields: Vec<Value> = payment
        .fields()
        .iter()
        .map(|field| json!({ "place": field.place, "name": field.name, "value": field.value }))
        .collect();
    json!({ "kind": kind, "text": String::from_utf8_lossy(&payment.raw), "payee": payment.payee(),
        "reference": payment.reference(), "ways": ways, "fields": fields })
}

fn money(amount: Money) -> Value {
    let currency = amount.currency();
    json!({ "minor": amount.minor(), "currency": currency.code(), "exponent": currency.exponent() })
}

/// The ways to pay, and every field below them.
pub(crate) fn in_words(payment: &Payment) -> String {
    let way = |way: &Way| {
        let amount = match (&way.ask_at, way.amount) {
            (Some(address), _) => format!("what {address} says"),
            (None, Some(amount)) => format!("{amount} {}", amount.currency().code()),
            (None, None) => "an amount that the payer types".to_owned(),
        };
        format!("{}: {amount} to {}", way.scheme.name(), way.account)
    };
    let ways = payment.ways().iter().map(way).collect::<Vec<_>>().join("\n");
    let fields =
        payment.fields().into_iter().map(|field| format!("\n  {} {}: {}", field.place, field.name, field.value));
    plain(&format!("{ways}{}", fields.collect::<String>()))
}

pub(crate) fn refused_in_words(why: &Refused) -> String {
    plain(&format!("this must not be paid: {why}"))
}
