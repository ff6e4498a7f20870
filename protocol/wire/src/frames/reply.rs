//! What a relay says, as bytes and back.

use prost::Message as _;

use super::parts::{at_most, check_frame, few};
use super::{
    Claimed, DepositOutcome, Envelope, ErrorCode, Item, Limits, LogSlice, OrderStatus, Ordered, Refusal, Reply,
    SignedEntry, Welcome,
};
use crate::ids::exact;
use crate::proto::{self, RelayBody};
use crate::{Incarnation, Uid, WireError, limits};

impl Reply {
    /// The frame's bytes. `id` is the question's, or 0.
    #[must_use]
    pub fn encode(self, id: u64) -> Vec<u8> {
        let body = match self {
            Self::Challenge { nonce, server_time_ms } => {
                RelayBody::Challenge(proto::Challenge { nonce: nonce.to_vec(), server_time_ms })
            }
            Self::Welcome(welcome) => RelayBody::Welcome(proto::Welcome {
                incarnation: welcome.incarnation.0.to_vec(),
                server_time_ms: welcome.server_time_ms,
                acked_seq: welcome.acked_seq,
                head_seq: welcome.head_seq,
                key_packages_left: welcome.key_packages_left,
                limits: Some(proto::Limits {
                    envelope_bytes_max: welcome.limits.envelope_bytes_max,
                    envelopes_per_frame_max: welcome.limits.envelopes_per_frame_max,
                    key_packages_max: welcome.limits.key_packages_max,
                }),
                push_key: welcome.push_key.map(|key| key.to_vec()).unwrap_or_default(),
                push_told: welcome.push_told,
                lost_since_ms: welcome.lost_since_ms,
                last_uid: welcome.last_uid.map(|uid| uid.0.to_vec()).unwrap_or_default(),
            }),
            Self::Done => RelayBody::Done(proto::Done {}),
            Self::LogHead { appended, len } => RelayBody::LogHead(proto::LogHead { appended, len }),
            Self::Log(log) => RelayBody::Log(proto::Log {
                genesis: log.genesis,
                from: log.from,
                entries: log.entries.into_iter().map(SignedEntry::into_proto).collect(),
                len: log.len,
            }),
            Self::KeyPackageCount { left } => RelayBody::KeyPackageCount(proto::KeyPackageCount { left }),
            Self::KeyPackages(claimed) => RelayBody::KeyPackages(proto::KeyPackages {
                packages: claimed
                    .into_iter()
                    .map(|claimed| match claimed {
                        Claimed::Fresh(package) => proto::KeyPackage { package, last_resort: false },
                        Claimed::LastResort(package) => proto::KeyPackage { package, last_resort: true },
                        Claimed::None => proto::KeyPackage { package: Vec::new(), last_resort: false },
                    })
                    .collect(),
            }),
            Self::Deposited(outcomes) => {
                RelayBody::Deposited(proto::Deposited { outcomes: DepositOutcome::all_into_proto(outcomes) })
            }
            Self::Delivery(items) => RelayBody::Delivery(proto::Delivery {
                items: items
                    .into_iter()
                    .map(|item| proto::Item {
                        seq: item.seq,
                        accepted_at_ms: item.accepted_at_ms,
                        envelope: Some(item.envelope.into_proto()),
                    })
                    .collect(),
            }),
            Self::CaughtUp { seq } => RelayBody::CaughtUp(proto::CaughtUp { seq }),
            Self::Ordered(ordered) => RelayBody::Ordered(proto::Ordered {
                status: match ordered.status {
                    OrderStatus::Accepted => proto::OrderStatus::Accepted,
                    OrderStatus::Duplicate => proto::OrderStatus::Duplicate,
                    OrderStatus::Stale => proto::OrderStatus::Stale,
                    OrderStatus::Forbidden => proto::OrderStatus::Forbidden,
                }
                .into(),
                generation: ordered.generation,
                epoch: ordered.epoch,
                accepted_at_ms: ordered.accepted_at_ms,
                outcomes: DepositOutcome::all_into_proto(ordered.outcomes),
            }),
            Self::Notice { reconnect_after_ms } => RelayBody::Notice(proto::Notice { reconnect_after_ms }),
            Self::Refused(refusal) => RelayBody::Error(proto::Error {
                code: refusal.code.into_proto().into(),
                detail: refusal.detail,
                retry_after_ms: refusal.retry_after_ms,
            }),
        };
        proto::RelayFrame { id, body: Some(body) }.encode_to_vec()
    }

    /// Reads a frame and checks every length in it.
    ///
    /// # Errors
    /// [`WireError`] names the first field that is not what it must be.
    pub fn decode(frame: &[u8]) -> Result<(u64, Self), WireError> {
        check_frame(frame)?;
        let frame = proto::RelayFrame::decode(frame).map_err(|error| WireError::NotAFrame(error.to_string()))?;
        let reply = match frame.body.ok_or(WireError::Missing { field: "body" })? {
            RelayBody::Challenge(challenge) => {
                Self::Challenge { nonce: exact("nonce", &challenge.nonce)?, server_time_ms: challenge.server_time_ms }
            }
            RelayBody::Welcome(welcome) => {
                let limits = welcome.limits.ok_or(WireError::Missing { field: "limits" })?;
                Self::Welcome(Welcome {
                    incarnation: Incarnation::from_slice(&welcome.incarnation)?,
                    server_time_ms: welcome.server_time_ms,
                    acked_seq: welcome.acked_seq,
                    head_seq: welcome.head_seq,
                    key_packages_left: welcome.key_packages_left,
                    limits: Limits {
                        envelope_bytes_max: limits.envelope_bytes_max,
                        envelopes_per_frame_max: limits.envelopes_per_frame_max,
                        key_packages_max: limits.key_packages_max,
                    },
                    push_key: match welcome.push_key.as_slice() {
                        [] => None,
                        key => Some(Box::new(exact("push_key", key)?)),
                    },
                    push_told: welcome.push_told,
                    lost_since_ms: welcome.lost_since_ms,
                    last_uid: match welcome.last_uid.as_slice() {
                        [] => None,
                        uid => Some(Uid::from_slice(uid)?),
                    },
                })
            }
            RelayBody::Done(proto::Done {}) => Self::Done,
            RelayBody::LogHead(head) => Self::LogHead { appended: head.appended, len: head.len },
            RelayBody::Log(log) => Self::Log(LogSlice {
                genesis: at_most("genesis", log.genesis, limits::GENESIS_BYTES_MAX)?,
                from: log.from,
                entries: SignedEntry::all_from_proto(log.entries)?,
                len: log.len,
            }),
            RelayBody::KeyPackageCount(count) => Self::KeyPackageCount { left: count.left },
            RelayBody::KeyPackages(claimed) => {
                few("packages", claimed.packages.len(), limits::CLAIMS_PER_FRAME_MAX)?;
                let claimed = claimed.packages.into_iter().map(|claimed| {
                    few("key package", claimed.package.len(), limits::KEY_PACKAGE_BYTES_MAX)?;
                    Ok(match (claimed.package.is_empty(), claimed.last_resort) {
                        (true, _) => Claimed::None,
                        (false, true) => Claimed::LastResort(claimed.package),
                        (false, false) => Claimed::Fresh(claimed.package),
                    })
                });
                Self::KeyPackages(claimed.collect::<Result<_, WireError>>()?)
            }
            RelayBody::Deposited(deposited) => Self::Deposited(DepositOutcome::all_from_proto(&deposited.outcomes)?),
            RelayBody::Delivery(delivery) => {
                few("items", delivery.items.len(), limits::WINDOW_MAX as usize)?;
                let items = delivery.items.into_iter().map(|item| {
                    Ok(Item {
                        seq: item.seq,
                        accepted_at_ms: item.accepted_at_ms,
                        envelope: Envelope::from_proto(item.envelope.ok_or(WireError::Missing { field: "envelope" })?)?,
                    })
                });
                Self::Delivery(items.collect::<Result<_, WireError>>()?)
            }
            RelayBody::CaughtUp(caught_up) => Self::CaughtUp { seq: caught_up.seq },
            RelayBody::Ordered(ordered) => Self::Ordered(Ordered {
                status: match proto::OrderStatus::try_from(ordered.status) {
                    Ok(proto::OrderStatus::Accepted) => OrderStatus::Accepted,
                    Ok(proto::OrderStatus::Duplicate) => OrderStatus::Duplicate,
                    Ok(proto::OrderStatus::Stale) => OrderStatus::Stale,
                    Ok(proto::OrderStatus::Forbidden) => OrderStatus::Forbidden,
                    Ok(proto::OrderStatus::Unspecified) | Err(_) => {
                        return Err(WireError::Unknown { field: "status", value: ordered.status.into() });
                    }
                },
                generation: ordered.generation,
                epoch: ordered.epoch,
                accepted_at_ms: ordered.accepted_at_ms,
                outcomes: DepositOutcome::all_from_proto(&ordered.outcomes)?,
            }),
            RelayBody::Notice(notice) => Self::Notice { reconnect_after_ms: notice.reconnect_after_ms },
            RelayBody::Error(error) => Self::Refused(Refusal {
                code: ErrorCode::from_proto(error.code)?,
                detail: error.detail,
                retry_after_ms: error.retry_after_ms,
            }),
        };
        Ok((frame.id, reply))
    }
}
