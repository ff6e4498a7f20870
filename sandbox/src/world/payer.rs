//! The payer's side of the counter: what a practice card does to a payment.

use super::payments::Unknown;
use super::{LastError, Payment, Status, World};
use crate::cards::{Manner, PracticeCard, Webhooks};
use crate::refused::Refused;
use crate::secrets;

/// What the payer sees after a card was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    Known,
    OutcomeUnknown,
}

impl World {
    /// A payment as its payer sees it, who needs the token. Looking does not count as a look-up.
    pub(crate) fn page(&mut self, id: &str, token: &str, now_ms: i64) -> Result<&mut Payment, Refused> {
        match self.payment(id, now_ms) {
            Ok(payment) if secrets::same(&payment.token, token) => Ok(payment),
            Ok(_) | Err(_) => Err(Refused::NoSuchPayment),
        }
    }

    pub(crate) fn pay(&mut self, id: &str, token: &str, card: &PracticeCard, now_ms: i64) -> Result<Tried, Refused> {
        let payment = self.page(id, token, now_ms)?;
        match payment.status {
            Status::AwaitingPayer | Status::RequiresAction => {}
            status @ (Status::Processing | Status::Succeeded | Status::Canceled | Status::Expired) => {
                return Err(Refused::NotPayable { status });
            }
        }
        payment.status = Status::AwaitingPayer;
        payment.last_error = None;
        payment.challenge_passes = None;
        self.changed = true;
        match card.manner {
            Manner::Approves(webhooks) => self.approve(id, webhooks, now_ms)?,
            Manner::Declines => self.fail(id, LastError::CardDeclined, now_ms)?,
            Manner::AsksThreeDSecure { passes } => {
                let payment = self.payment(id, now_ms)?;
                payment.status = Status::RequiresAction;
                payment.challenge_passes = Some(passes);
            }
            Manner::OutcomeUnknown { ends_paid } => {
                let payment = self.payment(id, now_ms)?;
                payment.status = Status::Processing;
                payment.unknown = Some(Unknown { ends_paid, look_ups: 0 });
                let processing = self.happened(id, "payment.processing", now_ms)?;
                self.send(&[processing], None);
                return Ok(Tried::OutcomeUnknown);
            }
        }
        Ok(Tried::Known)
    }

    /// The payer's answer to 3-D Secure.
    pub(crate) fn answer_challenge(
        &mut self,
        id: &str,
        token: &str,
        approved: bool,
        now_ms: i64,
    ) -> Result<(), Refused> {
        let payment = self.page(id, token, now_ms)?;
        let status = payment.status;
        let passes = payment.challenge_passes.take().ok_or(Refused::NoChallenge { status })?;
        payment.status = Status::AwaitingPayer;
        self.changed = true;
        if approved && passes {
            self.approve(id, Webhooks::Once, now_ms)
        } else {
            self.fail(id, LastError::AuthenticationFailed, now_ms)
        }
    }

    fn approve(&mut self, id: &str, webhooks: Webhooks, now_ms: i64) -> Result<(), Refused> {
        self.payment(id, now_ms)?.status = Status::Processing;
        let processing = self.happened(id, "payment.processing", now_ms)?;
        // Not through `payment`: what is being processed does not expire.
        self.payments.get_mut(id).ok_or(Refused::NoSuchPayment)?.status = Status::Succeeded;
        let succeeded = self.happened(id, "payment.succeeded", now_ms)?;
        match webhooks {
            Webhooks::Once => self.send(&[processing, succeeded], None),
            Webhooks::Late => self.send(&[processing, succeeded], Some(id)),
            Webhooks::Twice => self.send(&[processing.clone(), processing, succeeded.clone(), succeeded], None),
            Webhooks::Reversed => self.send(&[succeeded, processing], None),
            Webhooks::Never => {}
        }
        Ok(())
    }

    fn fail(&mut self, id: &str, error: LastError, now_ms: i64) -> Result<(), Refused> {
        let payment = self.payments.get_mut(id).ok_or(Refused::NoSuchPayment)?;
        payment.status = Status::AwaitingPayer;
        payment.last_error = Some(error);
        let failed = self.happened(id, "payment.failed", now_ms)?;
        self.send(&[failed], None);
        Ok(())
    }

    pub(super) fn settle_unknown(&mut self, id: &str, ends_paid: bool, now_ms: i64) -> Result<(), Refused> {
        let payment = self.payments.get_mut(id).ok_or(Refused::NoSuchPayment)?;
        payment.unknown = None;
        if !ends_paid {
            return self.fail(id, LastError::CardDeclined, now_ms);
        }
        payment.status = Status::Succeeded;
        let succeeded = self.happened(id, "payment.succeeded", now_ms)?;
        self.send(&[succeeded], None);
        Ok(())
    }
}
