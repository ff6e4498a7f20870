//! The operator's commands: they talk to the running till over loopback, with a token from a file that only its owner
//! can read.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use comptoir_client::ClientError;
use comptoir_content::{Amount, Currency, Hash, OrderId, RefundId, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::gateway::Shared;
use crate::turns::post::chain_hash;
use crate::turns::refund::{Asked, refund_asked};

mod bill;
mod payer;

pub use bill::{BillAnswer, BillAsk, BillLine};
pub use payer::{PayerAsked, RedeemAnswer, RedeemAsk};
#[cfg(feature = "testing")]
pub(crate) use payer::{ask_payer, redeem_order};

const ADDRESS: &str = "operator.addr";
const TOKEN: &str = "operator.token";

/// The files by which a command finds the running till. Removed when it ends.
pub(crate) struct OperatorFiles {
    paths: [PathBuf; 2],
}

impl OperatorFiles {
    pub(crate) fn write(dir: &Path, address: SocketAddr) -> io::Result<(Self, String)> {
        let mut bytes = [0u8; 32];
        let random = ring::rand::SystemRandom::new();
        ring::rand::SecureRandom::fill(&random, &mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
        let token = data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        let paths = [dir.join(ADDRESS), dir.join(TOKEN)];
        for (path, text) in paths.iter().zip([address.to_string(), token.clone()]) {
            // Left behind by a till that was killed.
            let _ = fs::remove_file(path);
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt as _;
                options.mode(0o600);
            }
            options.open(path)?.write_all(text.as_bytes())?;
        }
        Ok((Self { paths }, token))
    }
}

impl Drop for OperatorFiles {
    fn drop(&mut self) {
        for path in &self.paths {
            let _ = fs::remove_file(path);
        }
    }
}

#[derive(Clone)]
struct Office {
    shared: Arc<Shared>,
    token: Arc<str>,
}

pub(crate) fn router(shared: Arc<Shared>, token: String) -> Router {
    Router::new()
        .route("/orders", get(orders))
        .route("/ledger", get(ledger))
        .route("/refund", post(refund))
        .route("/link", get(link))
        .route("/bill", post(bill::make))
        .route("/payer", post(payer::ask))
        .route("/redeem", post(payer::redeem))
        .with_state(Office { shared, token: token.into() })
}

/// An order as the operator sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderRow {
    pub order: String,
    pub title: String,
    /// Decimal digits and the ISO code.
    pub amount: String,
    pub amount_minor: i64,
    pub currency: String,
    /// Where the newest attempt stands: starting, requested, unknown, captured, dead.
    pub state: String,
    pub refunded_minor: i64,
    /// What should have gone back, surplus too, and the provider refused. It stays with the shop until somebody acts.
    pub refunds_failed_minor: i64,
    /// What should have gone back, and nobody knows whether it did. A person has to look.
    pub refunds_quarantined_minor: i64,
    pub provider: String,
    pub placed_at_ms: i64,
    /// A person has to look: the provider spoke of other money than was asked for.
    pub quarantined: bool,
}

/// What a refund command is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefundAnswer {
    pub refund: String,
    pub amount: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RefundAsk {
    order: String,
    #[serde(default)]
    amount_minor: Option<i64>,
    /// The same one again is the same refund.
    #[serde(default)]
    refund: Option<String>,
}

/// The books, checked from the first row to the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Books {
    pub postings: i64,
    /// Whether each row names the hash of the one before it, and holds.
    pub chain_holds: bool,
    /// Whether all legs sum to zero.
    pub balanced: bool,
    /// Minor units by book and currency.
    pub books: Vec<(String, String, i64)>,
}

fn authorised(office: &Office, headers: &HeaderMap) -> bool {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = format!("Bearer {}", office.token);
    given.as_bytes().ct_eq(wanted.as_bytes()).into()
}

fn problem(status: StatusCode, code: &str, detail: impl ToString) -> Response {
    (status, Json(serde_json::json!({ "error": { "code": code, "detail": detail.to_string() } }))).into_response()
}

fn failed(error: &ClientError) -> Response {
    let status = match error {
        ClientError::AskUser { .. } | ClientError::UpdateApp { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        ClientError::TryAgain { .. } | ClientError::SignInAgain { .. } | ClientError::Locked { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ClientError::Bug { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, error.code(), error)
}

async fn orders(State(office): State<Office>, headers: HeaderMap) -> Response {
    if !authorised(&office, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "operator.token", "the token is not this till's");
    }
    match list_orders(&office.shared) {
        Ok(orders) => Json(orders).into_response(),
        Err(error) => failed(&error),
    }
}

pub(crate) fn list_orders(shared: &Shared) -> Result<Vec<OrderRow>, ClientError> {
    shared.client.view(|db| {
        let mut select = db.prepare_cached(
            "SELECT attempt.*,
                 (SELECT coalesce(sum(amount_minor), 0) FROM refund
                     WHERE refund.order_id = attempt.order_id AND surplus = 0 AND refund.state = 'done') AS refunded,
                 (SELECT coalesce(sum(amount_minor), 0) FROM refund
                     WHERE refund.order_id = attempt.order_id AND refund.state = 'failed') AS failed,
                 (SELECT coalesce(sum(amount_minor), 0) FROM refund
                     WHERE refund.order_id = attempt.order_id AND refund.state = 'quarantined') AS unsure,
                 EXISTS (SELECT 1 FROM attempt AS any_try
                     WHERE any_try.order_id = attempt.order_id AND any_try.quarantined IS NOT NULL) AS look
             FROM attempt WHERE attempt.attempt = (SELECT max(attempt) FROM attempt AS newest
                 WHERE newest.order_id = attempt.order_id) ORDER BY created_at DESC LIMIT 1000",
        )?;
        let rows = select.query_map([], |row| {
            Ok((
                Hash(row.get("invoice_hash")?),
                OrderRow {
                    order: OrderId(row.get("order_id")?).to_string(),
                    title: String::new(),
                    amount: String::new(),
                    amount_minor: row.get("amount_minor")?,
                    currency: row.get("currency")?,
                    state: row.get("state")?,
                    refunded_minor: row.get("refunded")?,
                    refunds_failed_minor: row.get("failed")?,
                    refunds_quarantined_minor: row.get("unsure")?,
                    provider: row.get("provider")?,
                    placed_at_ms: row.get("created_at")?,
                    quarantined: row.get("look")?,
                },
            ))
        })?;
        let mut orders = Vec::new();
        for row in rows {
            let (hash, mut order) = row?;
            if let Some((signed, _)) = crate::till::invoice(db, hash)? {
                order.title = signed.verify()?.title.clone();
            }
            order.amount = Amount::new(order.amount_minor, Currency::of(&order.currency)?)?.to_plain();
            orders.push(order);
        }
        Ok(orders)
    })
}

async fn ledger(State(office): State<Office>, headers: HeaderMap) -> Response {
    if !authorised(&office, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "operator.token", "the token is not this till's");
    }
    match read_books(&office.shared) {
        Ok(books) => Json(books).into_response(),
        Err(error) => failed(&error),
    }
}

pub(crate) fn read_books(shared: &Shared) -> Result<Books, ClientError> {
    shared.client.view(|db| {
        let mut select = db.prepare_cached("SELECT * FROM ledger ORDER BY seq")?;
        let mut rows = select.query([])?;
        let (mut previous, mut chain_holds, mut postings, mut sum) = ([0u8; 32], true, 0, 0i64);
        let mut books: std::collections::BTreeMap<(String, String), i64> = std::collections::BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (seq, posting): (i64, String) = (row.get("seq")?, row.get("posting")?);
            let (book, minor, currency): (String, i64, String) =
                (row.get("book")?, row.get("minor")?, row.get("currency")?);
            let hash: [u8; 32] = row.get("hash")?;
            let expected = chain_hash(&previous, seq, &posting, Timestamp(row.get("at_ms")?), &book, minor, &currency);
            chain_holds &= row.get::<_, [u8; 32]>("previous")? == previous && expected.0 == hash;
            previous = hash;
            postings += i64::from(row.get::<_, i64>("leg")? == 0);
            sum += minor;
            *books.entry((book, currency)).or_default() += minor;
        }
        let books = books.into_iter().map(|((book, currency), minor)| (book, currency, minor)).collect();
        Ok(Books { postings, chain_holds, balanced: sum == 0, books })
    })
}

async fn link(State(office): State<Office>, headers: HeaderMap) -> Response {
    if !authorised(&office, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "operator.token", "the token is not this till's");
    }
    match office.shared.client.identity() {
        Ok(me) => Json(serde_json::json!({ "link": me.map(|me| me.link) })).into_response(),
        Err(error) => failed(&error),
    }
}

async fn refund(State(office): State<Office>, headers: HeaderMap, Json(ask): Json<RefundAsk>) -> Response {
    if !authorised(&office, &headers) {
        return problem(StatusCode::UNAUTHORIZED, "operator.token", "the token is not this till's");
    }
    let order = match ask.order.parse::<OrderId>() {
        Ok(order) => order,
        Err(error) => return problem(StatusCode::UNPROCESSABLE_ENTITY, "refund.order", error),
    };
    let id = match ask.refund.as_deref().map(str::parse::<RefundId>).transpose() {
        Ok(id) => id,
        Err(error) => return problem(StatusCode::UNPROCESSABLE_ENTITY, "refund.id", error),
    };
    match begin_refund(&office.shared, order, ask.amount_minor, id).await {
        Ok((id, Asked::Taken(amount))) => {
            Json(RefundAnswer { refund: id.to_string(), amount: amount.to_plain() }).into_response()
        }
        Ok((_, Asked::Another)) => {
            let why = "this id is of a refund for another order or over another amount";
            problem(StatusCode::UNPROCESSABLE_ENTITY, "refund.id", why)
        }
        Ok((_, Asked::Failed)) => {
            let why = "the provider refused this refund; without --id it is tried as a new one";
            problem(StatusCode::UNPROCESSABLE_ENTITY, "refund.failed", why)
        }
        Err(error) => failed(&error),
    }
}

pub(crate) async fn begin_refund(
    shared: &Shared,
    order: OrderId,
    amount_minor: Option<i64>,
    id: Option<RefundId>,
) -> Result<(RefundId, Asked), ClientError> {
    let asked = shared
        .client
        .turn(move |tx| {
            let id = id.unwrap_or_else(|| RefundId(tx.new_id()));
            refund_asked(tx, id, order, amount_minor).map(|asked| (id, asked))
        })
        .await;
    shared.bell.notify_one();
    asked
}

/// Calls the running till of the shop in `dir`. `body` `None` is a GET. Gives the status and the JSON.
///
/// # Errors
/// A sentence that says what to do, such as starting the till.
pub async fn call(dir: &Path, path: &str, body: Option<serde_json::Value>) -> Result<(u16, serde_json::Value), String> {
    let read = |name: &str| fs::read_to_string(dir.join(name));
    let (Ok(address), Ok(token)) = (read(ADDRESS), read(TOKEN)) else {
        return Err(format!("no till is running in {}; start it with `gateway run`", dir.display()));
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let url = format!("http://{address}{path}");
    let request = match &body {
        Some(body) => client.post(url).json(body),
        None => client.get(url),
    };
    let response = request.bearer_auth(token).send().await;
    let response = response.map_err(|error| format!("the till does not answer ({error}); is it still running?"))?;
    let status = response.status().as_u16();
    let json = response.json().await.map_err(|error| error.to_string())?;
    Ok((status, json))
}
