//! QR codes for a shell: pictures and camera planes to what they mean, and text to a picture.

use comptoir_qr::{Code, ReadError, Scanned, Symbol};

use super::ClientError;

/// A code in a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct FoundCode {
    pub scanned: Scanned,
    /// Top left, top right, bottom right, bottom left of the code itself, in pixels of the picture.
    pub corners: Vec<Point>,
}

/// A place in a picture, in pixels from its top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Point {
    pub x: i32,
    pub y: i32,
}

/// Finds the codes in a PNG, JPEG or WebP file. None is no error; of several, let the person choose.
///
/// # Errors
/// [`ClientError::AskUser`] `picture.unreadable` or `picture.too_large`.
#[cfg_attr(feature = "uniffi", uniffi::export)]
pub fn scan_picture(file: &[u8]) -> Result<Vec<FoundCode>, ClientError> {
    Ok(found(comptoir_qr::read_picture(file).map_err(refused)?))
}

/// Finds the codes in one frame of a camera: its brightness plane, `row_stride` bytes from row to row, of which the last may
/// be shorter. Call it on the thread that analyses frames.
///
/// # Errors
/// [`ClientError::AskUser`] `picture.unreadable` when the numbers and the bytes do not fit, or `picture.too_large`.
#[cfg_attr(feature = "uniffi", uniffi::export)]
pub fn scan_frame(luma: &[u8], width: u32, height: u32, row_stride: u32) -> Result<Vec<FoundCode>, ClientError> {
    Ok(found(comptoir_qr::read_frame(luma, width, height, row_stride).map_err(refused)?))
}

/// Draws a text as a QR code: a PNG, dark on white with its quiet zone, also for a dark screen.
///
/// # Errors
/// [`ClientError::AskUser`] `code.too_long` when no symbol holds it at that size.
#[cfg_attr(feature = "uniffi", uniffi::export)]
pub fn draw_code(text: &str, pixels_per_module: u32) -> Result<Vec<u8>, ClientError> {
    let png = Symbol::of_text(text).and_then(|symbol| symbol.png(pixels_per_module));
    png.map_err(|error| ClientError::ask("code.too_long", error))
}

fn found(codes: Vec<Code>) -> Vec<FoundCode> {
    let found = codes.into_iter().map(|code| FoundCode {
        scanned: Scanned::of(&code),
        corners: code.corners.into_iter().map(|[x, y]| Point { x, y }).collect(),
    });
    found.collect()
}

fn refused(error: ReadError) -> ClientError {
    let code = match &error {
        ReadError::TooManyBytes { .. } | ReadError::TooLarge { .. } => "picture.too_large",
        ReadError::NotAPicture | ReadError::Damaged(_) | ReadError::NotAFrame => "picture.unreadable",
    };
    ClientError::ask(code, error)
}
