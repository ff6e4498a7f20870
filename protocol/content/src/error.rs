//! Why bytes from a peer were not what they must be.

/// What is wrong with bytes that a peer sent. Each names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The bytes are not this message at all.
    #[error("not a {what}: {reason}")]
    Unreadable { what: &'static str, reason: String },
    /// A field is missing or has a value that it cannot have.
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: &'static str },
    /// A signed object has something in it that this version does not know. It must not be acted on.
    #[error("this {what} was made by a newer version; update before acting on it")]
    UpdateApp { what: &'static str },
    /// The signature does not hold, or another key made it.
    #[error("the signature under this {what} does not hold")]
    Signature { what: &'static str },
}

impl ContentError {
    pub(crate) fn field(field: &'static str, reason: &'static str) -> Self {
        Self::Field { field, reason }
    }
}

/// Bytes of a fixed length.
pub(crate) fn need_bytes<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], ContentError> {
    bytes.try_into().map_err(|_| ContentError::Field { field, reason: "has another length" })
}

/// The value, or [`ContentError::Field`] with "missing".
pub(crate) fn need<T>(field: &'static str, value: Option<T>) -> Result<T, ContentError> {
    value.ok_or(ContentError::Field { field, reason: "missing" })
}
