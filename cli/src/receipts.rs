//! Receipts: listed, written to files, verified offline.

use std::path::Path;

use comptoir_content::{AccountId, OrderId, Part, PartBody, ReceiptFile};
use comptoir_engine::receipt::{Proven, Verdict, verify as judge};
use serde_json::{Value, json};

use crate::out::{Failure, Out, plain};
use crate::person::Home;
use crate::pictures::write_png;

pub(crate) fn list(out: &Out, home: &Home) -> Result<(), Failure> {
    let client = home.open_account()?;
    let rows = client.receipts()?;
    let json: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "order": row.order.to_string(), "merchant": row.merchant.to_string(), "name": row.merchant_name,
                "amount": row.amount.to_plain(), "amount_minor": row.amount.minor(),
                "currency": row.amount.currency().code(), "refunded_minor": row.refunded.minor(), "live": row.live,
                "issued_at_ms": row.issued_at_ms })
        })
        .collect();
    let words: Vec<String> = rows
        .iter()
        .map(|row| {
            let refunded = if row.refunded.minor() > 0 {
                format!(", {} refunded", row.refunded.to_plain())
            } else {
                String::new()
            };
            let test = if row.live { "" } else { " · TEST" };
            format!("{}  {}{refunded}{test}\n    {}", row.amount.to_plain(), plain(&row.merchant_name), row.order)
        })
        .collect();
    out.say(&Value::from(json), if words.is_empty() { "No receipts yet.".to_owned() } else { words.join("\n") });
    Ok(())
}

pub(crate) fn export(
    out: &Out,
    home: &Home,
    order: Option<&str>,
    path: &Path,
    without_person: bool,
) -> Result<(), Failure> {
    let client = home.open_account()?;
    let order = match order {
        Some(order) => order.parse::<OrderId>().map_err(|error| Failure::usage("receipt.order", error))?,
        None => {
            let newest = client.receipts()?.into_iter().next();
            newest.ok_or_else(|| Failure::failed("receipt.unknown", "there is no receipt yet"))?.order
        }
    };
    let parts = without_person.then(|| vec![Part::Lines, Part::Evidence, Part::Terms]);
    let file = client.receipt_file(order, parts)?;
    std::fs::write(path, &file)
        .map_err(|error| Failure::failed("storage.io", format!("{}: {error}", path.display())))?;
    out.say(
        &json!({ "order": order.to_string(), "file": path, "bytes": file.len() }),
        format!("Wrote {} ({} bytes). Anybody can check it: comptoir receipt verify {0}", path.display(), file.len()),
    );
    Ok(())
}

/// Answers a till that asks who paid.
pub(crate) fn prove(out: &Out, home: &Home, order: &str, question: &str, png: Option<&Path>) -> Result<(), Failure> {
    let order = order.parse::<OrderId>().map_err(|error| Failure::usage("receipt.order", error))?;
    let code = home.open_account()?.prove_payer(order, question)?;
    if let Some(path) = png {
        write_png(&code, path)?;
    }
    out.say(&json!({ "order": order.to_string(), "code": code, "png": png }), &code);
    Ok(())
}

pub(crate) fn verify(out: &Out, path: &Path, merchant: Option<&str>) -> Result<(), Failure> {
    let wanted =
        merchant.map(str::parse::<AccountId>).transpose().map_err(|error| Failure::usage("receipt.merchant", error))?;
    let unreadable =
        |why: &dyn std::fmt::Display| Failure::usage("receipt.unreadable", format!("{}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let refused = |why: &dyn std::fmt::Display| {
        Failure::failed("receipt.unverified", format!("REFUSED: {}: {why}", path.display()))
    };
    let file = match ReceiptFile::from_file(&bytes) {
        Ok(file) => file,
        // It says that it is a receipt, and is not one as it was written.
        Err(error) if bytes.starts_with(comptoir_content::RECEIPT_FILE_MAGIC) => return Err(refused(&error)),
        Err(error) => return Err(unreadable(&error)),
    };
    let verdict = judge(&file, None).map_err(|error| refused(&error))?;
    let (verdict_name, note) = match &verdict {
        Verdict::Holds(_) => ("holds", ""),
        Verdict::DateUnproven(_) => ("date_unproven", "\nIts signer was revoked later: the date is unproven."),
    };
    let Proven { receipt, disclosed } = verdict.proven();
    if wanted.is_some_and(|wanted| wanted != receipt.merchant) {
        return Err(refused(&format!("it is from {}, not from the merchant you named", receipt.merchant)));
    }
    let parts: Vec<Value> = disclosed.iter().map(part_json).collect();
    let lines: Vec<String> = disclosed.iter().flat_map(part_words).collect();
    let test = if receipt.live { "" } else { "TEST · no real money\n" };
    out.say(
        &json!({ "verdict": verdict_name, "merchant": receipt.merchant.to_string(), "order": receipt.order.to_string(),
            "amount": receipt.amount.to_plain(), "amount_minor": receipt.amount.minor(),
            "currency": receipt.amount.currency().code(), "live": receipt.live, "issued_at_ms": receipt.issued_at.0,
            "log_entries": file.log.links.len(), "disclosed": parts }),
        format!(
            "{test}HOLDS: {} declares that it was paid {}.\norder    {}\n{}as of the newest log known ({} entries); later \
             refunds may be unknown.{note}",
            receipt.merchant,
            receipt.amount.to_plain(),
            receipt.order,
            lines.concat(),
            file.log.links.len(),
        ),
    );
    Ok(())
}

fn part_json(part: &PartBody) -> Value {
    match part {
        PartBody::Lines { title, lines } => json!({ "part": "lines", "title": title,
            "lines": lines.iter().map(|line| json!({ "label": line.label, "quantity": line.quantity,
                "unit_minor": line.unit_minor })).collect::<Vec<_>>() }),
        PartBody::OrderInfo(info) => {
            json!({ "part": "order_info", "name": info.name, "phone": info.phone, "email": info.email })
        }
        PartBody::Evidence(evidence) => json!({ "part": "evidence", "provider": evidence.provider,
            "account": evidence.account, "provider_payment": evidence.provider_payment, "method": evidence.method,
            "paid_at_ms": evidence.paid_at.0 }),
        PartBody::Terms { terms_hash } => {
            json!({ "part": "terms", "terms_hash": terms_hash.map(|hash| hash.to_string()) })
        }
    }
}

fn part_words(part: &PartBody) -> Vec<String> {
    match part {
        PartBody::Lines { lines, .. } => {
            lines.iter().map(|line| format!("         {} × {}\n", line.quantity, plain(&line.label))).collect()
        }
        PartBody::Evidence(evidence) => {
            vec![format!("paid by  {} through {}\n", plain(&evidence.method), plain(&evidence.provider))]
        }
        PartBody::OrderInfo(_) | PartBody::Terms { .. } => Vec::new(),
    }
}
