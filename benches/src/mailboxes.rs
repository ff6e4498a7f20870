//! The relay's store without its sockets: a message is deposited, fetched and acknowledged, both ends on the disk.
//!
//! With many at a time the writer commits whatever waits together. With one at a time the same code syncs the disk for
//! every deposit and every acknowledgement: that is what group commit saves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use comptoir_relay::{Created, RelayStore as _, Retention, Sender, SqliteStore};
use comptoir_wire::DepositStatus;

use crate::line::{Device, envelope};
use crate::redis::Redis;
use crate::series::Series;
use crate::{Bound, Finding, Of, Plan, Result, meters};

const NAME: &str = "mailboxes";
const REDIS: &str = "Redis, appendfsync always";
const NOW_MS: i64 = 1_800_000_000_000;
const RETENTION: Retention = Retention {
    messages_max: 10_000,
    bytes_max: 64 << 20,
    keep_ms: 30 * 86_400_000,
    key_packages_max: 100,
    devices_max: 8,
    knock_within_ms: 0,
};

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let (devices, at_once) = (plan.size(1_000, 8), plan.size(256, 4));
    let (rounds, many, few) = (plan.size(5, 2), plan.size(20_000, 40), plan.size(500, 5));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let folder = plan.folder()?;
        let ours = Arc::new(Ours::open(folder.path(), devices).await?);
        let redis = Redis::start(folder.path()).await;
        let redis = redis.map(Arc::new).map_err(|why| why.to_string());
        let mut findings = Vec::new();
        for size in [200, 2048] {
            let [mut grouped, mut single, mut peer, mut shared] = [const { Series::empty() }; 4];
            let [mut written, mut written_by_peer] = [const { Series::empty() }; 2];
            for _ in 0..rounds {
                let before = ours.store.health().await?;
                let bytes = meters::bytes_written(std::process::id())?;
                grouped.push(ours.rate(at_once, many, size).await?);
                written.push((meters::bytes_written(std::process::id())? - bytes) as f64 / many as f64);
                let after = ours.store.health().await?;
                shared.push((after.operations - before.operations) as f64 / (after.batches - before.batches) as f64);
                single.push(ours.rate(1, few, size).await?);
                if let Ok(redis) = &redis {
                    let bytes = meters::bytes_written(redis.id)?;
                    peer.push(rate_of_redis(redis, at_once, devices, many, size).await?);
                    written_by_peer.push((meters::bytes_written(redis.id)? - bytes) as f64 / many as f64);
                }
            }
            let what = format!("deposit, fetch, acknowledge {size} B, {at_once} at a time");
            let rate = grouped.figure("/s");
            findings.push(Finding::new(NAME, &*what, rate).beside(
                "itself, one at a time",
                single.figure("").value,
                grouped.ratio(&single),
            ));
            let sharing = format!("deposits and acknowledgements that share a sync, {size} B");
            findings.push(Finding::new(NAME, sharing, shared.figure("")));
            let written_each = format!("written to the disk for a message of {size} B");
            findings.extend(match &redis {
                Ok(_) => [
                    Finding::new(NAME, what, rate).beside(REDIS, peer.figure("").value, grouped.ratio(&peer)).goal(
                        Of::Ratio,
                        Bound::AtLeast,
                        2.0,
                    ),
                    Finding::new(NAME, written_each, written.figure("B")).beside(
                        REDIS,
                        written_by_peer.figure("").value,
                        written.ratio(&written_by_peer),
                    ),
                ],
                Err(why) => [
                    Finding::not_run(NAME, format!("{what}, beside Redis"), why.clone()),
                    Finding::new(NAME, written_each, written.figure("B")),
                ],
            });
        }
        if let Ok(ours) = Arc::try_unwrap(ours) {
            ours.store.close().await?;
        }
        Ok(findings)
    })
}

struct Ours {
    store: SqliteStore,
    devices: Vec<Device>,
    sent: AtomicU64,
}

impl Ours {
    async fn open(dir: &std::path::Path, devices: usize) -> Result<Self> {
        let store = SqliteStore::open(dir, RETENTION, NOW_MS)?;
        let devices = (0..devices).map(Device::new).collect::<Result<Vec<_>>>()?;
        for device in &devices {
            let account = comptoir_wire::AccountId(device.account()?.0);
            if store.create_account(account, device.new_account()?).await? != Created::Done {
                return Err("an account that is there already".into());
            }
        }
        Ok(Self { store, devices, sent: AtomicU64::new(0) })
    }

    /// Messages per second.
    async fn rate(self: &Arc<Self>, at_once: usize, messages: usize, size: usize) -> Result<f64> {
        let began = Instant::now();
        let workers = (0..at_once).map(|worker| {
            let ours = self.clone();
            tokio::spawn(async move {
                for n in (worker..messages).step_by(at_once) {
                    // Nobody else uses these devices.
                    let places = (ours.devices.len() - worker).div_ceil(at_once);
                    ours.pass_on(worker + (n / at_once) % places * at_once, size).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await??;
        }
        Ok(messages as f64 / began.elapsed().as_secs_f64())
    }

    async fn pass_on(&self, to: usize, size: usize) -> Result<()> {
        let (from, to) = (&self.devices[(to + 1) % self.devices.len()], &self.devices[to]);
        let envelope = envelope(from, to, self.sent.fetch_add(1, Ordering::Relaxed), vec![7; size])?;
        let sender = Sender { account: comptoir_wire::AccountId(from.account()?.0), device: from.device };
        let outcomes = self.store.deposit(sender, vec![envelope], NOW_MS).await?;
        if outcomes.first().map(|outcome| outcome.status) != Some(DepositStatus::Accepted) {
            return Err(format!("{outcomes:?}").into());
        }
        let items = self.store.fetch(to.device, 0, 50, 1 << 20).await?;
        let [item] = items.as_slice() else {
            return Err(format!("{} messages instead of one", items.len()).into());
        };
        Ok(self.store.ack(vec![(to.device, item.seq)]).await?)
    }
}

async fn rate_of_redis(
    redis: &Arc<Redis>,
    at_once: usize,
    devices: usize,
    messages: usize,
    size: usize,
) -> Result<f64> {
    let mut connections = Vec::with_capacity(at_once);
    for _ in 0..at_once {
        connections.push(redis.connect().await?);
    }
    let began = Instant::now();
    let workers = connections.into_iter().enumerate().map(|(worker, mut connection)| {
        tokio::spawn(async move {
            for n in (worker..messages).step_by(at_once) {
                let places = (devices - worker).div_ceil(at_once);
                connection.pass_on(worker + (n / at_once) % places * at_once, size).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await??;
    }
    Ok(messages as f64 / began.elapsed().as_secs_f64())
}
