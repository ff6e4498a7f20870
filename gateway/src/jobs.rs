//! What the till does after a commit: calling providers. Each call is made from a row and ends in a turn, so a till that
//! is killed in between makes it again under the same key.

use comptoir_client::{Client, ClientError};
use comptoir_content::Handoff;
use comptoir_engine::order::idempotency_key;
use comptoir_engine::payment::{Input, State};

use crate::provider::http::Http;
use crate::provider::{Create, Find, Found, HttpRequest, HttpResponse, Outcome, Provider, RefundOf, RefundOutcome};
use crate::till::{self, AttemptRow};
use crate::turns::payment::{Next, payment_moved};
use crate::turns::refund::{self, RefundRow, refund_answered};

/// A creation is sent again under its key for this long, well within what providers keep keys for; later it is looked up.
pub(crate) const RESEND_MS: i64 = 12 * 3_600_000;
/// Pages of a provider's list that are read in one round to find a payment.
const FIND_PAGES_MAX: usize = 100;

/// Everybody that a job talks to.
pub(crate) struct Desk<'a> {
    pub(crate) client: &'a Client,
    pub(crate) providers: &'a [Box<dyn Provider>],
    pub(crate) http: &'a Http,
}

/// Does everything that is due, and says when the next thing is, in milliseconds since 1970.
pub(crate) async fn run_due(desk: &Desk<'_>) -> Result<Option<i64>, ClientError> {
    let attempts = desk.client.turn(|tx| till::attempts_due(tx.sql(), tx.now)).await?;
    // One that fails is tried again with the next round, and holds up no other.
    let mut failed = None;
    for row in attempts {
        if let Err(error) = attempt(desk, &row).await {
            failed = Some(error);
        }
    }
    let refunds = desk.client.turn(|tx| refund::due(tx.sql(), tx.now)).await?;
    for (row, attempt) in refunds {
        if let Err(error) = give_back(desk, &row, &attempt).await {
            failed = Some(error);
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
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

async fn attempt(desk: &Desk<'_>, row: &AttemptRow) -> Result<(), ClientError> {
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
async fn start(desk: &Desk<'_>, provider: &dyn Provider, row: &AttemptRow) -> Result<(), ClientError> {
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
async fn find(desk: &Desk<'_>, provider: &dyn Provider, row: &AttemptRow) -> Outcome {
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

async fn read(desk: &Desk<'_>, provider: &dyn Provider, row: &AttemptRow, charge: &str) -> Result<(), ClientError> {
    let outcome = match send(desk, &provider.read(charge)).await {
        Some(response) => provider.parse_payment(&response),
        None => Outcome::NoAnswer,
    };
    moved(desk, row, outcome, false).await
}

/// The turn that an answer leads to.
async fn moved(desk: &Desk<'_>, row: &AttemptRow, outcome: Outcome, creating: bool) -> Result<(), ClientError> {
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

async fn give_back(desk: &Desk<'_>, refund: &RefundRow, attempt: &AttemptRow) -> Result<(), ClientError> {
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

async fn later(desk: &Desk<'_>, row: &AttemptRow) -> Result<(), ClientError> {
    moved(desk, row, Outcome::NoAnswer, false).await
}

fn provider_of<'a>(desk: &Desk<'a>, row: &AttemptRow) -> Option<&'a dyn Provider> {
    desk.providers
        .iter()
        .find(|provider| {
            provider.name() == row.provider
                && provider.account() == row.attempt.account
                && provider.is_live() == row.attempt.live
        })
        .map(AsRef::as_ref)
}

async fn send(desk: &Desk<'_>, request: &HttpRequest) -> Option<HttpResponse> {
    match desk.http.send(request).await {
        Ok(response) => Some(response),
        Err(error) => {
            tracing::warn!(%error, "a provider did not answer");
            None
        }
    }
}
