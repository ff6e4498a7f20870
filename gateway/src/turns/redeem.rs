//! The turns of a counter: the till asks who paid, and hands an order out once.

use comptoir_client::headless::{TurnError, Tx};
use comptoir_content::{AccountId, OrderId, PayerProof, PayerQuestion, PaymentId, Timestamp};
use comptoir_engine::payer::{Asked, Paid, QUESTION_LIFE_MS, Redeemed, redeem};
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, params};

use crate::till;

/// Asks whoever stands at the counter. Questions that nobody answered in time are forgotten.
pub(crate) fn payer_asked(tx: &mut Tx<'_>) -> Result<PayerQuestion, TurnError> {
    tx.sql().execute("DELETE FROM payer_question WHERE order_id IS NULL AND expires_at < ?1", [tx.now.0])?;
    let (nonce, expires_at) = (tx.random.bytes(), tx.now.plus_ms(QUESTION_LIFE_MS));
    tx.sql()
        .prepare_cached("INSERT INTO payer_question (nonce, expires_at) VALUES (?1, ?2)")?
        .execute(params![nonce, expires_at.0])?;
    Ok(PayerQuestion { merchant: tx.own_account()?.id, nonce, expires_at })
}

/// A phone answered: writes down that the order is handed out, and says what it is and since when.
pub(crate) fn payer_answered(tx: &mut Tx<'_>, proof: &PayerProof) -> Result<(Redeemed, till::AttemptRow), TurnError> {
    let merchant = tx.own_account()?.id;
    let asked = asked(tx, merchant, proof.nonce)?;
    let row = paid_attempt(tx, proof.order)?;
    let paid = row.as_ref().map(|row| paid(tx, row)).transpose()?;
    let redeemed = redeem(asked, paid, proof, tx.now)?;
    if redeemed == Redeemed::Now {
        tx.sql()
            .prepare_cached("UPDATE issued SET redeemed_at = ?2 WHERE order_id = ?1")?
            .execute(params![proof.order.0, tx.now.0])?;
        tx.sql()
            .prepare_cached("UPDATE payer_question SET order_id = ?2 WHERE nonce = ?1")?
            .execute(params![proof.nonce, proof.order.0])?;
    }
    Ok((redeemed, row.ok_or(TurnError::NotFound { what: "receipt" })?))
}

fn asked(tx: &Tx<'_>, merchant: AccountId, nonce: [u8; 16]) -> Result<Option<Asked>, TurnError> {
    let found: Option<(i64, Option<[u8; 16]>)> = tx
        .sql()
        .prepare_cached("SELECT expires_at, order_id FROM payer_question WHERE nonce = ?1")?
        .query_row([nonce], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(expires_at, order)| Asked {
        question: PayerQuestion { merchant, nonce, expires_at: Timestamp(expires_at) },
        answered_for: order.map(OrderId),
    }))
}

/// The attempt by which an order was paid, if this till issued a receipt for it.
fn paid_attempt(tx: &Tx<'_>, order: OrderId) -> Result<Option<till::AttemptRow>, TurnError> {
    let issued: Option<([u8; 16], u32)> = tx
        .sql()
        .prepare_cached("SELECT payment, attempt FROM issued WHERE order_id = ?1")?
        .query_row([order.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    issued.map(|(payment, number)| till::attempt(tx.sql(), PaymentId(payment), number)).transpose()
}

fn paid(tx: &Tx<'_>, row: &till::AttemptRow) -> Result<Paid, TurnError> {
    let (amount_minor, redeemed_at): (i64, Option<i64>) = tx
        .sql()
        .prepare_cached("SELECT amount_minor, redeemed_at FROM issued WHERE order_id = ?1")?
        .query_row([row.order.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let refunded_minor = tx
        .sql()
        .prepare_cached(
            "SELECT coalesce(sum(amount_minor), 0) FROM refund
             WHERE order_id = ?1 AND surplus = 0 AND state <> 'failed'",
        )?
        .query_row([row.order.0], |row| row.get(0))?;
    let (order, payer_key) = (row.order, row.payer_key);
    Ok(Paid { order, payer_key, amount_minor, refunded_minor, redeemed_at: redeemed_at.map(Timestamp) })
}
