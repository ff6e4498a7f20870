//! QR codes in a terminal and in pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use comptoir_qr::{Payload, Scanned, Symbol, Terminal, WriteError, read_picture};
use serde_json::{Value, json};

use crate::out::{Failure, Out, plain};
use crate::payments;
use crate::person::Home;

/// Pixels of a module in a picture that is looked at on a screen or printed small.
pub(crate) const PIXELS_PER_MODULE: u32 = 8;
/// The code of a picture that cannot be read.
const UNREADABLE: &str = "qr.unreadable";

/// A QR code of a text as a PNG file.
pub(crate) fn write_png(text: &str, path: &Path) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed("qr.write", error);
    let symbol = Symbol::of_text(text).map_err(|error| failed(&error))?;
    let png = symbol.png(PIXELS_PER_MODULE).map_err(|error| failed(&error))?;
    save(path, &png)
}

#[derive(Args)]
pub(crate) struct Show {
    /// One's own contact code without it.
    text: Option<String>,
    /// Into this file, instead of drawing it here.
    #[arg(long)]
    png: Option<PathBuf>,
    /// Into this file, instead of drawing it here.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// A picture for the middle of the code, which stays as readable as it has to be. With `--png` or `--svg`.
    #[arg(long)]
    logo: Option<PathBuf>,
    /// Without colours, for a dark terminal.
    #[arg(long)]
    plain: bool,
}

pub(crate) fn show(out: &Out, home: &Home, show: Show) -> Result<(), Failure> {
    let Show { text, png, svg, logo, plain: is_plain } = show;
    let text = match text {
        Some(text) => text,
        None => {
            let me = home.open_account()?.identity()?;
            me.ok_or_else(|| Failure::failed("account.unknown", "no account"))?.link
        }
    };
    let refused = |error: WriteError| Failure::usage("qr.write", error);
    let in_terminal = png.is_none() && svg.is_none();
    if in_terminal && logo.is_some() {
        return Err(Failure::usage("qr.write", "a logo needs a picture: name one with --png or --svg"));
    }
    let logo = logo.as_deref().map(read).transpose()?;
    let symbol = if logo.is_some() { Symbol::of_text_for_logo(&text) } else { Symbol::of_text(&text) };
    let symbol = symbol.map_err(refused)?;
    if let Some(path) = &png {
        let picture = match &logo {
            Some(logo) => symbol.png_with_logo(PIXELS_PER_MODULE, logo),
            None => symbol.png(PIXELS_PER_MODULE),
        };
        save(path, &picture.map_err(refused)?)?;
    }
    if let Some(path) = &svg {
        let picture = logo.as_ref().map_or_else(|| Ok(symbol.svg()), |logo| symbol.svg_with_logo(logo));
        save(path, picture.map_err(refused)?.as_bytes())?;
    }
    let style = if is_plain { Terminal::PlainOnDark } else { Terminal::Colour };
    let drawn = if in_terminal { symbol.terminal(style) } else { String::new() };
    out.say(&json!({ "text": text, "version": symbol.version(), "png": png, "svg": svg }), format!("{drawn}{text}"));
    Ok(())
}

pub(crate) fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| Failure::failed("storage.io", format!("{}: {error}", path.display())))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::usage(UNREADABLE, format!("{}: {error}", path.display())))
}

/// Reads each file and says at once what is in it: one line for each. Standard output is flushed at every line.
pub(crate) fn scan(out: &Out, files: &[PathBuf]) -> Result<(), Failure> {
    let mut unreadable = 0;
    for path in files {
        let started = std::time::Instant::now();
        let read = std::fs::read(path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| read_picture(&bytes).map_err(|error| error.to_string()));
        match read {
            Ok(codes) => {
                let json: Vec<Value> = codes
                    .iter()
                    .map(|code| {
                        json!({ "text": code.text, "bytes": data_encoding::BASE64.encode(&code.bytes),
                            "kind": kind(&Scanned::of(code)), "corners": code.corners })
                    })
                    .collect();
                let words: Vec<String> = codes
                    .iter()
                    .map(|code| match Scanned::of(code) {
                        Scanned::Comptoir(text) | Scanned::Url(text) | Scanned::Text(text) => plain(&text),
                        Scanned::Payment(payment) => payments::in_words(&payment),
                        Scanned::Refused { why, .. } => payments::refused_in_words(&why),
                        Scanned::Unknown(bytes) => format!("({} bytes)", bytes.len()),
                    })
                    .collect();
                let words = if words.is_empty() { "no code".to_owned() } else { words.join("\n") };
                let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                out.say(&json!({ "path": path, "ms": ms, "codes": json }), format!("{}: {words}", path.display()));
            }
            Err(error) => {
                unreadable += 1;
                let told = json!({ "path": path, "error": { "code": UNREADABLE, "detail": error } });
                out.say(&told, format!("{}: {error}", path.display()));
            }
        }
    }
    if unreadable > 0 {
        let text = format!("{unreadable} of {} could not be read", files.len());
        return Err(Failure { is_in_json: true, ..Failure::usage(UNREADABLE, text) });
    }
    Ok(())
}

pub(crate) fn kind(scanned: &Scanned) -> &'static str {
    match scanned {
        Scanned::Comptoir(_) => "comptoir",
        Scanned::Payment(payment) => match payment.payload {
            Payload::Merchant(_) => "merchant",
            Payload::Upi(_) => "upi",
            Payload::Epc(_) => "epc",
            Payload::Swiss(_) => "swiss_bill",
        },
        Scanned::Refused { .. } => "refused",
        Scanned::Url(_) => "url",
        Scanned::Text(_) => "text",
        Scanned::Unknown(_) => "unknown",
    }
}
