//! Ids, hashes and times. Each id has a text form: a typed prefix and base32, so that one cannot be pasted for another.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

use crate::ContentError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $field:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes exactly [`Self::LEN`] bytes.
            ///
            /// # Errors
            /// [`ContentError::Field`] for any other number of bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, ContentError> {
                let bytes = bytes.try_into().map_err(|_| ContentError::field($field, concat!("not ", $len, " bytes")))?;
                Ok(Self(bytes))
            }

            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ContentError;

            fn from_str(text: &str) -> Result<Self, ContentError> {
                let bad = || ContentError::field($field, concat!("is written ", $prefix, "_ and base32 letters"));
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or_else(bad)?;
                let bytes = BASE32_NOPAD.decode(digits.to_ascii_uppercase().as_bytes()).map_err(|_| bad())?;
                Self::from_slice(&bytes)
            }
        }
    };
}

id!(
    /// An account: the first 20 bytes of SHA-256 over its genesis record.
    AccountId, 20, "account", "acc"
);
id!(
    /// A device of an account, and the name of its mailbox.
    DeviceId, 16, "device", "dev"
);
id!(
    /// A conversation; it outlives the MLS groups that carry it.
    ConversationId, 16, "conversation", "chat"
);
id!(
    /// A message, unique within its sender's account and ordered by time (UUIDv7).
    Uid, 16, "uid", "msg"
);
id!(
    /// An invoice.
    InvoiceId, 16, "invoice", "inv"
);
id!(
    /// An order that a customer placed.
    OrderId, 16, "order", "ord"
);
id!(
    /// One payment of an order; the root of every idempotency key on the way to the provider.
    PaymentId, 16, "payment", "pay"
);
id!(
    /// A refund.
    RefundId, 16, "refund", "ref"
);
id!(
    /// A single-use token by which a person lets a business write once.
    TokenId, 16, "token", "tok"
);
id!(
    /// A SHA-256 digest.
    Hash, 32, "hash", "sha256"
);

impl Hash {
    /// SHA-256 over `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl ConversationId {
    /// The conversation of two accounts: both ends derive the same one, so two who write first at once meet in it.
    #[must_use]
    pub fn between(one: AccountId, other: AccountId) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let mut bytes = b"comptoir/conversation/v1\0".to_vec();
        bytes.extend_from_slice(&low.0);
        bytes.extend_from_slice(&high.0);
        let hash = Hash::of(&bytes);
        Self(hash.0[..16].try_into().expect("16 of 32 bytes"))
    }
}

/// Milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time and `ms` milliseconds; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time, negative when it is later.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
