//! Full-text search. The index is written in the background; what is not in it yet is searched by looking at it.
//!
//! Words are prepared here, the same way when they are indexed and when they are looked for: compatibility forms and
//! accents folded, lower case, Arabic folded (no tashkeel or tatweel, one alef, one ya), and runs of Han, Kana and Hangul
//! cut into pairs of characters, so that two characters in the middle of a run are found. The index holds no text.

use std::collections::HashSet;

use comptoir_sqlcipher::rusqlite::{Connection, params};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::error::TurnError;

/// Messages that are indexed in one transaction. So many wait at most while others come in without a pause.
pub(crate) const INDEX_BATCH: i64 = 250;
/// Messages that a search looks at besides the index.
const UNINDEXED_MAX: u32 = 1000;

/// Indexes the next messages, and says whether there are more.
pub(crate) fn index_pending(db: &Connection) -> Result<bool, TurnError> {
    let mut select = db.prepare_cached(
        "SELECT n, message.text FROM searchable JOIN message ON message.id = searchable.message
         WHERE n > (SELECT indexed_upto FROM search_state) ORDER BY n LIMIT ?1",
    )?;
    let rows: Vec<(i64, String)> =
        select.query_map([INDEX_BATCH], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let Some(&(last, _)) = rows.last() else {
        return Ok(false);
    };
    for (n, text) in &rows {
        db.prepare_cached("INSERT INTO message_search (rowid, body) VALUES (?1, ?2)")?
            .execute(params![n, segment(text)])?;
    }
    db.prepare_cached("UPDATE search_state SET indexed_upto = ?1")?.execute([last])?;
    Ok(waiting(db)? > 0)
}

/// How many messages the index lacks.
pub(crate) fn waiting(db: &Connection) -> Result<i64, TurnError> {
    Ok(db
        .prepare_cached("SELECT ifnull((SELECT max(n) FROM searchable), 0) - indexed_upto FROM search_state")?
        .query_row([], |row| row.get(0))?)
}

/// The newest messages that hold all words of `query`, at most `limit`, as row ids.
pub(crate) fn search(db: &Connection, query: &str, limit: u32) -> Result<Vec<i64>, TurnError> {
    let segmented = segment(query);
    let words: Vec<&str> = segmented.split_whitespace().collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    // Every word in quotes: whatever people type is text, never query syntax. The last one may go on.
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
    let expression = format!("{}*", quoted.join(" "));
    // What waits for the index is newer than everything in it.
    let mut found: Vec<i64> = Vec::new();
    let mut waiting = db.prepare_cached(
        "SELECT message.id, message.text FROM searchable JOIN message ON message.id = searchable.message
         WHERE n > (SELECT indexed_upto FROM search_state) ORDER BY n DESC LIMIT ?1",
    )?;
    for row in waiting.query_map([UNINDEXED_MAX], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))? {
        let (id, text) = row?;
        let text = segment(&text);
        let tokens: HashSet<&str> = text.split_whitespace().collect();
        let (last, whole) = words.split_last().expect("checked above that there is one");
        let has_last = tokens.iter().any(|token| token.starts_with(last));
        if has_last && whole.iter().all(|word| tokens.contains(word)) {
            found.push(id);
        }
    }
    found.truncate(limit as usize);
    let left = limit as usize - found.len();
    let mut indexed = db.prepare_cached(
        "SELECT searchable.message FROM message_search JOIN searchable ON searchable.n = message_search.rowid
         WHERE message_search MATCH ?1 ORDER BY message_search.rowid DESC LIMIT ?2",
    )?;
    for id in indexed.query_map(params![expression, left as i64], |row| row.get(0))? {
        found.push(id?);
    }
    Ok(found)
}

fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut run: Vec<char> = Vec::new();
    let flush = |run: &mut Vec<char>, out: &mut String| {
        match run.as_slice() {
            [] => {}
            [one] => {
                out.push(' ');
                out.push(*one);
                out.push(' ');
            }
            many => {
                for pair in many.windows(2) {
                    out.push(' ');
                    out.extend(pair);
                    out.push(' ');
                }
            }
        }
        run.clear();
    };
    let plain = text.nfkd().filter(|c| !is_accent(*c)).nfc();
    for c in plain.flat_map(char::to_lowercase).filter_map(fold_arabic) {
        if is_unspaced(c) {
            run.push(c);
        } else {
            flush(&mut run, &mut out);
            out.push(if c.is_alphanumeric() || is_combining_mark(c) { c } else { ' ' });
        }
    }
    flush(&mut run, &mut out);
    out
}

/// Accents of the alphabets of Europe: a person looking for "cafe" means "café" too.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}')
}

/// Scripts that are written without spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}')
}

fn fold_arabic(c: char) -> Option<char> {
    match c {
        '\u{064B}'..='\u{065F}' | '\u{0670}' | '\u{0640}' => None,
        '\u{0622}' | '\u{0623}' | '\u{0625}' | '\u{0671}' => Some('\u{0627}'),
        '\u{0649}' => Some('\u{064A}'),
        '\u{0629}' => Some('\u{0647}'),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_prepared_for_every_script() {
        let words = |text: &str| segment(text).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words("Two Croissants, s'il vous plaît!"), ["two", "croissants", "s", "il", "vous", "plait"]);
        assert_eq!(words("İzmir Ψωμί хлебный"), ["izmir", "ψωμι", "хлебныи"]);
        assert_eq!(words("नमस्ते"), ["नमस्ते"]);
        assert_eq!(words("ﬁne ＣＡＦＥ"), ["fine", "cafe"]);
        assert_eq!(words("パン屋"), ["パン", "ン屋"]);
        assert_eq!(words("面包店"), ["面包", "包店"]);
        assert_eq!(words("茶 latte"), ["茶", "latte"]);
        assert_eq!(words("مُحَمَّد"), ["محمد"]);
        assert_eq!(words("إلى أحمد"), words("الي احمد"));
    }

    /// Whether a message is in the index already makes no difference to who looks for it.
    #[test]
    fn what_is_found_before_indexing_is_found_after_it() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("../../migrations/0001.sql")).unwrap();
        db.execute_batch(
            "INSERT INTO account (id, kind, relay, seen_at) VALUES (x'01', 'person', '', 0);
             INSERT INTO account (id, kind, relay, seen_at) VALUES (x'02', 'person', '', 0);
             INSERT INTO conversation (id, uid, peer) VALUES (1, x'01', x'01'), (2, x'02', x'02');",
        )
        .unwrap();
        let said = ["Le café est prêt", "今日は東京で会いましょう", "the corner café", "السَّلامُ عليكم", "नमस्ते दुनिया"];
        // In turns in two chats: the order of arrival counts, not the chat.
        let id = |n: usize| ((2 - n as i64 % 2) << 36) + n as i64;
        for (n, text) in said.iter().enumerate() {
            db.execute(
                "INSERT INTO message (id, uid, sender, mine, kind, state, sent_at, text, content)
                 VALUES (?1, ?2, x'01', 0, 'text', 'received', 0, ?3, x'')",
                params![id(n), [n as u8], text],
            )
            .unwrap();
        }
        let held = "INSERT INTO message (id, uid, sender, mine, kind, state, sent_at, text, content)
                    VALUES (99, x'99', x'01', 0, 'text', 'held', 0, 'croissant', x'')";
        db.execute(held, []).unwrap();
        let finds = |query: &str, limit| {
            let found = search(&db, query, limit).unwrap();
            found
                .into_iter()
                .map(|found| *said.iter().enumerate().find(|(n, _)| id(*n) == found).unwrap().1)
                .collect::<Vec<_>>()
        };
        let check = || {
            assert_eq!(finds("cafe", 10), [said[2], said[0]], "newest first, and without accents");
            assert_eq!(finds("café", 1), [said[2]]);
            assert_eq!(finds("CORN", 10), [said[2]], "the beginning of the last word");
            assert_eq!(finds("prêt le", 10), [said[0]], "in any order");
            assert_eq!(finds("corn café", 10), [""; 0], "only the last word may go on");
            assert_eq!(finds("東京", 10), [said[1]]);
            assert_eq!(finds("السلام", 10), [said[3]]);
            assert_eq!(finds("नमस्ते", 10), [said[4]]);
            assert_eq!(finds("croissant", 10), [""; 0], "what is held is not shown, and not found");
            assert_eq!(finds("\"caf* OR (the NEAR", 10), [""; 0], "words, and not a language");
            assert_eq!(finds("\"the* (caf", 10), [said[2]]);
            assert_eq!(finds("—", 10), [""; 0], "no word at all");
        };
        check();
        assert!(!index_pending(&db).unwrap(), "all of it is indexed");
        assert_eq!(waiting(&db).unwrap(), 0);
        check();
    }
}
