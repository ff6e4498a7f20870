//! Bytes to text. The bytes of a code stay the truth: what a symbol declares is often wrong.

use crate::decoder;
use crate::modules::{Mode, Segment};

/// UTF-8 first: nearly every code in the street is, whatever it declares. Then what the symbol declares, or a guess
/// between ISO 8859-1 and Shift-JIS.
pub(crate) fn text_of(bytes: &[u8], segments: &[Segment]) -> Option<String> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains('\0')
    {
        return Some(text.to_owned());
    }
    let text = decoder::text(bytes, segments);
    let is_text = |c: char| c != '\u{fffd}' && (!c.is_control() || matches!(c, '\t' | '\n' | '\r'));
    (!text.is_empty() && text.chars().all(is_text)).then_some(text)
}

/// The same, where the content itself names its character set, by the number that a symbol would declare.
pub(super) fn text_in(bytes: &[u8], eci: u32) -> Option<String> {
    text_of(bytes, &[Segment { mode: Mode::Byte, eci: Some(eci), range: 0..bytes.len() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_is_believed_and_then_what_is_declared() {
        assert_eq!(text_in("Käse".as_bytes(), 3).as_deref(), Some("Käse"));
        assert_eq!(text_in(b"K\xe4se", 3).as_deref(), Some("Käse"));
        assert_eq!(text_in(b"\xb7\xd5\xdb", 7).as_deref(), Some("Зел"));
        assert_eq!(text_in(b"\xa4", 17).as_deref(), Some("€"));
        assert_eq!(text_in(b"\xff\xfe\xff", 26), None);
    }
}
