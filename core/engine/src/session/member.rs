//! Who is in a group: this device, the others, and the check that a leaf belongs to a device of an allowed account.

use comptoir_content::{AccountId, DeviceCertificate, DeviceId, PublicKey, Signed, SigningKey};
use openmls::prelude::{BasicCredential, Credential, CredentialWithKey};
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

use super::SessionError;
use crate::account::Account;

/// This device: its certificate and the key that the certificate names.
#[derive(Clone)]
pub struct Me {
    pub certificate: Signed<DeviceCertificate>,
    pub device: DeviceId,
    pub account: AccountId,
    pub key: SigningKey,
}

impl Me {
    pub(super) fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.certificate.encode()).into(),
            signature_key: self.key.public().0.to_vec().into(),
        }
    }
}

pub(super) struct DeviceSigner<'a>(pub(super) &'a SigningKey);

impl Signer for DeviceSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign_mls(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Who may be in a conversation: its accounts, with the logs we have verified.
pub struct Roster<'a> {
    /// The accounts of the conversation.
    pub allowed: &'a [AccountId],
    /// Finds the verified log of an account.
    pub find: &'a dyn Fn(AccountId) -> Option<Account>,
}

impl Roster<'_> {
    /// Checks one credential against the log of its account, and the key of its leaf against the certificate.
    pub(super) fn check(&self, credential: &Credential, leaf_key: &[u8]) -> Result<Member, SessionError> {
        let refuse = |why| SessionError::Member { why };
        let basic = BasicCredential::try_from(credential.clone()).map_err(|_| refuse("not one of our credentials"))?;
        let signed = Signed::<DeviceCertificate>::decode(basic.identity())
            .map_err(|_| refuse("its credential is not a device certificate"))?;
        let certificate = signed.verify().map_err(|_| refuse("its device certificate does not hold"))?;
        if !self.allowed.contains(&certificate.account) {
            return Err(refuse("its account is not part of this conversation"));
        }
        if certificate.key.0 != leaf_key {
            return Err(refuse("its leaf has another key than its certificate"));
        }
        let account = (self.find)(certificate.account).ok_or(SessionError::UnknownAccount(certificate.account))?;
        if account.check_certificate(&signed).is_err() {
            // A device we do not see may be newer than our copy of the log.
            return if account.devices.contains_key(&certificate.device) {
                Err(refuse("its device was revoked or its certificate replaced"))
            } else {
                Err(SessionError::UnknownAccount(certificate.account))
            };
        }
        Ok(Member { account: certificate.account, device: certificate.device, key: certificate.key })
    }
}

/// A device in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub account: AccountId,
    pub device: DeviceId,
    pub key: PublicKey,
}

/// The certificate of somebody who is in the group. The roster checked it before they came in, and OpenMLS keeps it.
pub(super) fn certificate_of(credential: &Credential) -> Option<DeviceCertificate> {
    let basic = BasicCredential::try_from(credential.clone()).ok()?;
    let signed = Signed::<DeviceCertificate>::decode(basic.identity()).ok()?;
    signed.read_again().ok()
}

pub(super) fn member_of(credential: &Credential) -> Result<Member, SessionError> {
    let certificate =
        certificate_of(credential).ok_or(SessionError::Member { why: "its credential is not a device certificate" })?;
    Ok(Member { account: certificate.account, device: certificate.device, key: certificate.key })
}
