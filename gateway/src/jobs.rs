//! What the till does after a commit: calling providers. Each call is made from a row and ends in a turn, so a till that
//! is killed in between makes it again under the same key.

use std::sync::Arc;

use comptoir_client::ClientError;
use comptoir_content::Handoff;
use comptoir_engine::order::idempotency_key;
use comptoir_engine::payment::{Input, State};
use comptoir_sqlcipher::crash;
use tokio::task::JoinSet;

use crate::gateway::Shared;
use crate::provider::{Create, Find, Found, HttpRequest, HttpResponse, Outcome, Provider, RefundOf, RefundOutcome};
use crate::till::{self, AttemptRow};
use crate::turns::payment::{Next, payment_moved};
use crate::turns::refund::{self, RefundRow, refund_answered};

/// A creation is sent again under its key for this long, well within what providers keep keys for; later it is looked up.
pub(crate) const RESEND_MS: i64 = 12 * 3_600_000;
/// Pages of a provider's list that are read in one round to find a payment.
const FIND_PAGES_MAX: usize = 100;

/// Calls that are made at a time: one provider that hangs does not hold up what all others are asked.
const AT_ONCE: usize = 8;

/// Does everything that is due, and says when the next thing is, in milliseconds since 1970.
pub(crate) async fn run_due(desk: &Arc<Shared>) -> Result<Option<i64>, ClientError> {
    let attempts = desk.client.turn(|tx| till::attempts_due(tx.sql(), tx.now)).await?;
    let asked = a_few_at_a_time(attempts.into_iter().map(|row| {
        let desk = desk.clone();
        async move { attempt(&desk, &row).await }
    }));
    let asked = asked.await;
    let refunds = desk.client.turn(|tx| refund::due(tx.sql(), tx.now)).await?;
    let given = a_few_at_a_time(refunds.into_iter().map(|(row, attempt)| {
        let desk = desk.clone();
        async move { give_back(&desk, &row, &attempt).await }
    }));
    given.await.and(asked)?;
    desk.client
        .turn(|tx| {
            Ok(tx.sql().query_row(
                "SELECT min(at) FROM (SELECT min(wake_at) AS at FROM attempt WHERE quarantined IS NULL
                     UNION ALL SELECT min(wake_at) FROM refund)",
                [],
                |row| row.get(0),
            )?)
        })
        .await
}

/// Does all of it. What fails is tried again with the next round, and holds up no other.
async fn a_few_at_a_time<J>(jobs: impl Iterator<Item = J>) -> Result<(), ClientError>
where
    J: Future<Output = Result<(), ClientError>> + Send + 'static,
{
    let (mut running, mut result) = (JoinSet::new(), Ok(()));
    let mut jobs = jobs.fuse();
    loop {
        while running.len() < AT_ONCE {
            let Some(job) = jobs.next() else { break };
            running.spawn(job);
        }
        match running.join_next().await {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => result = Err(error),
            Some(Err(broken)) => {
                result = Err(ClientError::Bug { code: "gateway.job".to_owned(), detail: broken.to_string() });
            }
            None => return result,
        }
    }
}

async fn attempt(desk: &Shared, row: &AttemptRow) -> Result<(), ClientError> {
    let Some(provider) = provider_of(desk, row) else {
        tracing::error!("an attempt waits for a provider that is not set up any more");
        return later(desk, row).await;
    };
    let unknown_there = matches!(row.attempt.state, State::Starting | State::Unknown);
    if unknown_there && row.attempt.provider_payment.is_none() {
        return start(desk, provider, row).await;
    }
    let (payment, number) = (row.payment, row.number);
    let next = desk.client.turn(move |tx| payment_moved(tx, payment, number, Input::Woken, None)).await?;
    let Some(charge) = row.attempt.provider_payment.as_deref() else {
        return Ok(());
    };
    match next {
        Next::Nothing => Ok(()),
        Next::Read => read(desk, provider, row, charge).await,
        Next::Cancel => {
            let key = idempotency_key(payment, number, "cancel");
            let outcome = match send(desk, &provider.cancel(charge, &key)).await {
                Some(response) => provider.parse_payment(&response),
                None => Outcome::NoAnswer,
            };
            match outcome {
                // It was paid just before, or nobody knows: look.
                Outcome::NoAnswer | Outcome::NotFound | Outcome::Rejected { .. } => {
                    read(desk, provider, row, charge).await
                }
                outcome @ Outcome::Seen { .. } => moved(desk, row, outcome, false).await,
            }
        }
    }
}

/// Creates the payment, or creates it again under the same key; after half a day it is looked up instead.
async fn start(desk: &Shared, provider: &dyn Provider, row: &AttemptRow) -> Result<(), ClientError> {
    let (hash, created_at) = (row.invoice_hash, row.created_at);
    let (title, fresh) = desk
        .client
        .turn(move |tx| {
            let invoice = till::invoice(tx.sql(), hash)?.map(|(signed, _)| signed.verify()).transpose()?;
            let title = invoice.map(|invoice| invoice.title.clone()).unwrap_or_default();
            Ok((title, tx.now.since_ms(created_at) < RESEND_MS))
        })
        .await?;
    let outcome = if fresh {
        let create = Create {
            amount: row.attempt.amount,
            reference: &row.attempt.reference,
            idempotency_key: &idempotency_key(row.payment, row.number, "create"),
            description: &title,
            return_url: None,
            expires_at: row.attempt.expires_at,
        };
        match send(desk, &provider.create(&create)).await {
            Some(response) => provider.parse_payment(&response),
            None => Outcome::NoAnswer,
        }
    } else {
        find(desk, provider, row).await
    };
    moved(desk, row, outcome, true).await
}

/// Looks the payment up by our reference, page by page where the provider can only list.
async fn find(desk: &Shared, provider: &dyn Provider, row: &AttemptRow) -> Outcome {
    let mut after = None;
    for _ in 0..FIND_PAGES_MAX {
        let find = Find { reference: &row.attempt.reference, since: row.created_at, after: after.as_deref() };
        let Some(response) = send(desk, &provider.find(&find)).await else {
            return Outcome::NoAnswer;
        };
        match provider.parse_found(&response, &find) {
            Found::Outcome(outcome) => return outcome,
            Found::More(last) => after = Some(last),
        }
    }
    tracing::error!("a payment is not among the newest at its provider: a person has to look for it");
    Outcome::NoAnswer
}

async fn read(desk: &Shared, provider: &dyn Provider, row: &AttemptRow, charge: &str) -> Result<(), ClientError> {
    let outcome = match send(desk, &provider.read(charge)).await {
        Some(response) => provider.parse_payment(&response),
        None => Outcome::NoAnswer,
    };
    moved(desk, row, outcome, false).await
}

/// The turn that an answer leads to.
async fn moved(desk: &Shared, row: &AttemptRow, outcome: Outcome, creating: bool) -> Result<(), ClientError> {
    let (payment, number) = (row.payment, row.number);
    let next = desk
        .client
        .turn(move |tx| {
            let random = u32::from_be_bytes(tx.random.bytes());
            let (input, handoff): (Input, Option<Handoff>) = match outcome {
                Outcome::Seen { seen, handoff } if creating => (Input::Created(seen), handoff),
                Outcome::Seen { seen, handoff } => (Input::Read { seen, random }, handoff),
                Outcome::Rejected { reason } => (Input::Rejected { reason }, None),
                Outcome::NoAnswer => (Input::NoAnswer { random }, None),
                Outcome::NotFound => (Input::NotFound, None),
            };
            payment_moved(tx, payment, number, input, handoff)
        })
        .await?;
    // A read or a cancellation that is due now is found by the next round.
    let _ = next;
    Ok(())
}

async fn give_back(desk: &Shared, refund: &RefundRow, attempt: &AttemptRow) -> Result<(), ClientError> {
    let id = refund.id;
    let outcome = match (provider_of(desk, attempt), attempt.attempt.provider_payment.as_deref()) {
        (Some(provider), Some(charge)) => {
            let reference = refund.id.to_string();
            let key = format!("{reference}.refund.{}", refund.creation);
            let ask = RefundOf {
                provider_payment: charge,
                amount: refund.amount,
                reference: &reference,
                idempotency_key: &key,
            };
            let fresh = desk.client.turn(move |tx| Ok(tx.now)).await?.since_ms(refund.creation_at) < RESEND_MS;
            // One that the provider has named is there: it is only looked up.
            let creates = fresh && !refund.is_named;
            let request = if creates { provider.refund(&ask) } else { provider.find_refund(charge) };
            match send(desk, &request).await {
                Some(response) if creates => provider.parse_refund(&response),
                Some(response) => provider.parse_found_refund(&response, &reference),
                None => RefundOutcome::NoAnswer,
            }
        }
        _ => RefundOutcome::NoAnswer,
    };
    desk.client.turn(move |tx| refund_answered(tx, id, &outcome)).await
}

async fn later(desk: &Shared, row: &AttemptRow) -> Result<(), ClientError> {
    moved(desk, row, Outcome::NoAnswer, false).await
}

fn provider_of<'a>(desk: &'a Shared, row: &AttemptRow) -> Option<&'a dyn Provider> {
    desk.providers
        .iter()
        .find(|provider| {
            provider.name() == row.provider
                && provider.account() == row.attempt.account
                && provider.is_live() == row.attempt.live
        })
        .map(AsRef::as_ref)
}

async fn send(desk: &Shared, request: &HttpRequest) -> Option<HttpResponse> {
    crash::point("gateway.call.before");
    let answered = desk.http.send(request).await;
    crash::point("gateway.call.after");
    match answered {
        Ok(response) => Some(response),
        Err(error) => {
            tracing::warn!(%error, "a provider did not answer");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn providers_are_called_a_few_at_a_time_and_one_failure_stops_no_other() {
        // Each waits until seven others are there as well: one after the other they would wait for ever.
        let (meeting, now, most) =
            (Arc::new(Barrier::new(AT_ONCE)), Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let (most, done) = (Arc::new(most), Arc::new(AtomicUsize::new(0)));
        let jobs = (0..3 * AT_ONCE).map(|number| {
            let (meeting, now, most, done) = (meeting.clone(), now.clone(), most.clone(), done.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                meeting.wait().await;
                now.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                let detail = String::new();
                if number == 3 { Err(ClientError::TryAgain { code: "down".to_owned(), detail }) } else { Ok(()) }
            }
        });
        let all = tokio::time::timeout(std::time::Duration::from_secs(10), a_few_at_a_time(jobs)).await;
        assert_eq!(all.expect("several at a time").unwrap_err().code(), "down");
        assert_eq!((done.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (3 * AT_ONCE, AT_ONCE));
    }
}
