//! Verifying each other: by 60 digits that are read aloud, or by a code that is shown and scanned.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::out::{Failure, Out};
use crate::person::{Home, find_chat, link_in, name_of};
use crate::pictures::write_png;

#[derive(Args)]
pub(crate) struct VerifyArgs {
    chat: String,
    /// The numbers are the same on both sides: remember it.
    #[arg(long, conflicts_with_all = ["code", "image"])]
    confirm: bool,
    /// The code that the other side shows.
    #[arg(long, conflicts_with = "image")]
    code: Option<String>,
    /// A picture of the code that the other side shows.
    #[arg(long)]
    image: Option<PathBuf>,
    /// Write the code for the other side to scan.
    #[arg(long)]
    png: Option<PathBuf>,
}

pub(crate) async fn verify(out: &Out, home: &Home, args: VerifyArgs) -> Result<(), Failure> {
    let client = home.open_account()?;
    let row = find_chat(&client, &args.chat)?;
    home.exchange(&client).await?;
    let account = row.peer.account;
    let (number, code) = (client.safety_number(account)?, client.verify_code(account)?);
    if let Some(path) = &args.png {
        write_png(&code, path)?;
    }
    let theirs = match (args.code, args.image) {
        (Some(code), _) => Some(code),
        (None, Some(path)) => Some(link_in(&path)?),
        (None, None) => None,
    };
    let is_checked = theirs.is_some();
    if let Some(theirs) = theirs {
        client.check_code(account, &theirs).await?;
    } else if args.confirm {
        client.set_verified(account, true).await?;
    }
    let is_verified = is_checked || args.confirm || row.peer.verified;
    let groups: Vec<&str> = number.split(' ').collect();
    let lines: Vec<String> = groups.chunks(4).map(|line| format!("  {}", line.join(" "))).collect();
    let said = match (is_checked, args.confirm) {
        (true, _) => "Their code fits what is known here. Remembered as verified.".to_owned(),
        (_, true) => "Remembered as verified.".to_owned(),
        (false, false) => {
            format!(
                "The same on both sides? Then `--confirm`. Or they scan your code, and you theirs (`--code`):\n  {code}"
            )
        }
    };
    out.say(
        &json!({ "account": account.to_string(), "safety_number": number, "code": code, "png": args.png,
            "verified": is_verified }),
        format!("{}\n{}\n{said}", name_of(&row), lines.join("\n")),
    );
    Ok(())
}
