//! The message: what one account says in a conversation.

use prost::Message as _;

use crate::{
    Amount, AskPayment, ContentError, Hash, Invoice, LogHead, OrderId, OrderPlaced, PaymentAnswer, PaymentId, Profile,
    ReceiptFile, Refund, Signed, Timestamp, TokenId, Uid, proto,
};

/// One message, sealed and opened as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub uid: Uid,
    /// The sender's clock.
    pub sent_at: Timestamp,
    /// Something true for a reader that does not know the kind.
    pub fallback: String,
    /// What allows a business to write. A person needs none.
    pub basis: Option<Basis>,
    /// The newest entry of the sender's account log.
    pub head: Option<LogHead>,
    pub body: Body,
}

/// Why a business may write to a person (the 24-hour rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The person did something here less than 24 hours ago: the uid of the message, tap or reaction.
    Action(Uid),
    /// It is about an order that the person placed.
    Order(OrderId),
    /// The person gave a single-use token.
    Token(TokenId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Text(Text),
    Marks(Marks),
    Tap(Tap),
    Card(Card),
    /// A business introduces itself.
    Hello(Signed<Profile>),
    Invoice(Signed<Invoice>),
    OrderPlaced(Box<OrderPlaced>),
    PaymentAnswer(Signed<PaymentAnswer>),
    AskPayment(AskPayment),
    Receipt(Box<ReceiptFile>),
    Refund(Signed<Refund>),
    /// A person allows a business one message, whenever it comes: [`Basis::Token`].
    Token(TokenId),
    /// A person scanned the code of a bill and wants it: the invoice with this hash.
    AskBill(Hash),
    /// A kind of a newer version: show the fallback.
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub body: String,
    pub reply_to: Option<Uid>,
    /// Answers that can be tapped, at most 13.
    pub quick_replies: Vec<QuickReply>,
}

impl Text {
    /// A text and nothing else.
    #[must_use]
    pub fn plain(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }
}

/// A chip or a button: the title is shown, the payload comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuickReply {
    pub title: String,
    pub payload: Vec<u8>,
}

/// What happened here to the other side's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub delivered: Vec<Uid>,
    /// Everything up to this message was seen.
    pub read_upto: Option<Uid>,
}

/// A tapped quick reply or button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    pub on: Uid,
    pub title: String,
    pub payload: Vec<u8>,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub title: String,
    pub subtitle: String,
    pub price: Option<Amount>,
    /// At most three.
    pub buttons: Vec<QuickReply>,
}

/// The version of [`Content`].
const VERSION: u32 = 1;

impl Content {
    /// A message with the fallback that suits its kind, no basis and no head.
    #[must_use]
    pub fn new(uid: Uid, sent_at: Timestamp, body: Body) -> Self {
        let fallback = match &body {
            Body::Text(text) => text.body.clone(),
            Body::Tap(tap) => tap.title.clone(),
            Body::Card(card) => card.title.clone(),
            Body::Marks(_) | Body::AskPayment(_) | Body::Unknown => String::new(),
            Body::Hello(_) => "This is a shop.".to_owned(),
            Body::Invoice(_) => "An invoice. Update to see it.".to_owned(),
            Body::OrderPlaced(_) => "An order was placed.".to_owned(),
            Body::PaymentAnswer(_) => "News about a payment. Update to see it.".to_owned(),
            Body::Receipt(_) => "A receipt. Update to see it.".to_owned(),
            Body::Refund(_) => "A refund. Update to see it.".to_owned(),
            Body::Token(_) => "You may write to me once more.".to_owned(),
            Body::AskBill(_) => "The bill, please.".to_owned(),
        };
        Self { uid, sent_at, fallback, basis: None, head: None, body }
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::ContentBody as P;
        let reply =
            |reply: &QuickReply| proto::QuickReply { title: reply.title.clone(), payload: reply.payload.clone() };
        let body = match &self.body {
            Body::Text(text) => Some(P::Text(proto::Text {
                body: text.body.clone(),
                reply_to: text.reply_to.map(|uid| uid.0.to_vec()).unwrap_or_default(),
                quick_replies: text.quick_replies.iter().map(reply).collect(),
            })),
            Body::Marks(marks) => Some(P::Marks(proto::Marks {
                delivered: marks.delivered.iter().map(|uid| uid.0.to_vec()).collect(),
                read_upto: marks.read_upto.map(|uid| uid.0.to_vec()).unwrap_or_default(),
            })),
            Body::Tap(tap) => Some(P::Tap(proto::Tap {
                on: tap.on.0.to_vec(),
                title: tap.title.clone(),
                payload: tap.payload.clone(),
            })),
            Body::Card(card) => Some(P::Card(proto::Card {
                title: card.title.clone(),
                subtitle: card.subtitle.clone(),
                price: card.price.map(Amount::to_proto),
                buttons: card.buttons.iter().map(reply).collect(),
            })),
            Body::Hello(profile) => Some(P::Hello(proto::Hello { profile: Some(profile.to_proto()) })),
            Body::Invoice(invoice) => Some(P::Invoice(invoice.to_proto())),
            Body::OrderPlaced(order) => Some(P::OrderPlaced(order.to_proto())),
            Body::PaymentAnswer(answer) => Some(P::PaymentAnswer(answer.to_proto())),
            Body::AskPayment(ask) => Some(P::AskPayment(proto::AskPayment {
                order: ask.order.0.to_vec(),
                payment: ask.payment.0.to_vec(),
                attempt: ask.attempt,
            })),
            Body::Receipt(file) => Some(P::Receipt(file.to_proto())),
            Body::Refund(refund) => Some(P::Refund(refund.to_proto())),
            Body::Token(token) => Some(P::Token(proto::Token { token: token.0.to_vec() })),
            Body::AskBill(hash) => Some(P::AskBill(proto::AskBill { invoice_hash: hash.0.to_vec() })),
            Body::Unknown => None,
        };
        proto::Content {
            version: VERSION,
            uid: self.uid.0.to_vec(),
            sent_at_ms: self.sent_at.0,
            fallback: self.fallback.clone(),
            basis: self.basis.map(|basis| proto::Basis {
                body: Some(match basis {
                    Basis::Action(uid) => proto::BasisBody::Action(uid.0.to_vec()),
                    Basis::Order(order) => proto::BasisBody::Order(order.0.to_vec()),
                    Basis::Token(token) => proto::BasisBody::Token(token.0.to_vec()),
                }),
            }),
            head: self.head.map(LogHead::to_proto),
            body,
        }
        .encode_to_vec()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`ContentError`] when it is not a message at all. A kind that we do not know is [`Body::Unknown`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        use proto::ContentBody as P;
        let content = proto::Content::decode(bytes)
            .map_err(|error| ContentError::Unreadable { what: "message", reason: error.to_string() })?;
        if content.version == 0 {
            return Err(ContentError::field("version", "missing"));
        }
        let optional_uid = |bytes: &[u8]| {
            if bytes.is_empty() { Ok(None) } else { Uid::from_slice(bytes).map(Some) }
        };
        let replies = |replies: Vec<proto::QuickReply>| {
            replies.into_iter().map(|reply| QuickReply { title: reply.title, payload: reply.payload }).collect()
        };
        let body = match content.body {
            Some(P::Text(text)) => Body::Text(Text {
                body: text.body,
                reply_to: optional_uid(&text.reply_to)?,
                quick_replies: replies(text.quick_replies),
            }),
            Some(P::Marks(marks)) => Body::Marks(Marks {
                delivered: marks.delivered.iter().map(|uid| Uid::from_slice(uid)).collect::<Result<_, _>>()?,
                read_upto: optional_uid(&marks.read_upto)?,
            }),
            Some(P::Tap(tap)) => {
                Body::Tap(Tap { on: Uid::from_slice(&tap.on)?, title: tap.title, payload: tap.payload })
            }
            Some(P::Card(card)) => Body::Card(Card {
                title: card.title,
                subtitle: card.subtitle,
                price: card.price.map(|price| Amount::from_field("price", Some(price))).transpose()?,
                buttons: replies(card.buttons),
            }),
            Some(P::Hello(hello)) => Body::Hello(Signed::from_field("profile", hello.profile)?),
            Some(P::Invoice(invoice)) => Body::Invoice(Signed::from_proto(invoice)?),
            Some(P::OrderPlaced(order)) => Body::OrderPlaced(Box::new(OrderPlaced::from_proto(order)?)),
            Some(P::PaymentAnswer(answer)) => Body::PaymentAnswer(Signed::from_proto(answer)?),
            Some(P::AskPayment(ask)) => Body::AskPayment(AskPayment {
                order: OrderId::from_slice(&ask.order)?,
                payment: PaymentId::from_slice(&ask.payment)?,
                attempt: ask.attempt,
            }),
            Some(P::Receipt(file)) => Body::Receipt(Box::new(ReceiptFile::from_proto(file)?)),
            Some(P::Refund(refund)) => Body::Refund(Signed::from_proto(refund)?),
            Some(P::Token(token)) => Body::Token(TokenId::from_slice(&token.token)?),
            Some(P::AskBill(ask)) => Body::AskBill(Hash::from_slice(&ask.invoice_hash)?),
            None => Body::Unknown,
        };
        let basis = match content.basis.and_then(|basis| basis.body) {
            None => None,
            Some(proto::BasisBody::Action(uid)) => Some(Basis::Action(Uid::from_slice(&uid)?)),
            Some(proto::BasisBody::Order(order)) => Some(Basis::Order(OrderId::from_slice(&order)?)),
            Some(proto::BasisBody::Token(token)) => Some(Basis::Token(TokenId::from_slice(&token)?)),
        };
        Ok(Self {
            uid: Uid::from_slice(&content.uid)?,
            sent_at: Timestamp(content.sent_at_ms),
            fallback: content.fallback,
            basis,
            head: content.head.as_ref().map(LogHead::from_proto).transpose()?,
            body,
        })
    }
}
