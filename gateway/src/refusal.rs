//! The attempts that this till refused before anything was started for them. A refusal is final, also for a phone that did not get
//! it and asks, and for an order that comes once more when its slot is free again.

use comptoir_client::headless::{TurnError, Tx};
use comptoir_content::{AccountId, Hash, OrderId, PaymentId, PublicKey};
use comptoir_sqlcipher::rusqlite::{self, OptionalExtension as _, params};

/// So many by their dates are remembered of one customer, and the last one; who has more refused is told the newest again.
const KEPT_MAX: u32 = 100;

/// An attempt that was refused, with what its answer names.
pub(crate) struct Refusal {
    pub(crate) buyer: AccountId,
    pub(crate) order: OrderId,
    pub(crate) attempt: u32,
    pub(crate) payment: PaymentId,
    pub(crate) payer_key: PublicKey,
    pub(crate) invoice_hash: Hash,
    /// A key that the customer's screen has words for.
    pub(crate) reason: String,
}

impl Refusal {
    /// Writes it down, in the place of one for the same attempt.
    pub(crate) fn keep(&self, tx: &Tx<'_>) -> Result<(), TurnError> {
        tx.sql()
            .prepare_cached(
                "INSERT INTO refused (buyer, order_id, attempt, payment, payer_key, invoice_hash, reason, refused_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET payment = excluded.payment, payer_key = excluded.payer_key,
                     invoice_hash = excluded.invoice_hash, reason = excluded.reason, refused_at = excluded.refused_at",
            )?
            .execute(params![
                self.buyer.0,
                self.order.0,
                self.attempt,
                self.payment.0,
                self.payer_key.0,
                self.invoice_hash.0,
                self.reason,
                tx.now.0
            ])?;
        tx.sql()
            .prepare_cached(
                "DELETE FROM refused WHERE buyer = ?1 AND (order_id, attempt) <> (?3, ?4) AND (order_id, attempt) NOT IN
                     (SELECT order_id, attempt FROM refused WHERE buyer = ?1 ORDER BY refused_at DESC LIMIT ?2)",
            )?
            .execute(params![self.buyer.0, KEPT_MAX, self.order.0, self.attempt])?;
        Ok(())
    }

    pub(crate) fn find(
        db: &rusqlite::Connection,
        buyer: AccountId,
        order: OrderId,
        attempt: u32,
    ) -> Result<Option<Self>, TurnError> {
        let found = db
            .prepare_cached(
                "SELECT payment, payer_key, invoice_hash, reason FROM refused
                 WHERE buyer = ?1 AND order_id = ?2 AND attempt = ?3",
            )?
            .query_row(params![buyer.0, order.0, attempt], |row| {
                Ok(Self {
                    buyer,
                    order,
                    attempt,
                    payment: PaymentId(row.get(0)?),
                    payer_key: PublicKey(row.get(1)?),
                    invoice_hash: Hash(row.get(2)?),
                    reason: row.get(3)?,
                })
            })
            .optional()?;
        Ok(found)
    }
}
