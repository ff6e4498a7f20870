//! A till that a test works by hand: every turn and every call of a running one, without ports and without waiting. For
//! simulations, which decide themselves what happens when, and which call is lost on its way.
//!
//! With the feature `testing`, never in a release.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::HeaderMap;
use comptoir_client::testing::{Line, open};
use comptoir_client::{Client, ClientError};
use comptoir_content::{OrderId, PayerProof, PayerQuestion, RefundId};

use crate::config::Config;
use crate::gateway::{GatewayError, Shared, ShopClock, core_of, round};
use crate::operator::{self, Books, OrderRow, RedeemAnswer};
use crate::provider::http::Http;
use crate::provider::{HttpRequest, HttpResponse};
use crate::web::webhook_came;

/// Carries a request to a provider and its answer back, or loses one of them.
pub trait Messenger: Send + Sync {
    /// `None`: no answer came, whatever became of the request.
    fn carry<'a>(&'a self, request: &'a HttpRequest)
    -> Pin<Box<dyn Future<Output = Option<HttpResponse>> + Send + 'a>>;
}

/// The till of the shop in a folder that [`crate::init`] made.
pub struct Till {
    shared: Arc<Shared>,
}

impl Till {
    /// Opens it as [`crate::Gateway::start`] does.
    ///
    /// # Errors
    /// [`GatewayError`] says what to correct.
    pub async fn open(
        dir: &Path,
        clock: ShopClock,
        messenger: Arc<dyn Messenger>,
    ) -> Result<(Self, Line), GatewayError> {
        let mut line = None;
        let core = || {
            let (config, setting) = core_of(dir, Some(clock.clone()));
            let (client, opened) = open(config, setting)?;
            line = Some(opened);
            Ok(client)
        };
        let shared = Shared::open(dir, &Config::read(dir)?, clock.clone(), core, Http::by_hand(messenger)).await?;
        let line = line.ok_or(GatewayError::NoShop)?;
        Ok((Self { shared: Arc::new(shared) }, line))
    }

    /// The core.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.shared.client
    }

    /// One thing after the other: what customers said, then what providers have to be asked. Says when the next thing is due,
    /// in milliseconds since 1970.
    ///
    /// # Errors
    /// [`ClientError`]; what failed is tried again by the next round.
    pub async fn round(&self) -> Result<Option<i64>, ClientError> {
        round(&self.shared).await
    }

    /// A webhook arrived. Gives the status of the answer.
    pub async fn webhook(&self, provider: &str, headers: HeaderMap, body: Vec<u8>) -> u16 {
        webhook_came(&self.shared, provider.to_owned(), &headers, &Bytes::from(body)).await.status().as_u16()
    }

    /// Gives money back, as the operator's command does: all of it without an amount, in minor units.
    ///
    /// # Errors
    /// [`ClientError`] when the rules do not allow it, or the store fails.
    pub async fn refund(&self, order: OrderId, amount_minor: Option<i64>, refund: RefundId) -> Result<(), ClientError> {
        operator::begin_refund(&self.shared, order, amount_minor, Some(refund)).await.map(drop)
    }

    /// Asks who paid, as the operator's command does.
    ///
    /// # Errors
    /// [`ClientError`] when the store fails.
    pub async fn asks_payer(&self) -> Result<PayerQuestion, ClientError> {
        operator::ask_payer(&self.shared).await
    }

    /// Hands an order out to who answered, as the operator's command does.
    ///
    /// # Errors
    /// [`ClientError`] when the answer does not hold, or the store fails.
    pub async fn redeems(&self, proof: PayerProof) -> Result<RedeemAnswer, ClientError> {
        operator::redeem_order(&self.shared, proof).await
    }

    /// The operator's list of orders.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn orders(&self) -> Result<Vec<OrderRow>, ClientError> {
        operator::list_orders(&self.shared)
    }

    /// The books, checked from the first row to the last.
    ///
    /// # Errors
    /// [`ClientError`] when the store cannot be read.
    pub fn books(&self) -> Result<Books, ClientError> {
        operator::read_books(&self.shared)
    }
}
