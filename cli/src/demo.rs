//! The demonstration: every real part on this machine, one morning at the Bakery, ended by itself.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use comptoir_client::{Bubble, Client, Config, FileVault, PayChoice, PaymentState, Place, SheetHint};
use comptoir_content::ConversationId;
use comptoir_gateway::{NewShop, init};
use comptoir_relay::{Clock, Relay};
use comptoir_sandbox::{Sandbox, Webhook};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::out::{Failure, Out};
use crate::person::{link_in, state_words, until_bill};
use crate::shop::{PracticeProvider, ask, write_files};
use crate::{Bank, page, pictures, servers};

/// Nothing in the demonstration takes this long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
const CARD: &str = "4242 4242 4242 4242";

/// Tells what happens while it happens.
struct Story<'a> {
    out: &'a Out,
    started: Instant,
}

impl Story<'_> {
    fn chapter(&self, title: &str) {
        if !self.out.is_json() {
            println!("\n{title}");
        }
    }

    /// One thing that happened: a line for people, an object for programs.
    fn tell(&self, step: &str, words: &str, mut value: Value) {
        value["step"] = json!(step);
        value["ms"] = json!(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let indented: Vec<String> = words.lines().map(|line| format!("  {line}")).collect();
        self.out.say(&value, indented.join("\n"));
    }

    /// Something that takes a moment; the line is finished when it is done.
    async fn while_doing<T>(&self, doing: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let shown = !self.out.is_json();
        if shown {
            print!("  {doing} … ");
            let _ = std::io::stdout().flush();
        }
        let began = Instant::now();
        let done = tokio::time::timeout(PATIENCE, work).await;
        let done = done.unwrap_or_else(|_| Err(Failure::failed("demo.timeout", format!("{doing}: it took too long"))));
        if shown {
            match &done {
                Ok(_) => println!("done ({:.1} s)", began.elapsed().as_secs_f32()),
                Err(_) => println!("failed"),
            }
        }
        done
    }
}

pub(crate) async fn play(out: &Out, dir: Option<PathBuf>, keep: bool) -> Result<(), Failure> {
    let story = Story { out, started: Instant::now() };
    let dir = stage(dir)?;
    story.chapter("A morning at the Bakery");
    story.tell("dir", &format!("Everything it leaves is in {}", dir.display()), json!({ "dir": dir }));

    let relay = open_relay(&dir).await?;
    let relay_url = format!("ws://{}", relay.address());
    let town = Town { webhooks: free_address()?, dir: dir.clone(), relay_url: relay_url.clone() };
    let provider = town.open_provider().await?;
    let mut till = story.while_doing("The Bakery gets its keys and opens", town.open_bakery(&provider)).await?;
    story.tell("code", "On the counter stands its code: bakery-code.png", json!({ "file": "bakery-code.png" }));

    story.chapter("Alice");
    let alice = open_alice(&dir)?;
    let chat = story.while_doing("She makes an account (no number, no name) and scans the code", async {
        alice.create_account(&relay_url).await?;
        let link = link_in(&dir.join("bakery-code.png"))?;
        Ok(alice.add_contact(&link).await?)
    });
    let chat = chat.await?;
    alice.send_text(chat, "Bonjour", None).await?;
    story.tell("said", "Alice:  Bonjour", json!({ "text": "Bonjour" }));
    let greeting = story.while_doing("Sealed for the Bakery's devices; the relay sees bytes", async {
        until(&alice, chat, |bubble| !bubble.mine && !bubble.replies.is_empty()).await
    });
    let greeting = greeting.await?;
    let chips: Vec<&str> = greeting.replies.iter().map(|reply| reply.title.as_str()).collect();
    story.tell(
        "greeted",
        &format!("Bakery: {}\n        [{}]", greeting.text, chips.join("] [")),
        json!({ "text": greeting.text, "replies": chips }),
    );
    alice.tap(chat, greeting.uid, chips.first().copied().unwrap_or_default()).await?;
    story.tell("tapped", &format!("Alice taps [{}]", chips[0]), json!({ "title": chips[0] }));
    let bill = until_bill(&alice, chat, PATIENCE, |bill| bill.state == PaymentState::Offered).await?;
    let bill = bill.ok_or_else(|| Failure::failed("demo.bill", "no bill came"))?;
    story.tell(
        "bill",
        &format!(
            "Bakery: {} · {} · {}\n        signed by its till [Pay {2}]",
            bill.title,
            bill.description,
            bill.total.to_plain()
        ),
        json!({ "title": bill.title, "total": bill.total.to_plain() }),
    );

    story.chapter("Paying, with the power cut in the middle");
    alice.pay(bill.invoice, PayChoice::default()).await?;
    let ready = until_bill(&alice, chat, PATIENCE, |bill| bill.sheet.is_some()).await?;
    let sheet =
        ready.and_then(|bill| bill.sheet).ok_or_else(|| Failure::failed("demo.sheet", "no payment page came"))?;
    story.tell(
        "sheet",
        "The provider's page is open; order and key were on Alice's disk before.",
        json!({ "order": sheet.order.to_string() }),
    );
    till.kill().await.map_err(|error| Failure::failed("demo.kill", error))?;
    story.tell("killed", "kill -9: the Bakery's till is gone.", json!({}));
    page::type_card(&sheet, CARD, Bank::Approve).await?;
    alice.sheet_closed(sheet.order, SheetHint::Done).await?;
    story.tell("card", &format!("Alice types {CARD}. The page says it worked; that is a hint."), json!({}));
    let now =
        crate::person::newest_bill(&alice, chat)?.ok_or_else(|| Failure::failed("demo.bill", "the bill is gone"))?;
    story.tell("checking", &format!("Her phone says: {}.", state_words(&now)), json!({ "state": now.state.name() }));
    till = story.while_doing("The till starts again and looks the payment up", town.start_till()).await?;
    let paid = until_bill(&alice, chat, PATIENCE, |bill| bill.state == PaymentState::Paid).await?;
    let paid = paid.ok_or_else(|| Failure::failed("demo.paid", "the payment did not settle"))?;
    story.tell(
        "paid",
        &format!("Bakery: {} {}. The signed receipt is here; charged once.", state_words(&paid), paid.total.to_plain()),
        json!({ "state": paid.state.name(), "amount": paid.total.to_plain() }),
    );

    story.chapter("The receipt proves it without anybody's help");
    let receipt = dir.join("receipt.comptoir");
    fs::write(&receipt, alice.receipt_file(sheet.order, None)?)
        .map_err(|error| Failure::failed("storage.io", error))?;
    let verdict = another_process(&["receipt", "verify"], &receipt).await?;
    if verdict.0 != 0 {
        return Err(Failure::failed("demo.receipt", format!("the receipt was refused: {}", verdict.1)));
    }
    let first = verdict.1.lines().find(|line| line.starts_with("HOLDS")).unwrap_or("HOLDS").to_owned();
    story.tell(
        "verified",
        &format!("$ comptoir receipt verify receipt.comptoir\n{first}"),
        json!({ "verdict": "holds" }),
    );
    let forged = forge(&receipt)?;
    let verdict = another_process(&["receipt", "verify"], &forged).await?;
    let _ = fs::remove_file(&forged);
    if verdict.0 == 0 {
        return Err(Failure::failed("demo.forged", "a receipt with a flipped byte was believed"));
    }
    story.tell("refused", "The same file with one flipped bit: REFUSED.", json!({ "exit": verdict.0 }));

    story.chapter("Money goes back");
    let back = json!({ "order": sheet.order.to_string(), "amount_minor": null });
    ask(&town.bakery(), "/refund", Some(back)).await?;
    let refunded = until_bill(&alice, chat, PATIENCE, |bill| bill.state == PaymentState::Refunded).await?;
    let refunded = refunded.ok_or_else(|| Failure::failed("demo.refund", "the refund did not arrive"))?;
    story.tell("refunded", &format!("Bakery: {}.", state_words(&refunded)), json!({ "state": refunded.state.name() }));
    let books = ask(&town.bakery(), "/ledger", None).await?;
    if books["chain_holds"] != true || books["balanced"] != true || books["postings"] != 2 {
        return Err(Failure::failed("demo.books", format!("the books are wrong: {books}")));
    }
    story.tell(
        "books",
        "Its books: one charge, one refund, balanced to zero, chain unbroken.",
        json!({ "books": books }),
    );
    alice.shutdown()?;

    if keep {
        go_on(out, &town, &relay_url);
        servers::until_stopped().await;
    } else {
        story.chapter("The end. It is all still there:");
        story.tell(
            "end",
            &format!("{}\n  bakery-code.png  receipt.comptoir  alice/  bakery/  relay/\nTry `comptoir demo --keep` to go on as Alice or as the Bakery.", dir.display()),
            json!({ "done": true, "dir": dir }),
        );
    }
    stop(&mut till).await;
    provider.shutdown().await;
    relay.shutdown().await.map_err(|error| Failure::failed("relay.stop", error))
}

/// The folder of the story: the one given, if it is empty, or a fresh one.
fn stage(dir: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let io = |error: std::io::Error| Failure::failed("storage.io", error);
    let dir = match dir {
        Some(dir) => dir,
        None => {
            let mut bytes = [0u8; 5];
            ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
                .map_err(|_| Failure::failed("demo.random", "no random numbers"))?;
            let name = data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
            std::env::temp_dir().join(format!("comptoir-demo-{name}"))
        }
    };
    fs::create_dir_all(&dir).map_err(io)?;
    if fs::read_dir(&dir).map_err(io)?.next().is_some() {
        return Err(Failure::usage("demo.dir", format!("{} is not empty: name another folder", dir.display())));
    }
    fs::canonicalize(&dir).map_err(io)
}

/// Where the till will listen. Below the ports that systems give to whoever asks for any: such a one could be somebody else's
/// before the till opens.
fn free_address() -> Result<SocketAddr, Failure> {
    let first = std::process::id() % 10_000;
    let ports = (0..10_000).filter_map(|next| u16::try_from(20_000 + (first + next) % 10_000).ok());
    let mut addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let free = addresses.find(|address| std::net::TcpListener::bind(address).is_ok());
    free.ok_or_else(|| Failure::failed("demo.port", "no port of this machine is free"))
}

async fn open_relay(dir: &Path) -> Result<comptoir_relay::Running, Failure> {
    let config = comptoir_relay::Config::local(dir.join("relay"));
    Relay::start(config, Clock::system()).await.map_err(|error| Failure::failed("relay.start", error))
}

fn open_alice(dir: &Path) -> Result<Arc<Client>, Failure> {
    let home = dir.join("alice");
    fs::create_dir_all(&home).map_err(|error| Failure::failed("storage.io", error))?;
    let vault = Arc::new(FileVault::new(home.join("core.key")));
    Ok(Client::open(Config { dir: home, vault, sheet: None, push: None })?)
}

struct Town {
    dir: PathBuf,
    relay_url: String,
    webhooks: SocketAddr,
}

/// Secrets of the practice provider; it only ever listens on this machine.
const SECRET: &str = "sk_practice_demo_only_on_this_machine";
const WEBHOOK_SECRET: &str = "whsec_practice_demo_only_on_this_machine";

impl Town {
    fn bakery(&self) -> PathBuf {
        self.dir.join("bakery")
    }

    async fn open_provider(&self) -> Result<Sandbox, Failure> {
        let mut config = comptoir_sandbox::Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), SECRET);
        config.webhook = Some(Webhook::new(format!("http://{}/webhooks/sandbox", self.webhooks), WEBHOOK_SECRET));
        Sandbox::start(config).await.map_err(|error| Failure::failed("sandbox.start", error))
    }

    async fn open_bakery(&self, provider: &Sandbox) -> Result<Child, Failure> {
        let shop = self.bakery();
        let practice = PracticeProvider { url: provider.url(), secret: SECRET, webhook_secret: WEBHOOK_SECRET };
        write_files(&shop, self.webhooks, &practice)?;
        let new = NewShop {
            name: "The Bakery".to_owned(),
            about: "Bread since 1907".to_owned(),
            relay: self.relay_url.clone(),
            owner_key: shop.join("owner.key"),
        };
        let link = init(&shop, &new, None).await.map_err(|error| Failure::failed("gateway.init", error))?;
        pictures::write_png(&link, &self.dir.join("bakery-code.png"))?;
        self.start_till().await
    }

    /// The till is a process of its own, so that it can be killed.
    async fn start_till(&self) -> Result<Child, Failure> {
        let failed = |error: std::io::Error| Failure::failed("demo.till", error);
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(["--json", "gateway", "run", "--shop"])
            .arg(self.bakery())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::failed("demo.till", "no output"))?;
        let mut lines = BufReader::new(stdout).lines();
        match lines.next_line().await.map_err(failed)? {
            Some(line) if line.contains("webhooks") => Ok(child),
            line => Err(Failure::failed("demo.till", line.unwrap_or_else(|| "the till did not start".to_owned()))),
        }
    }
}

/// Ends the till as an operator would.
async fn stop(till: &mut Child) {
    if let Some(id) = till.id() {
        let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status().await;
        if asked.is_ok_and(|status| status.success())
            && tokio::time::timeout(Duration::from_secs(10), till.wait()).await.is_ok()
        {
            return;
        }
    }
    let _ = till.kill().await;
}

async fn until(client: &Client, chat: ConversationId, wanted: impl Fn(&Bubble) -> bool) -> Result<Bubble, Failure> {
    let mut changes = client.changes();
    loop {
        if let Some(found) = client.page(chat, Place::Newest, 50)?.bubbles.into_iter().rfind(&wanted) {
            return Ok(found);
        }
        if changes.next().await.is_none() {
            return Err(Failure::failed("core.stopped", "the core stopped"));
        }
    }
}

/// Runs this very program once more: exit code and output.
async fn another_process(args: &[&str], file: &Path) -> Result<(i32, String), Failure> {
    let failed = |error: std::io::Error| Failure::failed("demo.process", error);
    let program = std::env::current_exe().map_err(failed)?;
    let output = Command::new(program).args(args).arg(file).stdin(Stdio::null()).output().await.map_err(failed)?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
}

/// A copy with one bit changed, in the middle.
fn forge(receipt: &Path) -> Result<PathBuf, Failure> {
    let io = |error: std::io::Error| Failure::failed("storage.io", error);
    let mut bytes = fs::read(receipt).map_err(io)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let path = receipt.with_extension("forged");
    fs::write(&path, bytes).map_err(io)?;
    Ok(path)
}

fn go_on(out: &Out, town: &Town, relay_url: &str) {
    let program = std::env::current_exe().map_or_else(|_| "comptoir".to_owned(), |path| path.display().to_string());
    let (alice, bakery) = (town.dir.join("alice"), town.bakery());
    let (alice, bakery) = (alice.display(), bakery.display());
    let words = format!(
        "\nEverything goes on running; Ctrl-C ends it. From other terminals:\n\n\
         as Alice\n  {program} --dir {alice} chats\n  {program} --dir {alice} send bakery \"Bonjour again\"\n  \
         {program} --dir {alice} read bakery\n  {program} --dir {alice} tap bakery Baguette\n  \
         {program} --dir {alice} pay bakery --card \"{CARD}\"\n  {program} --dir {alice} receipts\n\n\
         as the Bakery\n  {program} gateway orders --shop {bakery}\n  {program} gateway ledger --shop {bakery}\n  \
         {program} gateway bill --shop {bakery} --title \"Table 4\" --line 2:120:Croissant    # Alice: open CODE\n  \
         {program} gateway ask-payer --shop {bakery}        # Alice: receipt prove ORDER CODE; then: gateway redeem CODE\n  \
         {program} refund --shop {bakery} ORDER        # one that `orders` shows\n\n\
         as somebody new\n  {program} --dir {}/bob account create --relay {relay_url}\n  \
         {program} --dir {}/bob contact add --image {}/bakery-code.png",
        town.dir.display(),
        town.dir.display(),
        town.dir.display(),
    );
    out.say(&json!({ "step": "keep", "dir": town.dir, "relay": relay_url, "program": program }), words);
}
