//! Bills at the counter: the till writes a code, a customer opens it.

use std::path::PathBuf;

use clap::Args;
use comptoir_content::InvoiceId;
use comptoir_gateway::{BillAnswer, BillAsk, BillLine};
use serde_json::json;

use crate::ShopArgs;
use crate::out::{Failure, Out};
use crate::person::{Home, link_in, name_of};
use crate::pictures::write_png;
use crate::shop::{ask, new_id};

#[derive(Args)]
pub(crate) struct BillArgs {
    #[command(flatten)]
    shop: ShopArgs,
    /// What the customer reads first, such as the table.
    #[arg(long)]
    title: String,
    /// A line: how many, what one costs in minor units, what it is. Less than nothing is a discount.
    #[arg(long = "line", required = true, value_name = "QUANTITY:MINOR:LABEL", allow_hyphen_values = true)]
    lines: Vec<String>,
    /// How long it can be paid.
    #[arg(long, default_value_t = 60)]
    minutes: i64,
    /// How many may pay it.
    #[arg(long, default_value_t = 1)]
    payments: u32,
    /// The same id again is the same bill.
    #[arg(long)]
    id: Option<String>,
    /// Write its code as a picture.
    #[arg(long)]
    png: Option<PathBuf>,
}

/// Makes a bill for whoever scans its code.
pub(crate) async fn make(out: &Out, args: BillArgs) -> Result<(), Failure> {
    let id = match args.id {
        Some(id) => id,
        None => InvoiceId(new_id()?).to_string(),
    };
    let lines = args.lines.iter().map(|line| parsed(line)).collect::<Result<Vec<_>, _>>()?;
    let wish =
        BillAsk { bill: id.clone(), title: args.title, lines, minutes: args.minutes, max_payments: args.payments };
    let wish = serde_json::to_value(wish).map_err(|error| Failure::failed("bill.make", error))?;
    let answer = ask(&args.shop.shop, "/bill", Some(wish)).await.map_err(|failure| match failure {
        // Without an answer the till may have signed it all the same.
        Failure { exit: 75, code, text, .. } => Failure::again(&code, format!("{text}\nRepeat it with --id {id}")),
        refused => refused,
    })?;
    let bill: BillAnswer =
        serde_json::from_value(answer.clone()).map_err(|error| Failure::failed("operator.answer", error))?;
    if let Some(path) = &args.png {
        write_png(&bill.code, path)?;
    }
    out.say(&answer, format!("{}, for whoever scans this:\n  {}", bill.amount, bill.code));
    Ok(())
}

fn parsed(line: &str) -> Result<BillLine, Failure> {
    let wrong =
        || Failure::usage("bill.line", format!("{line:?} is not QUANTITY:MINOR:LABEL, such as 2:120:Croissant"));
    let (quantity, rest) = line.split_once(':').ok_or_else(wrong)?;
    let (unit_minor, label) = rest.split_once(':').ok_or_else(wrong)?;
    Ok(BillLine {
        label: label.to_owned(),
        quantity: quantity.parse().map_err(|_| wrong())?,
        unit_minor: unit_minor.parse().map_err(|_| wrong())?,
    })
}

#[derive(Args)]
pub(crate) struct OpenArgs {
    #[arg(required_unless_present = "image")]
    link: Option<String>,
    /// A picture with a QR code in it.
    #[arg(long, conflicts_with = "link")]
    image: Option<PathBuf>,
}

/// Goes where a link or a code leads.
pub(crate) async fn open(out: &Out, home: &Home, args: OpenArgs) -> Result<(), Failure> {
    let link = match (args.link, args.image) {
        (Some(link), _) => link,
        (None, Some(path)) => link_in(&path)?,
        (None, None) => return Err(Failure::usage("link.missing", "a link or --image FILE")),
    };
    let client = home.open_account()?;
    let chat = client.open_link(&link).await?;
    home.exchange(&client).await?;
    let rows = client.chats(None, 10_000)?.rows;
    let row = rows.iter().find(|row| row.chat == chat);
    let row = row.ok_or_else(|| Failure::failed("chat.unknown", "the chat is not in the list"))?;
    out.say(
        &json!({ "chat": chat.to_string(), "account": row.peer.account.to_string(), "verified": row.peer.verified }),
        format!("{}\nGo on: comptoir read {chat}", name_of(row)),
    );
    Ok(())
}
