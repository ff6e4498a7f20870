//! The one place of this module that talks: sends an [`HttpRequest`] and brings the answer, or says that there was none.
//!
//! Calls go straight to the provider: redirects are not followed, because they would carry our key elsewhere, and proxies
//! of the environment are not used.

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;

use super::secret::may_be_called;
use super::{HttpRequest, HttpResponse, Method, Operation};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to be connected.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer about one payment or refund that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// The largest list that is read, in bytes: a hundred payments with all that a provider says about each.
const LIST_BYTES_MAX: usize = 4 << 20;

/// Talks to providers. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Http(Line);

#[derive(Clone)]
enum Line {
    Network(reqwest::Client),
    #[cfg(feature = "testing")]
    ByHand(std::sync::Arc<dyn crate::testing::Messenger>),
}

/// The client could not be built: there is no TLS on this machine.
#[derive(Debug, thiserror::Error)]
#[error("preparing to call payment providers")]
pub struct BuildError(#[from] reqwest::Error);

/// There was no answer that can be used: to the caller this is [`super::Outcome::NoAnswer`], because what was asked may
/// have happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("not a request that may be sent")]
    Address,
    #[error("not connected")]
    NotConnected,
    #[error("no answer in time")]
    TimeOut,
    #[error("the connection broke")]
    Broken,
    #[error("an answer larger than any we ask for")]
    TooLarge,
}

impl Http {
    /// # Errors
    /// [`BuildError`] when there is no TLS.
    pub fn new() -> Result<Self, BuildError> {
        Self::with_timeout(TIMEOUT)
    }

    /// A client whose calls may take so long and no longer.
    ///
    /// # Errors
    /// [`BuildError`] when there is no TLS.
    pub fn with_timeout(timeout: Duration) -> Result<Self, BuildError> {
        // Somebody else in the process may have chosen a provider already; it is ring too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("comptoir-gateway/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(Line::Network(client)))
    }

    /// Hands every request to a messenger instead.
    #[cfg(feature = "testing")]
    pub(crate) fn by_hand(messenger: std::sync::Arc<dyn crate::testing::Messenger>) -> Self {
        Self(Line::ByHand(messenger))
    }

    /// Sends a request once. It is never repeated here: whether it may be is for the engine to say.
    ///
    /// # Errors
    /// [`NoAnswer`] when no whole answer came.
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let url = reqwest::Url::parse(&request.url).map_err(|_| NoAnswer::Address)?;
        if !may_be_called(&url) {
            return Err(NoAnswer::Address);
        }
        let client = match &self.0 {
            Line::Network(client) => client,
            #[cfg(feature = "testing")]
            Line::ByHand(messenger) => return messenger.carry(request).await.ok_or(NoAnswer::Broken),
        };
        let mut call = match request.method {
            Method::Get => client.get(url),
            Method::Post => client.post(url).body(request.body.to_vec()),
        };
        for (name, value) in &request.headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| NoAnswer::Address)?;
            value.set_sensitive(*name == "authorization");
            call = call.header(*name, value);
        }
        let bytes_max = match request.operation {
            Operation::Find | Operation::FindRefund => LIST_BYTES_MAX,
            Operation::Create | Operation::Read | Operation::Cancel | Operation::Refund => ANSWER_BYTES_MAX,
        };
        let answered = async {
            let mut response = call.send().await?;
            let status = response.status().as_u16();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > bytes_max {
                    return Ok(Err(NoAnswer::TooLarge));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Ok(HttpResponse::new(request.operation, status, body)))
        };
        answered.await.unwrap_or_else(|error| Err(why(&error)))
    }
}

fn why(error: &reqwest::Error) -> NoAnswer {
    if error.is_timeout() {
        NoAnswer::TimeOut
    } else if error.is_connect() {
        NoAnswer::NotConnected
    } else {
        NoAnswer::Broken
    }
}
