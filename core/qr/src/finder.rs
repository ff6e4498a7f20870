//! Finder patterns: the three eyes of a code, dark and light in the ratio 1 : 1 : 3 : 1 : 1 along every line through the
//! middle (ISO/IEC 18004). Rows are read by their edges, a word at a time; what looks like an eye is looked at crosswise,
//! and only what looks like one both ways is measured by the library. Every step is counted, so no picture takes long.

use crate::bits::{Bits, Word};
use crate::decoder::{Matrix, Pattern};

/// How much work may go into one picture. It depends on the picture alone, so the same picture gives the same answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    /// Stretches of pixels in a row that look like an eye.
    pub(crate) candidates: usize,
    /// Places that are measured.
    pub(crate) measured: usize,
    /// Finder patterns kept.
    pub(crate) patterns: usize,
    /// Triples of them that may turn out not to be a code.
    pub(crate) triples: usize,
    /// Of those, triples that are looked at again in gray.
    pub(crate) fitted: usize,
}

impl Budget {
    /// What of it a purse still pays for.
    pub(crate) fn within(&self, purse: &Self) -> Self {
        Self {
            candidates: self.candidates.min(purse.candidates),
            measured: self.measured.min(purse.measured),
            patterns: self.patterns.min(purse.patterns),
            triples: self.triples.min(purse.triples),
            fitted: self.fitted.min(purse.fitted),
        }
    }

    /// Takes out of the purse what was spent; patterns are kept, not spent.
    pub(crate) fn pay(&mut self, spent: &Self) {
        self.candidates = self.candidates.saturating_sub(spent.candidates);
        self.measured = self.measured.saturating_sub(spent.measured);
        self.triples = self.triples.saturating_sub(spent.triples);
        self.fitted = self.fitted.saturating_sub(spent.fitted);
    }
}

/// Every how many rows is looked at. The middle of an eye is three modules high.
const ROW_STEP: usize = 3;

/// Finds the finder patterns of a picture, but for places that are taken. The matrix is made when there is something to measure, and comes
/// back with them and with what was spent.
pub(crate) fn patterns(
    bits: &Bits,
    budget: &Budget,
    is_taken: impl Fn(f32, f32) -> bool,
) -> (Vec<Pattern>, Option<Matrix>, Budget) {
    let mut patterns: Vec<Pattern> = Vec::new();
    let mut matrix = None;
    let mut edges = Vec::new();
    let mut spent = Budget::default();
    for y in (ROW_STEP - 1..bits.height()).step_by(ROW_STEP) {
        find_edges(bits.row(y), bits.width(), &mut edges);
        for window in edges.windows(6).step_by(2) {
            let &[a, b, c, d, e, f] = window else { continue };
            if !is_eye([b - a, c - b, d - c, e - d, f - e]) {
                continue;
            }
            if spent.candidates >= budget.candidates {
                return (patterns, matrix, spent);
            }
            spent.candidates += 1;
            let (x, width) = ((c + d) / 2, f - a);
            let is_known = |old: &Pattern| {
                let (across, down) = (x as f32 - old.x, y as f32 - old.y);
                across * across + down * down < (old.size * old.size) as f32 / 4.0
            };
            if patterns.iter().any(is_known) || is_taken(x as f32, y as f32) {
                continue;
            }
            let Some(middle) = middle_of_column(bits, x as i32, y as i32, width as i32) else {
                continue;
            };
            if spent.measured >= budget.measured {
                return (patterns, matrix, spent);
            }
            spent.measured += 1;
            if matrix.is_none() {
                matrix = Matrix::of(bits);
            }
            // Three times the width, for very slanted codes.
            let found =
                matrix.as_ref().and_then(|matrix| matrix.locate(x as f32, middle as f32 + 0.5, 3 * width as i32));
            patterns.extend(found.filter(|found| !patterns.iter().any(|old| is_same(old, found))));
            if patterns.len() >= budget.patterns {
                return (patterns, matrix, spent);
            }
        }
    }
    (patterns, matrix, spent)
}

fn is_same(one: &Pattern, other: &Pattern) -> bool {
    let (across, down) = (one.x - other.x, one.y - other.y);
    across * across + down * down < (one.size * one.size) as f32 / 16.0
}

/// Where a row changes between light and dark: into the dark at even places, out of it at odd ones.
fn find_edges(row: &[Word], width: usize, edges: &mut Vec<u32>) {
    edges.clear();
    let mut last = 0; // Left of the row is light.
    for (at, word) in row.iter().enumerate() {
        let mut changes = word ^ (word << 1 | last);
        last = word >> (Word::BITS - 1);
        while changes != 0 {
            edges.push((at * Word::BITS as usize) as u32 + changes.trailing_zeros());
            changes &= changes - 1;
        }
    }
    if edges.len() % 2 == 1 {
        edges.push(width as u32);
    }
}

/// Whether five stretches are as 1 : 1 : 3 : 1 : 1, with room for blur, slant, and ink that has run or faded: dark and
/// light each have a module of their own.
fn is_eye(runs: [u32; 5]) -> bool {
    let [a, b, c, d, e] = runs;
    // The quick look, which throws out nearly everything.
    if c < 3 || c < 2 * a.max(e) || c < b.max(d) {
        return false;
    }
    let [a, b, c, d, e] = runs.map(|run| run as f32);
    let (dark, light) = ((a + c + e) / 5.0, (b + d) / 2.0);
    if dark.max(light) > 4.0 * dark.min(light) {
        return false;
    }
    let (dark_slack, light_slack) = (dark * 0.75 + 0.5, light / 3.0 + 0.5);
    (a - dark).abs() <= dark_slack
        && (c - 3.0 * dark).abs() <= dark_slack
        && (e - dark).abs() <= dark_slack
        && (b - light).abs() <= light_slack
        && (d - light).abs() <= light_slack
}

/// The middle of the eye in the column through its middle, if it is one in that direction too.
fn middle_of_column(bits: &Bits, x: i32, y: i32, width: i32) -> Option<i32> {
    let reach = 3 * width;
    let step = |mut y: i32, direction: i32, dark: bool| {
        let start = y;
        while bits.is_dark(x, y) == dark {
            y += direction;
            if (y - start).abs() > reach || y < -1 || y > bits.height() as i32 {
                return None;
            }
        }
        Some(y)
    };
    if !bits.is_dark(x, y) {
        return None;
    }
    let up = step(y, -1, true)?;
    let upper_light = step(up, -1, false)?;
    let upper_dark = step(upper_light, -1, true)?;
    let down = step(y, 1, true)?;
    let lower_light = step(down, 1, false)?;
    let lower_dark = step(lower_light, 1, true)?;
    let runs =
        [upper_light - upper_dark, up - upper_light, down - up - 1, lower_light - down, lower_dark - lower_light];
    is_eye(runs.map(|run| run as u32)).then_some((up + down) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Budget = Budget { candidates: 10_000, measured: 1_000, patterns: 100, triples: 10, fitted: 0 };

    fn eye(x: usize, y: usize, scale: usize) -> bool {
        let ring = (x / scale % 9).abs_diff(4).max((y / scale % 9).abs_diff(4));
        ring <= 1 || ring == 3
    }

    #[test]
    fn edges_are_found_across_words() {
        let bits = Bits::from_fn(150, 1, |x, _| (60..70).contains(&x) || (127..128).contains(&x) || x >= 140);
        let mut edges = Vec::new();
        find_edges(bits.row(0), 150, &mut edges);
        assert_eq!(edges, [60, 70, 127, 128, 140, 150]);
    }

    #[test]
    fn eyes_are_found_in_the_middle() {
        for scale in [1, 2, 5, 11] {
            let bits = Bits::from_fn(9 * scale, 9 * scale, |x, y| eye(x, y, scale));
            let (found, ..) = patterns(&bits, &ALL, |_, _| false);
            let [one] = found.as_slice() else { panic!("{found:?} at {scale}") };
            let middle = 4.5 * scale as f32;
            assert!((one.x - middle).abs() < 0.6 && (one.y - middle).abs() < 0.6, "{one:?} at {scale}");
            assert!(one.size.abs_diff(7 * scale as i32) <= 1, "{one:?} at {scale}");
        }
    }

    #[test]
    fn work_ends_with_the_budget() {
        let bits = Bits::from_fn(900, 900, |x, y| eye(x, y, 1));
        assert_eq!(patterns(&bits, &ALL, |_, _| false).0.len(), 100);
        assert!(patterns(&bits, &Budget { measured: 7, ..ALL }, |_, _| false).0.len() <= 7);
        assert!(patterns(&bits, &Budget { candidates: 3, ..ALL }, |_, _| false).0.len() <= 3);
    }

    #[test]
    fn bars_are_no_eyes() {
        let bits = Bits::from_fn(90, 90, |x, _| eye(x, 4, 2));
        assert!(patterns(&bits, &ALL, |_, _| false).0.is_empty());
    }
}
