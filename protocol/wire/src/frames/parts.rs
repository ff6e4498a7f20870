//! What stands in more than one frame, as bytes and back, and the bounds that every field is held to.

use super::{DepositOutcome, DepositStatus, Envelope, EnvelopeKind, ErrorCode, NextKey, SignedEntry};
use crate::ids::exact;
use crate::{ConversationId, DeviceId, Uid, WireError, limits, proto};

impl Envelope {
    pub(super) fn into_proto(self) -> proto::Envelope {
        proto::Envelope {
            to: self.to.0.to_vec(),
            uid: self.uid.0.to_vec(),
            conversation: self.conversation.0.to_vec(),
            generation: self.generation,
            epoch: self.epoch,
            kind: match self.kind {
                EnvelopeKind::Message => proto::EnvelopeKind::Message,
                EnvelopeKind::Welcome => proto::EnvelopeKind::Welcome,
                EnvelopeKind::Commit => proto::EnvelopeKind::Commit,
            }
            .into(),
            urgent: self.urgent,
            ttl_s: self.ttl_s,
            sealed: self.sealed,
            pass: self.pass.map(|pass| pass.to_vec()).unwrap_or_default(),
        }
    }

    pub(super) fn all_into_proto(envelopes: Vec<Self>) -> Vec<proto::Envelope> {
        envelopes.into_iter().map(Self::into_proto).collect()
    }

    pub(super) fn from_proto(envelope: proto::Envelope) -> Result<Self, WireError> {
        Ok(Self {
            to: DeviceId::from_slice(&envelope.to)?,
            uid: Uid::from_slice(&envelope.uid)?,
            conversation: ConversationId::from_slice(&envelope.conversation)?,
            generation: envelope.generation,
            epoch: envelope.epoch,
            kind: match proto::EnvelopeKind::try_from(envelope.kind) {
                Ok(proto::EnvelopeKind::Message) => EnvelopeKind::Message,
                Ok(proto::EnvelopeKind::Welcome) => EnvelopeKind::Welcome,
                Ok(proto::EnvelopeKind::Commit) => EnvelopeKind::Commit,
                Ok(proto::EnvelopeKind::Unspecified) | Err(_) => {
                    return Err(WireError::Unknown { field: "kind", value: envelope.kind.into() });
                }
            },
            urgent: envelope.urgent,
            ttl_s: envelope.ttl_s,
            sealed: at_most("sealed", envelope.sealed, limits::ENVELOPE_BYTES_MAX)?,
            pass: match envelope.pass.as_slice() {
                [] => None,
                pass => Some(exact("pass", pass)?),
            },
        })
    }

    pub(super) fn all_from_proto(envelopes: Vec<proto::Envelope>) -> Result<Vec<Self>, WireError> {
        few("envelopes", envelopes.len(), limits::ENVELOPES_PER_FRAME_MAX)?;
        envelopes.into_iter().map(Self::from_proto).collect()
    }
}

impl SignedEntry {
    pub(super) fn into_proto(self) -> proto::SignedEntry {
        let (next_key, next_key_signature) =
            self.next_key.map(|next| (next.key.to_vec(), next.signature.to_vec())).unwrap_or_default();
        proto::SignedEntry {
            entry: self.entry,
            signature: self.signature.to_vec(),
            signer: self.signer.to_vec(),
            next_key,
            next_key_signature,
        }
    }

    pub(super) fn from_proto(signed: proto::SignedEntry) -> Result<Self, WireError> {
        Ok(Self {
            entry: at_most("entry", signed.entry, limits::LOG_ENTRY_BYTES_MAX)?,
            signature: exact("signature", &signed.signature)?,
            signer: exact("signer", &signed.signer)?,
            next_key: match (signed.next_key.as_slice(), signed.next_key_signature.as_slice()) {
                ([], []) => None,
                (key, signature) => {
                    Some(NextKey { key: exact("next_key", key)?, signature: exact("next_key_signature", signature)? })
                }
            },
        })
    }

    pub(super) fn all_from_proto(entries: Vec<proto::SignedEntry>) -> Result<Vec<Self>, WireError> {
        few("entries", entries.len(), limits::LOG_ENTRIES_MAX)?;
        entries.into_iter().map(Self::from_proto).collect()
    }
}

impl DepositOutcome {
    pub(super) fn all_into_proto(outcomes: Vec<Self>) -> Vec<proto::DepositOutcome> {
        let into = |outcome: Self| proto::DepositOutcome {
            status: match outcome.status {
                DepositStatus::Accepted => proto::DepositStatus::Accepted,
                DepositStatus::Duplicate => proto::DepositStatus::Duplicate,
                DepositStatus::Full => proto::DepositStatus::Full,
                DepositStatus::Gone => proto::DepositStatus::Gone,
                DepositStatus::StaleEpoch => proto::DepositStatus::StaleEpoch,
                DepositStatus::Forbidden => proto::DepositStatus::Forbidden,
                DepositStatus::Closed => proto::DepositStatus::Closed,
            }
            .into(),
            accepted_at_ms: outcome.accepted_at_ms,
        };
        outcomes.into_iter().map(into).collect()
    }

    pub(super) fn all_from_proto(outcomes: &[proto::DepositOutcome]) -> Result<Vec<Self>, WireError> {
        few("outcomes", outcomes.len(), limits::ENVELOPES_PER_FRAME_MAX)?;
        let from = |outcome: &proto::DepositOutcome| {
            let status = match proto::DepositStatus::try_from(outcome.status) {
                Ok(proto::DepositStatus::Accepted) => DepositStatus::Accepted,
                Ok(proto::DepositStatus::Duplicate) => DepositStatus::Duplicate,
                Ok(proto::DepositStatus::Full) => DepositStatus::Full,
                Ok(proto::DepositStatus::Gone) => DepositStatus::Gone,
                Ok(proto::DepositStatus::StaleEpoch) => DepositStatus::StaleEpoch,
                Ok(proto::DepositStatus::Forbidden) => DepositStatus::Forbidden,
                Ok(proto::DepositStatus::Closed) => DepositStatus::Closed,
                Ok(proto::DepositStatus::Unspecified) | Err(_) => {
                    return Err(WireError::Unknown { field: "status", value: outcome.status.into() });
                }
            };
            Ok(Self { status, accepted_at_ms: outcome.accepted_at_ms })
        };
        outcomes.iter().map(from).collect()
    }
}

impl ErrorCode {
    pub(super) fn into_proto(self) -> proto::ErrorCode {
        match self {
            Self::BadFrame => proto::ErrorCode::BadFrame,
            Self::Unauthenticated => proto::ErrorCode::Unauthenticated,
            Self::UnknownDevice => proto::ErrorCode::UnknownDevice,
            Self::Conflict => proto::ErrorCode::Conflict,
            Self::NotFound => proto::ErrorCode::NotFound,
            Self::Forbidden => proto::ErrorCode::Forbidden,
            Self::RateLimited => proto::ErrorCode::RateLimited,
            Self::Unavailable => proto::ErrorCode::Unavailable,
            Self::TooLarge => proto::ErrorCode::TooLarge,
        }
    }

    pub(super) fn from_proto(code: i32) -> Result<Self, WireError> {
        Ok(match proto::ErrorCode::try_from(code) {
            Ok(proto::ErrorCode::BadFrame) => Self::BadFrame,
            Ok(proto::ErrorCode::Unauthenticated) => Self::Unauthenticated,
            Ok(proto::ErrorCode::UnknownDevice) => Self::UnknownDevice,
            Ok(proto::ErrorCode::Conflict) => Self::Conflict,
            Ok(proto::ErrorCode::NotFound) => Self::NotFound,
            Ok(proto::ErrorCode::Forbidden) => Self::Forbidden,
            Ok(proto::ErrorCode::RateLimited) => Self::RateLimited,
            Ok(proto::ErrorCode::Unavailable) => Self::Unavailable,
            Ok(proto::ErrorCode::TooLarge) => Self::TooLarge,
            Ok(proto::ErrorCode::Unspecified) | Err(_) => {
                return Err(WireError::Unknown { field: "code", value: code.into() });
            }
        })
    }
}

pub(super) fn check_frame(frame: &[u8]) -> Result<(), WireError> {
    few("frame", frame.len(), limits::FRAME_BYTES_MAX)
}

pub(super) fn few(field: &'static str, len: usize, max: usize) -> Result<(), WireError> {
    if len > max { Err(WireError::TooMany { field, len, max }) } else { Ok(()) }
}

pub(super) fn at_most<T: AsRef<[u8]>>(field: &'static str, value: T, max: usize) -> Result<T, WireError> {
    few(field, value.as_ref().len(), max)?;
    Ok(value)
}
