//! Open a store of 1,000 chats and list the first of them: what a person waits for after a tap on the icon.

use std::time::Instant;

use comptoir_sqlcipher::Access;

use crate::corpus::{self, Corpus};
use crate::phone::{self, Phone};
use crate::report::thousands;
use crate::series::{Series, middle};
use crate::{Bound, Finding, Of, Plan, Result, meters, obvious_schema, same_schema};

const NAME: &str = "opening";
const SHOWN: u32 = 20;

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let (chats, messages) = (plan.size(1_000, 30), plan.size(10_000, 60));
    let (rounds, times) = (plan.size(30, 2), plan.size(200, 3));
    let runtime = phone::runtime()?;
    let phone = runtime.block_on(Phone::filled(plan, chats, messages))?;
    let dir = phone.folder.path().join("phone");
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
    let with_passphrase = folder.path().join("passphrase.db");
    obvious_schema::open_with_passphrase(&with_passphrase)?.execute_batch("CREATE TABLE note (text TEXT)")?;

    let (mut listed, mut bare_encrypted, mut bare_plain) = (Series::default(), Series::default(), Series::default());
    let shown = chats.min(SHOWN as usize);
    for _ in 0..rounds {
        let list = || expect(phone.client.chats(None, SHOWN)?.rows.len(), shown);
        listed.push(median_micros(times, list)?);
        for (store, series) in [(&encrypted, &mut bare_encrypted), (&plain, &mut bare_plain)] {
            let db = store.open(Access::Read)?;
            series.push(median_micros(times, || expect(same_schema::list(&db, SHOWN)?, shown))?);
        }
    }
    phone.client.shutdown()?;

    let [mut whole, mut bare, mut beside, mut passphrase] = [const { Series::empty() }; 4];
    for _ in 0..rounds {
        let began = Instant::now();
        let client = phone::open(&dir)?;
        expect(client.chats(None, SHOWN)?.rows.len(), shown)?;
        whole.push(began.elapsed().as_secs_f64() * 1e3);
        client.shutdown()?;
        for (store, series) in [(&encrypted, &mut bare), (&plain, &mut beside)] {
            let began = Instant::now();
            let writer = store.open(Access::Write)?;
            expect(same_schema::list(&store.open(Access::Read)?, SHOWN)?, shown)?;
            series.push(began.elapsed().as_secs_f64() * 1e3);
            drop(writer);
        }
        let began = Instant::now();
        let db = obvious_schema::open_with_passphrase(&with_passphrase)?;
        db.query_row("SELECT count(*) FROM note", [], |_| Ok(()))?;
        passphrase.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let opened = bare.figure("ms");
    let peer = |series: &Series| series.figure("").value;
    Ok(vec![
        Finding::new(NAME, format!("open and list {SHOWN} of {} chats, façade", thousands(chats)), whole.figure("ms"))
            .goal(Of::Figure, Bound::AtMost, 50.0),
        Finding::new(NAME, "the same, SQL alone", opened).beside(
            "plain SQLite, same schema",
            peer(&beside),
            bare.ratio(&beside),
        ),
        Finding::new(NAME, "the same, SQL alone", opened).beside(
            "SQLCipher with a passphrase, empty",
            peer(&passphrase),
            bare.ratio(&passphrase),
        ),
        Finding::new(NAME, format!("list {SHOWN} of {} chats, façade", thousands(chats)), listed.figure("µs")).goal(
            Of::Figure,
            Bound::AtMost,
            100.0,
        ),
        Finding::new(NAME, "the same, SQL alone", bare_encrypted.figure("µs")).beside(
            "plain SQLite, same schema",
            peer(&bare_plain),
            bare_encrypted.ratio(&bare_plain),
        ),
    ])
}

/// The middle one of `times` times, in microseconds of the wall's clock.
pub(crate) fn median_micros(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        work()?;
        all.push(meters::micros(began.elapsed()));
    }
    Ok(middle(all))
}

/// A bench that found less than there is has measured nothing.
pub(crate) fn expect(found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(format!("{found} rows where {expected} were expected").into()) }
}
