//! A logo in the middle of a symbol. What it covers is lost, so it is measured in what error correction can bear: no block
//! of codewords loses more than half of what it could repair, and no pattern that readers look for is touched.

use std::fmt::Write as _;

use data_encoding::BASE64;
use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, RgbImage, RgbaImage};

use crate::luma::Plane;
use crate::modules::{each_data_module, function_modules};
use crate::read::{decode, read_picture};
use crate::render::{MAX_PNG_SIDE, Picture, luma};
use crate::write::{Level, QUIET_ZONE, Symbol, WriteError};
use crate::{decoder, scan};

/// Pixels per module at which the picture of an SVG is read back.
const SVG_JUDGED_AT: u32 = 4;
/// A logo in an SVG has no more pixels to a side: it is small however large the code is printed.
const SVG_LOGO_SIDE: u32 = 512;
/// The light frame around the logo, in modules.
const RIM: usize = 1;
/// The smallest logo, in modules: less is a speck.
const SIDE_MIN: usize = 3;

/// The side of the largest logo that such a symbol can bear, in modules, without its rim. At most a fifth of the symbol's.
pub(crate) fn side(version: u8, level: Level) -> Option<usize> {
    let symbol = 17 + 4 * usize::from(version);
    // Odd, as the symbol is, so that it lies in the middle.
    let largest = (symbol / 5).checked_sub(1)? | 1;
    (SIDE_MIN..=largest)
        .rev()
        .step_by(2)
        .find(|side| is_borne(usize::from(version), level, side + 2 * RIM).unwrap_or(false))
}

fn is_borne(version: usize, level: Level, covered: usize) -> Option<bool> {
    let symbol = 17 + 4 * version;
    let start = (symbol - covered) / 2;
    let is_covered =
        |x: usize, y: usize| (start..start + covered).contains(&x) && (start..start + covered).contains(&y);
    let is_function = function_modules(version)?;
    if (0..symbol * symbol).any(|at| is_function[at] && is_covered(at % symbol, at / symbol)) {
        return Some(false);
    }
    // The bits of the symbol in their order, eight to a codeword.
    let (mut bit, mut covered_codewords) = (0, Vec::new());
    each_data_module(symbol, &is_function, |x, y| {
        if is_covered(x, y) {
            covered_codewords.push(bit / 8);
        }
        bit += 1;
    });
    covered_codewords.sort_unstable();
    covered_codewords.dedup();

    let (blocks, checks) = decoder::blocks(version, bits_of(level))?;
    let mut lost = vec![0; blocks.len()];
    let order = block_of_each(&blocks, checks);
    for codeword in covered_codewords {
        // The few bits after the last codeword belong to nobody.
        if let Some(block) = order.get(codeword) {
            lost[*block] += 1;
        }
    }
    // A block repairs half as many codewords as it has checks, and is to have half of that left.
    Some(lost.iter().all(|lost| 4 * lost <= checks))
}

/// To which block each codeword belongs, in the order in which they stand: first all blocks' first, then all blocks' second.
fn block_of_each(blocks: &[usize], checks: usize) -> Vec<usize> {
    let longest = blocks.iter().copied().max().unwrap_or_default();
    let data = (0..longest).flat_map(|at| (0..blocks.len()).filter(move |block| at < blocks[*block]));
    let checks = (0..checks).flat_map(|_| 0..blocks.len());
    data.chain(checks).collect()
}

/// As a symbol spells it.
fn bits_of(level: Level) -> u32 {
    match level {
        Level::Medium => 0,
        Level::Low => 1,
        Level::High => 2,
        Level::Quartile => 3,
    }
}

impl Symbol {
    /// A PNG in colour with a logo (PNG, JPEG or WebP) in its middle, on white and within a rim. The symbol comes from
    /// [`Symbol::of_text_for_logo`]; the finished picture was read back.
    ///
    /// # Errors
    /// [`WriteError::NoRoomForLogo`] when this symbol cannot bear one, [`WriteError::Logo`], [`WriteError::LogoIsACode`],
    /// or [`WriteError::Scale`].
    ///
    /// ```
    /// use comptoir_qr::{Symbol, read_picture};
    ///
    /// let symbol = Symbol::of_text_for_logo("COMPTOIR:C/BAKERY")?;
    /// let mut logo = std::io::Cursor::new(Vec::new());
    /// image::RgbImage::from_pixel(50, 50, image::Rgb([200, 60, 20])).write_to(&mut logo, image::ImageFormat::Png)?;
    /// let png = symbol.png_with_logo(8, logo.get_ref())?;
    /// assert_eq!(read_picture(&png)?[0].text.as_deref(), Some("COMPTOIR:C/BAKERY"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn png_with_logo(&self, pixels_per_module: u32, logo: &[u8]) -> Result<Vec<u8>, WriteError> {
        let max = MAX_PNG_SIDE / (self.side() + 2 * QUIET_ZONE);
        if !(1..=max).contains(&pixels_per_module) {
            return Err(WriteError::Scale { pixels_per_module, max });
        }
        if !read_picture(logo).map_err(WriteError::Logo)?.is_empty() {
            return Err(WriteError::LogoIsACode);
        }
        let logo = decode(logo).map_err(WriteError::Logo)?;
        let side = side(self.version(), self.level()).ok_or(WriteError::NoRoomForLogo { size_bytes: 0 })?;

        let plain = luma(self, pixels_per_module);
        let mut picture = RgbImage::from_fn(plain.side, plain.side, |x, y| {
            image::Rgb([plain.luma[(y * plain.side + x) as usize]; 3])
        });
        let logo = on_white(&logo, side, pixels_per_module);
        let start = i64::from((plain.side - logo.width()) / 2);
        imageops::replace(&mut picture, &logo, start, start);

        let gray = DynamicImage::from(picture.clone()).into_luma8();
        if !reads_as_before(gray.as_raw(), &plain) {
            return Err(WriteError::DoesNotReadBack);
        }
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(picture.as_raw(), plain.side, plain.side, ExtendedColorType::Rgb8)
            .map_err(|error| WriteError::Encoder(Box::new(error)))?;
        Ok(png)
    }

    /// As [`Symbol::png_with_logo`], and scales freely: the logo is in the file, nothing is external.
    ///
    /// # Errors
    /// As [`Symbol::png_with_logo`].
    pub fn svg_with_logo(&self, logo: &[u8]) -> Result<String, WriteError> {
        // The same modules, square and rim at a size of its own: what is read there is read at others.
        self.png_with_logo(SVG_JUDGED_AT, logo)?;
        let side = side(self.version(), self.level()).ok_or(WriteError::NoRoomForLogo { size_bytes: 0 })?;
        let logo = decode(logo).map_err(WriteError::Logo)?;
        let is_large = logo.width().max(logo.height()) > SVG_LOGO_SIDE;
        let logo = if is_large { logo.resize(SVG_LOGO_SIDE, SVG_LOGO_SIDE, FilterType::Triangle) } else { logo };
        let logo = logo.into_rgba8();
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(logo.as_raw(), logo.width(), logo.height(), ExtendedColorType::Rgba8)
            .map_err(|error| WriteError::Encoder(Box::new(error)))?;
        let full = (self.side() + 2 * QUIET_ZONE) as usize;
        let (covered, rim) = (side + 2 * RIM, RIM);
        let start = (full - covered) / 2;
        let mut svg = self.svg();
        svg.truncate(svg.len() - "</svg>".len());
        write!(
            svg,
            "<rect x=\"{start}\" y=\"{start}\" width=\"{covered}\" height=\"{covered}\" fill=\"#fff\"/>\
             <image x=\"{inner}\" y=\"{inner}\" width=\"{side}\" height=\"{side}\" href=\"data:image/png;base64,{}\"/></svg>",
            BASE64.encode(&png),
            inner = start + rim,
        )
        .expect("writing to a string does not fail");
        Ok(svg)
    }
}

/// Whether a symbol with something in its middle is read as it was without.
pub(crate) fn reads_as_before(with: &[u8], plain: &Picture) -> bool {
    let said = |symbol: &[u8]| {
        let plane = Plane::new(symbol, plain.side, plain.side, plain.side);
        plane.map_or_else(|_| Vec::new(), scan::plain)
    };
    match (said(with).as_slice(), said(&plain.luma).as_slice()) {
        ([with], [without]) => with.content.bytes == without.content.bytes,
        _ => false,
    }
}

/// The logo in its square, with the rim, where it is transparent white.
fn on_white(logo: &DynamicImage, side: usize, pixels_per_module: u32) -> RgbImage {
    let inner = u32::try_from(side).unwrap_or_default() * pixels_per_module;
    let full = inner + 2 * u32::try_from(RIM).unwrap_or_default() * pixels_per_module;
    let small = logo.resize(inner, inner, FilterType::Triangle).into_rgba8();
    let mut square = RgbaImage::from_pixel(full, full, image::Rgba([255; 4]));
    let (left, top) = ((full - small.width()) / 2, (full - small.height()) / 2);
    imageops::overlay(&mut square, &small, i64::from(left), i64::from(top));
    DynamicImage::from(square).into_rgb8()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codeword_has_its_block() {
        // Version 5-Q: two blocks of 15 and two of 16, with 18 checks each.
        let (blocks, checks) = decoder::blocks(5, bits_of(Level::Quartile)).unwrap();
        assert_eq!((blocks.as_slice(), checks), (&[15, 15, 16, 16][..], 18));
        let order = block_of_each(&blocks, checks);
        assert_eq!(order.len(), 134);
        assert_eq!(order[..5], [0, 1, 2, 3, 0]);
        assert_eq!(order[58..65], [2, 3, 2, 3, 0, 1, 2]);
    }

    #[test]
    fn a_logo_touches_no_pattern_and_leaves_half_of_the_correction() {
        for version in 1..=40 {
            for level in [Level::Low, Level::Medium, Level::Quartile, Level::High] {
                let Some(side) = side(version, level) else { continue };
                assert!(side % 2 == 1 && 5 * side <= 17 + 4 * usize::from(version), "{version} {level:?} {side}");
                assert_eq!(is_borne(usize::from(version), level, side + 2 * RIM), Some(true));
            }
        }
        // In the smallest the format is in the way, and from 7 to 13 an alignment pattern is in the middle.
        assert_eq!(side(1, Level::High), None);
        for version in 7..=13 {
            assert_eq!(side(version, Level::High), None);
        }
        assert_eq!((side(4, Level::Quartile), side(6, Level::High)), (Some(5), Some(7)));
    }
}
