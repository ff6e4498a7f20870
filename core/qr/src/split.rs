//! What is too large for one symbol, as several: a receipt on a screen, photographed by whoever checks it.
//!
//! A part is a link of ours, `COMPTOIR:P` and base32: version, which part, how many, how long the whole is, the whole's
//! CRC-32, the bytes, and a CRC-16 of the part. Parts are put together in any order, and may come twice. The checksums notice
//! damage and parts of different wholes; they prove nothing, for what is in a receipt is signed.

use data_encoding::BASE32_NOPAD;

use crate::payload::checksum;

/// The largest whole, in bytes.
pub const MAX_SPLIT_BYTES: usize = PARTS_MAX * PART_BYTES;
const PREFIX: &str = "COMPTOIR:P";
const VERSION: u8 = 1;
/// More would tire whoever holds the phone.
const PARTS_MAX: usize = 48;
/// The bytes in a part. Its symbol is of version 15 or less, which a phone reads from a screen at arm's length.
const PART_BYTES: usize = 320;
const HEAD_LEN: usize = 11;
const CHECK_LEN: usize = 2;
/// No part is longer, in characters.
const PART_CHARS_MAX: usize = PREFIX.len() + (HEAD_LEN + PART_BYTES + CHECK_LEN).div_ceil(5) * 8;

/// The texts of the symbols that hold this together; one where that is enough.
///
/// # Errors
/// [`JoinError::TooLarge`], or [`JoinError::Empty`].
///
/// ```
/// use comptoir_qr::{Joiner, split};
///
/// let receipt = vec![7; 1000];
/// let parts = split(&receipt)?;
/// let mut joiner = Joiner::default();
/// assert_eq!(joiner.add(&parts[2])?, None);
/// assert_eq!(joiner.missing(), [0, 1, 3]);
/// for part in &parts[..3] {
///     joiner.add(part)?;
/// }
/// assert_eq!(joiner.add(&parts[3])?, Some(receipt));
/// # Ok::<(), comptoir_qr::JoinError>(())
/// ```
pub fn split(whole: &[u8]) -> Result<Vec<String>, JoinError> {
    if whole.is_empty() {
        return Err(JoinError::Empty);
    }
    if whole.len() > MAX_SPLIT_BYTES {
        return Err(JoinError::TooLarge { size_bytes: whole.len() });
    }
    // Parts of one size: the last is not a crumb.
    let count = whole.len().div_ceil(PART_BYTES);
    let parts = whole.chunks(whole.len().div_ceil(count)).zip(0_u8..).map(|(chunk, index)| {
        let head = Head {
            index,
            // At most 48, and at most 15,360.
            count: u8::try_from(count).unwrap_or(u8::MAX),
            len: u32::try_from(whole.len()).unwrap_or(u32::MAX),
            crc: crc32(whole),
        };
        head.part(chunk)
    });
    Ok(parts.collect())
}

/// Why parts cannot be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error("there is nothing to split")]
    Empty,
    /// More than [`MAX_SPLIT_BYTES`]. Send it as a file.
    #[error("{size_bytes} bytes are too many for codes: send a file")]
    TooLarge { size_bytes: usize },
    /// The text is no part of anything. Other codes may be in view: go on.
    #[error("this is no part of something larger")]
    NotAPart,
    /// It was cut or mistyped. Scan it again.
    #[error("this part is damaged: scan it again")]
    Damaged,
    /// A later version of the app wrote it.
    #[error("this part was written by a later version: update")]
    LaterVersion,
    /// It belongs to something else than the parts before. Keep those, and scan the right one.
    #[error("this part belongs to something else")]
    OfAnother,
    /// All parts are there, and what they make is not what was split. Begin anew.
    #[error("the parts do not make the whole: begin anew")]
    Mismatch,
}

/// Puts parts together, in any order, as they are scanned.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    /// Of the whole: how long it is and its checksum.
    whole: Option<(u32, u32)>,
    /// As many as there will be; empty until they come.
    parts: Vec<Vec<u8>>,
}

impl Joiner {
    /// Takes the text of a code. The whole, once all parts were there; the same part twice is fine.
    ///
    /// # Errors
    /// [`JoinError`]; what was taken before stays.
    pub fn add(&mut self, text: &str) -> Result<Option<Vec<u8>>, JoinError> {
        let (head, chunk) = Head::read(text)?;
        let whole = (head.len, head.crc);
        let same = self.whole.is_none_or(|known| known == whole && self.parts.len() == usize::from(head.count));
        if !same {
            return Err(JoinError::OfAnother);
        }
        if self.whole.is_none() {
            self.whole = Some(whole);
            self.parts = vec![Vec::new(); usize::from(head.count)];
        }
        let place = &mut self.parts[usize::from(head.index)];
        if !place.is_empty() && *place != chunk {
            return Err(JoinError::OfAnother);
        }
        *place = chunk;
        if self.parts.iter().any(Vec::is_empty) {
            return Ok(None);
        }
        let all = self.parts.concat();
        if all.len() as u64 != u64::from(head.len) || crc32(&all) != head.crc {
            *self = Self::default();
            return Err(JoinError::Mismatch);
        }
        Ok(Some(all))
    }

    /// How many parts there are, once one was seen.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        self.whole.map(|_| self.parts.len())
    }

    /// Which parts did not come yet, from 0.
    #[must_use]
    pub fn missing(&self) -> Vec<usize> {
        (0..self.parts.len()).filter(|at| self.parts[*at].is_empty()).collect()
    }
}

struct Head {
    index: u8,
    count: u8,
    len: u32,
    crc: u32,
}

impl Head {
    fn part(&self, chunk: &[u8]) -> String {
        let mut bytes = vec![VERSION, self.index, self.count];
        bytes.extend(self.len.to_be_bytes());
        bytes.extend(self.crc.to_be_bytes());
        bytes.extend(chunk);
        bytes.extend(checksum(&bytes).to_be_bytes());
        format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes))
    }

    fn read(text: &str) -> Result<(Self, Vec<u8>), JoinError> {
        let text = text.trim();
        if !text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
            return Err(JoinError::NotAPart);
        }
        if text.len() > PART_CHARS_MAX {
            return Err(JoinError::Damaged);
        }
        let upper = text[PREFIX.len()..].to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(upper.as_bytes()).map_err(|_| JoinError::Damaged)?;
        let (body, check) = bytes.split_last_chunk::<CHECK_LEN>().ok_or(JoinError::Damaged)?;
        if checksum(body).to_be_bytes() != *check {
            return Err(JoinError::Damaged);
        }
        let (&[version, index, count, a, b, c, d, e, f, g, h], chunk) =
            body.split_first_chunk::<HEAD_LEN>().ok_or(JoinError::Damaged)?;
        if version != VERSION {
            return Err(JoinError::LaterVersion);
        }
        let head = Self { index, count, len: u32::from_be_bytes([a, b, c, d]), crc: u32::from_be_bytes([e, f, g, h]) };
        let fits = index < count
            && usize::from(count) <= PARTS_MAX
            && usize::try_from(head.len).is_ok_and(|len| len <= MAX_SPLIT_BYTES)
            && (1..=PART_BYTES).contains(&chunk.len());
        if fits { Ok((head, chunk.to_vec())) } else { Err(JoinError::Damaged) }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}
