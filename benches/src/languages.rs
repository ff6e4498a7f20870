//! What the library costs through each language: the same work by the same calls, in a program of its own, on the same store.
//!
//! `cargo xtask bench languages` builds those programs and says where they are (`COMPTOIR_BENCH_<LANGUAGE>`, a JSON list of the
//! program and its arguments). Rust calls the façade in this process, and is what the others are held against.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use comptoir_client::{BubbleState, Client, Place, scan_frame};
use comptoir_content::ConversationId;
use serde::Deserialize;

use crate::relay_process::RelayProcess;
use crate::series::Series;
use crate::{Bound, Finding, Of, Plan, Result, phone};

const NAME: &str = "languages";
const LANGUAGES: [&str; 3] = ["python", "kotlin", "swift"];
/// A frame of a camera, in pixels.
const FRAME: (u32, u32) = (1280, 720);
const TEXT_BYTES: usize = 100;
const BATCH: usize = 100;

/// What a program says.
#[derive(Clone, Copy, Deserialize)]
struct Figures {
    /// From its first line to the first chats: loading the library, opening the store.
    load_ms: f64,
    /// A call that does next to nothing.
    call_us: f64,
    page_us: f64,
    frame_us: f64,
    batch_per_s: f64,
}

/// # Errors
/// Whatever ended it.
pub fn run(plan: &Plan) -> Result<Vec<Finding>> {
    let (rounds, times) = (plan.size(5, 1), plan.size(20, 1));
    let folder = plan.folder()?;
    let dir = folder.path().join("alice");
    let chat = phone::runtime()?.block_on(prepared(plan, folder.path()))?;
    let frame = folder.path().join("frame.luma");
    let plane = frame_with_a_code()?;
    std::fs::write(&frame, &plane)?;

    let mut findings = Vec::new();
    let mut series: Vec<(&str, [Series; 5])> = Vec::new();
    let mut programs = Vec::new();
    for language in LANGUAGES {
        match std::env::var(format!("COMPTOIR_BENCH_{}", language.to_uppercase())) {
            Ok(program) => {
                let program: Vec<String> = serde_json::from_str(&program)?;
                programs.push((language, program));
            }
            Err(_) => findings.push(Finding::not_run(NAME, language, "only `cargo xtask bench` builds it".to_owned())),
        }
    }
    for _ in 0..rounds {
        let ours = in_rust(&dir, chat, &plane, times)?;
        note(&mut series, "rust", ours);
        for (language, program) in &programs {
            let mut command = Command::new(program.first().ok_or("a program has a name")?);
            command.args(&program[1..]).arg(&dir).arg(dir.with_extension("key")).arg(chat.to_string()).arg(&frame);
            command.args([FRAME.0.to_string(), FRAME.1.to_string(), times.to_string()]);
            let told = command.output()?;
            if !told.status.success() {
                return Err(format!("{language}: {}", String::from_utf8_lossy(&told.stderr)).into());
            }
            note(&mut series, language, serde_json::from_slice(&told.stdout)?);
        }
    }
    let rust = series.first().map(|(_, series)| series.clone()).ok_or("no round was run")?;
    for (language, [load, call, page, frame, batch]) in &series {
        let whats = [
            (load, "load the library, open, list 20 chats", "ms", Some((Bound::AtMost, 50.0)), &rust[0]),
            (call, "a call", "µs", None, &rust[1]),
            (page, "a page of 50", "µs", None, &rust[2]),
            (frame, "a frame of 1280 × 720 with a code", "µs", None, &rust[3]),
            (batch, "seal and store 100 texts at once", "/s", Some((Bound::AtLeast, 7_000.0)), &rust[4]),
        ];
        for (series, what, unit, goal, rust) in whats {
            let mut finding = Finding::new(NAME, format!("{language}: {what}"), series.figure(unit));
            if *language != "rust" {
                finding = finding.beside("Rust, in this process", rust.figure("").value, series.ratio(rust));
            }
            findings.push(match goal {
                Some((bound, value)) => finding.goal(Of::Figure, bound, value),
                None => finding,
            });
        }
    }
    Ok(findings)
}

fn note(series: &mut Vec<(&'static str, [Series; 5])>, language: &'static str, figures: Figures) {
    if !series.iter().any(|(name, _)| *name == language) {
        series.push((language, [const { Series::empty() }; 5]));
    }
    let values = [figures.load_ms, figures.call_us, figures.page_us, figures.frame_us, figures.batch_per_s];
    if let Some((_, all)) = series.iter_mut().find(|(name, _)| *name == language) {
        all.iter_mut().zip(values).for_each(|(series, value)| series.push(value));
    }
}

/// Alice's folder, with a chat of which both ends know each other, and more than a page in it.
async fn prepared(plan: &Plan, folder: &Path) -> Result<ConversationId> {
    let relay = RelayProcess::start(plan, &folder.join("relay")).await?;
    let (alice, bob) = (phone::open(&folder.join("alice"))?, phone::open(&folder.join("bob"))?);
    alice.create_account(&relay.url()).await?;
    bob.create_account(&relay.url()).await?;
    phone::sync(&bob).await?;
    let chat = alice.add_contact(&bob.identity()?.ok_or("no account")?.link).await?;
    alice.send_texts(chat, vec!["Bonjour".to_owned(); 60]).await?;
    let delivered = |alice: &Client| {
        let page = alice.page(chat, Place::Newest, 1);
        page.is_ok_and(|page| page.bubbles.iter().all(|bubble| bubble.state == BubbleState::Delivered))
    };
    phone::sees(&alice, chat, delivered).await?;
    alice.shutdown()?;
    bob.shutdown()?;
    Ok(chat)
}

/// A code in the middle of a grey wall, as a camera sees it.
fn frame_with_a_code() -> Result<Vec<u8>> {
    let (width, height) = (FRAME.0 as usize, FRAME.1 as usize);
    let symbol = comptoir_qr::Symbol::of_text("COMPTOIR:CBENCHBENCHBENCHBENCHBENCHBENCH")?;
    let quiet = i32::try_from(comptoir_qr::QUIET_ZONE)?;
    let side = i32::try_from(symbol.side())? + 2 * quiet;
    let module = 6;
    let (left, top) = ((width - side as usize * module) / 2, (height - side as usize * module) / 2);
    let mut plane = vec![170; width * height];
    for (y, row) in plane.chunks_mut(width).enumerate().skip(top).take(side as usize * module) {
        for (x, pixel) in row.iter_mut().enumerate().skip(left).take(side as usize * module) {
            let at = |place: usize, from: usize| ((place - from) / module) as i32 - quiet;
            *pixel = if symbol.is_dark(at(x, left), at(y, top)) { 40 } else { 225 };
        }
    }
    Ok(plane)
}

fn in_rust(dir: &Path, chat: ConversationId, plane: &[u8], times: usize) -> Result<Figures> {
    let began = Instant::now();
    let core = phone::open(dir)?;
    core.chats(None, 20)?;
    let load_ms = began.elapsed().as_secs_f64() * 1e3;
    core.disconnect()?;
    let call_us = micros(times * 100, || {
        black_box(core.status()?);
        Ok(())
    })?;
    let page_us = micros(times * 10, || crate::opening::expect(core.page(chat, Place::Newest, 50)?.bubbles.len(), 50))?;
    let scan = || crate::opening::expect(scan_frame(plane, FRAME.0, FRAME.1, FRAME.0)?.len(), 1);
    let frame_us = micros(times, scan)?;
    let texts = vec!["x".repeat(TEXT_BYTES); BATCH];
    let runtime = phone::runtime()?;
    let batch_us = micros(times, || {
        runtime.block_on(core.send_texts(chat, texts.clone()))?;
        Ok(())
    })?;
    core.shutdown()?;
    Ok(Figures { load_ms, call_us, page_us, frame_us, batch_per_s: BATCH as f64 / batch_us * 1e6 })
}

fn micros(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..times {
        work()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / times as f64)
}
