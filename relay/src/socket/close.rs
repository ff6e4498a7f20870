//! Why the relay ends a connection, and the code that says so.

use axum::extract::ws::{CloseFrame, Utf8Bytes};

/// A reason of the relay's to end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// The device went away, or said goodbye.
    Ended,
    /// The relay restarts.
    Restart,
    /// A message that is not binary.
    NotBinary,
    /// A frame above the limit.
    TooLarge,
    /// Too many frames that are none.
    Garbage,
    /// Authentication failed, or did not come in time.
    Unauthenticated,
    /// The device was removed from its account.
    Removed,
    /// Frames are not taken, or nothing is heard.
    Slow,
    /// The device has a newer connection.
    Replaced,
    /// Envelopes expired that were to come next: a new connection says where the mailbox stands.
    Moved,
    /// The store failed.
    Failed,
}

impl Close {
    pub(crate) const ALL: [Self; 11] = [
        Self::Ended,
        Self::Restart,
        Self::NotBinary,
        Self::TooLarge,
        Self::Garbage,
        Self::Unauthenticated,
        Self::Removed,
        Self::Slow,
        Self::Replaced,
        Self::Moved,
        Self::Failed,
    ];

    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Ended => 1000,
            Self::NotBinary => 1003,
            Self::Garbage => 1008,
            Self::TooLarge => 1009,
            Self::Failed => 1011,
            Self::Restart | Self::Moved => 1012,
            Self::Unauthenticated => 4401,
            Self::Removed => 4403,
            Self::Slow => 4408,
            Self::Replaced => 4409,
        }
    }

    /// Goes with the code, and names it in the metrics.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Restart => "restart",
            Self::NotBinary => "not_binary",
            Self::TooLarge => "too_large",
            Self::Garbage => "garbage",
            Self::Unauthenticated => "unauthenticated",
            Self::Removed => "removed",
            Self::Slow => "slow",
            Self::Replaced => "replaced",
            Self::Moved => "moved",
            Self::Failed => "failed",
        }
    }

    pub(super) fn frame(self) -> CloseFrame {
        CloseFrame { code: self.code(), reason: Utf8Bytes::from_static(self.reason()) }
    }
}
