//! The seam to the library: where finder patterns meet, where modules lie, what a version holds, how errors are corrected.
//! Nothing outside this file knows which library that is.
//!
//! It is rxing's port of the detector of zxing-cpp, taken piece by piece, because its ready-made reader samples every
//! triple of finder patterns: a picture tiled with them keeps it busy for minutes. What it answers is checked again here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use rxing::Point;
use rxing::common::cpp_essentials::{ConcentricPattern, FixedPattern, LocateConcentricPattern};
use rxing::common::{BitArray, BitMatrix, CharacterSet, DetectorRXingResult as _, ECIStringBuilder, Eci};
use rxing::qrcode::common::{ErrorCorrectionLevel, Version};
use rxing::qrcode::cpp_port::decoder::CorrectErrors;
use rxing::qrcode::cpp_port::detector::{FinderPatternSet, GenerateFinderPatternSets, SampleQR};
use rxing::qrcode::decoder::DataBlock;

use crate::bits::{Bits, Word};
use crate::modules::{Mode, Modules, Segment};

/// What the library answers. Where it panics it knows nothing: the rest of the picture is still looked at.
fn caught<T>(ask: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(ask)).ok().flatten()
}

/// A finder pattern: its middle and its width, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pattern {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) size: i32,
}

/// The three finder patterns of what may be one code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Triple {
    pub(crate) top_left: Pattern,
    pub(crate) top_right: Pattern,
    pub(crate) bottom_left: Pattern,
}

/// Dark and light pixels in the form that the library wants.
pub(crate) struct Matrix(BitMatrix);

impl Matrix {
    pub(crate) fn of(bits: &Bits) -> Option<Self> {
        let mut matrix = BitMatrix::new(bits.width() as u32, bits.height() as u32).ok()?;
        let mut row = BitArray::with_size(bits.row(0).len() * Word::BITS as usize);
        for y in 0..bits.height() {
            for (at, word) in bits.row(y).iter().enumerate() {
                row.setBulk(at * Word::BITS as usize, *word);
            }
            matrix.setRow(y as u32, &row);
        }
        Some(Self(matrix))
    }

    /// The finder pattern around a place, with its middle measured on its rings; it is at most `range` pixels wide.
    pub(crate) fn locate(&self, x: f32, y: f32, range: i32) -> Option<Pattern> {
        const FINDER: FixedPattern<5, 7, false> = FixedPattern::new([1, 1, 3, 1, 1]);
        let found = caught(|| LocateConcentricPattern::<true, 5, 7>(&self.0, &FINDER.into(), Point::new(x, y), range))?;
        Some(Pattern { x: found.p.x, y: found.p.y, size: found.size })
    }

    /// The modules of the code that has these finder patterns.
    pub(crate) fn sample(&self, triple: &Triple) -> Option<(Modules, [[f32; 2]; 4])> {
        let pattern = |pattern: Pattern| ConcentricPattern { p: Point::new(pattern.x, pattern.y), size: pattern.size };
        let set = FinderPatternSet {
            bl: pattern(triple.bottom_left),
            tl: pattern(triple.top_left),
            tr: pattern(triple.top_right),
        };
        let sampled = caught(|| SampleQR(&self.0, &set).ok())?;
        let &[top_left, top_right, bottom_left, bottom_right] = sampled.getPoints() else {
            return None;
        };
        let bits = sampled.getBits();
        let modules = Modules::from_fn(bits.width() as usize, |x, y| bits.get(x as u32, y as u32));
        // The library counts from the middle of a pixel here.
        let corners = [top_left, top_right, bottom_right, bottom_left].map(|corner| [corner.x - 0.5, corner.y - 0.5]);
        Some((modules, corners))
    }
}

/// The triples that may be codes, the likeliest first. Of many patterns only near ones are tried with each other.
pub(crate) fn triples(patterns: &[Pattern]) -> Vec<Triple> {
    let mut patterns = patterns
        .iter()
        .map(|pattern| ConcentricPattern { p: Point::new(pattern.x, pattern.y), size: pattern.size })
        .collect();
    let pattern = |found: ConcentricPattern| Pattern { x: found.p.x, y: found.p.y, size: found.size };
    let sets = caught(|| Some(GenerateFinderPatternSets(&mut patterns))).unwrap_or_default();
    sets.into_iter()
        .map(|set| Triple { top_left: pattern(set.tl), top_right: pattern(set.tr), bottom_left: pattern(set.bl) })
        .collect()
}

/// The rows and columns in which alignment patterns have their middles.
pub(crate) fn alignment_centres(version: usize) -> Option<Vec<usize>> {
    let version = Version::getVersionForNumber(version as u32).ok()?;
    Some(version.getAlignmentPatternCenters().iter().map(|centre| *centre as usize).collect())
}

/// The data codewords, corrected, and how much of what the worst block can bear was used, in percent.
pub(crate) fn correct(version: usize, level: u32, codewords: &[u8]) -> Option<(Vec<u8>, u32)> {
    let version = Version::getVersionForNumber(version as u32).ok()?;
    let level = level_of(level);
    let (mut data, mut strain_percent) = (Vec::new(), 0);
    for block in DataBlock::getDataBlocks(codewords, version, level).ok()? {
        let read = block.getCodewords();
        let data_len = block.getNumDataCodewords() as usize;
        let checks = read.len() - data_len;
        let mut corrected = read.to_vec();
        if !is_codeword(read, checks) {
            caught(|| CorrectErrors(&mut corrected, data_len as u32).ok()).filter(|corrected| *corrected)?;
            let wrong = read.iter().zip(&corrected).filter(|(read, corrected)| read != corrected).count();
            if !is_codeword(&corrected, checks) || 2 * wrong > checks {
                return None;
            }
            strain_percent = strain_percent.max((200 * wrong / checks) as u32);
        }
        data.extend_from_slice(&corrected[..data_len]);
    }
    Some((data, strain_percent))
}

/// How many codewords of data each block of a symbol has, and how many checks all of them.
pub(crate) fn blocks(version: usize, level: u32) -> Option<(Vec<usize>, usize)> {
    let version = Version::getVersionForNumber(version as u32).ok()?;
    let blocks = version.getECBlocksForLevel(level_of(level));
    let sizes = blocks.getECBlocks().iter();
    let sizes =
        sizes.flat_map(|block| std::iter::repeat_n(block.getDataCodewords() as usize, block.getCount() as usize));
    Some((sizes.collect(), blocks.getECCodewordsPerBlock() as usize))
}

/// By the two bits of the symbol.
fn level_of(bits: u32) -> ErrorCorrectionLevel {
    match bits {
        0 => ErrorCorrectionLevel::M,
        1 => ErrorCorrectionLevel::L,
        2 => ErrorCorrectionLevel::H,
        _ => ErrorCorrectionLevel::Q,
    }
}

/// What the bytes spell where they are not UTF-8: by what the symbol declares, else by the look of them.
pub(crate) fn text(bytes: &[u8], segments: &[Segment]) -> String {
    let mut builder = ECIStringBuilder::default();
    for segment in segments {
        match segment.eci {
            Some(eci) => builder.switch_encoding(Eci::from(eci).into(), true),
            None => builder.switch_encoding(alphabet(segment.mode), false),
        }
        builder.append_bytes(&bytes[segment.range.clone()]);
    }
    builder.to_string()
}

fn alphabet(mode: Mode) -> CharacterSet {
    match mode {
        Mode::Numeric | Mode::Alphanumeric => CharacterSet::ISO8859_1,
        Mode::Byte => CharacterSet::Unknown,
        Mode::Kanji => CharacterSet::Shift_JIS,
        Mode::Hanzi => CharacterSet::GB18030,
    }
}

/// Whether every syndrome is zero: computed here, so that a wrong correction by the library is noticed.
fn is_codeword(block: &[u8], checks: usize) -> bool {
    let powers = powers_of_two();
    (0..checks).all(|root| {
        let syndrome = block.iter().fold(0_u8, |sum, codeword| {
            let shifted = if sum == 0 { 0 } else { powers.of[usize::from(powers.log[usize::from(sum)]) + root] };
            shifted ^ codeword
        });
        syndrome == 0
    })
}

/// The field of 256 elements that QR codes count in, by the powers of 2 modulo x⁸+x⁴+x³+x²+1.
struct Powers {
    of: [u8; 512],
    log: [u8; 256],
}

fn powers_of_two() -> &'static Powers {
    static POWERS: OnceLock<Powers> = OnceLock::new();
    POWERS.get_or_init(|| {
        let mut powers = Powers { of: [0; 512], log: [0; 256] };
        let mut power = 1_u32;
        for exponent in 0..512 {
            powers.of[exponent] = power as u8;
            if exponent < 255 {
                powers.log[power as usize] = exponent as u8;
            }
            power = if power & 0x80 == 0 { power << 1 } else { (power << 1) ^ 0x11d };
        }
        powers
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_are_checked() {
        // Version 1-M of "01234567", the worked example of ISO/IEC 18004, annex I.
        let block = [
            0x10, 0x20, 0x0c, 0x56, 0x61, 0x80, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xa5, 0x24,
            0xd4, 0xc1, 0xed, 0x36, 0xc7, 0x87, 0x2c, 0x55,
        ];
        assert!(is_codeword(&block, 10));
        assert_eq!(correct(1, 0, &block), Some((block[..16].to_vec(), 0)));
        let mut damaged = block;
        for at in [0, 5, 9, 20, 25] {
            damaged[at] ^= 0x5a;
        }
        assert!(!is_codeword(&damaged, 10));
        assert_eq!(correct(1, 0, &damaged), Some((block[..16].to_vec(), 100)));
        damaged[12] ^= 1;
        assert_eq!(correct(1, 0, &damaged), None);
    }
}
