//! Giving money back: written down, asked of the provider, posted and told once it is certain.

use comptoir_client::headless::{TurnError, Tx};
use comptoir_content::{
    Amount, Basis, Body, Currency, OrderId, PaymentId, ReceiptFile, Refund, RefundId, Signed, Timestamp,
};
use comptoir_engine::Refused;
use comptoir_engine::ledger::Kind;
use comptoir_engine::outbox::next_try;
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, Row, params};

use crate::jobs::RESEND_MS;
use crate::provider::RefundOutcome;
use crate::till::{self, AttemptRow};
use crate::turns::post::{self, Posting};

/// A refund on its way.
#[derive(Clone)]
pub(crate) struct RefundRow {
    pub(crate) id: RefundId,
    pub(crate) order: OrderId,
    pub(crate) payment: PaymentId,
    pub(crate) attempt: u32,
    pub(crate) surplus: bool,
    pub(crate) amount: Amount,
    pub(crate) tries: u32,
    /// Counts the creations, each under a key of its own, and when this one was first sent.
    pub(crate) creation: u32,
    pub(crate) creation_at: Timestamp,
    /// The provider has it, and gave it a name.
    pub(crate) is_named: bool,
}

fn row(row: &Row<'_>) -> comptoir_sqlcipher::rusqlite::Result<(RefundRow, String)> {
    let currency: String = row.get("currency")?;
    let minor: i64 = row.get("amount_minor")?;
    let amount = Currency::of(&currency).and_then(|currency| Amount::new(minor, currency));
    let amount = amount.map_err(|_| comptoir_sqlcipher::rusqlite::Error::InvalidQuery)?;
    let refund = RefundRow {
        id: RefundId(row.get("id")?),
        order: OrderId(row.get("order_id")?),
        payment: PaymentId(row.get("payment")?),
        attempt: row.get("attempt")?,
        surplus: row.get("surplus")?,
        amount,
        tries: row.get("tries")?,
        creation: row.get("creation")?,
        creation_at: Timestamp(row.get("creation_at")?),
        is_named: row.get::<_, Option<String>>("provider_refund")?.is_some(),
    };
    Ok((refund, row.get("state")?))
}

/// Writes a refund down. The provider is asked as soon as this is committed.
pub(crate) fn ask(
    tx: &Tx<'_>,
    id: RefundId,
    attempt: &AttemptRow,
    amount: Amount,
    surplus: bool,
) -> Result<(), TurnError> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO refund (id, order_id, payment, attempt, surplus, amount_minor, currency, state, created_at,
                 creation_at, wake_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'asking', ?8, ?8, ?8)",
        )?
        .execute(params![
            id.0,
            attempt.order.0,
            attempt.payment.0,
            attempt.number,
            surplus,
            amount.minor(),
            amount.currency().code(),
            tx.now.0
        ])?;
    Ok(())
}

/// What a wish to give money back comes down to.
pub(crate) enum Asked {
    /// It is written down, now or before.
    Taken(Amount),
    /// The id is of a refund for another order or over another amount.
    Another,
    /// The provider refused the refund with this id.
    Failed,
}

/// The merchant wants to give money back. The same `id` again is the same refund. `amount_minor` `None`: all that is left.
pub(crate) fn refund_asked(
    tx: &mut Tx<'_>,
    id: RefundId,
    order: OrderId,
    amount_minor: Option<i64>,
) -> Result<Asked, TurnError> {
    let known: Option<(RefundRow, String)> =
        tx.sql().prepare_cached("SELECT * FROM refund WHERE id = ?1")?.query_row([id.0], row).optional()?;
    if let Some((known, state)) = known {
        let same = known.order == order && amount_minor.is_none_or(|minor| minor == known.amount.minor());
        return Ok(match (same, state.as_str()) {
            (false, _) => Asked::Another,
            (true, "failed") => Asked::Failed,
            (true, _) => Asked::Taken(known.amount),
        });
    }
    let issued: Option<([u8; 16], u32)> = tx
        .sql()
        .prepare_cached("SELECT payment, attempt FROM issued WHERE order_id = ?1")?
        .query_row([order.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (payment, number) = issued.ok_or(TurnError::NotFound { what: "receipt" })?;
    let attempt = till::attempt(tx.sql(), PaymentId(payment), number)?;
    let captured = attempt.attempt.amount;
    let asked: i64 = tx
        .sql()
        .prepare_cached("SELECT coalesce(sum(amount_minor), 0) FROM refund WHERE order_id = ?1 AND surplus = 0 AND state <> 'failed'")?
        .query_row([order.0], |row| row.get(0))?;
    let left = captured.minor() - asked;
    let minor = amount_minor.unwrap_or(left);
    if minor <= 0 || minor > left {
        return Err(Refused::RefundTooLarge.into());
    }
    let amount = Amount::new(minor, captured.currency())?;
    ask(tx, id, &attempt, amount, false)?;
    Ok(Asked::Taken(amount))
}

/// Refunds whose provider has to be asked now, with the attempt each is for.
pub(crate) fn due(
    db: &comptoir_sqlcipher::rusqlite::Connection,
    now: Timestamp,
) -> Result<Vec<(RefundRow, AttemptRow)>, TurnError> {
    let mut select = db.prepare_cached("SELECT * FROM refund WHERE wake_at <= ?1 ORDER BY created_at")?;
    let rows: Vec<(RefundRow, String)> = select.query_map([now.0], row)?.collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|(refund, _)| {
            let attempt = till::attempt(db, refund.payment, refund.attempt)?;
            Ok((refund, attempt))
        })
        .collect()
}

/// The provider answered about a refund.
pub(crate) fn refund_answered(tx: &mut Tx<'_>, id: RefundId, outcome: &RefundOutcome) -> Result<(), TurnError> {
    let (refund, state) = tx.sql().prepare_cached("SELECT * FROM refund WHERE id = ?1")?.query_row([id.0], row)?;
    if state != "asking" && state != "pending" {
        return Ok(());
    }
    match outcome {
        RefundOutcome::Done { provider_refund, amount } if *amount == refund.amount => {
            done(tx, &refund, provider_refund)
        }
        RefundOutcome::Done { provider_refund, .. } => quarantine(tx, id, Some(provider_refund)),
        RefundOutcome::Pending { provider_refund } => {
            later(tx, &refund)?;
            tx.sql().execute(
                "UPDATE refund SET state = 'pending', provider_refund = ?2 WHERE id = ?1",
                params![id.0, provider_refund],
            )?;
            Ok(())
        }
        RefundOutcome::Rejected { reason } => {
            tracing::error!("a refund failed: the provider refused it, and the customer does not have the money");
            tx.sql().execute(
                "UPDATE refund SET state = 'failed', reason = ?2, wake_at = NULL WHERE id = ?1",
                params![id.0, reason],
            )?;
            Ok(())
        }
        // All that the provider has is not ours, so none was made, and what its first key was for it has forgotten.
        RefundOutcome::NotFound if !refund.is_named && tx.now.since_ms(refund.creation_at) >= RESEND_MS => {
            create_anew(tx, &refund)
        }
        RefundOutcome::NoAnswer | RefundOutcome::NotFound => later(tx, &refund),
    }
}

/// The refund is created once more, under another key, as soon as this is committed.
fn create_anew(tx: &Tx<'_>, refund: &RefundRow) -> Result<(), TurnError> {
    let captured = till::attempt(tx.sql(), refund.payment, refund.attempt)?.attempt.amount;
    let promised: i64 = tx
        .sql()
        .prepare_cached(
            "SELECT sum(amount_minor) FROM refund WHERE payment = ?1 AND attempt = ?2 AND state <> 'failed'",
        )?
        .query_row(params![refund.payment.0, refund.attempt], |row| row.get(0))?;
    if promised > captured.minor() {
        return quarantine(tx, refund.id, None);
    }
    tx.sql()
        .prepare_cached(
            "UPDATE refund SET creation = creation + 1, creation_at = ?2, tries = 0, wake_at = ?2 WHERE id = ?1",
        )?
        .execute(params![refund.id.0, tx.now.0])?;
    Ok(())
}

/// A person has to look. The refund stays counted: whether the money went back is not known.
fn quarantine(tx: &Tx<'_>, id: RefundId, provider_refund: Option<&str>) -> Result<(), TurnError> {
    tracing::error!("a refund is in quarantine: the provider's answer does not match what was asked");
    tx.sql().execute(
        "UPDATE refund SET state = 'quarantined', reason = 'submit.mismatch', wake_at = NULL,
             provider_refund = coalesce(?2, provider_refund) WHERE id = ?1",
        params![id.0, provider_refund],
    )?;
    Ok(())
}

fn later(tx: &Tx<'_>, refund: &RefundRow) -> Result<(), TurnError> {
    let random = u32::from_be_bytes(tx.random.bytes());
    let at = next_try(refund.tries.saturating_add(3), random, tx.now);
    tx.sql()
        .prepare_cached("UPDATE refund SET tries = tries + 1, wake_at = ?2 WHERE id = ?1")?
        .execute(params![refund.id.0, at.0])?;
    Ok(())
}

/// The money went back: posted, stated and told, all or nothing.
fn done(tx: &mut Tx<'_>, refund: &RefundRow, provider_refund: &str) -> Result<(), TurnError> {
    let attempt = till::attempt(tx.sql(), refund.payment, refund.attempt)?;
    let posting = Posting {
        kind: if refund.surplus { Kind::SurplusRefund } else { Kind::Refund },
        amount: refund.amount,
        order: refund.order,
        provider: &attempt.provider,
        provider_ref: provider_refund,
    };
    if !post::post(tx, &posting)? {
        // The provider's refund stands in the books for another one of ours.
        return quarantine(tx, refund.id, None);
    }
    tx.sql().execute(
        "UPDATE refund SET state = 'done', provider_refund = ?2, wake_at = NULL WHERE id = ?1",
        params![refund.id.0, provider_refund],
    )?;
    if refund.surplus {
        return Ok(());
    }
    let till = till::load(tx)?;
    let file: Vec<u8> = tx
        .sql()
        .prepare_cached("SELECT file FROM issued WHERE order_id = ?1")?
        .query_row([refund.order.0], |row| row.get(0))?;
    let refunded: i64 = tx
        .sql()
        .prepare_cached("SELECT sum(amount_minor) FROM refund WHERE order_id = ?1 AND surplus = 0 AND state = 'done'")?
        .query_row([refund.order.0], |row| row.get(0))?;
    let statement = Refund {
        merchant: till.account.id,
        term: till.term,
        live: till.live,
        payer_key: attempt.payer_key,
        order: refund.order,
        receipt_hash: ReceiptFile::from_file(&file)?.receipt.hash(),
        refund: refund.id,
        amount: refund.amount,
        refunded: Amount::new(refunded, refund.amount.currency())?,
        issued_at: till.issued_at(tx.now),
    };
    let signed = Signed::sign(&statement, &till.key);
    tx.sql().execute("UPDATE refund SET statement = ?2 WHERE id = ?1", params![refund.id.0, signed.encode()])?;
    tx.say(attempt.conversation, Body::Refund(signed), Some(Basis::Order(refund.order))).map(drop)
}
