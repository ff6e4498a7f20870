//! The seam to the decoder: gray pixels in, codes out. Nothing outside this file knows which library decodes.
//!
//! It drives the parts of rxing's port of the zxing-cpp detector one by one, because its ready-made reader samples
//! every triple of finder patterns: a picture tiled with them keeps it busy for minutes. Here each step has a cap that
//! depends on the picture alone, so the same picture always gives the same answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rxing::common::cpp_essentials::{
    ConcentricPattern, FindLeftGuardBy, FixedPattern, GetPatternRowTP, IsPattern, LocateConcentricPattern, PatternRow,
    PatternView,
};
use rxing::common::{BitMatrix, DetectorRXingResult as _, HybridBinarizer};
use rxing::qrcode::cpp_port::decoder::Decode;
use rxing::qrcode::cpp_port::detector::{GenerateFinderPatternSets, SampleQR};
use rxing::{Binarizer as _, Luma8Source, Point};

/// Stretches of pixels that may be examined as a finder pattern.
const MAX_CANDIDATES: usize = 50_000;
/// Finder patterns kept: 200 codes' worth.
const MAX_PATTERNS: usize = 600;
/// Triples of patterns that may turn out not to be a code.
const MAX_MISSES: usize = 240;
/// Codes reported from one picture.
const MAX_CODES: usize = 64;

/// One code, its corners in pixels: top left, top right, bottom right, bottom left as the code itself has them.
pub(crate) struct Found {
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: Option<String>,
    pub(crate) corners: [[f32; 2]; 4],
}

/// Finds the dark-on-light codes in a plane of `width` × `height` gray pixels. A decoder that panics found nothing.
pub(crate) fn find(luma: &[u8], width: u32, height: u32) -> Vec<Found> {
    catch_unwind(AssertUnwindSafe(|| search(luma, width, height).unwrap_or_default())).unwrap_or_default()
}

fn search(luma: &[u8], width: u32, height: u32) -> Option<Vec<Found>> {
    let source = Luma8Source::new_with_slice(luma, width, height).ok()?;
    let binarizer = HybridBinarizer::new(source);
    let bits = binarizer.get_black_matrix().ok()?;

    let mut found = Vec::new();
    let mut used: Vec<ConcentricPattern> = Vec::new();
    let mut misses = 0;
    for set in GenerateFinderPatternSets(&mut finder_patterns(bits)) {
        if [set.bl, set.tl, set.tr].iter().any(|pattern| used.contains(pattern)) {
            continue;
        }
        match catch_unwind(AssertUnwindSafe(|| sample(bits, &set))) {
            Ok(Some(code)) => {
                used.extend([set.bl, set.tl, set.tr]);
                found.push(code);
            }
            Ok(None) | Err(_) => misses += 1,
        }
        if misses >= MAX_MISSES || found.len() >= MAX_CODES {
            break;
        }
    }
    Some(found)
}

fn sample(bits: &BitMatrix, set: &rxing::qrcode::cpp_port::detector::FinderPatternSet) -> Option<Found> {
    let sampled = SampleQR(bits, set).ok()?;
    let decoded = Decode(sampled.getBits()).ok().filter(|decoded| decoded.isValid())?;
    let &[top_left, top_right, bottom_left, bottom_right] = sampled.getPoints() else {
        return None;
    };
    let bytes = decoded.content().bytes().to_vec();
    let text = text_of(&bytes, || decoded.content().to_string());
    Some(Found {
        bytes,
        text,
        // rxing counts from the middle of a pixel here.
        corners: [top_left, top_right, bottom_right, bottom_left].map(|corner| [corner.x - 0.5, corner.y - 0.5]),
    })
}

/// UTF-8 first: nearly every code in the street is, whatever it declares. Then what the symbol declares, or the
/// decoder's guess between ISO 8859-1 and Shift-JIS. The bytes stay the truth.
fn text_of(bytes: &[u8], declared: impl Fn() -> String) -> Option<String> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains('\0')
    {
        return Some(text.to_owned());
    }
    let text = declared();
    let is_text = |c: char| c != '\u{fffd}' && (!c.is_control() || matches!(c, '\t' | '\n' | '\r'));
    (!text.is_empty() && text.chars().all(is_text)).then_some(text)
}

/// rxing's `FindFinderPatterns` with its thorough step and our caps.
fn finder_patterns(bits: &BitMatrix) -> Vec<ConcentricPattern> {
    const FINDER: FixedPattern<5, 7, false> = FixedPattern::new([1, 1, 3, 1, 1]);
    const EDGE_TO_EDGE: bool = true;
    let is_finder = |view: &PatternView<'_>, space: Option<f32>| {
        let [a, b, c, d, e]: [u16; 5] = std::array::from_fn(|bar| view[bar]);
        let plausible = c >= 3 && c >= a.max(e).saturating_mul(2) && c >= b.max(d);
        plausible && IsPattern::<EDGE_TO_EDGE, 5, 7, false>(view, &FINDER, space, 0.1, 0.0, 0.0) != 0.0
    };

    let mut patterns: Vec<ConcentricPattern> = Vec::new();
    let mut candidates = 0;
    let mut row = PatternRow::default();
    for y in (2..bits.height()).step_by(3) {
        GetPatternRowTP(bits, y, &mut row, false);
        let mut next = PatternView::new(&row);
        while let Ok(view) = FindLeftGuardBy::<5, _>(next, 5, is_finder) {
            next = view;
            if !next.isValid() {
                break;
            }
            let centre = Point::new(
                f32::from(next.pixelsInFront()) + f32::from(next[0]) + f32::from(next[1]) + f32::from(next[2]) / 2.0,
                y as f32 + 0.5,
            );
            let known = |old: &ConcentricPattern| Point::distance(centre, old.p) < old.size as f32 / 2.0;
            if !patterns.iter().any(known) {
                let range = i32::from(next.iter().sum::<u16>()) * 3; // Three times the width, for very skewed codes.
                patterns.extend(LocateConcentricPattern::<EDGE_TO_EDGE, 5, 7>(bits, &FINDER.into(), centre, range));
            }
            candidates += 1;
            if candidates >= MAX_CANDIDATES || patterns.len() >= MAX_PATTERNS {
                return patterns;
            }
            next.skipPair();
            next.skipPair();
            next.extend();
        }
    }
    patterns
}
