//! From dark and light pixels to codes, within a budget of work.

use crate::bits::Bits;
use crate::decoder::{self, Pattern};
use crate::finder::{self, Budget};
use crate::grid::{self, Shade};
use crate::modules::Content;

/// While a camera runs: the next frame comes in a thirtieth of a second.
pub(crate) const LIVE: Budget = Budget { candidates: 20_000, measured: 600, patterns: 120, triples: 40, fitted: 1 };
/// For a picture that somebody chose.
pub(crate) const STILL: Budget = Budget { candidates: 60_000, measured: 3_000, patterns: 600, triples: 120, fitted: 8 };

/// Codes reported from one picture.
const MAX_CODES: usize = 64;

/// One code, its corners in pixels: top left, top right, bottom right, bottom left as the code itself has them.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) content: Content,
    pub(crate) corners: [[f32; 2]; 4],
    /// The width of a module, in pixels.
    pub(crate) module_size: f32,
}

impl Found {
    /// The same code in a picture so many times as large.
    pub(crate) fn scale(&mut self, times: f32) {
        self.corners = self.corners.map(|corner| corner.map(|axis| axis * times));
        self.module_size *= times;
    }

    /// Whether a place lies inside the code.
    pub(crate) fn covers(&self, x: f32, y: f32) -> bool {
        let [a, b, c, d] = self.corners;
        // On the same side of all four edges.
        let sides = [(a, b), (b, c), (c, d), (d, a)]
            .map(|(from, to)| (to[0] - from[0]) * (y - from[1]) - (to[1] - from[1]) * (x - from[0]));
        sides.iter().all(|side| *side >= 0.0) || sides.iter().all(|side| *side <= 0.0)
    }

    /// Whether two finds are one code seen twice: the same content, the middle of one within the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let middle = |axis: usize| other.corners.iter().map(|corner| corner[axis]).sum::<f32>() / 4.0;
        self.content.bytes == other.content.bytes && self.covers(middle(0), middle(1))
    }
}

/// What one look at a picture gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) found: Vec<Found>,
    /// Finder patterns that belong to no code that was read.
    pub(crate) left_over: Vec<Pattern>,
}

/// Finds the dark-on-light codes. `gray` is what the bits were made of: codes that do not read in bits are looked at again
/// in it.
/// What lies in codes that are `known` is not looked at.
pub(crate) fn detect(bits: &Bits, gray: Shade<'_>, budget: &Budget, known: &[Found]) -> Seen {
    let (patterns, matrix) = finder::patterns(bits, budget, |x, y| known.iter().any(|code| code.covers(x, y)));
    let mut seen = Seen::default();
    let mut failed = Vec::new();
    let mut used: Vec<Pattern> = Vec::new();
    if let Some(matrix) = matrix {
        for triple in decoder::triples(&patterns) {
            let parts = [triple.top_left, triple.top_right, triple.bottom_left];
            if parts.iter().any(|part| used.contains(part)) {
                continue;
            }
            let read = matrix.sample(&triple).and_then(|(modules, corners)| {
                Some(found(modules.read()?, corners, modules.side()))
            });
            match read {
                Some(found) => {
                    used.extend(parts);
                    seen.found.push(found);
                }
                None => failed.push(triple),
            }
            if failed.len() >= budget.triples || seen.found.len() >= MAX_CODES {
                break;
            }
        }
    }
    let mut fitted = 0;
    for triple in &failed {
        let parts = [triple.top_left, triple.top_right, triple.bottom_left];
        if fitted >= budget.fitted || parts.iter().any(|part| used.contains(part)) {
            continue;
        }
        fitted += 1;
        if let Some((content, corners, side)) = grid::read(gray, triple) {
            used.extend(parts);
            seen.found.push(found(content, corners, side));
        }
    }
    seen.left_over = patterns.into_iter().filter(|pattern| !used.contains(pattern)).collect();
    seen
}

fn found(content: Content, corners: [[f32; 2]; 4], side: usize) -> Found {
    let [a, b, _, d] = corners;
    let module_size = ((b[0] - a[0]).hypot(b[1] - a[1]) + (d[0] - a[0]).hypot(d[1] - a[1])) / 2.0 / side as f32;
    // A code in a mirror has its corners the other way round.
    let corners = if content.mirrored { [corners[0], corners[3], corners[2], corners[1]] } else { corners };
    Found { content, corners, module_size }
}
