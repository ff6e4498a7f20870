//! More than the relay can do: first its best, then three times as much from senders who do not wait for answers.
//!
//! The best is looked for with deposits that wait for each other's answers, as in [`crate::sockets`]. Then every device
//! begins deposits at fixed times, whatever became of those before, up to a number of unanswered ones. One that is refused
//! and told when to come back keeps what it has until then, as the client does, or does not care. What counts is what was
//! accepted and delivered; when it is over, exactly what was accepted must have been delivered.
//!
//! Both ends share this machine's cores, and senders who ask three times as often use more of them. So the share is also told
//! for each second of processor time that the relay had.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use comptoir_wire::{DepositStatus, ErrorCode, Reply, Request};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::corpus::Dice;
use crate::line::{Device, Line, envelope};
use crate::relay_process::RelayProcess;
use crate::report::{Figure, thousands};
use crate::series::{Series, quantile};
use crate::{Bound, Finding, Of, Plan, Result, meters};

const NAME: &str = "overload";
const TIMES: f64 = 3.0;
/// Unanswered deposits of one device.
const IN_FLIGHT_MAX: usize = 16;
/// Connections that are made side by side.
const AT_ONCE: usize = 64;
/// What was accepted and is not delivered by then is lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// # Errors
/// Whatever ended it; also when something accepted was not delivered.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        for (size, deaf) in [(200, false), (16 * 1024, false), (16 * 1024, true)] {
            findings.extend(flood(plan, size, deaf).await?);
        }
        Ok(findings)
    })
}

async fn flood(plan: &Plan, size: usize, deaf: bool) -> Result<Vec<Finding>> {
    let (devices, rounds) = (plan.size(2_000, 12), plan.size(3, 1));
    let watch = Duration::from_millis(plan.size(4_000, 300) as u64);
    let folder = plan.folder()?;
    let relay = RelayProcess::start(plan, folder.path()).await?;
    let town = Arc::new((0..devices).map(Device::new).collect::<Result<Vec<_>>>()?);
    let open = |n: usize| {
        let (town, address) = (Arc::clone(&town), relay.address);
        async move { Line::open(address, &town[n], true).await }
    };
    let mut lines: Vec<Line> = stream::iter(0..devices).map(open).buffered(AT_ONCE).try_collect().await?;
    let serial = Arc::new(AtomicU64::new(0));
    let [mut best, mut begun, mut goodput, mut per_cpu, mut refused] = [const { Series::empty() }; 5];
    let (mut accepts, mut refusals) = (Vec::new(), Vec::new());
    let [mut memory_at_best, mut memory] = [0; 2];
    for _ in 0..rounds {
        let mut peak: Option<Seen> = None;
        for senders in [plan.size(256, 4), plan.size(1_024, 8)] {
            let seen;
            let load = Load::new(Arc::clone(&town), size, &serial, Pace::Answered { senders });
            (lines, seen) = spell(load, lines, relay.id, watch / 2).await?;
            memory_at_best = memory_at_best.max(seen.memory);
            peak = peak.filter(|peak| peak.delivered > seen.delivered).or(Some(seen));
        }
        let peak = peak.ok_or("no best")?;
        let each = Duration::from_secs_f64(devices as f64 / (peak.delivered * TIMES));
        let seen;
        let load = Load::new(Arc::clone(&town), size, &serial, Pace::Clock { each, deaf });
        (lines, seen) = spell(load, lines, relay.id, watch).await?;
        memory = memory.max(seen.memory);
        best.push(peak.delivered);
        begun.push(seen.begun);
        goodput.push(seen.delivered);
        per_cpu.push((seen.delivered / seen.cpu) / (peak.delivered / peak.cpu));
        refused.push(seen.refused);
        accepts.extend(seen.accepts);
        refusals.extend(seen.refusals);
    }
    let who = if deaf { "not heard" } else { "heard" };
    let what = |what: &str| format!("{what}, {size} B, refusals {who}");
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    let of = |values: &[f64], part| Figure::once(quantile(values.to_vec(), part), "ms");
    let peak = best.figure("/s");
    let mut findings = vec![
        Finding::new(NAME, what("the best: accepted and delivered"), peak)
            .note(format!("{} devices", thousands(devices))),
        Finding::new(NAME, what("begun of three times as much"), begun.figure("/s")),
        Finding::new(NAME, what("accepted and delivered of it"), goodput.figure("/s"))
            .beside("the best", peak.value, goodput.ratio(&best))
            .goal(Of::Ratio, Bound::AtLeast, 0.8),
        Finding::new(NAME, what("for the same time of the relay's processors"), per_cpu.figure("× the best")),
        Finding::new(NAME, what("until a deposit is accepted, p50"), of(&accepts, 0.5)),
        Finding::new(NAME, what("until a deposit is accepted, p99"), of(&accepts, 0.99)),
        Finding::new(NAME, what("refused"), refused.figure("/s")),
        Finding::new(NAME, what("highest memory of the relay"), Figure::once(mib(memory), "MiB")).beside(
            "at its best",
            mib(memory_at_best),
            memory as f64 / memory_at_best as f64,
        ),
    ];
    if !refusals.is_empty() {
        let slowest = Finding::new(NAME, what("from its turn to a refusal, p99"), of(&refusals, 0.99));
        findings.push(Finding::new(NAME, what("from its turn to a refusal, p50"), of(&refusals, 0.5)));
        findings.push(if deaf { slowest } else { slowest.goal(Of::Figure, Bound::AtMost, 50.0) });
    }
    Ok(findings)
}

/// When a device begins a deposit.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// The first so many devices, whenever the one before was answered.
    Answered { senders: usize },
    /// All devices, so often each.
    Clock {
        each: Duration,
        /// One that is told when to come back begins the next at its time all the same.
        deaf: bool,
    },
}

/// One spell of work.
struct Load {
    town: Arc<Vec<Device>>,
    size: usize,
    pace: Pace,
    /// The number of the next message: no two of a run have the same uid.
    serial: Arc<AtomicU64>,
    begun: AtomicUsize,
    accepted: AtomicUsize,
    refused: AtomicUsize,
    delivered: AtomicUsize,
    phase: watch::Sender<Phase>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Sending,
    /// Nothing new is begun, and everything is waited for.
    Emptying,
    Over,
}

/// What was seen while it was looked at, by the second.
struct Seen {
    begun: f64,
    delivered: f64,
    refused: f64,
    /// Processor time of the relay.
    cpu: f64,
    /// The highest of the relay, in bytes.
    memory: u64,
    /// Milliseconds until the answer.
    accepts: Vec<f64>,
    /// Milliseconds until the answer, since the one before it on the same connection.
    refusals: Vec<f64>,
}

impl Load {
    fn new(town: Arc<Vec<Device>>, size: usize, serial: &Arc<AtomicU64>, pace: Pace) -> Arc<Self> {
        let [begun, accepted, refused, delivered] = [const { AtomicUsize::new(0) }; 4];
        let (serial, phase) = (Arc::clone(serial), watch::Sender::new(Phase::Sending));
        Arc::new(Self { town, size, pace, serial, begun, accepted, refused, delivered, phase })
    }

    fn deposit(&self, from: usize, dice: &mut Dice) -> Result<Request> {
        let mut to = dice.below(self.town.len());
        if to == from {
            to = (to + 1) % self.town.len();
        }
        let n = self.serial.fetch_add(1, Ordering::Relaxed);
        Ok(Request::Deposit { envelopes: vec![envelope(&self.town[from], &self.town[to], n, vec![7; self.size])?] })
    }

    fn counts(&self) -> [f64; 3] {
        [&self.begun, &self.delivered, &self.refused].map(|number| count(number) as f64)
    }

    /// Every question has its answer, and what was accepted has arrived.
    fn is_settled(&self) -> bool {
        let (accepted, refused) = (count(&self.accepted), count(&self.refused));
        count(&self.begun) == accepted + refused && count(&self.delivered) == accepted
    }
}

fn count(number: &AtomicUsize) -> usize {
    number.load(Ordering::Relaxed)
}

/// Lets everybody work, looks on for a while after the beginning, and waits until all that was accepted is delivered.
async fn spell(load: Arc<Load>, lines: Vec<Line>, relay: u32, watch: Duration) -> Result<(Vec<Line>, Seen)> {
    let tasks: Vec<_> =
        lines.into_iter().enumerate().map(|(n, line)| tokio::spawn(live(Arc::clone(&load), n, line))).collect();
    sleep(watch / 4).await;
    let (began, before, cpu) = (Instant::now(), load.counts(), meters::cpu_of_process(relay)?);
    let mut memory = meters::resident_bytes(relay)?;
    // On a disk that is slow for a moment, a short look sees nothing at all.
    let nothing_yet = || count(&load.delivered) as f64 <= before[1] && began.elapsed() < PATIENCE;
    while began.elapsed() < watch || nothing_yet() {
        sleep(watch / 100).await;
        memory = memory.max(meters::resident_bytes(relay)?);
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = (meters::cpu_of_process(relay)?.saturating_sub(cpu)).as_secs_f64() / seconds;
    let after = load.counts();
    let [begun, delivered, refused] = std::array::from_fn(|n| (after[n] - before[n]) / seconds);
    load.phase.send_replace(Phase::Emptying);
    // Devices whose task failed leave something unanswered; they say why below.
    let all = async {
        while !load.is_settled() && !tasks.iter().any(JoinHandle::is_finished) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let settled = timeout(PATIENCE, all).await.is_ok();
    load.phase.send_replace(Phase::Over);
    let mut seen = Seen { begun, delivered, refused, cpu, memory, accepts: Vec::new(), refusals: Vec::new() };
    let mut quiet = Vec::new();
    for task in tasks {
        let (device, accepts, refusals) = task.await??;
        seen.accepts.extend(accepts);
        seen.refusals.extend(refusals);
        quiet.push(device);
    }
    if !settled {
        return Err(format!("{} accepted, {} delivered", count(&load.accepted), count(&load.delivered)).into());
    }
    Ok((quiet, seen))
}

/// A device for one spell, and how long each of its deposits waited until it was accepted or refused.
async fn live(load: Arc<Load>, n: usize, mut line: Line) -> Result<(Line, Vec<f64>, Vec<f64>)> {
    let mut dice = Dice::new(load.serial.load(Ordering::Relaxed) + n as u64);
    let (mut accepts, mut refusals) = (Vec::new(), Vec::new());
    let mut phases = load.phase.subscribe();
    // Answers come in the order of their questions.
    let mut unanswered: VecDeque<Instant> = VecDeque::new();
    let mut answered_at = Instant::now();
    let mut not_before = Instant::now();
    let mut next_at = match load.pace {
        Pace::Answered { senders } if n >= senders => None,
        Pace::Answered { .. } => Some(Instant::now()),
        Pace::Clock { each, .. } => Some(Instant::now() + each.mul_f64(n as f64 / load.town.len() as f64)),
    };
    loop {
        let phase = *phases.borrow_and_update();
        if phase == Phase::Over {
            return Ok((line, accepts, refusals));
        }
        let begins = next_at.filter(|_| phase == Phase::Sending);
        let reply = tokio::select! {
            reply = line.next() => reply?,
            _ = phases.changed() => continue,
            () = sleep_until(begins.unwrap_or_else(Instant::now)), if begins.is_some() => {
                next_at = match load.pace {
                    Pace::Answered { .. } => None,
                    Pace::Clock { each, .. } => begins.map(|at| at + each),
                };
                // What a device may not send yet it keeps to itself; here it is forgotten.
                if unanswered.len() < IN_FLIGHT_MAX && Instant::now() >= not_before {
                    unanswered.push_back(Instant::now());
                    load.begun.fetch_add(1, Ordering::Relaxed);
                    line.tell(load.deposit(n, &mut dice)?).await?;
                }
                continue;
            }
        };
        let (mut waited, mut turn) = (Duration::ZERO, Duration::ZERO);
        if let Reply::Deposited(_) | Reply::Refused(_) = &reply {
            let begun = unanswered.pop_front().ok_or("an answer to nothing")?;
            // A relay finishes one frame of a connection before it reads the next.
            (waited, turn) = (begun.elapsed(), begun.max(answered_at).elapsed());
            answered_at = Instant::now();
        }
        match reply {
            Reply::Deposited(outcomes) if outcomes.iter().all(|one| one.status == DepositStatus::Accepted) => {
                load.accepted.fetch_add(1, Ordering::Relaxed);
                accepts.push(waited.as_secs_f64() * 1e3);
                if matches!(load.pace, Pace::Answered { .. }) {
                    next_at = Some(Instant::now());
                }
            }
            Reply::Refused(refusal) if matches!(refusal.code, ErrorCode::Unavailable | ErrorCode::RateLimited) => {
                load.refused.fetch_add(1, Ordering::Relaxed);
                refusals.push(turn.as_secs_f64() * 1e3);
                let come_back_at = Instant::now() + Duration::from_millis(refusal.retry_after_ms);
                match load.pace {
                    Pace::Answered { .. } => next_at = Some(come_back_at),
                    Pace::Clock { deaf: false, .. } => not_before = come_back_at,
                    Pace::Clock { deaf: true, .. } => {}
                }
            }
            Reply::Delivery(items) => {
                load.delivered.fetch_add(items.len(), Ordering::Relaxed);
                line.tell(Request::Ack { upto_seq: items.last().map_or(0, |item| item.seq) }).await?;
            }
            other => return Err(format!("{other:?} in the middle of a spell").into()),
        }
    }
}
