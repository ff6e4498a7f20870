//! Scanning: which sizes of a picture are looked at, how they are turned into dark and light, and in which order.
//!
//! No single way reads every code. Small layers see through the moiré of a photographed screen and are quick; large ones read
//! codes that are far away; sharpening undoes blur; wide windows see through blotches. [`still`] tries them all until nothing
//! is left to explain. [`Live`] does the likely ones in every frame and the others in turns.

mod live;

pub use live::{Hints, Live, Update};

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::bits::Bits;
use crate::decoder::Pattern;
use crate::detect::{self, Found, STILL, Seen, WHOLE_STILL};
use crate::finder::Budget;
use crate::grid::Shade;
use crate::luma::{Gray, Plane};
use crate::read::Code;

/// Larger pictures are shrunk to this first, in pixels a side.
const LARGEST_SIDE: usize = 4096;
/// Layers get no smaller than this, in pixels of the longer side.
const SMALLEST_LAYER: usize = 240;
/// Up to here a picture may be too coarse for its codes, and is enlarged.
const SMALL_SIDE: usize = 1400;

/// A way to look at a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// How often the picture is shrunk.
    shrink: usize,
    treatment: Treatment,
    threshold: Threshold,
    inverted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    None,
    Sharpen,
    /// By so many halves.
    Enlarge(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threshold {
    Blocks,
    /// The window is the longer side divided by this.
    LocalMean(usize),
    One,
}

impl Pass {
    const fn plain(shrink: usize) -> Self {
        Self { shrink, treatment: Treatment::None, threshold: Threshold::Blocks, inverted: false }
    }

    const fn inverted(self) -> Self {
        Self { inverted: true, ..self }
    }

    const fn treated(self, treatment: Treatment) -> Self {
        Self { treatment, ..self }
    }

    const fn by(self, threshold: Threshold) -> Self {
        Self { threshold, ..self }
    }

    /// Whether the picture that is looked at in this way has a useful size.
    fn is_sensible_for(&self, plane: Plane<'_>) -> bool {
        let longest = plane.width().max(plane.height());
        match self.treatment {
            Treatment::Enlarge(_) => longest <= SMALL_SIDE,
            Treatment::None | Treatment::Sharpen => self.shrink == 1 || longest / self.shrink >= SMALLEST_LAYER,
        }
    }
}

/// What is tried after the plain layers, the most helpful first.
const EXTRA: [Pass; 12] = [
    Pass::plain(1).treated(Treatment::Sharpen),
    Pass::plain(2).treated(Treatment::Sharpen),
    Pass::plain(3).by(Threshold::LocalMean(32)),
    Pass::plain(2).by(Threshold::LocalMean(8)),
    Pass::plain(1).by(Threshold::One),
    Pass::plain(1).treated(Treatment::Enlarge(3)),
    Pass::plain(1).by(Threshold::LocalMean(32)),
    Pass::plain(1).treated(Treatment::Enlarge(4)),
    Pass::plain(2).by(Threshold::One),
    Pass::plain(3).treated(Treatment::Sharpen),
    Pass::plain(1).treated(Treatment::Sharpen).inverted(),
    Pass::plain(2).by(Threshold::LocalMean(8)).inverted(),
];

/// Finds all codes of a picture, in its pixels.
pub(crate) fn still(plane: Plane<'_>) -> Vec<Found> {
    let longest = plane.width().max(plane.height());
    let times = longest.div_ceil(LARGEST_SIDE);
    let mut smaller = Gray::default();
    let mut plane = plane;
    if times > 1 {
        plane.shrink(times, &mut smaller);
        plane = smaller.plane();
    }
    let mut known = look_everywhere(plane);
    for found in &mut known {
        found.scale(times as f32);
    }
    known
}

/// Looks at a plane in every way that there is, whatever is found, each time as carefully as at a still: thresholds, finder
/// patterns, triples, grids, contents. [`crate::read_picture`], [`crate::read_frame`] and [`Live`] do parts of this, under a net
/// that catches panics; here there is none. For fuzzing: no plane may make it panic, or take long for its size.
///
/// ```
/// let noise: Vec<u8> = (0..64 * 48_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
/// assert!(comptoir_qr::look_in_every_way(comptoir_qr::Plane::new(&noise, 64, 48, 64)?).is_empty());
/// # Ok::<(), comptoir_qr::ReadError>(())
/// ```
#[must_use]
pub fn look_in_every_way(plane: Plane<'_>) -> Vec<Code> {
    let mut desk = Desk::default();
    let mut codes: Vec<Found> = Vec::new();
    for pass in [1, 2, 3, 4].map(Pass::plain).into_iter().chain(EXTRA) {
        for pass in [pass, Pass { inverted: !pass.inverted, ..pass }] {
            codes.extend(desk.look(plane, pass, &STILL, &[]).found);
        }
    }
    codes.into_iter().map(Code::of).collect()
}

/// Finds the codes of a clean picture, such as one that was just drawn. A decoder that panics found nothing.
pub(crate) fn plain(plane: Plane<'_>) -> Vec<Found> {
    let look = || Desk::default().look(plane, Pass::plain(1), &STILL, &[]).found;
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_default()
}

fn look_everywhere(plane: Plane<'_>) -> Vec<Found> {
    let longest = plane.width().max(plane.height());
    let mut desk = Desk::default();
    let mut known = Known::default();
    let layers = [1, 2, 3, 4, 6, 8].into_iter().filter(|times| *times == 1 || longest / times >= SMALLEST_LAYER);
    let mut purse = WHOLE_STILL;
    for pass in layers.map(Pass::plain) {
        known.look(&mut desk, plane, pass, &STILL, &mut purse);
        known.look(&mut desk, plane, pass.inverted(), &STILL, &mut purse);
    }
    for pass in EXTRA {
        if known.is_all_explained() {
            break;
        }
        if pass.is_sensible_for(plane) {
            known.look(&mut desk, plane, pass, &STILL, &mut purse);
        }
    }
    known.codes
}

/// The codes of a picture, each once, and what looks like more.
#[derive(Debug, Default)]
struct Known {
    codes: Vec<Found>,
    /// Finder patterns of the pass that left most.
    left_over: Vec<Pattern>,
}

impl Known {
    /// Looks in one more way, beside what is known, and pays for it.
    fn look(&mut self, desk: &mut Desk, plane: Plane<'_>, pass: Pass, budget: &Budget, purse: &mut Budget) {
        let seen = desk.look(plane, pass, &budget.within(purse), &self.codes);
        purse.pay(&seen.spent);
        self.add(seen);
    }

    fn add(&mut self, seen: Seen) {
        for found in seen.found {
            if !self.codes.iter().any(|known| known.is_same(&found)) {
                self.codes.push(found);
            }
        }
        if seen.left_over.len() > self.left_over.len() {
            self.left_over = seen.left_over;
        }
    }

    /// Whether a code was read and no three finder patterns lie outside of those that were.
    fn is_all_explained(&self) -> bool {
        let outside =
            self.left_over.iter().filter(|pattern| !self.codes.iter().any(|code| code.covers(pattern.x, pattern.y)));
        !self.codes.is_empty() && outside.count() < 3
    }
}

/// The pictures that are made of a picture, kept for the next one.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// The picture some times smaller; 0 times: not made yet.
    layers: Vec<(usize, Gray)>,
    treated: Gray,
    bits: Bits,
    /// The way in which the bits were made.
    last: Option<Pass>,
}

impl Desk {
    /// Another picture: what was made of the last one is no longer true.
    fn clear(&mut self) {
        self.last = None;
        for (times, _) in &mut self.layers {
            *times = 0;
        }
    }

    /// Looks at a picture in one way; what was found is in its own pixels. Until [`Self::clear`] the picture is the same.
    fn look(&mut self, plane: Plane<'_>, pass: Pass, budget: &Budget, known: &[Found]) -> Seen {
        let upright = Pass { inverted: false, ..pass };
        let is_made = self.last == Some(upright);
        self.last = Some(pass);
        let layer = if pass.shrink == 1 { plane } else { layer(&mut self.layers, plane, pass.shrink).plane() };
        let mut scale = pass.shrink as f32;
        let shown = match pass.treatment {
            Treatment::None => layer,
            Treatment::Sharpen => {
                if !is_made {
                    layer.sharpen(&mut self.treated);
                }
                self.treated.plane()
            }
            Treatment::Enlarge(halves) => {
                if !is_made {
                    layer.enlarge(halves, &mut self.treated);
                }
                scale *= 2.0 / halves as f32;
                self.treated.plane()
            }
        };
        if !is_made {
            match pass.threshold {
                Threshold::Blocks => self.bits.by_blocks(shown),
                Threshold::LocalMean(part) => {
                    self.bits.by_local_mean(shown, shown.width().max(shown.height()) / part);
                }
                Threshold::One => self.bits.by_one_threshold(shown),
            }
        }
        if pass.inverted {
            self.bits.invert();
        }
        let known: Vec<Found> = known
            .iter()
            .map(|found| {
                let mut found = found.clone();
                found.scale(1.0 / scale);
                found
            })
            .collect();
        let mut seen = detect::detect(&self.bits, Shade { plane: shown, inverted: pass.inverted }, budget, &known);
        for found in &mut seen.found {
            found.scale(scale);
        }
        for pattern in &mut seen.left_over {
            *pattern =
                Pattern { x: pattern.x * scale, y: pattern.y * scale, size: (pattern.size as f32 * scale) as i32 };
        }
        seen
    }
}

/// A smaller picture, made of one that has been made already where that is possible.
fn layer<'a>(layers: &'a mut Vec<(usize, Gray)>, plane: Plane<'_>, times: usize) -> &'a Gray {
    if times == 4 {
        layer(layers, plane, 2); // Quicker on the way, and wanted next.
    }
    let at = layers.iter().position(|(made, _)| *made == times).unwrap_or_else(|| {
        let free = layers.iter().position(|(made, _)| *made == 0);
        let (_, mut gray) = free.map_or_else(Default::default, |at| layers.swap_remove(at));
        match layers.iter().filter(|(made, _)| *made > 0 && times.is_multiple_of(*made)).max_by_key(|(made, _)| *made) {
            Some((made, larger)) => larger.plane().shrink(times / made, &mut gray),
            None => plane.shrink(times, &mut gray),
        }
        layers.push((times, gray));
        layers.len() - 1
    });
    &layers[at].1
}
