//! Redis with an append-only file that is synced before every answer, if it is on this machine. Mailboxes as Signal keeps
//! them: a sorted set per device, filled by a script that numbers a message and knows it again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::Result;

const INSERT: &str =
    "if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return redis.call('HGET', KEYS[2], ARGV[1]) end
    local seq = redis.call('HINCRBY', KEYS[2], 'seq', 1)
    redis.call('HSET', KEYS[2], ARGV[1], seq)
    redis.call('ZADD', KEYS[1], seq, ARGV[2])
    redis.call('EXPIRE', KEYS[1], 2592000)
    return seq";

/// A server in a process of its own, on a socket in its folder. It ends when this is dropped.
pub(crate) struct Redis {
    socket: PathBuf,
    pub(crate) id: u32,
    sent: Arc<AtomicU64>,
    _process: Child,
}

impl Redis {
    /// # Errors
    /// Says how to install it where it is missing.
    pub(crate) async fn start(dir: &Path) -> Result<Self> {
        let socket = dir.join("redis.sock");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| format!("`redis-server`: {why}; on Debian it is the package redis-server"))?;
        let id = process.id().ok_or("redis-server ended")?;
        for _ in 0..200 {
            if UnixStream::connect(&socket).await.is_ok() {
                return Ok(Self { socket, id, sent: Arc::default(), _process: process });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("redis-server did not open its socket".into())
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        let stream = UnixStream::connect(&self.socket).await?;
        let mut connection = Connection { stream: BufReader::new(stream), script: Vec::new(), sent: self.sent.clone() };
        match connection.ask(&[b"SCRIPT", b"LOAD", INSERT.as_bytes()]).await? {
            Answer::Bytes(hash) => connection.script = hash,
            other => return Err(format!("{other:?} instead of a script").into()),
        }
        Ok(connection)
    }
}

pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
    script: Vec<u8>,
    sent: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Answer {
    Number(i64),
    Bytes(Vec<u8>),
    Many(Vec<Self>),
}

impl Connection {
    /// Puts a message into a mailbox and takes it out again. Comes back when the disk has it all.
    pub(crate) async fn pass_on(&mut self, device: usize, size: usize) -> Result<()> {
        let uid = self.sent.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        // No body is like another: in a sorted set it would be the same element.
        let mut body = vec![7; size];
        body[..uid.len()].copy_from_slice(&uid);
        let (mailbox, seen) = (format!("m{device}"), format!("s{device}"));
        let (mailbox, script) = (mailbox.as_bytes(), self.script.clone());
        let insert = [b"EVALSHA", script.as_slice(), b"2", mailbox, seen.as_bytes(), &uid, &body];
        let seq = match self.ask(&insert).await? {
            Answer::Number(seq) => seq.to_string(),
            other => return Err(format!("{other:?} instead of a number").into()),
        };
        match self.ask(&[b"ZRANGEBYSCORE", mailbox, b"-inf", b"+inf", b"LIMIT", b"0", b"50"]).await? {
            Answer::Many(found) if found.len() == 1 => {}
            other => return Err(format!("{other:?} instead of one message").into()),
        }
        match self.ask(&[b"ZREMRANGEBYSCORE", mailbox, b"-inf", seq.as_bytes()]).await? {
            Answer::Number(1) => Ok(()),
            other => Err(format!("{other:?} instead of one acknowledged").into()),
        }
    }

    async fn ask(&mut self, words: &[&[u8]]) -> Result<Answer> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&request).await?;
        match self.answer().await? {
            Answer::Many(place) => {
                // An array is its length and then its elements.
                let mut all = Vec::with_capacity(place.capacity());
                for _ in 0..place.capacity() {
                    all.push(self.answer().await?);
                }
                Ok(Answer::Many(all))
            }
            answer => Ok(answer),
        }
    }

    /// One answer of RESP2; of an array only an empty list with room for what follows.
    async fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).ok_or("redis hung up")?;
        match kind {
            ":" => Ok(Answer::Number(rest.parse()?)),
            "+" => Ok(Answer::Bytes(rest.as_bytes().to_vec())),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.stream.read_exact(&mut bytes).await?;
                bytes.truncate(bytes.len() - 2);
                Ok(Answer::Bytes(bytes))
            }
            "*" => Ok(Answer::Many(Vec::with_capacity(rest.parse()?))),
            _ => Err(format!("redis says {line}").into()),
        }
    }
}
