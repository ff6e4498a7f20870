//! A square of dark and light modules to what it says (ISO/IEC 18004): format, codewords, correction, segments.
//!
//! The bytes are the truth, and with them comes what the symbol says about them: the alphabet of each stretch and the
//! character set that it declares. What text they are is for somebody else to decide.

use std::ops::Range;

use crate::decoder;

/// The sides that a symbol can have, in modules.
pub(crate) const SIDES: std::ops::RangeInclusive<usize> = 21..=177;

/// The modules of a symbol, without its quiet zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Modules {
    side: usize,
    dark: Vec<bool>,
}

/// What a symbol says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) part: Option<Part>,
    /// The codewords that were wrong, as a share of what the worst block could bear, in percent.
    pub(crate) strain_percent: u32,
    /// Whether the symbol was seen from behind or in a mirror.
    pub(crate) mirrored: bool,
}

/// A stretch of the content that is written in one alphabet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// How it is written.
    pub mode: Mode,
    /// The character set that the symbol declares for it (an ECI designator: 26 is UTF-8), if it does.
    pub eci: Option<u32>,
    /// Where it is in the bytes of the code.
    pub range: Range<usize>,
}

/// The alphabets of a QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Numeric,
    Alphanumeric,
    Byte,
    /// Two bytes of Shift JIS for each character.
    Kanji,
    /// Two bytes of GB 2312 for each character.
    Hanzi,
}

/// One of several symbols that make one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which one, from 0.
    pub index: u8,
    /// How many there are, 1 to 16.
    pub count: u8,
    /// The same in all of them: the exclusive or of all bytes of the message.
    pub parity: u8,
}

impl Modules {
    pub(crate) fn from_fn(side: usize, mut dark: impl FnMut(usize, usize) -> bool) -> Self {
        let dark = (0..side * side).map(|at| dark(at % side, at / side)).collect();
        Self { side, dark }
    }

    pub(crate) fn side(&self) -> usize {
        self.side
    }

    pub(crate) fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark[y * self.side + x]
    }

    /// Reads the symbol, as it is or mirrored. `None` when it is none, or has more damage than it can bear.
    pub(crate) fn read(&self) -> Option<Content> {
        if !SIDES.contains(&self.side) || self.side % 4 != 1 {
            return None;
        }
        // Both ways when both are possible: the format information of a mirrored symbol may look right by accident.
        let mut ways = [false, true].map(|mirrored| (self.format(mirrored), mirrored));
        ways.sort_by_key(|(format, _)| format.map_or(u32::MAX, |format| format.wrong_bits));
        ways.into_iter().find_map(|(format, mirrored)| self.read_with(format?, mirrored))
    }

    fn read_with(&self, format: Format, mirrored: bool) -> Option<Content> {
        let version = (self.side - 17) / 4;
        let codewords = self.codewords(version, format.mask, mirrored)?;
        let (data, strain_percent) = decoder::correct(version, format.level, &codewords)?;
        let mut content = parse(&data, version)?;
        (content.strain_percent, content.mirrored) = (strain_percent, mirrored);
        Some(content)
    }

    fn bit(&self, x: usize, y: usize, mirrored: bool) -> bool {
        if mirrored { self.is_dark(y, x) } else { self.is_dark(x, y) }
    }

    /// The format that is nearest to one of the two copies; at most three bits of fifteen are wrong.
    fn format(&self, mirrored: bool) -> Option<Format> {
        let side = self.side;
        let gather = |places: [(usize, usize); 15]| {
            places.iter().fold(0, |bits, &(x, y)| bits << 1 | u32::from(self.bit(x, y, mirrored)))
        };
        let beside: [_; 15] = std::array::from_fn(|at| match at {
            0..=5 => (at, 8),
            6 => (7, 8),
            7 => (8, 8),
            8 => (8, 7),
            _ => (8, 14 - at),
        });
        let away: [_; 15] = std::array::from_fn(|at| if at < 7 { (8, side - 1 - at) } else { (side - 15 + at, 8) });
        let copies = [gather(beside), gather(away)];
        (0..32)
            .flat_map(|data| copies.map(|copy| (data, (copy ^ format_codeword(data)).count_ones())))
            .min_by_key(|(_, wrong_bits)| *wrong_bits)
            .filter(|(_, wrong_bits)| *wrong_bits <= 3)
            .map(|(data, wrong_bits)| Format { level: data >> 3, mask: data & 7, wrong_bits })
    }

    /// The codewords in the order in which they stand in the symbol, the mask taken off.
    fn codewords(&self, version: usize, mask: u32, mirrored: bool) -> Option<Vec<u8>> {
        let is_function = function_modules(version)?;
        let mut codewords = Vec::with_capacity(self.side * self.side / 8);
        let (mut byte, mut bits) = (0_u8, 0);
        each_data_module(self.side, &is_function, |x, y| {
            byte = byte << 1 | u8::from(self.bit(x, y, mirrored) != is_masked(mask, x, y));
            bits += 1;
            if bits % 8 == 0 {
                codewords.push(byte);
            }
        });
        Some(codewords)
    }
}

/// Goes through the modules that hold data, in the order in which their bits stand: in pairs of columns from the right, up and down.
pub(crate) fn each_data_module(side: usize, is_function: &[bool], mut visit: impl FnMut(usize, usize)) {
    let mut upwards = true;
    let mut right = side - 1;
    while right > 0 {
        if right == 6 {
            right = 5; // The column of the timing pattern holds no data.
        }
        for step in 0..side {
            let y = if upwards { side - 1 - step } else { step };
            for x in [right, right - 1] {
                if !is_function[y * side + x] {
                    visit(x, y);
                }
            }
        }
        upwards = !upwards;
        right = right.saturating_sub(2);
    }
}

#[derive(Clone, Copy)]
struct Format {
    /// The two bits of the symbol: 1 is Low, 0 Medium, 3 Quartile, 2 High.
    level: u32,
    mask: u32,
    wrong_bits: u32,
}

/// Five bits with their ten check bits, masked as they stand in the symbol.
fn format_codeword(data: u32) -> u32 {
    let mut rest = data << 10;
    for bit in (10..15).rev() {
        if rest >> bit & 1 == 1 {
            rest ^= 0b101_0011_0111 << (bit - 10);
        }
    }
    (data << 10 | rest) ^ 0b101_0100_0001_0010
}

/// Six bits of a version with their twelve check bits.
pub(crate) fn version_codeword(version: u32) -> u32 {
    let mut rest = version << 12;
    for bit in (12..18).rev() {
        if rest >> bit & 1 == 1 {
            rest ^= 0b1_1111_0010_0101 << (bit - 12);
        }
    }
    version << 12 | rest
}

fn is_masked(mask: u32, x: usize, y: usize) -> bool {
    match mask {
        0 => (x + y).is_multiple_of(2),
        1 => y.is_multiple_of(2),
        2 => x.is_multiple_of(3),
        3 => (x + y).is_multiple_of(3),
        4 => (y / 2 + x / 3).is_multiple_of(2),
        5 => (x * y) % 2 + (x * y) % 3 == 0,
        6 => ((x * y) % 2 + (x * y) % 3).is_multiple_of(2),
        _ => ((x + y) % 2 + (x * y) % 3).is_multiple_of(2),
    }
}

/// Which modules hold no data: finders, timing, alignment, format and version.
pub(crate) fn function_modules(version: usize) -> Option<Vec<bool>> {
    let side = 17 + 4 * version;
    let mut function = vec![false; side * side];
    let mut fill = |left: usize, top: usize, width: usize, height: usize| {
        for y in top..top + height {
            function[y * side + left..][..width].fill(true);
        }
    };
    fill(0, 0, 9, 9);
    fill(side - 8, 0, 8, 9);
    fill(0, side - 8, 9, 8);
    fill(0, 6, side, 1);
    fill(6, 0, 1, side);
    for (x, y) in alignment_centres(version)? {
        fill(x - 2, y - 2, 5, 5);
    }
    if version >= 7 {
        fill(side - 11, 0, 3, 6);
        fill(0, side - 11, 6, 3);
    }
    Some(function)
}

/// The middles of the alignment patterns, in modules.
pub(crate) fn alignment_centres(version: usize) -> Option<Vec<(usize, usize)>> {
    let centres = decoder::alignment_centres(version)?;
    let last = centres.last().copied().unwrap_or_default();
    let at_a_finder = |x, y| (x == 6 && (y == 6 || y == last)) || (x == last && y == 6);
    let all = centres.iter().flat_map(|&y| centres.iter().map(move |&x| (x, y)));
    Some(all.filter(|&(x, y)| !at_a_finder(x, y)).collect())
}

/// The segments of the data codewords.
fn parse(data: &[u8], version: usize) -> Option<Content> {
    let mut reader = Reader { data, at: 0 };
    let mut content =
        Content { bytes: Vec::new(), segments: Vec::new(), part: None, strain_percent: 0, mirrored: false };
    let (mut eci, mut percent_is_special) = (None, false);
    // The end is four zero bits, or fewer where there is no room for four.
    while reader.left() >= 4 {
        let mode = match reader.take(4)? {
            0 => break,
            1 => Mode::Numeric,
            2 => Mode::Alphanumeric,
            3 => {
                let [index, count] = [reader.take(4)?, reader.take(4)?].map(|bits| bits as u8);
                content.part = Some(Part { index, count: count + 1, parity: reader.take(8)? as u8 });
                continue;
            }
            4 => Mode::Byte,
            5 => {
                percent_is_special = true;
                continue;
            }
            7 => {
                eci = Some(reader.take_designator()?);
                continue;
            }
            8 => Mode::Kanji,
            9 => {
                percent_is_special = true;
                // The application indicator belongs to the message.
                match reader.take(8)? {
                    number @ 0..100 => content.bytes.extend(format!("{number:02}").bytes()),
                    letter @ (165..=190 | 197..=222) => content.bytes.push((letter - 100) as u8),
                    _ => return None,
                }
                continue;
            }
            13 => {
                // The subset comes before the count; there is only one.
                if reader.take(4)? != 1 {
                    return None;
                }
                Mode::Hanzi
            }
            _ => return None,
        };
        let count = reader.take(count_bits(mode, version))? as usize;
        let start = content.bytes.len();
        reader.take_characters(mode, count, &mut content.bytes)?;
        if percent_is_special && mode == Mode::Alphanumeric {
            restore_separators(&mut content.bytes, start);
        }
        content.segments.push(Segment { mode, eci, range: start..content.bytes.len() });
    }
    Some(content)
}

/// In symbols of GS1 and AIM `%` stands for the separator of fields, and `%%` for itself.
fn restore_separators(bytes: &mut Vec<u8>, start: usize) {
    let written = bytes.split_off(start);
    let mut rest = written.as_slice();
    while let [first, after @ ..] = rest {
        (rest, _) = match (first, after) {
            (b'%', [b'%', after @ ..]) => (after, bytes.push(b'%')),
            (b'%', _) => (after, bytes.push(0x1d)),
            (other, _) => (after, bytes.push(*other)),
        };
    }
}

fn count_bits(mode: Mode, version: usize) -> usize {
    let size = match version {
        ..=9 => 0,
        10..=26 => 1,
        _ => 2,
    };
    match mode {
        Mode::Numeric => [10, 12, 14][size],
        Mode::Alphanumeric => [9, 11, 13][size],
        Mode::Byte => [8, 16, 16][size],
        Mode::Kanji | Mode::Hanzi => [8, 10, 12][size],
    }
}

struct Reader<'a> {
    data: &'a [u8],
    /// In bits.
    at: usize,
}

impl Reader<'_> {
    fn left(&self) -> usize {
        self.data.len() * 8 - self.at
    }

    /// At most 16 bits.
    fn take(&mut self, bits: usize) -> Option<u32> {
        if bits > self.left() {
            return None;
        }
        let value = (self.at..self.at + bits)
            .fold(0, |value, at| value << 1 | u32::from(self.data[at / 8] >> (7 - at % 8) & 1));
        self.at += bits;
        Some(value)
    }

    fn take_designator(&mut self) -> Option<u32> {
        let first = self.take(8)?;
        match first >> 5 {
            0..=3 => Some(first),
            4 | 5 => Some((first & 0x3f) << 8 | self.take(8)?),
            6 => Some((first & 0x1f) << 16 | self.take(16)?),
            _ => None,
        }
    }

    fn take_characters(&mut self, mode: Mode, count: usize, into: &mut Vec<u8>) -> Option<()> {
        const ALPHANUMERIC: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
        let letter = |value: u32| ALPHANUMERIC.get(value as usize).copied();
        match mode {
            Mode::Numeric => {
                let mut left = count;
                while left > 0 {
                    let digits = left.min(3);
                    let value = self.take(1 + 3 * digits)?;
                    if value >= 10_u32.pow(digits as u32) {
                        return None;
                    }
                    into.extend(format!("{value:0digits$}").bytes());
                    left -= digits;
                }
            }
            Mode::Alphanumeric => {
                for _ in 0..count / 2 {
                    let pair = self.take(11)?;
                    into.extend([letter(pair / 45)?, letter(pair % 45)?]);
                }
                if count % 2 == 1 {
                    into.push(letter(self.take(6)?)?);
                }
            }
            Mode::Byte => {
                for _ in 0..count {
                    into.push(self.take(8)? as u8);
                }
            }
            Mode::Kanji => {
                for _ in 0..count {
                    let packed = self.take(13)?;
                    let code = ((packed / 0xc0) << 8) | (packed % 0xc0);
                    let code = code + if code < 0x1f00 { 0x8140 } else { 0xc140 };
                    into.extend((code as u16).to_be_bytes());
                }
            }
            Mode::Hanzi => {
                for _ in 0..count {
                    let packed = self.take(13)?;
                    let code = ((packed / 0x60) << 8) | (packed % 0x60);
                    let code = code + if code < 0x0a00 { 0xa1a1 } else { 0xa6a1 };
                    into.extend((code as u16).to_be_bytes());
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_bits_are_those_of_the_standard() {
        // The worked examples of ISO/IEC 18004, annexes C and D.
        assert_eq!(format_codeword(0b00_101), 0b100_0000_1100_1110);
        assert_eq!(version_codeword(7), 0b00_0111_1100_1001_0100);
    }

    fn bits(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|digit| *digit != b' ').collect();
        digits
            .chunks(8)
            .map(|byte| (0..8).fold(0, |sum, at| sum << 1 | u8::from(byte.get(at) == Some(&b'1'))))
            .collect()
    }

    fn check(written: &str, bytes: &[u8], segments: &[(Mode, Option<u32>)]) {
        let content = parse(&bits(written), 1).unwrap();
        assert_eq!(content.bytes, bytes);
        let found: Vec<_> = content.segments.iter().map(|segment| (segment.mode, segment.eci)).collect();
        assert_eq!(found, segments);
        assert_eq!(content.segments.last().map_or(0, |segment| segment.range.end), bytes.len());
    }

    #[test]
    fn every_alphabet_is_read() {
        check("0001 0000001000 0000001100 0101011001 1000011 0000", b"01234567", &[(Mode::Numeric, None)]);
        check("0010 000000101 00111001110 11100111001 000010 0000", b"AC-42", &[(Mode::Alphanumeric, None)]);
        check("0111 00011010 0100 00000010 11000011 10101001 0000", "é".as_bytes(), &[(Mode::Byte, Some(26))]);
        check("1000 00000010 0110110011111 1101010101010 0000", &[0x93, 0x5f, 0xe4, 0xaa], &[(Mode::Kanji, None)]);
        check("1101 0001 00000001 0000000000001 0000", &[0xa1, 0xa2], &[(Mode::Hanzi, None)]);
        check("", b"", &[]);
    }

    #[test]
    fn a_percent_sign_parts_fields_only_after_its_announcement() {
        check("0101 0010 000000011 11011010100 100110 0000", b"%\x1d", &[(Mode::Alphanumeric, None)]);
        check("0010 000000001 100110 0000", b"%", &[(Mode::Alphanumeric, None)]);
    }

    #[test]
    fn a_part_of_a_message_says_which() {
        let content = parse(&bits("0011 0001 0010 10101010 0100 00000001 01000001 0000"), 1).unwrap();
        assert_eq!(content.part, Some(Part { index: 1, count: 3, parity: 0xaa }));
        assert_eq!(content.bytes, b"A");
    }

    #[test]
    fn what_ends_too_early_or_makes_no_sense_is_refused() {
        for written in ["0100 00000010 01000001", "0001 0000000011 1111111111", "0010 000000001 111111", "1111 0000"] {
            assert!(parse(&bits(written), 1).is_none(), "{written}");
        }
    }
}
