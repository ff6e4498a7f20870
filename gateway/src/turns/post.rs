//! Money came or went: the posting, the signed receipt and the outgoing message, in the transaction of the turn.

use comptoir_client::headless::{TurnError, Tx};
use comptoir_content::{
    Amount, AnswerBody, Basis, Body, Disclosure, Evidence, Hash, NotPaid, OrderId, PartBody, Receipt, ReceiptFile,
    RefundId, Salt, Signed, Timestamp,
};
use comptoir_engine::Refused;
use comptoir_engine::ledger::{self, Kind};
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, params};

use crate::till::{self, AttemptRow, Till};

/// What a posting is about.
pub(crate) struct Posting<'a> {
    pub(crate) kind: Kind,
    pub(crate) amount: Amount,
    pub(crate) order: OrderId,
    pub(crate) provider: &'a str,
    /// The provider's id of the charge or refund. One posting per kind and id, whatever happens twice.
    pub(crate) provider_ref: &'a str,
}

/// Writes both legs of a posting at the end of the chain. False when it stood there already.
pub(crate) fn post(tx: &Tx<'_>, posting: &Posting<'_>) -> Result<bool, TurnError> {
    let key = format!("{}/{}/{}", posting.kind.name(), posting.provider, posting.provider_ref);
    let known: bool = tx
        .sql()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM ledger WHERE posting = ?1)")?
        .query_row([&key], |row| row.get(0))?;
    if known {
        return Ok(false);
    }
    for (leg, entry) in ledger::post(posting.kind, posting.amount).iter().enumerate() {
        let last: Option<(i64, [u8; 32])> = tx
            .sql()
            .prepare_cached("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (seq, previous) = last.map_or((1, [0; 32]), |(seq, hash)| (seq + 1, hash));
        let currency = posting.amount.currency();
        let hash = chain_hash(&previous, seq, &key, tx.now, entry.book.name(), entry.minor, currency.code());
        tx.sql()
            .prepare_cached(
                "INSERT INTO ledger (seq, posting, leg, at_ms, kind, order_id, provider, provider_ref, book, minor,
                     currency, previous, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                seq,
                key,
                i64::try_from(leg).unwrap_or(0),
                tx.now.0,
                posting.kind.name(),
                posting.order.0,
                posting.provider,
                posting.provider_ref,
                entry.book.name(),
                entry.minor,
                currency.code(),
                previous,
                hash.0
            ])?;
    }
    Ok(true)
}

/// What a ledger row's hash is taken over: the hash before it and everything that the row says.
pub(crate) fn chain_hash(
    previous: &[u8; 32],
    seq: i64,
    posting: &str,
    at: Timestamp,
    book: &str,
    minor: i64,
    currency: &str,
) -> Hash {
    let mut bytes = b"comptoir/ledger/v1\0".to_vec();
    bytes.extend_from_slice(previous);
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&at.0.to_be_bytes());
    bytes.extend_from_slice(&minor.to_be_bytes());
    for text in [posting, book, currency] {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    Hash::of(&bytes)
}

/// A charge for an order: posted, receipted and told, all or nothing. A second charge for the same order is surplus, and
/// so is one for an invoice that other orders have paid as often as it may be paid.
pub(crate) fn settle(
    tx: &mut Tx<'_>,
    till: &Till,
    row: &AttemptRow,
    paid_at: Timestamp,
    method: String,
) -> Result<(), TurnError> {
    let charge = row.attempt.provider_payment.as_deref().ok_or(TurnError::Corrupt { what: "attempt" })?;
    if is_receipted(tx, row.order)? || is_used_up(tx, row.invoice_hash)? {
        return surplus(tx, till, row, charge);
    }
    let posting = Posting {
        kind: Kind::Capture,
        amount: row.attempt.amount,
        order: row.order,
        provider: &row.provider,
        provider_ref: charge,
    };
    if !post(tx, &posting)? {
        return Ok(());
    }
    let file = issue(tx, till, row, charge, paid_at, method)?;
    tx.say(row.conversation, Body::Receipt(Box::new(file)), Some(Basis::Order(row.order))).map(drop)
}

/// Money that came although the attempt was over. If the order is unpaid it pays it after all; else it goes back.
pub(crate) fn late_money(
    tx: &mut Tx<'_>,
    till: &Till,
    row: &AttemptRow,
    paid_at: Timestamp,
    method: String,
) -> Result<(), TurnError> {
    let siblings = till::attempts_of_order(tx.sql(), row.order)?;
    let another_is_live = siblings.iter().any(|other| other.number != row.number && other.attempt.state.is_live());
    if another_is_live || is_receipted(tx, row.order)? {
        let charge = row.attempt.provider_payment.as_deref().ok_or(TurnError::Corrupt { what: "attempt" })?;
        return surplus(tx, till, row, charge);
    }
    settle(tx, till, row, paid_at, method)
}

/// True when the order's receipt is for this very attempt.
pub(crate) fn is_receipted_by(tx: &Tx<'_>, row: &AttemptRow) -> Result<bool, TurnError> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM issued WHERE order_id = ?1 AND payment = ?2 AND attempt = ?3)")?
        .query_row(params![row.order.0, row.payment.0, row.number], |row| row.get(0))?)
}

fn is_receipted(tx: &Tx<'_>, order: OrderId) -> Result<bool, TurnError> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM issued WHERE order_id = ?1)")?
        .query_row([order.0], |row| row.get(0))?)
}

/// Whether as many orders of an invoice have a receipt as it may be paid.
fn is_used_up(tx: &Tx<'_>, invoice: Hash) -> Result<bool, TurnError> {
    let (signed, _) = till::invoice(tx.sql(), invoice)?.ok_or(TurnError::Corrupt { what: "invoice" })?;
    let receipts: i64 = tx
        .sql()
        .prepare_cached("SELECT count(*) FROM issued JOIN attempt USING (payment, attempt) WHERE invoice_hash = ?1")?
        .query_row([invoice.0], |row| row.get(0))?;
    Ok(receipts >= i64::from(signed.verify()?.max_payments))
}

/// Tells who paid for nothing that it was paid already: this order gets no receipt, and the money goes back.
fn paid_for_nothing(tx: &mut Tx<'_>, till: &Till, row: &AttemptRow) -> Result<(), TurnError> {
    let reason = Refused::AlreadyPaid.key().to_owned();
    let answer = till.answer(row, AnswerBody::NotPaid(NotPaid { reason, words: String::new() }), tx.now);
    till::tell(tx, row, answer)
}

/// Books a charge that nobody should have made, and gives it back.
fn surplus(tx: &mut Tx<'_>, till: &Till, row: &AttemptRow, charge: &str) -> Result<(), TurnError> {
    let posting = Posting {
        kind: Kind::Surplus,
        amount: row.attempt.amount,
        order: row.order,
        provider: &row.provider,
        provider_ref: charge,
    };
    if post(tx, &posting)? {
        let id = RefundId(tx.new_id());
        super::refund::ask(tx, id, row, row.attempt.amount, true)?;
        if !is_receipted(tx, row.order)? {
            paid_for_nothing(tx, till, row)?;
        }
    }
    Ok(())
}

/// Makes, signs and keeps the receipt of a charge.
fn issue(
    tx: &mut Tx<'_>,
    till: &Till,
    row: &AttemptRow,
    charge: &str,
    paid_at: Timestamp,
    method: String,
) -> Result<ReceiptFile, TurnError> {
    let (signed, _) = till::invoice(tx.sql(), row.invoice_hash)?.ok_or(TurnError::Corrupt { what: "invoice" })?;
    let invoice = signed.verify()?;
    let mut lines = invoice.lines.clone();
    if row.placed.tip_minor > 0 {
        lines.push(comptoir_content::Line {
            label: "Tip".to_owned(),
            quantity: 1,
            unit_minor: row.placed.tip_minor,
            kind: comptoir_content::LineKind::Tip,
        });
    }
    let parts = [
        PartBody::Lines { title: invoice.title.clone(), lines },
        PartBody::OrderInfo(row.placed.info.clone()),
        PartBody::Evidence(Evidence {
            provider: row.provider.clone(),
            account: row.attempt.account.clone(),
            provider_payment: charge.to_owned(),
            method,
            paid_at,
        }),
        PartBody::Terms { terms_hash: invoice.terms_hash },
    ];
    let disclosures = parts.map(|part| Disclosure::new(&part, Salt(tx.random.bytes())));
    let previous: Option<[u8; 32]> = tx
        .sql()
        .prepare_cached("SELECT hash FROM issued ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let receipt = Receipt {
        merchant: till.account.id,
        term: till.term,
        live: till.live,
        invoice_hash: row.invoice_hash,
        order: row.order,
        payer_key: row.payer_key,
        amount: row.attempt.amount,
        issued_at: till.issued_at(tx.now),
        previous: previous.map(Hash),
        digests: [0, 1, 2, 3].map(|part: usize| disclosures[part].digest()),
    };
    let file = ReceiptFile {
        receipt: Signed::sign(&receipt, &till.key),
        disclosures: disclosures.to_vec(),
        log: till.certificate_log(),
    };
    tx.sql()
        .prepare_cached(
            "INSERT INTO issued (hash, order_id, payment, attempt, conversation, amount_minor, currency, file, issued_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            file.receipt.hash().0,
            row.order.0,
            row.payment.0,
            row.number,
            row.conversation.0,
            row.attempt.amount.minor(),
            row.attempt.amount.currency().code(),
            file.to_file(),
            receipt.issued_at.0
        ])?;
    Ok(file)
}

/// The same signed receipt once more, for a customer who did not get it.
pub(crate) fn send_receipt_again(tx: &mut Tx<'_>, till: &Till, row: &AttemptRow) -> Result<(), TurnError> {
    let file: Option<Vec<u8>> = tx
        .sql()
        .prepare_cached("SELECT file FROM issued WHERE order_id = ?1")?
        .query_row([row.order.0], |row| row.get(0))
        .optional()?;
    match file {
        Some(file) => {
            let file = ReceiptFile::from_file(&file)?;
            tx.say(row.conversation, Body::Receipt(Box::new(file)), Some(Basis::Order(row.order))).map(drop)
        }
        None => paid_for_nothing(tx, till, row),
    }
}
