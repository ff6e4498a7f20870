//! From dark and light pixels to codes, within a budget of work.

use crate::bits::Bits;
use crate::decoder::{self, Pattern, Triple};
use crate::finder::{self, Budget};
use crate::grid::{self, Shade};
use crate::modules::Content;

/// One look while a camera runs: the next frame comes in a thirtieth of a second.
pub(crate) const LIVE: Budget = Budget { candidates: 20_000, measured: 600, patterns: 120, triples: 40, fitted: 2 };
/// All looks at a frame.
pub(crate) const WHOLE_FRAME: Budget =
    Budget { candidates: 60_000, measured: 1_200, patterns: usize::MAX, triples: 80, fitted: 3 };
/// One look at a picture that somebody chose.
pub(crate) const STILL: Budget = Budget { candidates: 60_000, measured: 3_000, patterns: 600, triples: 120, fitted: 8 };
/// All looks at such a picture.
pub(crate) const WHOLE_STILL: Budget =
    Budget { candidates: 600_000, measured: 15_000, patterns: usize::MAX, triples: 800, fitted: 40 };

/// Up to so many patterns that belong to no code, every triple of them is thought of.
const FEW: usize = 6;
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
    /// What it took.
    pub(crate) spent: Budget,
}

/// Finds the dark-on-light codes. `gray` is what the bits were made of: codes that do not read in bits are looked at again
/// in it.
/// What lies in codes that are `known` is not looked at.
pub(crate) fn detect(bits: &Bits, gray: Shade<'_>, budget: &Budget, known: &[Found]) -> Seen {
    let is_taken = |x, y| known.iter().any(|code| code.covers(x, y));
    let (patterns, matrix, mut spent) = finder::patterns(bits, budget, is_taken);
    let mut seen = Seen::default();
    let mut failed = Vec::new();
    let mut used: Vec<Pattern> = Vec::new();
    if let Some(matrix) = matrix {
        for triple in decoder::triples(&patterns) {
            let parts = [triple.top_left, triple.top_right, triple.bottom_left];
            if parts.iter().any(|part| used.contains(part)) {
                continue;
            }
            let read = matrix
                .sample(&triple)
                .and_then(|(modules, corners)| Some(found(modules.read()?, corners, modules.side())));
            match read {
                Some(found) => {
                    used.extend(parts);
                    seen.found.push(found);
                }
                None => failed.push(triple),
            }
            spent.triples = failed.len();
            if failed.len() >= budget.triples || seen.found.len() >= MAX_CODES {
                break;
            }
        }
    }
    let rest: Vec<Pattern> = patterns.iter().copied().filter(|pattern| !used.contains(pattern)).collect();
    if rest.len() <= FEW {
        failed.extend(slanted(&rest).into_iter().filter(|triple| !failed.contains(triple)).collect::<Vec<_>>());
    }
    for triple in &failed {
        let parts = [triple.top_left, triple.top_right, triple.bottom_left];
        if spent.fitted >= budget.fitted || parts.iter().any(|part| used.contains(part)) {
            continue;
        }
        spent.fitted += 1;
        if let Some((content, corners, side)) = grid::read(gray, triple) {
            used.extend(parts);
            seen.found.push(found(content, corners, side));
        }
    }
    seen.spent = spent;
    seen.left_over = patterns.into_iter().filter(|pattern| !used.contains(pattern)).collect();
    seen
}

/// Any three patterns, each of them as the corner: seen from the side, the right angle may be anything but right. The likeliest
/// first.
fn slanted(patterns: &[Pattern]) -> Vec<Triple> {
    let mut triples = Vec::new();
    for (corner, top_left) in patterns.iter().enumerate() {
        for (at, one) in patterns.iter().enumerate().filter(|(at, _)| *at != corner) {
            for (_, other) in patterns.iter().enumerate().skip(at + 1).filter(|(at, _)| *at != corner) {
                let to = |pattern: &Pattern| [pattern.x - top_left.x, pattern.y - top_left.y];
                let ([ax, ay], [bx, by]) = (to(one), to(other));
                let (cross, dot) = (ax * by - ay * bx, ax * bx + ay * by);
                let (a, b) = (ax.hypot(ay), bx.hypot(by));
                let sizes = [top_left.size, one.size, other.size];
                let is_possible = a.max(b) < 5.0 * a.min(b)
                    && sizes.iter().max() <= sizes.iter().min().map(|size| size * 4).as_ref()
                    && cross.abs() > 0.4 * a * b;
                if is_possible {
                    let (top_right, bottom_left) = if cross > 0.0 { (*one, *other) } else { (*other, *one) };
                    // The further from a right angle, the less likely.
                    triples.push(((dot / (a * b)).abs(), Triple { top_left: *top_left, top_right, bottom_left }));
                }
            }
        }
    }
    triples.sort_by(|one, other| one.0.total_cmp(&other.0));
    triples.into_iter().map(|(_, triple)| triple).collect()
}

fn found(content: Content, corners: [[f32; 2]; 4], side: usize) -> Found {
    let [a, b, _, d] = corners;
    let module_size = ((b[0] - a[0]).hypot(b[1] - a[1]) + (d[0] - a[0]).hypot(d[1] - a[1])) / 2.0 / side as f32;
    // A code in a mirror has its corners the other way round.
    let corners = if content.mirrored { [corners[0], corners[3], corners[2], corners[1]] } else { corners };
    Found { content, corners, module_size }
}
