//! A studio: it draws symbols of every version, level and mask, takes photographs of them under bad conditions, and makes
//! pictures that are meant to hurt. Everything comes from a seed, so a picture that is missed can be made again.
//! The tests of this room and the bench use the same one.
#![allow(dead_code, clippy::unwrap_used, reason = "each user needs a part; helpers of a test may panic like the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a kind of picture differs from a good one in a thing or two")]

pub(crate) mod hostile;

use std::f32::consts::{PI, TAU};

use qrcode::bits::Bits;
use qrcode::canvas::{Canvas, MaskPattern};
use qrcode::{Color, EcLevel, Version, ec};

/// Numbers that look random and are the same every time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x6a09_e667_f3bc_c909)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// Noise with a spread of about 1.
    pub(crate) fn grain(&mut self) -> f32 {
        (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * 1.7
    }
}

/// A printed symbol.
#[derive(Clone)]
pub(crate) struct Print {
    pub(crate) text: String,
    pub(crate) side: usize,
    dark: Vec<bool>,
}

pub(crate) const LEVELS: [EcLevel; 4] = [EcLevel::L, EcLevel::M, EcLevel::Q, EcLevel::H];
pub(crate) const MASKS: [MaskPattern; 8] = [
    MaskPattern::Checkerboard,
    MaskPattern::HorizontalLines,
    MaskPattern::VerticalLines,
    MaskPattern::DiagonalLines,
    MaskPattern::LargeCheckerboard,
    MaskPattern::Fields,
    MaskPattern::Diamonds,
    MaskPattern::Meadow,
];

impl Print {
    /// The symbol of a version, level and mask; `None` when the text does not fit.
    pub(crate) fn exact(text: &str, version: i16, level: EcLevel, mask: MaskPattern) -> Option<Self> {
        let mut bits = Bits::new(Version::Normal(version));
        bits.push_optimal_data(text.as_bytes()).ok()?;
        bits.push_terminator(level).ok()?;
        Some(Self::drawn(text, &bits.into_bytes(), version, level, mask))
    }

    /// The symbol of these data codewords.
    pub(crate) fn drawn(text: &str, data: &[u8], version: i16, level: EcLevel, mask: MaskPattern) -> Self {
        let (data, checks) = ec::construct_codewords(data, Version::Normal(version), level).unwrap();
        let mut canvas = Canvas::new(Version::Normal(version), level);
        canvas.draw_all_functional_patterns();
        canvas.draw_data(&data, &checks);
        canvas.apply_mask(mask);
        let side = 17 + 4 * version as usize;
        let dark = canvas.into_colors().into_iter().map(|color| color == Color::Dark).collect();
        Self { text: text.to_owned(), side, dark }
    }

    /// A symbol as somebody would print it: a level and a text of any length, in the smallest version.
    pub(crate) fn any(dice: &mut Dice, longest: usize) -> Self {
        let length = 8 + dice.below(longest.max(9) - 8);
        let text = match dice.below(3) {
            0 => format!("https://bakery.example/{}", word(dice, length)),
            1 => format!("COMPTOIR:C/{}", word(dice, length).to_uppercase()),
            _ => word(dice, length),
        };
        let level = LEVELS[dice.below(4)];
        let mask = MASKS[dice.below(8)];
        (1..=40).find_map(|version| Self::exact(&text, version, level, mask)).unwrap()
    }

    /// Dark, light, or nothing outside of the symbol; in modules.
    pub(crate) fn at(&self, x: f32, y: f32) -> Option<bool> {
        let inside = x >= 0.0 && y >= 0.0 && x < self.side as f32 && y < self.side as f32;
        inside.then(|| self.dark[y as usize * self.side + x as usize])
    }

    /// As on a screen: every module so many pixels wide, four modules of quiet zone.
    pub(crate) fn plain(&self, scale: usize) -> Photo {
        let side = (self.side + 8) * scale;
        Photo::from_fn(side, side, |x, y| {
            let module = |at: usize| (at / scale) as f32 - 3.5;
            if self.at(module(x), module(y)) == Some(true) { 0 } else { 255 }
        })
        .showing(&self.text)
    }
}

fn word(dice: &mut Dice, length: usize) -> String {
    (0..length).map(|_| char::from(b"abcdefghijkmnopqrstuvwxyz023456789-/"[dice.below(36)])).collect()
}

/// A gray picture, and the texts of the codes in it.
#[derive(Clone)]
pub(crate) struct Photo {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<u8>,
    pub(crate) texts: Vec<String>,
}

impl Photo {
    pub(crate) fn from_fn(width: usize, height: usize, mut pixel: impl FnMut(usize, usize) -> u8) -> Self {
        let pixels = (0..width * height).map(|at| pixel(at % width, at / width)).collect();
        Self { width, height, pixels, texts: Vec::new() }
    }

    fn showing(mut self, text: &str) -> Self {
        self.texts.push(text.to_owned());
        self
    }
}

/// What can be wrong with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Held straight, in good light.
    Good,
    Rotated,
    /// Seen from the side.
    Tilted,
    /// On a bottle.
    Bent,
    /// Out of focus.
    Blurred,
    /// The hand moved.
    Shaken,
    /// A bad sensor, or night.
    Noisy,
    /// Faded ink, or fog.
    Pale,
    /// A shadow falls over it.
    Shaded,
    /// A lamp is mirrored in it.
    Glare,
    /// Scratched and stained.
    Damaged,
    /// Photographed from a screen.
    Screen,
    /// Fills the frame.
    Close,
    /// Far away: few pixels for a module.
    Far,
    /// Much in it: many modules.
    Dense,
    /// Light on dark.
    Inverted,
    /// Drawn with dots, or with ink that ran.
    Styled,
    /// Something covers a corner, or the quiet zone is missing.
    Crowded,
    /// Many codes on one sheet.
    Many,
}

pub(crate) const KINDS: [Kind; 19] = [
    Kind::Good,
    Kind::Rotated,
    Kind::Tilted,
    Kind::Bent,
    Kind::Blurred,
    Kind::Shaken,
    Kind::Noisy,
    Kind::Pale,
    Kind::Shaded,
    Kind::Glare,
    Kind::Damaged,
    Kind::Screen,
    Kind::Close,
    Kind::Far,
    Kind::Dense,
    Kind::Inverted,
    Kind::Styled,
    Kind::Crowded,
    Kind::Many,
];

/// How a print lies before the camera.
struct Placed {
    print: Print,
    centre: [f32; 2],
    /// The width of a module in the middle, in pixels.
    module: f32,
    turn: f32,
    tilt: [f32; 2],
    /// How strongly it is bent: modules to the axis of the bottle, 0 is flat.
    radius: f32,
    dot: f32,
    quiet: f32,
}

impl Placed {
    /// The place on the paper, in modules from the symbol's top left, that a pixel sees.
    fn on_paper(&self, x: f32, y: f32) -> Option<[f32; 2]> {
        let (sin, cos) = self.turn.sin_cos();
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        // A plane through the middle, tilted about both axes, seen from some symbol widths away.
        let far = 3.0 * self.print.side as f32 * self.module;
        let depth = 1.0 - (dx * self.tilt[0] + dy * self.tilt[1]) / far;
        if depth < 0.2 {
            return None;
        }
        let stretch = |tilt: f32| (1.0 + tilt * tilt).sqrt();
        let (px, py) = (dx * stretch(self.tilt[0]) / depth, dy * stretch(self.tilt[1]) / depth);
        let mut u = (cos * px + sin * py) / self.module;
        let mut v = (cos * py - sin * px) / self.module;
        if self.radius > 0.0 {
            let across = u / self.radius;
            if across.abs() > 0.95 {
                return None;
            }
            v += (1.0 - (1.0 - across * across).sqrt()) * self.radius * 0.25;
            u = across.asin() * self.radius;
        }
        let half = self.print.side as f32 / 2.0;
        Some([u + half, v + half])
    }

    /// Ink (1), paper (0), or neither.
    fn ink(&self, x: f32, y: f32) -> Option<f32> {
        let [u, v] = self.on_paper(x, y)?;
        match self.print.at(u, v) {
            Some(dark) => {
                let is_eye = {
                    let far = self.print.side as f32 - 7.0;
                    (u < 7.0 || u > far) && (v < 7.0 || v > far) && !(u > far && v > far)
                };
                let off = (u.fract() - 0.5).hypot(v.fract() - 0.5);
                let drawn = dark && (self.dot == 0.0 || is_eye || off < self.dot);
                Some(f32::from(u8::from(drawn)))
            }
            None => {
                let far = self.print.side as f32 + self.quiet;
                (u > -self.quiet && v > -self.quiet && u < far && v < far).then_some(0.0)
            }
        }
    }
}

/// Takes a photograph of one kind. The same seed gives the same picture.
pub(crate) fn photo(kind: Kind, seed: u64, width: usize, height: usize) -> Photo {
    let mut dice = Dice::new(seed.wrapping_mul(64).wrapping_add(kind as u64));
    let longest = match kind {
        Kind::Dense => 700,
        Kind::Many => 40,
        _ => 120,
    };
    let placed = place(kind, &mut dice, longest, width as f32, height as f32);
    let blur = match kind {
        Kind::Blurred => dice.between(0.5, 1.15) * placed[0].module.min(12.0) * 0.75,
        Kind::Far => dice.between(0.3, 0.8),
        _ => dice.between(0.2, 0.9_f32.min(placed[0].module * 0.25).max(0.21)),
    };
    let shake = if kind == Kind::Shaken { dice.between(0.8, 2.2) * placed[0].module.min(14.0) } else { 0.0 };
    let noise = if kind == Kind::Noisy { dice.between(14.0, 60.0) } else { dice.between(0.5, 5.0) };
    let (mut ink, mut paper) = match kind {
        Kind::Pale => {
            let middle = dice.between(50.0, 200.0);
            let half = dice.between(5.0, 25.0);
            (middle - half, middle + half)
        }
        _ => (dice.between(10.0, 60.0), dice.between(150.0, 240.0)),
    };
    if kind == Kind::Inverted {
        std::mem::swap(&mut ink, &mut paper);
    }
    let background = Background::any(&mut dice, ink.min(paper), ink.max(paper));
    let shade = Shade::any(kind, &mut dice);
    let mut light = vec![0.0_f32; width * height];
    let samples = if placed[0].module < 6.0 { 3 } else { 2 };
    for (at, light) in light.iter_mut().enumerate() {
        let (x, y) = ((at % width) as f32, (at / width) as f32);
        let mut sum = 0.0;
        for sample in 0..samples * samples {
            let (dx, dy) = (sample % samples, sample / samples);
            let (x, y) = (x + (dx as f32 + 0.5) / samples as f32, y + (dy as f32 + 0.5) / samples as f32);
            sum += match placed.iter().find_map(|placed| placed.ink(x, y)) {
                Some(inked) => paper + (ink - paper) * inked,
                None => background.at(x, y),
            };
        }
        *light = sum / (samples * samples) as f32 * shade.at(x / width as f32, y / height as f32);
    }
    match kind {
        Kind::Damaged => stain(&mut dice, &mut light, width, &placed[0], ink, paper),
        Kind::Crowded => cover(&mut dice, &mut light, width, &placed[0]),
        Kind::Screen => screen(&mut dice, &mut light, width, placed[0].module),
        Kind::Glare => glare(&mut dice, &mut light, width, &placed[0]),
        _ => {}
    }
    if shake > 1.0 {
        let angle = dice.between(0.0, PI);
        light = shaken(&light, width, shake, angle);
    }
    soften(&mut light, width, blur);
    let pixels = light.iter().map(|light| (light + noise * dice.grain()).clamp(0.0, 255.0) as u8).collect();
    Photo { width, height, pixels, texts: placed.into_iter().map(|placed| placed.print.text).collect() }
}

fn place(kind: Kind, dice: &mut Dice, longest: usize, width: f32, height: f32) -> Vec<Placed> {
    let short = width.min(height);
    let straight = |print: Print, centre: [f32; 2], module: f32, dice: &mut Dice| Placed {
        print,
        centre,
        module,
        turn: dice.between(-0.15, 0.15),
        tilt: [dice.between(-0.15, 0.15), dice.between(-0.15, 0.15)],
        radius: 0.0,
        dot: 0.0,
        quiet: 4.0,
    };
    if kind == Kind::Many {
        let (columns, rows) = (2 + dice.below(4), 2 + dice.below(3));
        let cell = [width / columns as f32, height / rows as f32];
        let mut all = Vec::new();
        for at in 0..columns * rows {
            let print = Print::any(dice, longest);
            let module = cell[0].min(cell[1]) * 0.8 / (print.side as f32 + 8.0);
            let centre = [((at % columns) as f32 + 0.5) * cell[0], ((at / columns) as f32 + 0.5) * cell[1]];
            all.push(straight(print, centre, module, dice));
        }
        return all;
    }
    let print = Print::any(dice, longest);
    let whole = print.side as f32 + 8.0;
    let share = match kind {
        Kind::Close => dice.between(0.95, 1.02),
        Kind::Far => dice.between(1.5, 3.2) * whole / short,
        Kind::Dense => dice.between(0.6, 0.9),
        Kind::Blurred | Kind::Noisy | Kind::Pale | Kind::Shaken => dice.between(0.2, 0.6),
        _ => dice.between(0.25, 0.7),
    };
    let module = (short * share / whole).max(1.4);
    let room = [(width - whole * module).max(0.0) / 2.0, (height - whole * module).max(0.0) / 2.0];
    let centre = [width / 2.0 + dice.between(-0.8, 0.8) * room[0], height / 2.0 + dice.between(-0.8, 0.8) * room[1]];
    let mut placed = straight(print, centre, module, dice);
    match kind {
        Kind::Rotated => placed.turn = dice.between(-PI, PI),
        Kind::Tilted => {
            placed.turn = dice.between(-PI, PI);
            placed.tilt = [dice.between(-1.6, 1.6), dice.between(-1.6, 1.6)];
        }
        Kind::Bent => placed.radius = placed.print.side as f32 * dice.between(0.62, 1.4),
        Kind::Styled => placed.dot = dice.between(0.32, 0.5),
        Kind::Crowded => placed.quiet = dice.between(0.0, 2.0),
        _ => {}
    }
    vec![placed]
}

/// What lies around a code: a flat table, a gradient, or clutter.
struct Background {
    base: f32,
    slope: [f32; 2],
    boxes: Vec<([f32; 4], f32)>,
    weave: f32,
}

impl Background {
    fn any(dice: &mut Dice, low: f32, high: f32) -> Self {
        let clutter = if dice.below(2) == 0 { 0 } else { 60 };
        let boxes = (0..clutter)
            .map(|_| {
                let (left, top) = (dice.between(0.0, 1900.0), dice.between(0.0, 1900.0));
                let size = [dice.between(4.0, 160.0), dice.between(3.0, 60.0)];
                ([left, top, left + size[0], top + size[1]], dice.between(low, high))
            })
            .collect();
        Self {
            base: dice.between(low, high),
            slope: [dice.between(-0.03, 0.03), dice.between(-0.03, 0.03)],
            boxes,
            weave: if dice.below(3) == 0 { dice.between(0.0, 25.0) } else { 0.0 },
        }
    }

    fn at(&self, x: f32, y: f32) -> f32 {
        let boxed = self
            .boxes
            .iter()
            .find(|([left, top, right, bottom], _)| x >= *left && x < *right && y >= *top && y < *bottom);
        let flat = boxed.map_or(self.base + self.slope[0] * x + self.slope[1] * y, |(_, light)| *light);
        flat + self.weave * ((x * 0.9).sin() * (y * 0.7).sin())
    }
}

/// How the light falls: evenly, from one side, or with the edge of a shadow.
struct Shade {
    slope: [f32; 2],
    edge: [f32; 3],
    dark: f32,
}

impl Shade {
    fn any(kind: Kind, dice: &mut Dice) -> Self {
        let strong = kind == Kind::Shaded;
        let reach = if strong { 0.6 } else { 0.12 };
        let angle = dice.between(0.0, TAU);
        Self {
            slope: [dice.between(-reach, reach), dice.between(-reach, reach)],
            edge: [angle.cos(), angle.sin(), dice.between(-0.25, 0.25)],
            dark: if strong { dice.between(0.15, 0.6) } else { 1.0 },
        }
    }

    fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - 0.5, y - 0.5);
        let even = 0.85 + self.slope[0] * x + self.slope[1] * y;
        let side = x * self.edge[0] + y * self.edge[1] - self.edge[2];
        // The edge of a shadow is soft.
        let part = (side * 60.0).clamp(-1.0, 1.0) / 2.0 + 0.5;
        even * (self.dark + (1.0 - self.dark) * part)
    }
}

fn stain(dice: &mut Dice, light: &mut [f32], width: usize, placed: &Placed, ink: f32, paper: f32) {
    let reach = placed.print.side as f32 * placed.module / 2.0;
    let share = dice.between(0.01, 0.10);
    let spots = 3 + dice.below(12);
    let radius = (share / spots as f32 / PI).sqrt() * 2.0 * reach;
    for _ in 0..spots {
        let [x, y] = [0, 1].map(|axis| placed.centre[axis] + dice.between(-reach, reach));
        let radius = radius * dice.between(0.5, 1.4);
        let colour = if dice.below(2) == 0 { ink } else { paper };
        blot(light, width, [x, y], [radius, radius * dice.between(0.3, 1.0)], |_| colour);
    }
}

fn cover(dice: &mut Dice, light: &mut [f32], width: usize, placed: &Placed) {
    // Something lies on the corner without a finder, or touches an edge.
    let reach = placed.print.side as f32 * placed.module / 2.0;
    let (sin, cos) = placed.turn.sin_cos();
    let out = dice.between(0.75, 1.05) * reach;
    let centre = [placed.centre[0] + (cos - sin) * out, placed.centre[1] + (sin + cos) * out];
    let colour = dice.between(20.0, 220.0);
    let radius = dice.between(0.1, 0.3) * reach;
    blot(light, width, centre, [radius, radius], |_| colour);
}

fn glare(dice: &mut Dice, light: &mut [f32], width: usize, placed: &Placed) {
    let reach = placed.print.side as f32 * placed.module / 2.0;
    for _ in 0..1 + dice.below(2) {
        let centre = [0, 1].map(|axis| placed.centre[axis] + dice.between(-1.1, 1.1) * reach);
        let radius = [dice.between(0.3, 1.1) * reach, dice.between(0.3, 1.1) * reach];
        let strength = dice.between(90.0, 330.0);
        let (left, right) = (centre[0] - radius[0], centre[0] + radius[0]);
        let height = light.len() / width;
        for y in (centre[1] - radius[1]).max(0.0) as usize..((centre[1] + radius[1]).max(0.0) as usize).min(height) {
            for x in left.max(0.0) as usize..(right.max(0.0) as usize).min(width) {
                let off = ((x as f32 - centre[0]) / radius[0]).hypot((y as f32 - centre[1]) / radius[1]);
                light[y * width + x] += strength * (1.0 - off * off).max(0.0);
            }
        }
    }
}

fn blot(light: &mut [f32], width: usize, centre: [f32; 2], radius: [f32; 2], colour: impl Fn(f32) -> f32) {
    let height = light.len() / width;
    let ends = |axis: usize, size: usize| {
        let [low, high] = [centre[axis] - radius[axis], centre[axis] + radius[axis]];
        (low.clamp(0.0, size as f32) as usize, high.clamp(0.0, size as f32) as usize)
    };
    let ((left, right), (top, bottom)) = (ends(0, width), ends(1, height));
    for y in top..bottom {
        for x in left..right {
            let off = ((x as f32 - centre[0]) / radius[0]).hypot((y as f32 - centre[1]) / radius[1]);
            if off < 1.0 {
                light[y * width + x] = colour(off);
            }
        }
    }
}

/// The pixels of a display beat against those of the camera.
fn screen(dice: &mut Dice, light: &mut [f32], width: usize, module: f32) {
    let pitch = dice.between(1.7, 4.2).min(module * 0.8);
    let (depth, angle) = (dice.between(0.2, 0.75), dice.between(-0.2, 0.2));
    let (sin, cos) = angle.sin_cos();
    let wave = TAU / pitch;
    for (at, light) in light.iter_mut().enumerate() {
        let (x, y) = ((at % width) as f32, (at / width) as f32);
        let (u, v) = ((cos * x + sin * y) * wave, (cos * y - sin * x) * wave);
        *light *= 1.0 - depth * (0.5 - 0.5 * (u.cos() * 0.6 + v.cos() * 0.4));
    }
}

fn shaken(light: &[f32], width: usize, length: f32, angle: f32) -> Vec<f32> {
    let height = light.len() / width;
    let (sin, cos) = angle.sin_cos();
    let steps = length.ceil().max(2.0) as i32;
    (0..light.len())
        .map(|at| {
            let (x, y) = ((at % width) as f32, (at / width) as f32);
            let sum: f32 = (0..steps)
                .map(|step| {
                    let off = (step as f32 / (steps - 1) as f32 - 0.5) * length;
                    let x = (x + cos * off).clamp(0.0, (width - 1) as f32) as usize;
                    let y = (y + sin * off).clamp(0.0, (height - 1) as f32) as usize;
                    light[y * width + x]
                })
                .sum();
            sum / steps as f32
        })
        .collect()
}

/// A blur with a bell, made of three boxes each way.
fn soften(light: &mut [f32], width: usize, sigma: f32) {
    if sigma < 0.3 {
        return;
    }
    let height = light.len() / width;
    // A bell is the sum of its taps; outside three sigmas nothing is left.
    let reach = (3.0 * sigma).ceil() as i32;
    let taps: Vec<f32> = (-reach..=reach).map(|at| (-(at * at) as f32 / (2.0 * sigma * sigma)).exp()).collect();
    let whole: f32 = taps.iter().sum();
    let mut line = Vec::new();
    for y in 0..height {
        line.clear();
        line.extend_from_slice(&light[y * width..(y + 1) * width]);
        for x in 0..width {
            let sum: f32 = taps
                .iter()
                .enumerate()
                .map(|(at, tap)| tap * line[(x as i32 + at as i32 - reach).clamp(0, width as i32 - 1) as usize])
                .sum();
            light[y * width + x] = sum / whole;
        }
    }
    let source = light.to_vec();
    for y in 0..height {
        let row = &mut light[y * width..(y + 1) * width];
        row.fill(0.0);
        for (at, tap) in taps.iter().enumerate() {
            let from = (y as i32 + at as i32 - reach).clamp(0, height as i32 - 1) as usize;
            for (sum, value) in row.iter_mut().zip(&source[from * width..(from + 1) * width]) {
                *sum += tap / whole * value;
            }
        }
    }
}

/// A frame without a code: a room, a shelf, print.
pub(crate) fn nothing(seed: u64, width: usize, height: usize) -> Photo {
    let mut dice = Dice::new(seed ^ 0xdead);
    let backgrounds: Vec<Background> = (0..3).map(|_| Background::any(&mut dice, 20.0, 235.0)).collect();
    let shade = Shade::any(if dice.below(2) == 0 { Kind::Shaded } else { Kind::Good }, &mut dice);
    // Lines of print: short dark strokes on light, like text seen from afar.
    let (pitch, stroke) = (dice.between(14.0, 50.0), dice.between(2.0, 7.0));
    let text_until = dice.unit();
    let mut light: Vec<f32> = (0..width * height)
        .map(|at| {
            let (x, y) = ((at % width) as f32, (at / width) as f32);
            let page = backgrounds[((x / width as f32) * 3.0) as usize % 3].at(x, y);
            let in_text = y / (height as f32) < text_until && (y % pitch) < pitch * 0.5;
            let letter = ((x / stroke) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((y / pitch) as u64) << 7;
            let letter = (letter ^ letter >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 61;
            let light = if in_text && letter < 3 { page * 0.25 } else { page };
            light * shade.at(x / width as f32, y / height as f32)
        })
        .collect();
    soften(&mut light, width, dice.between(0.4, 1.4));
    let noise = dice.between(1.0, 8.0);
    let pixels = light.iter().map(|light| (light + noise * dice.grain()).clamp(0.0, 255.0) as u8).collect();
    Photo { width, height, pixels, texts: Vec::new() }
}
