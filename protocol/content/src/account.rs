//! Accounts: the genesis record, the log that grows from it, certificates of devices and tills, the shop's profile.

use prost::Message as _;

use crate::error::need;
use crate::signed::private::Shape;
use crate::signed::{VERSION, read_canonical};
use crate::{AccountId, ContentError, DeviceId, Hash, Object, PublicKey, Signed, SigningKey, Timestamp, proto};

/// Context of the signature under each entry of an account log.
const LOG_CONTEXT: &str = "comptoir/account-log/v1";

/// Who an account is. Part of the account id: a business cannot pose as a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    Person,
    Business,
}

impl AccountKind {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Person => proto::AccountKind::Person.into(),
            Self::Business => proto::AccountKind::Business.into(),
        }
    }

    pub(crate) fn from_proto(kind: i32) -> Result<Self, ContentError> {
        match proto::AccountKind::try_from(kind) {
            Ok(proto::AccountKind::Person) => Ok(Self::Person),
            Ok(proto::AccountKind::Business) => Ok(Self::Business),
            Ok(proto::AccountKind::Unspecified) => Err(ContentError::field("kind", "missing")),
            Err(_) => Err(ContentError::UpdateApp { what: "account" }),
        }
    }
}

/// The first record of an account. Its hash is the account id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    pub kind: AccountKind,
    /// The first account key (AIK).
    pub account_key: PublicKey,
    /// SHA-256 of the key that may replace the account key.
    pub recovery_hash: Hash,
    pub nonce: [u8; 16],
}

impl Genesis {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// [`ContentError`] for anything that is not exactly a genesis record.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        read_canonical(bytes)
    }

    /// The id of the account that begins with these bytes.
    #[must_use]
    pub fn account_of(bytes: &[u8]) -> AccountId {
        AccountId(Hash::of(bytes).0[..20].try_into().expect("20 of 32 bytes"))
    }
}

impl Object for Genesis {
    // Never signed: its hash is its proof. The context keeps the trait whole.
    const CONTEXT: &'static str = "comptoir/genesis/v1";
    const WHAT: &'static str = "genesis record";
}

impl Shape for Genesis {
    type Proto = proto::Genesis;

    fn to_proto(&self) -> proto::Genesis {
        proto::Genesis {
            version: VERSION,
            kind: self.kind.to_proto(),
            account_key: self.account_key.0.to_vec(),
            recovery_hash: self.recovery_hash.0.to_vec(),
            nonce: self.nonce.to_vec(),
        }
    }

    fn from_proto(genesis: proto::Genesis) -> Result<Self, ContentError> {
        Ok(Self {
            kind: AccountKind::from_proto(genesis.kind)?,
            account_key: PublicKey::from_slice("account_key", &genesis.account_key)?,
            recovery_hash: Hash::from_slice(&genesis.recovery_hash)?,
            nonce: genesis.nonce.try_into().map_err(|_| ContentError::field("nonce", "not 16 bytes"))?,
        })
    }

    fn version(proto: &proto::Genesis) -> u32 {
        proto.version
    }
}

/// What an entry of an account log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// This device belongs to the account.
    DeviceAdded(Signed<DeviceCertificate>),
    /// This one does no longer.
    DeviceRevoked { device: DeviceId },
    /// This key signs invoices, answers, receipts and refunds for the account.
    TillCertified(TillCertificate),
    /// What this till signed after `since` does not count.
    TillRevoked { till: PublicKey, since: Timestamp },
    /// From the next entry on another account key signs.
    KeyReplaced { account_key: PublicKey },
}

/// A till key and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TillCertificate {
    pub till: PublicKey,
    /// Grows with each take-over; an invoice names the term it was made in.
    pub term: u64,
    /// Real money or practice. A till is one or the other.
    pub live: bool,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// One entry of an account log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub account: AccountId,
    /// 0 for the first entry.
    pub index: u64,
    /// SHA-256 of the entry before, or of the genesis record.
    pub previous: Hash,
    pub at: Timestamp,
    pub statement: Statement,
}

impl Object for LogEntry {
    const CONTEXT: &'static str = LOG_CONTEXT;
    const WHAT: &'static str = "account log entry";
}

impl Shape for LogEntry {
    type Proto = proto::LogEntry;

    fn to_proto(&self) -> proto::LogEntry {
        use proto::LogEntryStatement as P;
        let statement = match &self.statement {
            Statement::DeviceAdded(certificate) => P::DeviceAdded(certificate.to_proto()),
            Statement::DeviceRevoked { device } => P::DeviceRevoked(proto::DeviceRevoked { device: device.0.to_vec() }),
            Statement::TillCertified(till) => P::TillCertified(proto::TillCertified {
                till: till.till.0.to_vec(),
                term: till.term,
                live: till.live,
                from_ms: till.from.0,
                until_ms: till.until.0,
            }),
            Statement::TillRevoked { till, since } => {
                P::TillRevoked(proto::TillRevoked { till: till.0.to_vec(), since_ms: since.0 })
            }
            Statement::KeyReplaced { account_key } => {
                P::KeyReplaced(proto::KeyReplaced { account_key: account_key.0.to_vec() })
            }
        };
        proto::LogEntry {
            version: VERSION,
            account: self.account.0.to_vec(),
            index: self.index,
            previous: self.previous.0.to_vec(),
            at_ms: self.at.0,
            statement: Some(statement),
        }
    }

    fn from_proto(entry: proto::LogEntry) -> Result<Self, ContentError> {
        use proto::LogEntryStatement as P;
        let statement = match need("statement", entry.statement)? {
            P::DeviceAdded(certificate) => Statement::DeviceAdded(Signed::from_proto(certificate)?),
            P::DeviceRevoked(revoked) => Statement::DeviceRevoked { device: DeviceId::from_slice(&revoked.device)? },
            P::TillCertified(till) => Statement::TillCertified(TillCertificate {
                till: PublicKey::from_slice("till", &till.till)?,
                term: till.term,
                live: till.live,
                from: Timestamp(till.from_ms),
                until: Timestamp(till.until_ms),
            }),
            P::TillRevoked(revoked) => Statement::TillRevoked {
                till: PublicKey::from_slice("till", &revoked.till)?,
                since: Timestamp(revoked.since_ms),
            },
            P::KeyReplaced(replaced) => {
                Statement::KeyReplaced { account_key: PublicKey::from_slice("account_key", &replaced.account_key)? }
            }
        };
        Ok(Self {
            account: AccountId::from_slice(&entry.account)?,
            index: entry.index,
            previous: Hash::from_slice(&entry.previous)?,
            at: Timestamp(entry.at_ms),
            statement,
        })
    }

    fn version(proto: &proto::LogEntry) -> u32 {
        proto.version
    }
}

/// One link of an account log as it travels. The relay stores the same bytes without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLink {
    pub entry: Vec<u8>,
    pub signer: PublicKey,
    pub signature: [u8; 64],
}

impl LogLink {
    /// Signs an entry with the account key, or with the recovery key.
    #[must_use]
    pub fn sign(entry: &LogEntry, key: &SigningKey) -> Self {
        let bytes = entry.to_proto().encode_to_vec();
        Self { signature: key.sign(LOG_CONTEXT, &bytes), entry: bytes, signer: key.public() }
    }

    /// Checks the signature and reads the entry. Whether it may stand where it stands is for the reader of the log.
    ///
    /// # Errors
    /// As [`Signed::verify`].
    pub fn verify(&self) -> Result<LogEntry, ContentError> {
        if !self.signer.verifies(LOG_CONTEXT, &self.entry, &self.signature) {
            return Err(ContentError::Signature { what: LogEntry::WHAT });
        }
        read_canonical(&self.entry)
    }

    /// SHA-256 of the entry: what the next one names as `previous`.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.entry)
    }
}

/// A whole account log, from the genesis record on. Not verified by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountLog {
    pub genesis: Vec<u8>,
    pub links: Vec<LogLink>,
}

impl AccountLog {
    /// The account that this log says it is of.
    #[must_use]
    pub fn account(&self) -> AccountId {
        Genesis::account_of(&self.genesis)
    }

    #[must_use]
    pub fn head(&self) -> LogHead {
        let hash = self.links.last().map_or_else(|| Hash::of(&self.genesis), LogLink::hash);
        LogHead { len: self.links.len() as u64, hash }
    }

    pub(crate) fn to_proto(&self) -> proto::AccountLog {
        let link = |link: &LogLink| proto::LogLink {
            entry: link.entry.clone(),
            signer: link.signer.0.to_vec(),
            signature: link.signature.to_vec(),
        };
        proto::AccountLog { genesis: self.genesis.clone(), links: self.links.iter().map(link).collect() }
    }

    pub(crate) fn from_proto(log: proto::AccountLog) -> Result<Self, ContentError> {
        let link = |link: proto::LogLink| {
            Ok(LogLink {
                entry: link.entry,
                signer: PublicKey::from_slice("signer", &link.signer)?,
                signature: link.signature.try_into().map_err(|_| ContentError::field("signature", "not 64 bytes"))?,
            })
        };
        Ok(Self { genesis: log.genesis, links: log.links.into_iter().map(link).collect::<Result<_, _>>()? })
    }
}

/// The newest entry of an account log that somebody has seen. Travels in codes and messages, so that a relay which
/// hides entries is noticed on any other path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Entries after the genesis record.
    pub len: u64,
    pub hash: Hash,
}

impl LogHead {
    pub(crate) fn to_proto(self) -> proto::LogHead {
        proto::LogHead { len: self.len, hash: self.hash.0.to_vec() }
    }

    pub(crate) fn from_proto(head: &proto::LogHead) -> Result<Self, ContentError> {
        Ok(Self { len: head.len, hash: Hash::from_slice(&head.hash)? })
    }
}

/// What a device does for its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRole {
    Person,
    /// A merchant's phone.
    Merchant,
    /// A merchant's till.
    Gateway,
}

/// The MLS credential of a device, signed by the account key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCertificate {
    pub account: AccountId,
    pub device: DeviceId,
    /// The device's MLS signature key, which also opens its mailbox.
    pub key: PublicKey,
    pub role: DeviceRole,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Object for DeviceCertificate {
    const CONTEXT: &'static str = "comptoir/device/v1";
    const WHAT: &'static str = "device certificate";
}

impl Shape for DeviceCertificate {
    type Proto = proto::DeviceCertificate;

    fn to_proto(&self) -> proto::DeviceCertificate {
        proto::DeviceCertificate {
            version: VERSION,
            account: self.account.0.to_vec(),
            device: self.device.0.to_vec(),
            key: self.key.0.to_vec(),
            role: match self.role {
                DeviceRole::Person => proto::DeviceRole::Person,
                DeviceRole::Merchant => proto::DeviceRole::Merchant,
                DeviceRole::Gateway => proto::DeviceRole::Gateway,
            }
            .into(),
            created_at_ms: self.created_at.0,
            expires_at_ms: self.expires_at.0,
        }
    }

    fn from_proto(certificate: proto::DeviceCertificate) -> Result<Self, ContentError> {
        Ok(Self {
            account: AccountId::from_slice(&certificate.account)?,
            device: DeviceId::from_slice(&certificate.device)?,
            key: PublicKey::from_slice("key", &certificate.key)?,
            role: match proto::DeviceRole::try_from(certificate.role) {
                Ok(proto::DeviceRole::Person) => DeviceRole::Person,
                Ok(proto::DeviceRole::Merchant) => DeviceRole::Merchant,
                Ok(proto::DeviceRole::Gateway) => DeviceRole::Gateway,
                Ok(proto::DeviceRole::Unspecified) => return Err(ContentError::field("role", "missing")),
                Err(_) => return Err(ContentError::UpdateApp { what: "device certificate" }),
            },
            created_at: Timestamp(certificate.created_at_ms),
            expires_at: Timestamp(certificate.expires_at_ms),
        })
    }

    fn version(proto: &proto::DeviceCertificate) -> u32 {
        proto.version
    }
}

/// A shop's signed self-description. The highest revision counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub account: AccountId,
    pub revision: u64,
    pub name: String,
    pub about: String,
    /// Where money for this shop may go. A payment request to anyone else is refused.
    pub payees: Vec<Payee>,
    pub issued_at: Timestamp,
}

/// A provider account that belongs to the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payee {
    /// The provider's name in our registry, such as `stripe`.
    pub provider: String,
    /// The account at the provider.
    pub account: String,
    pub live: bool,
}

impl Payee {
    pub(crate) fn to_proto(&self) -> proto::Payee {
        proto::Payee { provider: self.provider.clone(), account: self.account.clone(), live: self.live }
    }

    pub(crate) fn from_proto(payee: proto::Payee) -> Self {
        Self { provider: payee.provider, account: payee.account, live: payee.live }
    }
}

impl Object for Profile {
    const CONTEXT: &'static str = "comptoir/profile/v1";
    const WHAT: &'static str = "profile";
}

impl Shape for Profile {
    type Proto = proto::Profile;

    fn to_proto(&self) -> proto::Profile {
        proto::Profile {
            version: VERSION,
            account: self.account.0.to_vec(),
            revision: self.revision,
            name: self.name.clone(),
            about: self.about.clone(),
            payees: self.payees.iter().map(Payee::to_proto).collect(),
            issued_at_ms: self.issued_at.0,
        }
    }

    fn from_proto(profile: proto::Profile) -> Result<Self, ContentError> {
        Ok(Self {
            account: AccountId::from_slice(&profile.account)?,
            revision: profile.revision,
            name: profile.name,
            about: profile.about,
            payees: profile.payees.into_iter().map(Payee::from_proto).collect(),
            issued_at: Timestamp(profile.issued_at_ms),
        })
    }

    fn version(proto: &proto::Profile) -> u32 {
        proto.version
    }
}
