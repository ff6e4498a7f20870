//! Who stands at the counter: the till asks, a phone answers, an order is handed out once.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use comptoir_client::ClientError;
use comptoir_content::{Link, PayerProof, PayerQuestion};
use comptoir_engine::payer::Redeemed;
use serde::{Deserialize, Serialize};

use super::{Office, authorised, failed, problem};
use crate::gateway::Shared;
use crate::turns::redeem::{payer_answered, payer_asked};

/// A question for whoever says that they paid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PayerAsked {
    /// The text of its code, to be shown to the customer.
    pub code: String,
    pub expires_at_ms: i64,
}

/// What a phone answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedeemAsk {
    /// The text of the code that the customer shows.
    pub code: String,
}

/// An order that may be handed out now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RedeemAnswer {
    pub order: String,
    pub title: String,
    /// Decimal digits and the ISO code.
    pub amount: String,
    /// True when the same answer was taken before, and its confirmation only repeated.
    pub again: bool,
}

pub(super) async fn ask(State(office): State<Office>, headers: HeaderMap) -> Response {
    if !authorised(&office, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "operator.token", "the token is not this till's");
    }
    match ask_payer(&office.shared).await {
        Ok(question) => {
            Json(PayerAsked { code: question.to_link(), expires_at_ms: question.expires_at.0 }).into_response()
        }
        Err(error) => failed(&error),
    }
}

pub(super) async fn redeem(State(office): State<Office>, headers: HeaderMap, Json(ask): Json<RedeemAsk>) -> Response {
    if !authorised(&office, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "operator.token", "the token is not this till's");
    }
    let proof = match Link::parse(&ask.code) {
        Ok(Link::PayerProof(proof)) => proof,
        Ok(_) => {
            let why = "this is another code; the customer's phone shows one after it scanned the till's question";
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "payer.code", why);
        }
        Err(error) => return problem(StatusCode::UNPROCESSABLE_ENTITY, "payer.code", error),
    };
    match redeem_order(&office.shared, proof).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => failed(&error),
    }
}

pub(crate) async fn ask_payer(shared: &Shared) -> Result<PayerQuestion, ClientError> {
    shared.client.turn(payer_asked).await
}

pub(crate) async fn redeem_order(shared: &Shared, proof: PayerProof) -> Result<RedeemAnswer, ClientError> {
    shared
        .client
        .turn(move |tx| {
            let (redeemed, paid) = payer_answered(tx, &proof)?;
            let title = match crate::till::invoice(tx.sql(), paid.invoice_hash)? {
                Some((signed, _)) => signed.verify()?.title.clone(),
                None => String::new(),
            };
            Ok(RedeemAnswer {
                order: proof.order.to_string(),
                title,
                amount: paid.attempt.amount.to_plain(),
                again: matches!(redeemed, Redeemed::Again { .. }),
            })
        })
        .await
}
