//! Store messages: in bulk, one by one, and how large they are afterwards.

use std::time::Instant;

use crate::corpus::{self, Corpus, Said};
use crate::report::Figure;
use crate::series::{Series, middle};
use crate::{Bound, Finding, Of, Plan, Result, meters, obvious_schema, same_schema};

const NAME: &str = "commit";
const PLAIN: &str = "plain SQLite, same schema";
const OBVIOUS: &str = "SQLCipher defaults, obvious schema";

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let (chats, messages) = (plan.size(1_000, 10), plan.size(100_000, 200));
    let (rounds, ones) = (plan.size(15, 2), plan.size(200, 5));
    let batch = plan.size(same_schema::BATCH, 100);
    let folder = plan.folder()?;
    let mut encrypted = same_schema::Store::encrypted(folder.path())?;
    let mut plain = same_schema::Store::plain(folder.path())?;
    let mut obvious = obvious_schema::Store::new(folder.path())?;
    let people = corpus::chats(comptoir_content::AccountId([1; 20]), chats);
    encrypted.add_chats(&people)?;
    plain.add_chats(&people)?;
    obvious.add_chats(&people)?;
    // What comes after the bulk is committed one by one, twice in every round.
    let all: Vec<_> = Corpus::new(chats, messages + 2 * rounds * ones).collect();
    let (bulk, single) = all.split_at(messages);

    let [mut bulk_ours, mut bulk_plain, mut bulk_obvious] = [const { Series::empty() }; 3];
    for batch in bulk.chunks(batch) {
        let per_message = |cpu: f64| cpu / batch.len() as f64;
        bulk_ours.push(per_message(meters::cpu_micros(|| encrypted.add(&people, batch))?));
        bulk_plain.push(per_message(meters::cpu_micros(|| plain.add(&people, batch))?));
        bulk_obvious.push(per_message(meters::cpu_micros(|| obvious.add(&people, batch))?));
    }
    let mut sizes = Vec::new();
    for (db, path) in [(&encrypted.db, &encrypted.path), (&plain.db, &plain.path), (&obvious.db, &obvious.path)] {
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        sizes.push(std::fs::metadata(path)?.len() as f64 / messages as f64);
    }

    let [mut cpu_ours, mut cpu_plain, mut cpu_obvious] = [const { Series::empty() }; 3];
    let [mut wall_ours, mut wall_plain, mut wall_obvious] = [const { Series::empty() }; 3];
    let [mut disk_ours, mut disk_plain, mut disk_obvious] = [const { Series::empty() }; 3];
    let mut single = single.chunks(ones);
    for _ in 0..rounds {
        for (synchronous, to_disk) in [("NORMAL", false), ("FULL", true)] {
            let batch = single.next().ok_or("too few messages")?;
            for db in [&encrypted.db, &plain.db, &obvious.db] {
                db.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
            }
            let ours = one_by_one(batch, |said| encrypted.add_one(&people, said))?;
            let plain = one_by_one(batch, |said| plain.add_one(&people, said))?;
            let obvious = one_by_one(batch, |said| obvious.add(&people, std::slice::from_ref(said)))?;
            for ((used, median), cpu, wall, disk) in [
                (ours, &mut cpu_ours, &mut wall_ours, &mut disk_ours),
                (plain, &mut cpu_plain, &mut wall_plain, &mut disk_plain),
                (obvious, &mut cpu_obvious, &mut wall_obvious, &mut disk_obvious),
            ] {
                if to_disk {
                    disk.push(median);
                } else {
                    cpu.push(used);
                    wall.push(median);
                }
            }
        }
    }

    let rows: i64 = encrypted.db.query_row("SELECT count(*) FROM message", [], |row| row.get(0))?;
    crate::opening::expect(usize::try_from(rows)?, all.len())?;
    let beside = |what: &str, ours: &Series, peer, peers: &Series| {
        Finding::new(NAME, what, ours.figure("µs")).beside(peer, peers.figure("").value, ours.ratio(peers))
    };
    let bulk = "in bulk with its index, CPU per message";
    let (cpu, wall) = ("one message, CPU", "one message, without waiting for the disk");
    let disk = "one message, on the disk";
    Ok(vec![
        beside(bulk, &bulk_ours, PLAIN, &bulk_plain).goal(Of::Ratio, Bound::AtMost, 1.6),
        beside(bulk, &bulk_ours, OBVIOUS, &bulk_obvious),
        beside(cpu, &cpu_ours, PLAIN, &cpu_plain).goal(Of::Ratio, Bound::AtMost, 2.1),
        beside(cpu, &cpu_ours, OBVIOUS, &cpu_obvious),
        beside(wall, &wall_ours, PLAIN, &wall_plain),
        beside(wall, &wall_ours, OBVIOUS, &wall_obvious).goal(Of::Ratio, Bound::AtMost, 0.5),
        beside(disk, &disk_ours, PLAIN, &disk_plain),
        beside(disk, &disk_ours, OBVIOUS, &disk_obvious),
        Finding::new(NAME, "size of a message, with its index", Figure::once(sizes[0], "B"))
            .beside(PLAIN, sizes[1], sizes[0] / sizes[1])
            .goal(Of::Ratio, Bound::AtMost, 1.06),
    ])
}

/// Commits messages one by one. Microseconds: CPU each, and the middle one of the wall's clock.
fn one_by_one(batch: &[Said], mut commit: impl FnMut(&Said) -> Result<()>) -> Result<(f64, f64)> {
    let mut walls = Vec::with_capacity(batch.len());
    let cpu = meters::cpu_micros(|| {
        for said in batch {
            let began = Instant::now();
            commit(said)?;
            walls.push(meters::micros(began.elapsed()));
        }
        Ok(())
    })?;
    Ok((cpu / batch.len() as f64, middle(walls)))
}
