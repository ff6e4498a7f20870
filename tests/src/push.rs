//! A push service and a distributor, as somebody else runs them: it takes requests over HTTP, keeps them whole, and says
//! what the story wants it to say.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use comptoir_client::{PushTarget, PushToken, ShellError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::PATIENCE;

/// What it says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Status(u16),
    /// 201 to a message of 1 to 4,096 bytes and 400 to any other: what UnifiedPush wants of a server.
    NotEmpty,
    /// Nothing, ever.
    Nothing,
}

pub struct PushService {
    address: SocketAddr,
    says: watch::Sender<Says>,
    requests: mpsc::UnboundedReceiver<String>,
    serving: JoinHandle<()>,
}

impl Drop for PushService {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl PushService {
    pub async fn opens() -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address")).await
    }

    /// It goes away; [`PushService::at`] this address it comes back.
    pub fn closes(self) -> SocketAddr {
        self.address
    }

    pub async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let (says, said) = watch::channel(Says::Status(201));
        let (sender, requests) = mpsc::unbounded_channel();
        let address = listener.local_addr().expect("bound");
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, said.clone(), sender.clone()));
            }
        });
        Self { address, says, requests, serving }
    }

    pub fn says(&self, says: Says) {
        self.says.send_replace(says);
    }

    /// Another one for somebody, which the relay takes for one at another place.
    pub fn endpoint_elsewhere(&self, token: &str) -> String {
        format!("http://localhost:{}/up/{token}?v=1", self.address.port())
    }

    /// An endpoint for somebody.
    pub fn endpoint(&self, token: &str) -> String {
        format!("http://{}/up/{token}?v=1", self.address)
    }

    /// The next request, head and body.
    pub async fn hears(&mut self) -> String {
        let heard = tokio::time::timeout(PATIENCE, self.requests.recv()).await;
        heard.expect("nobody knocked").expect("it is open")
    }

    /// True when nobody has knocked that was not heard.
    pub fn is_quiet(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

async fn serve(mut stream: TcpStream, said: watch::Receiver<Says>, requests: mpsc::UnboundedSender<String>) {
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    loop {
        if !is_whole(&text) {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(read) => text.push_str(&String::from_utf8_lossy(&bytes[..read])),
            }
            continue;
        }
        let says = *said.borrow();
        let body_bytes = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        let _ = requests.send(std::mem::take(&mut text));
        let status = match says {
            Says::Nothing => std::future::pending().await,
            Says::Status(status) => status,
            Says::NotEmpty if (1..=4096).contains(&body_bytes) => 201,
            Says::NotEmpty => 400,
        };
        let answer = format!("HTTP/1.1 {status} so\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}

/// What a phone's distributor gave last.
pub struct Distributor {
    endpoint: Mutex<Option<String>>,
    asked: watch::Sender<u32>,
}

impl Distributor {
    #[must_use]
    pub fn giving(endpoint: Option<String>) -> Arc<Self> {
        Arc::new(Self { endpoint: Mutex::new(endpoint), asked: watch::Sender::new(0) })
    }

    pub fn gives(&self, endpoint: Option<String>) {
        *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = endpoint;
    }

    #[must_use]
    pub fn asked(&self) -> u32 {
        *self.asked.borrow()
    }

    /// Waits until it was asked so often. The core asks once more when the relay has taken what it was told.
    pub async fn was_asked(&self, times: u32) {
        let mut asked = self.asked.subscribe();
        let waited = tokio::time::timeout(PATIENCE, asked.wait_for(|asked| *asked >= times)).await;
        assert!(waited.is_ok(), "asked {} times and never {times}", self.asked());
    }
}

impl PushToken for Distributor {
    fn token(&self) -> Result<Option<PushTarget>, ShellError> {
        let endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.asked.send_modify(|asked| *asked += 1);
        Ok(endpoint.map(|endpoint| PushTarget::WebPush { endpoint }))
    }
}
