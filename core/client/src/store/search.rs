//! Full-text search. The index is written in the background; what is not in it yet is searched by looking at it.
//!
//! Words are prepared here, the same way when they are indexed and when they are looked for: NFKC, lower case, Arabic
//! folded (no tashkeel or tatweel, one alef, one ya), and runs of Han, Kana and Hangul cut into pairs of characters, so
//! that two characters in the middle of a run are found. The index holds no text.

use comptoir_sqlcipher::rusqlite::{Connection, params};
use unicode_normalization::UnicodeNormalization as _;

use crate::error::TurnError;

/// Messages that are indexed in one transaction.
const BATCH: u32 = 1000;
/// Messages that a search looks at besides the index.
const UNINDEXED_MAX: u32 = 2000;

/// Indexes the next messages, and says whether there are more.
pub(crate) fn index_pending(db: &Connection) -> Result<bool, TurnError> {
    let mut select = db.prepare_cached(
        "SELECT message.id, message.text FROM message_unindexed JOIN message USING (id) ORDER BY id LIMIT ?1",
    )?;
    let rows: Vec<(i64, String)> =
        select.query_map([BATCH], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (id, text) in &rows {
        db.prepare_cached("INSERT INTO message_search (rowid, body) VALUES (?1, ?2)")?
            .execute(params![id, segment(text)])?;
        db.prepare_cached("DELETE FROM message_unindexed WHERE id = ?1")?.execute([id])?;
    }
    Ok(rows.len() == BATCH as usize)
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
    let mut found: Vec<i64> = db
        .prepare_cached("SELECT rowid FROM message_search WHERE message_search MATCH ?1 ORDER BY rowid DESC LIMIT ?2")?
        .query_map(params![expression, limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut waiting = db.prepare_cached(
        "SELECT message.id, message.text FROM message_unindexed JOIN message USING (id) ORDER BY id DESC LIMIT ?1",
    )?;
    for row in waiting.query_map([UNINDEXED_MAX], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))? {
        let (id, text) = row?;
        let text = segment(&text);
        let mut tokens = text.split_whitespace();
        let (last, whole) = words.split_last().expect("checked above that there is one");
        let has_last = tokens.clone().any(|token| token.starts_with(last));
        if has_last && whole.iter().all(|word| tokens.any(|token| token == *word)) {
            found.push(id);
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    found.truncate(limit as usize);
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
    for c in text.nfkc().flat_map(char::to_lowercase).filter_map(fold_arabic) {
        if is_unspaced(c) {
            run.push(c);
        } else {
            flush(&mut run, &mut out);
            out.push(if c.is_alphanumeric() { c } else { ' ' });
        }
    }
    flush(&mut run, &mut out);
    out
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
        assert_eq!(words("Two Croissants, s'il vous plaît!"), ["two", "croissants", "s", "il", "vous", "plaît"]);
        assert_eq!(words("面包店"), ["面包", "包店"]);
        assert_eq!(words("茶 latte"), ["茶", "latte"]);
        assert_eq!(words("مُحَمَّد"), ["محمد"]);
        assert_eq!(words("إلى أحمد"), words("الي احمد"));
    }
}
