//! The one that talks: what comes through, and everything that counts as no answer.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use comptoir_content::Timestamp;
use comptoir_gateway::provider::http::{Http, NoAnswer};
use comptoir_gateway::provider::{Find, Operation, Outcome, Provider};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::bakery::*;

/// Serves these routes on a free port, and gives the address.
async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
    url
}

#[tokio::test]
async fn a_request_arrives_as_it_was_built() {
    let echo = async |headers: HeaderMap, body: Bytes| {
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let told = ["authorization", "idempotency-key", "content-type", "stripe-version"].map(header).join("|");
        (StatusCode::IM_A_TEAPOT, format!("{told}|{}", String::from_utf8_lossy(&body)))
    };
    let url = serve(Router::new().route("/v1/refunds", post(echo))).await;
    let request = stripe(&url).refund(&refund_of("pi_1", amount("2.50", "EUR"), "refund-1"));
    let response = Http::new().unwrap().send(&request).await.unwrap();
    assert_eq!((response.operation, response.status), (Operation::Refund, 418));
    assert_eq!(
        String::from_utf8_lossy(&response.body),
        "Bearer sk_test_bakery|refund-1|application/x-www-form-urlencoded|2022-11-15\
         |payment_intent=pi_1&amount=250&metadata%5Breference%5D=refund-1"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let url = serve(Router::new().route(
        "/v1/payments/{id}",
        get(async || (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")], "moved")),
    ))
    .await;
    let sandbox = sandbox(&url);
    let response = Http::new().unwrap().send(&sandbox.read("pay_1")).await.unwrap();
    assert_eq!(response.status, 307);
    assert_eq!(sandbox.parse_payment(&response), Outcome::NoAnswer);
}

#[tokio::test]
async fn an_answer_may_be_large_but_not_larger() {
    let fill = async |axum::extract::Path(size): axum::extract::Path<usize>| vec![b' '; size];
    let url = serve(Router::new().route("/v1/payments/{size}", get(fill))).await;
    let read = async |size: usize| Http::new().unwrap().send(&sandbox(&url).read(&size.to_string())).await;
    assert_eq!(read(256 << 10).await.unwrap().body.len(), 256 << 10);
    assert_eq!(read((256 << 10) + 1).await, Err(NoAnswer::TooLarge));
}

/// A page of a hundred intents with their charges is larger than any single answer.
#[tokio::test]
async fn a_list_may_be_much_larger_but_not_without_end() {
    let fill = async |axum::extract::Query(asked): axum::extract::Query<Vec<(String, usize)>>| vec![b' '; asked[0].1];
    let url = serve(Router::new().route("/v1/payments", get(fill)).route("/v1/refunds", get(fill))).await;
    let find = async |size: usize| {
        let reference = size.to_string();
        let find = Find { reference: &reference, since: Timestamp(0), after: None };
        Http::new().unwrap().send(&sandbox(&url).find(&find)).await
    };
    assert_eq!(find(4 << 20).await.unwrap().body.len(), 4 << 20);
    assert_eq!(find((4 << 20) + 1).await, Err(NoAnswer::TooLarge));
    let refunds = Http::new().unwrap().send(&sandbox(&url).find_refund(&(4 << 20).to_string())).await;
    assert_eq!(refunds.unwrap().body.len(), 4 << 20);
}

#[tokio::test]
async fn silence_is_no_answer() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let http = Http::with_timeout(Duration::from_millis(50)).unwrap();
    assert_eq!(http.send(&sandbox(&url).read("pay_1")).await, Err(NoAnswer::TimeOut));
    drop(deaf);
    let gone = Http::new().unwrap().send(&sandbox(&url).read("pay_1")).await;
    assert_eq!(gone, Err(NoAnswer::NotConnected));
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hangs_up = tokio::spawn(async move {
        let (mut call, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        assert!(call.read(&mut asked).await.unwrap() > 0);
        call.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":").await.unwrap();
    });
    let answer = Http::new().unwrap().send(&sandbox(&url).read("pay_1")).await;
    assert_eq!(answer, Err(NoAnswer::Broken));
    hangs_up.await.unwrap();
}

#[tokio::test]
async fn keys_do_not_travel_in_the_clear() {
    let http = Http::new().unwrap();
    let mut request = sandbox("http://127.0.0.1:1").read("pay_1");
    for url in ["http://192.0.2.1/v1/payments", "http://payments.example/v1", "ftp://127.0.0.1/", "nonsense"] {
        request.url = url.to_owned();
        assert_eq!(http.send(&request).await, Err(NoAnswer::Address), "{url}");
    }
}
