//! A refusal by a rule is data: a reason that a screen shows and a caller can act on.

/// Why a rule said no. [`Refused::key`] is its stable name, the key of the words on a screen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("altered, or not signed by this shop")]
    InvoiceSignature,
    #[error("lines and total disagree")]
    InvoiceSums,
    #[error("this invoice breaks the rule about its {field}")]
    InvoiceRule { field: &'static str },
    #[error("the invoice has expired; ask for a new one")]
    InvoiceExpired,
    #[error("already paid")]
    AlreadyPaid,
    #[error("made by a newer version; update first")]
    UpdateApp,
    #[error("a profile that its shop did not sign")]
    ProfileSigner,
    #[error("there is an account on this device already")]
    AccountThere,
    #[error("this is for another device, or too old: begin the linking again")]
    GrantDiffers,
    #[error("this code is too old: show a new one on the device that is to be linked")]
    RequestExpired,
    #[error("this code has been used: show a new one on the device that is to be linked")]
    RequestUsed,
    #[error("only the device that holds the account key can do this")]
    NoAccountKey,
    #[error("that is your own code")]
    OwnCode,
    #[error("this code does not fit what is known of its account: ask for it again, face to face")]
    CodeDiffers,
    #[error("this code is of another account than the one you write to")]
    VerifyOtherAccount,
    #[error("this code is meant for somebody else: it has to be opened in the chat with you")]
    VerifyNotForYou,
    #[error("the keys differ: do not trust this chat; somebody may stand between you")]
    VerifyDiffers,
    #[error("one of the two devices knows something newer: connect both, and show the code again")]
    VerifyBehind,
    #[error("this till has no such bill")]
    BillUnknown,
    #[error("this invoice is for somebody else")]
    NotForYou,
    #[error("the shop's key changed; check it before paying")]
    KeyChanged,
    #[error("the money would not go to an account that the shop vouches for")]
    PayeeUnknown,
    #[error("the amount differs from the invoice")]
    AmountDiffers,
    #[error("cannot be paid here")]
    MethodNone,
    #[error("complete or correct the {field}")]
    Info { field: &'static str },
    #[error("the tip is more than the shop accepts")]
    Tip,
    #[error("the tip stays what it was when this order was first tried")]
    TipFixed,
    #[error("checking; do not pay again")]
    Checking,
    #[error("the shop did not answer yet")]
    NoAnswer,
    #[error("not a receipt that can be verified: {why}")]
    ReceiptUnverified { why: &'static str },
    #[error("not proven to be the payer: {why}")]
    PayerUnproven { why: &'static str },
    #[error("handed out before")]
    AlreadyRedeemed,
    #[error("the refund is more than what was paid")]
    RefundTooLarge,
    #[error("over 24 hours since they wrote")]
    ConsentClosed,
    #[error("the business named no reason to write that holds")]
    ConsentUnknown,
    #[error("blocked")]
    ConsentBlocked,
    #[error("a person needs no permission to write")]
    ConsentNotNeeded,
    #[error("longer than {max} characters: {field}")]
    TooLong { field: &'static str, max: usize },
    #[error("{field} has characters that cannot be shown")]
    BadText { field: &'static str },
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error("this looks like a card number; nobody needs it here")]
    CardNumber,
    #[error("that button is no longer there")]
    ReplyGone,
    #[error("{state} cannot take {input}")]
    OutOfOrder { state: &'static str, input: &'static str },
}

impl Refused {
    /// The stable name, `area.reason`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::InvoiceSignature => "invoice.signature",
            Self::InvoiceSums => "invoice.sums",
            Self::InvoiceRule { .. } => "invoice.limits",
            Self::InvoiceExpired => "invoice.expired",
            Self::AlreadyPaid => "invoice.already_paid",
            Self::UpdateApp => "invoice.version",
            Self::ProfileSigner => "profile.signature",
            Self::AccountThere => "account.exists",
            Self::GrantDiffers => "account.grant",
            Self::RequestExpired => "account.request_expired",
            Self::RequestUsed => "account.request_used",
            Self::NoAccountKey => "account.no_key",
            Self::OwnCode => "contact.own_code",
            Self::CodeDiffers => "contact.code_differs",
            Self::VerifyOtherAccount => "verify.other_account",
            Self::VerifyNotForYou => "verify.not_for_you",
            Self::VerifyDiffers => "verify.differs",
            Self::VerifyBehind => "verify.behind",
            Self::BillUnknown => "invoice.unknown",
            Self::NotForYou => "invoice.audience",
            Self::KeyChanged => "invoice.key_changed",
            Self::PayeeUnknown => "method.payee",
            Self::AmountDiffers => "submit.mismatch",
            Self::MethodNone => "method.none",
            Self::Info { .. } => "info.field",
            Self::Tip => "invoice.tip",
            Self::TipFixed => "invoice.tip_fixed",
            Self::Checking => "submit.unknown",
            Self::NoAnswer => "shop.no_answer",
            Self::ReceiptUnverified { .. } => "receipt.unverified",
            Self::PayerUnproven { .. } => "payer.unproven",
            Self::AlreadyRedeemed => "payer.redeemed",
            Self::RefundTooLarge => "refund.too_large",
            Self::ConsentClosed => "consent.closed",
            Self::ConsentUnknown => "consent.unknown",
            Self::ConsentBlocked => "consent.blocked",
            Self::ConsentNotNeeded => "consent.not_needed",
            Self::TooLong { .. } => "text.too_long",
            Self::BadText { .. } => "text.characters",
            Self::Missing { .. } => "text.missing",
            Self::CardNumber => "text.card_number",
            Self::ReplyGone => "reply.gone",
            Self::OutOfOrder { .. } => "state.out_of_order",
        }
    }
}
