//! `/v1`: the door for merchants, who show the secret key.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use crate::fields::{Fields, is_name};
use crate::refused::Refused;
use crate::secrets;
use crate::server::Shop;
use crate::world::{Answer, Order, RefundOrder};

type Body = Result<Bytes, BytesRejection>;
type Asked = Result<Query<HashMap<String, String>>, axum::extract::rejection::QueryRejection>;

pub(crate) fn routes(shop: &Shop) -> Router<Shop> {
    Router::new()
        .route("/v1/payments", post(create_payment).get(list_payments))
        .route("/v1/payments/{id}", get(look_up_payment))
        .route("/v1/payments/{id}/cancel", post(cancel_payment))
        .route("/v1/refunds", post(create_refund).get(list_refunds))
        .route("/v1/refunds/{id}", get(look_up_refund))
        .route("/v1/events", get(list_events))
        .route("/v1/test/flush", post(flush))
        .layer(from_fn_with_state(shop.clone(), only_with_the_secret_key))
        .route("/health", get(async || Json(json!({ "status": "ok" }))))
}

async fn only_with_the_secret_key(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = shown.and_then(|value| value.split_once(' ')).and_then(|(scheme, token)| {
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        is_bearer.then_some(token.trim())
    });
    match token {
        Some(token) if secrets::same(token, &shop.secret_key) => next.run(request).await,
        _ => Refused::Unauthorized.into_response(),
    }
}

async fn create_payment(State(shop): State<Shop>, headers: HeaderMap, body: Body) -> Result<Response, Refused> {
    let key = idempotency_key(&headers)?;
    let now_ms = shop.clock.now_ms();
    let mut fields = Fields::of(body)?;
    let order = Order {
        amount_minor: fields.amount_minor()?,
        currency: fields.currency()?,
        reference: fields.name("reference")?,
        account: fields.name("account")?,
        description: fields.description()?,
        return_url: fields.return_url()?,
        expires_at_ms: fields.expires_at_ms()?,
    };
    fields.not_live()?;
    fields.end()?;
    let fresh = [secrets::fresh()?, secrets::fresh()?];
    let request = request_fingerprint("payment", &order)?;
    let answer = shop.store.with(move |world| {
        world.once(key, request, |world| {
            still_to_come(order.expires_at_ms, now_ms)?;
            Ok(world.create_payment(order, fresh, now_ms))
        })
    });
    Ok(created(answer.await?))
}

/// Checked when the payment is made and not when its creation is repeated: the same request under the same key gets
/// the same answer for ever.
fn still_to_come(expires_at_ms: Option<i64>, now_ms: i64) -> Result<(), Refused> {
    match expires_at_ms {
        Some(at_ms) if at_ms <= now_ms => Err(Refused::field("expires_at_ms", "must be a time in the future")),
        _ => Ok(()),
    }
}

async fn look_up_payment(State(shop): State<Shop>, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let now_ms = shop.clock.now_ms();
    shop.store.with(move |world| world.look_up(&id, now_ms)).await.map(Json)
}

async fn list_payments(State(shop): State<Shop>, asked: Asked) -> Result<Json<Value>, Refused> {
    let now_ms = shop.clock.now_ms();
    let reference = asked_for(asked, "reference")?;
    let payments = shop.store.with(move |world| world.look_up_reference(&reference, now_ms));
    Ok(Json(json!({ "payments": payments.await? })))
}

async fn cancel_payment(State(shop): State<Shop>, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let now_ms = shop.clock.now_ms();
    shop.store.with(move |world| world.cancel(&id, now_ms)).await.map(Json)
}

async fn create_refund(State(shop): State<Shop>, headers: HeaderMap, body: Body) -> Result<Response, Refused> {
    let key = idempotency_key(&headers)?;
    let now_ms = shop.clock.now_ms();
    let mut fields = Fields::of(body)?;
    let order = RefundOrder {
        payment: fields.name("payment")?,
        amount_minor: fields.amount_minor()?,
        reference: fields.name("reference")?,
    };
    fields.end()?;
    let fresh = secrets::fresh()?;
    let request = request_fingerprint("refund", &order)?;
    let answer = shop.store.with(move |world| world.once(key, request, |world| world.refund(order, &fresh, now_ms)));
    Ok(created(answer.await?))
}

async fn look_up_refund(State(shop): State<Shop>, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    shop.store.with(move |world| world.look_up_refund(&id)).await.map(Json)
}

async fn list_refunds(State(shop): State<Shop>, asked: Asked) -> Result<Json<Value>, Refused> {
    let payment = asked_for(asked, "payment")?;
    let refunds = shop.store.with(move |world| Ok(world.refunds_of(&payment)));
    Ok(Json(json!({ "refunds": refunds.await? })))
}

async fn list_events(State(shop): State<Shop>) -> Result<Json<Value>, Refused> {
    let events = shop.store.with(|world| Ok(world.events()));
    Ok(Json(json!({ "events": events.await? })))
}

async fn flush(State(shop): State<Shop>) -> Result<Json<Value>, Refused> {
    let released = shop.store.with(|world| Ok(world.flush()));
    Ok(Json(json!({ "released": released.await? })))
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Refused> {
    headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(str::to_owned)
        .ok_or(Refused::NoIdempotencyKey)
}

fn asked_for(asked: Asked, field: &'static str) -> Result<String, Refused> {
    asked
        .ok()
        .and_then(|Query(mut asked)| asked.remove(field))
        .filter(|value| is_name(value))
        .ok_or_else(|| Refused::field(field, "must be asked for in the query, once"))
}

/// The request as we understood it: spaces and the order of the fields make no other request.
fn request_fingerprint(kind: &str, order: &impl Serialize) -> Result<String, Refused> {
    let order = serde_json::to_vec(order).map_err(|_| Refused::Broken)?;
    Ok(secrets::fingerprint(&[kind.as_bytes(), b"\n", &order].concat()))
}

fn created((answer, repeated): (Answer, bool)) -> Response {
    let mut response = (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], answer.body).into_response();
    if repeated {
        let yes = header::HeaderValue::from_static("true");
        response.headers_mut().insert("idempotent-replayed", yes);
    }
    response
}
