//! Pictures that people took, with what is in them: `pictures/README.md` says where they come from.
//!
//! `read.tsv` is golden: it lists which of them are read, still and by a running camera. A change that loses one fails here;
//! `COMPTOIR_BLESS=1` writes the list anew, and the commit says why.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use comptoir_qr::{Code, Live, Plane, read_picture};
use image::{GrayImage, Luma};

/// Frames that a camera that is held still gets to read a code.
const FRAMES: usize = 12;

struct Labelled {
    path: String,
    /// What a reader must find.
    texts: Vec<String>,
    /// What else is really there.
    also: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

fn labelled() -> Vec<Labelled> {
    let labels = std::fs::read_to_string(folder().join("labels.tsv")).unwrap();
    let read = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let texts = |column: &str| -> Vec<String> {
            let texts: Vec<String> = serde_json::from_str(column).unwrap();
            texts.iter().map(|text| folded(text)).collect()
        };
        Labelled { path: columns[0].to_owned(), texts: texts(columns[1]), also: texts(columns[2]) }
    };
    labels.lines().skip(1).map(read).collect()
}

/// Ends of lines and of texts are not what a picture is judged by.
fn folded(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end_matches([' ', '\n', '\0']).to_owned()
}

/// What a code says. Where its bytes are not text, the label whose plain letters it has: which character set the others are in
/// is not for the decoder to know.
fn said(code: &Code, labels: &[String]) -> String {
    let plain = |bytes: &[u8]| bytes.iter().copied().filter(u8::is_ascii).collect::<Vec<u8>>();
    let by_letters = || labels.iter().find(|label| plain(label.as_bytes()) == plain(&code.bytes)).cloned();
    let text = code.text.as_deref().map(folded).or_else(by_letters);
    text.unwrap_or_else(|| format!("{:?}", code.bytes))
}

fn on_white(file: &[u8]) -> GrayImage {
    let picture = image::load_from_memory(file).unwrap().into_luma_alpha8();
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [gray, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        Luma([((gray * alpha + 255 * (255 - alpha)) / 255) as u8])
    })
}

fn read_live(picture: &GrayImage) -> Vec<Code> {
    let mut live = Live::default();
    let frame = Plane::new(picture.as_raw(), picture.width(), picture.height(), picture.width()).unwrap();
    (0..FRAMES).flat_map(|_| live.frame(frame).codes).collect()
}

/// What of the labels was found; anything else that was found is a lie, and fails.
fn score(picture: &Labelled, codes: &[Code]) -> Vec<String> {
    let mut found: Vec<String> = codes.iter().map(|code| said(code, &picture.texts)).collect();
    found.sort();
    found.dedup();
    for text in &found {
        assert!(picture.texts.contains(text) || picture.also.contains(text), "{}: {text:?}", picture.path);
    }
    found.retain(|text| picture.texts.contains(text));
    found
}

#[test]
fn the_pictures_that_were_read_are_read() {
    let mut now = String::from("path\tstill\tlive\n");
    for picture in labelled() {
        let file = std::fs::read(folder().join(&picture.path)).unwrap();
        let still = score(&picture, &read_picture(&file).unwrap());
        let live = score(&picture, &read_live(&on_white(&file)));
        let [still, live] = [still, live].map(|texts| serde_json::to_string(&texts).unwrap());
        writeln!(now, "{}\t{still}\t{live}", picture.path).unwrap();
    }
    // Whatever is blessed: no fewer than the best other reader reads, 94 of 97.
    for column in [1, 2] {
        let found = now.lines().skip(1).filter(|line| line.split('\t').nth(column) != Some("[]")).count();
        assert!(found >= 94, "{found}");
    }
    let golden = folder().join("read.tsv");
    if std::env::var_os("COMPTOIR_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&golden, &now).unwrap();
    }
    let before = std::fs::read_to_string(&golden).unwrap();
    let changed: Vec<_> = before.lines().zip(now.lines()).filter(|(before, now)| before != now).collect();
    assert!(changed.is_empty() && before.lines().count() == now.lines().count(), "before and now: {changed:#?}");
}
