//! What a client asks, as bytes and back.

use prost::Message as _;

use super::parts::{at_most, check_frame, few};
use super::{CommitToken, Envelope, Gate, KeySignature, NewAccount, Pass, PushEndpoint, Request, SignedEntry};
use crate::ids::exact;
use crate::proto::{self, ClientBody};
use crate::{AccountId, ConversationId, DeviceId, Uid, WireError, limits};

impl Request {
    /// The frame's bytes. `id` comes back in the answer.
    #[must_use]
    pub fn encode(self, id: u64) -> Vec<u8> {
        let body = match self {
            Self::Authenticate { device, address, signature, window } => {
                ClientBody::Authenticate(proto::Authenticate {
                    device: device.0.to_vec(),
                    address,
                    signature: signature.to_vec(),
                    window,
                })
            }
            Self::CreateAccount(new) => ClientBody::CreateAccount(proto::CreateAccount {
                genesis: new.genesis,
                log_key: new.log_key.to_vec(),
                recovery_hash: new.recovery_hash.to_vec(),
                entries: new.entries.into_iter().map(SignedEntry::into_proto).collect(),
                device: new.device.0.to_vec(),
                device_key: new.device_key.to_vec(),
            }),
            Self::AddDevice { device, device_key } => {
                ClientBody::AddDevice(proto::AddDevice { device: device.0.to_vec(), device_key: device_key.to_vec() })
            }
            Self::RemoveDevice { device, signed } => {
                let (signature, signer) =
                    signed.map(|signed| (signed.signature.to_vec(), signed.signer.to_vec())).unwrap_or_default();
                ClientBody::RemoveDevice(proto::RemoveDevice { device: device.0.to_vec(), signature, signer })
            }
            Self::AppendLog { account, expected_len, entry } => ClientBody::AppendLog(proto::AppendLog {
                account: account.0.to_vec(),
                expected_len,
                entry: Some(entry.into_proto()),
            }),
            Self::ReadLog { account, from } => {
                ClientBody::ReadLog(proto::ReadLog { account: account.0.to_vec(), from })
            }
            Self::PublishKeyPackages { packages, last_resort } => {
                ClientBody::PublishKeyPackages(proto::PublishKeyPackages {
                    packages,
                    last_resort: last_resort.unwrap_or_default(),
                })
            }
            Self::ClaimKeyPackages { devices } => ClientBody::ClaimKeyPackages(proto::ClaimKeyPackages {
                devices: devices.into_iter().map(|device| device.0.to_vec()).collect(),
            }),
            Self::Deposit { envelopes } => {
                ClientBody::Deposit(proto::Deposit { envelopes: Envelope::all_into_proto(envelopes) })
            }
            Self::SetPush { endpoint } => ClientBody::SetPush(proto::SetPush {
                endpoint: endpoint.map(|endpoint| endpoint.0).unwrap_or_default(),
            }),
            Self::SetGate { peer, gate } => ClientBody::SetGate(proto::SetGate {
                peer: peer.0.to_vec(),
                gate: match gate {
                    Gate::Open => proto::Gate::Open,
                    Gate::Window => proto::Gate::Window,
                    Gate::Shut => proto::Gate::Shut,
                }
                .into(),
            }),
            Self::AddPasses { peer, passes } => ClientBody::AddPasses(proto::AddPasses {
                peer: peer.0.to_vec(),
                passes: passes
                    .into_iter()
                    .map(|pass| proto::Pass { hash: pass.hash.to_vec(), once: pass.once })
                    .collect(),
            }),
            Self::Ack { upto_seq } => ClientBody::Ack(proto::Ack { upto_seq }),
            Self::OpenGeneration { peer, conversation, generation, token_hash, envelopes } => {
                ClientBody::OpenGeneration(proto::OpenGeneration {
                    conversation: conversation.0.to_vec(),
                    generation,
                    token_hash: token_hash.to_vec(),
                    envelopes: Envelope::all_into_proto(envelopes),
                    peer: peer.0.to_vec(),
                })
            }
            Self::SubmitCommit { peer, conversation, generation, epoch, token, next_token_hash, uid, envelopes } => {
                ClientBody::SubmitCommit(proto::SubmitCommit {
                    conversation: conversation.0.to_vec(),
                    generation,
                    epoch,
                    token: token.0.to_vec(),
                    next_token_hash: next_token_hash.to_vec(),
                    uid: uid.0.to_vec(),
                    envelopes: Envelope::all_into_proto(envelopes),
                    peer: peer.0.to_vec(),
                })
            }
        };
        proto::ClientFrame { id, body: Some(body) }.encode_to_vec()
    }

    /// Reads a frame and checks every length in it.
    ///
    /// # Errors
    /// [`WireError`] names the first field that is not what it must be.
    pub fn decode(frame: &[u8]) -> Result<(u64, Self), WireError> {
        check_frame(frame)?;
        let frame = proto::ClientFrame::decode(frame).map_err(|error| WireError::NotAFrame(error.to_string()))?;
        let request = match frame.body.ok_or(WireError::Missing { field: "body" })? {
            ClientBody::Authenticate(auth) => Self::Authenticate {
                device: DeviceId::from_slice(&auth.device)?,
                address: at_most("address", auth.address, limits::ADDRESS_BYTES_MAX)?,
                signature: exact("signature", &auth.signature)?,
                window: auth.window.clamp(1, limits::WINDOW_MAX),
            },
            ClientBody::CreateAccount(new) => Self::CreateAccount(NewAccount {
                genesis: at_most("genesis", new.genesis, limits::GENESIS_BYTES_MAX)?,
                log_key: exact("log_key", &new.log_key)?,
                recovery_hash: exact("recovery_hash", &new.recovery_hash)?,
                entries: SignedEntry::all_from_proto(new.entries)?,
                device: DeviceId::from_slice(&new.device)?,
                device_key: exact("device_key", &new.device_key)?,
            }),
            ClientBody::AddDevice(add) => Self::AddDevice {
                device: DeviceId::from_slice(&add.device)?,
                device_key: exact("device_key", &add.device_key)?,
            },
            ClientBody::RemoveDevice(remove) => Self::RemoveDevice {
                device: DeviceId::from_slice(&remove.device)?,
                signed: match (remove.signature.as_slice(), remove.signer.as_slice()) {
                    ([], []) => None,
                    (signature, signer) => Some(KeySignature {
                        signature: exact("signature", signature)?,
                        signer: exact("signer", signer)?,
                    }),
                },
            },
            ClientBody::AppendLog(append) => Self::AppendLog {
                account: AccountId::from_slice(&append.account)?,
                expected_len: append.expected_len,
                entry: SignedEntry::from_proto(append.entry.ok_or(WireError::Missing { field: "entry" })?)?,
            },
            ClientBody::ReadLog(read) => {
                Self::ReadLog { account: AccountId::from_slice(&read.account)?, from: read.from }
            }
            ClientBody::PublishKeyPackages(publish) => {
                few("packages", publish.packages.len(), limits::KEY_PACKAGES_MAX)?;
                for package in publish.packages.iter().chain([&publish.last_resort]) {
                    few("key package", package.len(), limits::KEY_PACKAGE_BYTES_MAX)?;
                }
                // An empty one could not be told from none when it is claimed.
                if publish.packages.iter().any(Vec::is_empty) {
                    return Err(WireError::Missing { field: "key package" });
                }
                Self::PublishKeyPackages {
                    packages: publish.packages,
                    last_resort: (!publish.last_resort.is_empty()).then_some(publish.last_resort),
                }
            }
            ClientBody::ClaimKeyPackages(claim) => {
                few("devices", claim.devices.len(), limits::CLAIMS_PER_FRAME_MAX)?;
                let devices = claim.devices.iter().map(|device| DeviceId::from_slice(device));
                Self::ClaimKeyPackages { devices: devices.collect::<Result<_, _>>()? }
            }
            ClientBody::Deposit(deposit) => Self::Deposit { envelopes: Envelope::all_from_proto(deposit.envelopes)? },
            ClientBody::SetPush(set) => Self::SetPush {
                endpoint: (!set.endpoint.is_empty()).then(|| PushEndpoint::new(set.endpoint)).transpose()?,
            },
            ClientBody::SetGate(set) => Self::SetGate {
                peer: AccountId::from_slice(&set.peer)?,
                gate: match proto::Gate::try_from(set.gate) {
                    Ok(proto::Gate::Open) => Gate::Open,
                    Ok(proto::Gate::Window) => Gate::Window,
                    Ok(proto::Gate::Shut) => Gate::Shut,
                    Ok(proto::Gate::Unspecified) | Err(_) => {
                        return Err(WireError::Unknown { field: "gate", value: set.gate.into() });
                    }
                },
            },
            ClientBody::AddPasses(add) => {
                few("passes", add.passes.len(), limits::PASSES_PER_FRAME_MAX)?;
                let passes =
                    add.passes.iter().map(|pass| Ok(Pass { hash: exact("hash", &pass.hash)?, once: pass.once }));
                Self::AddPasses {
                    peer: AccountId::from_slice(&add.peer)?,
                    passes: passes.collect::<Result<_, WireError>>()?,
                }
            }
            ClientBody::Ack(ack) => Self::Ack { upto_seq: ack.upto_seq },
            ClientBody::OpenGeneration(open) => Self::OpenGeneration {
                peer: AccountId::from_slice(&open.peer)?,
                conversation: ConversationId::from_slice(&open.conversation)?,
                generation: open.generation,
                token_hash: exact("token_hash", &open.token_hash)?,
                envelopes: Envelope::all_from_proto(open.envelopes)?,
            },
            ClientBody::SubmitCommit(commit) => Self::SubmitCommit {
                peer: AccountId::from_slice(&commit.peer)?,
                conversation: ConversationId::from_slice(&commit.conversation)?,
                generation: commit.generation,
                epoch: commit.epoch,
                token: CommitToken(exact("token", &commit.token)?),
                next_token_hash: exact("next_token_hash", &commit.next_token_hash)?,
                uid: Uid::from_slice(&commit.uid)?,
                envelopes: Envelope::all_from_proto(commit.envelopes)?,
            },
        };
        Ok((frame.id, request))
    }
}
