//! Mallory: an account at the relay that speaks `relay.v1` frame by frame and keeps none of our rules.

use comptoir_content::{AccountId, AccountKind, ConversationId, DeviceId, Genesis, Hash, SigningKey};
use comptoir_wire as wire;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Town;

/// Signed in, and up to no good.
pub struct Stranger {
    pub account: AccountId,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    asked: u64,
    sent: u64,
}

impl Stranger {
    /// Opens an account with one device.
    pub async fn arrives(town: &Town) -> Self {
        let (account_key, device_key) = (SigningKey::from_seed([66; 32]), SigningKey::from_seed([67; 32]));
        let genesis = Genesis {
            kind: AccountKind::Person,
            account_key: account_key.public(),
            recovery_hash: Hash::of(b"nobody has this key"),
            nonce: [66; 16],
        }
        .encode();
        let device = wire::DeviceId([66; 16]);
        let address = town.relay_url().trim_start_matches("ws://").to_owned();
        let mut request = format!("ws://{address}{}", wire::limits::PATH).into_client_request().expect("a request");
        let relay_v1 = wire::limits::SUBPROTOCOL.parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", relay_v1);
        let (socket, _) = tokio_tungstenite::connect_async(request).await.expect("the relay listens");
        let mut stranger = Self { account: Genesis::account_of(&genesis), socket, asked: 0, sent: 0 };
        let (_, wire::Reply::Challenge { nonce, .. }) = stranger.hears().await else { panic!("no challenge") };
        let new = wire::NewAccount {
            genesis,
            log_key: account_key.public().0,
            recovery_hash: Hash::of(b"nobody has this key").0,
            entries: Vec::new(),
            device,
            device_key: device_key.public().0,
        };
        assert_eq!(stranger.asks(wire::Request::CreateAccount(new)).await, wire::Reply::Done);
        let signature = device_key.sign_mls(&wire::auth_input(&nonce, device, &address));
        let window = wire::limits::WINDOW_MAX;
        let welcome = stranger.asks(wire::Request::Authenticate { device, address, signature, window }).await;
        assert!(matches!(welcome, wire::Reply::Welcome(_)), "{welcome:?}");
        stranger
    }

    async fn hears(&mut self) -> (u64, wire::Reply) {
        loop {
            let frame = self.socket.next().await.expect("an open line").expect("a frame");
            if let Message::Binary(bytes) = frame {
                return wire::Reply::decode(&bytes).expect("the relay keeps to the protocol");
            }
        }
    }

    pub async fn asks(&mut self, request: wire::Request) -> wire::Reply {
        self.asked += 1;
        self.socket.send(Message::Binary(request.encode(self.asked).into())).await.expect("an open line");
        loop {
            match self.hears().await {
                (id, reply) if id == self.asked => return reply,
                _ => {}
            }
        }
    }

    /// Puts bytes of no meaning into a device's mailbox, one envelope for each generation, and says what became of them.
    pub async fn throws(
        &mut self,
        to: DeviceId,
        conversation: ConversationId,
        kind: wire::EnvelopeKind,
        generations: std::ops::Range<u32>,
    ) -> Vec<wire::DepositStatus> {
        let envelopes = generations.map(|generation| {
            self.sent += 1;
            let mut uid = wire::Uid([66; 16]);
            uid.0[8..].copy_from_slice(&self.sent.to_be_bytes());
            wire::Envelope {
                to: wire::DeviceId(to.0),
                uid,
                conversation: wire::ConversationId(conversation.0),
                generation,
                epoch: 1,
                kind,
                urgent: true,
                ttl_s: 0,
                sealed: vec![66; 300],
                pass: None,
            }
        });
        let envelopes = envelopes.collect();
        let reply = self.asks(wire::Request::Deposit { envelopes }).await;
        let wire::Reply::Deposited(outcomes) = reply else { panic!("{reply:?} instead of outcomes") };
        outcomes.into_iter().map(|outcome| outcome.status).collect()
    }
}
