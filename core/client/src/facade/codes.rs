//! QR codes for a shell: pictures and camera planes to what they mean, and text to a picture.

use std::sync::{Arc, Mutex, PoisonError};

use comptoir_qr::{Code, Live, Plane, ReadError, Symbol};

use super::{ClientError, Scanned};

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

/// Reads the codes that a camera sees, frame after frame. Make one for each camera screen, and call it on the thread that
/// analyses frames.
#[derive(Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Scanner {
    live: Mutex<Live>,
}

/// What a frame showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct ScanUpdate {
    /// Codes that came into view: each once, until it has been away for a second. Of several, let the person choose.
    pub codes: Vec<FoundCode>,
    /// The corners of all codes that are in view, for a line around them.
    pub in_view: Vec<Corners>,
    /// Two corners of a box around what looks like a code and does not read: focus there.
    pub region: Option<Region>,
    /// What is in that box is too small: zoom in, or ask the person to come closer.
    pub zoom: bool,
    /// It is dark: offer the lamp.
    pub torch: bool,
}

/// Top left, top right, bottom right, bottom left of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Corners {
    pub points: Vec<Point>,
}

/// A box in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Region {
    pub top_left: Point,
    pub bottom_right: Point,
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Scanner {
    /// A scanner that has seen nothing yet.
    ///
    /// # Errors
    /// None: a `Result` because everything that is exported returns one.
    #[cfg_attr(feature = "uniffi", uniffi::constructor)]
    pub fn new() -> Result<Arc<Self>, ClientError> {
        Ok(Arc::new(Self { live: Mutex::default() }))
    }

    /// Looks at one frame: its brightness plane, `row_stride` bytes from row to row, of which the last may be shorter. The bytes
    /// are borrowed, not copied. A few milliseconds.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `picture.unreadable` when the numbers and the bytes do not fit, or `picture.too_large`.
    pub fn scan_frame(&self, luma: &[u8], width: u32, height: u32, row_stride: u32) -> Result<ScanUpdate, ClientError> {
        let plane = Plane::new(luma, width, height, row_stride).map_err(refused)?;
        // Whatever a panic left behind, the next frame begins anew.
        let update = self.live.lock().unwrap_or_else(PoisonError::into_inner).frame(plane);
        let hints = update.hints;
        Ok(ScanUpdate {
            codes: found(update.codes),
            in_view: hints.in_view.into_iter().map(|corners| Corners { points: points(corners) }).collect(),
            region: hints.region.map(|[left, top, right, bottom]| Region {
                top_left: Point { x: left, y: top },
                bottom_right: Point { x: right, y: bottom },
            }),
            zoom: hints.zoom,
            torch: hints.torch,
        })
    }
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
    let found = codes.into_iter().map(|code| FoundCode { scanned: Scanned::of(&code), corners: points(code.corners) });
    found.collect()
}

fn points(corners: [[i32; 2]; 4]) -> Vec<Point> {
    corners.into_iter().map(|[x, y]| Point { x, y }).collect()
}

fn refused(error: ReadError) -> ClientError {
    let code = match &error {
        ReadError::TooManyBytes { .. } | ReadError::TooLarge { .. } => "picture.too_large",
        ReadError::NotAPicture | ReadError::Damaged(_) | ReadError::NotAFrame => "picture.unreadable",
    };
    ClientError::ask(code, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_reads_a_frame_and_refuses_what_is_none() {
        let symbol = Symbol::of_text("COMPTOIR:C/BAKERY").unwrap();
        let dark = |at: i32| symbol.is_dark((at % 160) / 4 - 8, (at / 160) / 4 - 4);
        let luma: Vec<u8> = (0..160 * 120).map(|at| if dark(at) { 20 } else { 220 }).collect();
        let scanner = Scanner::new().unwrap();
        let first = scanner.scan_frame(&luma, 160, 120, 160).unwrap();
        assert_eq!(first.codes[0].scanned, Scanned::Comptoir("COMPTOIR:C/BAKERY".to_owned()));
        assert_eq!(first.in_view, [Corners { points: first.codes[0].corners.clone() }]);
        let second = scanner.scan_frame(&luma, 160, 120, 160).unwrap();
        assert!(second.codes.is_empty() && second.in_view.len() == 1);
        assert_eq!(scanner.scan_frame(&luma, 160, 121, 160).unwrap_err().code(), "picture.unreadable");
    }
}
