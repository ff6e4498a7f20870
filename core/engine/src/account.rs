//! Reading an account log: from a list of signed links to what the account is now.
//!
//! ```text
//! genesis ── entry 0 ── entry 1 ── …      each names the hash of the one before,
//!    │         │                          and is signed by the account key of its moment
//!    └ id      └ device added, till certified, key replaced …
//! ```
//!
//! A key without an unbroken log is another account. A log may only grow: [`Account::grow`] refuses one that does not
//! begin with what was seen before.

use std::collections::BTreeMap;

use comptoir_content::{
    AccountId, AccountKind, AccountLog, ContentError, DeviceCertificate, DeviceId, DeviceRole, Genesis, Hash, LogEntry,
    LogHead, LogLink, PublicKey, Signed, SigningKey, Statement, TillCertificate, Timestamp, Verified,
};

use crate::limits;

/// Why a log is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogRefused {
    #[error("the log is of another account")]
    OtherAccount,
    #[error("the genesis record: {0}")]
    Genesis(ContentError),
    #[error("entry {index}: {source}")]
    Entry { index: u64, source: ContentError },
    #[error("entry {index} does not follow the one before it")]
    Broken { index: u64 },
    #[error("entry {index} is not signed by the account key")]
    Signer { index: u64 },
    #[error("entry {index} says something an account may not say of itself: {why}")]
    Statement { index: u64, why: &'static str },
    #[error("the log is shorter than, or differs from, the one seen before")]
    Forked,
    #[error("the log is longer than {max} entries")]
    TooLong { max: usize },
}

/// An account as its verified log describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub kind: AccountKind,
    /// The key that signs the next entry.
    pub account_key: PublicKey,
    recovery_hash: Hash,
    pub head: LogHead,
    pub devices: BTreeMap<DeviceId, Device>,
    tills: Vec<Till>,
    /// How often the account key was replaced.
    pub replaced: u32,
    log: AccountLog,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub certificate: DeviceCertificate,
    pub signed: Signed<DeviceCertificate>,
    pub revoked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Till {
    certificate: TillCertificate,
    revoked_since: Option<Timestamp>,
}

/// Whether a till may have signed something at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TillVerdict {
    /// Certified then, and still.
    Holds,
    /// Certified then, revoked since for a later moment. What it signed could have been dated back.
    RevokedLater,
    /// Not certified, not then, not for this, or revoked for that moment.
    Refused,
}

impl Account {
    /// Verifies a whole log.
    ///
    /// # Errors
    /// [`LogRefused`] names the first entry that cannot be believed.
    pub fn read(log: &AccountLog) -> Result<Self, LogRefused> {
        if log.links.len() > limits::LOG_ENTRIES_MAX {
            return Err(LogRefused::TooLong { max: limits::LOG_ENTRIES_MAX });
        }
        let genesis = Genesis::decode(&log.genesis).map_err(LogRefused::Genesis)?;
        let mut account = Self {
            id: Genesis::account_of(&log.genesis),
            kind: genesis.kind,
            account_key: genesis.account_key,
            recovery_hash: genesis.recovery_hash,
            head: LogHead { len: 0, hash: Hash::of(&log.genesis) },
            devices: BTreeMap::new(),
            tills: Vec::new(),
            replaced: 0,
            log: AccountLog { genesis: log.genesis.clone(), links: Vec::new() },
        };
        for link in &log.links {
            account.append(link)?;
        }
        Ok(account)
    }

    /// The account with a newer copy of its log, which must begin with all that was seen before.
    ///
    /// # Errors
    /// [`LogRefused::Forked`] when it does not; otherwise as [`Account::read`].
    pub fn grow(&self, log: &AccountLog) -> Result<Self, LogRefused> {
        if log.account() != self.id {
            return Err(LogRefused::OtherAccount);
        }
        let seen = self.log.links.len();
        if log.links.get(..seen) != Some(self.log.links.as_slice()) {
            return Err(LogRefused::Forked);
        }
        let mut grown = self.clone();
        for link in &log.links[seen..] {
            grown.append(link)?;
        }
        Ok(grown)
    }

    /// Adds one verified entry.
    ///
    /// # Errors
    /// [`LogRefused`]; the account is then as it was.
    pub fn append(&mut self, link: &LogLink) -> Result<(), LogRefused> {
        let index = self.head.len;
        let entry = link.verify().map_err(|source| LogRefused::Entry { index, source })?;
        if entry.account != self.id || entry.index != index || entry.previous != self.head.hash {
            return Err(LogRefused::Broken { index });
        }
        let by_account_key = link.signer == self.account_key;
        let by_recovery_key =
            link.signer.hash() == self.recovery_hash && matches!(entry.statement, Statement::KeyReplaced { .. });
        if !by_account_key && !by_recovery_key {
            return Err(LogRefused::Signer { index });
        }
        self.apply(index, entry)?;
        self.head = LogHead { len: index + 1, hash: link.hash() };
        self.log.links.push(link.clone());
        Ok(())
    }

    fn apply(&mut self, index: u64, entry: LogEntry) -> Result<(), LogRefused> {
        let refuse = |why| Err(LogRefused::Statement { index, why });
        match entry.statement {
            Statement::DeviceAdded(signed) => {
                let certificate = signed.verify().map_err(|source| LogRefused::Entry { index, source })?;
                if certificate.signer() != self.account_key || certificate.account != self.id {
                    return refuse("a device certificate of another account");
                }
                if !role_fits(certificate.role, self.kind) {
                    return refuse("a device with a role that its account cannot have");
                }
                if self.devices.contains_key(&certificate.device)
                    || self.devices.values().any(|known| known.certificate.key == certificate.key)
                {
                    return refuse("a device that was there already");
                }
                let certificate = certificate.into_inner();
                self.devices.insert(certificate.device, Device { certificate, signed, revoked: false });
            }
            Statement::DeviceRevoked { device } => match self.devices.get_mut(&device) {
                Some(known) => known.revoked = true,
                None => return refuse("revokes a device that never was"),
            },
            Statement::TillCertified(certificate) => {
                if self.kind != AccountKind::Business {
                    return refuse("a person has no till");
                }
                if certificate.until <= certificate.from
                    || self.tills.iter().any(|till| till.certificate.till == certificate.till)
                {
                    return refuse("a till certificate that cannot be");
                }
                self.tills.push(Till { certificate, revoked_since: None });
            }
            Statement::TillRevoked { till, since } => {
                match self.tills.iter_mut().find(|known| known.certificate.till == till) {
                    Some(known) => {
                        known.revoked_since = Some(known.revoked_since.map_or(since, |before| before.min(since)));
                    }
                    None => return refuse("revokes a till that never was"),
                }
            }
            Statement::KeyReplaced { account_key } => {
                self.account_key = account_key;
                self.replaced += 1;
            }
        }
        Ok(())
    }

    /// The devices that are not revoked.
    pub fn active_devices(&self) -> impl Iterator<Item = &DeviceCertificate> {
        self.devices.values().filter(|device| !device.revoked).map(|device| &device.certificate)
    }

    /// True when the device is on the log with this key and was not revoked.
    #[must_use]
    pub fn has_device(&self, device: DeviceId, key: PublicKey) -> bool {
        self.devices.get(&device).is_some_and(|known| !known.revoked && known.certificate.key == key)
    }

    /// Whether `till` may have signed for this account at `at`, in this term, for this kind of money.
    #[must_use]
    pub fn judge_till(&self, till: PublicKey, term: u64, live: bool, at: Timestamp) -> TillVerdict {
        let Some(known) = self.tills.iter().find(|known| known.certificate.till == till) else {
            return TillVerdict::Refused;
        };
        let certificate = &known.certificate;
        let fits =
            certificate.term == term && certificate.live == live && certificate.from <= at && at < certificate.until;
        match known.revoked_since {
            _ if !fits => TillVerdict::Refused,
            None => TillVerdict::Holds,
            Some(since) if since <= at => TillVerdict::Refused,
            Some(_) => TillVerdict::RevokedLater,
        }
    }

    /// When the certificate of a till begins to hold. `None`: it has none.
    #[must_use]
    pub fn till_since(&self, till: PublicKey) -> Option<Timestamp> {
        self.tills.iter().find(|known| known.certificate.till == till).map(|known| known.certificate.from)
    }

    /// The hash of the log's first `len` entries: of the last of them, or of the genesis record when there is none.
    /// `None` when the log is shorter.
    #[must_use]
    pub fn hash_at(&self, len: u64) -> Option<Hash> {
        match usize::try_from(len).ok()?.checked_sub(1) {
            None => Some(Hash::of(&self.log.genesis)),
            Some(last) => self.log.links.get(last).map(LogLink::hash),
        }
    }

    /// The log this was read from.
    #[must_use]
    pub fn log(&self) -> &AccountLog {
        &self.log
    }

    /// Reads a device certificate and checks it against this log: signature, account, the device is there with this
    /// very key.
    ///
    /// # Errors
    /// [`ContentError`] when it does not hold.
    pub fn check_certificate(
        &self,
        signed: &Signed<DeviceCertificate>,
    ) -> Result<Verified<DeviceCertificate>, ContentError> {
        let certificate = signed.verify()?;
        let known = self.devices.get(&certificate.device);
        // The very certificate that stands in the log; its signature was checked there against the key of that moment.
        if certificate.account == self.id && known.is_some_and(|known| known.signed == *signed && !known.revoked) {
            Ok(certificate)
        } else {
            Err(ContentError::Signature { what: "device certificate" })
        }
    }

    /// Makes and signs the entry that comes next.
    #[must_use]
    pub fn next_link(&self, statement: Statement, key: &SigningKey, now: Timestamp) -> LogLink {
        let entry = LogEntry { account: self.id, index: self.head.len, previous: self.head.hash, at: now, statement };
        LogLink::sign(&entry, key)
    }
}

fn role_fits(role: DeviceRole, kind: AccountKind) -> bool {
    match (role, kind) {
        (DeviceRole::Person, AccountKind::Person) => true,
        (DeviceRole::Merchant | DeviceRole::Gateway, AccountKind::Business) => true,
        (DeviceRole::Person, AccountKind::Business)
        | (DeviceRole::Merchant | DeviceRole::Gateway, AccountKind::Person) => false,
    }
}

/// The number that two people compare: 60 digits from both account keys, the same on both sides.
///
/// Each half is SHA-256 iterated 5,200 times over a version, the key and itself, of which 30 digits are taken, so that a
/// key which collides in the digits costs too much to find. The smaller key comes first.
#[must_use]
pub fn safety_number(one: PublicKey, other: PublicKey) -> String {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    [low, high].iter().map(|key| digits(*key)).collect::<Vec<_>>().join(" ")
}

fn digits(key: PublicKey) -> String {
    let mut hash = Hash::of(&[b"comptoir/safety-number/v1\0".as_slice(), &key.0].concat());
    for _ in 0..5200 {
        hash = Hash::of(&[hash.0.as_slice(), &key.0].concat());
    }
    let groups = hash.0.as_chunks::<5>().0.iter().take(6).map(|chunk| {
        let number = chunk.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        format!("{:05}", number % 100_000)
    });
    groups.collect::<Vec<_>>().join(" ")
}
