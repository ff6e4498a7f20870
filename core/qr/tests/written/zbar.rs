//! `zbarimg`, the second reader by others, in a process for each picture.
//!
//! Everything is asked for as bytes (`-Sbinary`). As texts it reads what a symbol says of its letters (ECI 26, which ours say where
//! they are not ASCII); where a symbol says nothing it tries a few character sets and takes the first that fits: UTF-8 as Big5,
//! ISO 8859-1 as Shift JIS. There it differs from us, who take what is UTF-8 for UTF-8.
//!
//! What covers an alignment pattern hides the code from it: of Swiss QR-bills, which are of version 7 and more, those up to 13 have
//! one under their cross.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// How it ends when it found no code.
const NOTHING: i32 = 4;

/// The bytes of the one code in a picture.
pub(crate) fn bytes(png: &[u8]) -> Vec<u8> {
    found(png).expect("zbarimg found nothing")
}

/// As [`bytes`]; `None` when it finds no code.
pub(crate) fn found(png: &[u8]) -> Option<Vec<u8>> {
    ask(png, &["-Sbinary"])
}

/// The code as a text, in the letters that it takes it for.
pub(crate) fn text(png: &[u8]) -> String {
    let mut said = ask(png, &[]).expect("zbarimg found nothing");
    assert_eq!(said.pop(), Some(b'\n'));
    String::from_utf8(said).unwrap()
}

/// It fails rather than skip: a test that did not run proves nothing.
fn ask(png: &[u8], how: &[&str]) -> Option<Vec<u8>> {
    if let Some(why) = std::env::var_os("COMPTOIR_ZBAR_MISSING") {
        panic!("zbarimg could not be installed: {}", why.to_string_lossy());
    }
    let mut zbarimg = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .args(how)
        .arg("png:-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("zbarimg ({error}): run `cargo xtask test`, which installs it"));
    zbarimg.stdin.take().unwrap().write_all(png).unwrap();
    let said = zbarimg.wait_with_output().unwrap();
    match said.status.code() {
        Some(0) => Some(said.stdout),
        Some(NOTHING) => None,
        _ => panic!("zbarimg: {}", String::from_utf8_lossy(&said.stderr)),
    }
}
