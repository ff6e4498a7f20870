//! "I am the one who paid": what a phone answers to a till, and what the till believes. The till's own "paid" is what counts at a
//! counter; who holds a copied receipt, a picture of a screen or somebody's old answer gets nothing for it.

use comptoir_content::{AccountId, OrderId, PayerProof, PayerQuestion, PublicKey, SigningKey, Timestamp};

use crate::Refused;
use crate::limits::SKEW_MS;

/// How long a question can be answered, in milliseconds: two people stand at a counter.
pub const QUESTION_LIFE_MS: i64 = 5 * 60_000;

/// The phone's half: answers with the payer key of a receipt, if it is from the shop that asks.
///
/// # Errors
/// [`Refused::PayerUnproven`].
pub fn answer(
    question: &PayerQuestion,
    merchant: AccountId,
    order: OrderId,
    payer: &SigningKey,
    now: Timestamp,
) -> Result<PayerProof, Refused> {
    if question.merchant != merchant {
        return Err(unproven("another shop asks"));
    }
    if now > question.expires_at.plus_ms(SKEW_MS) {
        return Err(unproven("the question is too old; let the shop ask again"));
    }
    Ok(PayerProof::sign(question, order, payer))
}

/// A question as the till keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub question: PayerQuestion,
    /// The order that it was answered for.
    pub answered_for: Option<OrderId>,
}

/// An order that was paid, as the till keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    pub order: OrderId,
    pub payer_key: PublicKey,
    pub amount_minor: i64,
    /// What went back, or is on its way.
    pub refunded_minor: i64,
    pub redeemed_at: Option<Timestamp>,
}

/// What the till writes down, in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// Hand it out. The order is redeemed from now on, and the question answered.
    Now,
    /// It was said already that this very answer holds: its confirmation was lost, nothing is new.
    Again { at: Timestamp },
}

/// The till's half: who answers has paid this order, here and now, and has it handed out for the first time.
///
/// # Errors
/// [`Refused::PayerUnproven`] says what does not hold, [`Refused::AlreadyRedeemed`] that it was handed out before.
pub fn redeem(
    asked: Option<Asked>,
    paid: Option<Paid>,
    proof: &PayerProof,
    now: Timestamp,
) -> Result<Redeemed, Refused> {
    let asked = asked.ok_or(unproven("this till did not ask that, or it is long ago"))?;
    let paid = paid.ok_or(unproven("this till has no receipt for that order"))?;
    if asked.question.nonce != proof.nonce || paid.order != proof.order {
        return Err(unproven("it answers something else"));
    }
    if !proof.is_by(&paid.payer_key, asked.question.merchant) {
        return Err(unproven("it is not signed by who paid"));
    }
    match (asked.answered_for, paid.redeemed_at) {
        (Some(order), Some(at)) if order == proof.order && now <= asked.question.expires_at => {
            return Ok(Redeemed::Again { at });
        }
        (_, Some(_)) => return Err(Refused::AlreadyRedeemed),
        (Some(_), None) => return Err(unproven("that question was answered before")),
        (None, None) => {}
    }
    if now > asked.question.expires_at {
        return Err(unproven("that took too long; ask again"));
    }
    if paid.refunded_minor >= paid.amount_minor {
        return Err(unproven("the money went back"));
    }
    Ok(Redeemed::Now)
}

fn unproven(why: &'static str) -> Refused {
    Refused::PayerUnproven { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const SHOP: AccountId = AccountId([7; 20]);
    const ORDER: OrderId = OrderId([6; 16]);

    fn payer() -> SigningKey {
        SigningKey::from_seed([9; 32])
    }

    fn question() -> PayerQuestion {
        PayerQuestion { merchant: SHOP, nonce: [5; 16], expires_at: NOW.plus_ms(QUESTION_LIFE_MS) }
    }

    fn asked() -> Asked {
        Asked { question: question(), answered_for: None }
    }

    fn paid() -> Paid {
        let payer_key = payer().public();
        Paid { order: ORDER, payer_key, amount_minor: 120, refunded_minor: 0, redeemed_at: None }
    }

    fn why(result: Result<Redeemed, Refused>) -> &'static str {
        match result {
            Err(Refused::PayerUnproven { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_paid_gets_it_once_and_hears_the_same_again() {
        let proof = answer(&question(), SHOP, ORDER, &payer(), NOW).unwrap();
        assert_eq!(redeem(Some(asked()), Some(paid()), &proof, NOW), Ok(Redeemed::Now));
        let done = Paid { redeemed_at: Some(NOW), ..paid() };
        let answered = Asked { answered_for: Some(ORDER), ..asked() };
        let again = |after| redeem(Some(answered), Some(done), &proof, NOW.plus_ms(after));
        assert_eq!(again(QUESTION_LIFE_MS), Ok(Redeemed::Again { at: NOW }), "the confirmation was lost");
        assert_eq!(again(QUESTION_LIFE_MS + 1), Err(Refused::AlreadyRedeemed), "a picture of it, an hour later");
        assert_eq!(redeem(Some(asked()), Some(done), &proof, NOW), Err(Refused::AlreadyRedeemed));
    }

    #[test]
    fn whatever_does_not_hold_is_refused_with_its_reason() {
        let proof = answer(&question(), SHOP, ORDER, &payer(), NOW).unwrap();
        let redeem = |asked, paid, proof: &PayerProof, after| why(redeem(asked, paid, proof, NOW.plus_ms(after)));
        assert_eq!(redeem(None, Some(paid()), &proof, 0), "this till did not ask that, or it is long ago");
        assert_eq!(redeem(Some(asked()), None, &proof, 0), "this till has no receipt for that order");
        let other = PayerProof { nonce: [4; 16], ..proof };
        assert_eq!(redeem(Some(asked()), Some(paid()), &other, 0), "it answers something else");
        let other = PayerProof { order: OrderId([1; 16]), ..proof };
        assert_eq!(redeem(Some(asked()), Some(paid()), &other, 0), "it answers something else");
        let thief = PayerProof::sign(&question(), ORDER, &SigningKey::from_seed([1; 32]));
        assert_eq!(redeem(Some(asked()), Some(paid()), &thief, 0), "it is not signed by who paid");
        let elsewhere = PayerQuestion { merchant: AccountId([8; 20]), ..question() };
        let relayed = PayerProof::sign(&elsewhere, ORDER, &payer());
        assert_eq!(redeem(Some(asked()), Some(paid()), &relayed, 0), "it is not signed by who paid");
        let answered = Asked { answered_for: Some(OrderId([1; 16])), ..asked() };
        assert_eq!(redeem(Some(answered), Some(paid()), &proof, 0), "that question was answered before");
        assert_eq!(redeem(Some(asked()), Some(paid()), &proof, QUESTION_LIFE_MS + 1), "that took too long; ask again");
        let back = Paid { refunded_minor: 120, ..paid() };
        assert_eq!(redeem(Some(asked()), Some(back), &proof, 0), "the money went back");
    }

    #[test]
    fn a_phone_answers_its_own_shop_in_time_and_nobody_else() {
        let ask = |merchant, after| answer(&question(), merchant, ORDER, &payer(), NOW.plus_ms(after)).map(drop);
        assert_eq!(ask(SHOP, QUESTION_LIFE_MS + SKEW_MS), Ok(()));
        let old = Refused::PayerUnproven { why: "the question is too old; let the shop ask again" };
        assert_eq!(ask(SHOP, QUESTION_LIFE_MS + SKEW_MS + 1), Err(old));
        assert_eq!(ask(AccountId([8; 20]), 0), Err(Refused::PayerUnproven { why: "another shop asks" }));
    }
}
