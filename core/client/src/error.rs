//! Errors inside, and what a shell sees of them.

use comptoir_content::ContentError;
use comptoir_engine::Refused;
use comptoir_engine::account::LogRefused;
use comptoir_engine::session::SessionError;
use comptoir_sqlcipher::{OpenError, rusqlite};

use crate::facade::ClientError;
use crate::store::MlsStoreError;

/// What went wrong inside a turn. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("mls store: {0}")]
    MlsStore(#[from] MlsStoreError),
    #[error("session: {0}")]
    Session(#[from] SessionError),
    #[error("content: {0}")]
    Content(#[from] ContentError),
    #[error("account log: {0}")]
    Log(#[from] LogRefused),
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    #[error("a stored {what} cannot be read")]
    Corrupt { what: &'static str },
    /// The relay left an envelope out: what comes after it cannot be acknowledged.
    #[error("an envelope is missing before this one")]
    Gap,
    /// The disk has room for what arrives and for nothing that is begun.
    #[error("the disk is full")]
    Full,
    /// The turn's caller gave it up, and says why.
    #[error("{0}")]
    Aborted(String),
}

impl TurnError {
    /// True when there was no room on the disk.
    pub(crate) fn is_full(&self) -> bool {
        let error = match self {
            Self::Sql(error) | Self::MlsStore(MlsStoreError::Sql(error)) => error,
            Self::Full => return true,
            Self::MlsStore(_)
            | Self::Session(_)
            | Self::Content(_)
            | Self::Log(_)
            | Self::Refused(_)
            | Self::NotFound { .. }
            | Self::Corrupt { .. }
            | Self::Gap
            | Self::Aborted(_) => return false,
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }

    /// True when our own disk or file failed: it says nothing about what the turn was given, which is tried again.
    pub(crate) fn is_storage(&self) -> bool {
        matches!(self, Self::Sql(_) | Self::MlsStore(_) | Self::Session(SessionError::Store { .. }))
    }
}

impl From<TurnError> for ClientError {
    fn from(error: TurnError) -> Self {
        let detail = error.to_string();
        let bug = |code: &str| Self::Bug { code: code.to_owned(), detail: detail.clone() };
        match &error {
            TurnError::Sql(source) | TurnError::MlsStore(MlsStoreError::Sql(source)) => {
                match source.sqlite_error_code() {
                    // Only suspending interrupts.
                    Some(rusqlite::ErrorCode::OperationInterrupted) => Self::suspended(),
                    Some(rusqlite::ErrorCode::DiskFull) => Self::AskUser { code: "storage.full".to_owned(), detail },
                    Some(rusqlite::ErrorCode::DatabaseBusy) => {
                        Self::TryAgain { code: "storage.busy".to_owned(), detail }
                    }
                    Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                        Self::Locked { code: "storage.damaged".to_owned(), detail }
                    }
                    Some(
                        rusqlite::ErrorCode::SystemIoFailure
                        | rusqlite::ErrorCode::CannotOpen
                        | rusqlite::ErrorCode::ReadOnly,
                    ) => Self::AskUser { code: "storage.io".to_owned(), detail },
                    _ => bug("storage.sql"),
                }
            }
            TurnError::Full => Self::AskUser { code: "storage.full".to_owned(), detail },
            TurnError::MlsStore(_) => bug("storage.mls"),
            TurnError::Session(_) => bug("session.failed"),
            TurnError::Content(ContentError::UpdateApp { .. }) | TurnError::Refused(Refused::UpdateApp) => {
                Self::UpdateApp { code: "content.version".to_owned(), detail }
            }
            TurnError::Content(_) => Self::AskUser { code: "content.unreadable".to_owned(), detail },
            TurnError::Log(_) => Self::AskUser { code: "account.log".to_owned(), detail },
            TurnError::Refused(refused @ Refused::VerifyBehind) => {
                Self::TryAgain { code: refused.key().to_owned(), detail }
            }
            TurnError::Refused(refused) => {
                Self::AskUser { code: refused.key().to_owned(), detail: refused.to_string() }
            }
            TurnError::NotFound { what } => Self::AskUser { code: format!("{what}.unknown"), detail },
            TurnError::Corrupt { .. } => bug("storage.unreadable"),
            TurnError::Gap => Self::TryAgain { code: "relay.gap".to_owned(), detail },
            TurnError::Aborted(_) => Self::AskUser { code: "turn.aborted".to_owned(), detail },
        }
    }
}

impl From<OpenError> for ClientError {
    fn from(error: OpenError) -> Self {
        let detail = error.to_string();
        let code = |code: &str| code.to_owned();
        match error {
            OpenError::WrongKeyOrDamaged { .. } => Self::Locked { code: code("storage.wrong_key"), detail },
            OpenError::InUse { .. } => Self::TryAgain { code: code("storage.in_use"), detail },
            OpenError::OtherProvider { .. } => Self::Bug { code: code("storage.provider"), detail },
            OpenError::Io { .. } => Self::AskUser { code: code("storage.io"), detail },
        }
    }
}
