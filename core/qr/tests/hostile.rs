//! Pictures made to hurt: too large, damaged, not pictures at all, or tiled with what a detector looks for.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use std::io::Cursor;

use comptoir_qr::{Live, MAX_PICTURE_BYTES, Plane, ReadError, Symbol, look_in_every_way, read_picture};
use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use proptest::prelude::*;

fn bakery() -> Vec<u8> {
    Symbol::of_text("COMPTOIR:C/BAKERY").unwrap().png(3).unwrap()
}

/// A PNG that claims a size and holds nothing.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 0, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(&chunk);
    png.extend(crc32(&chunk).to_be_bytes());
    // A data chunk begins, so that the header counts as complete.
    png.extend(b"\0\0\0\x01IDAT\x78");
    png.extend(crc32(b"IDAT\x78").to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

#[test]
fn a_picture_that_claims_too_much_is_refused_from_its_header() {
    for (width, height) in
        [(8193, 1), (1, 8193), (6325, 6325), (8192, 8192), (100_000, 100_000), (0x7fff_ffff, 0x7fff_ffff)]
    {
        let file = png_header(width, height);
        let error = read_picture(&file).unwrap_err();
        let ReadError::TooLarge { pixels } = error else {
            panic!("{width} × {height}: {error:?}");
        };
        assert!(pixels.is_none_or(|said| said == (width, height)), "{pixels:?}");
    }
    // Within the limits the same empty file is only damaged.
    assert!(matches!(read_picture(&png_header(6324, 6324)), Err(ReadError::Damaged(_))));
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let error = read_picture(&vec![0; MAX_PICTURE_BYTES + 1]).unwrap_err();
    assert!(matches!(error, ReadError::TooManyBytes { size_bytes } if size_bytes == MAX_PICTURE_BYTES + 1));
}

#[test]
fn what_is_not_a_picture_is_called_that() {
    for file in [&b""[..], b"hello", b"%PDF-1.7", b"GIF89a", b"BM", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"] {
        assert!(matches!(read_picture(file), Err(ReadError::NotAPicture)), "{file:?}");
    }
}

#[test]
fn a_truncated_picture_is_damaged_and_not_a_panic() {
    let png = bakery();
    for end in 8..png.len() - 20 {
        assert!(matches!(read_picture(&png[..end]), Err(ReadError::Damaged(_))), "{end}");
    }
}

#[test]
fn a_page_tiled_with_finder_patterns_ends() {
    let finder = |x: u32, y: u32| {
        let ring = (x % 9).abs_diff(4).max((y % 9).abs_diff(4));
        Luma([if ring <= 1 || ring == 3 { 0 } else { 255 }])
    };
    let mut file = Cursor::new(Vec::new());
    for scale in [1, 3] {
        file.set_position(0);
        let page = GrayImage::from_fn(1300, 900, |x, y| finder(x / scale, y / scale));
        DynamicImage::from(page).write_to(&mut file, ImageFormat::Png).unwrap();
        assert_eq!(read_picture(file.get_ref()).unwrap(), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), start in 0_usize..4) {
        let magic: &[u8] = [&b""[..], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBPVP8 "][start];
        let _ = read_picture(&[magic, &bytes].concat());
    }

    #[test]
    fn flipped_bits_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..6), format in 0_usize..3) {
        let format = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP][format];
        let picture = image::load_from_memory(&bakery()).unwrap().to_rgb8();
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(picture).write_to(&mut file, format).unwrap();
        let mut file = file.into_inner();
        for (place, bit) in flips {
            let place = place.index(file.len());
            file[place] ^= 1 << bit;
        }
        let _ = read_picture(&file);
    }

    #[test]
    fn noise_never_panics(seed in any::<u64>(), width in 1_u32..200, height in 1_u32..200, coarse in 1_u32..6) {
        let page = GrayImage::from_fn(width, height, |x, y| {
            let mixed = (seed ^ u64::from(x / coarse) << 32 ^ u64::from(y / coarse)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Luma([if mixed >> 63 == 0 { 0 } else { 255 }])
        });
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(page).write_to(&mut file, ImageFormat::Png).unwrap();
        let _ = read_picture(file.get_ref());
    }

    #[test]
    fn no_plane_panics_without_a_net(
        bytes in prop::collection::vec(any::<u8>(), 1..6000),
        width in 1_u32..120,
        padding in 0_u32..9,
        eyes in 0_u32..4,
    ) {
        let stride = width + padding;
        let height = (bytes.len() as u32).div_ceil(stride);
        let mut bytes = bytes;
        bytes.resize((stride * height) as usize, 0);
        // Finder patterns in the noise, so that more than thresholds is reached.
        for (at, byte) in bytes.iter_mut().enumerate().filter(|_| eyes > 0) {
            let (x, y) = (at as u32 % stride / eyes, at as u32 / stride / eyes);
            let ring = (x % 9).abs_diff(4).max((y % 9).abs_diff(4));
            *byte = if ring <= 1 || ring == 3 { *byte / 4 } else { 191 + *byte / 4 };
        }
        let plane = Plane::new(&bytes, width, height, stride).unwrap();
        let _ = look_in_every_way(plane);
        let mut live = Live::default();
        for _ in 0..3 {
            live.frame(plane);
        }
    }
}
