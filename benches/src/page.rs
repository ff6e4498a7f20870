//! A page of 50 messages out of 100,000: what a person waits for after a tap on a chat.

use std::path::Path;
use std::time::Instant;

use comptoir_client::Place;
use comptoir_sqlcipher::Access;
use comptoir_sqlcipher::rusqlite::Connection;

use crate::corpus::{self, Corpus, Dice};
use crate::opening::{expect, median_micros};
use crate::phone::{self, Phone, aborted};
use crate::report::{Figure, thousands};
use crate::series::{Series, middle};
use crate::{Bound, Finding, Of, Plan, Result, meters, obvious_schema, same_schema};

const NAME: &str = "page";
const LIMIT: u32 = 50;
const LONG: usize = LIMIT as usize;
/// Bytes of a page of the database.
const PAGE_BYTES: u64 = 4096;

type ReadPage = fn(&Connection, usize, u32) -> Result<usize>;

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let (chats, messages) = (plan.size(1_000, 3), plan.size(100_000, 450));
    let (rounds, times, cold_times) = (plan.size(15, 2), plan.size(200, 3), plan.size(20, 2));
    let runtime = phone::runtime()?;
    let phone = runtime.block_on(Phone::filled(plan, chats, messages))?;
    let folder = plan.folder()?;
    let mut encrypted = same_schema::Store::encrypted(folder.path())?;
    let mut plain = same_schema::Store::plain(folder.path())?;
    let mut obvious = obvious_schema::Store::new(folder.path())?;
    let people = corpus::chats(comptoir_content::AccountId([1; 20]), chats);
    encrypted.add_chats(&people)?;
    plain.add_chats(&people)?;
    obvious.add_chats(&people)?;
    let all: Vec<_> = Corpus::new(chats, messages).collect();
    let mut per_chat = vec![0usize; chats];
    for said in &all {
        per_chat[said.chat] += 1;
    }
    for batch in all.chunks(same_schema::BATCH) {
        encrypted.add(&people, batch)?;
        plain.add(&people, batch)?;
        obvious.add(&people, batch)?;
    }
    let full: Vec<usize> = (0..chats).filter(|chat| per_chat[*chat] >= LONG).collect();
    let mut dice = Dice::new(4);
    let mut any = || full.get(dice.below(full.len())).copied().ok_or("no chat is long enough");

    // What people feel, and what the file has to give for it.
    let (mut façade, mut façade_pages) = (Series::default(), Vec::new());
    for _ in 0..rounds {
        façade.push(median_micros(times, || {
            expect(phone.client.page(phone.chats[any()?].uid, Place::Newest, LIMIT)?.bubbles.len(), LONG)
        })?);
        for _ in 0..cold_times {
            let chat = phone.chats[any()?].uid;
            // The schema is known by now; what was read of the file is forgotten.
            phone.client.view(|db| Ok(db.release_memory()?)).map_err(aborted)?;
            let before = meters::bytes_read()?;
            expect(phone.client.page(chat, Place::Newest, LIMIT)?.bubbles.len(), LONG)?;
            façade_pages.push(pages_since(before)?);
        }
    }

    // The statement alone, on three kinds of file.
    let readers: [(Connection, &Path, ReadPage); 3] = [
        (encrypted.open(Access::Read)?, &encrypted.path, same_schema::page),
        (plain.open(Access::Read)?, &plain.path, same_schema::page),
        (obvious.open()?, &obvious.path, obvious_schema::page),
    ];
    let [mut warm, mut unread, mut cold]: [[Series; 3]; 3] = Default::default();
    let mut pages: [Vec<f64>; 3] = Default::default();
    for round in 0..=rounds {
        for ((db, _, read), warm) in readers.iter().zip(&mut warm) {
            let median = median_micros(times, || expect(read(db, any()?, LIMIT)?, LONG))?;
            // The first round is for the caches.
            if round > 0 {
                warm.push(median);
            }
        }
    }
    let once = |(db, _, read): &(Connection, &Path, ReadPage), chat| {
        let began = Instant::now();
        expect(read(db, chat, LIMIT)?, LONG)?;
        Ok(meters::micros(began.elapsed()))
    };
    for _ in 0..rounds {
        for ((reader, unread), pages) in readers.iter().zip(&mut unread).zip(&mut pages) {
            unread.push(one_by_one(cold_times, || {
                reader.0.release_memory()?;
                let before = meters::bytes_read()?;
                let micros = once(reader, any()?)?;
                pages.push(pages_since(before)?);
                Ok(micros)
            })?);
        }
    }
    for _ in 0..rounds {
        for (reader, cold) in readers.iter().zip(&mut cold) {
            cold.push(one_by_one(cold_times, || {
                reader.0.release_memory()?;
                meters::forget_cached(reader.1)?;
                once(reader, any()?)
            })?);
        }
    }
    phone.client.shutdown()?;

    const PLAIN: &str = "plain SQLite, same schema";
    const OBVIOUS: &str = "SQLCipher defaults, obvious schema";
    let beside = |what: &str, all: &[Series; 3], other: usize| {
        let peer = if other == 1 { PLAIN } else { OBVIOUS };
        Finding::new(NAME, what, all[0].figure("µs")).beside(
            peer,
            all[other].figure("").value,
            all[0].ratio(&all[other]),
        )
    };
    let pages = pages.map(middle);
    let whole = format!("newest {LIMIT} of any chat, {} messages, façade", thousands(messages));
    let (known, unknown, nowhere) =
        ("SQL alone, any chat", "SQL alone, not in our cache", "SQL alone, in no cache at all");
    Ok(vec![
        Finding::new(NAME, whole, façade.figure("µs")).goal(Of::Figure, Bound::AtMost, 1_000.0),
        Finding::new(NAME, "pages of the file for it, façade", Figure::once(middle(façade_pages), "pages")).goal(
            Of::Figure,
            Bound::AtMost,
            8.0,
        ),
        Finding::new(NAME, "pages of the file for it, SQL alone", Figure::once(pages[0], "pages")).beside(
            OBVIOUS,
            pages[2],
            pages[0] / pages[2],
        ),
        beside(known, &warm, 1).goal(Of::Ratio, Bound::AtMost, 1.4),
        beside(known, &warm, 2).goal(Of::Ratio, Bound::AtMost, 0.1),
        beside(unknown, &unread, 1),
        beside(unknown, &unread, 2),
        beside(nowhere, &cold, 1),
        beside(nowhere, &cold, 2).goal(Of::Ratio, Bound::AtMost, 0.125),
    ])
}

/// Pages of a database that were read since so many bytes were.
fn pages_since(bytes_read: u64) -> Result<f64> {
    Ok(((meters::bytes_read()? - bytes_read) / PAGE_BYTES) as f64)
}

/// The middle one of what `work` measures.
fn one_by_one(times: usize, work: impl FnMut() -> Result<f64>) -> Result<f64> {
    Ok(middle(std::iter::repeat_with(work).take(times).collect::<Result<_>>()?))
}
