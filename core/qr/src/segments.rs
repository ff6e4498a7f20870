//! The shortest way to spell some bytes in a QR symbol: which stretch goes out as digits, which as upper-case
//! alphanumerics, which as bytes.
//!
//! A mode switch costs 12 to 20 bits and a byte costs 8, a pair of alphanumerics 11, three digits 10; the cheapest path
//! is found by dynamic programming over the bytes. Kanji mode is left out on purpose: it would misspell UTF-8 that
//! happens to look like Shift-JIS.

use std::ops::Range;

/// How a stretch is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    Numeric,
    Alphanumeric,
    Bytes,
}

const SPELLINGS: [Spelling; 3] = [Spelling::Numeric, Spelling::Alphanumeric, Spelling::Bytes];

/// A stretch of the input and its spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) spelling: Spelling,
    pub(crate) range: Range<usize>,
}

/// The cheapest segments for a symbol of this version (1 to 40): the length fields grow at versions 10 and 27.
pub(crate) fn cheapest(data: &[u8], version: u8) -> Vec<Segment> {
    // Costs are in sixths of a bit, so that a digit (10/3 bits) and an alphanumeric (11/2) stay whole numbers.
    const IMPOSSIBLE: u64 = u64::MAX / 4;
    let mut cost = [IMPOSSIBLE; 3];
    // `came_from[i][s]` is the spelling of byte i - 1 on the cheapest path that spells byte i as s.
    let mut came_from: Vec<[usize; 3]> = Vec::with_capacity(data.len());
    for (i, &byte) in data.iter().enumerate() {
        let before = cost;
        let mut from = [0; 3];
        for (to, spelling) in SPELLINGS.into_iter().enumerate() {
            let Some(step) = sixths_per_char(spelling, byte) else {
                cost[to] = IMPOSSIBLE;
                continue;
            };
            let open = 6 * header_bits(spelling, version);
            let (best, origin) = if i == 0 {
                (open, to)
            } else {
                // Switching closes a stretch, whose length is then rounded up to whole bits.
                (0..3)
                    .map(|s| (if s == to { before[s] } else { before[s].div_ceil(6) * 6 + open }, s))
                    .min()
                    .expect("there are three spellings")
            };
            cost[to] = (best + step).min(IMPOSSIBLE);
            from[to] = origin;
        }
        came_from.push(from);
    }

    let mut current = (0..3).min_by_key(|&s| cost[s]).expect("there are three spellings");
    let mut segments: Vec<Segment> = Vec::new();
    for i in (0..data.len()).rev() {
        match segments.last_mut() {
            Some(segment) if segment.spelling == SPELLINGS[current] => segment.range.start = i,
            _ => segments.push(Segment { spelling: SPELLINGS[current], range: i..i + 1 }),
        }
        current = came_from[i][current];
    }
    segments.reverse();
    segments
}

fn sixths_per_char(spelling: Spelling, byte: u8) -> Option<u64> {
    match spelling {
        Spelling::Numeric => byte.is_ascii_digit().then_some(20),
        Spelling::Alphanumeric => is_alphanumeric(byte).then_some(33),
        Spelling::Bytes => Some(48),
    }
}

fn is_alphanumeric(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b' ' | b'$' | b'%' | b'*' | b'+' | b'-' | b'.' | b'/' | b':')
}

/// Mode indicator and length field.
fn header_bits(spelling: Spelling, version: u8) -> u64 {
    let sizes = match spelling {
        Spelling::Numeric => [10, 12, 14],
        Spelling::Alphanumeric => [9, 11, 13],
        Spelling::Bytes => [8, 16, 16],
    };
    4 + match version {
        ..=9 => sizes[0],
        10..=26 => sizes[1],
        27.. => sizes[2],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(data: &str, expected: &[(Spelling, &str)]) {
        let found: Vec<_> =
            cheapest(data.as_bytes(), 5).into_iter().map(|segment| (segment.spelling, &data[segment.range])).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn one_kind_is_one_segment() {
        check("0123456789", &[(Spelling::Numeric, "0123456789")]);
        check("COMPTOIR:C/ABC", &[(Spelling::Alphanumeric, "COMPTOIR:C/ABC")]);
        check("hello", &[(Spelling::Bytes, "hello")]);
        check("", &[]);
    }

    #[test]
    fn a_switch_must_pay_for_its_header() {
        check("AB12CD", &[(Spelling::Alphanumeric, "AB12CD")]);
        check(
            "HTTPS://EXAMPLE/01234567890123456789",
            &[(Spelling::Alphanumeric, "HTTPS://EXAMPLE/"), (Spelling::Numeric, "01234567890123456789")],
        );
        check("ab1cd", &[(Spelling::Bytes, "ab1cd")]);
        check(
            "order=AAAAAAAAAAAAAAAAAAAAAAAA",
            &[(Spelling::Bytes, "order="), (Spelling::Alphanumeric, "AAAAAAAAAAAAAAAAAAAAAAAA")],
        );
    }

    #[test]
    fn the_pieces_are_the_whole() {
        let data = "Mixed 1234567890123 TEXT-IN-CAPITALS-HERE and é";
        for version in [1, 9, 10, 26, 27, 40] {
            let mut end = 0;
            for segment in cheapest(data.as_bytes(), version) {
                assert_eq!(segment.range.start, end);
                end = segment.range.end;
            }
            assert_eq!(end, data.len());
        }
    }

    /// What these spellings of the bytes cost, in bits; `None` when one of them cannot be.
    fn bits(data: &[u8], spellings: &[Spelling], version: u8) -> Option<u64> {
        let mut sixths = 0;
        for (at, (byte, spelling)) in data.iter().zip(spellings).enumerate() {
            if at == 0 || spellings[at - 1] != *spelling {
                sixths = u64::div_ceil(sixths, 6) * 6 + 6 * header_bits(*spelling, version);
            }
            sixths += sixths_per_char(*spelling, *byte)?;
        }
        Some(sixths.div_ceil(6))
    }

    proptest! {
        #[test]
        fn nothing_is_cheaper(data in "([0-9]{0,9}|[A-Z:]{0,6}|[a-z]{0,3}){0,4}", version in prop::sample::select(vec![1_u8, 15, 30])) {
            let data = &data.as_bytes()[..data.len().min(9)];
            let chosen: Vec<Spelling> = cheapest(data, version)
                .into_iter()
                .flat_map(|segment| std::iter::repeat_n(segment.spelling, segment.range.len()))
                .collect();
            prop_assert_eq!(chosen.len(), data.len());
            let every = (0..3_usize.pow(data.len() as u32)).map(|number| {
                let spelling = |at: usize| SPELLINGS[number / 3_usize.pow(at as u32) % 3];
                (0..data.len()).map(spelling).collect::<Vec<_>>()
            });
            let least = every.filter_map(|spellings| bits(data, &spellings, version)).min();
            prop_assert_eq!(bits(data, &chosen, version), least);
        }
    }
}
