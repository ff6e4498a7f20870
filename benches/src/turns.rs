//! A message sent, and messages received in batches of 50: processor time of the one writer, through a real relay.
//!
//! Both people live in this process and the relay in another one. What a turn costs is read from the clock of the
//! writer's own thread, so that neither the link nor whoever waits is counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use comptoir_client::{Client, Connection, Place};

use crate::corpus::{self, Corpus};
use crate::meters::{ThreadId, cpu_of_thread, threads_named};
use crate::relay_process::RelayProcess;
use crate::series::{Series, middle};
use crate::{Bound, Finding, Of, Plan, Result, meters, phone, same_schema};

const NAME: &str = "turns";
/// What the goals are about: a text of 1 KiB.
const TEXT_BYTES: usize = 1024;

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let (rounds, count) = (plan.size(9, 2), plan.size(500, 60));
    phone::runtime()?.block_on(async {
        let folder = plan.folder()?;
        let relay = RelayProcess::start(plan, &folder.path().join("relay")).await?;
        let (alice, alices) = arrives(folder.path(), "alice", &relay).await?;
        let (bob, bobs) = arrives(folder.path(), "bob", &relay).await?;
        phone::sync(&bob).await?;
        let chat = alice.add_contact(&bob.identity()?.ok_or("no account")?.link).await?;
        alice.send_text(chat, "Bonjour Bob", None).await?;
        phone::sees(&bob, chat, |bob| bob.page(chat, Place::Newest, 9).is_ok_and(|page| page.bubbles.len() == 1))
            .await?;
        bob.send_text(chat, "Bonjour Alice", None).await?;
        phone::sees(&alice, chat, |alice| alice.page(chat, Place::Newest, 9).is_ok_and(|page| page.bubbles.len() == 2))
            .await?;

        // What a bare row costs on the same disk.
        let mut plain = same_schema::Store::plain(folder.path())?;
        let people = corpus::chats(comptoir_content::AccountId([1; 20]), 1);
        plain.add_chats(&people)?;
        let text = "x".repeat(TEXT_BYTES);
        let mut rows: Vec<_> = Corpus::new(1, rounds * count).collect();
        for said in &mut rows {
            said.text.clone_from(&text);
            said.content = [&*text, &*text].concat().into_bytes();
        }

        let [mut send, mut send_wall, mut bare, mut bare_wall] = [const { Series::empty() }; 4];
        let [mut through, mut receive, mut live] = [const { Series::empty() }; 3];
        let mut received = 1;
        for round in 0..rounds {
            // Alice is offline: a tap is the turn and nothing else.
            away(&alice).await?;
            away(&bob).await?;
            let (mut walls, mut bare_walls) = (Vec::new(), Vec::new());
            let before = cpu_at_rest(alices)?;
            for _ in 0..count {
                let began = Instant::now();
                alice.send_text(chat, &text, None).await?;
                walls.push(meters::micros(began.elapsed()));
            }
            let sent = cpu_at_rest(alices)?;
            send.push(each(sent - before, count));
            send_wall.push(middle(walls));
            let cpu = meters::cpu_micros(|| {
                for said in &rows[round * count..(round + 1) * count] {
                    let began = Instant::now();
                    plain.add_one(&people, said)?;
                    bare_walls.push(meters::micros(began.elapsed()));
                }
                Ok(())
            })?;
            bare.push(cpu / count as f64);
            bare_wall.push(middle(bare_walls));
            // The relay takes it all.
            phone::sync(&alice).await?;
            through.push(each(cpu_at_rest(alices)? - sent, count));
            // Bob comes back to a full mailbox, and the relay hands it out in fifties.
            let before = cpu_at_rest(bobs)?;
            phone::sync(&bob).await?;
            received += count;
            has_received(&bob, received)?;
            receive.push(each(cpu_at_rest(bobs)? - before, count));
            // Both are there: one message at a time.
            phone::sync(&alice).await?;
            let before = cpu_at_rest(bobs)?;
            let few = (count / 10).max(1);
            for _ in 0..few {
                alice.send_text(chat, &text, None).await?;
                received += 1;
                phone::sees(&bob, chat, |bob| has_received(bob, received).is_ok()).await?;
            }
            phone::sync(&bob).await?;
            live.push(each(cpu_at_rest(bobs)? - before, few));
        }
        alice.shutdown()?;
        bob.shutdown()?;
        let row = "plain SQLite, one bare row";
        let peer = |series: &Series| series.figure("").value;
        Ok(vec![
            Finding::new(NAME, "send 1 KiB: seal and store, CPU", send.figure("µs"))
                .beside(row, peer(&bare), send.ratio(&bare))
                .goal(Of::Figure, Bound::AtMost, 150.0),
            Finding::new(NAME, "the same, from the tap until it is on the disk", send_wall.figure("µs")).beside(
                row,
                peer(&bare_wall),
                send_wall.ratio(&bare_wall),
            ),
            Finding::new(NAME, "hand it to the relay and take the answer, CPU", through.figure("µs")),
            Finding::new(NAME, "receive 1 KiB in batches of 50, CPU each", receive.figure("µs"))
                .beside(row, peer(&bare), receive.ratio(&bare))
                .goal(Of::Figure, Bound::AtMost, 80.0),
            Finding::new(NAME, "receive 1 KiB one at a time, with its mark back, CPU", live.figure("µs")),
        ])
    })
}

/// A new person, and the thread on which their turns run.
async fn arrives(dir: &std::path::Path, name: &str, relay: &RelayProcess) -> Result<(Arc<Client>, ThreadId)> {
    let before = threads_named(phone::WRITER)?;
    let client = phone::open(&dir.join(name))?;
    // A thread that has answered has its name.
    client.create_account(&relay.url()).await?;
    let writer = threads_named(phone::WRITER)?.into_iter().find(|thread| !before.contains(thread));
    Ok((client, writer.ok_or("a client without a writer")?))
}

async fn away(client: &Client) -> Result<()> {
    phone::sync(client).await?;
    client.disconnect()?;
    phone::until(client, "offline", |status| status.connection == Connection::Offline).await
}

/// What Bob's list says is unread: all that ever came.
fn has_received(client: &Client, count: usize) -> Result<()> {
    let unread = client.chats(None, 1)?.rows.first().map_or(0, |row| row.unread);
    crate::opening::expect(unread as usize, count)
}

/// The thread's clock is exact only while it sleeps: it gets the moment that it needs to fall asleep.
fn cpu_at_rest(thread: ThreadId) -> Result<Duration> {
    std::thread::sleep(Duration::from_millis(20));
    cpu_of_thread(thread)
}

fn each(cpu: Duration, count: usize) -> f64 {
    meters::micros(cpu) / count as f64
}
