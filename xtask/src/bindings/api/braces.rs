//! Reads languages that put blocks into braces, far enough to tell one declaration from the next. Written for generated
//! code: regular, if not pretty.

use std::iter::Peekable;
use std::str::Chars;

use super::Item;

/// Every statement, with what stands in its block. What is declared is for the caller to tell.
pub(super) fn items(source: &str) -> Vec<Item> {
    let bare = without_comments(source);
    block(&mut bare.chars().peekable())
}

/// What precedes a word that says what is declared: `public`, `@Throws(…)`.
pub(super) struct Preceding<'t> {
    pub(super) words: Vec<&'t str>,
    pub(super) rest: &'t str,
}

/// Splits a statement into the attributes and modifiers that it begins with, and the rest.
pub(super) fn preceding<'t>(line: &'t str, modifiers: &[&str]) -> Preceding<'t> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    loop {
        let end = if rest.starts_with('@') {
            attribute_end(rest)
        } else {
            let end = rest.find(|char: char| !char.is_alphanumeric()).unwrap_or(rest.len());
            if !modifiers.contains(&&rest[..end]) {
                return Preceding { words, rest };
            }
            end
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
}

/// The end of `@Name` or `@Name(…)`, which may be followed by something else at once.
fn attribute_end(text: &str) -> usize {
    let name = text[1..].find(|char: char| !char.is_alphanumeric() && !"_.:".contains(char));
    let name = name.map_or(text.len(), |end| end + 1);
    if text[name..].starts_with('(') { name + closing(&text[name..]) + 1 } else { name }
}

/// Where the bracket that a text begins with is closed.
pub(super) fn closing(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, char) in text.char_indices() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len().saturating_sub(1)
}

/// Splits at a character that stands in no bracket.
pub(super) fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (place, char) in text.char_indices() {
        match char {
            '(' | '[' | '{' | '<' => depth += 1,
            // An arrow closes nothing.
            '>' if text[..place].ends_with('-') => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            _ if char == at && depth == 0 => {
                parts.push(text[start..place].trim());
                start = place + char.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Words with one space between them, and none at brackets and commas where people write none.
pub(super) fn spaced(text: &str) -> String {
    let one = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let neat = [(" ,", ","), ("( ", "("), (" )", ")"), (",)", ")"), (" :", ":")];
    neat.into_iter().fold(one, |text, (from, to)| text.replace(from, to))
}

/// Blanks comments and lines for the compiler (`#if`); strings keep nothing that looks like structure.
fn without_comments(source: &str) -> String {
    let mut bare = String::with_capacity(source.len());
    for line in source.split_inclusive('\n') {
        bare.push_str(if line.trim_start().starts_with('#') { "\n" } else { line });
    }
    let mut rest = bare.as_str();
    let mut text = String::with_capacity(rest.len());
    while let Some(char) = rest.chars().next() {
        if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, after)| after);
            text.push(' ');
        } else if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if char == '"' {
            let end = string_end(rest);
            text.extend(rest[..end].chars().filter(|char| !"(){}[]\n".contains(*char)));
            rest = &rest[end..];
        } else {
            text.push(char);
            rest = &rest[char.len_utf8()..];
        }
    }
    text
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn block(chars: &mut Peekable<Chars<'_>>) -> Vec<Item> {
    let (mut items, mut line, mut depth) = (Vec::new(), String::new(), 0_u32);
    let finish = |line: &mut String, inner: Vec<Item>, items: &mut Vec<Item>| {
        let line = spaced(&std::mem::take(line));
        if !line.is_empty() || !inner.is_empty() {
            items.push(Item { line, inner });
        }
    };
    while let Some(char) = chars.next() {
        match char {
            '{' if depth == 0 => {
                let inner = block(chars);
                finish(&mut line, inner, &mut items);
            }
            '}' if depth == 0 => break,
            '(' | '[' | '{' => {
                depth += 1;
                line.push(char);
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                line.push(char);
            }
            ';' if depth == 0 => finish(&mut line, Vec::new(), &mut items),
            '\n' if depth == 0 => {
                while chars.next_if(|char| char.is_whitespace()).is_some() {}
                if goes_on(line.trim(), chars.peek().copied()) {
                    line.push(' ');
                } else {
                    finish(&mut line, Vec::new(), &mut items);
                }
            }
            _ => line.push(char),
        }
    }
    finish(&mut line, Vec::new(), &mut items);
    items
}

/// Whether the next line belongs to this one.
fn goes_on(line: &str, next: Option<char>) -> bool {
    const MODIFIERS: [&str; 6] = ["public", "open", "internal", "private", "fileprivate", "override"];
    line.ends_with(['=', ':', ','])
        || next.is_some_and(|next| "{=:.".contains(next))
        || preceding(line, &MODIFIERS).rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(items: &[Item]) -> Vec<&str> {
        items.iter().map(|item| item.line.as_str()).collect()
    }

    #[test]
    fn statements_are_told_apart() {
        let source = "\
/** Not { this. */
public
enum A: B {
    case one(two: Int
    )
    case three // and } not this
}
@Throws(X::class)override fun f(a: Int, b: String = \"{(\"): C
    =
    g { h }
open class D : E
{
    val i: Int
#if swift(>=5.8)
    val j: Int
#endif
}
";
        let items = items(source);
        let f = "@Throws(X::class)override fun f(a: Int, b: String = \"\"): C = g";
        assert_eq!(lines(&items), ["public enum A: B", f, "open class D: E"]);
        assert_eq!(lines(&items[0].inner), ["case one(two: Int)", "case three"]);
        assert_eq!(lines(&items[2].inner), ["val i: Int", "val j: Int"]);
    }

    #[test]
    fn what_precedes_is_split_off() {
        let Preceding { words, rest } =
            preceding("@Throws(X::class)override suspend fun f()", &["override", "suspend"]);
        assert_eq!((words, rest), (vec!["@Throws(X::class)", "override", "suspend"], "fun f()"));
        assert_eq!(preceding("openly()", &["open"]).words, Vec::<&str>::new());
    }

    #[test]
    fn brackets_hold_together() {
        assert_eq!(split("a: (Int) -> B, c: Map<D, E>, f: [G]", ','), ["a: (Int) -> B", "c: Map<D, E>", "f: [G]"]);
        assert_eq!(closing("(a(b)c)d"), 6);
    }
}
