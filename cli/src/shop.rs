//! A shop's till, from a terminal.

use std::fs;
use std::path::Path;

use comptoir_content::{Amount, Currency, RefundId};
use comptoir_gateway::{
    Gateway, GatewayError, InitError, NewShop, OrderRow, PayerAsked, RedeemAnswer, RefundAnswer, call, init,
};
use serde_json::{Value, json};

use crate::out::{Failure, Out, plain};
use crate::{GatewayCommand, InitArgs, RefundArgs, bills, pictures, servers};

/// The till opens without the relay after this long.
const RELAY_PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// A first catalogue, for a merchant to edit.
const CATALOGUE: &str = "\
# What the shop sells. Prices are in minor units: 120 is 1.20 EUR.
greeting = \"Bonjour! What can I get you?\"
currency = \"EUR\"

[[product]]
id = \"croissant\"
title = \"Croissant\"
description = \"Butter, this morning's\"
price_minor = 120

[[product]]
id = \"baguette\"
title = \"Baguette\"
description = \"Still warm\"
price_minor = 95

[[product]]
id = \"coffee\"
title = \"Coffee\"
price_minor = 180
";

pub(crate) async fn gateway(out: &Out, command: GatewayCommand) -> Result<(), Failure> {
    match command {
        GatewayCommand::Init(args) => new_shop(out, args).await,
        GatewayCommand::Run(args) => run(out, &args.shop).await,
        GatewayCommand::Orders(args) => orders(out, &args.shop).await,
        GatewayCommand::Ledger(args) => ledger(out, &args.shop).await,
        GatewayCommand::Bill(args) => bills::make(out, args).await,
        GatewayCommand::AskPayer { shop, png } => ask_payer(out, &shop.shop, png.as_deref()).await,
        GatewayCommand::Redeem { shop, code } => redeem(out, &shop.shop, &code).await,
        GatewayCommand::Code { shop, png } => code(out, &shop.shop, png.as_deref()).await,
    }
}

/// What the shop's files say about the practice provider.
pub(crate) struct PracticeProvider<'a> {
    pub(crate) url: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) webhook_secret: &'a str,
}

/// Writes a gateway.toml, a first catalogue and the provider's secrets, each only where there is none.
pub(crate) fn write_files(
    shop: &Path,
    listen: std::net::SocketAddr,
    provider: &PracticeProvider<'_>,
) -> Result<(), Failure> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| Failure::failed("storage.io", format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(shop).map_err(io(shop))?;
    let config = format!(
        "# Where webhooks arrive.\nlisten = \"{listen}\"\n\n[providers.sandbox]\nurl = \"{}\"\naccount = \"the-shop\"\n\
         secret_key_file = \"sandbox.key\"\nwebhook_secret_file = \"sandbox.webhook\"\n",
        provider.url
    );
    let files = [
        ("gateway.toml", config.as_str()),
        ("catalogue.toml", CATALOGUE),
        ("sandbox.key", provider.secret),
        ("sandbox.webhook", provider.webhook_secret),
    ];
    for (name, text) in files {
        let path = shop.join(name);
        if path.exists() {
            continue;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(if name.starts_with("sandbox.") { 0o600 } else { 0o644 });
        }
        let mut file = options.open(&path).map_err(io(&path))?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(io(&path))?;
    }
    Ok(())
}

async fn new_shop(out: &Out, args: InitArgs) -> Result<(), Failure> {
    if let (Some(url), Some(secret)) = (&args.sandbox_url, &args.sandbox_secret_file) {
        let secret = servers::secret(secret)?;
        let webhook_secret = match &args.webhook_secret_file {
            Some(file) => servers::secret(file)?,
            None => secret.clone(),
        };
        let provider = PracticeProvider { url, secret: &secret, webhook_secret: &webhook_secret };
        write_files(&args.shop.shop, args.listen, &provider)?;
    }
    let shop = NewShop { name: args.name, about: args.about, relay: args.relay, owner_key: args.owner_key };
    let link = init(&args.shop.shop, &shop, None).await.map_err(|error| match error {
        InitError::Config(_) | InitError::Field { .. } => Failure::usage("gateway.config", error),
        InitError::Client(error) => Failure::from(error),
        InitError::Io { .. } | InitError::Exists { .. } => Failure::failed("gateway.init", error),
    })?;
    out.say(
        &json!({ "link": link, "owner_key": shop.owner_key }),
        format!(
            "The shop is there. Its code:\n  {link}\nThe owner's keys are in {}: take that file offline.\nOpen it: comptoir \
             gateway run --shop {}",
            shop.owner_key.display(),
            args.shop.shop.display()
        ),
    );
    Ok(())
}

async fn run(out: &Out, shop: &Path) -> Result<(), Failure> {
    let till = Gateway::start(shop, None).await.map_err(|error| match error {
        GatewayError::Config(_) | GatewayError::NoShop => Failure::usage("gateway.config", error),
        GatewayError::Client(error) => Failure::from(error),
        GatewayError::Io { .. } | GatewayError::Http(_) => Failure::failed("gateway.start", error),
    })?;
    let link = till.link()?;
    // Whoever scans the code can write at once: the key packages are at the relay before the till says it is open.
    if tokio::time::timeout(RELAY_PATIENCE, till.client().sync(None)).await.is_err() {
        out.note("The relay does not answer yet. The till is open all the same, and goes on trying.");
    }
    out.say(
        &json!({ "webhooks": till.address().to_string(), "link": link }),
        format!("The till is open. Webhooks arrive at http://{}/webhooks/…", till.address()),
    );
    servers::until_stopped().await;
    till.shutdown().await;
    Ok(())
}

/// Asks the running till, and turns its refusals into ours.
pub(crate) async fn ask(shop: &Path, path: &str, body: Option<Value>) -> Result<Value, Failure> {
    let (status, answer) =
        call(shop, path, body).await.map_err(|error| Failure::again("operator.unreachable", error))?;
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let code = answer["error"]["code"].as_str().unwrap_or("operator.failed");
    let detail = answer["error"]["detail"].as_str().unwrap_or("the till refused");
    Err(if status == 503 { Failure::again(code, detail) } else { Failure::failed(code, detail) })
}

async fn orders(out: &Out, shop: &Path) -> Result<(), Failure> {
    let answer = ask(shop, "/orders", None).await?;
    let rows: Vec<OrderRow> =
        serde_json::from_value(answer.clone()).map_err(|error| Failure::failed("operator.answer", error))?;
    let words: Vec<String> = rows.iter().map(order_words).collect();
    out.say(&answer, if words.is_empty() { "No orders yet.".to_owned() } else { words.join("\n") });
    Ok(())
}

/// An order in a terminal, and loudly what a person has to look at.
fn order_words(row: &OrderRow) -> String {
    let part = |minor: i64, before: &str, after: &str| match minor {
        0 => String::new(),
        minor => format!("{before}{}{after}", written(minor, &row.currency)),
    };
    let refunded = part(row.refunded_minor, ", ", " refunded");
    let failed = part(row.refunds_failed_minor, " · REFUND FAILED: ", " was refused by the provider");
    let about = " · LOOK AT THIS: the provider's answer about a refund of ";
    let unsure = part(row.refunds_quarantined_minor, about, " does not match");
    let look = if row.quarantined { " · LOOK AT THIS: the provider's answer does not match" } else { "" };
    let (state, order) = (&row.state, &row.order);
    format!("{}  {}  {state}{refunded}{failed}{unsure}{look}\n    {order}", row.amount, plain(&row.title))
}

/// Minor units as they stand on paper; a sum beyond all amounts, as the number that it is.
fn written(minor: i64, currency: &str) -> String {
    let amount = Currency::of(currency).and_then(|currency| Amount::new(minor, currency));
    amount.map_or_else(|_| format!("{minor} minor units of {currency}"), |amount| amount.to_plain())
}

async fn ledger(out: &Out, shop: &Path) -> Result<(), Failure> {
    let books = ask(shop, "/ledger", None).await?;
    let holds = |name: &str| if books[name] == true { "yes" } else { "NO" };
    let mut words = format!(
        "{} postings · chain holds: {} · balanced: {}",
        books["postings"],
        holds("chain_holds"),
        holds("balanced")
    );
    for book in books["books"].as_array().into_iter().flatten() {
        let (name, currency) = (book[0].as_str().unwrap_or(""), book[1].as_str().unwrap_or(""));
        words = format!("{words}\n  {name:10} {:>16}", written(book[2].as_i64().unwrap_or(0), currency));
    }
    out.say(&books, words);
    if books["chain_holds"] == true && books["balanced"] == true {
        Ok(())
    } else {
        Err(Failure::failed("ledger.damaged", "the books do not hold: stop taking payments and look"))
    }
}

async fn ask_payer(out: &Out, shop: &Path, png: Option<&Path>) -> Result<(), Failure> {
    let answer = ask(shop, "/payer", Some(json!({}))).await?;
    let asked: PayerAsked =
        serde_json::from_value(answer.clone()).map_err(|error| Failure::failed("operator.answer", error))?;
    if let Some(path) = png {
        pictures::write_png(&asked.code, path)?;
    }
    out.say(&answer, format!("For the customer's phone, for five minutes:\n  {}", asked.code));
    Ok(())
}

async fn redeem(out: &Out, shop: &Path, code: &str) -> Result<(), Failure> {
    let answer = ask(shop, "/redeem", Some(json!({ "code": code }))).await?;
    let redeemed: RedeemAnswer =
        serde_json::from_value(answer.clone()).map_err(|error| Failure::failed("operator.answer", error))?;
    let again = if redeemed.again { " (this answer was taken already: hand it out once)" } else { "" };
    let (title, amount, order) = (plain(&redeemed.title), redeemed.amount, redeemed.order);
    out.say(&answer, format!("Paid, by who stands here: {title}, {amount}{again}\n    {order}"));
    Ok(())
}

async fn code(out: &Out, shop: &Path, png: Option<&Path>) -> Result<(), Failure> {
    let answer = ask(shop, "/link", None).await?;
    let link = answer["link"].as_str().unwrap_or_default();
    if let Some(path) = png {
        pictures::write_png(link, path)?;
    }
    out.say(&json!({ "link": link, "png": png }), link);
    Ok(())
}

/// A fresh id (UUIDv7, RFC 9562). It is made here, so that what was asked of a till whose answer is lost can be asked for again by
/// name.
pub(crate) fn new_id() -> Result<[u8; 16], Failure> {
    let mut id = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut id)
        .map_err(|_| Failure::failed("id.random", "this machine has no random numbers"))?;
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since_1970.as_millis()).unwrap_or(0);
    id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id[6] = id[6] & 0x0F | 0x70;
    id[8] = id[8] & 0x3F | 0x80;
    Ok(id)
}

pub(crate) async fn refund(out: &Out, args: RefundArgs) -> Result<(), Failure> {
    let id = match args.id {
        Some(id) => id,
        None => RefundId(new_id()?).to_string(),
    };
    let body = json!({ "order": args.order, "amount_minor": args.amount_minor, "refund": id });
    let answer = ask(&args.shop.shop, "/refund", Some(body)).await.map_err(|failure| match failure {
        // Without an answer the till may have taken it all the same, and under another id it would pay twice.
        Failure { exit: 75, code, text, .. } => Failure::again(&code, format!("{text}\nRepeat it with --id {id}")),
        refused => refused,
    })?;
    let refund: RefundAnswer =
        serde_json::from_value(answer.clone()).map_err(|error| Failure::failed("operator.answer", error))?;
    out.say(&answer, format!("{} goes back ({}). The customer hears when it is done.", refund.amount, refund.refund));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_has_to_look_at_stands_with_its_order() {
        let fine = OrderRow {
            order: "ord_a".to_owned(),
            title: "Croissant".to_owned(),
            amount: "1.20 EUR".to_owned(),
            amount_minor: 120,
            currency: "EUR".to_owned(),
            state: "captured".to_owned(),
            refunded_minor: 0,
            refunds_failed_minor: 0,
            refunds_quarantined_minor: 0,
            provider: "sandbox".to_owned(),
            placed_at_ms: 0,
            quarantined: false,
        };
        let after = |change: fn(&mut OrderRow)| {
            let mut row = fine.clone();
            change(&mut row);
            order_words(&row).replace("1.20 EUR  Croissant  captured", "").replace("\n    ord_a", "")
        };
        assert_eq!(after(|_| {}), "");
        assert_eq!(after(|row| row.refunded_minor = 50), ", 0.50 EUR refunded");
        let failed = after(|row| row.refunds_failed_minor = 70);
        assert_eq!(failed, " · REFUND FAILED: 0.70 EUR was refused by the provider");
        assert!(after(|row| row.refunds_quarantined_minor = 70).contains("a refund of 0.70 EUR does not match"));
        assert!(after(|row| row.quarantined = true).contains("LOOK AT THIS"));
    }
}
