//! A person in a terminal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use comptoir_client::{
    Bubble, BubbleState, ChatRow, CheckoutView, Client, Config, FileVault, PayChoice, PaymentState, Place, SheetHint,
    Status,
};
use comptoir_content::{AccountKind, ConversationId};
use comptoir_qr::{Scanned, read_picture};
use serde_json::{Value, json};

use crate::out::{Failure, Out, plain};
use crate::{PayArgs, ReadArgs, page};

/// Where a person's core lives, and how patient a command is.
pub(crate) struct Home {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) wait: Duration,
}

impl Home {
    /// The folder given, or the usual one.
    fn dir(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        let data = data.or_else(home);
        data.map(|data| data.join("comptoir"))
            .ok_or_else(|| Failure::usage("core.dir", "there is no home folder: name one with --dir"))
    }

    pub(crate) fn open(&self) -> Result<Arc<Client>, Failure> {
        let dir = self.dir()?;
        let vault = Arc::new(FileVault::new(dir.join("core.key")));
        if !dir.exists() {
            std::fs::create_dir_all(&dir)
                .map_err(|error| Failure::failed("storage.io", format!("{}: {error}", dir.display())))?;
        }
        Ok(Client::open(Config { dir, vault, sheet: None, push: None })?)
    }

    /// Opens a core that has an account.
    pub(crate) fn open_account(&self) -> Result<Arc<Client>, Failure> {
        let client = self.open()?;
        if client.identity()?.is_none() {
            return Err(Failure::failed(
                "account.unknown",
                "there is no account here yet: `comptoir account create --relay …`",
            ));
        }
        Ok(client)
    }

    /// Waits until everything is exchanged. False when the relay could not be reached in time.
    pub(crate) async fn exchange(&self, client: &Client) -> Result<bool, Failure> {
        let progress = |status: &Status| {
            if status.unsent > 0 {
                tracing::info!(unsent = status.unsent, "sending");
            }
        };
        match tokio::time::timeout(self.wait, client.sync_with(progress)).await {
            Ok(done) => done.map(|()| true).map_err(Failure::from),
            Err(_) => Ok(false),
        }
    }
}

pub(crate) async fn create(out: &Out, home: &Home, relay: &str) -> Result<(), Failure> {
    let client = home.open()?;
    if client.identity()?.is_some() {
        return Err(Failure::failed("account.exists", "there is an account here already"));
    }
    let me = client.create_account(relay).await?;
    let known = home.exchange(&client).await?;
    let later = if known { "" } else { "\nThe relay was not reached; it hears of it with the next command." };
    out.say(
        &json!({ "account": me.account.to_string(), "link": me.link, "relay": me.relay, "registered": known }),
        format!("You are {}.\nYour code:\n  {}{later}", me.account, me.link),
    );
    Ok(())
}

pub(crate) fn show(out: &Out, home: &Home) -> Result<(), Failure> {
    let client = home.open_account()?;
    let me = client.identity()?.ok_or_else(|| Failure::failed("account.unknown", "no account"))?;
    out.say(
        &json!({ "account": me.account.to_string(), "device": me.device.to_string(), "link": me.link, "relay": me.relay }),
        format!("{}\nrelay  {}\ncode   {}", me.account, me.relay, me.link),
    );
    Ok(())
}

pub(crate) async fn add_contact(
    out: &Out,
    home: &Home,
    link: Option<String>,
    image: Option<PathBuf>,
) -> Result<(), Failure> {
    let link = match (link, image) {
        (Some(link), _) => link,
        (None, Some(path)) => link_in(&path)?,
        (None, None) => return Err(Failure::usage("link.missing", "a link or --image FILE")),
    };
    let client = home.open_account()?;
    let chat = client.add_contact(&link).await?;
    home.exchange(&client).await?;
    let row = client.chats(None, 1000)?.rows.into_iter().find(|row| row.chat == chat);
    let peer = row.map(|row| row.peer.account.to_string()).unwrap_or_default();
    out.say(
        &json!({ "chat": chat.to_string(), "account": peer }),
        format!("Added {peer}.\nWrite: comptoir send {chat} \"Hello\""),
    );
    Ok(())
}

/// The one link of ours in a picture.
pub(crate) fn link_in(path: &std::path::Path) -> Result<String, Failure> {
    let unreadable =
        |why: &dyn std::fmt::Display| Failure::usage("qr.unreadable", format!("{}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let codes = read_picture(&bytes).map_err(|error| unreadable(&error))?;
    let links: Vec<String> = codes
        .iter()
        .filter_map(|code| match Scanned::of(code) {
            Scanned::Comptoir(link) => Some(link),
            Scanned::Payment(_)
            | Scanned::Refused { .. }
            | Scanned::Url(_)
            | Scanned::Text(_)
            | Scanned::Unknown(_) => None,
        })
        .collect();
    match links.as_slice() {
        [link] => Ok(link.clone()),
        [] if codes.is_empty() => Err(unreadable(&"there is no QR code in it")),
        [] => Err(unreadable(&"the code in it is not one of ours")),
        _ => Err(unreadable(&"there are several codes in it; choose one with `comptoir qr scan`")),
    }
}

/// Finds a chat by its id, by the name of the other side, or by the beginning of either.
pub(crate) fn find_chat(client: &Client, wanted: &str) -> Result<ChatRow, Failure> {
    let rows = client.chats(None, 10_000)?.rows;
    let id = wanted.parse::<ConversationId>().ok();
    let lower = wanted.to_lowercase();
    let matches = |row: &&ChatRow| {
        Some(row.chat) == id
            || row.peer.name.to_lowercase().split_whitespace().any(|word| word.starts_with(&lower))
            || row.peer.name.to_lowercase().starts_with(&lower)
            || row.peer.account.to_string().starts_with(&lower)
            || row.chat.to_string().starts_with(&lower)
    };
    let mut found: Vec<ChatRow> = rows.iter().filter(matches).cloned().collect();
    match (found.len(), rows.len()) {
        (1, _) => Ok(found.remove(0)),
        (0, _) => Err(Failure::failed("chat.unknown", format!("no chat with {wanted:?}: see `comptoir chats`"))),
        _ => Err(Failure::failed("chat.ambiguous", format!("{wanted:?} could be several chats; give the id"))),
    }
}

pub(crate) async fn block(out: &Out, home: &Home, chat: &str, blocked: bool) -> Result<(), Failure> {
    let client = home.open_account()?;
    let row = find_chat(&client, chat)?;
    client.block(row.peer.account, blocked).await?;
    let words = if blocked { "Blocked. Results of orders you placed still arrive." } else { "No longer blocked." };
    out.say(&json!({ "account": row.peer.account.to_string(), "blocked": blocked }), words);
    Ok(())
}

pub(crate) fn name_of(row: &ChatRow) -> String {
    if row.peer.name.is_empty() { row.peer.account.to_string() } else { plain(&row.peer.name) }
}

pub(crate) fn chats(out: &Out, home: &Home) -> Result<(), Failure> {
    let client = home.open_account()?;
    let rows = client.chats(None, 1000)?.rows;
    let json: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "chat": row.chat.to_string(), "account": row.peer.account.to_string(), "name": row.peer.name,
                "kind": kind(row.peer.kind), "preview": row.preview, "at_ms": row.at_ms, "unread": row.unread,
                "unresolved": row.unresolved, "verified": row.peer.verified, "blocked": row.peer.blocked,
                "refused": row.peer.refused })
        })
        .collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let unread = if row.unread > 0 { format!(" ({} new)", row.unread) } else { String::new() };
            let unresolved = if row.unresolved { " · a payment is on its way, do not pay again" } else { "" };
            let refused = match &row.peer.refused {
                Some(why) => format!(" · what the relay shows of this account is not believed: {}", plain(why)),
                None => String::new(),
            };
            format!(
                "{}{unread}{unresolved}{refused}\n    {}\n    {}",
                name_of(row),
                plain(&row.preview).replace('\n', " "),
                row.chat
            )
        })
        .collect();
    let words = if lines.is_empty() { "No chats yet: `comptoir contact add …`".to_owned() } else { lines.join("\n") };
    out.say(&Value::from(json), words);
    Ok(())
}

fn kind(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Person => "person",
        AccountKind::Business => "business",
    }
}

fn checkout_json(bill: &CheckoutView) -> Value {
    json!({ "invoice": bill.invoice.to_string(), "title": bill.title, "total": bill.total.to_plain(),
        "total_minor": bill.total.minor(), "currency": bill.total.currency().code(), "live": bill.live,
        "state": bill.state.name(), "order": bill.order.map(|order| order.to_string()),
        "not_paid": bill.not_paid.as_ref().map(|why| &why.reason), "refunded_minor": bill.refunded.minor(),
        "expires_at_ms": bill.expires_at_ms })
}

pub(crate) fn bubble_json(bubble: &Bubble) -> Value {
    json!({ "uid": bubble.uid.to_string(), "mine": bubble.mine, "kind": bubble.kind.name(), "text": bubble.text,
        "sent_at_ms": bubble.sent_at_ms, "state": bubble.state.name(), "why": bubble.why,
        "replies": bubble.replies.iter().map(|reply| reply.title.as_str()).collect::<Vec<_>>(),
        "checkout": bubble.checkout.as_ref().map(checkout_json) })
}

/// What a payment's state is called in a terminal.
pub(crate) fn state_words(bill: &CheckoutView) -> String {
    match bill.state {
        PaymentState::Offered => format!("Pay {}", bill.total.to_plain()),
        PaymentState::Placed => "Paying…".to_owned(),
        PaymentState::AwaitingConsent => "Continue: the payment page is open".to_owned(),
        PaymentState::Settling => "Checking. Do not pay again".to_owned(),
        PaymentState::NotPaid => {
            let reason = bill.not_paid.as_ref().map_or("", |why| why.reason.as_str());
            format!("Not paid ({}). Try again", plain(reason))
        }
        PaymentState::Paid => "✓ Paid".to_owned(),
        PaymentState::PartRefunded => format!("Refunded {} of {}", bill.refunded.to_plain(), bill.total.to_plain()),
        PaymentState::Refunded => format!("Refunded {}", bill.refunded.to_plain()),
        PaymentState::Expired => "Expired. Ask for a new one".to_owned(),
    }
}

/// A bubble in a terminal.
pub(crate) fn bubble_words(name: &str, bubble: &Bubble) -> String {
    let who = if bubble.mine { "you" } else { name };
    let mut words = format!("{who}: {}", plain(&bubble.text));
    if bubble.state == BubbleState::Held {
        words = format!("{who}: (held: {})", bubble.why.as_deref().unwrap_or("?"));
    }
    if let Some(bill) = &bubble.checkout {
        let test = if bill.live { "" } else { "TEST · no real money · " };
        words = format!("{who}: {} {}\n    [{test}{}]", plain(&bill.title), bill.total.to_plain(), state_words(bill));
    }
    if !bubble.replies.is_empty() {
        let chips: Vec<String> = bubble.replies.iter().map(|reply| format!("[{}]", plain(&reply.title))).collect();
        words = format!("{words}\n    {}", chips.join(" "));
    }
    if bubble.mine {
        words = format!("{words}  ({})", bubble.state.name());
    }
    words
}

pub(crate) async fn read(out: &Out, home: &Home, args: &ReadArgs) -> Result<(), Failure> {
    let client = home.open_account()?;
    let row = find_chat(&client, &args.chat)?;
    if !args.follow {
        home.exchange(&client).await?;
    }
    let name = name_of(&find_chat(&client, &row.chat.to_string())?);
    let page = client.page(row.chat, Place::Newest, args.limit)?;
    client.mark_read(row.chat, None).await?;
    if !args.follow {
        home.exchange(&client).await?;
        let json: Vec<Value> = page.bubbles.iter().map(bubble_json).collect();
        let words: Vec<String> = page.bubbles.iter().map(|bubble| bubble_words(&name, bubble)).collect();
        out.say(&Value::from(json), words.join("\n"));
        return Ok(());
    }
    let mut shown = std::collections::HashMap::new();
    let mut changes = client.changes();
    client.connect()?;
    loop {
        for bubble in client.page(row.chat, Place::Newest, args.limit)?.bubbles {
            let words = bubble_words(&name, &bubble);
            if shown.insert(bubble.id, words.clone()).as_ref() != Some(&words) {
                out.say(&bubble_json(&bubble), words);
            }
        }
        client.mark_read(row.chat, None).await?;
        tokio::select! {
            change = changes.next() => if change.is_none() { return Ok(()) },
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// Whether the message reached the relay in time.
fn sent(out: &Out, uid: &comptoir_content::Uid, there: bool) -> Result<(), Failure> {
    if there {
        out.say(&json!({ "uid": uid.to_string(), "sent": true }), "Sent.");
        Ok(())
    } else {
        Err(Failure::again(
            "relay.unreachable",
            "Kept, not sent yet: the relay was not reached. `comptoir sync` sends it.",
        ))
    }
}

pub(crate) async fn send(out: &Out, home: &Home, chat: &str, text: &str) -> Result<(), Failure> {
    let client = home.open_account()?;
    let row = find_chat(&client, chat)?;
    let uid = client.send_text(row.chat, text, None).await?;
    let there = home.exchange(&client).await?;
    sent(out, &uid, there)
}

pub(crate) async fn tap(out: &Out, home: &Home, chat: &str, title: &str) -> Result<(), Failure> {
    let client = home.open_account()?;
    let row = find_chat(&client, chat)?;
    home.exchange(&client).await?;
    let bubbles = client.page(row.chat, Place::Newest, 200)?.bubbles;
    let has = |bubble: &&Bubble| bubble.replies.iter().any(|reply| reply.title.eq_ignore_ascii_case(title));
    let on = bubbles.iter().rev().find(has).ok_or_else(|| {
        Failure::failed("reply.gone", format!("nothing to tap is called {title:?}: see `comptoir read {chat}`"))
    })?;
    let exact = on.replies.iter().find(|reply| reply.title.eq_ignore_ascii_case(title));
    let title = exact.map_or(title, |reply| reply.title.as_str());
    let uid = client.tap(row.chat, on.uid, title).await?;
    let there = home.exchange(&client).await?;
    sent(out, &uid, there)
}

/// The newest bill of a chat.
pub(crate) fn newest_bill(client: &Client, chat: ConversationId) -> Result<Option<CheckoutView>, Failure> {
    Ok(client.page(chat, Place::Newest, 500)?.bubbles.into_iter().rev().find_map(|bubble| bubble.checkout))
}

/// Waits until the newest bill of a chat satisfies `done`.
pub(crate) async fn until_bill(
    client: &Client,
    chat: ConversationId,
    wait: Duration,
    done: impl Fn(&CheckoutView) -> bool,
) -> Result<Option<CheckoutView>, Failure> {
    let mut changes = client.changes();
    let waiting = async {
        loop {
            if let Some(bill) = newest_bill(client, chat)?.filter(|bill| done(bill)) {
                return Ok(Some(bill));
            }
            if changes.next().await.is_none() {
                return Ok(None);
            }
        }
    };
    match tokio::time::timeout(wait, waiting).await {
        Ok(found) => found,
        Err(_) => Ok(None),
    }
}

pub(crate) async fn pay(out: &Out, home: &Home, args: PayArgs) -> Result<(), Failure> {
    let client = home.open_account()?;
    let row = find_chat(&client, &args.chat)?;
    home.exchange(&client).await?;
    let bill = newest_bill(&client, row.chat)?
        .ok_or_else(|| Failure::failed("invoice.unknown", "there is no bill in this chat"))?;
    if let Some(card) = &args.card {
        page::check_card(card, bill.live)?;
    }
    out.note(format!("{} {}, signed by {}", plain(&bill.title), bill.total.to_plain(), name_of(&row)));
    match bill.state {
        PaymentState::Offered | PaymentState::NotPaid | PaymentState::Expired => {
            let choice = PayChoice {
                tip_minor: args.tip_minor,
                provider: args.provider,
                name: args.name,
                phone: args.phone,
                email: args.email,
            };
            client.pay(bill.invoice, choice).await?;
        }
        PaymentState::Placed | PaymentState::AwaitingConsent | PaymentState::Settling => {}
        PaymentState::Paid | PaymentState::PartRefunded | PaymentState::Refunded => {
            return Err(Failure::failed("invoice.already_paid", "Already paid."));
        }
    }
    let is_ready = |bill: &CheckoutView| bill.sheet.is_some() || !matches!(bill.state, PaymentState::Placed);
    let ready = until_bill(&client, row.chat, home.wait, is_ready).await?;
    let Some(ready) = ready else {
        return Err(Failure::again("shop.no_answer", "The shop has not answered yet. Ask again with `comptoir pay`."));
    };
    if let Some(sheet) = ready.sheet {
        match args.card.as_deref() {
            Some(card) => match page::type_card(&sheet, card, args.bank).await? {
                page::Typed::BrokeOff(why) => {
                    out.note(format!(
                        "The page broke off ({why}). Asking the shop what became of it; do not pay again."
                    ));
                }
                page::Typed::Declined(code) => {
                    let words =
                        "The card was refused. You have not been charged; the same bill can be paid with another card.";
                    return Err(Failure::failed(code, words));
                }
                page::Typed::Taken => {}
            },
            None => {
                if let comptoir_content::Handoff::Page { url } = &sheet.handoff {
                    out.note(format!("Pay here:\n  {}", page::shown(url)?));
                }
            }
        }
        // Whatever the page said: from here on only the shop's signed word counts.
        client.sheet_closed(sheet.order, SheetHint::Done).await?;
    }
    settled(out, home, &client, row.chat).await
}

#[allow(clippy::wildcard_enum_match_arm, reason = "one state is a failure of the command")]
async fn settled(out: &Out, home: &Home, client: &Client, chat: ConversationId) -> Result<(), Failure> {
    let is_over = |bill: &CheckoutView| !bill.state.is_unresolved();
    match until_bill(client, chat, home.wait, is_over).await? {
        Some(bill) => {
            let words = state_words(&bill);
            out.say(&checkout_json(&bill), &words);
            match bill.state {
                PaymentState::NotPaid => Err(Failure::failed(
                    bill.not_paid.as_ref().map_or("submit.failed", |why| why.reason.as_str()),
                    words,
                )),
                _ => Ok(()),
            }
        }
        None => Err(Failure::again(
            "submit.unknown",
            "Checking. Do not pay again. `comptoir sync` and `comptoir read` show when it is certain.",
        )),
    }
}

pub(crate) async fn sync(out: &Out, home: &Home) -> Result<(), Failure> {
    let client = home.open_account()?;
    if !home.exchange(&client).await? {
        let unsent = client.status()?.unsent;
        let words = format!("The relay was not reached in time; {unsent} still to send. Try again.");
        return Err(Failure::again("relay.unreachable", words));
    }
    client.check_payments().await?;
    home.exchange(&client).await?;
    let unread: u32 = client.chats(None, 10_000)?.rows.iter().map(|row| row.unread).sum();
    out.say(&json!({ "synced": true, "unread": unread }), format!("Up to date. {unread} unread."));
    Ok(())
}
