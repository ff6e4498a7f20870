//! Brightness: a borrowed plane of a camera or a picture, and the few things done to it before anyone looks for codes.
//!
//! A camera's plane is never copied as it is. What is made of it (smaller, larger, sharper) goes into a [`Gray`] that its
//! owner keeps and fills anew, so that a scanner allocates in its first frames only.

use crate::ReadError;
use crate::read::{MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE};

/// Rows of gray pixels that belong to somebody else: 0 is black.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    pixels: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
}

impl<'a> Plane<'a> {
    /// A plane of `width` × `height` pixels, `row_stride` bytes from row to row. The last row may be as short as `width`, as
    /// cameras deliver it.
    ///
    /// # Errors
    /// [`ReadError::NotAFrame`] when the numbers and the bytes do not fit, [`ReadError::TooLarge`].
    ///
    /// ```
    /// let two_rows = [0, 255, 255, /* padding */ 7, 255, 0, 0];
    /// assert!(comptoir_qr::Plane::new(&two_rows, 3, 2, 4).is_ok());
    /// assert!(comptoir_qr::Plane::new(&two_rows, 3, 3, 4).is_err());
    /// ```
    pub fn new(pixels: &'a [u8], width: u32, height: u32, row_stride: u32) -> Result<Self, ReadError> {
        if width.max(height) > MAX_PICTURE_SIDE || u64::from(width) * u64::from(height) > MAX_PICTURE_PIXELS {
            return Err(ReadError::TooLarge { pixels: Some((width, height)) });
        }
        let (width, height, stride) = (width as usize, height as usize, row_stride as usize);
        let needed =
            height.checked_sub(1).and_then(|rows| rows.checked_mul(stride)).and_then(|all| all.checked_add(width));
        if width == 0 || stride < width || needed.is_none_or(|needed| pixels.len() < needed) {
            return Err(ReadError::NotAFrame);
        }
        Ok(Self { pixels, width, height, stride })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    pub(crate) fn row(&self, y: usize) -> &'a [u8] {
        &self.pixels[y * self.stride..][..self.width]
    }

    /// The part of the plane that lies in the box; `None` when nothing does.
    pub(crate) fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Option<Self> {
        let (width, height) = (width.min(self.width.saturating_sub(left)), height.min(self.height.saturating_sub(top)));
        (width > 0 && height > 0).then(|| Self {
            pixels: &self.pixels[top * self.stride + left..],
            width,
            height,
            stride: self.stride,
        })
    }

    /// The brightness at a place in pixels, where a pixel's own value is in its middle; the edge goes on for ever.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = ((x - 0.5).clamp(0.0, (self.width - 1) as f32), (y - 0.5).clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, below) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (across, down) = (x - left as f32, y - top as f32);
        let [upper, lower] = [self.row(top), self.row(below)].map(|row| {
            let (a, b) = (f32::from(row[left]), f32::from(row[right]));
            a + (b - a) * across
        });
        upper + (lower - upper) * down
    }

    /// Means of `times` × `times` pixels: a picture so many times smaller.
    pub(crate) fn shrink(&self, times: usize, into: &mut Gray) {
        let (width, height) = ((self.width / times).max(1), (self.height / times).max(1));
        into.resize(width, height);
        if self.width < times || self.height < times {
            // Thinner than one pixel of the result. Nothing can be read in it; its first pixels stand for it.
            for (y, row) in into.pixels.chunks_exact_mut(width).enumerate() {
                for (x, pixel) in row.iter_mut().enumerate() {
                    *pixel = self.row((y * times).min(self.height - 1))[(x * times).min(self.width - 1)];
                }
            }
            return;
        }
        match times {
            2 => self.shrink_by::<2>(into),
            3 => self.shrink_by::<3>(into),
            4 => self.shrink_by::<4>(into),
            _ => self.shrink_by_any(times, into),
        }
    }

    /// With a number that is known beforehand, the compiler takes many pixels at a time.
    fn shrink_by<const TIMES: usize>(&self, into: &mut Gray) {
        let mut sums = vec![0_u16; into.width * TIMES];
        let half = (TIMES * TIMES / 2) as u16;
        for (y, row) in into.pixels.chunks_exact_mut(into.width).enumerate() {
            let source: [&[u8]; TIMES] = std::array::from_fn(|below| self.row(TIMES * y + below));
            for (x, sum) in sums.iter_mut().enumerate() {
                *sum = source.iter().map(|row| u16::from(row[x])).sum();
            }
            for (pixel, sums) in row.iter_mut().zip(sums.chunks_exact(TIMES)) {
                *pixel = ((sums.iter().sum::<u16>() + half) / (TIMES * TIMES) as u16) as u8;
            }
        }
    }

    fn shrink_by_any(&self, times: usize, into: &mut Gray) {
        let mut sums = vec![0_u16; into.width * times];
        let area = (times * times) as u32;
        let reciprocal = (1_u32 << 16).div_ceil(area);
        for (y, row) in into.pixels.chunks_exact_mut(into.width).enumerate() {
            sums.fill(0);
            for source in 0..times {
                for (sum, pixel) in sums.iter_mut().zip(self.row(times * y + source)) {
                    *sum += u16::from(*pixel);
                }
            }
            for (pixel, sums) in row.iter_mut().zip(sums.chunks_exact(times)) {
                let sum: u32 = sums.iter().copied().map(u32::from).sum();
                *pixel = ((sum * reciprocal) >> 16).min(255) as u8;
            }
        }
    }

    /// A picture `halves` / 2 times as large, with straight lines between the pixels.
    pub(crate) fn enlarge(&self, halves: usize, into: &mut Gray) {
        into.resize(self.width * halves / 2, self.height * halves / 2);
        // Where a pixel of the result lies between two of ours, in 256ths.
        let between = |at: usize, end: usize| {
            let place = ((2 * at + 1) * 256 / halves).saturating_sub(128);
            let low = (place / 256).min(end - 1);
            (low, (low + 1).min(end - 1), (place % 256) as u32)
        };
        let columns: Vec<(usize, usize, u32)> = (0..into.width).map(|x| between(x, self.width)).collect();
        let mut blended = vec![0_u32; self.width];
        for (y, row) in into.pixels.chunks_exact_mut(into.width.max(1)).enumerate() {
            let (upper, lower, down) = between(y, self.height);
            for ((sum, upper), lower) in blended.iter_mut().zip(self.row(upper)).zip(self.row(lower)) {
                *sum = u32::from(*upper) * (256 - down) + u32::from(*lower) * down;
            }
            for (pixel, (left, right, across)) in row.iter_mut().zip(&columns) {
                *pixel = ((blended[*left] * (256 - across) + blended[*right] * across + (1 << 15)) >> 16) as u8;
            }
        }
    }

    /// Three times the picture less twice a blurred copy: what a lens has smeared over a pixel or two comes back out.
    pub(crate) fn sharpen(&self, into: &mut Gray) {
        into.resize(self.width, self.height);
        // A column more on either side, so that the edge is a row like any other.
        let mut columns = vec![0_i16; self.width + 2];
        for (y, out) in into.pixels.chunks_exact_mut(self.width).enumerate() {
            let [above, here, below] = [y.saturating_sub(1), y, (y + 1).min(self.height - 1)].map(|y| self.row(y));
            for (((column, above), here), below) in columns[1..].iter_mut().zip(above).zip(here).zip(below) {
                *column = i16::from(*above) + 2 * i16::from(*here) + i16::from(*below);
            }
            columns[0] = columns[1];
            columns[self.width + 1] = columns[self.width];
            let around = columns.iter().zip(&columns[1..]).zip(&columns[2..]);
            for ((pixel, here), ((left, middle), right)) in out.iter_mut().zip(here).zip(around) {
                let blurred = (left + 2 * middle + right) >> 4;
                *pixel = (3 * i16::from(*here) - 2 * blurred).clamp(0, 255) as u8;
            }
        }
    }

    /// The mean brightness of a sparse sample, 0 to 255.
    pub(crate) fn brightness(&self) -> u8 {
        let (mut sum, mut count) = (0_u64, 0_u64);
        for y in (0..self.height).step_by(16) {
            for pixel in self.row(y).iter().step_by(16) {
                sum += u64::from(*pixel);
                count += 1;
            }
        }
        sum.checked_div(count).map_or(0, |mean| mean as u8)
    }
}

/// A picture that we own, without padding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gray {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Gray {
    pub(crate) fn plane(&self) -> Plane<'_> {
        Plane { pixels: &self.pixels, width: self.width, height: self.height, stride: self.width }
    }

    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.resize(width * height, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(pixels: &[u8], width: u32) -> Plane<'_> {
        Plane::new(pixels, width, pixels.len() as u32 / width, width).unwrap()
    }

    #[test]
    fn shrinking_takes_means() {
        let mut gray = Gray::default();
        plane(&[0, 4, 8, 8, 9, 0, 4, 8, 8, 9], 5).shrink(2, &mut gray);
        assert_eq!((gray.width, gray.height, gray.pixels.as_slice()), (2, 1, &[2, 8][..]));
        plane(&[90; 27], 9).shrink(3, &mut gray);
        assert_eq!(gray.pixels, [90, 90, 90]);
        plane(&[255; 16], 4).shrink(4, &mut gray);
        assert_eq!(gray.pixels, [255]);
    }

    #[test]
    fn what_is_thinner_than_a_pixel_still_shrinks() {
        let mut gray = Gray::default();
        plane(&[7, 8, 9, 10], 1).shrink(3, &mut gray);
        assert_eq!(gray.pixels, [7]);
    }

    #[test]
    fn flat_stays_flat_when_sharpened_and_enlarged() {
        let mut gray = Gray::default();
        plane(&[77; 12], 4).sharpen(&mut gray);
        assert_eq!(gray.pixels, [77; 12]);
        plane(&[77; 12], 4).enlarge(3, &mut gray);
        assert_eq!((gray.width, gray.height), (6, 4));
        assert_eq!(gray.pixels, [77; 24]);
    }

    #[test]
    fn an_edge_is_steeper_when_sharpened() {
        let mut gray = Gray::default();
        plane(&[100, 100, 120, 140, 140], 5).sharpen(&mut gray);
        assert!(gray.pixels[1] < 100 && gray.pixels[3] > 140, "{:?}", gray.pixels);
    }

    #[test]
    fn a_crop_borrows_and_keeps_the_stride() {
        let pixels: Vec<u8> = (0..20).collect();
        let part = plane(&pixels, 5).crop(2, 1, 9, 2).unwrap();
        assert_eq!((part.row(0), part.row(1)), (&[7, 8, 9][..], &[12, 13, 14][..]));
        assert!(plane(&pixels, 5).crop(5, 0, 1, 1).is_none());
    }
}
