//! The `comptoir` binary: one program for a person in a terminal, a shop's till, a relay, and a demonstration of all of
//! them together.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a terminal program does")]

mod bills;
mod demo;
mod new_codes;
mod out;
mod page;
mod payments;
mod person;
mod pictures;
mod receipts;
mod servers;
mod shop;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::runtime::Runtime;

use crate::out::{Failure, Out};

/// For what nobody waits for any more to end by itself.
const GOODBYE: Duration = Duration::from_millis(500);

/// Talk end-to-end encrypted, and pay in it.
#[derive(Parser)]
#[command(name = "comptoir", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Example:\n  comptoir demo\n  comptoir account create --relay wss://relay.example\n\nExit codes: 0 done, 1 refused or failed, 2 usage or unreadable input, 75 try again."
)]
struct Cli {
    /// One's folder: keys and the encrypted database.
    #[arg(long, global = true, env = "COMPTOIR_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON, one object or list.
    #[arg(long, global = true)]
    json: bool,
    /// Seconds to wait for the relay or the shop.
    #[arg(long, global = true, default_value_t = 20, value_name = "SECONDS")]
    wait: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play the whole story on this machine: a relay, a practice provider, the Bakery, Alice.
    #[command(after_help = "Example:\n  comptoir demo --keep")]
    Demo(DemoArgs),
    /// Run a relay.
    #[command(after_help = "Example:\n  comptoir relay --data relay/ --listen 127.0.0.1:7700")]
    Relay(RelayArgs),
    /// Run a practice payment provider.
    #[command(after_help = "Example:\n  comptoir sandbox --secret-file sandbox.key --listen 127.0.0.1:7800")]
    Sandbox(SandboxArgs),
    /// A shop's till.
    #[command(subcommand, after_help = "Example:\n  comptoir gateway run --shop bakery/")]
    Gateway(GatewayCommand),
    /// One's own account.
    #[command(subcommand, after_help = "Example:\n  comptoir account create --relay wss://relay.example")]
    Account(AccountCommand),
    /// People and shops one knows.
    #[command(subcommand, after_help = "Example:\n  comptoir contact add --image bakery-code.png")]
    Contact(ContactCommand),
    /// Go where a link or a code of ours leads: to a person or a shop, to a bill at the counter.
    #[command(after_help = "Example:\n  comptoir open COMPTOIR:I…\n  comptoir open --image bill.png")]
    Open(bills::OpenArgs),
    /// The list of chats.
    #[command(after_help = "Example:\n  comptoir chats --json")]
    Chats,
    /// Read a chat.
    #[command(after_help = "Example:\n  comptoir read bakery --follow")]
    Read(ReadArgs),
    /// Say something.
    #[command(after_help = "Example:\n  comptoir send bakery \"Two croissants, please\"")]
    Send {
        /// A name, the beginning of one, or a chat id.
        chat: String,
        text: String,
    },
    /// Tap a quick reply or a button of the newest message that has one.
    #[command(after_help = "Example:\n  comptoir tap bakery Croissant")]
    Tap { chat: String, title: String },
    /// Pay the newest bill in a chat.
    #[command(after_help = "Example:\n  comptoir pay bakery --card \"4242 4242 4242 4242\"")]
    Pay(PayArgs),
    /// All receipts.
    #[command(after_help = "Example:\n  comptoir receipts")]
    Receipts,
    /// One receipt.
    #[command(subcommand, after_help = "Example:\n  comptoir receipt verify receipt.comptoir")]
    Receipt(ReceiptCommand),
    /// Give money back (at the till).
    #[command(after_help = "Example:\n  comptoir refund --shop bakery/ ord_… --amount-minor 50")]
    Refund(RefundArgs),
    /// QR codes.
    #[command(subcommand, after_help = "Example:\n  comptoir qr scan bakery-code.png")]
    Qr(QrCommand),
    /// Verify who is on the other side of a chat: by the safety number, or by a code that they show.
    #[command(
        after_help = "Example:\n  comptoir verify bob --confirm\n  comptoir verify bob --png mine.png\n  comptoir verify bob \
        --image theirs.png"
    )]
    Verify(verify::VerifyArgs),
    /// Send what is unsent and fetch what is there.
    #[command(after_help = "Example:\n  comptoir sync --wait 60")]
    Sync,
}

#[derive(Args)]
struct DemoArgs {
    /// Leave everything running and print how to go on.
    #[arg(long)]
    keep: bool,
}

#[derive(Args)]
struct RelayArgs {
    /// A relay.toml. The other options are for a relay without one.
    #[arg(long, conflicts_with_all = ["listen", "data"])]
    config: Option<PathBuf>,
    #[arg(long, default_value = "127.0.0.1:7700")]
    listen: std::net::SocketAddr,
    /// Where the database is kept.
    #[arg(long, default_value = "relay")]
    data: PathBuf,
}

#[derive(Args)]
struct SandboxArgs {
    #[arg(long, default_value = "127.0.0.1:7800")]
    listen: std::net::SocketAddr,
    /// A file with the secret key that the till uses.
    #[arg(long)]
    secret_file: PathBuf,
    /// Where webhooks go, such as http://127.0.0.1:7900/webhooks/sandbox.
    #[arg(long, requires = "webhook_secret_file")]
    webhook_url: Option<String>,
    #[arg(long)]
    webhook_secret_file: Option<PathBuf>,
    /// Keep payments in this file.
    #[arg(long)]
    state: Option<PathBuf>,
}

#[derive(Subcommand)]
enum GatewayCommand {
    /// Make a new shop; the owner's keys go into a file to take offline.
    #[command(
        after_help = "Example:\n  comptoir gateway init --shop bakery/ --name \"The Bakery\" --relay ws://127.0.0.1:7700 \\\n      --owner-key owner.key --sandbox-url http://127.0.0.1:7800 --sandbox-secret-file sandbox.key"
    )]
    Init(InitArgs),
    /// Run the till.
    #[command(after_help = "Example:\n  comptoir gateway run --shop bakery/")]
    Run(ShopArgs),
    /// Orders, the newest first.
    #[command(after_help = "Example:\n  comptoir gateway orders --shop bakery/ --json")]
    Orders(ShopArgs),
    /// The books, checked from the first row to the last.
    #[command(after_help = "Example:\n  comptoir gateway ledger --shop bakery/")]
    Ledger(ShopArgs),
    /// Make a bill for whoever scans its code.
    #[command(
        after_help = "Example:\n  comptoir gateway bill --shop bakery/ --title \"Table 4\" --line 2:120:Croissant --line 1:180:Coffee \\\n      \
        --png bill.png"
    )]
    Bill(bills::BillArgs),
    /// Ask who paid: a code for the customer's phone, which answers with another one.
    #[command(after_help = "Example:\n  comptoir gateway ask-payer --shop bakery/ --png question.png")]
    AskPayer {
        #[command(flatten)]
        shop: ShopArgs,
        #[arg(long)]
        png: Option<PathBuf>,
    },
    /// Hand an order out to who proved to have paid it: once.
    #[command(after_help = "Example:\n  comptoir gateway redeem --shop bakery/ COMPTOIR:A…")]
    Redeem {
        #[command(flatten)]
        shop: ShopArgs,
        /// What the customer's phone shows.
        code: String,
    },
    /// The shop's contact link, and its QR code as a picture.
    #[command(after_help = "Example:\n  comptoir gateway code --shop bakery/ --png bakery-code.png")]
    Code {
        #[command(flatten)]
        shop: ShopArgs,
        #[arg(long)]
        png: Option<PathBuf>,
    },
}

#[derive(Args)]
struct ShopArgs {
    /// The shop's folder.
    #[arg(long, default_value = ".")]
    shop: PathBuf,
}

#[derive(Args)]
struct InitArgs {
    #[command(flatten)]
    shop: ShopArgs,
    #[arg(long)]
    name: String,
    #[arg(long, default_value = "")]
    about: String,
    #[arg(long)]
    relay: String,
    /// Where the owner's keys are written. Take this file offline.
    #[arg(long)]
    owner_key: PathBuf,
    /// Where webhooks arrive, for a gateway.toml that is written anew.
    #[arg(long, default_value = "127.0.0.1:7900")]
    listen: std::net::SocketAddr,
    /// Write a gateway.toml for the practice provider at this address.
    #[arg(long, requires = "sandbox_secret_file")]
    sandbox_url: Option<String>,
    #[arg(long)]
    sandbox_secret_file: Option<PathBuf>,
    #[arg(long)]
    webhook_secret_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum AccountCommand {
    /// Create an account. It needs no name, number or address.
    #[command(after_help = "Example:\n  comptoir account create --relay wss://relay.example")]
    Create {
        #[arg(long)]
        relay: String,
    },
    /// Who this is.
    #[command(after_help = "Example:\n  comptoir account show")]
    Show,
}

#[derive(Subcommand)]
enum ContactCommand {
    /// Add whoever a link or a code leads to.
    #[command(
        after_help = "Example:\n  comptoir contact add COMPTOIR:C…\n  comptoir contact add --image bakery-code.png"
    )]
    Add {
        #[arg(required_unless_present = "image")]
        link: Option<String>,
        /// A picture with a QR code in it.
        #[arg(long, conflicts_with = "link")]
        image: Option<PathBuf>,
    },
    /// Let somebody write no more, or again.
    #[command(after_help = "Example:\n  comptoir contact block bakery")]
    Block {
        chat: String,
        #[arg(long)]
        undo: bool,
    },
}

#[derive(Args)]
struct ReadArgs {
    chat: String,
    /// Go on printing what arrives, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// How many messages.
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

#[derive(Args)]
struct PayArgs {
    chat: String,
    /// A practice card, for a practice bill. Real cards are typed into the provider's page only.
    #[arg(long)]
    card: Option<String>,
    /// What to do when the practice bank asks.
    #[arg(long, value_enum, default_value_t = Bank::Approve)]
    bank: Bank,
    /// A tip in minor units.
    #[arg(long, default_value_t = 0)]
    tip_minor: i64,
    /// One of the bill's providers.
    #[arg(long)]
    provider: Option<String>,
    #[arg(long, default_value = "")]
    name: String,
    #[arg(long, default_value = "")]
    phone: String,
    #[arg(long, default_value = "")]
    email: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bank {
    Approve,
    Fail,
}

#[derive(Subcommand)]
enum ReceiptCommand {
    /// Prove at a counter that one paid: answer the till's code with one to show to the till.
    #[command(after_help = "Example:\n  comptoir receipt prove ord_… COMPTOIR:Q…")]
    Prove {
        /// One that `receipts` shows.
        order: String,
        /// The till's code.
        question: String,
        /// Write the answer as a picture.
        #[arg(long)]
        png: Option<PathBuf>,
    },
    /// Write a receipt to a file that anybody can verify.
    #[command(after_help = "Example:\n  comptoir receipt export ord_… --out receipt.comptoir")]
    Export {
        /// The order; the newest receipt without it.
        order: Option<String>,
        #[arg(long)]
        out: PathBuf,
        /// Leave out what the receipt says about the person.
        #[arg(long)]
        without_person: bool,
    },
    /// Check a receipt file, offline.
    #[command(after_help = "Example:\n  comptoir receipt verify receipt.comptoir --merchant acc_…")]
    Verify {
        file: PathBuf,
        /// The account that it must be from.
        #[arg(long)]
        merchant: Option<String>,
    },
}

#[derive(Args)]
struct RefundArgs {
    #[command(flatten)]
    shop: ShopArgs,
    order: String,
    /// Minor units; all that is left without it.
    #[arg(long)]
    amount_minor: Option<i64>,
    /// The same id again is the same refund.
    #[arg(long)]
    id: Option<String>,
}

#[derive(Subcommand)]
enum QrCommand {
    /// Show a text, or one's own contact code, as a QR code.
    #[command(
        after_help = "Example:\n  comptoir qr show\n  comptoir qr show \"hello\" --png hello.png\n  comptoir qr show --svg \
        counter.svg --logo bakery.png"
    )]
    Show(pictures::Show),
    /// Write a payment code: for the counter, or with an amount for one payment.
    #[command(
        after_help = "Example:\n  comptoir qr write --scheme pix --account bakery@example.com --name Bakery --city Brasilia \
        --amount 12.50\n  comptoir qr write --scheme sepa --account BE72000000001616 --name 'Red Cross' --png code.png\n  \
        comptoir qr write --scheme swiss --account CH5204835012345671000 --name Bakery --street Bahnhofstrasse --house 1 \
        --postcode 8001 --city Zürich --amount 12.50 --svg bill.svg"
    )]
    Write(Box<new_codes::NewCode>),
    /// Draw a file, such as a receipt, as codes: several where one is too small.
    #[command(after_help = "Example:\n  comptoir qr split breakfast.comptoir --out codes")]
    Split {
        file: PathBuf,
        /// The folder for the pictures.
        #[arg(long)]
        out: PathBuf,
    },
    /// Put a file together from pictures of its codes, in any order.
    #[command(after_help = "Example:\n  comptoir qr join codes/*.png --out breakfast.comptoir")]
    Join {
        #[arg(required = true)]
        pictures: Vec<PathBuf>,
        #[arg(long)]
        out: PathBuf,
    },
    /// Say what the text of a code means: every field of a payment code, or why it must not be paid.
    #[command(after_help = "Example:\n  comptoir qr parse 'upi://pay?pa=bakery@upi&am=250.00' --json\n  \
        comptoir qr parse - < codes.txt")]
    Parse {
        /// The text; `-` reads a line of standard input for each code.
        text: String,
    },
    /// Read the codes in pictures.
    #[command(after_help = "Example:\n  comptoir qr scan bakery-code.png --json")]
    Scan {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let out = Out::new(cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return out.failed(&Failure::failed("core.threads", error)),
    };
    match to_its_end(runtime, run(cli, &out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => out.failed(&failure),
    }
}

/// Does the work, and does not wait for long for what is left: a name that is being looked up cannot be interrupted.
fn to_its_end<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(GOODBYE);
    done
}

async fn run(cli: Cli, out: &Out) -> Result<(), Failure> {
    let home = person::Home { dir: cli.dir.clone(), wait: Duration::from_secs(cli.wait) };
    match cli.command {
        Command::Demo(args) => demo::play(out, cli.dir, args.keep).await,
        Command::Relay(args) => servers::relay(out, args).await,
        Command::Sandbox(args) => servers::sandbox(out, args).await,
        Command::Gateway(command) => shop::gateway(out, command).await,
        Command::Refund(args) => shop::refund(out, args).await,
        Command::Receipt(ReceiptCommand::Verify { file, merchant }) => {
            receipts::verify(out, &file, merchant.as_deref())
        }
        Command::Receipt(ReceiptCommand::Export { order, out: path, without_person }) => {
            receipts::export(out, &home, order.as_deref(), &path, without_person)
        }
        Command::Receipt(ReceiptCommand::Prove { order, question, png }) => {
            receipts::prove(out, &home, &order, &question, png.as_deref())
        }
        Command::Receipts => receipts::list(out, &home),
        Command::Qr(QrCommand::Show(show)) => pictures::show(out, &home, show),
        Command::Qr(QrCommand::Write(code)) => new_codes::write(out, *code),
        Command::Qr(QrCommand::Split { file, out: dir }) => new_codes::split_file(out, &file, &dir),
        Command::Qr(QrCommand::Join { pictures, out: to }) => new_codes::join(out, &pictures, &to),
        Command::Qr(QrCommand::Parse { text }) => payments::parse(out, &text),
        Command::Qr(QrCommand::Scan { files }) => pictures::scan(out, &files),
        Command::Account(AccountCommand::Create { relay }) => person::create(out, &home, &relay).await,
        Command::Account(AccountCommand::Show) => person::show(out, &home),
        Command::Contact(ContactCommand::Add { link, image }) => person::add_contact(out, &home, link, image).await,
        Command::Contact(ContactCommand::Block { chat, undo }) => person::block(out, &home, &chat, !undo).await,
        Command::Open(args) => bills::open(out, &home, args).await,
        Command::Chats => person::chats(out, &home),
        Command::Read(args) => person::read(out, &home, &args).await,
        Command::Send { chat, text } => person::send(out, &home, &chat, &text).await,
        Command::Tap { chat, title } => person::tap(out, &home, &chat, &title).await,
        Command::Pay(args) => person::pay(out, &home, args).await,
        Command::Verify(args) => verify::verify(out, &home, args).await,
        Command::Sync => person::sync(out, &home).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_interrupted_does_not_hold_up_the_end() {
        let runtime = Runtime::new().unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let work = async {
            tokio::task::spawn_blocking(move || {
                begin.send(()).unwrap();
                ended.recv()
            });
            begun.await.unwrap();
        };
        to_its_end(runtime, work);
        // Still there, so that it was not the one that waited.
        end.send(()).unwrap();
    }
}
