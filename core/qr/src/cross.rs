//! The Swiss cross in the middle of a Swiss QR-bill, by which people and machines know the slip: 7 mm of the symbol's 46, a white
//! frame, a black square of 6 mm, and the white cross in it. Measures are those of the Swiss Implementation Guidelines; error
//! correction at level M bears what is covered.

use std::fmt::Write as _;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use crate::logo::reads_as_before;
use crate::render::{MAX_PNG_SIDE, Picture, luma};
use crate::write::{QUIET_ZONE, Symbol, WriteError};

/// The side of the printed symbol, in millimetres. All that follows is in eighteenths of one.
const SYMBOL_MM: u32 = 46;
const PER_MM: u32 = 18;
const FRAME: u32 = 7 * PER_MM;
const SQUARE: u32 = 6 * PER_MM;
/// The arms of the cross: 35/9 mm long, 7/6 mm wide.
const ARM_LENGTH: u32 = 70;
const ARM_WIDTH: u32 = 21;
/// Pixels per module at which the picture of an SVG is read back.
const SVG_JUDGED_AT: u32 = 4;

impl Symbol {
    /// A PNG of a Swiss QR-bill with its cross, for the payment part, where it is 46 mm wide without its quiet zone. The symbol comes
    /// from [`Symbol::of_payment`]; the finished picture was read back.
    ///
    /// # Errors
    /// [`WriteError::Scale`], or [`WriteError::DoesNotReadBack`] for a symbol that cannot bear the cross.
    pub fn png_with_swiss_cross(&self, pixels_per_module: u32) -> Result<Vec<u8>, WriteError> {
        let max = MAX_PNG_SIDE / (self.side() + 2 * QUIET_ZONE);
        if !(1..=max).contains(&pixels_per_module) {
            return Err(WriteError::Scale { pixels_per_module, max });
        }
        let picture = self.crossed(pixels_per_module)?;
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&picture.luma, picture.side, picture.side, ExtendedColorType::L8)
            .map_err(|error| WriteError::Encoder(Box::new(error)))?;
        Ok(png)
    }

    /// As [`Symbol::png_with_swiss_cross`], as an SVG picture that scales freely.
    ///
    /// # Errors
    /// [`WriteError::DoesNotReadBack`] for a symbol that cannot bear the cross.
    pub fn svg_with_swiss_cross(&self) -> Result<String, WriteError> {
        self.crossed(SVG_JUDGED_AT)?;
        let middle = f64::from(self.side() + 2 * QUIET_ZONE) / 2.0;
        let unit = f64::from(self.side()) / f64::from(SYMBOL_MM * PER_MM);
        let mut svg = self.svg();
        svg.truncate(svg.len() - "</svg>".len());
        svg.push_str("<g shape-rendering=\"geometricPrecision\">");
        let parts = [
            (FRAME, FRAME, "fff"),
            (SQUARE, SQUARE, "000"),
            (ARM_LENGTH, ARM_WIDTH, "fff"),
            (ARM_WIDTH, ARM_LENGTH, "fff"),
        ];
        for (width, height, fill) in parts {
            let (width, height) = (f64::from(width) * unit, f64::from(height) * unit);
            let (x, y) = (middle - width / 2.0, middle - height / 2.0);
            write!(
                svg,
                "<rect x=\"{x:.4}\" y=\"{y:.4}\" width=\"{width:.4}\" height=\"{height:.4}\" fill=\"#{fill}\"/>"
            )
            .expect("writing to a string does not fail");
        }
        svg.push_str("</g></svg>");
        Ok(svg)
    }

    fn crossed(&self, pixels_per_module: u32) -> Result<Picture, WriteError> {
        let plain = luma(self, pixels_per_module);
        let symbol = u64::from(self.side() * pixels_per_module);
        // Twice the way from the middle of the picture to that of a pixel, in units times pixels of the symbol.
        let way = |at: u32| u64::from((2 * at + 1).abs_diff(plain.side)) * u64::from(SYMBOL_MM * PER_MM);
        let within =
            |x: u64, width: u32, y: u64, height: u32| x <= u64::from(width) * symbol && y <= u64::from(height) * symbol;
        let mut crossed = Picture { luma: plain.luma.clone(), side: plain.side };
        let pixels = (0..plain.side).flat_map(|y| (0..plain.side).map(move |x| (x, y)));
        for (pixel, (x, y)) in crossed.luma.iter_mut().zip(pixels) {
            let (x, y) = (way(x), way(y));
            if within(x, FRAME, y, FRAME) {
                let is_cross = within(x, ARM_LENGTH, y, ARM_WIDTH) || within(x, ARM_WIDTH, y, ARM_LENGTH);
                *pixel = if within(x, SQUARE, y, SQUARE) && !is_cross { 0 } else { 255 };
            }
        }
        if reads_as_before(&crossed.luma, &plain) { Ok(crossed) } else { Err(WriteError::DoesNotReadBack) }
    }
}
