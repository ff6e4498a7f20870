//! A customer did something: wrote, tapped, placed an order, asked about one.

use comptoir_client::headless::{Incoming, TurnError, Tx};
use comptoir_content::{
    AnswerBody, AskPayment, Basis, Body, InvoiceId, Line, LineKind, NotPaid, OrderPlaced, PaymentAnswer, QuickReply,
    Signed, Text,
};
use comptoir_engine::Refused;
use comptoir_engine::order::{self, Decision, Taken};
use comptoir_engine::payment::{Attempt, State};
use comptoir_sqlcipher::rusqlite::params;

use crate::catalogue::{Catalogue, Product};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::till::{self, AttemptRow, Till};
use crate::turns::{bill, post};

/// An invoice from the catalogue can be paid for this long, in milliseconds.
const INVOICE_LIFE_MS: i64 = 24 * 3_600_000;
/// What a customer hears from a till that may not sell any more.
const CLOSED: &str = "Sorry, we cannot take payments at the moment.";

/// Acts on a message. One message, one turn: what cannot be answered holds up nobody else.
pub(crate) fn incoming(
    tx: &mut Tx<'_>,
    catalogue: &Catalogue,
    providers: &[Box<dyn Provider>],
    message: &Incoming,
) -> Result<(), TurnError> {
    let till = till::load(tx)?;
    match &message.content.body {
        Body::Text(_) => greet(tx, &till, catalogue, message)?,
        Body::Tap(tap) => tapped(tx, &till, catalogue, providers, message, &tap.payload)?,
        Body::OrderPlaced(placed) => order_placed(tx, &till, catalogue, providers, message, placed)?,
        Body::AskPayment(ask) => asked(tx, &till, message, *ask)?,
        Body::AskBill(hash) => bill::wanted(tx, &till, message, *hash)?,
        Body::Marks(_)
        | Body::Card(_)
        | Body::Hello(_)
        | Body::Invoice(_)
        | Body::PaymentAnswer(_)
        | Body::Receipt(_)
        | Body::Refund(_)
        | Body::Token(_)
        | Body::Unknown => {}
    }
    tx.set_handled(message.id)
}

/// A rule refused what the answer to this message would have been. It is passed over, so that others are answered.
pub(crate) fn passed_over(tx: &mut Tx<'_>, message: &Incoming) -> Result<(), TurnError> {
    if let Body::OrderPlaced(placed) = &message.content.body {
        let known = till::attempts_of_order(tx.sql(), placed.order)?;
        if known.is_empty() && till::attempts_of_payment(tx.sql(), placed.payment)?.is_empty() {
            // Nothing was started for it, so the customer may hear that it is over.
            let till = till::load(tx)?;
            refuse(tx, &till, message, placed, &Refused::MethodNone)?;
        }
    }
    tx.set_handled(message.id)
}

/// A shop that is written to says who it is and what it has.
fn greet(tx: &mut Tx<'_>, till: &Till, catalogue: &Catalogue, message: &Incoming) -> Result<(), TurnError> {
    if tx.is_first_contact(message.conversation)? {
        tx.say(message.conversation, Body::Hello(till.profile.clone()), None)?;
    }
    let chip = |product: &Product| QuickReply { title: product.title.clone(), payload: payload_of(product) };
    let text = Text {
        body: catalogue.greeting.clone(),
        reply_to: None,
        quick_replies: catalogue.products.iter().map(chip).collect(),
    };
    let basis = Some(Basis::Action(message.content.uid));
    tx.say(message.conversation, Body::Text(text), basis).map(drop)
}

fn payload_of(product: &Product) -> Vec<u8> {
    format!("product/{}", product.id).into_bytes()
}

fn product_of<'a>(catalogue: &'a Catalogue, payload: &[u8]) -> Option<&'a Product> {
    let id = std::str::from_utf8(payload).ok()?.strip_prefix("product/")?;
    catalogue.product(id)
}

/// A product was tapped: its bubble is an invoice, signed by this till.
fn tapped(
    tx: &mut Tx<'_>,
    till: &Till,
    catalogue: &Catalogue,
    providers: &[Box<dyn Provider>],
    message: &Incoming,
    payload: &[u8],
) -> Result<(), TurnError> {
    let Some(product) = product_of(catalogue, payload) else {
        return greet(tx, till, catalogue, message);
    };
    let expires_at = till.issued_at(tx.now).plus_ms(INVOICE_LIFE_MS);
    if !bill::may_sell_until(till, expires_at) {
        return say(tx, message, CLOSED);
    }
    let new = bill::New {
        id: InvoiceId(tx.new_id()),
        audience: Some(message.peer),
        expires_at,
        title: product.title.clone(),
        description: product.description.clone(),
        lines: vec![Line {
            label: product.title.clone(),
            quantity: 1,
            unit_minor: product.price.minor(),
            kind: LineKind::Item,
        }],
        total: product.price,
        max_payments: 1,
        payload: payload_of(product),
    };
    let signed = bill::sign(tx, till, providers, new, Some((message.conversation, &product.id)))?;
    bill::show(tx, till, message, signed)
}

/// Says something in words, as the answer to a message.
pub(super) fn say(tx: &mut Tx<'_>, message: &Incoming, words: &str) -> Result<(), TurnError> {
    let basis = Some(Basis::Action(message.content.uid));
    tx.say(message.conversation, Body::Text(Text::plain(words)), basis).map(drop)
}

/// An order came: the engine decides; if it is taken, the attempt is on disk before the provider hears of it.
fn order_placed(
    tx: &mut Tx<'_>,
    till: &Till,
    catalogue: &Catalogue,
    providers: &[Box<dyn Provider>],
    message: &Incoming,
    placed: &OrderPlaced,
) -> Result<(), TurnError> {
    let Some((signed, product)) = till::invoice(tx.sql(), placed.invoice_hash)? else {
        // A till whose books were put back from an old copy may have sold it, and been paid.
        let refusal = refusal(message, placed, &Refused::InvoiceSignature);
        return answer(tx, till, message, &refusal, AnswerBody::Checking);
    };
    let verified = signed.verify()?;
    // The same payment or order under another invoice counts as well: their names are unique in the whole shop.
    let mut before = till::attempts_of_invoice(tx.sql(), placed.invoice_hash)?;
    for row in till::attempts_of_payment(tx.sql(), placed.payment)?
        .into_iter()
        .chain(till::attempts_of_order(tx.sql(), placed.order)?)
    {
        if row.invoice_hash != placed.invoice_hash {
            return refuse(tx, till, message, placed, &Refused::InvoiceSignature);
        }
        if !before.iter().any(|known| (known.payment, known.number) == (row.payment, row.number)) {
            before.push(row);
        }
    }
    without_surplus(tx, &mut before)?;
    let taken: Vec<Taken> = before.iter().map(AttemptRow::taken).collect();
    match order::decide(&verified, placed, message.peer, &taken, tx.now) {
        Decision::Take { amount } => {
            // The same attempt may come twice, and was told to be over the first time.
            if let Some(refusal) = Refusal::find(tx.sql(), message.peer, placed.order, placed.attempt)? {
                return tell_refusal(tx, till, message, refusal);
            }
            // The last look at the shelf: what is gone or has another price by now is not sold.
            let is_gone = |id: &str| catalogue.product(id).is_none_or(|shelf| shelf.price != verified.total);
            if product.as_deref().is_some_and(is_gone) {
                return refuse(tx, till, message, placed, &Refused::InvoiceRule { field: "price" });
            }
            let provider =
                providers.iter().find(|provider| provider.name() == placed.provider && provider.is_live() == till.live);
            let Some(provider) = provider.filter(|provider| provider.takes(amount)) else {
                return refuse(tx, till, message, placed, &Refused::MethodNone);
            };
            let reference = order::reference(placed.payment, placed.attempt);
            let account = provider.account().to_owned();
            let mut attempt = Attempt::starting(amount, reference, account, till.live, tx.now);
            attempt.wake_at = Some(tx.now); // The provider is called as soon as this is committed.
            let row = AttemptRow {
                payment: placed.payment,
                number: placed.attempt,
                order: placed.order,
                invoice_hash: placed.invoice_hash,
                conversation: message.conversation,
                buyer: message.peer,
                payer_key: placed.payer_key,
                placed: placed.clone(),
                provider: placed.provider.clone(),
                attempt,
                handoff: None,
                created_at: tx.now,
            };
            till::insert_attempt(tx, &row)
        }
        Decision::Again => {
            let row = before.into_iter().find(|row| row.order == placed.order && row.number == placed.attempt);
            row.map_or(Ok(()), |row| answer_again(tx, till, &row))
        }
        Decision::Refuse(refused) => refuse(tx, till, message, placed, &refused),
    }
}

/// What was charged and given back as surplus paid nothing.
pub(super) fn without_surplus(tx: &Tx<'_>, rows: &mut [AttemptRow]) -> Result<(), TurnError> {
    for row in rows {
        if row.attempt.state == State::Captured && !post::is_receipted_by(tx, row)? {
            row.attempt.state = State::Dead;
        }
    }
    Ok(())
}

/// Nothing was started, so nothing can come of it: a final word about this attempt, and in the books as such. Another attempt of
/// the same order may be taken, when a slot is free again for one.
fn refuse(
    tx: &mut Tx<'_>,
    till: &Till,
    message: &Incoming,
    placed: &OrderPlaced,
    refused: &Refused,
) -> Result<(), TurnError> {
    let refusal = refusal(message, placed, refused);
    refusal.keep(tx)?;
    tell_refusal(tx, till, message, refusal)
}

fn refusal(message: &Incoming, placed: &OrderPlaced, refused: &Refused) -> Refusal {
    Refusal {
        buyer: message.peer,
        order: placed.order,
        attempt: placed.attempt,
        payment: placed.payment,
        payer_key: placed.payer_key,
        invoice_hash: placed.invoice_hash,
        reason: refused.key().to_owned(),
    }
}

fn tell_refusal(tx: &mut Tx<'_>, till: &Till, message: &Incoming, mut refusal: Refusal) -> Result<(), TurnError> {
    let reason = std::mem::take(&mut refusal.reason);
    answer(tx, till, message, &refusal, AnswerBody::NotPaid(NotPaid { reason, words: String::new() }))
}

/// Says something about an attempt that does not stand in the books as one.
fn answer(
    tx: &mut Tx<'_>,
    till: &Till,
    message: &Incoming,
    about: &Refusal,
    body: AnswerBody,
) -> Result<(), TurnError> {
    let answer = PaymentAnswer {
        merchant: till.account.id,
        term: till.term,
        live: till.live,
        payer_key: about.payer_key,
        invoice_hash: about.invoice_hash,
        order: about.order,
        payment: about.payment,
        attempt: about.attempt,
        issued_at: till.issued_at(tx.now),
        body,
    };
    let basis = Some(Basis::Order(about.order));
    tx.say(message.conversation, Body::PaymentAnswer(Signed::sign(&answer, &till.key)), basis).map(drop)
}

/// "What became of it?" Only the one who placed the order is told.
fn asked(tx: &mut Tx<'_>, till: &Till, message: &Incoming, ask: AskPayment) -> Result<(), TurnError> {
    let attempts = till::attempts_of_order(tx.sql(), ask.order)?;
    let ours = |row: &&AttemptRow| row.buyer == message.peer && row.payment == ask.payment;
    let mut captured = None;
    for row in attempts.iter().filter(ours) {
        if row.attempt.state == State::Captured && post::is_receipted_by(tx, row)? {
            captured = Some(row);
        }
    }
    let asked = attempts.iter().filter(ours).find(|row| row.number == ask.attempt);
    match captured.or(asked) {
        Some(row) => {
            if row.attempt.state.is_live() {
                // Somebody waits: look at the provider now.
                tx.sql()
                    .prepare_cached(
                        "UPDATE attempt SET wake_at = ?3 WHERE payment = ?1 AND attempt = ?2 AND quarantined IS NULL",
                    )?
                    .execute(params![row.payment.0, row.number, tx.now.0])?;
            }
            answer_again(tx, till, row)
        }
        None => match Refusal::find(tx.sql(), message.peer, ask.order, ask.attempt)? {
            Some(refusal) if refusal.payment == ask.payment => tell_refusal(tx, till, message, refusal),
            // An order that never arrived: the order message may still be on its way, so this says nothing final.
            Some(_) | None => Ok(()),
        },
    }
}

/// Says again what stands in the books about an attempt.
fn answer_again(tx: &mut Tx<'_>, till: &Till, row: &AttemptRow) -> Result<(), TurnError> {
    match row.attempt.state {
        State::Captured => post::send_receipt_again(tx, till, row),
        State::Dead => {
            let reason = row.attempt.reason.clone().unwrap_or_else(|| "method.provider_down".to_owned());
            let body = AnswerBody::NotPaid(NotPaid { reason, words: String::new() });
            let answer = till.answer(row, body, tx.now);
            till::tell(tx, row, answer)
        }
        State::Requested => match &row.handoff {
            Some(handoff) if row.attempt.expires_at > tx.now => till::tell(tx, row, Signed::decode(handoff)?),
            _ => checking(tx, till, row),
        },
        State::Starting | State::Unknown => checking(tx, till, row),
    }
}

fn checking(tx: &mut Tx<'_>, till: &Till, row: &AttemptRow) -> Result<(), TurnError> {
    let answer = till.answer(row, AnswerBody::Checking, tx.now);
    till::tell(tx, row, answer)
}
