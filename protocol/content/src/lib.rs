//! What peers say to each other once an envelope is opened.
//!
//! Everything here is a value: checked while it is read ([`Content::decode`], [`Signed::verify`], [`Link::parse`]),
//! plain to look at afterwards. There is no storage, no socket and no decision in this crate; whether an invoice may be
//! paid is for `comptoir-engine` to say.
//!
//! The published form is `proto/content.proto`. Two rules make it last:
//!
//! * A [`Content`] of a kind we do not know is not an error. It becomes [`Body::Unknown`], and its mandatory
//!   [`Content::fallback`] is shown.
//! * A signed object with anything in it that we do not know is never acted on: [`ContentError::UpdateApp`].
//!
//! ```
//! use comptoir_content::{Body, Content, Text, Timestamp, Uid};
//!
//! let hello = Content::new(Uid([1; 16]), Timestamp(1_700_000_000_000), Body::Text(Text::plain("Bonjour")));
//! let bytes = hello.encode();
//! assert_eq!(Content::decode(&bytes)?, hello);
//! assert_eq!(hello.fallback, "Bonjour");
//! # Ok::<(), comptoir_content::ContentError>(())
//! ```

mod account;
mod error;
mod ids;
mod invoice;
mod keys;
mod link;
mod message;
mod money;
mod payer;
mod payment;
#[allow(unreachable_pub, unnameable_types, reason = "the shapes stay inside; a sealed trait names them")]
mod proto;
mod receipt;
mod signed;

pub use account::{
    AccountKind, AccountLog, DeviceCertificate, DeviceRole, Genesis, LogEntry, LogHead, LogLink, Payee, Profile,
    Statement, TillCertificate,
};
pub use error::ContentError;
pub use ids::{
    AccountId, ConversationId, DeviceId, Hash, InvoiceId, OrderId, PaymentId, RefundId, Timestamp, TokenId, Uid,
};
pub use invoice::{Invoice, Line, LineKind, Needs};
pub use keys::{PublicKey, SigningKey};
pub use link::{BillCode, ContactCode, DeviceGrant, DeviceRequest, Link, VerifyCode};
pub use message::{Basis, Body, Card, Content, Marks, QuickReply, Tap, Text};
pub use money::{Amount, Currency, MINOR_MAX};
pub use payer::{PayerProof, PayerQuestion};
pub use payment::{AnswerBody, AskPayment, Handoff, NotPaid, OrderInfo, OrderPlaced, PaymentAnswer, PaymentRequest};
pub use receipt::{Disclosure, Evidence, Part, PartBody, RECEIPT_FILE_MAGIC, Receipt, ReceiptFile, Refund, Salt};
pub use signed::{Object, Signed, Verified};
