//! Codes in pictures: how many are read, and how long that takes, beside zxing-cpp.
//!
//! The pictures are those that people took and labelled (`core/qr/tests/pictures`), and those that the studio of the same
//! tests makes: 19 kinds of bad conditions, frames without a code, pictures meant to hurt. Time is processor time of one
//! thread, the quickest of a few; both readers get each picture in turn.

use std::path::{Path, PathBuf};

use comptoir_qr::{Code, Live, Plane, read_frame};
use image::imageops::{self, FilterType};
use image::{GrayImage, Luma};

use crate::meters::cpu_micros;
use crate::report::Figure;
use crate::series::quantile;
use crate::studio::{self, KINDS, Kind, Photo};
use crate::zxing::{PEER, Zxing};
use crate::{Bound, Finding, Of, Plan, Result};

const NAME: &str = "qr";
/// Frames that a camera that is held still gets to read a code.
const FRAMES: usize = 12;
/// Kinds of which a good part is hard to read.
const HARD: [Kind; 9] = [
    Kind::Bent,
    Kind::Blurred,
    Kind::Shaken,
    Kind::Noisy,
    Kind::Pale,
    Kind::Glare,
    Kind::Damaged,
    Kind::Tilted,
    Kind::Far,
];

/// What came of some pictures: ours and the peer's.
#[derive(Default)]
struct Tally {
    pictures: usize,
    codes: usize,
    ours: Side,
    peer: Side,
    /// Pictures of which the first frame, and a dozen of them, gave a code.
    first: usize,
    dozen: usize,
    first_micros: Vec<f64>,
    /// The mean of a dozen frames.
    frame_micros: Vec<f64>,
    /// The slowest frame of each picture.
    slowest_micros: Vec<f64>,
}

#[derive(Default)]
struct Side {
    codes: usize,
    pictures: usize,
    /// Texts that are in no code of the picture.
    lies: usize,
    micros: Vec<f64>,
}

impl Side {
    fn add(&mut self, picture: &Photo, also: &[String], texts: &[String], micros: f64) {
        let mut left: Vec<String> = picture.texts.iter().map(|text| folded(text)).collect();
        let known: Vec<String> = left.iter().cloned().chain(also.iter().map(|text| folded(text))).collect();
        let before = left.len();
        for text in texts.iter().map(|text| folded(text)) {
            if let Some(at) = left.iter().position(|label| *label == text) {
                left.swap_remove(at);
            } else if !known.contains(&text) {
                self.lies += 1;
            }
        }
        self.codes += before - left.len();
        self.pictures += usize::from(left.len() < before);
        self.micros.push(micros);
    }
}

/// Ends of lines and of texts are not what a reader is judged by.
fn folded(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end_matches([' ', '\n', '\0']).to_owned()
}

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let folder = plan.folder()?;
    let mut peer = if plan.quick {
        Err("zxing-cpp: a quick run installs nothing".into())
    } else {
        std::fs::create_dir_all(&plan.dir)?;
        Zxing::start(&plan.dir)
    };
    let mut booth =
        Booth { file: folder.path().join("picture.gray"), times: plan.size(3, 1), peer: peer.as_mut().ok() };
    let (width, height) = (plan.size(1920, 320), plan.size(1080, 240));

    let [mut taken, mut made, mut hard, mut empty, mut hostile] = std::array::from_fn(|_| Tally::default());
    for (photo, also) in labelled(plan.size(usize::MAX, 3))? {
        booth.look(&photo, &also, &mut [&mut taken])?;
    }
    for kind in KINDS {
        for seed in 0..plan.size(8, 1) as u64 {
            // Seeds that the tests do not use.
            let photo = studio::photo(kind, 1000 + seed, width, height);
            if HARD.contains(&kind) {
                booth.look(&photo, &[], &mut [&mut made, &mut hard])?;
            } else {
                booth.look(&photo, &[], &mut [&mut made])?;
            }
        }
    }
    for seed in 0..plan.size(24, 1) as u64 {
        booth.look(&studio::nothing(1000 + seed, width, height), &[], &mut [&mut empty])?;
    }
    for photo in without_codes(plan.size(usize::MAX, 1), width, height)? {
        booth.look(&photo, &[], &mut [&mut empty])?;
    }
    for (_, photo) in studio::hostile::all(1000, width, height) {
        booth.look(&photo, &[], &mut [&mut hostile])?;
    }
    let has_peer = booth.peer.is_some();

    let mut findings = Vec::new();
    if let Err(why) = peer {
        findings.push(Finding::not_run(NAME, PEER, why.to_string()));
    }
    let judge = Judge { has_peer };
    findings.extend(judge.shares("taken", &taken, 1.0));
    findings.extend(judge.shares("made, 19 kinds", &made, 1.0));
    findings.extend(judge.shares("made, the 9 hard kinds of them", &hard, 1.05));
    findings.extend(judge.times(&made, &empty, &hostile));
    let lies = [&taken, &made, &empty, &hostile];
    let (ours, peers) = (lies.map(|tally| tally.ours.lies), lies.map(|tally| tally.peer.lies));
    let all = lies.iter().map(|tally| tally.pictures).sum::<usize>();
    let (ours, peers) = (ours.iter().sum::<usize>(), peers.iter().sum::<usize>());
    let what = format!("texts that are in no code, in {all} pictures, still");
    let lies = Finding::new(NAME, what, Figure::once(ours as f64, "")).goal(Of::Figure, Bound::AtMost, 0.0);
    // Next to none there is no ratio.
    findings.push(if has_peer { lies.note(format!("{PEER}: {peers}")) } else { lies });
    Ok(findings)
}

/// Where both readers look at a picture.
struct Booth<'a> {
    file: PathBuf,
    times: usize,
    peer: Option<&'a mut Zxing>,
}

impl Booth<'_> {
    fn look(&mut self, photo: &Photo, also: &[String], tallies: &mut [&mut Tally]) -> Result<()> {
        let (width, height) = (u32::try_from(photo.width)?, u32::try_from(photo.height)?);
        let (mut still, mut still_micros) = (Vec::new(), f64::INFINITY);
        for _ in 0..self.times {
            let micros = cpu_micros(|| {
                still = read_frame(&photo.pixels, width, height, width)?;
                Ok(())
            })?;
            still_micros = still_micros.min(micros);
        }
        let plane = Plane::new(&photo.pixels, width, height, width)?;
        let (mut first, mut dozen) = (false, false);
        let mut frames = [f64::INFINITY; FRAMES];
        for _ in 0..self.times {
            // A camera runs before it sees a code: its scanner has its buffers.
            let mut live = Live::default();
            live.frame(Plane::new(&vec![128; photo.pixels.len()], width, height, width)?);
            for (at, quickest) in frames.iter_mut().enumerate() {
                let micros = cpu_micros(|| {
                    let update = live.frame(plane);
                    first |= at == 0 && !update.hints.in_view.is_empty();
                    dozen |= !update.codes.is_empty();
                    Ok(())
                })?;
                *quickest = quickest.min(micros);
            }
        }
        let answer = match &mut self.peer {
            Some(peer) => {
                std::fs::write(&self.file, &photo.pixels)?;
                Some(peer.read(&self.file, photo.width, photo.height, self.times)?)
            }
            None => None,
        };
        let texts: Vec<String> = still.iter().map(|code| said(code, &photo.texts)).collect();
        for tally in tallies {
            tally.pictures += 1;
            tally.codes += photo.texts.len();
            tally.first += usize::from(first);
            tally.dozen += usize::from(dozen);
            tally.first_micros.push(frames[0]);
            tally.frame_micros.push(frames.iter().sum::<f64>() / FRAMES as f64);
            tally.slowest_micros.push(frames.iter().copied().fold(0.0, f64::max));
            tally.ours.add(photo, also, &texts, still_micros);
            if let Some(answer) = &answer {
                tally.peer.add(photo, also, &answer.texts, answer.micros);
            }
        }
        Ok(())
    }
}

/// What a code says; where its bytes are not text, the label whose plain letters it has.
fn said(code: &Code, labels: &[String]) -> String {
    let plain = |bytes: &[u8]| bytes.iter().copied().filter(u8::is_ascii).collect::<Vec<u8>>();
    let by_letters = || labels.iter().find(|label| plain(label.as_bytes()) == plain(&code.bytes)).cloned();
    code.text.clone().or_else(by_letters).unwrap_or_else(|| format!("{:?}", code.bytes))
}

struct Judge {
    has_peer: bool,
}

impl Judge {
    fn beside(&self, finding: Finding, value: f64, ratio: f64) -> Finding {
        if self.has_peer { finding.beside(PEER, value, ratio) } else { finding }
    }

    /// What part was read, in percent: goals are the peer's share times `at_least`.
    fn shares(&self, what: &str, tally: &Tally, at_least: f64) -> Vec<Finding> {
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        let share = |what: String, ours: f64, peer: f64| {
            let finding = self.beside(Finding::new(NAME, what, Figure::once(ours, "%")), peer, ours / peer);
            if self.has_peer { finding.goal(Of::Ratio, Bound::AtLeast, at_least) } else { finding }
        };
        let pictures = percent(tally.peer.pictures, tally.pictures);
        let camera = |what: &str, read: usize| {
            let ours = percent(read, tally.pictures);
            let what = format!("pictures read by a camera in {what}: {{}}");
            self.beside(Finding::new(NAME, what, Figure::once(ours, "%")), pictures, ours / pictures)
        };
        let mut all = vec![
            share(
                format!("{} codes read, still: {what}", tally.codes),
                percent(tally.ours.codes, tally.codes),
                percent(tally.peer.codes, tally.codes),
            ),
            share(
                format!("pictures with a code read, still: {what}"),
                percent(tally.ours.pictures, tally.pictures),
                pictures,
            ),
            camera("one frame", tally.first),
            camera("a dozen frames", tally.dozen),
        ];
        for finding in &mut all {
            finding.what = finding.what.replace("{}", what);
        }
        all
    }

    fn times(&self, with: &Tally, without: &Tally, hostile: &Tally) -> Vec<Finding> {
        let at = |values: &[f64], part: f64| quantile(values.to_vec(), part);
        let row = |what: &str, ours: &[f64], peer: &[f64], part: f64, goal: Option<f64>| {
            let (value, peers) = (at(ours, part), at(peer, part));
            let figure = Figure { value, unit: "µs", low: at(ours, 0.0), high: at(ours, 1.0) };
            let finding = self.beside(Finding::new(NAME, what, figure), peers, value / peers);
            match goal {
                Some(goal) if self.has_peer => finding.goal(Of::Ratio, Bound::AtMost, goal),
                _ => finding,
            }
        };
        let peer = &with.peer.micros;
        vec![
            row("1080p frame with a code, the first, median", &with.first_micros, peer, 0.5, Some(0.30)),
            row("1080p frame with a code, the first, 95 of 100", &with.first_micros, peer, 0.95, Some(0.60)),
            row("1080p frame with a code, mean of a dozen, median", &with.frame_micros, peer, 0.5, None),
            row(
                "1080p frame without a code, mean of a dozen, median",
                &without.frame_micros,
                &without.peer.micros,
                0.5,
                Some(0.90),
            ),
            row(
                "1080p frame without a code, mean of a dozen, 95 of 100",
                &without.frame_micros,
                &without.peer.micros,
                0.95,
                Some(1.0),
            ),
            row("1080p still with a code, median", &with.ours.micros, peer, 0.5, Some(1.0)),
            row("1080p still with a code, 95 of 100", &with.ours.micros, peer, 0.95, Some(4.0)),
            row("1080p still without a code, median", &without.ours.micros, &without.peer.micros, 0.5, None),
            row(
                "picture meant to hurt, slowest frame of all",
                &hostile.slowest_micros,
                &hostile.peer.micros,
                1.0,
                Some(1.5),
            ),
            row(
                "picture meant to hurt, slowest frame, median",
                &hostile.slowest_micros,
                &hostile.peer.micros,
                0.5,
                None,
            ),
            row(
                "picture meant to hurt, slowest still of all",
                &hostile.ours.micros,
                &hostile.peer.micros,
                1.0,
                Some(6.0),
            ),
            row("picture meant to hurt, still, median", &hostile.ours.micros, &hostile.peer.micros, 0.5, None),
        ]
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/qr/tests/pictures")
}

/// The pictures that people took and that hold a code, and what else is in them.
fn labelled(most: usize) -> Result<Vec<(Photo, Vec<String>)>> {
    let labels = std::fs::read_to_string(pictures().join("labels.tsv"))?;
    let mut all = Vec::new();
    for line in labels.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [path, texts, also, ..] = columns.as_slice() else { return Err(format!("labels.tsv: {line}").into()) };
        let texts: Vec<String> = serde_json::from_str(texts)?;
        if !texts.is_empty() && all.len() < most {
            let gray = on_white(&pictures().join(path))?;
            all.push((photo(gray, texts), serde_json::from_str(also)?));
        }
    }
    Ok(all)
}

/// The pictures that people took and that hold none, as large as a frame.
fn without_codes(most: usize, width: usize, height: usize) -> Result<Vec<Photo>> {
    let mut all = Vec::new();
    for folder in ["negative-falsepositives", "negative-unsupported"] {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(pictures().join(folder))? {
            files.push(entry?.path());
        }
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "png")) {
            if all.len() < most {
                let frame = imageops::resize(
                    &on_white(file)?,
                    u32::try_from(width)?,
                    u32::try_from(height)?,
                    FilterType::Triangle,
                );
                all.push(photo(frame, Vec::new()));
            }
        }
    }
    Ok(all)
}

fn photo(gray: GrayImage, texts: Vec<String>) -> Photo {
    Photo { width: gray.width() as usize, height: gray.height() as usize, pixels: gray.into_raw(), texts }
}

#[allow(clippy::cast_possible_truncation, reason = "a mean of two bytes is one")]
fn on_white(file: &Path) -> Result<GrayImage> {
    let picture = image::open(file)?.into_luma_alpha8();
    Ok(GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [gray, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        Luma([((gray * alpha + 255 * (255 - alpha)) / 255) as u8])
    }))
}
