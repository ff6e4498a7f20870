//! What the pictures look like, to the character: other people's scanners depend on it.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use std::io::Cursor;

use comptoir_qr::{Symbol, Terminal, read_picture};
use image::{DynamicImage, GrayImage, ImageFormat, Luma};

fn bakery() -> Symbol {
    Symbol::of_text("COMPTOIR:C/BAKERY").unwrap()
}

#[test]
fn the_svg_is_one_path_on_white() {
    insta::assert_snapshot!(bakery().svg(), @r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 29 29" shape-rendering="crispEdges"><rect width="29" height="29" fill="#fff"/><path fill="#000" d="M4 4h7v1h-7zM13 4h2v1h-2zM18 4h7v1h-7zM4 5h1v1h-1zM10 5h1v1h-1zM14 5h3v1h-3zM18 5h1v1h-1zM24 5h1v1h-1zM4 6h1v1h-1zM6 6h3v1h-3zM10 6h1v1h-1zM14 6h2v1h-2zM18 6h1v1h-1zM20 6h3v1h-3zM24 6h1v1h-1zM4 7h1v1h-1zM6 7h3v1h-3zM10 7h1v1h-1zM13 7h1v1h-1zM15 7h2v1h-2zM18 7h1v1h-1zM20 7h3v1h-3zM24 7h1v1h-1zM4 8h1v1h-1zM6 8h3v1h-3zM10 8h1v1h-1zM13 8h4v1h-4zM18 8h1v1h-1zM20 8h3v1h-3zM24 8h1v1h-1zM4 9h1v1h-1zM10 9h1v1h-1zM12 9h1v1h-1zM14 9h1v1h-1zM18 9h1v1h-1zM24 9h1v1h-1zM4 10h7v1h-7zM12 10h1v1h-1zM14 10h1v1h-1zM16 10h1v1h-1zM18 10h7v1h-7zM4 12h1v1h-1zM7 12h1v1h-1zM9 12h2v1h-2zM12 12h6v1h-6zM19 12h1v1h-1zM14 13h2v1h-2zM17 13h1v1h-1zM20 13h1v1h-1zM23 13h1v1h-1zM5 14h2v1h-2zM10 14h1v1h-1zM12 14h2v1h-2zM15 14h1v1h-1zM19 14h3v1h-3zM24 14h1v1h-1zM5 15h1v1h-1zM8 15h2v1h-2zM13 15h2v1h-2zM16 15h1v1h-1zM18 15h2v1h-2zM21 15h2v1h-2zM4 16h1v1h-1zM7 16h1v1h-1zM9 16h3v1h-3zM15 16h1v1h-1zM18 16h1v1h-1zM24 16h1v1h-1zM12 17h1v1h-1zM15 17h1v1h-1zM17 17h1v1h-1zM19 17h2v1h-2zM22 17h1v1h-1zM24 17h1v1h-1zM4 18h7v1h-7zM13 18h1v1h-1zM15 18h5v1h-5zM24 18h1v1h-1zM4 19h1v1h-1zM10 19h1v1h-1zM12 19h1v1h-1zM14 19h2v1h-2zM20 19h1v1h-1zM23 19h1v1h-1zM4 20h1v1h-1zM6 20h3v1h-3zM10 20h1v1h-1zM13 20h1v1h-1zM15 20h2v1h-2zM18 20h3v1h-3zM22 20h2v1h-2zM4 21h1v1h-1zM6 21h3v1h-3zM10 21h1v1h-1zM12 21h1v1h-1zM14 21h1v1h-1zM17 21h1v1h-1zM19 21h6v1h-6zM4 22h1v1h-1zM6 22h3v1h-3zM10 22h1v1h-1zM13 22h3v1h-3zM17 22h2v1h-2zM20 22h1v1h-1zM22 22h1v1h-1zM24 22h1v1h-1zM4 23h1v1h-1zM10 23h1v1h-1zM15 23h1v1h-1zM17 23h1v1h-1zM19 23h1v1h-1zM24 23h1v1h-1zM4 24h7v1h-7zM12 24h1v1h-1zM14 24h2v1h-2zM22 24h1v1h-1z"/></svg>"##);
}

#[test]
fn the_terminal_text_has_its_quiet_zone() {
    insta::assert_snapshot!(bakery().terminal(Terminal::PlainOnLight).replace(' ', "·"), @r"
    ·····························
    ·····························
    ····█▀▀▀▀▀█··▀█▄▄·█▀▀▀▀▀█····
    ····█·███·█··▄▀█▄·█·███·█····
    ····█·▀▀▀·█·▄▀█▀▀·█·▀▀▀·█····
    ····▀▀▀▀▀▀▀·▀·▀·▀·▀▀▀▀▀▀▀····
    ····▀··▀·▀▀·▀▀██▀█·▀▄··▄·····
    ·····█▀·▄▄▀·▀█▄▀▄·▄█▀█▄·▀····
    ····▀··▀·▀▀▀▄··█·▄▀▄▄·▄·█····
    ····█▀▀▀▀▀█·▄▀▄█▀▀▀▀▄··▄▀····
    ····█·███·█·▄▀▄▀▀▄▀██▄██▄····
    ····█·▀▀▀·█··▀▀█·█▀▄▀·▀·█····
    ····▀▀▀▀▀▀▀·▀·▀▀······▀······
    ·····························
    ·····························
    ");
}

#[test]
fn inked_light_is_the_negative_of_inked_dark() {
    let light = bakery().terminal(Terminal::PlainOnLight);
    let negative: String = light
        .chars()
        .map(|c| match c {
            '█' => ' ',
            '▀' => '▄',
            '▄' => '▀',
            ' ' => '█',
            other => other,
        })
        .collect();
    assert_eq!(bakery().terminal(Terminal::PlainOnDark), negative);
}

#[test]
fn a_photo_of_the_terminal_is_read() {
    let text = bakery().terminal(Terminal::PlainOnLight);
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let (across, down) = (lines[0].len(), lines.len());
    let photo = GrayImage::from_fn(4 * u32::try_from(across).unwrap(), 8 * u32::try_from(down).unwrap(), |x, y| {
        let letter = lines[y as usize / 8][x as usize / 4];
        let dark = letter == '█' || letter == if y % 8 < 4 { '▀' } else { '▄' };
        Luma([if dark { 40 } else { 230 }])
    });
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(photo).write_to(&mut file, ImageFormat::Png).unwrap();
    assert_eq!(read_picture(file.get_ref()).unwrap()[0].bytes, b"COMPTOIR:C/BAKERY");
}

#[test]
fn colours_are_said_and_taken_back_on_every_line() {
    let plain = bakery().terminal(Terminal::PlainOnLight);
    let coloured = bakery().terminal(Terminal::Colour);
    assert_eq!(plain.lines().count(), coloured.lines().count());
    for (plain, coloured) in plain.lines().zip(coloured.lines()) {
        assert_eq!(coloured, format!("\x1b[38;5;16;48;5;231m{plain}\x1b[0m"));
    }
}

#[test]
fn the_png_is_eight_bit_gray() {
    let png = bakery().png(2).unwrap();
    let side = (bakery().side() + 8) * 2;
    assert_eq!(png[16..20], side.to_be_bytes());
    assert_eq!(png[20..24], side.to_be_bytes());
    assert_eq!(png[24..26], [8, 0], "eight bits, gray");
}
