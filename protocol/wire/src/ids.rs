//! The ids a relay handles: fixed-size bytes with a typed text form (a prefix and base32), never mixed up.

use std::fmt;

/// A field that was not what it must be. Names the field and what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{field}: {len} bytes instead of {expected}")]
    Length { field: &'static str, len: usize, expected: usize },
    #[error("{field}: {len} is more than {max}")]
    TooMany { field: &'static str, len: usize, max: usize },
    #[error("{field}: missing")]
    Missing { field: &'static str },
    #[error("{field}: {value} is not one of the values we know")]
    Unknown { field: &'static str, value: i64 },
    #[error("not a relay.v1 frame: {0}")]
    NotAFrame(String),
}

pub(crate) fn exact<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| WireError::Length { field, len: bytes.len(), expected: N })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes exactly [`Self::LEN`] bytes.
            ///
            /// # Errors
            /// [`WireError::Length`] for any other number of bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, WireError> {
                exact($field, bytes).map(Self)
            }

            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        // Ids never reach a log by accident: only their kind does.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(…)"))
            }
        }
    };
}

id!(
    /// An account: the first 20 bytes of SHA-256 over its genesis record.
    AccountId, 20, "account"
);
id!(
    /// A device, which is also the name of its mailbox. A UUIDv7.
    DeviceId, 16, "device"
);
id!(
    /// A conversation. It outlives its MLS groups, which are its generations.
    ConversationId, 16, "conversation"
);
id!(
    /// A message or a commit: the idempotency key of its delivery. A UUIDv7.
    Uid, 16, "uid"
);
id!(
    /// One life of a relay's database. A change means that it was restored from an older copy.
    Incarnation, 16, "incarnation"
);
