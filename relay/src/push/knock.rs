//! One knock: an empty push message (RFC 8030), signed by the relay, and what the push service says to it. Nothing of the
//! answer but its status and its wish to wait is looked at.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};

use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::address::{NotPublic, Reach};
use super::caller::Caller;
use super::vapid::Vapid;

/// For a push service that takes no empty message, as UnifiedPush wants it: a byte that says nothing either.
const ONE_BYTE: &str = " ";
/// All wake-ups of a device are one: a later one takes the place of one that still waits for the phone.
const TOPIC: &str = "comptoir";
/// The longest that push services keep a message, in seconds: 28 days.
pub(super) const KEPT_MAX_S: u32 = 28 * 24 * 60 * 60;

/// What a push service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    /// The endpoint is no more.
    Gone,
    /// It does not want this, and will not later.
    Refused,
    /// Not now.
    Later {
        after: Option<Duration>,
    },
    /// Nothing was heard of it in time.
    Silence,
    /// This is not where the relay knocks. Nobody was called.
    NotThere,
}

#[derive(Debug)]
pub(super) struct Knocker {
    caller: Caller,
    reach: Reach,
    vapid: Vapid,
    ttl_s: u32,
}

impl Knocker {
    pub(super) fn new(vapid: Vapid, loopback: bool, patience: Duration, ttl_s: u32) -> Self {
        let reach = Reach { loopback };
        Self { caller: Caller::new(reach, patience), reach, vapid, ttl_s: ttl_s.min(KEPT_MAX_S) }
    }

    /// Sees to it that there is a client to knock with. False when there cannot be one now.
    pub(super) async fn get_ready(&self, now_ms: i64) -> bool {
        self.caller.get_ready(now_ms).await
    }

    pub(super) fn is_ready(&self) -> bool {
        self.caller.is_ready()
    }

    pub(super) fn has_new_key(&self) -> bool {
        self.vapid.is_new()
    }

    pub(super) fn key(&self) -> [u8; 65] {
        self.vapid.public()
    }

    /// The address behind an endpoint, if it is one where the relay may knock as far as can be seen from it. What a name
    /// leads to is looked at when it is called.
    pub(super) fn target(&self, endpoint: &str) -> Result<Url, &'static str> {
        let url = Url::parse(endpoint).map_err(|_| "endpoint: not an address")?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("endpoint: an address without a name, a password or a fragment");
        }
        // A host that is an address was written in many ways; here it stands in one.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let address: Option<std::net::IpAddr> = host.parse().ok();
        if address.is_some_and(|address| !self.reach.allows(address)) {
            return Err("endpoint: not a public address");
        }
        // An address may hold more than a name can be made of, a quotation mark for one. It would stand in what is signed.
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if address.is_none() && !host.bytes().all(is_name) {
            return Err("endpoint: not a host");
        }
        let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.reach.loopback && here => Ok(url),
            _ => Err("endpoint: begins with https://"),
        }
    }

    pub(super) async fn knock(&self, endpoint: &str, now_ms: i64) -> Answer {
        let Ok(url) = self.target(endpoint) else {
            return Answer::NotThere;
        };
        let word = self.vapid.authorization(&url.origin().ascii_serialization(), now_ms);
        let Some((client, word)) = self.caller.client().zip(word) else {
            return Answer::Silence;
        };
        let Ok(mut word) = HeaderValue::from_str(&word) else {
            return Answer::NotThere;
        };
        word.set_sensitive(true);
        let answer = match self.send(&client, url.clone(), word.clone(), "").await {
            Ok(answer) if answer.status() == StatusCode::BAD_REQUEST => self.send(&client, url, word, ONE_BYTE).await,
            answer => answer,
        };
        match answer {
            // The rest of the answer is not read: the connection is closed on it.
            Ok(answer) => said(answer.status(), answer.headers()),
            Err(error) if leads_home(&error) => Answer::NotThere,
            Err(_) => Answer::Silence,
        }
    }

    async fn send(
        &self,
        client: &Client,
        url: Url,
        word: HeaderValue,
        body: &'static str,
    ) -> reqwest::Result<Response> {
        let knock = client
            .post(url)
            .header(AUTHORIZATION, word)
            .header("ttl", self.ttl_s)
            .header("urgency", "high")
            .header("topic", TOPIC)
            // Said aloud, when nothing follows too: some servers refuse a POST that does not say how long it is.
            .header(CONTENT_LENGTH, body.len())
            .body(body);
        // The libraries below write down whom they call, on their finer levels: here nobody listens.
        knock.send().with_subscriber(NoSubscriber::default()).await
    }
}

fn said(status: StatusCode, headers: &HeaderMap) -> Answer {
    match status {
        StatusCode::GONE => Answer::Gone,
        // Nothing is found by a push service either that is being set up again.
        StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            later(headers)
        }
        _ if status.is_success() => Answer::Taken,
        _ if status.is_server_error() => later(headers),
        _ => Answer::Refused,
    }
}

fn later(headers: &HeaderMap) -> Answer {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    Answer::Later { after: seconds.map(Duration::from_secs) }
}

fn leads_home(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<NotPublic>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knocker(dir: &std::path::Path, loopback: bool) -> Knocker {
        let vapid = Vapid::open(dir, None).unwrap();
        Knocker::new(vapid, loopback, Duration::from_secs(5), 60)
    }

    #[test]
    fn where_a_relay_knocks_and_where_not() {
        let dir = tempfile::tempdir().unwrap();
        let (open, tests) = (knocker(dir.path(), false), knocker(dir.path(), true));
        for good in ["https://push.example/up?token=1", "https://push.example:8443/", "https://1.1.1.1/x"] {
            assert!(open.target(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "push.example",
            "ftp://push.example/",
            "http://push.example/",
            "https://bob@push.example/",
            "https://bob:pass@push.example/",
            "https://push.example/#part",
            "https://push\".example/",
            "https://push','sub':'.example/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "http://127.0.0.1:1/",
            "file:///etc/passwd",
        ] {
            assert!(open.target(bad).is_err(), "{bad}");
        }
        for here in ["http://127.0.0.1:1/", "http://localhost:1/x", "http://[::1]:1/", "https://127.0.0.1/"] {
            assert!(tests.target(here).is_ok(), "{here}");
        }
        for bad in ["http://push.example/", "http://10.0.0.1/", "https://192.168.0.1/"] {
            assert!(tests.target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_push_service_says_is_understood() {
        let after = |seconds: &str| HeaderMap::from_iter([(RETRY_AFTER, seconds.parse().unwrap())]);
        let check = |status, headers: &HeaderMap, expected| {
            assert_eq!(said(StatusCode::from_u16(status).unwrap(), headers), expected, "{status}");
        };
        let none = HeaderMap::new();
        for status in [200, 201, 202, 204] {
            check(status, &none, Answer::Taken);
        }
        check(410, &none, Answer::Gone);
        for status in [301, 302, 307, 308, 400, 401, 403, 413] {
            check(status, &none, Answer::Refused);
        }
        for status in [404, 408, 425, 429, 500, 502, 503] {
            check(status, &none, Answer::Later { after: None });
            check(status, &after("120"), Answer::Later { after: Some(Duration::from_secs(120)) });
            check(status, &after("Wed, 21 Oct 2026 07:28:00 GMT"), Answer::Later { after: None });
        }
    }

    /// The name is looked up where the connection is made, so a name of this machine is not called.
    #[tokio::test]
    async fn a_name_that_leads_home_is_not_called() {
        let dir = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://localhost:{}/up", listener.local_addr().unwrap().port());
        let knocker = knocker(dir.path(), false);
        assert!(knocker.get_ready(0).await);
        assert_eq!(knocker.knock(&endpoint, 0).await, Answer::NotThere);
        let nobody = futures_util::FutureExt::now_or_never(listener.accept());
        assert!(nobody.is_none(), "nobody was called");
    }
}
