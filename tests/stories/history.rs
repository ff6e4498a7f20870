//! The relay alone, at its own desk, with everything that goes wrong around a database: it is killed, its disk loses power in
//! the middle of a write or is full, requests come twice and late, devices come and go. Every answer is written down, and at
//! the end the whole history is checked against what was promised.
#![allow(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use comptoir_relay::testing::{Counter, Visit};
use comptoir_relay::{Clock, Config, between};
use comptoir_sqlcipher::faults::Disk;
use comptoir_tests::storm::steps::Dice;
use comptoir_wire as wire;
use ring::digest::{SHA256, digest};

const SEEDS: u64 = 40;
const STEPS: usize = 160;
/// Accounts, each with one device.
const PEOPLE: usize = 4;
const MINUTE_MS: i64 = 60_000;

/// What the relay promised, and what it gave.
#[derive(Default)]
struct History {
    /// Envelopes that were accepted: for whom, which, and what is in it.
    accepted: BTreeMap<(usize, wire::Uid), Vec<u8>>,
    /// What was asked and had no answer: it may be there.
    maybe: BTreeSet<(usize, wire::Uid)>,
    /// For each device: what came under each number.
    delivered: Vec<BTreeMap<u64, (wire::Uid, Vec<u8>)>>,
    /// Commits that were accepted, by conversation, generation and epoch.
    commits: BTreeMap<(wire::ConversationId, u32, u64), wire::Uid>,
    /// Key packages that were given, and may not be given again.
    given: BTreeSet<Vec<u8>>,
}

struct Desk {
    dir: PathBuf,
    disk: Disk,
    now_ms: Arc<AtomicI64>,
    relay: Option<Counter>,
    visits: Vec<Option<Visit>>,
    /// The newest number that each device may acknowledge.
    upto: Vec<u64>,
    /// The newest one that it did.
    acked: Vec<u64>,
    history: History,
    dice: Dice,
    serial: u64,
    /// Where each conversation stands, as far as anybody was told.
    standing: BTreeMap<(usize, usize), (u32, u64)>,
    sent: Vec<(usize, wire::Envelope)>,
    cuts: u64,
    is_full: bool,
}

fn account_of(person: usize) -> wire::AccountId {
    let mut account = wire::AccountId([0; 20]);
    account.0.copy_from_slice(&digest(&SHA256, &[person as u8; 60]).as_ref()[..20]);
    account
}

fn device_of(person: usize) -> wire::DeviceId {
    wire::DeviceId([person as u8 + 1; 16])
}

/// The token of an epoch, which the members of a real group would export from it.
fn token(conversation: wire::ConversationId, generation: u32, epoch: u64) -> [u8; 32] {
    let mut token = [0; 32];
    let bytes = [&conversation.0[..], &generation.to_be_bytes(), &epoch.to_be_bytes()].concat();
    token.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    token
}

fn hash(bytes: &[u8; 32]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

impl Desk {
    async fn open(dir: &Path, seed: u64) -> Self {
        let dir = dir.join("relay");
        std::fs::create_dir_all(&dir).unwrap();
        let mut desk = Self {
            disk: Disk::below(&dir),
            dir,
            now_ms: Arc::new(AtomicI64::new(1_800_000_000_000)),
            relay: None,
            visits: (0..PEOPLE).map(|_| None).collect(),
            upto: vec![0; PEOPLE],
            acked: vec![0; PEOPLE],
            history: History { delivered: vec![BTreeMap::new(); PEOPLE], ..History::default() },
            dice: Dice::new(seed),
            serial: 0,
            standing: BTreeMap::new(),
            sent: Vec::new(),
            cuts: 0,
            is_full: false,
        };
        desk.starts().await;
        for person in 0..PEOPLE {
            let new = wire::NewAccount {
                genesis: vec![person as u8; 60],
                log_key: [1; 32],
                recovery_hash: [2; 32],
                entries: Vec::new(),
                device: device_of(person),
                device_key: [3; 32],
            };
            let reply = desk.relay.as_ref().unwrap().ask_as_guest(wire::Request::CreateAccount(new)).await;
            assert_eq!(reply, wire::Reply::Done);
        }
        desk
    }

    async fn starts(&mut self) {
        // A disk may lose its power while the relay opens its database, too.
        for _ in 0..20 {
            match Counter::open(Config::local(&self.dir), Clock::shared(self.now_ms.clone())).await {
                Ok(relay) => {
                    self.relay = Some(relay);
                    return;
                }
                Err(_) if self.disk.is_dead() => self.disk.comes_back(self.serial),
                Err(error) => {
                    assert!(self.is_full, "{error}");
                    // Somebody makes room; it cannot even open without.
                    self.room(None);
                }
            }
        }
        panic!("it never opens");
    }

    fn room(&mut self, bytes: Option<u64>) {
        self.is_full = bytes.is_some();
        self.disk.room(bytes);
    }

    async fn ends(&mut self) {
        self.visits.iter_mut().for_each(|visit| drop(visit.take()));
        if let Some(relay) = self.relay.take() {
            // On a disk that is dead it cannot end well.
            let ended = relay.close().await;
            assert!(ended.is_ok() || self.disk.is_dead() || self.is_full, "{ended:?}");
        }
    }

    async fn power_comes_back(&mut self) {
        if self.disk.is_dead() {
            self.cuts += 1;
            self.ends().await;
            self.disk.comes_back(self.serial);
            self.starts().await;
        }
    }

    fn person(&mut self) -> usize {
        self.dice.below(PEOPLE)
    }

    fn uid(&mut self) -> wire::Uid {
        self.serial += 1;
        let mut uid = wire::Uid([7; 16]);
        uid.0[8..].copy_from_slice(&self.serial.to_be_bytes());
        uid
    }

    async fn visit(&mut self, person: usize) -> bool {
        if self.visits[person].is_none()
            && let Ok((welcome, visit)) = self.relay.as_ref().unwrap().sign_in(device_of(person)).await
        {
            assert!(welcome.acked_seq <= self.upto[person], "it says that more was acknowledged than was");
            self.visits[person] = Some(visit);
        }
        self.visits[person].is_some()
    }

    async fn ask(&mut self, person: usize, request: wire::Request) -> Option<wire::Reply> {
        if !self.visit(person).await {
            return None;
        }
        let reply = self.relay.as_ref().unwrap().ask(self.visits[person].as_ref().unwrap(), request).await;
        if let Some(wire::Reply::Refused(refusal)) = &reply {
            let code = refusal.code;
            assert!(matches!(code, wire::ErrorCode::Unavailable | wire::ErrorCode::RateLimited), "{refusal:?}");
        }
        reply
    }

    /// An envelope from one person to another.
    fn envelope(&mut self, from: usize, to: usize) -> wire::Envelope {
        let (generation, epoch) = self.standing.get(&pair(from, to)).copied().unwrap_or((0, 1));
        let uid = self.uid();
        wire::Envelope {
            to: device_of(to),
            uid,
            conversation: between(account_of(from), account_of(to)),
            generation,
            epoch,
            kind: wire::EnvelopeKind::Message,
            urgent: self.dice.below(2) == 0,
            ttl_s: 0,
            sealed: uid.0.repeat(1 + self.dice.below(60)),
            pass: None,
        }
    }

    async fn deposits(&mut self, from: usize, envelopes: Vec<wire::Envelope>) {
        let reply = self.ask(from, wire::Request::Deposit { envelopes: envelopes.clone() }).await;
        let outcomes = match reply {
            Some(wire::Reply::Deposited(outcomes)) => {
                outcomes.into_iter().map(|outcome| Some(outcome.status)).collect()
            }
            _ => vec![None; envelopes.len()],
        };
        self.note(&envelopes, &outcomes);
        self.sent.extend(envelopes.into_iter().map(|envelope| (from, envelope)));
    }

    fn note(&mut self, envelopes: &[wire::Envelope], outcomes: &[Option<wire::DepositStatus>]) {
        for (envelope, outcome) in envelopes.iter().zip(outcomes) {
            let to = (0..PEOPLE).find(|person| device_of(*person) == envelope.to).unwrap();
            match outcome {
                Some(wire::DepositStatus::Accepted | wire::DepositStatus::Duplicate) => {
                    self.history.accepted.insert((to, envelope.uid), envelope.sealed.clone());
                }
                None => {
                    self.history.maybe.insert((to, envelope.uid));
                }
                Some(_) => {}
            }
        }
    }

    /// The conversation of two people goes on by a generation or an epoch, with an envelope for the other one.
    async fn changes(&mut self, from: usize, to: usize) {
        let conversation = between(account_of(from), account_of(to));
        let (generation, epoch) = self.standing.get(&pair(from, to)).copied().unwrap_or((0, 0));
        let opens = epoch == 0 || self.dice.below(4) == 0;
        let next = if epoch == 0 {
            (0, 1)
        } else if opens {
            (generation + 1, 1)
        } else {
            (generation, epoch + 1)
        };
        let mut envelope = self.envelope(from, to);
        envelope.kind = if opens { wire::EnvelopeKind::Welcome } else { wire::EnvelopeKind::Commit };
        (envelope.generation, envelope.epoch) = if opens { next } else { (generation, epoch) };
        let next_token_hash = hash(&token(conversation, next.0, next.1));
        let uid = envelope.uid;
        let envelopes = vec![envelope];
        let request = if opens {
            wire::Request::OpenGeneration {
                peer: account_of(to),
                conversation,
                generation: next.0,
                token_hash: next_token_hash,
                envelopes: envelopes.clone(),
            }
        } else {
            wire::Request::SubmitCommit {
                peer: account_of(to),
                conversation,
                generation,
                epoch,
                token: wire::CommitToken(token(conversation, generation, epoch)),
                next_token_hash,
                uid,
                envelopes: envelopes.clone(),
            }
        };
        match self.ask(from, request).await {
            Some(wire::Reply::Ordered(ordered)) => {
                let outcomes: Vec<_> = ordered.outcomes.iter().map(|outcome| Some(outcome.status)).collect();
                self.note(&envelopes, &outcomes);
                if ordered.status == wire::OrderStatus::Accepted && !opens {
                    let other = self.history.commits.insert((conversation, generation, epoch), uid);
                    assert_eq!(other, None, "two commits of one epoch");
                }
                if ordered.epoch > 0 {
                    self.standing.insert(pair(from, to), (ordered.generation, ordered.epoch));
                }
            }
            // It may have happened; the next one who tries is told.
            _ => self.note(&envelopes, &[None]),
        }
    }

    async fn claims(&mut self, person: usize, of: usize) {
        let request = wire::Request::ClaimKeyPackages { devices: vec![device_of(of)] };
        if let Some(wire::Reply::KeyPackages(claimed)) = self.ask(person, request).await
            && let Some(wire::Claimed::Fresh(package)) = claimed.into_iter().next()
        {
            assert!(self.history.given.insert(package), "a key package was given twice");
        }
    }

    async fn delivers(&mut self, person: usize) -> usize {
        if !self.visit(person).await {
            return 0;
        }
        let visit = self.visits[person].as_mut().unwrap();
        let Ok(items) = self.relay.as_ref().unwrap().deliver(visit).await else { return 0 };
        let count = items.len();
        for item in items {
            let seen = &mut self.history.delivered[person];
            let expected = seen.keys().next_back().copied().unwrap_or(0).max(self.acked[person]) + 1;
            assert!(item.seq <= expected, "number {} is missing before {}", expected, item.seq);
            let came = (item.envelope.uid, item.envelope.sealed);
            let before = seen.entry(item.seq).or_insert_with(|| came.clone());
            assert_eq!(*before, came, "number {} was another envelope before", item.seq);
            self.upto[person] = self.upto[person].max(item.seq);
        }
        count
    }

    async fn happens(&mut self) {
        self.now_ms.fetch_add(MINUTE_MS, Ordering::SeqCst);
        let person = self.person();
        let other = (person + 1 + self.dice.below(PEOPLE - 1)) % PEOPLE;
        match self.dice.below(40) {
            0..12 => {
                let count = 1 + self.dice.below(5);
                let envelopes = (0..count).map(|_| self.envelope(person, other)).collect();
                self.deposits(person, envelopes).await;
            }
            // Again, perhaps much later.
            12..16 if !self.sent.is_empty() => {
                let at = self.dice.below(self.sent.len());
                let (from, envelope) = self.sent[at].clone();
                self.deposits(from, vec![envelope]).await;
            }
            16..24 => drop(self.delivers(person).await),
            24..28 => {
                let upto_seq = self.upto[person];
                self.ask(person, wire::Request::Ack { upto_seq }).await;
                self.acked[person] = upto_seq;
            }
            28..31 => self.changes(person, other).await,
            31 => {
                let packages = (0..3).map(|_| self.uid().0.repeat(4)).collect();
                self.ask(person, wire::Request::PublishKeyPackages { packages, last_resort: None }).await;
            }
            32..34 => self.claims(person, other).await,
            34 => self.visits[person] = None,
            35 => {
                self.ends().await;
                self.starts().await;
            }
            36..38 => {
                let operation = 1 + self.dice.below(60) as u64;
                self.disk.cut_at(self.disk.operations() + operation);
            }
            38 => {
                let bytes = self.dice.below(20_000) as u64;
                self.room(Some(bytes));
            }
            _ => self.room(None),
        }
        self.power_comes_back().await;
    }

    /// Everything is mended, and everybody fetches what is there.
    async fn ends_well(&mut self) {
        self.disk.cut_at(0);
        self.room(None);
        self.ends().await;
        self.power_comes_back().await;
        if self.relay.is_none() {
            self.starts().await;
        }
        for person in 0..PEOPLE {
            while self.delivers(person).await > 0 {}
        }
        for ((to, uid), sealed) in &self.history.accepted {
            let came = self.history.delivered[*to].values().filter(|(came, _)| came == uid);
            let bytes: Vec<&Vec<u8>> = came.map(|(_, bytes)| bytes).collect();
            assert_eq!(bytes, [sealed], "accepted, and not there exactly once");
        }
        for (person, came) in self.history.delivered.iter().enumerate() {
            for (uid, _) in came.values() {
                let known = (person, *uid);
                let asked = self.history.accepted.contains_key(&known) || self.history.maybe.contains(&known);
                assert!(asked, "something came that nobody sent");
            }
        }
    }
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

#[tokio::test]
async fn the_whole_history_of_a_relay_on_a_bad_disk_is_as_it_said() {
    let (mut accepted, mut cuts, mut commits, mut given) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let dir = tempfile::tempdir().unwrap();
        println!("seed {seed}");
        let mut desk = Desk::open(dir.path(), seed).await;
        for _ in 0..STEPS {
            desk.happens().await;
        }
        desk.ends_well().await;
        accepted += desk.history.accepted.len();
        commits += desk.history.commits.len();
        given += desk.history.given.len();
        cuts += desk.cuts;
        desk.ends().await;
    }
    let enough = accepted > 1_000 && cuts > 50 && commits > 50 && given > 50;
    assert!(enough, "{accepted} accepted, {cuts} cuts, {commits} commits, {given} key packages");
}
