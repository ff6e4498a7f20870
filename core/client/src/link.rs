//! The link: one WebSocket to the relay, kept up. It knows frames and tags, nothing of what they mean: every answer
//! becomes an input of the actor, and what was on its way when the line broke is sent again from the database.

use std::collections::HashMap;
use std::time::Duration;

use comptoir_wire as wire;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::random::Random;
use crate::store::Question;
use crate::turns::account::Login;
use crate::turns::flush::Sent;

const CONNECT_TIME: Duration = Duration::from_secs(20);
/// A line that does not take a frame for so long is dead: while it is waited for, nothing else is heard or done.
const SEND_TIME: Duration = Duration::from_secs(20);
/// A goodbye that takes longer is not waited for.
const GOODBYE_TIME: Duration = Duration::from_secs(1);
/// Quiet for this long: ask whether the relay is still there.
const PING_AFTER: Duration = Duration::from_secs(30);
/// Quiet for this long: it is not.
const DEAD_AFTER: Duration = Duration::from_secs(75);
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// What could not be stored is asked for again after as long as if the line had failed so often: a disk that is full stays
/// full for a while.
const REDIAL_AFTER_FAILURES: u32 = 6;
/// Deliveries in flight before an acknowledgement.
const WINDOW: u32 = 100;

/// What the actor tells the link.
#[allow(clippy::large_enum_variant, reason = "few are alive at once, and the large one is the usual one")]
pub(crate) enum Command {
    Login(Box<Login>),
    Send(Tag, wire::Request),
    Ack(u64),
    /// Forget the back-off and try now: the network is back, or somebody asks.
    Now,
    /// Close the line and dial again: what was delivered could not be stored.
    Redial,
    /// Close the line; stay closed until `Now`.
    Pause,
}

/// What an answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Outbox(Sent),
    Question(Question),
}

/// What the link tells the actor.
#[derive(Debug)]
pub(crate) enum News {
    Connected(wire::Welcome),
    Answer(Tag, wire::Reply),
    Delivery(Vec<wire::Item>),
    CaughtUp,
    /// The line is down; everything in flight has to be sent again.
    Lost(Lost),
}

/// Why the line is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It comes back by itself.
    Network,
    /// The relay does not accept this device. It is tried again, but a person may have to act.
    Refused {
        code: wire::ErrorCode,
        detail: String,
    },
    Paused,
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Runs until the actor is gone.
pub(crate) async fn run(mut commands: mpsc::UnboundedReceiver<Command>, tell: impl Fn(News)) {
    let mut login: Option<Box<Login>> = None;
    let mut failures = 0u32;
    let mut paused = false;
    loop {
        let Some(me) = login.as_ref().filter(|_| !paused) else {
            match commands.recv().await {
                None => return,
                Some(Command::Login(me)) => login = Some(me),
                Some(Command::Now) => paused = false,
                Some(Command::Pause) => paused = true,
                // The line is down; the database remembers.
                Some(Command::Send(..) | Command::Ack(_) | Command::Redial) => {}
            }
            continue;
        };
        let (lost, asked) = match session(me, &mut commands, &tell, &mut failures).await {
            End::ActorGone => return,
            End::Login(me) => {
                login = Some(me);
                continue;
            }
            End::Paused => {
                paused = true;
                tell(News::Lost(Lost::Paused));
                continue;
            }
            End::Lost(lost) => (lost, Duration::ZERO),
            End::Asked(to_wait) => (Lost::Network, to_wait),
        };
        tell(News::Lost(lost));
        let until = Instant::now() + back_off(failures, Random::new().number(), asked);
        failures = failures.saturating_add(1);
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Now) => { failures = 0; break; }
                    Some(Command::Pause) => { paused = true; break; }
                    // Another way to log in does not shorten the wait: the relay has just refused one.
                    Some(Command::Login(me)) => login = Some(me),
                    Some(Command::Send(..) | Command::Ack(_) | Command::Redial) => {}
                },
            }
        }
    }
}

/// How long to stay away after so many failures in a row: twice as long each time, less a random part of up to a half. All
/// devices of a relay lose their lines at once when it falls, and should not be back at once. A relay that goes away in good
/// order asks each of them for a time of its own, within reason.
fn back_off(failures: u32, random: u32, asked: Duration) -> Duration {
    let full = BACK_OFF_MIN.saturating_mul(1 << failures.min(9)).min(BACK_OFF_MAX);
    let own = full - full.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
    own.max(asked.min(BACK_OFF_MAX))
}

enum End {
    Lost(Lost),
    /// The relay goes away for a moment, and asks not to be dialed before.
    Asked(Duration),
    Paused,
    Login(Box<Login>),
    ActorGone,
}

fn network(_: impl std::fmt::Debug) -> End {
    End::Lost(Lost::Network)
}

async fn session(
    me: &Login,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    tell: &impl Fn(News),
    failures: &mut u32,
) -> End {
    let opened = tokio::select! {
        opened = timeout(CONNECT_TIME, open(me)) => opened.unwrap_or(Err(End::Lost(Lost::Network))),
        end = give_up(commands) => return end,
    };
    let (mut socket, welcome) = match opened {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    *failures = 0;
    tell(News::Connected(welcome));

    let mut asked: HashMap<u64, Tag> = HashMap::new();
    let mut next_id = 10u64;
    let mut heard = Instant::now();
    let mut pinged = false;
    loop {
        let alarm = heard + if pinged { DEAD_AFTER } else { PING_AFTER };
        tokio::select! {
            frame = socket.next() => {
                heard = Instant::now();
                pinged = false;
                let bytes = match frame {
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Text(_) | Message::Frame(_) | Message::Close(_)) | Err(_)) | None => {
                        return End::Lost(Lost::Network);
                    }
                };
                match wire::Reply::decode(&bytes) {
                    Ok((_, wire::Reply::Delivery(items))) => tell(News::Delivery(items)),
                    Ok((_, wire::Reply::CaughtUp { .. })) => tell(News::CaughtUp),
                    Ok((_, wire::Reply::Notice { reconnect_after_ms })) => {
                        return End::Asked(Duration::from_millis(reconnect_after_ms));
                    }
                    Ok((id, reply)) => {
                        if let Some(tag) = asked.remove(&id) {
                            tell(News::Answer(tag, reply));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the relay sent a frame that cannot be read");
                        return End::Lost(Lost::Network);
                    }
                }
            }
            command = commands.recv() => {
                let bytes = match command {
                    None => {
                        let _ = timeout(GOODBYE_TIME, socket.close(None)).await;
                        return End::ActorGone;
                    }
                    Some(Command::Send(tag, request)) => {
                        next_id += 1;
                        asked.insert(next_id, tag);
                        request.encode(next_id)
                    }
                    Some(Command::Ack(upto_seq)) => wire::Request::Ack { upto_seq }.encode(0),
                    Some(Command::Now) => continue,
                    Some(Command::Redial) => {
                        *failures = REDIAL_AFTER_FAILURES;
                        return End::Lost(Lost::Network);
                    }
                    Some(Command::Pause) => {
                        let _ = timeout(GOODBYE_TIME, socket.close(None)).await;
                        return End::Paused;
                    }
                    Some(Command::Login(me)) => return End::Login(me),
                };
                if let Err(error) = write(&mut socket, Message::Binary(Bytes::from(bytes))).await {
                    return error;
                }
            }
            () = sleep_until(alarm) => {
                if pinged {
                    return End::Lost(Lost::Network);
                }
                pinged = true;
                if let Err(error) = write(&mut socket, Message::Ping(Bytes::new())).await {
                    return error;
                }
            }
        }
    }
}

async fn write(socket: &mut Socket, message: Message) -> Result<(), End> {
    timeout(SEND_TIME, socket.send(message)).await.map_err(network)?.map_err(network)
}

/// While a connection is being made, only the end of it is of interest.
async fn give_up(commands: &mut mpsc::UnboundedReceiver<Command>) -> End {
    loop {
        match commands.recv().await {
            None => return End::ActorGone,
            Some(Command::Pause) => return End::Paused,
            Some(Command::Login(me)) => return End::Login(me),
            Some(Command::Send(..) | Command::Ack(_) | Command::Now | Command::Redial) => {}
        }
    }
}

/// Connects, makes the account known if the relay may not know it, and opens the mailbox.
#[allow(clippy::wildcard_enum_match_arm, reason = "any other frame here is out of turn")]
async fn open(me: &Login) -> Result<(Socket, wire::Welcome), End> {
    let mut request = format!("{}/v1/ws", me.relay.trim_end_matches('/')).into_client_request().map_err(network)?;
    let address = address_of(request.uri()).ok_or(End::Lost(Lost::Network))?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(wire::limits::SUBPROTOCOL));
    let config = WebSocketConfig::default()
        .max_message_size(Some(wire::limits::FRAME_BYTES_MAX * 2))
        .max_frame_size(Some(wire::limits::FRAME_BYTES_MAX * 2))
        .read_buffer_size(16 * 1024);
    let (mut socket, _) = connect_async_with_config(request, Some(config), true).await.map_err(network)?;
    let wire::Reply::Challenge { nonce, .. } = next(&mut socket).await? else {
        return Err(End::Lost(Lost::Network));
    };
    if let Some(new) = &me.new_account {
        send(&mut socket, wire::Request::CreateAccount(new.clone()), 1).await?;
        accepted(next(&mut socket).await?)?;
    }
    let signature = me.key.sign(wire::AUTH_CONTEXT, &wire::auth_bytes(&nonce, me.device, &address));
    let authenticate = wire::Request::Authenticate { device: me.device, address, signature, window: WINDOW };
    send(&mut socket, authenticate, 2).await?;
    match accepted(next(&mut socket).await?)? {
        wire::Reply::Welcome(welcome) => Ok((socket, welcome)),
        _ => Err(End::Lost(Lost::Network)),
    }
}

/// host:port as dialed, which is what gets signed.
fn address_of(uri: &Uri) -> Option<String> {
    uri.authority().map(|authority| authority.as_str().to_owned())
}

#[allow(clippy::wildcard_enum_match_arm, reason = "everything but a refusal goes on to who asked")]
fn accepted(reply: wire::Reply) -> Result<wire::Reply, End> {
    match reply {
        wire::Reply::Refused(refusal) => match refusal.code {
            wire::ErrorCode::RateLimited | wire::ErrorCode::Unavailable => Err(End::Lost(Lost::Network)),
            code => Err(End::Lost(Lost::Refused { code, detail: refusal.detail })),
        },
        reply => Ok(reply),
    }
}

async fn send(socket: &mut Socket, request: wire::Request, id: u64) -> Result<(), End> {
    socket.send(Message::Binary(Bytes::from(request.encode(id)))).await.map_err(network)
}

async fn next(socket: &mut Socket) -> Result<wire::Reply, End> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                return wire::Reply::decode(&bytes).map(|(_, reply)| reply).map_err(network);
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_) | Err(_)) | None => return Err(End::Lost(Lost::Network)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_cut_off_together_comes_back_one_after_the_other() {
        let waits: Vec<Duration> = (0..=4).map(|part| back_off(0, u32::MAX / 4 * part, Duration::ZERO)).collect();
        assert!(waits.is_sorted_by(|earlier, later| earlier > later), "{waits:?}");
        for failures in 0..40 {
            let full = BACK_OFF_MIN.saturating_mul(1 << failures.min(9)).min(BACK_OFF_MAX);
            assert_eq!(back_off(failures, 0, Duration::ZERO), full);
            assert!(back_off(failures, u32::MAX, Duration::ZERO) >= full / 2);
        }
    }

    #[test]
    fn a_relay_says_when_to_come_back_and_cannot_keep_anybody_away() {
        let asked = [0, 150, 5_000, u64::MAX].map(|ms| back_off(0, 0, Duration::from_millis(ms)).as_millis());
        assert_eq!(asked, [200, 200, 5_000, 60_000]);
    }
}
