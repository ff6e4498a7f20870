//! A running camera: the likely ways to look in every frame, the others in turns.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Desk, Known, Pass, Threshold, Treatment};
use crate::decoder::Pattern;
use crate::detect::{Found, LIVE, WHOLE_FRAME};
use crate::finder::Budget;
use crate::luma::Plane;
use crate::read::Code;

/// A code that was out of view for so many frames is new when it comes back: a second, about.
const FORGOTTEN_AFTER: u32 = 30;
/// A code that needed more of its error correction than this is believed when a second frame says the same.
const SURE_PERCENT: u32 = 60;
/// Below this mean brightness a lamp would help.
const DARK: u8 = 45;
/// Modules narrower than this, in pixels, read badly: come closer.
const NARROW_MODULE: f32 = 2.2;
/// The layers of a frame, the quickest first.
const PLAIN: [Pass; 3] = [Pass::plain(4), Pass::plain(2), Pass::plain(1)];
/// Quick ways, one of them after all the layers.
const QUICK: [Pass; 6] = [
    Pass::plain(2).treated(Treatment::Sharpen),
    Pass::plain(2).inverted(),
    Pass::plain(4).by(Threshold::LocalMean(32)),
    Pass::plain(2).by(Threshold::LocalMean(8)),
    Pass::plain(4).treated(Treatment::Sharpen),
    Pass::plain(4).by(Threshold::LocalMean(8)).inverted(),
];
/// Ways that look at every pixel, one of them in place of the largest layer in every second frame.
const THOROUGH: [Pass; 5] = [
    Pass::plain(1).treated(Treatment::Sharpen),
    Pass::plain(1).inverted(),
    Pass::plain(1).by(Threshold::One),
    Pass::plain(1).by(Threshold::LocalMean(32)),
    Pass::plain(1).by(Threshold::LocalMean(8)),
];

/// What a frame showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Codes that came into view: each is reported once until it has been away for a while.
    pub codes: Vec<Code>,
    /// What may help to read more.
    pub hints: Hints,
}

/// What a camera screen can do to help.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The corners of all codes that are in view, read in this frame, reported before or not: draw a line around them.
    pub in_view: Vec<[[i32; 2]; 4]>,
    /// A box around what looks like a code and was not read: left, top, right, bottom. Focus there.
    pub region: Option<[i32; 4]>,
    /// The code in that box is too small in the picture: zoom in, or ask the person to come closer.
    pub zoom: bool,
    /// The picture is dark: a lamp would help.
    pub torch: bool,
}

/// Reads the codes that a camera sees, frame after frame, and keeps its buffers.
///
/// ```
/// use comptoir_qr::{Live, Plane, Symbol};
///
/// let symbol = Symbol::of_text("two croissants")?;
/// let pixels: Vec<u8> =
///     (0..320 * 240).map(|at| if symbol.is_dark((at % 320) / 4 - 20, (at / 320) / 4 - 10) { 30 } else { 220 }).collect();
/// let frame = Plane::new(&pixels, 320, 240, 320)?;
///
/// let mut live = Live::default();
/// assert_eq!(live.frame(frame).codes[0].text.as_deref(), Some("two croissants"));
/// assert!(live.frame(frame).codes.is_empty(), "the same code is not news");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Live {
    desk: Desk,
    /// Frames so far.
    now: u32,
    /// Frames that gave nothing: each is looked at a little differently.
    turn: usize,
    /// The way that read a code last: it will again.
    lucky: Option<Pass>,
    seen: Vec<Sighting>,
    /// Where something looked like a code in the last frame.
    region: Option<[i32; 4]>,
}

#[derive(Debug)]
struct Sighting {
    bytes: Vec<u8>,
    last: u32,
    reported: bool,
}

impl Live {
    /// Looks at a frame, on the caller's thread and without a copy. Takes a few milliseconds; no picture makes it panic or
    /// take long.
    pub fn frame(&mut self, plane: Plane<'_>) -> Update {
        // What is half made when the library panics is made anew for the next frame.
        catch_unwind(AssertUnwindSafe(|| self.look(plane))).unwrap_or_default()
    }

    fn look(&mut self, plane: Plane<'_>) -> Update {
        self.desk.clear();
        self.now = self.now.wrapping_add(1);
        let mut known = Known::default();
        let mut narrow = f32::INFINITY;
        let turn = self.turn / 2;
        let ways = if self.turn.is_multiple_of(2) {
            [PLAIN[0], PLAIN[1], PLAIN[2], QUICK[turn % QUICK.len()]]
        } else {
            [PLAIN[0], PLAIN[1], THOROUGH[turn % THOROUGH.len()], QUICK[(turn + QUICK.len() / 2) % QUICK.len()]]
        };
        let mut purse = WHOLE_FRAME;
        let lucky = self.lucky.take();
        for pass in lucky.into_iter().chain(ways.into_iter().filter(|pass| Some(*pass) != lucky)) {
            if !pass.is_sensible_for(plane) {
                continue;
            }
            known.look(&mut self.desk, plane, pass, &LIVE, &mut purse);
            if !known.codes.is_empty() {
                self.lucky = Some(pass);
                break;
            }
        }
        if known.codes.is_empty() {
            self.turn += 1;
            self.look_closer(plane, &mut known, &purse);
        }
        for pattern in &known.left_over {
            narrow = narrow.min(pattern.size as f32 / 7.0);
        }
        self.region = if known.codes.is_empty() { around(&known.left_over) } else { None };
        let hints = Hints {
            in_view: known.codes.iter().map(|found| Code::of(found.clone()).corners).collect(),
            region: self.region,
            zoom: self.region.is_some() && narrow < NARROW_MODULE,
            torch: plane.brightness() < DARK,
        };
        let codes = known.codes.into_iter().filter(|found| self.is_news(found)).map(Code::of).collect();
        Update { codes, hints }
    }

    /// Looks at what seemed to be a code in the last frame, larger or sharper.
    fn look_closer(&mut self, plane: Plane<'_>, known: &mut Known, purse: &Budget) {
        let Some((part, [left, top])) = self.region.and_then(|region| crop(plane, region)) else {
            return;
        };
        // Another picture for the desk.
        self.desk.clear();
        let treatment = if self.turn.is_multiple_of(2) { Treatment::Enlarge(3) } else { Treatment::Sharpen };
        let mut seen = self.desk.look(part, Pass::plain(1).treated(treatment), &LIVE.within(purse), &[]);
        for found in &mut seen.found {
            found.corners = found.corners.map(|[x, y]| [x + left as f32, y + top as f32]);
        }
        seen.left_over.clear();
        known.add(seen);
    }

    fn is_news(&mut self, found: &Found) -> bool {
        let now = self.now;
        self.seen.retain(|sighting| now.wrapping_sub(sighting.last) <= FORGOTTEN_AFTER);
        let sure = found.content.strain_percent <= SURE_PERCENT;
        match self.seen.iter_mut().find(|sighting| sighting.bytes == found.content.bytes) {
            Some(sighting) => {
                let news = !sighting.reported && (sure || sighting.last != now);
                sighting.last = now;
                sighting.reported |= news;
                news
            }
            None => {
                self.seen.push(Sighting { bytes: found.content.bytes.clone(), last: now, reported: sure });
                sure
            }
        }
    }
}

/// The box around two or more finder patterns, with room for the rest of their code.
fn around(patterns: &[Pattern]) -> Option<[i32; 4]> {
    if !(2..=12).contains(&patterns.len()) {
        return None;
    }
    let ends = |of: fn(&Pattern) -> f32| {
        let all = || patterns.iter().map(of);
        let margin = patterns.iter().map(|pattern| pattern.size).max().unwrap_or_default() as f32;
        let (low, high) = (all().fold(f32::INFINITY, f32::min), all().fold(f32::NEG_INFINITY, f32::max));
        ((low - margin) as i32, (high + margin) as i32)
    };
    let ((left, right), (top, bottom)) = (ends(|pattern| pattern.x), ends(|pattern| pattern.y));
    // Of two finders on one line the code lies above or below.
    let (width, height) = (right - left, bottom - top);
    let (across, down) = ((height - width).max(0), (width - height).max(0));
    Some([left - across, top - down, right + across, bottom + down])
}

/// The part of a frame in a box, if it is small enough to be worth it, and where it begins.
fn crop(plane: Plane<'_>, [left, top, right, bottom]: [i32; 4]) -> Option<(Plane<'_>, [usize; 2])> {
    let [left, top] = [left, top].map(|edge| edge.max(0) as usize);
    let (width, height) = ((right.max(0) as usize).checked_sub(left)?, (bottom.max(0) as usize).checked_sub(top)?);
    let is_part = width * height * 5 < plane.width() * plane.height();
    let part = plane.crop(left, top, width, height).filter(|_| is_part)?;
    Some((part, [left, top]))
}
