//! Find words in 100,000 messages.

use comptoir_sqlcipher::Access;

use crate::corpus::{self, COMMON, Corpus, HAN, RARE, RARE_MESSAGES};
use crate::opening::{expect, median_micros};
use crate::phone::{self, Phone, aborted};
use crate::report::thousands;
use crate::series::Series;
use crate::{Bound, Finding, Of, Plan, Result, same_schema};

const NAME: &str = "search";
const LIMIT: u32 = 50;
/// As many as wait for the index at most, however fast they come.
const WAITING: usize = 250;

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let (chats, messages) = (plan.size(1_000, 10), plan.size(100_000, 1_500));
    let (rounds, times) = (plan.size(15, 2), plan.size(40, 2));
    let waiting = plan.size(WAITING, 20);
    let runtime = phone::runtime()?;
    let phone = runtime.block_on(Phone::filled(plan, chats, messages))?;
    let folder = plan.folder()?;
    let mut encrypted = same_schema::Store::encrypted(folder.path())?;
    let mut plain = same_schema::Store::plain(folder.path())?;
    let people = corpus::chats(comptoir_content::AccountId([1; 20]), chats);
    let all: Vec<_> = Corpus::new(chats, messages).collect();
    for store in [&mut encrypted, &mut plain] {
        store.add_chats(&people)?;
        for batch in all.chunks(same_schema::BATCH) {
            store.add(&people, batch)?;
        }
    }
    let count = |word: &str| all.iter().filter(|said| said.text.contains(word)).count().min(LIMIT as usize);
    let (common, han) = (count(COMMON), count(HAN));
    let find = |word: &str, expected: usize| expect(phone.client.search(word, LIMIT)?.len(), expected);

    let [mut rare_all, mut common_all, mut han_all, mut behind] = [const { Series::empty() }; 4];
    let mut bare: [[Series; 2]; 3] = Default::default();
    let readers = [encrypted.open(Access::Read)?, plain.open(Access::Read)?];
    for _ in 0..rounds {
        rare_all.push(median_micros(times, || find(RARE, RARE_MESSAGES))?);
        common_all.push(median_micros(times, || find(COMMON, common))?);
        han_all.push(median_micros(times, || find(HAN, han))?);
        for ((word, expected), series) in
            [(RARE, RARE_MESSAGES), (COMMON, common), (HAN, han)].into_iter().zip(&mut bare)
        {
            let words = format!("\"{word}\"*");
            for (db, series) in readers.iter().zip(series) {
                series.push(median_micros(times, || expect(same_schema::search(db, &words, LIMIT)?, expected))?);
            }
        }
    }
    // Now messages have come faster than the index follows.
    let chats = phone.chats.clone();
    let late: Vec<_> = Corpus::new(chats.len(), messages + waiting).skip(messages).collect();
    runtime.block_on(phone.client.turn(move |tx| {
        for said in &late {
            same_schema::insert(tx.sql(), &chats, said).map_err(aborted)?;
        }
        Ok(())
    }))?;
    // Quicker than the two idle seconds after which the client would index them.
    for _ in 0..rounds.min(5) {
        behind.push(median_micros(times.min(10), || find(RARE, RARE_MESSAGES))?);
    }
    phone.client.shutdown()?;

    let beside =
        |what: String, [ours, plain]: &[Series; 2]| {
            let value = plain.figure("").value;
            Finding::new(NAME, what, ours.figure("µs"))
                .beside("plain SQLite, same schema", value, ours.ratio(plain))
                .goal(Of::Ratio, Bound::AtMost, 1.2)
        };
    Ok(vec![
        Finding::new(
            NAME,
            format!("a word in {RARE_MESSAGES} of {} messages, façade", thousands(messages)),
            rare_all.figure("µs"),
        )
        .goal(Of::Figure, Bound::AtMost, 5_000.0),
        Finding::new(
            NAME,
            format!("the same while {} more wait to be indexed", thousands(waiting)),
            behind.figure("µs"),
        )
        .goal(Of::Figure, Bound::AtMost, 5_000.0),
        Finding::new(NAME, format!("newest {common} with a common word, façade"), common_all.figure("µs")),
        Finding::new(NAME, format!("newest {han} with two Han characters inside a run, façade"), han_all.figure("µs")),
        beside("the rare word, SQL alone".to_owned(), &bare[0]),
        beside("the common word, SQL alone".to_owned(), &bare[1]),
        beside("the Han characters, SQL alone".to_owned(), &bare[2]),
    ])
}
