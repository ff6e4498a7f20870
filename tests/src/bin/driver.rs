//! The driver of scenarios in Rust: calls the façade as a shell does. What it reads and writes: `comptoir_tests::scenario`.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "its answers are its output; a command that is none ends it"
)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use comptoir_client::{
    Bubble, CancelToken, Change, ChangeListener, ChatRow, Client, ClientError, Config, Connection, FileVault,
    FoundCode, KeyVault, PayChoice, PaymentSheet, Place, ReceiptVerdict, Scanned, SheetHint, ShellError, Status,
    Subscription, draw_code, scan_frame, scan_picture, verify_receipt,
};
use comptoir_content::{Part, Uid};
use serde_json::{Value, json};

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let driver = Arc::new(Driver::default());
    for line in std::io::stdin().lines() {
        let command: Value = serde_json::from_str(&line.expect("UTF-8")).expect("a command");
        let (what, with) = (command["do"].as_str().expect("a verb").to_owned(), command["with"].clone());
        let driver = driver.clone();
        let answer = move |done: Result<Value, ClientError>| match done {
            Ok(value) => say(&json!({ "id": command["id"], "ok": value })),
            Err(error) => say(&json!({ "id": command["id"], "error": refusal(&error) })),
        };
        runtime.spawn(async move { answer(driver.act(&what, &with).await) });
    }
    driver.leave();
}

fn say(value: &Value) {
    println!("{value}");
}

#[derive(Default)]
struct Driver {
    client: Mutex<Option<Arc<Client>>>,
    subscriptions: Mutex<HashMap<String, Arc<Subscription>>>,
    tokens: Mutex<HashMap<String, Arc<CancelToken>>>,
}

impl Driver {
    fn client(&self) -> Arc<Client> {
        self.client.lock().expect("no panic").clone().expect("open comes first")
    }

    fn leave(&self) {
        self.subscriptions.lock().expect("no panic").clear();
        if let Some(client) = self.client.lock().expect("no panic").take() {
            client.shutdown().expect("an end in good order");
        }
    }

    fn token(&self, name: &Value) -> Result<Option<Arc<CancelToken>>, ClientError> {
        let Some(name) = name.as_str() else { return Ok(None) };
        let mut tokens = self.tokens.lock().expect("no panic");
        if !tokens.contains_key(name) {
            tokens.insert(name.to_owned(), CancelToken::new()?);
        }
        Ok(tokens.get(name).cloned())
    }

    async fn act(&self, what: &str, with: &Value) -> Result<Value, ClientError> {
        let text = |name: &str| with[name].as_str().unwrap_or_default();
        let number = |name: &str| with[name].as_u64().map_or(50, |number| number as u32);
        macro_rules! id {
            ($name:literal $(, $type:ty)?) => {
                text($name).parse$(::<$type>)?().map_err(|error| ClientError::AskUser {
                    code: "id.unreadable".to_owned(),
                    detail: format!("{error}"),
                })?
            };
        }
        if what == "open" {
            let vault: Arc<dyn KeyVault> = match text("vault") {
                "file" => Arc::new(FileVault::new(text("key"))),
                "wrong" => Arc::new(OddVault(|| Ok(Some(vec![7; 32])))),
                "empty" => Arc::new(OddVault(|| Ok(None))),
                "broken" => Arc::new(OddVault(|| panic!("a bug in a shell"))),
                _ => Arc::new(OddVault(|| Err(ShellError::Unavailable { detail: "locked".to_owned() }))),
            };
            let client = Client::open(Config {
                dir: PathBuf::from(text("dir")),
                vault,
                sheet: Some(Arc::new(Sheets)),
                push: None,
            })?;
            *self.client.lock().expect("no panic") = Some(client);
            return Ok(Value::Null);
        }
        let client = self.client();
        Ok(match what {
            "create_account" => identity(&client.create_account(text("relay")).await?),
            "identity" => client.identity()?.as_ref().map_or(Value::Null, identity),
            "add_contact" => json!(client.add_contact(text("link")).await?.to_string()),
            "chats" => client.chats(None, number("limit"))?.rows.iter().map(chat_row).collect(),
            "page" => {
                client.page(id!("chat"), Place::Newest, number("limit"))?.bubbles.iter().map(bubble).collect()
            }
            "search" => client
                .search(text("query"), number("limit"))?
                .iter()
                .map(|hit| json!({ "chat": hit.chat.to_string(), "text": hit.bubble.text }))
                .collect(),
            "send_text" => {
                let reply_to = if with["reply_to"].is_string() { Some(id!("reply_to")) } else { None };
                json!(client.send_text(id!("chat"), text("text"), reply_to).await?.to_string())
            }
            "tap" => json!(client.tap(id!("chat"), id!("on"), text("title")).await?.to_string()),
            "mark_read" => {
                client.mark_read(id!("chat"), None).await?;
                Value::Null
            }
            "block" => {
                client.block(id!("account"), with["blocked"] == true).await?;
                Value::Null
            }
            "same_ids" => json!(id!("one", Uid) == id!("other", Uid)),
            "safety_number" => json!(client.safety_number(id!("account"))?),
            "pay" => json!(client.pay(id!("invoice"), PayChoice::default()).await?.name()),
            "sheet_closed" => {
                let hint = match text("hint") {
                    "done" => SheetHint::Done,
                    "canceled" => SheetHint::Canceled,
                    _ => SheetHint::Failed,
                };
                json!(client.sheet_closed(id!("order"), hint).await?.name())
            }
            "check_payments" => {
                client.check_payments().await?;
                Value::Null
            }
            "receipts" => client
                .receipts()?
                .iter()
                .map(|row| {
                    json!({ "order": row.order.to_string(), "merchant": row.merchant.to_string(),
                        "amount_minor": row.amount.minor(), "currency": row.amount.currency().code(), "live": row.live })
                })
                .collect(),
            "receipt_file" => {
                let parts = (with["parts"] == "lines").then(|| vec![Part::Lines]);
                let file = client.receipt_file(id!("order"), parts)?;
                std::fs::write(text("path"), &file).expect("a file");
                json!(file.len() > 100)
            }
            "verify_receipt" => {
                let merchant = if with["merchant"].is_string() { Some(id!("merchant")) } else { None };
                verdict(&verify_receipt(&std::fs::read(text("path")).expect("a file"), merchant)?)
            }
            "draw_code" => {
                std::fs::write(text("path"), draw_code(text("text"), 4)?).expect("a file");
                Value::Null
            }
            "scan_picture" => {
                scan_picture(&std::fs::read(text("path")).expect("a file"))?.iter().map(found).collect()
            }
            "scan_frame" => {
                let plane = std::fs::read(text("path")).expect("a file");
                scan_frame(&plane, number("width"), number("height"), number("row_stride"))?.iter().map(found).collect()
            }
            "link_request" => json!(client.link_request().await?),
            "link_device" => json!(client.link_device(text("code")).await?),
            "finish_link" => identity(&client.finish_link(text("code")).await?),
            "status" => status(&client.status()?),
            "sync" => {
                client.sync(self.token(&with["cancel"])?).await?;
                Value::Null
            }
            "cancel" => {
                self.token(&with["token"])?.expect("a token").cancel()?;
                Value::Null
            }
            "connect" => {
                client.connect()?;
                Value::Null
            }
            "disconnect" => {
                client.disconnect()?;
                Value::Null
            }
            "suspend" => {
                client.suspend(with["deadline_ms"].as_u64().unwrap_or(1000))?;
                Value::Null
            }
            "resume" => {
                client.resume()?;
                Value::Null
            }
            "watch_chats" | "watch_chat" | "watch_connection" => {
                let listener = Arc::new(Rows { name: text("name").to_owned(), rows: Mutex::default() });
                let subscription = match what {
                    "watch_chats" => client.watch_chats(number("rows"), listener)?,
                    "watch_chat" => client.watch_chat(id!("chat"), number("rows"), listener)?,
                    _ => client.watch_connection(listener)?,
                };
                self.subscriptions.lock().expect("no panic").insert(text("name").to_owned(), subscription);
                Value::Null
            }
            "unwatch" => {
                let ended = self.subscriptions.lock().expect("no panic").remove(text("name"));
                ended.expect("a subscription").end()?;
                Value::Null
            }
            other => panic!("no such command: {other}"),
        })
    }
}

fn refusal(error: &ClientError) -> Value {
    let (kind, detail) = match error {
        ClientError::TryAgain { detail, .. } => ("TryAgain", detail),
        ClientError::SignInAgain { detail, .. } => ("SignInAgain", detail),
        ClientError::UpdateApp { detail, .. } => ("UpdateApp", detail),
        ClientError::AskUser { detail, .. } => ("AskUser", detail),
        ClientError::Locked { detail, .. } => ("Locked", detail),
        ClientError::Bug { detail, .. } => ("Bug", detail),
    };
    json!({ "kind": kind, "code": error.code(), "detail": detail })
}

fn identity(me: &comptoir_client::Identity) -> Value {
    json!({ "account": me.account.to_string(), "device": me.device.to_string(), "link": me.link })
}

fn chat_row(row: &ChatRow) -> Value {
    json!({ "chat": row.chat.to_string(), "account": row.peer.account.to_string(), "name": row.peer.name,
        "preview": row.preview, "unread": row.unread, "unresolved": row.unresolved })
}

fn bubble(bubble: &Bubble) -> Value {
    let replies: Vec<&str> = bubble.replies.iter().map(|reply| reply.title.as_str()).collect();
    let bill = bubble.checkout.as_ref().map(|bill| {
        json!({ "invoice": bill.invoice.to_string(), "title": bill.title, "state": bill.state.name(),
            "total_minor": bill.total.minor(), "currency": bill.total.currency().code(),
            "exponent": bill.total.currency().exponent(), "live": bill.live, "providers": bill.providers,
            "not_paid": bill.not_paid.as_ref().map(|why| &why.reason), "sheet": bill.sheet.as_ref().map(sheet) })
    });
    json!({ "uid": bubble.uid.to_string(), "mine": bubble.mine, "kind": bubble.kind.name(), "text": bubble.text,
        "state": bubble.state.name(), "why": bubble.why, "replies": replies,
        "reply_to": bubble.reply_to.map(|uid| uid.to_string()), "bill": bill })
}

fn sheet(sheet: &comptoir_client::Sheet) -> Value {
    let url = match &sheet.handoff {
        comptoir_content::Handoff::Page { url } => url.as_str(),
        comptoir_content::Handoff::Sdk { .. } => "",
    };
    json!({ "order": sheet.order.to_string(), "amount_minor": sheet.amount.minor(), "provider": sheet.provider, "url": url })
}

fn verdict(verdict: &ReceiptVerdict) -> Value {
    let (name, proof) = match verdict {
        ReceiptVerdict::Holds { proof } => ("holds", proof),
        ReceiptVerdict::DateUnproven { proof } => ("date_unproven", proof),
        ReceiptVerdict::Refused { .. } => return json!({ "verdict": "refused" }),
    };
    let lines: Vec<&str> = proof.lines.iter().map(|line| line.label.as_str()).collect();
    json!({ "verdict": name, "merchant": proof.merchant.to_string(), "amount_minor": proof.amount.minor(),
        "lines": lines, "method": proof.method })
}

fn found(code: &FoundCode) -> Value {
    let (kind, text) = match &code.scanned {
        Scanned::Comptoir(text) => ("comptoir", text.as_str()),
        Scanned::Payment(_) => ("payment", ""),
        Scanned::Refused { reason, .. } => ("refused", reason.as_str()),
        Scanned::Url(text) => ("url", text.as_str()),
        Scanned::Text(text) => ("text", text.as_str()),
        Scanned::Unknown(_) => ("unknown", ""),
    };
    json!({ "kind": kind, "text": text, "corners": code.corners.len() })
}

fn status(status: &Status) -> Value {
    let connection = match &status.connection {
        Connection::Offline => "offline",
        Connection::Online => "online",
        Connection::Refused { code, .. } => code,
    };
    json!({ "connection": connection, "caught_up": status.caught_up, "unsent": status.unsent })
}

/// Keeps the list that a subscription tells, edit by edit.
struct Rows {
    name: String,
    rows: Mutex<Vec<String>>,
}

impl ChangeListener for Rows {
    fn changed(&self, changes: Vec<Change>) -> Result<(), ShellError> {
        let mut rows = self.rows.lock().expect("no panic");
        let put = |rows: &mut Vec<String>, at: u32, removed: u32, new: Vec<String>| {
            rows.splice(at as usize..(at + removed) as usize, new);
        };
        for change in changes {
            match change {
                Change::Reset => rows.clear(),
                Change::Chats { at, removed, rows: new } => {
                    put(&mut rows, at, removed, new.into_iter().map(|row| row.preview).collect());
                }
                Change::Messages { at, removed, rows: new } => {
                    put(&mut rows, at, removed, new.into_iter().map(|row| row.text).collect());
                }
                Change::Status { status: now } => *rows = vec![status(&now)["connection"].to_string()],
            }
        }
        say(&json!({ "event": "changed", "name": self.name, "rows": *rows }));
        Ok(())
    }
}

/// Tells of a payment sheet instead of opening it.
struct Sheets;

impl PaymentSheet for Sheets {
    fn show(&self, opened: comptoir_client::Sheet) -> Result<(), ShellError> {
        say(&json!({ "event": "sheet", "sheet": sheet(&opened) }));
        Ok(())
    }
}

/// A vault that does not have the key.
struct OddVault(fn() -> Result<Option<Vec<u8>>, ShellError>);

impl KeyVault for OddVault {
    fn load(&self) -> Result<Option<Vec<u8>>, ShellError> {
        (self.0)()
    }

    fn store(&self, _: Vec<u8>) -> Result<(), ShellError> {
        Err(ShellError::Canceled)
    }
}
