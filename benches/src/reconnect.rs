//! Everybody comes back at once: the relay is killed and started again, and each of its devices dials at that moment.
//!
//! A device that is turned away waits as the client's link does, and dials again. It is served when its mailbox is open, what
//! waited there has come and is acknowledged. Those who are back already write to themselves meanwhile, so that it can be
//! seen whether the crowd at the door keeps the guests inside waiting.

use std::sync::Arc;
use std::time::Duration;

use comptoir_wire::{DepositStatus, Reply, Request};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::line::{Device, Line, envelope};
use crate::opening::expect;
use crate::relay_process::RelayProcess;
use crate::report::{Figure, thousands};
use crate::series::quantile;
use crate::{Bound, Finding, Of, Plan, Result, meters, phone};

const NAME: &str = "reconnect";
/// Connections that are made side by side before the relay is killed.
const AT_ONCE: usize = 64;
/// Devices that write while the others come.
const WRITERS: usize = 32;
const WRITE_EVERY: Duration = Duration::from_millis(50);
const PER_FRAME: usize = 64;
const PATIENCE: Duration = Duration::from_secs(120);

/// # Errors
/// Whatever ended it; also when somebody was not served at all.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let count = plan.size(5_000, 40);
    phone::runtime()?.block_on(async {
        let folder = plan.folder()?;
        let relay = RelayProcess::start(plan, folder.path()).await?;
        let town = Arc::new((0..count).map(Device::new).collect::<Result<Vec<_>>>()?);
        let open = |n: usize| {
            let (town, address) = (Arc::clone(&town), relay.address);
            async move { Line::open(address, &town[n], true).await }
        };
        let mut lines: Vec<Line> = stream::iter(0..count).map(open).buffered(AT_ONCE).try_collect().await?;
        let at_rest = meters::resident_bytes(relay.id)?;
        say_something_to_all(&town, &mut lines[0]).await?;
        relay.kill().await?;
        drop(lines);

        let relay = RelayProcess::start(plan, folder.path()).await?;
        let back = watch::Sender::new(0);
        let began = Instant::now();
        let tasks: Vec<_> = (0..count)
            .map(|n| tokio::spawn(come_back(relay.address, Arc::clone(&town), n, began, back.clone())))
            .collect();
        let mut highest = 0;
        let look_on = async {
            while *back.borrow() < count {
                highest = highest.max(meters::resident_bytes(relay.id)?);
                sleep(Duration::from_millis(20)).await;
            }
            Result::Ok(())
        };
        timeout(PATIENCE, look_on).await.map_err(|_| format!("{} of {count} came back", *back.borrow()))??;
        let (mut served, mut dials, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for task in tasks {
            let visitor = task.await??;
            served.push(visitor.served_after.as_secs_f64() * 1e3);
            dials.push(f64::from(visitor.dials));
            answers.extend(visitor.answers);
        }
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        let of = |values: &[f64], part, unit| Figure::once(quantile(values.to_vec(), part), unit);
        Ok(vec![
            Finding::new(NAME, "back and served: half of them", of(&served, 0.5, "ms"))
                .note(format!("{} devices", thousands(count))),
            Finding::new(NAME, "back and served: all of them", of(&served, 1.0, "ms")).goal(
                Of::Figure,
                Bound::AtMost,
                10_000.0,
            ),
            Finding::new(NAME, "dials of a device, middle", of(&dials, 0.5, "")),
            Finding::new(NAME, "dials of a device, most", of(&dials, 1.0, "")),
            Finding::new(NAME, "a deposit of one who is back, p50", of(&answers, 0.5, "ms")),
            Finding::new(NAME, "a deposit of one who is back, p99", of(&answers, 0.99, "ms")),
            Finding::new(NAME, "highest memory of the relay", Figure::once(mib(highest), "MiB")).beside(
                "before, with all of them",
                mib(at_rest),
                highest as f64 / at_rest as f64,
            ),
        ])
    })
}

/// Leaves an envelope in every mailbox. Nobody acknowledges it before the relay is killed.
async fn say_something_to_all(town: &[Device], line: &mut Line) -> Result<()> {
    for (number, some) in town.chunks(PER_FRAME).enumerate() {
        let envelopes =
            some.iter().map(|to| envelope(&town[0], to, number as u64, vec![7; 200])).collect::<Result<_>>()?;
        line.tell(Request::Deposit { envelopes }).await?;
        accepted(line, some.len()).await?;
    }
    Ok(())
}

/// Waits until a deposit of so many envelopes was accepted, and says what came besides.
async fn accepted(line: &mut Line, count: usize) -> Result<()> {
    loop {
        match line.next().await? {
            Reply::Deposited(outcomes) => {
                let accepted = outcomes.iter().filter(|one| one.status == DepositStatus::Accepted);
                return expect(accepted.count(), count);
            }
            Reply::Delivery(_) => {}
            other => return Err(format!("{other:?} instead of an answer").into()),
        }
    }
}

/// What became of a device.
struct Visitor {
    served_after: Duration,
    dials: u32,
    /// Milliseconds until each of its own deposits was accepted.
    answers: Vec<f64>,
}

async fn come_back(
    address: std::net::SocketAddr,
    town: Arc<Vec<Device>>,
    n: usize,
    began: Instant,
    back: watch::Sender<usize>,
) -> Result<Visitor> {
    let mut dials = 1;
    let (mut line, waited) = loop {
        if let Ok(arrived) = Line::arrive(address, &town[n], false).await {
            break arrived;
        }
        sleep(back_off(dials - 1)).await;
        dials += 1;
    };
    expect(waited.len(), 1)?;
    line.tell(Request::Ack { upto_seq: waited[0].seq }).await?;
    let served_after = began.elapsed();
    back.send_modify(|back| *back += 1);
    let mut all_back = back.subscribe();
    let (mut answers, mut number) = (Vec::new(), 1_000_000);
    while n < WRITERS && *all_back.borrow_and_update() < town.len() {
        let asked = Instant::now();
        line.tell(Request::Deposit { envelopes: vec![envelope(&town[n], &town[n], number, vec![7; 200])?] }).await?;
        accepted(&mut line, 1).await?;
        answers.push(asked.elapsed().as_secs_f64() * 1e3);
        number += 1;
        sleep(WRITE_EVERY).await;
    }
    // Nobody leaves before everybody was there.
    all_back.wait_for(|back| *back == town.len()).await?;
    Ok(Visitor { served_after, dials, answers })
}

/// As long as the client's link waits after so many failures.
fn back_off(failures: u32) -> Duration {
    Duration::from_millis(200).saturating_mul(1 << failures.min(9)).min(Duration::from_secs(60))
}
