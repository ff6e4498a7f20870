//! What is written can be read: every length and alphabet, through PNG, and through what happens to pictures on the way.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use std::io::Cursor;

use comptoir_qr::{Code, Level, Symbol, WriteError, read_picture};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, Rgba, RgbaImage};
use proptest::prelude::*;

const LINK: &str = "COMPTOIR:I/7XQK2MBAKERY4ZC6N5PLTW3EVJRHO/9A8B7C6D5E4F3G2H1";

fn picture_of(text: &str, scale: u32) -> GrayImage {
    let png = Symbol::of_text(text).unwrap().png(scale).unwrap();
    image::load_from_memory(&png).unwrap().into_luma8()
}

fn png_of(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.into().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

fn texts(codes: &[Code]) -> Vec<&str> {
    let mut texts: Vec<_> = codes.iter().map(|code| code.text.as_deref().unwrap()).collect();
    texts.sort_unstable();
    texts
}

fn check(file: &[u8], expected: &[&str]) {
    assert_eq!(texts(&read_picture(file).unwrap()), expected);
}

#[test]
fn every_version_reads_back() {
    // What level L holds, in bytes: the table of ISO/IEC 18004.
    let capacities = [
        17, 32, 53, 78, 106, 134, 154, 192, 230, 271, 321, 367, 425, 458, 520, 586, 644, 718, 792, 858, 929, 1003,
        1091, 1171, 1273, 1367, 1465, 1528, 1628, 1732, 1840, 1952, 2068, 2188, 2303, 2431, 2563, 2699, 2809, 2953,
    ];
    for (version, capacity) in (1..).zip(capacities) {
        let text: String = "Bakery: croissants & a coffee? ".chars().cycle().take(capacity).collect();
        let symbol = Symbol::of_text(&text).unwrap();
        assert_eq!((symbol.version(), symbol.level()), (version, Level::Low));
        assert_eq!(symbol.side(), 17 + 4 * u32::from(version));
        if version % 6 == 4 {
            check(&symbol.png(2).unwrap(), &[&text]);
        }
    }
}

#[test]
fn every_alphabet_comes_back_as_it_was() {
    for text in [
        "0",
        "31415926535897932384626433832795028841971693993751",
        LINK,
        "https://example.org/?q=1",
        "Crème brûlée · 6,50 €",
        "パン屋 🥐 مخبز",
        "点茗",
        "ab\u{0}cd",
    ] {
        let codes = read_picture(&Symbol::of_text(text).unwrap().png(3).unwrap()).unwrap();
        assert_eq!(codes.len(), 1, "{text}");
        assert_eq!(codes[0].bytes, text.as_bytes());
        if !text.contains('\0') {
            assert_eq!(codes[0].text.as_deref(), Some(text));
        }
    }
}

#[test]
fn bytes_that_are_not_text_come_back() {
    let bytes: Vec<u8> = (0..=255).collect();
    let codes = read_picture(&Symbol::of_bytes(&bytes).unwrap().png(3).unwrap()).unwrap();
    assert_eq!(codes.len(), 1);
    assert_eq!(codes[0].bytes, bytes);
}

#[test]
fn our_links_make_small_symbols_with_room_for_damage() {
    let symbol = Symbol::of_text(LINK).unwrap();
    let lower = Symbol::of_text(&LINK.to_lowercase()).unwrap();
    assert!(symbol.version() < lower.version(), "{} {}", symbol.version(), lower.version());
    // One character more than version 1 holds at level H is no reason for version 2.
    let levels: Vec<_> = [10, 11, 16, 17, 20, 21, 25]
        .map(|length| Symbol::of_text(&"A".repeat(length)).unwrap())
        .iter()
        .map(|symbol| (symbol.version(), symbol.level()))
        .collect();
    assert_eq!(
        levels,
        [
            (1, Level::High),
            (1, Level::Quartile),
            (1, Level::Quartile),
            (1, Level::Medium),
            (1, Level::Medium),
            (1, Level::Low),
            (1, Level::Low),
        ]
    );
}

#[test]
fn too_long_is_refused_and_the_limit_itself_is_not() {
    assert_eq!(Symbol::of_text(&"7".repeat(7089)).unwrap().version(), 40);
    assert_eq!(Symbol::of_bytes(&[0xe9; 2953]).unwrap().version(), 40);
    for text in ["7".repeat(7090), "x".repeat(2954), "A".repeat(4297), "x".repeat(1 << 20)] {
        let error = Symbol::of_text(&text).unwrap_err();
        assert!(matches!(error, WriteError::TooLong { size_bytes } if size_bytes == text.len()), "{error:?}");
    }
}

#[test]
fn the_scale_has_a_floor_and_a_ceiling() {
    let symbol = Symbol::of_text("A").unwrap();
    for pixels_per_module in [0, 283, u32::MAX] {
        let error = symbol.png(pixels_per_module).unwrap_err();
        assert!(matches!(error, WriteError::Scale { max: 282, .. }), "{error:?}");
    }
    check(&symbol.png(1).unwrap(), &["A"]);
    check(&symbol.png(30).unwrap(), &["A"]);
}

#[test]
fn the_corners_are_where_the_symbol_is() {
    let codes = read_picture(&Symbol::of_text(LINK).unwrap().png(5).unwrap()).unwrap();
    let side = i32::try_from(Symbol::of_text(LINK).unwrap().side()).unwrap() * 5;
    let (near, far) = (20, 20 + side);
    for (corner, expected) in codes[0].corners.iter().zip([[near, near], [far, near], [far, far], [near, far]]) {
        let off = (corner[0] - expected[0]).abs().max((corner[1] - expected[1]).abs());
        assert!(off <= 1, "{:?}", codes[0].corners);
    }
}

#[test]
fn a_turned_picture_is_read() {
    let picture = picture_of(LINK, 6);
    check(&png_of(imageops::rotate90(&picture)), &[LINK]);
    check(&png_of(imageops::rotate180(&picture)), &[LINK]);
    for degrees in [7_f32, 33., 45., 120., 201.] {
        check(&png_of(turned(&picture, degrees)), &[LINK]);
    }
}

/// The picture on a larger white page, turned about its middle.
fn turned(picture: &GrayImage, degrees: f32) -> GrayImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let side = picture.width() * 3 / 2;
    let (middle, centre) = (side as f32 / 2., picture.width() as f32 / 2.);
    GrayImage::from_fn(side, side, |x, y| {
        let (dx, dy) = (x as f32 - middle, y as f32 - middle);
        let (sx, sy) = (cos * dx + sin * dy + centre, cos * dy - sin * dx + centre);
        let inside = |v: f32| v >= 0. && v < picture.width() as f32;
        if inside(sx) && inside(sy) { *picture.get_pixel(sx as u32, sy as u32) } else { Luma([255]) }
    })
}

#[test]
fn a_shrunk_or_enlarged_picture_is_read() {
    let picture = picture_of(LINK, 8);
    for percent in [30, 45, 77, 130, 300] {
        let side = picture.width() * percent / 100;
        check(&png_of(imageops::resize(&picture, side, side, FilterType::Triangle)), &[LINK]);
    }
}

#[test]
fn a_small_code_in_a_large_photo_is_read_at_its_place() {
    let mut photo = GrayImage::from_fn(2400, 1500, |x, y| Luma([150 + ((x / 50 + y / 70) % 40) as u8]));
    imageops::replace(&mut photo, &picture_of(LINK, 8), 1600, 900);
    let codes = read_picture(&png_of(photo)).unwrap();
    assert_eq!(texts(&codes), [LINK]);
    let [x, y] = codes[0].corners[0];
    assert!((x - 1632).abs() < 8 && (y - 932).abs() < 8, "{:?}", codes[0].corners);
}

#[test]
fn jpeg_and_webp_are_read() {
    let picture = picture_of(LINK, 4);
    for quality in [90, 40, 15] {
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, quality).encode_image(&picture).unwrap();
        check(&file, &[LINK]);
    }
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(picture).to_rgb8().write_to(&mut file, ImageFormat::WebP).unwrap();
    check(file.get_ref(), &[LINK]);
}

#[test]
fn a_dark_mode_picture_is_read() {
    let mut picture = picture_of(LINK, 4);
    imageops::invert(&mut picture);
    check(&png_of(picture), &[LINK]);
}

#[test]
fn transparency_counts_as_a_white_page() {
    let picture = picture_of(LINK, 4);
    // Black modules on nothing at all: the colour behind "nothing" must not matter.
    let ink = RgbaImage::from_fn(picture.width(), picture.height(), |x, y| {
        let dark = picture.get_pixel(x, y).0[0] == 0;
        Rgba([0, 0, 0, if dark { 255 } else { 0 }])
    });
    check(&png_of(ink), &[LINK]);
}

#[test]
fn no_code_is_an_empty_answer() {
    for picture in [
        GrayImage::from_pixel(1, 1, Luma([0])),
        GrayImage::from_pixel(640, 480, Luma([255])),
        GrayImage::from_fn(500, 300, |x, y| Luma([((x * 7 + y * 13) % 256) as u8])),
        GrayImage::from_fn(39, 4000, |x, y| Luma([((x ^ y) % 2 * 255) as u8])),
    ] {
        check(&png_of(picture), &[]);
    }
    check(&png_of(image::GrayAlphaImage::from_pixel(50, 50, LumaA([0, 0]))), &[]);
}

#[test]
fn two_codes_in_one_picture_are_both_found() {
    let mut page = GrayImage::from_pixel(900, 600, Luma([255]));
    imageops::replace(&mut page, &picture_of("ALICE", 8), 20, 30);
    imageops::replace(&mut page, &picture_of("https://bakery.example/", 5), 500, 250);
    check(&png_of(page), &["ALICE", "https://bakery.example/"]);
}

#[test]
fn the_same_code_twice_is_two_codes() {
    let mut page = GrayImage::from_pixel(900, 400, Luma([255]));
    imageops::replace(&mut page, &picture_of("ALICE", 8), 20, 30);
    imageops::replace(&mut page, &picture_of("ALICE", 8), 500, 30);
    check(&png_of(page), &["ALICE", "ALICE"]);
}

#[test]
fn a_dark_and_a_light_code_are_both_found() {
    let mut page = GrayImage::from_pixel(900, 400, Luma([255]));
    imageops::replace(&mut page, &picture_of("ALICE", 8), 20, 30);
    let mut dark = picture_of("BOB", 8);
    imageops::invert(&mut dark);
    imageops::replace(&mut page, &dark, 500, 30);
    check(&png_of(page), &["ALICE", "BOB"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_text_round_trips(text in "\\PC{1,300}", scale in 1_u32..6) {
        let codes = read_picture(&Symbol::of_text(&text).unwrap().png(scale).unwrap()).unwrap();
        prop_assert_eq!(texts(&codes), [text.as_str()]);
    }

    #[test]
    fn any_bytes_round_trip(bytes in prop::collection::vec(any::<u8>(), 1..600)) {
        let codes = read_picture(&Symbol::of_bytes(&bytes).unwrap().png(2).unwrap()).unwrap();
        prop_assert_eq!(codes.len(), 1);
        prop_assert_eq!(&codes[0].bytes, &bytes);
    }

    #[test]
    fn any_mix_of_alphabets_round_trips(text in "([0-9]{0,20}|[A-Z$%*+./: -]{0,20}|[a-z]{0,9}){0,12}") {
        prop_assume!(!text.is_empty());
        let codes = read_picture(&Symbol::of_text(&text).unwrap().png(3).unwrap()).unwrap();
        prop_assert_eq!(texts(&codes), [text.as_str()]);
    }
}
