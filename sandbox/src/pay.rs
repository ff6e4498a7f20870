//! `/pay`: the door for payers, who have the address with its token. A browser gets pages and redirects; the terminal
//! shell, which asks for `application/json`, gets JSON. What was typed as a card lives only as long as one call.

use std::collections::HashMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest as _, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Form, Json, Router};
use serde_json::{Value, json};

use crate::cards;
use crate::fields::body_refused;
use crate::html;
use crate::refused::Refused;
use crate::server::Shop;
use crate::world::{Payment, Status, Tried};

pub(crate) fn routes() -> Router<Shop> {
    Router::new()
        .route("/pay/{id}", get(show).post(pay))
        .route("/pay/{id}/3ds", get(show_challenge).post(answer_challenge))
}

/// Who asks, for which page, and how they want the answer.
struct Visit {
    id: String,
    token: String,
    wants_json: bool,
}

impl FromRequestParts<Shop> for Visit {
    type Rejection = PathRejection;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, PathRejection> {
        let Path(id) = Path::from_request_parts(parts, shop).await?;
        let asked = Query::<HashMap<String, String>>::try_from_uri(&parts.uri).ok();
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        Ok(Self {
            id,
            token: asked.and_then(|Query(mut asked)| asked.remove("t")).unwrap_or_default(),
            wants_json: accept.is_some_and(|accept| accept.contains("application/json")),
        })
    }
}

impl Visit {
    async fn payment(&self, shop: &Shop) -> Result<Payment, Refused> {
        let (id, token, now_ms) = (self.id.clone(), self.token.clone(), shop.clock.now_ms());
        shop.store.with(move |world| world.page(&id, &token, now_ms).cloned()).await
    }

    /// The payment as it is now, or the refusal, as a page or as JSON.
    async fn answer(&self, shop: &Shop, refused: Option<Refused>) -> Response {
        if self.wants_json {
            return match (refused, self.payment(shop).await) {
                (Some(refused), _) | (None, Err(refused)) => refused.into_response(),
                (None, Ok(payment)) => no_store(Json(as_json(&payment)).into_response()),
            };
        }
        match self.payment(shop).await {
            Ok(payment) => {
                let status = refused.as_ref().map_or(StatusCode::OK, Refused::status);
                page(status, html::payment(&payment, refused.as_ref()))
            }
            Err(other) => page(other.status(), html::nothing(&other)),
        }
    }

    /// Where it goes on after something was tried: at the bank, or back on the page.
    async fn after(&self, shop: &Shop, tried: Result<Payment, Refused>) -> Response {
        match tried {
            Ok(payment) if self.wants_json => no_store(Json(as_json(&payment)).into_response()),
            Ok(payment) if payment.status == Status::RequiresAction => see_other(&payment.challenge_path()),
            Ok(payment) => see_other(&payment.page_path()),
            Err(refused) => self.answer(shop, Some(refused)).await,
        }
    }
}

async fn show(State(shop): State<Shop>, visit: Visit) -> Response {
    visit.answer(&shop, None).await
}

async fn pay(State(shop): State<Shop>, visit: Visit, request: Request) -> Response {
    visit.after(&shop, try_to_pay(&shop, &visit, request).await).await
}

async fn try_to_pay(shop: &Shop, visit: &Visit, request: Request) -> Result<Payment, Refused> {
    let typed = field_of(request, "card").await?;
    let card = cards::find(&typed).ok_or(Refused::NotAPracticeCard)?;
    let (id, token, now_ms) = (visit.id.clone(), visit.token.clone(), shop.clock.now_ms());
    let tried = shop.store.with(move |world| {
        let tried = world.pay(&id, &token, card, now_ms)?;
        Ok((tried, world.page(&id, &token, now_ms)?.clone()))
    });
    match tried.await? {
        (Tried::Known, payment) => Ok(payment),
        (Tried::OutcomeUnknown, _) => Err(Refused::OutcomeUnknown),
    }
}

async fn show_challenge(State(shop): State<Shop>, visit: Visit) -> Response {
    match visit.payment(&shop).await {
        Ok(payment) if visit.wants_json => no_store(Json(as_json(&payment)).into_response()),
        Ok(payment) if payment.status == Status::RequiresAction => page(StatusCode::OK, html::challenge(&payment)),
        Ok(payment) => see_other(&payment.page_path()),
        Err(refused) => visit.answer(&shop, Some(refused)).await,
    }
}

async fn answer_challenge(State(shop): State<Shop>, visit: Visit, request: Request) -> Response {
    visit.after(&shop, try_to_answer(&shop, &visit, request).await).await
}

async fn try_to_answer(shop: &Shop, visit: &Visit, request: Request) -> Result<Payment, Refused> {
    let approved = match field_of(request, "outcome").await?.as_str() {
        "ok" => true,
        "failed" => false,
        _ => return Err(Refused::field("outcome", "must be ok or failed")),
    };
    let (id, token, now_ms) = (visit.id.clone(), visit.token.clone(), shop.clock.now_ms());
    let answered = shop.store.with(move |world| {
        world.answer_challenge(&id, &token, approved, now_ms)?;
        Ok(world.page(&id, &token, now_ms)?.clone())
    });
    answered.await
}

/// The one field of a form or of a JSON object. An extractor's own complaint may quote what was typed, so it is dropped.
async fn field_of(request: Request, field: &'static str) -> Result<String, Refused> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_json = content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let fields: HashMap<String, Value> = if is_json {
        let body = Json::from_request(request, &()).await;
        let Json(fields) = body.map_err(|rejection| body_refused(rejection.status()))?;
        fields
    } else {
        let body = Form::<HashMap<String, String>>::from_request(request, &()).await;
        let Form(fields) = body.map_err(|rejection| body_refused(rejection.status()))?;
        fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
    };
    match fields.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(Refused::field(field, "must be given as text")),
    }
}

fn as_json(payment: &Payment) -> Value {
    let mut view = json!({
        "payment": payment.id,
        "status": payment.status,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
    });
    if let Some(error) = payment.last_error {
        view["last_error"] = json!(error);
    }
    if payment.status == Status::RequiresAction {
        view["action_path"] = json!(payment.challenge_path());
    }
    if let Some(url) = &payment.return_url {
        view["return_url"] = json!(url);
    }
    view
}

fn see_other(path: &str) -> Response {
    no_store(Redirect::to(path).into_response())
}

fn page(status: StatusCode, text: String) -> Response {
    let mut response = (status, Html(text)).into_response();
    let headers = response.headers_mut();
    for (name, value) in html::headers() {
        headers.insert(name, value);
    }
    no_store(response)
}

fn no_store(mut response: Response) -> Response {
    let value = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}
