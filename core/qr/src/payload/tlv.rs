//! What EMVCo's codes are made of: objects of two digits that say which, two digits that say how long, and a value; and at the
//! end a checksum of everything before it.

use super::Refused;

/// An object: a number, and a value or more objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub id: u8,
    pub value: String,
    /// What the value is made of, when it is a template.
    pub children: Vec<Self>,
}

/// What a length counts. EMVCo says characters, Bharat QR says bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    Characters,
    Bytes,
}

/// The objects that a text is made of, none left over and no number twice. `place` says where we are, for whoever reads why
/// it was refused: empty, or a path that ends in a point.
pub(crate) fn read(text: &str, counting: Counting, place: &str) -> Result<Vec<Object>, Refused> {
    let mut objects: Vec<Object> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let structure = |why| Refused::Structure { at_byte: text.len() - rest.len(), inside: place.to_owned(), why };
        let id = two_digits(rest).ok_or_else(|| structure("the number of an object is not two digits"))?;
        let length = two_digits(&rest[2..]).ok_or_else(|| structure("a length is not two digits"))?;
        if length == 0 {
            return Err(structure("an object is empty"));
        }
        let after = &rest[4..];
        let end = match counting {
            Counting::Characters => {
                after.char_indices().map(|(at, _)| at).chain([after.len()]).nth(usize::from(length))
            }
            Counting::Bytes => Some(usize::from(length)),
        };
        let value = end.and_then(|end| after.get(..end)).ok_or_else(|| structure("an object goes beyond the end"))?;
        if objects.iter().any(|object| object.id == id) {
            return Err(Refused::Twice { field: format!("{place}{id:02}") });
        }
        rest = &after[value.len()..];
        objects.push(Object { id, value: value.to_owned(), children: Vec::new() });
    }
    Ok(objects)
}

fn two_digits(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => Some((tens - b'0') * 10 + ones - b'0'),
        _ => None,
    }
}

/// Appends an object. EMVCo's rule is kept: characters are counted.
pub(crate) fn push(text: &mut String, id: u8, value: &str) -> Result<(), Refused> {
    let length = value.chars().count();
    if !(1..=99).contains(&length) {
        return Err(Refused::Field { field: format!("{id:02}"), why: "it must have 1 to 99 characters" });
    }
    text.push_str(&format!("{id:02}{length:02}{value}"));
    Ok(())
}

/// CRC-16/CCITT-FALSE.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_the_one_with_that_check_value() {
        assert_eq!(checksum(b"123456789"), 0x29b1);
        assert_eq!(checksum(b""), 0xffff);
    }

    fn check(text: &str, counting: Counting, expected: &[(u8, &str)]) {
        let objects = read(text, counting, "").unwrap();
        let found: Vec<_> = objects.iter().map(|object| (object.id, object.value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lengths_are_counted_in_characters_or_in_bytes() {
        check("0102é!0201x", Counting::Characters, &[(1, "é!"), (2, "x")]);
        check("0103é!0201x", Counting::Bytes, &[(1, "é!"), (2, "x")]);
        check("", Counting::Characters, &[]);
    }

    #[test]
    fn what_is_not_made_of_objects_says_where() {
        let refused = |text: &str| read(text, Counting::Bytes, "62.").unwrap_err();
        let at = |text: &str| {
            let Refused::Structure { at_byte, inside, .. } = refused(text) else { panic!("{text}") };
            (at_byte, inside)
        };
        for text in ["0", "01", "0x", "010", "0100", "0102a", "0101é", "é101a", "01é1a"] {
            assert_eq!(at(text), (0, "62.".to_owned()), "{text}");
        }
        assert_eq!(at("0101a0202b").0, 5);
        assert_eq!(refused("0101a0101a"), Refused::Twice { field: "62.01".to_owned() });
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::btree_map(0_u8..100, "\\PC{1,99}", 0..12)) {
            let mut text = String::new();
            for (id, value) in &values {
                push(&mut text, *id, value).unwrap();
            }
            let read = read(&text, Counting::Characters, "").unwrap();
            let read: Vec<_> = read.into_iter().map(|object| (object.id, object.value)).collect();
            prop_assert_eq!(read, values.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn what_is_read_is_the_whole_text(text in "([0-9é]{0,9}|00|01|02){0,9}") {
            for counting in [Counting::Characters, Counting::Bytes] {
                if let Ok(objects) = read(&text, counting, "") {
                    let length = |value: &str| match counting {
                        Counting::Characters => value.chars().count(),
                        Counting::Bytes => value.len(),
                    };
                    let whole: String = objects
                        .iter()
                        .map(|object| format!("{:02}{:02}{}", object.id, length(&object.value), object.value))
                        .collect();
                    prop_assert_eq!(&whole, &text);
                }
            }
        }

        #[test]
        fn one_wrong_character_changes_the_checksum(text in "[ -~]{1,200}", at in any::<prop::sample::Index>(), by in 1_u8..255) {
            let mut other = text.clone().into_bytes();
            let at = at.index(other.len());
            other[at] ^= by;
            prop_assert_ne!(checksum(text.as_bytes()), checksum(&other));
        }
    }
}
