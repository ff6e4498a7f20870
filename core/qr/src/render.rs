//! Symbols as PNG, SVG and terminal text: always dark on light and always with the quiet zone, also on dark screens.

use std::fmt::Write as _;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use crate::write::{QUIET_ZONE, Symbol, WriteError};

/// The widest PNG that is written, in pixels.
pub const MAX_PNG_SIDE: u32 = 8192;

/// What the terminal shows behind and in its letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// It understands ANSI colours: black on white is said explicitly, so it scans in light and dark themes.
    Colour,
    /// No colours, light letters on a dark background: the light modules are inked.
    PlainOnDark,
    /// No colours, dark letters on a light background: the dark modules are inked.
    PlainOnLight,
}

impl Symbol {
    /// An 8-bit gray PNG, quiet zone included.
    ///
    /// # Errors
    /// [`WriteError::Scale`] when the picture would be empty or wider than [`MAX_PNG_SIDE`].
    pub fn png(&self, pixels_per_module: u32) -> Result<Vec<u8>, WriteError> {
        let max = MAX_PNG_SIDE / (self.side() + 2 * QUIET_ZONE);
        if !(1..=max).contains(&pixels_per_module) {
            return Err(WriteError::Scale { pixels_per_module, max });
        }
        let picture = luma(self, pixels_per_module);
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&picture.luma, picture.side, picture.side, ExtendedColorType::L8)
            .map_err(|error| WriteError::Encoder(Box::new(error)))?;
        Ok(png)
    }

    /// An SVG picture that scales freely: one path, one module per unit, nothing external.
    #[must_use]
    pub fn svg(&self) -> String {
        let full = self.side() + 2 * QUIET_ZONE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {full} {full}\" shape-rendering=\"crispEdges\">\
             <rect width=\"{full}\" height=\"{full}\" fill=\"#fff\"/><path fill=\"#000\" d=\""
        );
        let side = self.side().cast_signed();
        for y in 0..side {
            let mut x = 0;
            while x < side {
                let start = x;
                while self.is_dark(x, y) {
                    x += 1;
                }
                if x > start {
                    let run = x - start;
                    let (left, top) = (start.cast_unsigned() + QUIET_ZONE, y.cast_unsigned() + QUIET_ZONE);
                    write!(svg, "M{left} {top}h{run}v1h-{run}z").expect("writing to a string does not fail");
                }
                x += 1;
            }
        }
        svg.push_str("\"/></svg>");
        svg
    }

    /// Lines of half-block characters, two modules to a character, quiet zone included; ends with a line break.
    #[must_use]
    pub fn terminal(&self, terminal: Terminal) -> String {
        let quiet = QUIET_ZONE.cast_signed();
        let span = -quiet..self.side().cast_signed() + quiet;
        let mut text = String::new();
        for y in span.clone().step_by(2) {
            if terminal == Terminal::Colour {
                // 16 and 231 of the 256 colours are fixed; the first sixteen belong to the theme.
                text.push_str("\x1b[38;5;16;48;5;231m");
            }
            for x in span.clone() {
                let inked = |dark: bool| dark != (terminal == Terminal::PlainOnDark);
                text.push(match (inked(self.is_dark(x, y)), inked(self.is_dark(x, y + 1))) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            if terminal == Terminal::Colour {
                text.push_str("\x1b[0m");
            }
            text.push('\n');
        }
        text
    }
}

/// A symbol as gray pixels, quiet zone included.
pub(crate) struct Picture {
    pub(crate) luma: Vec<u8>,
    pub(crate) side: u32,
}

pub(crate) fn luma(symbol: &Symbol, pixels_per_module: u32) -> Picture {
    let quiet = QUIET_ZONE.cast_signed();
    let modules = -quiet..symbol.side().cast_signed() + quiet;
    let side = (symbol.side() + 2 * QUIET_ZONE) * pixels_per_module;
    let mut luma = Vec::with_capacity((side * side) as usize);
    for y in modules.clone() {
        let start = luma.len();
        for x in modules.clone() {
            let gray = if symbol.is_dark(x, y) { 0 } else { 255 };
            luma.extend(std::iter::repeat_n(gray, pixels_per_module as usize));
        }
        let row = start..luma.len();
        for _ in 1..pixels_per_module {
            luma.extend_from_within(row.clone());
        }
    }
    Picture { luma, side }
}
