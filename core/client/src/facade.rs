//! The façade: everything a shell may call, and every type it sees. What UniFFI needs to know stands here and nowhere
//! else; `bindings` re-exports it as the library `comptoir`.
//!
//! Rules that hold for all of it, and that `cargo xtask tidy` checks:
//! - every exported function returns `Result<_, ClientError>`; what a rule refuses is data where the caller goes on from it;
//! - writing is `async` and returns when it is on this device's disk; reading is synchronous and takes microseconds;
//! - whatever may take long takes a [`CancelToken`], because a canceled Swift `Task` does not reach Rust;
//! - a subscription returns a handle, says the whole first and then what changed, and ends with its handle;
//! - pictures and files come as `&[u8]`, without a copy; nothing large is in a record.

mod cancel;
mod client;
mod codes;
mod devices;
mod error;
#[cfg(feature = "uniffi")]
mod foreign;
mod links;
mod logging;
mod payments;
mod push;
mod scanned;
mod shell;
mod talk;
mod views;
mod watch;

pub use cancel::CancelToken;
pub(crate) use client::check_relay;
pub use client::{Client, Config};
pub use codes::{Corners, FoundCode, Point, Region, ScanUpdate, Scanner, draw_code, scan_frame, scan_picture};
pub use error::ClientError;
pub use logging::{LogLevel, LogLine, LogListener, start_logging};
pub use payments::{ReceiptProof, ReceiptVerdict, verify_receipt};
pub use scanned::{PaymentCode, PaymentWay, Scanned};
pub use shell::{ChangeListener, KeyVault, PaymentSheet, PushTarget, PushToken, ShellError};
pub use views::{
    Bubble, BubbleKind, BubbleState, ChatCursor, ChatPage, ChatRow, CheckoutView, Connection, Contact, Identity,
    LineView, Money, NeedsView, NotPaidView, Page, PayChoice, Peer, Place, QuickReplyView, ReceiptRow, SearchHit,
    Sheet, Status,
};
pub use watch::{Change, Subscription};
