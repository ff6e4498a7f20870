//! Dark or light: three ways to decide it for every pixel, each good where another fails. The result is a matrix of bits,
//! `true` is dark, that is worked on a word at a time.

use crate::luma::Plane;

/// As wide as the decoder's own words, so that rows can be handed over as they are.
pub(crate) type Word = usize;
const WORD_BITS: usize = Word::BITS as usize;

/// The side of the blocks that share a threshold, in pixels.
const BLOCK: usize = 8;
/// A block with less contrast than this is taken to be all paper or all ink.
const FLAT: u8 = 24;

/// A picture of dark and light pixels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    width: usize,
    height: usize,
    row_words: usize,
    words: Vec<Word>,
    room: Room,
}

/// What the thresholds need while they work, kept for the next picture.
#[derive(Clone, Debug, Default)]
struct Room {
    sums: Vec<u32>,
    column_sums: Vec<u16>,
    lows: Vec<u8>,
    highs: Vec<u8>,
    means: Vec<u8>,
    thresholds: Vec<u8>,
}

impl Bits {
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// The words of a row, the first pixel in the lowest bit. Bits beyond the width are light.
    pub(crate) fn row(&self, y: usize) -> &[Word] {
        &self.words[y * self.row_words..][..self.row_words]
    }

    /// Whether a pixel is dark; all around the picture is light.
    pub(crate) fn is_dark(&self, x: i32, y: i32) -> bool {
        let (x, y) = (x as usize, y as usize); // What is negative becomes too large.
        x < self.width && y < self.height && self.words[y * self.row_words + x / WORD_BITS] >> (x % WORD_BITS) & 1 == 1
    }

    /// Light becomes dark and dark light, for codes that are printed the other way round.
    pub(crate) fn invert(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        self.clear_padding();
    }

    /// The same for a matrix made by other means, for tests.
    #[cfg(test)]
    pub(crate) fn from_fn(width: usize, height: usize, dark: impl Fn(usize, usize) -> bool) -> Self {
        let mut bits = Self::default();
        bits.resize(width, height);
        for y in 0..height {
            for x in 0..width {
                bits.words[y * bits.row_words + x / WORD_BITS] |= Word::from(dark(x, y)) << (x % WORD_BITS);
            }
        }
        bits
    }

    /// Each pixel against the mean of the blocks around it. Follows shade and uneven light; good for nearly everything.
    pub(crate) fn by_blocks(&mut self, plane: Plane<'_>) {
        self.compare(plane, 2, |room, across, down| {
            room.measure_blocks(plane, across, down, unless_flat);
            room.smooth_thresholds(across, down, 2);
        });
    }

    /// Makes a threshold for every block and compares the pixels with them. Pictures with fewer blocks than a window has get
    /// one threshold.
    fn compare(&mut self, plane: Plane<'_>, reach: usize, threshold: impl FnOnce(&mut Room, usize, usize)) {
        let (across, down) = (plane.width() / BLOCK, plane.height() / BLOCK);
        if across.min(down) < 2 * reach + 1 {
            return self.by_one_threshold(plane);
        }
        self.resize(plane.width(), plane.height());
        threshold(&mut self.room, across, down);
        for y in 0..plane.height() {
            let thresholds = &self.room.thresholds[(y / BLOCK).min(down - 1) * across..][..across];
            let words = &mut self.words[y * self.row_words..][..self.row_words];
            compare_blocks(plane.row(y), thresholds, words);
        }
    }

    /// Each pixel against the mean of a square of `window` pixels around it, in steps of a block. A large window sees through
    /// blotches and halftone that mislead the small one.
    pub(crate) fn by_local_mean(&mut self, plane: Plane<'_>, window: usize) {
        let reach = (window / BLOCK / 2).max(1);
        self.compare(plane, reach, |room, across, down| {
            room.measure_blocks(plane, across, down, |mean, _, _, _| mean);
            room.smooth_thresholds(across, down, reach);
            for threshold in &mut room.thresholds {
                // A shade darker than the mean, or flat paper would be half dark.
                *threshold -= *threshold / 20;
            }
        });
    }

    /// One threshold for the whole picture, where it parts the pixels best into two heaps (Otsu). For clean pictures and for
    /// halftone, where neighbours tell nothing.
    pub(crate) fn by_one_threshold(&mut self, plane: Plane<'_>) {
        self.resize(plane.width(), plane.height());
        self.words.fill(0);
        let mut histogram = [0_u32; 256];
        for y in 0..plane.height() {
            for pixel in plane.row(y) {
                histogram[usize::from(*pixel)] += 1;
            }
        }
        let threshold = parting(&histogram);
        for y in 0..plane.height() {
            let words = &mut self.words[y * self.row_words..][..self.row_words];
            for (word, pixels) in words.iter_mut().zip(plane.row(y).chunks(WORD_BITS)) {
                for (bit, pixel) in pixels.iter().enumerate() {
                    *word |= Word::from(*pixel <= threshold) << bit;
                }
            }
        }
    }

    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height, self.row_words) = (width, height, width.div_ceil(WORD_BITS));
        self.words.resize(self.row_words * height, 0);
    }

    fn clear_padding(&mut self) {
        let used = self.width % WORD_BITS;
        if used > 0 {
            for row in self.words.chunks_exact_mut(self.row_words) {
                row[self.row_words - 1] &= (1 << used) - 1;
            }
        }
    }
}

impl Room {
    /// The mean of every block, as `judge` sees it from the mean, the darkest and the lightest pixel, and the means of the
    /// blocks above, to the left and between, as far as there are any.
    fn measure_blocks(
        &mut self,
        plane: Plane<'_>,
        across: usize,
        down: usize,
        judge: impl Fn(u8, u8, u8, Option<[u8; 3]>) -> u8,
    ) {
        let columns = across * BLOCK;
        self.means.resize(across * down, 0);
        for block_row in 0..down {
            self.column_sums.clear();
            self.column_sums.resize(columns, 0);
            self.lows.clear();
            self.lows.resize(columns, u8::MAX);
            self.highs.clear();
            self.highs.resize(columns, 0);
            for y in block_row * BLOCK..(block_row + 1) * BLOCK {
                let row = &plane.row(y)[..columns];
                let kept = self.column_sums.iter_mut().zip(&mut self.lows).zip(&mut self.highs);
                for (((sum, low), high), pixel) in kept.zip(row) {
                    *sum += u16::from(*pixel);
                    *low = (*low).min(*pixel);
                    *high = (*high).max(*pixel);
                }
            }
            let blocks = self.column_sums.chunks_exact(BLOCK).zip(self.lows.chunks_exact(BLOCK));
            for (block, ((sums, lows), highs)) in blocks.zip(self.highs.chunks_exact(BLOCK)).enumerate() {
                let low = lows.iter().copied().fold(u8::MAX, u8::min);
                let high = highs.iter().copied().fold(0, u8::max);
                let mean = (sums.iter().sum::<u16>() / (BLOCK * BLOCK) as u16) as u8;
                let place = block_row * across + block;
                let has_neighbours = block_row > 0 && block > 0;
                let neighbours = has_neighbours
                    .then(|| [place - across, place - 1, place - across - 1].map(|place| self.means[place]));
                self.means[place] = judge(mean, low, high, neighbours);
            }
        }
    }

    /// The mean over `reach` blocks to every side, so that thresholds do not jump from block to block. At the border it is that
    /// of the nearest block with all its neighbours.
    fn smooth_thresholds(&mut self, across: usize, down: usize, reach: usize) {
        let side = 2 * reach + 1;
        self.thresholds.resize(across * down, 0);
        self.sums.clear();
        self.sums.resize(across, 0);
        let means = &self.means;
        let row = |y: usize| &means[y * across..][..across];
        for y in 0..side {
            add(&mut self.sums, row(y));
        }
        for y in 0..down {
            if y > reach && y < down - reach {
                add(&mut self.sums, row(y + reach));
                for (sum, mean) in self.sums.iter_mut().zip(row(y - reach - 1)) {
                    *sum -= u32::from(*mean);
                }
            }
            let mut sum: u32 = self.sums[..side].iter().sum();
            for x in 0..across {
                if x > reach && x < across - reach {
                    sum = sum + self.sums[x + reach] - self.sums[x - reach - 1];
                }
                self.thresholds[y * across + x] = (sum / (side * side) as u32) as u8;
            }
        }
    }
}

/// A block without contrast is all paper or all ink: ink if its neighbours are lighter, else paper.
fn unless_flat(mean: u8, low: u8, high: u8, neighbours: Option<[u8; 3]>) -> u8 {
    if high - low > FLAT {
        return mean;
    }
    let around =
        neighbours.map(|[above, left, corner]| (u16::from(above) + 2 * u16::from(left) + u16::from(corner)) / 4);
    match around {
        Some(around) if u16::from(low) < around => around as u8,
        _ => low / 2,
    }
}

fn add(sums: &mut [u32], row: &[u8]) {
    for (sum, pixel) in sums.iter_mut().zip(row) {
        *sum += u32::from(*pixel);
    }
}

/// Compares a row with the thresholds of its squares, eight pixels at a time.
fn compare_blocks(row: &[u8], thresholds: &[u8], words: &mut [Word]) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let blocks_per_word = WORD_BITS / BLOCK;
    for (word, (pixels, thresholds)) in
        words.iter_mut().zip(row.chunks(WORD_BITS).zip(thresholds.chunks(blocks_per_word)))
    {
        let mut dark = 0;
        for (block, (pixels, threshold)) in pixels.chunks_exact(BLOCK).zip(thresholds).enumerate() {
            let Ok(pixels) = pixels.try_into().map(u64::from_le_bytes) else { continue };
            let threshold = u64::from(*threshold) * EACH;
            // Byte by byte `pixel <= threshold`: by the high bits where they differ, else by the borrow of the low ones.
            let difference = (threshold | HIGH) - (pixels & !HIGH);
            let dark_bytes = ((threshold & !pixels) | (!(threshold ^ pixels) & difference)) & HIGH;
            let eight = (dark_bytes >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            dark |= (eight as Word) << (block * BLOCK);
        }
        *word = dark;
    }
    // The last columns make no whole square: they share the threshold of the last one.
    let whole = thresholds.len() * BLOCK;
    if whole.is_multiple_of(WORD_BITS) && whole < row.len() {
        words[whole / WORD_BITS] = 0;
    }
    if let Some(last) = thresholds.last() {
        for (x, pixel) in row.iter().enumerate().skip(whole) {
            words[x / WORD_BITS] |= Word::from(pixel <= last) << (x % WORD_BITS);
        }
    }
}

/// The brightness that parts a histogram into two heaps as far from each other as can be.
fn parting(histogram: &[u32; 256]) -> u8 {
    let count: f64 = histogram.iter().copied().map(f64::from).sum();
    let total: f64 = histogram.iter().enumerate().map(|(value, count)| value as f64 * f64::from(*count)).sum();
    let (mut below, mut sum, mut best, mut threshold) = (0.0, 0.0, -1.0, 0);
    for (value, here) in histogram.iter().enumerate().take(255) {
        below += f64::from(*here);
        sum += value as f64 * f64::from(*here);
        let above = count - below;
        if below > 0.0 && above > 0.0 {
            let apart = sum / below - (total - sum) / above;
            let between = below * above * apart * apart;
            if between > best {
                (best, threshold) = (between, value as u8);
            }
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise with an edge, at a width that ends inside a word and inside a square.
    fn picture(width: usize, height: usize) -> Vec<u8> {
        (0..width * height)
            .map(|at| {
                let noise = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
                if at % width < width / 2 { 40 + noise as u8 } else { 150 + noise as u8 }
            })
            .collect()
    }

    fn check(decide: impl Fn(&mut Bits, Plane<'_>)) {
        for (width, height) in [(203, 77), (64, 64), (131, 40), (9, 300), (1, 1)] {
            let pixels = picture(width, height);
            let plane = Plane::new(&pixels, width as u32, height as u32, width as u32).unwrap();
            let mut bits = Bits::from_fn(500, 500, |_, _| true); // What was there before must not shine through.
            decide(&mut bits, plane);
            assert_eq!((bits.width(), bits.height()), (width, height));
            let edge = (width / 2) as i32;
            if width > 60 {
                for y in 0..height as i32 {
                    assert!(bits.is_dark(edge - 1, y) && !bits.is_dark(edge, y), "{width} × {height}, row {y}");
                }
            }
            let padding = WORD_BITS * width.div_ceil(WORD_BITS) - width;
            for y in 0..height {
                let last = bits.row(y).last().unwrap();
                assert!(padding == 0 || last >> (WORD_BITS - padding) == 0);
            }
        }
    }

    #[test]
    fn every_threshold_finds_the_edge() {
        check(|bits, plane| bits.by_blocks(plane));
        check(|bits, plane| bits.by_one_threshold(plane));
        check(|bits, plane| bits.by_local_mean(plane, 40));
    }

    #[test]
    fn eight_at_a_time_is_what_one_at_a_time_would_be() {
        let row: Vec<u8> = (0..=255).collect();
        for threshold in [0, 1, 127, 128, 129, 254, 255] {
            let mut words = vec![Word::MAX; 256 / WORD_BITS];
            compare_blocks(&row, &[threshold; 32], &mut words);
            for (x, pixel) in row.iter().enumerate() {
                let dark = words[x / WORD_BITS] >> (x % WORD_BITS) & 1 == 1;
                assert_eq!(dark, *pixel <= threshold, "{pixel} against {threshold}");
            }
        }
    }

    #[test]
    fn inverting_twice_changes_nothing() {
        let bits = Bits::from_fn(100, 3, |x, y| (x + y) % 3 == 0);
        let mut twice = bits.clone();
        twice.invert();
        assert!(!twice.is_dark(0, 0) && twice.is_dark(1, 0) && !twice.is_dark(100, 0) && !twice.is_dark(-1, 0));
        twice.invert();
        assert_eq!(twice.words, bits.words);
    }
}
