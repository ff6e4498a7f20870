//! The whole relay over real sockets: a deposit is accepted when it is on the disk, delivered, acknowledged, forgotten.
//!
//! Every device has a WebSocket. Some of them send, each with one deposit on its way at a time, to devices picked at
//! random. Both ends share this machine's cores, so what the relay uses of them is told too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use comptoir_wire::{DepositStatus, Reply, Request};
use tokio::sync::watch;

use crate::corpus::Dice;
use crate::line::{Device, Line, envelope};
use crate::relay_process::RelayProcess;
use crate::report::thousands;
use crate::series::{Series, quantile};
use crate::{Finding, Plan, Result, meters};

const NAME: &str = "sockets";
/// What is used of a machine that takes longer than this is not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(120);

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let (devices, senders) = (plan.size(1_000, 8), plan.size(256, 4));
    let (rounds, messages) = (plan.size(5, 2), plan.size(15_000, 40));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let folder = plan.folder()?;
        let relay = RelayProcess::start(plan, folder.path()).await?;
        let town = Arc::new((0..devices).map(Device::new).collect::<Result<Vec<_>>>()?);
        let mut lines = Vec::with_capacity(devices);
        for device in town.iter() {
            lines.push(Line::open(relay.address, device, true).await?);
        }
        let mut findings = Vec::new();
        let mut sent = 0;
        for size in [200, 2048] {
            let [mut rate, mut median, mut slowest, mut cpu] = [const { Series::empty() }; 4];
            for _ in 0..rounds {
                let load = Arc::new(Load {
                    town: town.clone(),
                    began: Instant::now(),
                    size,
                    messages,
                    first: sent,
                    begun: AtomicUsize::new(0),
                    delivered: AtomicUsize::new(0),
                    done: watch::Sender::new(false),
                });
                sent += messages;
                let before = meters::cpu_of_process(relay.id)?;
                let (latencies, seconds);
                (lines, latencies, seconds) = storm(&load, lines, senders).await?;
                let used = meters::cpu_of_process(relay.id)?.saturating_sub(before);
                crate::opening::expect(latencies.len(), messages)?;
                rate.push(messages as f64 / seconds);
                cpu.push(meters::micros(used) / messages as f64);
                median.push(quantile(latencies.clone(), 0.5));
                slowest.push(quantile(latencies, 0.99));
            }
            let what = |what: &str| format!("{what}, {size} B");
            findings.extend([
                Finding::new(NAME, what("accepted, delivered, acknowledged"), rate.figure("/s"))
                    .note(format!("{} devices, {senders} deposits at a time", thousands(devices))),
                Finding::new(NAME, what("from deposit to delivery, p50"), median.figure("ms")),
                Finding::new(NAME, what("from deposit to delivery, p99"), slowest.figure("ms")),
                Finding::new(NAME, what("CPU of the relay per message"), cpu.figure("µs")),
            ]);
        }
        Ok(findings)
    })
}

/// One round: so many messages of this size.
struct Load {
    town: Arc<Vec<Device>>,
    began: Instant,
    size: usize,
    messages: usize,
    /// The number of the first message: no two of a run have the same uid.
    first: usize,
    begun: AtomicUsize,
    delivered: AtomicUsize,
    done: watch::Sender<bool>,
}

impl Load {
    /// The next deposit, if there is one more to make. It carries the time.
    fn deposit(&self, from: usize, dice: &mut Dice) -> Result<Option<Request>> {
        let n = self.begun.fetch_add(1, Ordering::Relaxed);
        if n >= self.messages {
            return Ok(None);
        }
        let mut to = dice.below(self.town.len());
        if to == from {
            to = (to + 1) % self.town.len();
        }
        let mut sealed = vec![0; self.size];
        sealed[..8].copy_from_slice(&u64::try_from(self.began.elapsed().as_nanos())?.to_be_bytes());
        let n = u64::try_from(self.first + n)?;
        Ok(Some(Request::Deposit { envelopes: vec![envelope(&self.town[from], &self.town[to], n, sealed)?] }))
    }
}

/// Milliseconds from deposit to delivery of every message, and how long all of them took in seconds.
async fn storm(load: &Arc<Load>, lines: Vec<Line>, senders: usize) -> Result<(Vec<Line>, Vec<f64>, f64)> {
    let began = Instant::now();
    let tasks: Vec<_> =
        lines.into_iter().enumerate().map(|(n, line)| tokio::spawn(live(load.clone(), n, line, n < senders))).collect();
    let mut done = load.done.subscribe();
    let all = tokio::time::timeout(PATIENCE, done.wait_for(|done| *done)).await;
    let seconds = began.elapsed().as_secs_f64();
    if all.is_err() {
        // Somebody failed, and says why below; or the relay lost something, and then nobody does.
        load.done.send_replace(true);
    }
    let (mut lines, mut latencies) = (Vec::new(), Vec::new());
    for task in tasks {
        let (line, heard) = task.await??;
        lines.push(line);
        latencies.extend(heard);
    }
    Ok((lines, latencies, seconds))
}

/// A device for one round.
async fn live(load: Arc<Load>, n: usize, mut line: Line, sends: bool) -> Result<(Line, Vec<f64>)> {
    let mut dice = Dice::new(u64::try_from(load.first + n)?);
    let mut done = load.done.subscribe();
    let (mut heard, mut waiting) = (Vec::new(), false);
    if sends && let Some(deposit) = load.deposit(n, &mut dice)? {
        line.tell(deposit).await?;
        waiting = true;
    }
    loop {
        let reply = tokio::select! {
            reply = line.next() => reply?,
            // Its own deposit may have been delivered before it was told so.
            _ = done.wait_for(|done| *done), if !waiting => return Ok((line, heard)),
        };
        match reply {
            Reply::Deposited(outcomes) if outcomes.iter().all(|one| one.status == DepositStatus::Accepted) => {
                let next = load.deposit(n, &mut dice)?;
                waiting = next.is_some();
                if let Some(deposit) = next {
                    line.tell(deposit).await?;
                }
            }
            Reply::Delivery(items) => {
                let now = load.began.elapsed();
                for item in &items {
                    let sent = item.envelope.sealed.first_chunk().ok_or("a short envelope")?;
                    heard.push((now - Duration::from_nanos(u64::from_be_bytes(*sent))).as_secs_f64() * 1e3);
                }
                let upto_seq = items.last().map_or(0, |item| item.seq);
                line.tell(Request::Ack { upto_seq }).await?;
                if load.delivered.fetch_add(items.len(), Ordering::Relaxed) + items.len() == load.messages {
                    load.done.send_replace(true);
                }
            }
            other => return Err(format!("{other:?} in the middle of a round").into()),
        }
    }
}
