//! The invoice: what a shop asks for, signed by its till.

use crate::signed::VERSION;
use crate::signed::private::Shape;
use crate::{AccountId, Amount, ContentError, Currency, Hash, InvoiceId, Object, Payee, Timestamp, proto};

/// A signed request for money. Sums and limits are judged by the engine on both ends; here only shapes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    pub merchant: AccountId,
    /// Term of the till that signed; only that till answers.
    pub term: u64,
    pub invoice: InvoiceId,
    /// Who may pay. `None`: whoever holds it.
    pub audience: Option<AccountId>,
    pub live: bool,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub currency: Currency,
    /// 1–32 characters.
    pub title: String,
    /// At most 255 characters.
    pub description: String,
    pub lines: Vec<Line>,
    /// Without a tip.
    pub total: Amount,
    pub needs: Needs,
    /// The largest tip in minor units; 0 for none.
    pub tip_max_minor: i64,
    /// At most four suggestions, rising.
    pub tips_minor: Vec<i64>,
    /// How many orders may be paid with it, all customers together.
    pub max_payments: u32,
    /// SHA-256 of the terms the customer accepts, if there are any.
    pub terms_hash: Option<Hash>,
    /// The merchant's own reference, at most 128 bytes. Never shown.
    pub payload: Vec<u8>,
    /// Providers and accounts that it can be paid to. Each stands in the shop's profile.
    pub payees: Vec<Payee>,
}

/// One line of an invoice: `quantity` × `unit_minor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub label: String,
    pub quantity: u32,
    /// Minor units; negative only for a discount.
    pub unit_minor: i64,
    pub kind: LineKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    Item,
    Tax,
    Shipping,
    Discount,
    Tip,
}

/// What the shop must know about the customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub name: bool,
    pub phone: bool,
    pub email: bool,
    pub address: bool,
}

impl Line {
    pub(crate) fn to_proto(&self) -> proto::Line {
        proto::Line {
            label: self.label.clone(),
            quantity: self.quantity,
            unit_minor: self.unit_minor,
            kind: match self.kind {
                LineKind::Item => proto::LineKind::Item,
                LineKind::Tax => proto::LineKind::Tax,
                LineKind::Shipping => proto::LineKind::Shipping,
                LineKind::Discount => proto::LineKind::Discount,
                LineKind::Tip => proto::LineKind::Tip,
            }
            .into(),
        }
    }

    pub(crate) fn from_proto(line: proto::Line) -> Result<Self, ContentError> {
        Ok(Self {
            label: line.label,
            quantity: line.quantity,
            unit_minor: line.unit_minor,
            kind: match proto::LineKind::try_from(line.kind) {
                Ok(proto::LineKind::Item) => LineKind::Item,
                Ok(proto::LineKind::Tax) => LineKind::Tax,
                Ok(proto::LineKind::Shipping) => LineKind::Shipping,
                Ok(proto::LineKind::Discount) => LineKind::Discount,
                Ok(proto::LineKind::Tip) => LineKind::Tip,
                // A kind of a newer version: the line cannot be judged.
                Ok(proto::LineKind::Unspecified) | Err(_) => {
                    return Err(ContentError::UpdateApp { what: "invoice line" });
                }
            },
        })
    }
}

impl Object for Invoice {
    const CONTEXT: &'static str = "comptoir/invoice/v1";
    const WHAT: &'static str = "invoice";
}

impl Shape for Invoice {
    type Proto = proto::Invoice;

    fn to_proto(&self) -> proto::Invoice {
        proto::Invoice {
            version: VERSION,
            merchant: self.merchant.0.to_vec(),
            term: self.term,
            invoice: self.invoice.0.to_vec(),
            audience: self.audience.map(|account| account.0.to_vec()).unwrap_or_default(),
            live: self.live,
            issued_at_ms: self.issued_at.0,
            expires_at_ms: self.expires_at.0,
            currency: self.currency.code().to_owned(),
            exponent: self.currency.exponent().into(),
            title: self.title.clone(),
            description: self.description.clone(),
            lines: self.lines.iter().map(Line::to_proto).collect(),
            total_minor: self.total.minor(),
            needs_name: self.needs.name,
            needs_phone: self.needs.phone,
            needs_email: self.needs.email,
            needs_address: self.needs.address,
            tip_max_minor: self.tip_max_minor,
            tips_minor: self.tips_minor.clone(),
            max_payments: self.max_payments,
            terms_hash: self.terms_hash.map(|hash| hash.0.to_vec()).unwrap_or_default(),
            payload: self.payload.clone(),
            payees: self.payees.iter().map(Payee::to_proto).collect(),
        }
    }

    fn from_proto(invoice: proto::Invoice) -> Result<Self, ContentError> {
        let total = Amount::from_parts(invoice.total_minor, &invoice.currency, invoice.exponent)?;
        Ok(Self {
            merchant: AccountId::from_slice(&invoice.merchant)?,
            term: invoice.term,
            invoice: InvoiceId::from_slice(&invoice.invoice)?,
            audience: match invoice.audience.as_slice() {
                [] => None,
                account => Some(AccountId::from_slice(account)?),
            },
            live: invoice.live,
            issued_at: Timestamp(invoice.issued_at_ms),
            expires_at: Timestamp(invoice.expires_at_ms),
            currency: total.currency(),
            title: invoice.title,
            description: invoice.description,
            lines: invoice.lines.into_iter().map(Line::from_proto).collect::<Result<_, _>>()?,
            total,
            needs: Needs {
                name: invoice.needs_name,
                phone: invoice.needs_phone,
                email: invoice.needs_email,
                address: invoice.needs_address,
            },
            tip_max_minor: invoice.tip_max_minor,
            tips_minor: invoice.tips_minor,
            max_payments: invoice.max_payments,
            terms_hash: match invoice.terms_hash.as_slice() {
                [] => None,
                hash => Some(Hash::from_slice(hash)?),
            },
            payload: invoice.payload,
            payees: invoice.payees.into_iter().map(Payee::from_proto).collect(),
        })
    }

    fn version(proto: &proto::Invoice) -> u32 {
        proto.version
    }
}
