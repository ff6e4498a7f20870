//! Errors as a shell sees them: a handful of kinds, named by what the caller should do, each with a stable code.

/// What went wrong, by what to do about it. `code` is stable (`area.reason`), `detail` is for a developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
pub enum ClientError {
    /// Nothing is wrong with the request: the same again later.
    #[error("try again: {code}: {detail}")]
    TryAgain { code: String, detail: String },
    /// The relay does not let this device in any more: link it again, or begin anew.
    #[error("sign in again: {code}: {detail}")]
    SignInAgain { code: String, detail: String },
    /// The other side speaks a newer version.
    #[error("update: {code}: {detail}")]
    UpdateApp { code: String, detail: String },
    /// A person has to decide or correct something.
    #[error("{code}: {detail}")]
    AskUser { code: String, detail: String },
    /// The database cannot be opened with the key at hand. Nothing was changed.
    #[error("locked: {code}: {detail}")]
    Locked { code: String, detail: String },
    /// A fault of ours.
    #[error("a bug: {code}: {detail}")]
    Bug { code: String, detail: String },
}

impl ClientError {
    /// The stable code, `area.reason`.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::TryAgain { code, .. }
            | Self::SignInAgain { code, .. }
            | Self::UpdateApp { code, .. }
            | Self::AskUser { code, .. }
            | Self::Locked { code, .. }
            | Self::Bug { code, .. } => code,
        }
    }

    pub(crate) fn ask(code: &str, detail: impl ToString) -> Self {
        Self::AskUser { code: code.to_owned(), detail: detail.to_string() }
    }

    pub(crate) fn again(code: &str, detail: impl ToString) -> Self {
        Self::TryAgain { code: code.to_owned(), detail: detail.to_string() }
    }

    pub(crate) fn locked(code: &str, detail: impl ToString) -> Self {
        Self::Locked { code: code.to_owned(), detail: detail.to_string() }
    }

    pub(crate) fn panicked() -> Self {
        let detail = "a thread of the core had panicked; resuming starts it anew".to_owned();
        Self::Bug { code: "core.panicked".to_owned(), detail }
    }

    pub(crate) fn suspended() -> Self {
        Self::again("core.suspended", "the core was suspended; resume it first")
    }
}
