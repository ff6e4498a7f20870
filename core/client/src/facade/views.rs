//! What a screen shows: plain values. `crate::reads` fills them on a read-only connection.

use comptoir_content::{
    AccountId, AccountKind, Amount, ConversationId, DeviceId, Handoff, Hash, LineKind, OrderId, Uid,
};
use comptoir_engine::checkout::State;

/// Money with what is needed to write it. A shell formats it and never calculates with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Money {
    /// Minor units: cents of a euro, whole yen.
    pub minor: i64,
    /// ISO 4217, such as `EUR`.
    pub currency: String,
    /// Decimals that the minor unit stands for: 2 for euros, 0 for yen.
    pub exponent: u8,
}

impl Money {
    #[must_use]
    pub fn of(amount: Amount) -> Self {
        let currency = amount.currency();
        Self { minor: amount.minor(), currency: currency.code().to_owned(), exponent: currency.exponent() }
    }
}

/// Whether the relay can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Connection {
    #[default]
    Offline,
    Online,
    /// The relay does not let this device in. It is tried again, but a person may have to act.
    Refused {
        /// Such as `relay.removed`: this device was taken out of the account.
        code: String,
        /// For a developer.
        detail: String,
    },
}

/// How far a core is with its relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Status {
    pub connection: Connection,
    /// Everything that waited at the relay was delivered.
    pub caught_up: bool,
    /// What still has to reach the relay, counted up to 1,000.
    pub unsent: u64,
    /// Questions that the relay has not answered.
    pub asking: u64,
}

/// A page of the list of chats, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct ChatPage {
    pub rows: Vec<ChatRow>,
    /// Give this to get the page after; `None` at the end.
    pub next: Option<ChatCursor>,
}

/// A place in the list of chats, to read on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct ChatCursor {
    pub at_ms: i64,
    pub row: i64,
}

/// A row of the list of chats.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct ChatRow {
    pub chat: ConversationId,
    pub peer: Peer,
    /// The first 120 characters of the newest message.
    pub preview: String,
    /// The sender's clock; 0 while nothing was said.
    pub at_ms: i64,
    pub unread: u32,
    /// A payment here is on its way: it must not be paid again, and is looked after.
    pub unresolved: bool,
}

/// Who a chat is with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
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
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Contact {
    pub peer: Peer,
    /// A few words about the shop, from its signed profile; empty for a person.
    pub about: String,
}

/// This account and device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Identity {
    pub account: AccountId,
    pub device: DeviceId,
    pub kind: AccountKind,
    pub relay: String,
    /// The text of one's contact code.
    pub link: String,
}

/// Where in a chat a page is. The numbers are those of [`Bubble::id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Place {
    Newest,
    Before {
        id: i64,
    },
    After {
        id: i64,
    },
    /// Half of the page before this message and half from it on: what a search found, an answered message.
    Around {
        id: i64,
    },
}

/// Messages of a chat, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Page {
    pub bubbles: Vec<Bubble>,
    /// Older messages are [`Place::Before`] this; `None` at the beginning.
    pub before: Option<i64>,
    /// Newer messages are [`Place::After`] this; `None` at the end.
    pub after: Option<i64>,
}

/// One message on a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Bubble {
    /// Grows within a chat.
    pub id: i64,
    pub uid: Uid,
    pub mine: bool,
    pub kind: BubbleKind,
    pub text: String,
    /// The message that this one answers.
    pub reply_to: Option<Uid>,
    /// The sender's clock.
    pub sent_at_ms: i64,
    pub state: BubbleState,
    /// Why it is held or cannot be paid, as a key of the registry of reasons.
    pub why: Option<String>,
    /// What can be tapped.
    pub replies: Vec<QuickReplyView>,
    pub price: Option<Amount>,
    /// For an invoice.
    pub checkout: Option<CheckoutView>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum BubbleKind {
    Text,
    /// The person tapped a reply or a button; the text is its title.
    Tap,
    Card,
    Invoice,
    Receipt,
    Refund,
    /// The person allowed the shop one message, whenever it comes.
    Token,
    /// The person scanned the code of a bill and asked for it.
    AskBill,
    /// Of a newer version: the text is what its sender wrote for this case.
    Unknown,
}

impl BubbleKind {
    /// The stable name, as it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Tap => "tap",
            Self::Card => "card",
            Self::Invoice => "invoice",
            Self::Receipt => "receipt",
            Self::Refund => "refund",
            Self::Token => "token",
            Self::AskBill => "ask_bill",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        let all =
            [Self::Text, Self::Tap, Self::Card, Self::Invoice, Self::Receipt, Self::Refund, Self::Token, Self::AskBill];
        all.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Unknown)
    }
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum BubbleState {
    /// One's own, on this device's disk.
    Queued,
    /// At the relay.
    Sent,
    Delivered,
    Read,
    /// It will never arrive; `why` says why.
    Failed,
    /// Somebody else's.
    Received,
    /// Somebody else's, and not shown; `why` says why.
    Held,
}

impl BubbleState {
    const ALL: [Self; 7] =
        [Self::Queued, Self::Sent, Self::Delivered, Self::Read, Self::Failed, Self::Received, Self::Held];

    /// The stable name, as it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Received => "received",
            Self::Held => "held",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Something to tap under a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct QuickReplyView {
    pub title: String,
}

/// A message that a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct SearchHit {
    pub chat: ConversationId,
    pub bubble: Bubble,
}

/// A line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct LineView {
    pub label: String,
    pub quantity: u32,
    pub unit: Amount,
    pub kind: LineKind,
}

/// What a shop has to know before it can be paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct NeedsView {
    pub name: bool,
    pub phone: bool,
    pub email: bool,
    pub address: bool,
}

/// Why an attempt to pay is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct NotPaidView {
    /// A key of the registry of reasons, such as `card.declined`.
    pub reason: String,
    /// The shop's own words, to be shown as the shop's. May be empty.
    pub words: String,
}

/// An invoice and where its payment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct CheckoutView {
    /// SHA-256 of the signed invoice; what [`crate::Client::pay`] takes.
    pub invoice: Hash,
    /// Whose till signed it.
    pub merchant: AccountId,
    pub title: String,
    pub description: String,
    pub lines: Vec<LineView>,
    /// Without a tip.
    pub total: Amount,
    /// False: no real money moves. Every screen says so.
    pub live: bool,
    pub expires_at_ms: i64,
    pub needs: NeedsView,
    /// Suggested tips, rising; at most four.
    pub tips: Vec<Amount>,
    /// The largest tip that the shop takes; 0 for none.
    pub tip_max: Amount,
    /// Who can move the money, the shop's first choice first.
    pub providers: Vec<String>,
    pub state: State,
    pub order: Option<OrderId>,
    /// The tip of the order that was placed.
    pub tip: Amount,
    /// Why the last attempt is over.
    pub not_paid: Option<NotPaidView>,
    pub refunded: Amount,
    /// What to open, while it makes sense to.
    pub sheet: Option<Sheet>,
}

/// What the payment sheet needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Sheet {
    pub chat: ConversationId,
    pub invoice: Hash,
    pub order: OrderId,
    pub provider: String,
    pub amount: Amount,
    pub live: bool,
    pub expires_at_ms: i64,
    pub handoff: Handoff,
}

/// What a customer chooses before paying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct PayChoice {
    /// Minor units of the invoice's currency.
    #[cfg_attr(feature = "uniffi", uniffi(default = 0))]
    pub tip_minor: i64,
    /// One of the invoice's providers; the first one when `None`.
    #[cfg_attr(feature = "uniffi", uniffi(default = None))]
    pub provider: Option<String>,
    #[cfg_attr(feature = "uniffi", uniffi(default = ""))]
    pub name: String,
    /// E.164, such as `+33142685300`.
    #[cfg_attr(feature = "uniffi", uniffi(default = ""))]
    pub phone: String,
    #[cfg_attr(feature = "uniffi", uniffi(default = ""))]
    pub email: String,
}

/// A receipt that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct ReceiptRow {
    pub order: OrderId,
    pub merchant: AccountId,
    pub merchant_name: String,
    pub amount: Amount,
    pub refunded: Amount,
    pub live: bool,
    pub issued_at_ms: i64,
}
