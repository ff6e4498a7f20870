//! Turns of the customer's half of a payment: `engine::checkout` decides, this loads and saves.

use comptoir_content::{
    Body, ContentError, Hash, Invoice, NotPaid, OrderId, OrderInfo, OrderPlaced, Payee, PaymentAnswer, PaymentId,
    ReceiptFile, Refund, Signed, SigningKey, Timestamp,
};
use comptoir_engine::checkout::{self, Checkout, Choice, Effect as E, Input, SheetHint, State};
use comptoir_engine::{Refused, invoice, receipt};
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, Row, params};

use super::send;
use crate::error::TurnError;
use crate::reads;
use crate::store::{ConversationRow, Effect, Tx};

/// A checkout with what is stored beside it.
pub(crate) struct Loaded {
    pub(crate) conversation: i64,
    pub(crate) checkout: Checkout,
    payer: Option<SigningKey>,
}

struct Stored {
    conversation: i64,
    invoice: Vec<u8>,
    state: String,
    placed: Option<Vec<u8>>,
    payer_seed: Option<[u8; 32]>,
    request: Option<Vec<u8>>,
    not_paid_reason: Option<String>,
    not_paid_words: Option<String>,
    receipt: Option<Vec<u8>>,
    refunded_minor: i64,
    asks: u32,
    wake_at: Option<i64>,
}

const SELECT: &str = "SELECT checkout.*, receipt.file AS receipt_file FROM checkout
    LEFT JOIN receipt ON receipt.hash = checkout.receipt_hash";

fn stored(row: &Row<'_>) -> comptoir_sqlcipher::rusqlite::Result<Stored> {
    Ok(Stored {
        conversation: row.get("conversation")?,
        invoice: row.get("invoice")?,
        state: row.get("state")?,
        placed: row.get("placed")?,
        payer_seed: row.get("payer_seed")?,
        request: row.get("request")?,
        not_paid_reason: row.get("not_paid_reason")?,
        not_paid_words: row.get("not_paid_words")?,
        receipt: row.get("receipt_file")?,
        refunded_minor: row.get("refunded_minor")?,
        asks: row.get("asks")?,
        wake_at: row.get("wake_at")?,
    })
}

impl Stored {
    fn load(self) -> Result<Loaded, TurnError> {
        let signed = Signed::<Invoice>::decode(&self.invoice)?;
        let request = match &self.request {
            Some(bytes) => match Signed::<PaymentAnswer>::decode(bytes)?.verify()?.into_inner().body {
                comptoir_content::AnswerBody::Requested(request) => Some(request),
                comptoir_content::AnswerBody::Checking | comptoir_content::AnswerBody::NotPaid(_) => None,
            },
            None => None,
        };
        let receipt = match &self.receipt {
            Some(file) => Some(ReceiptFile::from_file(file)?.receipt.verify()?),
            None => None,
        };
        let not_paid =
            self.not_paid_reason.map(|reason| NotPaid { reason, words: self.not_paid_words.unwrap_or_default() });
        let checkout = Checkout {
            invoice: signed.verify()?,
            state: State::named(&self.state).ok_or(TurnError::Corrupt { what: "checkout" })?,
            order: self.placed.map(|bytes| OrderPlaced::decode(&bytes)).transpose()?,
            request,
            not_paid,
            receipt,
            refunded_minor: self.refunded_minor,
            asks: self.asks,
            wake_at: self.wake_at.map(Timestamp),
        };
        let payer = self.payer_seed.map(SigningKey::from_seed);
        Ok(Loaded { conversation: self.conversation, checkout, payer })
    }
}

/// Reads a checkout for a view. `db` may be a read-only connection.
pub(crate) fn load_by_invoice(
    db: &comptoir_sqlcipher::rusqlite::Connection,
    hash: [u8; 32],
) -> Result<Option<Loaded>, TurnError> {
    let mut select = db.prepare_cached(&format!("{SELECT} WHERE invoice_hash = ?1"))?;
    select.query_row([hash], stored).optional()?.map(Stored::load).transpose()
}

fn load_by_order(tx: &Tx<'_>, order: OrderId) -> Result<Option<Loaded>, TurnError> {
    let mut select = tx.sql.prepare_cached(&format!("{SELECT} WHERE checkout.order_id = ?1"))?;
    select.query_row([order.0], stored).optional()?.map(Stored::load).transpose()
}

/// Runs one input through the machine and saves what it decided, with what has to be sent.
fn advance(tx: &mut Tx<'_>, loaded: Loaded, input: Input<'_>) -> Result<State, TurnError> {
    let step = checkout::step(loaded.checkout, input, tx.now)?;
    let next = step.next;
    tx.sql
        .prepare_cached(
            "UPDATE checkout SET state = ?2, order_id = ?3, placed = ?4, not_paid_reason = ?5, not_paid_words = ?6,
                 receipt_hash = ?7, refunded_minor = ?8, asks = ?9, wake_at = ?10,
                 request = CASE WHEN ?11 THEN request ELSE NULL END
             WHERE invoice_hash = ?1",
        )?
        .execute(params![
            next.invoice.hash().0,
            next.state.name(),
            next.order.as_ref().map(|order| order.order.0),
            next.order.as_ref().map(OrderPlaced::encode),
            next.not_paid.as_ref().map(|not_paid| not_paid.reason.as_str()),
            next.not_paid.as_ref().map(|not_paid| not_paid.words.as_str()),
            next.receipt.as_ref().map(|receipt| receipt.hash().0),
            next.refunded_minor,
            next.asks,
            next.wake_at.map(|at| at.0),
            next.request.is_some(),
        ])?;
    let conversation = tx.conversation_by_id(loaded.conversation)?;
    for effect in step.effects {
        match effect {
            E::SendOrder(order) => {
                send::send(tx, &conversation, Body::OrderPlaced(Box::new(order)), None)?;
            }
            E::Ask(ask) => {
                send::send(tx, &conversation, Body::AskPayment(ask), None)?;
            }
            // Only the device that placed the order opens its sheet.
            E::OpenSheet(request) if loaded.payer.is_some() => {
                let sheet = reads::sheet(conversation.uid, &next, &request);
                tx.effect(Effect::OpenSheet(sheet));
            }
            E::OpenSheet(_) => {}
        }
    }
    tx.notify_chat(conversation.uid);
    Ok(next.state)
}

/// An invoice came. It becomes payable only if everything about it holds; else its message says why.
pub(crate) fn invoice_arrived(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    message: i64,
    signed: &Signed<Invoice>,
) -> Result<(), TurnError> {
    let me = tx.me()?;
    let merchant = tx.account(conversation.peer)?;
    if merchant.as_ref().is_none_or(|merchant| merchant.id == me.account) {
        return Ok(());
    }
    let checked = signed.verify().map_err(refused).and_then(|verified| {
        let merchant = merchant.as_ref().ok_or(Refused::InvoiceSignature)?;
        invoice::check_payable(&verified, merchant, me.account, tx.now).map(|()| verified)
    });
    match checked {
        Ok(verified) => {
            let offer = Checkout::offered(verified);
            tx.sql
                .prepare_cached(
                    "INSERT INTO checkout (invoice_hash, conversation, message, merchant, invoice, state, wake_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    offer.invoice.hash().0,
                    conversation.id,
                    message,
                    offer.invoice.merchant.0,
                    signed.encode(),
                    offer.state.name(),
                    offer.wake_at.map(|at| at.0)
                ])?;
        }
        Err(refused) => {
            tx.sql
                .prepare_cached("UPDATE message SET why = ?2 WHERE id = ?1")?
                .execute(params![message, refused.key()])?;
        }
    }
    Ok(())
}

/// Whether this invoice is in a thread here already, with its state.
pub(crate) fn is_offered(tx: &Tx<'_>, invoice: Hash) -> Result<bool, TurnError> {
    let mut select = tx.sql.prepare_cached("SELECT EXISTS (SELECT 1 FROM checkout WHERE invoice_hash = ?1)")?;
    Ok(select.query_row([invoice.0], |row| row.get(0))?)
}

fn refused(error: ContentError) -> Refused {
    match error {
        ContentError::UpdateApp { .. } => Refused::UpdateApp,
        ContentError::Unreadable { .. } | ContentError::Field { .. } | ContentError::Signature { .. } => {
            Refused::InvoiceSignature
        }
    }
}

/// What a customer chose before tapping Pay.
pub(crate) struct Tapped {
    pub(crate) tip_minor: i64,
    pub(crate) provider: Option<String>,
    pub(crate) info: OrderInfo,
}

/// The tap on Pay: the order, its key and its payment are on disk before anything is sent.
pub(crate) fn place_order(tx: &mut Tx<'_>, invoice_hash: [u8; 32], tapped: Tapped) -> Result<State, TurnError> {
    let loaded = load_by_invoice(tx.sql, invoice_hash)?.ok_or(TurnError::NotFound { what: "invoice" })?;
    let merchant = tx.account_row(loaded.checkout.invoice.merchant)?.ok_or(TurnError::NotFound { what: "account" })?;
    let key_changed = merchant.key_changed;
    let merchant = merchant.account.ok_or(TurnError::NotFound { what: "account" })?;
    let payer = match &loaded.payer {
        Some(payer) => payer.clone(),
        None => {
            let payer = tx.random.key();
            tx.sql
                .prepare_cached("UPDATE checkout SET payer_seed = ?2 WHERE invoice_hash = ?1")?
                .execute(params![invoice_hash, *payer.to_seed()])?;
            payer
        }
    };
    let choice = Box::new(Choice {
        tip_minor: tapped.tip_minor,
        provider: tapped.provider,
        info: tapped.info,
        order: OrderId(tx.new_id()),
        payment: PaymentId(tx.new_id()),
        payer: payer.clone(),
    });
    let loaded = Loaded { payer: Some(payer), ..loaded };
    advance(tx, loaded, Input::Place { choice, merchant: &merchant, key_changed })
}

pub(crate) fn placed_elsewhere(tx: &mut Tx<'_>, order: OrderPlaced) -> Result<(), TurnError> {
    match load_by_invoice(tx.sql, order.invoice_hash.0)? {
        // An order of our own is watched over here; the other device watches over its own.
        Some(loaded) if loaded.payer.is_some() && loaded.checkout.order.is_some() => Ok(()),
        Some(loaded) => ignore_refusal(advance(tx, loaded, Input::PlacedElsewhere(Box::new(order)))),
        None => Ok(()),
    }
}

/// A message about a payment that breaks a rule changes nothing; the state stays what was proven.
fn ignore_refusal(result: Result<State, TurnError>) -> Result<(), TurnError> {
    match result {
        Ok(_) => Ok(()),
        Err(TurnError::Refused(refused)) => {
            tracing::warn!(reason = refused.key(), "a payment message was refused");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The till answered about an order of ours.
pub(crate) fn answered(tx: &mut Tx<'_>, signed: &Signed<PaymentAnswer>) -> Result<(), TurnError> {
    let Ok(answer) = signed.verify() else {
        return Ok(());
    };
    let Some(loaded) = load_by_order(tx, answer.order)? else {
        return Ok(());
    };
    let Some(row) = tx.account_row(loaded.checkout.invoice.merchant)? else {
        return Ok(());
    };
    let payees: Vec<Payee> = row.profile.map(|profile| profile.payees).unwrap_or_default();
    let Some(merchant) = row.account else {
        return Ok(());
    };
    let (order, requested) = (answer.order, matches!(answer.body, comptoir_content::AnswerBody::Requested(_)));
    ignore_refusal(advance(tx, loaded, Input::Answered { answer, merchant: &merchant, payees: &payees }))?;
    if requested {
        // Kept beside the state that it led to, and only if it did.
        tx.sql
            .prepare_cached(
                "UPDATE checkout SET request = ?2 WHERE order_id = ?1 AND request IS NULL AND state = 'awaiting_consent'",
            )?
            .execute(params![order.0, signed.encode()])?;
    }
    Ok(())
}

/// What a receipt or a refund statement proved.
pub(crate) enum Proof {
    New,
    /// It was here before.
    Again,
    Refused(Refused),
}

/// A rule's refusal becomes a reason to show; everything else stays an error.
fn proof(moved: Result<State, TurnError>, again: bool) -> Result<Proof, TurnError> {
    match moved {
        Ok(_) if again => Ok(Proof::Again),
        Ok(_) => Ok(Proof::New),
        Err(TurnError::Refused(refused)) => Ok(Proof::Refused(refused)),
        Err(error) => Err(error),
    }
}

fn unproven(why: &'static str) -> Result<Proof, TurnError> {
    Ok(Proof::Refused(Refused::ReceiptUnverified { why }))
}

/// A receipt came. It is kept if it holds, and settles the order it belongs to.
pub(crate) fn receipt_arrived(tx: &mut Tx<'_>, file: &ReceiptFile) -> Result<Proof, TurnError> {
    let known = tx.account(file.log.account())?;
    let verdict = match receipt::verify(file, known.as_ref()) {
        Ok(verdict) => verdict,
        Err(refused) => return Ok(Proof::Refused(refused)),
    };
    let receipt = verdict.proven().receipt.clone();
    let Some(loaded) = load_by_order(tx, receipt.order)? else {
        return unproven("it is for no order of ours");
    };
    let Some(order) = loaded.checkout.order.clone() else {
        return unproven("it is for no order of ours");
    };
    let settled = receipt::settles(&verdict, &loaded.checkout.invoice, order.order, order.payer_key, order.tip_minor);
    let settled = match settled {
        Ok(settled) => settled,
        Err(refused) => return Ok(Proof::Refused(refused)),
    };
    keep_receipt(tx, file, receipt.hash().0, receipt.order, receipt.merchant.0)?;
    let again = loaded.checkout.receipt.is_some();
    proof(advance(tx, loaded, Input::Settled(settled)), again)
}

fn keep_receipt(
    tx: &Tx<'_>,
    file: &ReceiptFile,
    hash: [u8; 32],
    order: OrderId,
    merchant: [u8; 20],
) -> Result<(), TurnError> {
    let last: Option<[u8; 32]> = tx
        .sql
        .prepare_cached("SELECT chain FROM receipt ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let chain = Hash::of(&[last.unwrap_or_default(), hash].concat());
    tx.sql
        .prepare_cached(
            "INSERT INTO receipt (hash, order_id, merchant, file, received_at, chain)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM receipt WHERE hash = ?1)",
        )?
        .execute(params![hash, order.0, merchant, file.to_file(), tx.now.0, chain.0])?;
    Ok(())
}

/// The shop says that it gave money back.
pub(crate) fn refund_arrived(tx: &mut Tx<'_>, signed: &Signed<Refund>) -> Result<Proof, TurnError> {
    let Ok(refund) = signed.verify() else {
        return unproven("the refund's signature does not hold");
    };
    let Some(loaded) = load_by_order(tx, refund.order)? else {
        return unproven("the refund is for no order of ours");
    };
    let Some(merchant) = tx.account(loaded.checkout.invoice.merchant)? else {
        return unproven("the refund is of a shop that is not known");
    };
    let again = loaded.checkout.refunded_minor >= refund.refunded.minor();
    proof(advance(tx, loaded, Input::Refunded { refund, merchant: &merchant }), again)
}

/// The payment sheet closed. What it says is a hint.
pub(crate) fn sheet_closed(tx: &mut Tx<'_>, order: OrderId, hint: SheetHint) -> Result<State, TurnError> {
    let loaded = load_by_order(tx, order)?.ok_or(TurnError::NotFound { what: "order" })?;
    advance(tx, loaded, Input::SheetClosed(hint))
}

/// Asks the till about every payment whose time has come.
pub(crate) fn woken(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    let due: Vec<[u8; 32]> = {
        let mut select = tx.sql.prepare_cached("SELECT invoice_hash FROM checkout WHERE wake_at <= ?1")?;
        select.query_map([tx.now.0], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for hash in due {
        if let Some(loaded) = load_by_invoice(tx.sql, hash)? {
            let random = tx.random.number();
            ignore_refusal(advance(tx, loaded, Input::Woken { random }))?;
        }
    }
    Ok(())
}

/// Asks now about everything unresolved: after a start, a restored connection, or when somebody pulls the list down.
pub(crate) fn ask_now(tx: &mut Tx<'_>) -> Result<(), TurnError> {
    tx.sql.execute(
        "UPDATE checkout SET wake_at = ?1 WHERE wake_at > ?1 AND state IN ('placed', 'settling')",
        params![tx.now.0],
    )?;
    woken(tx)
}
