//! A bill at the counter, for whoever scans its code.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use comptoir_client::ClientError;
use comptoir_content::InvoiceId;
use serde::{Deserialize, Serialize};

use super::{Office, authorised, failed, problem};
use crate::gateway::Shared;
use crate::turns::bill::{Made, Wish, WishedLine, wished};

/// A bill that the operator asks for, in the currency of the catalogue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillAsk {
    /// The same one again is the same bill.
    pub bill: String,
    pub title: String,
    pub lines: Vec<BillLine>,
    /// Minutes until it can be paid no more.
    pub minutes: i64,
    /// How many may pay it.
    pub max_payments: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillLine {
    pub label: String,
    pub quantity: u32,
    /// Minor units; less than nothing for a discount.
    pub unit_minor: i64,
}

/// What a bill command is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BillAnswer {
    pub bill: String,
    /// The text of its code.
    pub code: String,
    /// Decimal digits and the ISO code.
    pub amount: String,
    pub expires_at_ms: i64,
}

pub(super) async fn make(State(office): State<Office>, headers: HeaderMap, Json(ask): Json<BillAsk>) -> Response {
    if !authorised(&office, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "operator.token", "the token is not this till's");
    }
    let id = match ask.bill.parse::<InvoiceId>() {
        Ok(id) => id,
        Err(error) => return problem(StatusCode::UNPROCESSABLE_ENTITY, "bill.id", error),
    };
    match make_bill(&office.shared, id, ask).await {
        Ok(Made::Bill { invoice, code }) => {
            let (amount, expires_at_ms) = (invoice.total.to_plain(), invoice.expires_at.0);
            Json(BillAnswer { bill: id.to_string(), code, amount, expires_at_ms }).into_response()
        }
        Ok(Made::Another) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "bill.id", "this id is of another bill, with other contents")
        }
        Ok(Made::Closed) => {
            let why = "the till's certificate ends before this bill could be paid and receipted";
            problem(StatusCode::UNPROCESSABLE_ENTITY, "bill.certificate", why)
        }
        Err(error) => failed(&error),
    }
}

async fn make_bill(shared: &std::sync::Arc<Shared>, id: InvoiceId, ask: BillAsk) -> Result<Made, ClientError> {
    let nobody = || ClientError::AskUser { code: "account.unknown".to_owned(), detail: "there is no shop".to_owned() };
    let relay = shared.client.identity()?.ok_or_else(nobody)?.relay;
    let lines = ask.lines.into_iter().map(|line| WishedLine {
        label: line.label,
        quantity: line.quantity,
        unit_minor: line.unit_minor,
    });
    let wish =
        Wish { id, title: ask.title, lines: lines.collect(), minutes: ask.minutes, max_payments: ask.max_payments };
    let inner = shared.clone();
    shared.client.turn(move |tx| wished(tx, &inner.providers, inner.catalogue.currency, &relay, wish)).await
}
