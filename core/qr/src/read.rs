//! Pictures to codes. A picture comes from a stranger: its size is checked from the header before anything is decoded,
//! memory and work are bounded, and nothing in it can cause a panic.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::detect::Found;
use crate::luma::Plane;
use crate::modules::{Content, Part, Segment};
use crate::payload::text_of;
use crate::scan;

/// The largest file that is looked at, in bytes.
pub const MAX_PICTURE_BYTES: usize = 16 << 20;
/// The longest side of a picture, in pixels.
pub const MAX_PICTURE_SIDE: u32 = 8192;
/// The largest picture, in pixels.
pub const MAX_PICTURE_PIXELS: u64 = 40_000_000;

/// What decoding may allocate: 40 megapixels of 8-bit colour with transparency and some room to work.
const MAX_DECODED_BYTES: u64 = 256 << 20;
/// A code found in a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// The content exactly as the symbol holds it.
    pub bytes: Vec<u8>,
    /// The content as text, when it is text: UTF-8, else the character set that the symbol declares or suggests.
    pub text: Option<String>,
    /// How the symbol holds it: the alphabet of each stretch, and the character set that it declares.
    pub segments: Vec<Segment>,
    /// Which part of a message it is, when several symbols make one.
    pub part: Option<Part>,
    /// The corners as `[x, y]` in pixels of the picture as it is shown (turned as its EXIF data says): top left, top
    /// right, bottom right, bottom left of the code itself.
    pub corners: [[i32; 2]; 4],
}

/// Why a picture could not be read. A picture without a code is not an error.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Neither PNG nor JPEG nor WebP. Ask for another file.
    #[error("this is not a PNG, JPEG or WebP picture")]
    NotAPicture,
    /// The file is larger than [`MAX_PICTURE_BYTES`]. Ask for a smaller one.
    #[error("the file has {size_bytes} bytes, more than {MAX_PICTURE_BYTES}")]
    TooManyBytes { size_bytes: usize },
    /// A side is longer than [`MAX_PICTURE_SIDE`], or the picture larger than [`MAX_PICTURE_PIXELS`], or it would need
    /// too much memory. Shrink or crop it first. `pixels` is width and height, where the header was read that far.
    #[error("the picture is larger than {MAX_PICTURE_SIDE} pixels a side or {MAX_PICTURE_PIXELS} pixels in all")]
    TooLarge { pixels: Option<(u32, u32)> },
    /// Width, height, row stride and the number of bytes of a frame do not fit each other.
    #[error("the frame is not as large as it is said to be")]
    NotAFrame,
    /// The picture is damaged or incomplete. Ask for it again.
    #[error("the picture is damaged")]
    Damaged(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

/// Finds the QR codes in a PNG, JPEG or WebP file, dark on light and light on dark, in no particular order.
///
/// An empty answer means that no code was found. Several codes are for the user to choose from.
///
/// # Errors
/// See [`ReadError`]; a code that is there but unreadable is not one of them.
///
/// ```
/// let png = comptoir_qr::Symbol::of_text("two croissants")?.png(3)?;
/// let codes = comptoir_qr::read_picture(&png)?;
/// assert_eq!(codes[0].text.as_deref(), Some("two croissants"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_picture(file: &[u8]) -> Result<Vec<Code>, ReadError> {
    if file.len() > MAX_PICTURE_BYTES {
        return Err(ReadError::TooManyBytes { size_bytes: file.len() });
    }
    catch_unwind(AssertUnwindSafe(|| decode(file).and_then(|picture| find_gray(&gray_on_white(picture)))))
        .unwrap_or(Err(ReadError::Damaged(None)))
}

/// Finds the QR codes in a frame of a camera: its brightness plane, `row_stride` bytes from row to row. The last row may be
/// as short as `width`, as cameras deliver it.
///
/// # Errors
/// [`ReadError::NotAFrame`] or [`ReadError::TooLarge`].
pub fn read_frame(luma: &[u8], width: u32, height: u32, row_stride: u32) -> Result<Vec<Code>, ReadError> {
    let plane = Plane::new(luma, width, height, row_stride)?;
    catch_unwind(AssertUnwindSafe(|| find_codes(plane))).map_err(|_| ReadError::Damaged(None))
}

/// The picture as it is shown, within the limits of size.
pub(crate) fn decode(file: &[u8]) -> Result<DynamicImage, ReadError> {
    let format = image::guess_format(file).map_err(|_| ReadError::NotAPicture)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) {
        return Err(ReadError::NotAPicture);
    }
    let refused = |error: ImageError, pixels| {
        if matches!(error, ImageError::Limits(_)) {
            ReadError::TooLarge { pixels }
        } else {
            ReadError::Damaged(Some(Box::new(error)))
        }
    };

    // Building the decoder reads the header and no more.
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| refused(error, None))?;
    let (width, height) = decoder.dimensions();
    let pixels = Some((width, height));
    let area = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_PICTURE_SIDE || area > MAX_PICTURE_PIXELS || decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(ReadError::TooLarge { pixels });
    }
    if area == 0 {
        return Err(ReadError::Damaged(None));
    }
    let orientation = decoder.orientation().map_err(|error| refused(error, pixels))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| refused(error, pixels))?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// What a person sees on a white page: transparent pixels are light.
fn gray_on_white(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let picture = picture.into_luma_alpha8();
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [gray, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        let seen = (gray * alpha + 255 * (255 - alpha)) / 255;
        image::Luma([u8::try_from(seen).unwrap_or(u8::MAX)])
    })
}

fn find_gray(gray: &GrayImage) -> Result<Vec<Code>, ReadError> {
    Plane::new(gray.as_raw(), gray.width(), gray.height(), gray.width()).map(find_codes)
}

fn find_codes(plane: Plane<'_>) -> Vec<Code> {
    scan::still(plane).into_iter().map(Code::of).collect()
}

impl Code {
    pub(crate) fn of(found: Found) -> Self {
        let Content { bytes, segments, part, .. } = found.content;
        let text = text_of(&bytes, &segments);
        // A cast from a float saturates, so even a corner far outside stays a number.
        let corners = found.corners.map(|corner| corner.map(|axis| axis.round() as i32));
        Self { bytes, text, segments, part, corners }
    }
}
