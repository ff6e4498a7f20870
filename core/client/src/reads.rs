//! Views, read on a read-only connection: queries and what a screen makes of their rows.

use comptoir_content::{
    AccountId, Amount, Body, Content, ConversationId, OrderId, Part, PaymentRequest, Profile, ReceiptFile, Signed,
    SigningKey, Timestamp, Uid,
};
use comptoir_engine::checkout::{Checkout, State};
use comptoir_sqlcipher::rusqlite::{Connection as Db, OptionalExtension as _, Row};

use crate::error::TurnError;
use crate::facade::{
    Bubble, BubbleKind, BubbleState, ChatCursor, ChatPage, ChatRow, CheckoutView, Contact, LineView, NeedsView,
    NotPaidView, Page, Peer, Place, QuickReplyView, ReceiptRow, SearchHit, Sheet,
};
use crate::store::{self, search};
use crate::turns::checkout;

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

/// A page of chats, the newest first: `limit` of them, from `after` on.
pub(crate) fn chats(db: &Db, after: Option<ChatCursor>, limit: u32) -> Result<ChatPage, TurnError> {
    let after = after.unwrap_or(ChatCursor { at_ms: i64::MAX, row: 0 });
    let mut select = db.prepare_cached(&format!(
        "SELECT conversation.id, conversation.uid, last_at, last_preview, unread, {PEER},
             EXISTS (SELECT 1 FROM checkout WHERE checkout.conversation = conversation.id
                     AND checkout.state IN ('placed', 'awaiting_consent', 'settling')) AS unresolved
         FROM conversation JOIN account ON account.id = conversation.peer
         WHERE last_at <= ?1 AND (last_at < ?1 OR conversation.id > ?2)
         ORDER BY last_at DESC, conversation.id LIMIT ?3"
    ))?;
    let rows = select.query_map((after.at_ms, after.row, limit), |row| {
        let chat = ChatRow {
            chat: ConversationId(row.get("uid")?),
            peer: peer(row)?,
            preview: row.get("last_preview")?,
            at_ms: row.get("last_at")?,
            unread: row.get("unread")?,
            unresolved: row.get("unresolved")?,
        };
        Ok((chat, row.get::<_, i64>("id")?))
    })?;
    let rows: Vec<(ChatRow, i64)> = rows.collect::<Result<_, _>>()?;
    let full = rows.len() == limit as usize;
    let next = rows.last().filter(|_| full).map(|(chat, row)| ChatCursor { at_ms: chat.at_ms, row: *row });
    Ok(ChatPage { rows: rows.into_iter().map(|(chat, _)| chat).collect(), next })
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

/// Messages that a screen shows; the others are said by a checkout.
const SHOWN: &str = "kind NOT IN ('order_placed', 'payment_answer', 'ask_payment')";

/// A page of a chat.
pub(crate) fn page(db: &Db, chat: ConversationId, place: Place, limit: u32, now: Timestamp) -> Result<Page, TurnError> {
    let id: i64 = db
        .prepare_cached("SELECT id FROM conversation WHERE uid = ?1")?
        .query_row([chat.0], |row| row.get(0))
        .optional()?
        .ok_or(TurnError::NotFound { what: "chat" })?;
    let run = Run { db, chat, low: id << 36, high: (id + 1) << 36, now };
    let bubbles = match place {
        Place::Newest => run.down(run.high, limit)?,
        Place::Before { id } => run.down(id, limit)?,
        Place::After { id } => run.up(id.saturating_add(1), limit)?,
        Place::Around { id } => {
            let mut bubbles = run.down(id, limit / 2)?;
            let here = u32::try_from(bubbles.len()).unwrap_or(limit);
            bubbles.append(&mut run.up(id, limit.saturating_sub(here))?);
            bubbles
        }
    };
    // Around a page without messages, older and newer ones part where it would be.
    let place = match place {
        Place::Newest => run.high,
        Place::Before { id } | Place::Around { id } => id.clamp(run.low, run.high),
        Place::After { id } => id.saturating_add(1).clamp(run.low, run.high),
    };
    let first = bubbles.first().map_or(place, |bubble| bubble.id);
    let last = bubbles.last().map_or(place - 1, |bubble| bubble.id);
    let before = run.is_any(run.low, first)?.then_some(first);
    let after = run.is_any(last + 1, run.high)?.then_some(last);
    Ok(Page { bubbles, before, after })
}

/// The messages of one chat: a run of neighbouring rows.
struct Run<'a> {
    db: &'a Db,
    chat: ConversationId,
    low: i64,
    high: i64,
    now: Timestamp,
}

impl Run<'_> {
    /// The newest `limit` before `end`, oldest first.
    fn down(&self, end: i64, limit: u32) -> Result<Vec<Bubble>, TurnError> {
        let mut bubbles = self.rows(self.low, end.min(self.high), "DESC", limit)?;
        bubbles.reverse();
        Ok(bubbles)
    }

    /// The oldest `limit` from `start` on.
    fn up(&self, start: i64, limit: u32) -> Result<Vec<Bubble>, TurnError> {
        self.rows(start.max(self.low), self.high, "ASC", limit)
    }

    fn rows(&self, low: i64, high: i64, order: &str, limit: u32) -> Result<Vec<Bubble>, TurnError> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT id, uid, mine, kind, text, sent_at, state, why, tapped, content FROM message
             WHERE id >= ?1 AND id < ?2 AND {SHOWN} ORDER BY id {order} LIMIT ?3"
        ))?;
        let mut rows = select.query((low, high, limit))?;
        let mut bubbles = Vec::new();
        while let Some(row) = rows.next()? {
            let state: String = row.get("state")?;
            let mut bubble = Bubble {
                id: row.get("id")?,
                uid: Uid(row.get("uid")?),
                mine: row.get("mine")?,
                kind: BubbleKind::named(&row.get::<_, String>("kind")?),
                text: row.get("text")?,
                reply_to: None,
                sent_at_ms: row.get("sent_at")?,
                state: BubbleState::named(&state).ok_or(TurnError::Corrupt { what: "message" })?,
                why: row.get("why")?,
                replies: Vec::new(),
                price: None,
                checkout: None,
            };
            let content: Vec<u8> = row.get("content")?;
            complete_bubble(self.db, self.chat, &mut bubble, row.get("tapped")?, &content, self.now)?;
            bubbles.push(bubble);
        }
        Ok(bubbles)
    }

    fn is_any(&self, low: i64, high: i64) -> Result<bool, TurnError> {
        let mut select = self
            .db
            .prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM message WHERE id >= ?1 AND id < ?2 AND {SHOWN})"))?;
        Ok(select.query_row((low, high), |row| row.get(0))?)
    }
}

/// The newest messages that hold all words of `query`.
pub(crate) fn found(db: &Db, query: &str, limit: u32, now: Timestamp) -> Result<Vec<SearchHit>, TurnError> {
    let mut hits = Vec::new();
    for id in search(db, query, limit)? {
        let chat: [u8; 16] =
            db.prepare_cached("SELECT uid FROM conversation WHERE id = ?1")?.query_row([id >> 36], |row| row.get(0))?;
        let chat = ConversationId(chat);
        let run = Run { db, chat, low: id, high: id + 1, now };
        let bubble = run.up(id, 1)?.into_iter().next().ok_or(TurnError::NotFound { what: "message" })?;
        hits.push(SearchHit { chat, bubble });
    }
    Ok(hits)
}

fn complete_bubble(
    db: &Db,
    chat: ConversationId,
    bubble: &mut Bubble,
    tapped: bool,
    content: &[u8],
    now: Timestamp,
) -> Result<(), TurnError> {
    if bubble.state == BubbleState::Held {
        bubble.text.clear();
        return Ok(());
    }
    let titles = |replies: Vec<comptoir_content::QuickReply>| {
        replies.into_iter().map(|reply| QuickReplyView { title: reply.title }).collect()
    };
    match Content::decode(content)?.body {
        Body::Text(text) => {
            bubble.reply_to = text.reply_to;
            if !tapped {
                bubble.replies = titles(text.quick_replies);
            }
        }
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
        Body::Marks(_)
        | Body::Tap(_)
        | Body::Hello(_)
        | Body::OrderPlaced(_)
        | Body::PaymentAnswer(_)
        | Body::AskPayment(_)
        | Body::Receipt(_)
        | Body::Refund(_)
        | Body::Token(_)
        | Body::AskBill(_)
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
        (State::AwaitingConsent, Some(request)) if request.expires_at > now => Some(sheet(chat, checkout, request)),
        _ => None,
    };
    let of = |minor| Amount::new(minor, invoice.currency);
    Ok(CheckoutView {
        invoice: invoice.hash(),
        merchant: invoice.merchant,
        title: invoice.title.clone(),
        description: invoice.description.clone(),
        lines: lines.collect::<Result<_, TurnError>>()?,
        total: invoice.total,
        live: invoice.live,
        expires_at_ms: invoice.expires_at.0,
        needs: NeedsView {
            name: invoice.needs.name,
            phone: invoice.needs.phone,
            email: invoice.needs.email,
            address: invoice.needs.address,
        },
        tips: invoice.tips_minor.iter().map(|minor| of(*minor)).collect::<Result<_, _>>()?,
        tip_max: of(invoice.tip_max_minor)?,
        providers: invoice.payees.iter().map(|payee| payee.provider.clone()).collect(),
        state: checkout.state,
        order: checkout.order.as_ref().map(|order| order.order),
        tip: of(checkout.order.as_ref().map_or(0, |order| order.tip_minor))?,
        not_paid: checkout
            .not_paid
            .as_ref()
            .map(|not_paid| NotPaidView { reason: not_paid.reason.clone(), words: not_paid.words.clone() }),
        refunded: of(checkout.refunded_minor)?,
        sheet,
    })
}

/// What the payment sheet is told of a request.
pub(crate) fn sheet(chat: ConversationId, checkout: &Checkout, request: &PaymentRequest) -> Sheet {
    Sheet {
        chat,
        invoice: checkout.invoice.hash(),
        order: checkout.order.as_ref().map_or(OrderId([0; 16]), |order| order.order),
        provider: request.provider.clone(),
        amount: request.amount,
        live: checkout.invoice.live,
        expires_at_ms: request.expires_at.0,
        handoff: request.handoff.clone(),
    }
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
        let receipt = ReceiptFile::from_file(&file)?.receipt.verify()?;
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

/// The file of a receipt, with `parts` disclosed; with all that are known when `None`.
/// The shop of a paid order, and the key that proves who paid it, where this device has it.
pub(crate) fn payer_of(db: &Db, order: OrderId) -> Result<(AccountId, SigningKey), TurnError> {
    let found: Option<([u8; 20], Option<[u8; 32]>)> = db
        .prepare_cached(
            "SELECT merchant, payer_seed FROM checkout WHERE order_id = ?1
             AND EXISTS (SELECT 1 FROM receipt WHERE receipt.order_id = checkout.order_id)",
        )?
        .query_row([order.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((merchant, Some(seed))) = found else {
        return Err(TurnError::NotFound { what: "receipt" });
    };
    Ok((AccountId(merchant), SigningKey::from_seed(seed)))
}

pub(crate) fn receipt_file(db: &Db, order: OrderId, parts: Option<&[Part]>) -> Result<Vec<u8>, TurnError> {
    let file: Vec<u8> = db
        .prepare_cached("SELECT file FROM receipt WHERE order_id = ?1 ORDER BY seq LIMIT 1")?
        .query_row([order.0], |row| row.get(0))
        .optional()?
        .ok_or(TurnError::NotFound { what: "receipt" })?;
    Ok(match parts {
        Some(parts) => ReceiptFile::from_file(&file)?.disclosing(parts).to_file(),
        None => file,
    })
}
