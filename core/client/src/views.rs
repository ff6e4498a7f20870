//! What a screen shows: plain values, read on a read-only connection.

use comptoir_content::{
    AccountId, AccountKind, Amount, Body, Content, ConversationId, DeviceId, Handoff, LineKind, OrderId,
    PaymentRequest, Profile, PublicKey, Signed, Timestamp,
};
use comptoir_engine::checkout::{Checkout, State};
use comptoir_sqlcipher::rusqlite::{Connection as Db, OptionalExtension as _, Row, params};

use crate::error::TurnError;
use crate::store;
use crate::turns::checkout;

/// Whether the relay can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    Offline,
    Online,
    /// The relay does not accept this device; the text is for a developer.
    Refused(String),
}

/// Something that changed, for those who listen. It says where to look, not what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The list of chats.
    Chats,
    /// One chat: its messages, or a payment in it.
    Chat(ConversationId),
    Connection(Connection),
    /// Open the payment sheet now. After a restart it is found in [`CheckoutView::sheet`].
    Sheet(Sheet),
    /// More happened than was kept: read everything again.
    Reset,
}

/// A row of the list of chats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRow {
    pub chat: ConversationId,
    pub peer: Peer,
    /// The first 120 characters of the newest message.
    pub preview: String,
    /// The sender's clock; 0 while nothing was said.
    pub at_ms: i64,
    pub unread: u32,
    /// A payment here is unresolved: "checking, do not pay again".
    pub checking: bool,
}

/// Who a chat is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub account: AccountId,
    pub kind: AccountKind,
    /// As the account calls itself. Proves nothing.
    pub name: String,
    /// A person compared the safety number.
    pub verified: bool,
    pub blocked: bool,
    /// Why what the relay shows of this account is not believed. At first contact nothing can be said until its code is
    /// scanned again; later on, what was believed before stays.
    pub refused: Option<String>,
    /// The account key was replaced: nothing can be paid here until the safety number was compared again.
    pub key_changed: bool,
}

/// Somebody we know, with what their profile says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub peer: Peer,
    /// A few words about the shop, from its signed profile; empty for a person.
    pub about: String,
}

/// This account and device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: AccountId,
    pub device: DeviceId,
    pub kind: AccountKind,
    pub relay: String,
    /// The text of one's contact code.
    pub link: String,
}

/// Messages of a chat, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub bubbles: Vec<Bubble>,
    /// Give this to get the page before; `None` at the beginning.
    pub before: Option<i64>,
}

/// One message on a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bubble {
    /// Grows within a chat.
    pub id: i64,
    pub uid: comptoir_content::Uid,
    pub mine: bool,
    /// `text`, `tap`, `card`, `invoice`, `receipt`, `refund`, `unknown`.
    pub kind: String,
    pub text: String,
    /// The sender's clock.
    pub sent_at_ms: i64,
    /// `queued`, `sent`, `delivered`, `read` for one's own; `received`, `held` for others'.
    pub state: String,
    /// Why it is held or cannot be paid, as a key of the registry of reasons.
    pub why: Option<String>,
    /// What can be tapped.
    pub replies: Vec<QuickReplyView>,
    pub price: Option<Amount>,
    /// For an invoice.
    pub checkout: Option<CheckoutView>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuickReplyView {
    pub title: String,
}

/// A line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineView {
    pub label: String,
    pub quantity: u32,
    pub unit: Amount,
    pub kind: LineKind,
}

/// An invoice and where its payment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutView {
    /// SHA-256 of the signed invoice; what [`crate::Client::pay`] takes.
    pub invoice: comptoir_content::Hash,
    pub title: String,
    pub description: String,
    pub lines: Vec<LineView>,
    pub total: Amount,
    pub live: bool,
    pub expires_at_ms: i64,
    pub state: State,
    pub order: Option<OrderId>,
    /// Why the last attempt is over: a key of the registry, and the shop's own words.
    pub not_paid: Option<(String, String)>,
    pub refunded: Amount,
    /// What to open, while it makes sense to.
    pub sheet: Option<Sheet>,
}

/// What the payment sheet needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    pub chat: ConversationId,
    pub invoice: comptoir_content::Hash,
    pub order: OrderId,
    pub provider: String,
    pub amount: Amount,
    pub expires_at_ms: i64,
    pub handoff: Handoff,
}

impl Sheet {
    pub(crate) fn of(chat: ConversationId, checkout: &Checkout, request: &PaymentRequest) -> Self {
        Self {
            chat,
            invoice: checkout.invoice.hash(),
            order: checkout.order.as_ref().map_or(OrderId([0; 16]), |order| order.order),
            provider: request.provider.clone(),
            amount: request.amount,
            expires_at_ms: request.expires_at.0,
            handoff: request.handoff.clone(),
        }
    }
}

/// What a customer chooses before paying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayChoice {
    /// Minor units of the invoice's currency.
    pub tip_minor: i64,
    /// One of the invoice's providers; the first one when `None`.
    pub provider: Option<String>,
    pub name: String,
    /// E.164, such as `+33142685300`.
    pub phone: String,
    pub email: String,
}

/// A receipt that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRow {
    pub order: OrderId,
    pub merchant: AccountId,
    pub merchant_name: String,
    pub amount: Amount,
    pub refunded: Amount,
    pub live: bool,
    pub issued_at_ms: i64,
}

/// A new device asks to be linked. Shown as a code, read by the device that holds the account key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRequest {
    pub device: DeviceId,
    pub key: PublicKey,
}

/// The answer to a [`LinkRequest`]: everything the new device needs to be part of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkGrant {
    pub relay: String,
    pub certificate: Vec<u8>,
    pub log: comptoir_content::AccountLog,
}

const PEER: &str =
    "account.id AS account_id, account.kind AS account_kind, account.name, account.verified, account.blocked,
    account.refused, account.key_changed";

fn peer(row: &Row<'_>) -> comptoir_sqlcipher::rusqlite::Result<Peer> {
    Ok(Peer {
        account: AccountId(row.get("account_id")?),
        kind: store::kind_named(&row.get::<_, String>("account_kind")?),
        name: row.get("name")?,
        verified: row.get("verified")?,
        blocked: row.get("blocked")?,
        refused: row.get("refused")?,
        key_changed: row.get("key_changed")?,
    })
}

/// The newest chats first, `limit` of them.
pub(crate) fn chats(db: &Db, limit: u32) -> Result<Vec<ChatRow>, TurnError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT conversation.uid, last_at, last_preview, unread, {PEER},
             EXISTS (SELECT 1 FROM checkout WHERE checkout.conversation = conversation.id
                     AND checkout.state IN ('placed', 'settling')) AS checking
         FROM conversation JOIN account ON account.id = conversation.peer
         ORDER BY last_at DESC, conversation.id LIMIT ?1"
    ))?;
    let rows = select.query_map([limit], |row| {
        Ok(ChatRow {
            chat: ConversationId(row.get("uid")?),
            peer: peer(row)?,
            preview: row.get("last_preview")?,
            at_ms: row.get("last_at")?,
            unread: row.get("unread")?,
            checking: row.get("checking")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn contact_of(db: &Db, account: AccountId) -> Result<Option<Contact>, TurnError> {
    let found = db
        .prepare_cached(&format!("SELECT {PEER}, account.profile FROM account WHERE id = ?1"))?
        .query_row([account.0], |row| Ok((peer(row)?, row.get::<_, Option<Vec<u8>>>("profile")?)))
        .optional()?;
    let Some((peer, profile)) = found else {
        return Ok(None);
    };
    let about = match profile {
        Some(bytes) => Signed::<Profile>::decode(&bytes)?.verify()?.into_inner().about,
        None => String::new(),
    };
    Ok(Some(Contact { peer, about }))
}

/// A page of a chat: `limit` messages before row `before`, or the newest ones.
pub(crate) fn page(
    db: &Db,
    chat: ConversationId,
    before: Option<i64>,
    limit: u32,
    now: Timestamp,
) -> Result<Page, TurnError> {
    let id: i64 = db
        .prepare_cached("SELECT id FROM conversation WHERE uid = ?1")?
        .query_row([chat.0], |row| row.get(0))
        .optional()?
        .ok_or(TurnError::NotFound { what: "chat" })?;
    let (low, high) = (id << 36, before.unwrap_or((id + 1) << 36));
    let mut select = db.prepare_cached(
        "SELECT id, uid, mine, kind, text, sent_at, state, why, tapped, content FROM message
         WHERE id >= ?1 AND id < ?2 AND kind NOT IN ('order_placed', 'payment_answer', 'ask_payment')
         ORDER BY id DESC LIMIT ?3",
    )?;
    let rows = select.query_map(params![low, high, limit], |row| {
        let bubble = Bubble {
            id: row.get("id")?,
            uid: comptoir_content::Uid(row.get("uid")?),
            mine: row.get("mine")?,
            kind: row.get("kind")?,
            text: row.get("text")?,
            sent_at_ms: row.get("sent_at")?,
            state: row.get("state")?,
            why: row.get("why")?,
            replies: Vec::new(),
            price: None,
            checkout: None,
        };
        Ok((bubble, row.get::<_, bool>("tapped")?, row.get::<_, Vec<u8>>("content")?))
    })?;
    let mut bubbles = Vec::new();
    for row in rows {
        let (mut bubble, tapped, content) = row?;
        // A plain text is all in its row; only the others are opened again.
        complete_bubble(db, chat, &mut bubble, tapped, &content, now)?;
        bubbles.push(bubble);
    }
    let before = (bubbles.len() == limit as usize).then(|| bubbles.last().map(|bubble| bubble.id)).flatten();
    bubbles.reverse();
    Ok(Page { bubbles, before })
}

/// One message by its row id, with the chat it is in.
pub(crate) fn bubble(db: &Db, id: i64, now: Timestamp) -> Result<(ConversationId, Bubble), TurnError> {
    let chat: [u8; 16] =
        db.prepare_cached("SELECT uid FROM conversation WHERE id = ?1")?.query_row([id >> 36], |row| row.get(0))?;
    let chat = ConversationId(chat);
    let page = page(db, chat, Some(id + 1), 1, now)?;
    let bubble = page.bubbles.into_iter().next().ok_or(TurnError::NotFound { what: "message" })?;
    Ok((chat, bubble))
}

fn complete_bubble(
    db: &Db,
    chat: ConversationId,
    bubble: &mut Bubble,
    tapped: bool,
    content: &[u8],
    now: Timestamp,
) -> Result<(), TurnError> {
    if bubble.state == "held" {
        bubble.text.clear();
        return Ok(());
    }
    if bubble.kind == "text" && bubble.mine {
        return Ok(());
    }
    let titles = |replies: Vec<comptoir_content::QuickReply>| {
        replies.into_iter().map(|reply| QuickReplyView { title: reply.title }).collect()
    };
    match Content::decode(content)?.body {
        Body::Text(text) if !tapped => bubble.replies = titles(text.quick_replies),
        Body::Card(card) => {
            bubble.text =
                if card.subtitle.is_empty() { card.title } else { format!("{}\n{}", card.title, card.subtitle) };
            bubble.price = card.price;
            bubble.replies = titles(card.buttons);
        }
        Body::Invoice(invoice) => {
            if let Some(loaded) = checkout::load_by_invoice(db, invoice.hash().0)? {
                bubble.checkout = Some(checkout_view(chat, &loaded.checkout, now)?);
            }
        }
        Body::Text(_)
        | Body::Marks(_)
        | Body::Tap(_)
        | Body::Hello(_)
        | Body::OrderPlaced(_)
        | Body::PaymentAnswer(_)
        | Body::AskPayment(_)
        | Body::Receipt(_)
        | Body::Refund(_)
        | Body::Unknown => {}
    }
    Ok(())
}

pub(crate) fn checkout_view(
    chat: ConversationId,
    checkout: &Checkout,
    now: Timestamp,
) -> Result<CheckoutView, TurnError> {
    let invoice = &checkout.invoice;
    let lines = invoice.lines.iter().map(|line| {
        Ok(LineView {
            label: line.label.clone(),
            quantity: line.quantity,
            unit: Amount::new(line.unit_minor, invoice.currency)?,
            kind: line.kind,
        })
    });
    let sheet = match (checkout.state, &checkout.request) {
        (State::AwaitingConsent, Some(request)) if request.expires_at > now => Some(Sheet::of(chat, checkout, request)),
        _ => None,
    };
    Ok(CheckoutView {
        invoice: invoice.hash(),
        title: invoice.title.clone(),
        description: invoice.description.clone(),
        lines: lines.collect::<Result<_, TurnError>>()?,
        total: invoice.total,
        live: invoice.live,
        expires_at_ms: invoice.expires_at.0,
        state: checkout.state,
        order: checkout.order.as_ref().map(|order| order.order),
        not_paid: checkout.not_paid.as_ref().map(|not_paid| (not_paid.reason.clone(), not_paid.words.clone())),
        refunded: Amount::new(checkout.refunded_minor, invoice.currency)?,
        sheet,
    })
}

/// All receipts, the newest first.
pub(crate) fn receipts(db: &Db) -> Result<Vec<ReceiptRow>, TurnError> {
    let mut select = db.prepare_cached(
        "SELECT receipt.file, coalesce(account.name, '') AS name, coalesce(checkout.refunded_minor, 0) AS refunded
         FROM receipt LEFT JOIN account ON account.id = receipt.merchant
         LEFT JOIN checkout ON checkout.order_id = receipt.order_id ORDER BY receipt.seq DESC",
    )?;
    let rows = select.query_map([], |row| {
        Ok((row.get::<_, Vec<u8>>("file")?, row.get::<_, String>("name")?, row.get::<_, i64>("refunded")?))
    })?;
    let mut receipts = Vec::new();
    for row in rows {
        let (file, merchant_name, refunded) = row?;
        let receipt = comptoir_content::ReceiptFile::from_file(&file)?.receipt.verify()?;
        receipts.push(ReceiptRow {
            order: receipt.order,
            merchant: receipt.merchant,
            merchant_name,
            amount: receipt.amount,
            refunded: Amount::new(refunded, receipt.amount.currency())?,
            live: receipt.live,
            issued_at_ms: receipt.issued_at.0,
        });
    }
    Ok(receipts)
}

/// The file of a receipt, as it is handed on.
pub(crate) fn receipt_file(db: &Db, order: OrderId) -> Result<Vec<u8>, TurnError> {
    db.prepare_cached("SELECT file FROM receipt WHERE order_id = ?1 ORDER BY seq LIMIT 1")?
        .query_row([order.0], |row| row.get(0))
        .optional()?
        .ok_or(TurnError::NotFound { what: "receipt" })
}
