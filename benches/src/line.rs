//! A device that speaks `relay.v1` frame by frame, and keeps no more than its end of the connection.

use std::net::SocketAddr;

use comptoir_content::{AccountId, ConversationId};
use comptoir_wire::{
    DeviceId, Envelope, EnvelopeKind, Item, LOG_CONTEXT, NewAccount, Reply, Request, SignedEntry, Uid, auth_input,
    limits, signature_input,
};
use futures_util::{SinkExt as _, StreamExt as _};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::Result;

/// An account with one device.
pub(crate) struct Device {
    pub(crate) device: DeviceId,
    key: Ed25519KeyPair,
    genesis: Vec<u8>,
}

impl Device {
    pub(crate) fn new(n: usize) -> Result<Self> {
        let genesis = format!("genesis of {n}").into_bytes();
        let seed = digest(&SHA256, &genesis);
        let key = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| "not a seed")?;
        Ok(Self { device: DeviceId::from_slice(&seed.as_ref()[..DeviceId::LEN])?, key, genesis })
    }

    pub(crate) fn account(&self) -> Result<AccountId> {
        Ok(AccountId::from_slice(&digest(&SHA256, &self.genesis).as_ref()[..AccountId::LEN])?)
    }

    fn public(&self) -> Result<[u8; 32]> {
        Ok(self.key.public_key().as_ref().try_into()?)
    }

    pub(crate) fn new_account(&self) -> Result<NewAccount> {
        let entry = b"the first device".to_vec();
        let signature = self.key.sign(&signature_input(LOG_CONTEXT, &entry));
        Ok(NewAccount {
            genesis: self.genesis.clone(),
            log_key: self.public()?,
            recovery_hash: digest(&SHA256, b"nobody has it").as_ref().try_into()?,
            entries: vec![SignedEntry {
                entry,
                signature: signature.as_ref().try_into()?,
                signer: self.public()?,
                next_key: None,
            }],
            device: self.device,
            device_key: self.public()?,
        })
    }
}

/// An envelope from one account to another's device. The relay looks at everything but `sealed`.
pub(crate) fn envelope(from: &Device, to: &Device, n: u64, sealed: Vec<u8>) -> Result<Envelope> {
    let mut uid = [0; Uid::LEN];
    uid[..8].copy_from_slice(&n.to_be_bytes());
    uid[8..].copy_from_slice(&from.device.0[..8]);
    Ok(Envelope {
        to: to.device,
        uid: Uid(uid),
        conversation: comptoir_wire::ConversationId(ConversationId::between(from.account()?, to.account()?).0),
        generation: 0,
        epoch: 1,
        kind: EnvelopeKind::Message,
        urgent: false,
        ttl_s: 0,
        sealed,
        pass: None,
    })
}

/// A connection with an open mailbox.
pub(crate) struct Line {
    socket: WebSocketStream<TcpStream>,
}

impl Line {
    /// Connects, creates the account when it is `new`, and opens the mailbox, which is empty.
    pub(crate) async fn open(address: SocketAddr, device: &Device, new: bool) -> Result<Self> {
        let (line, waited) = Self::arrive(address, device, new).await?;
        crate::opening::expect(waited.len(), 0)?;
        Ok(line)
    }

    /// Connects, creates the account when it is `new`, opens the mailbox and takes what waited in it.
    pub(crate) async fn arrive(address: SocketAddr, device: &Device, new: bool) -> Result<(Self, Vec<Item>)> {
        let mut request = format!("ws://{address}{}", limits::PATH).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", limits::SUBPROTOCOL.parse()?);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        let mut line = Self { socket };
        let Reply::Challenge { nonce, .. } = line.next().await? else {
            return Err("the relay did not begin with a challenge".into());
        };
        if new {
            line.tell(Request::CreateAccount(device.new_account()?)).await?;
            line.next().await?;
        }
        let dialed = address.to_string();
        let signature = device.key.sign(&auth_input(&nonce, device.device, &dialed)).as_ref().try_into()?;
        let window = limits::WINDOW_MAX;
        line.tell(Request::Authenticate { device: device.device, address: dialed, signature, window }).await?;
        match line.next().await? {
            Reply::Welcome(_) => {}
            other => return Err(format!("{other:?} instead of a welcome").into()),
        }
        let mut waited = Vec::new();
        loop {
            match line.next().await? {
                Reply::Delivery(items) => waited.extend(items),
                Reply::CaughtUp { .. } => return Ok((line, waited)),
                other => return Err(format!("{other:?} before the end of the mailbox").into()),
            }
        }
    }

    pub(crate) async fn tell(&mut self, request: Request) -> Result<()> {
        Ok(self.socket.send(Message::Binary(request.encode(1).into())).await?)
    }

    pub(crate) async fn next(&mut self) -> Result<Reply> {
        loop {
            match self.socket.next().await.ok_or("the relay hung up")?? {
                Message::Binary(frame) => return Ok(Reply::decode(&frame)?.1),
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Text(_) | Message::Close(_) | Message::Frame(_)) => {
                    return Err(format!("{other:?} from the relay").into());
                }
            }
        }
    }
}
