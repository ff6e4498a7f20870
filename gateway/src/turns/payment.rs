//! A provider answered: what it means is the engine's to say; what follows from it is written here in one transaction.

use comptoir_client::headless::{TurnError, Tx};
use comptoir_content::{AnswerBody, Handoff, NotPaid, PaymentId, PaymentRequest};
use comptoir_engine::Refused;
use comptoir_engine::payment::{self, Effect, Input};
use comptoir_sqlcipher::rusqlite::params;

use crate::till::{self, AttemptRow};
use crate::turns::post;

/// What came of a turn about a payment, for whoever acts next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    Read,
    Cancel,
}

/// Runs one input through the payment machine and carries out what it decided.
pub(crate) fn payment_moved(
    tx: &mut Tx<'_>,
    id: PaymentId,
    number: u32,
    input: Input,
    handoff: Option<Handoff>,
) -> Result<Next, TurnError> {
    let till = till::load(tx)?;
    let mut row = till::attempt(tx.sql(), id, number)?;
    let step = match payment::step(row.attempt.clone(), input, tx.now) {
        Ok(step) => step,
        Err(Refused::AmountDiffers) => {
            // The provider speaks of other money than we asked for. Nothing is posted and no receipt is made; a person
            // has to look, and the customer is told the truth: nobody knows.
            tracing::error!("a payment is in quarantine: the provider's answer does not match the order");
            tx.sql()
                .prepare_cached(
                    "UPDATE attempt SET quarantined = 'submit.mismatch', wake_at = NULL WHERE payment = ?1 AND attempt = ?2",
                )?
                .execute(params![id.0, number])?;
            let answer = till.answer(&row, AnswerBody::Checking, tx.now);
            till::tell(tx, &row, answer)?;
            return Ok(Next::Nothing);
        }
        Err(refused) => return Err(refused.into()),
    };
    row.attempt = step.next;
    let mut next = Next::Nothing;
    for effect in step.effects {
        match effect {
            Effect::Request => next = next_of(request(tx, &till, &mut row, handoff.clone())?, next),
            Effect::TellDead => {
                let reason = row.attempt.reason.clone().unwrap_or_default();
                let answer = till.answer(&row, AnswerBody::NotPaid(NotPaid { reason, words: String::new() }), tx.now);
                till::tell(tx, &row, answer)?;
            }
            Effect::Settle { at, method } => post::settle(tx, &till, &row, at, method)?,
            Effect::LateMoney { at, method } => post::late_money(tx, &till, &row, at, method)?,
            Effect::Read => next = Next::Read,
            Effect::Cancel => next = Next::Cancel,
        }
    }
    till::save_attempt(tx, &row)?;
    Ok(next)
}

fn next_of(asked: bool, next: Next) -> Next {
    if asked { next } else { Next::Read }
}

/// Asks the customer to pay. Without a hand-off (the provider was found by look-up) a read brings one; false then.
fn request(
    tx: &mut Tx<'_>,
    till: &till::Till,
    row: &mut AttemptRow,
    handoff: Option<Handoff>,
) -> Result<bool, TurnError> {
    let Some(handoff) = handoff else {
        return Ok(row.handoff.is_some());
    };
    let request = PaymentRequest {
        provider: row.provider.clone(),
        account: row.attempt.account.clone(),
        amount: row.attempt.amount,
        expires_at: row.attempt.expires_at,
        handoff,
    };
    let answer = till.answer(row, AnswerBody::Requested(request), tx.now);
    row.handoff = Some(answer.encode());
    till::tell(tx, row, answer)?;
    Ok(true)
}
