//! How types of other rooms cross to other languages. Ids are text there, each of a type of its own that compares equal by
//! value (`bindings/bindgen.toml`); money brings what is needed to write it.

use std::path::PathBuf;

use comptoir_content::{
    AccountId, AccountKind, Amount, ConversationId, Currency, DeviceId, Handoff, Hash, LineKind, OrderId, Part, Uid,
};
use comptoir_engine::checkout::{SheetHint, State};

use super::{ClientError, Money};

macro_rules! id {
    ($($name:ident),+) => {
        $(uniffi::custom_type!($name, String, {
            remote,
            try_lift: |text| Ok(text.parse::<$name>().map_err(|error| ClientError::ask("id.unreadable", error))?),
            lower: |id| id.to_string(),
        });)+
    };
}

/// Which invoice.
type InvoiceHash = Hash;

id!(AccountId, ConversationId, DeviceId, InvoiceHash, OrderId, Uid);

uniffi::custom_type!(Amount, Money, {
    remote,
    try_lift: |money| {
        let amount = Currency::of(&money.currency).and_then(|currency| Amount::new(money.minor, currency));
        Ok(amount.map_err(|error| ClientError::ask("amount.unreadable", error))?)
    },
    lower: |amount| Money::of(amount),
});

uniffi::custom_type!(PathBuf, String, {
    remote,
    try_lift: |text| Ok(PathBuf::from(text)),
    lower: |path| path.to_string_lossy().into_owned(),
});

// The compiler holds these against the enums that they mirror.

/// A person, or a business: part of the identity, for ever.
#[uniffi::remote(Enum)]
pub enum AccountKind {
    Person,
    Business,
}

/// What a line of a bill is.
#[uniffi::remote(Enum)]
pub enum LineKind {
    Item,
    Tax,
    Shipping,
    Discount,
    Tip,
}

/// What to open to pay.
#[uniffi::remote(Enum)]
pub enum Handoff {
    /// The provider's own page, in the system's browser.
    Page { url: String },
    /// The provider's sheet.
    Sdk { publishable_key: String, client_secret: String },
}

/// What the payment sheet reported. Believed in nothing.
#[uniffi::remote(Enum)]
pub enum SheetHint {
    Done,
    Canceled,
    Failed,
}

type PaymentState = State;

/// Where a payment stands. Only `Paid`, `PartRefunded` and `Refunded` follow from a verified receipt.
#[uniffi::remote(Enum)]
pub enum PaymentState {
    /// It can be paid.
    Offered,
    /// The shop was told, and has not answered.
    Placed,
    /// The shop asks for the payment: open the sheet.
    AwaitingConsent,
    /// Checking: do not pay again.
    Settling,
    /// This attempt is over for sure; it can be tried again.
    NotPaid,
    Paid,
    PartRefunded,
    Refunded,
    Expired,
}

type ReceiptPart = Part;

/// Parts of a receipt that its holder may disclose, each by itself.
#[uniffi::remote(Enum)]
pub enum ReceiptPart {
    Lines,
    OrderInfo,
    Evidence,
    Terms,
}
