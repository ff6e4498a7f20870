//! A device that speaks MLS through mls-rs: the same credentials, contents and padding, and not a line of OpenMLS.
//! What it has to be told to be let in is written here, because it is what any other client of ours would have to know.

use std::collections::BTreeMap;
use std::time::Duration;

use comptoir_content::{ConversationId, DeviceCertificate, DeviceId, Hash, Signed};
use comptoir_engine::account::Account;
use comptoir_engine::session::{Change, Me, PAST_EPOCHS};
use mls_rs::client_builder::{BaseConfig, PaddingMode, WithCryptoProvider, WithIdentityProvider, WithMlsRules};
use mls_rs::error::{IntoAnyError, MlsError};
use mls_rs::extension::recommended::LastResortKeyPackageExt;
use mls_rs::extension::{ExtensionType, MlsExtension as _};
use mls_rs::group::{CommitEffect, CommitOutput, ReceivedMessage};
use mls_rs::identity::basic::BasicCredential;
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::storage_provider::in_memory::InMemoryGroupStateStorage;
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, Client, ExtensionList, Group, IdentityProvider, MlsMessage, ProtocolVersion};
use mls_rs_core::identity::MemberValidationContext;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use zeroize::Zeroizing;

type Config =
    WithIdentityProvider<Customs, WithMlsRules<DefaultMlsRules, WithCryptoProvider<RustCryptoProvider, BaseConfig>>>;

/// A key package at the relay has no envelope. In one of MLS's it would begin with its version and its kind.
const KEY_PACKAGE_ENVELOPE: [u8; 4] = [0, 1, 0, 5];

/// What the committer shows to the relay is exported under this name.
const TOKEN_LABEL: &[u8] = b"comptoir commit token";

/// The check of credentials that MLS leaves to its users, made again from what `DESIGN.md` says about it.
#[derive(Clone)]
pub(crate) struct Customs {
    accounts: Vec<Account>,
    /// False for a liar, who becomes anybody.
    same_device: bool,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Stranger(&'static str);

impl IntoAnyError for Stranger {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(self.into())
    }
}

impl Customs {
    fn certificate(&self, identity: &SigningIdentity) -> Result<DeviceCertificate, Stranger> {
        let basic = identity.credential.as_basic().ok_or(Stranger("not one of our credentials"))?;
        let signed = Signed::<DeviceCertificate>::decode(basic.identifier())
            .map_err(|_| Stranger("its credential is not a device certificate"))?;
        let certificate = signed.verify().map_err(|_| Stranger("its device certificate does not hold"))?;
        let account = self.accounts.iter().find(|account| account.id == certificate.account);
        let account = account.ok_or(Stranger("its account is not part of this conversation"))?;
        if account.check_certificate(&signed).is_err() {
            return Err(Stranger("its device is not on the log"));
        }
        if certificate.key.0 != identity.signature_key.as_ref() {
            return Err(Stranger("its leaf has another key than its certificate"));
        }
        Ok((*certificate).clone())
    }
}

impl IdentityProvider for Customs {
    type Error = Stranger;

    fn validate_member(
        &self,
        identity: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), Stranger> {
        self.certificate(identity).map(drop)
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Stranger> {
        Err(Stranger("nobody speaks from outside"))
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Stranger> {
        Ok(self.certificate(identity)?.device.0.to_vec())
    }

    fn valid_successor(
        &self,
        before: &SigningIdentity,
        after: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, Stranger> {
        Ok(!self.same_device || self.certificate(before)?.device == self.certificate(after)?.device)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::BASIC]
    }
}

/// What a peer heard.
#[derive(Debug)]
pub(crate) enum Heard {
    Said {
        by: DeviceId,
        content: Vec<u8>,
    },
    Moved,
    /// This device was removed.
    Out,
}

/// A device with the other library.
pub(crate) struct Peer {
    pub(crate) me: Me,
    client: Client<Config>,
    group: Option<Group<Config>>,
    /// Who sat on which leaf in which epoch: a late message names only the leaf.
    leaves: BTreeMap<u64, Vec<(u32, DeviceId)>>,
}

/// How a peer does what MLS leaves open to it. Everybody must understand all of it.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Every commit gives its sender new keys, also one that only adds.
    pub(crate) always_new_keys: bool,
    /// Padding of MLS's own, around ours.
    pub(crate) padding: PaddingMode,
    /// Handshakes are sealed too. Without it, nobody of ours listens.
    pub(crate) sealed: bool,
}

impl Peer {
    pub(crate) fn new(me: Me, accounts: &[Account], manner: Manner) -> Self {
        Self::with(me, Customs { accounts: accounts.to_vec(), same_device: true }, manner)
    }

    pub(crate) fn who_takes_any_successor(me: Me, accounts: &[Account], manner: Manner) -> Self {
        Self::with(me, Customs { accounts: accounts.to_vec(), same_device: false }, manner)
    }

    fn with(me: Me, customs: Customs, manner: Manner) -> Self {
        let public = me.key.public().0;
        let credential = BasicCredential::new(me.certificate.encode()).into_credential();
        let identity = SigningIdentity::new(credential, public.to_vec().into());
        let secret = [&me.key.to_seed()[..], &public].concat();
        let rules = DefaultMlsRules::new()
            .with_commit_options(CommitOptions::new().with_path_required(manner.always_new_keys))
            .with_encryption_options(EncryptionOptions::new(manner.sealed, manner.padding));
        let epochs = InMemoryGroupStateStorage::new().with_max_epoch_retention(PAST_EPOCHS).unwrap();
        let client = Client::builder()
            .crypto_provider(RustCryptoProvider::new())
            .identity_provider(customs)
            .mls_rules(rules)
            .group_state_storage(epochs)
            // A last resort carries an extension that its owner must say it understands.
            .extension_type(ExtensionType::LAST_RESORT_KEY_PACKAGE)
            .key_package_lifetime(Duration::from_secs(90 * 24 * 3600))
            .signing_identity(identity, secret.into(), CipherSuite::CURVE25519_AES128)
            .used_protocol_version(ProtocolVersion::MLS_10)
            .build();
        Self { me, client, group: None, leaves: BTreeMap::new() }
    }

    pub(crate) fn group(&mut self) -> &mut Group<Config> {
        self.group.as_mut().unwrap()
    }

    pub(crate) fn packet(&self, last_resort: bool) -> Vec<u8> {
        let mut extensions = ExtensionList::new();
        if last_resort {
            extensions.set(LastResortKeyPackageExt.into_extension().unwrap());
        }
        let now = Some(MlsTime::now());
        let message = self.client.generate_key_package_message(extensions, ExtensionList::new(), now).unwrap();
        let bytes = message.to_bytes().unwrap();
        bytes.strip_prefix(&KEY_PACKAGE_ENVELOPE).unwrap().to_vec()
    }

    pub(crate) fn create(&mut self, conversation: ConversationId, generation: u32, packets: &[Vec<u8>]) -> Change {
        let id = [&conversation.0[..], &generation.to_be_bytes()].concat();
        let none = ExtensionList::new;
        self.group = Some(self.client.create_group_with_id(id, none(), none(), Some(MlsTime::now())).unwrap());
        let change = self.invite(packets).unwrap();
        self.settle(true);
        change
    }

    pub(crate) fn join(&mut self, welcome: &[u8]) -> Result<(), MlsError> {
        let welcome = MlsMessage::from_bytes(welcome)?;
        let (group, _) = self.client.join_group(None, &welcome, Some(MlsTime::now()))?;
        self.leaves.clear();
        self.group = Some(group);
        self.keep();
        Ok(())
    }

    pub(crate) fn invite(&mut self, packets: &[Vec<u8>]) -> Result<Change, MlsError> {
        let token = self.token();
        let mut commit = self.group().commit_builder().commit_time(MlsTime::now());
        for packet in packets {
            commit = commit.add_member(MlsMessage::from_bytes(&[&KEY_PACKAGE_ENVELOPE[..], packet].concat())?)?;
        }
        let output = commit.build()?;
        Ok(self.staged(token, &output))
    }

    pub(crate) fn remove(&mut self, devices: &[DeviceId]) -> Result<Change, MlsError> {
        let token = self.token();
        let leaves = seats(self.group());
        let mut commit = self.group().commit_builder();
        for (leaf, _) in leaves.into_iter().filter(|(_, device)| devices.contains(device)) {
            commit = commit.remove_member(leaf)?;
        }
        let output = commit.build()?;
        Ok(self.staged(token, &output))
    }

    pub(crate) fn renew(&mut self) -> Result<Change, MlsError> {
        let token = self.token();
        let output = self.group().commit_builder().build()?;
        Ok(self.staged(token, &output))
    }

    /// What the relay is told about a commit.
    fn staged(&mut self, token: Zeroizing<[u8; 32]>, output: &CommitOutput) -> Change {
        let mut ahead = self.group().clone();
        ahead.apply_pending_commit().unwrap();
        let next = ahead.export_secret(TOKEN_LABEL, &[], 32).unwrap();
        self.keep();
        let welcome = output.welcome_messages();
        assert!(welcome.len() <= 1, "one Welcome for all");
        Change {
            commit: output.commit_message().to_bytes().unwrap(),
            welcome: welcome.first().map(|welcome| welcome.to_bytes().unwrap()),
            token,
            next_token_hash: Hash::of(next.as_bytes()).0,
        }
    }

    fn token(&mut self) -> Zeroizing<[u8; 32]> {
        let token = self.group().export_secret(TOKEN_LABEL, &[], 32).unwrap();
        Zeroizing::new(token.as_bytes().try_into().unwrap())
    }

    /// The relay has answered: our change is the next, or somebody else's is.
    pub(crate) fn settle(&mut self, accepted: bool) {
        if accepted {
            self.group().apply_pending_commit().unwrap();
        } else {
            self.group().clear_pending_commit();
        }
        self.keep();
    }

    pub(crate) fn say(&mut self, content: &[u8]) -> Vec<u8> {
        let sealed = self.group().encrypt_application_message(&pad(content), Vec::new()).unwrap();
        self.keep();
        sealed.to_bytes().unwrap()
    }

    /// After a failure everything is as it was on disk.
    pub(crate) fn hear(&mut self, sealed: &[u8]) -> Result<Heard, MlsError> {
        let heard = self.try_to_hear(sealed);
        match &heard {
            Ok(Heard::Out) => self.forget(),
            Ok(_) => self.keep(),
            Err(_) => self.restart(),
        }
        heard
    }

    fn try_to_hear(&mut self, sealed: &[u8]) -> Result<Heard, MlsError> {
        let message = MlsMessage::from_bytes(sealed)?;
        let epoch = message.epoch();
        match self.group().process_incoming_message(message)? {
            ReceivedMessage::ApplicationMessage(said) => {
                let leaves = &self.leaves[&epoch.unwrap()];
                let by = leaves.iter().find(|(leaf, _)| *leaf == said.sender_index).unwrap().1;
                Ok(Heard::Said { by, content: unpad(said.data()).to_vec() })
            }
            ReceivedMessage::Commit(commit) => match commit.effect {
                CommitEffect::NewEpoch(_) => Ok(Heard::Moved),
                CommitEffect::Removed { .. } => Ok(Heard::Out),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// The process dies, and another one reads what was stored.
    pub(crate) fn restart(&mut self) {
        let id = self.group().group_id().to_vec();
        self.group = Some(self.client.load_group(&id).unwrap());
    }

    /// What is left of an earlier stay would be in the way of a later one.
    fn forget(&mut self) {
        let group = self.group.take().unwrap();
        self.client.group_state_storage().delete_group(group.group_id());
    }

    fn keep(&mut self) {
        let group = self.group.as_mut().unwrap();
        group.write_to_storage().unwrap();
        let (epoch, seats) = (group.current_epoch(), seats(group));
        self.leaves.insert(epoch, seats);
    }

    /// The epoch, and who is in it.
    pub(crate) fn sees(&self) -> Option<(u64, Vec<DeviceId>)> {
        let group = self.group.as_ref()?;
        Some((group.current_epoch(), seats(group).into_iter().map(|(_, device)| device).collect()))
    }
}

fn seats(group: &Group<Config>) -> Vec<(u32, DeviceId)> {
    let device = |identity: &SigningIdentity| {
        let signed = Signed::<DeviceCertificate>::decode(identity.credential.as_basic().unwrap().identifier()).unwrap();
        signed.verify().unwrap().device
    };
    group.roster().members_iter().map(|member| (member.index(), device(member.signing_identity()))).collect()
}

/// u32 length ‖ content ‖ zeros, to the length that Padmé says and at least 256 bytes.
pub(crate) fn pad(content: &[u8]) -> Vec<u8> {
    let mut padded = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    padded.extend_from_slice(content);
    let bits = padded.len().ilog2();
    let free = bits - (bits.ilog2() + 1);
    let len = padded.len().next_multiple_of(1 << free).max(256);
    padded.resize(len, 0);
    padded
}

fn unpad(padded: &[u8]) -> &[u8] {
    let (len, rest) = padded.split_first_chunk::<4>().unwrap();
    let (content, zeros) = rest.split_at(usize::try_from(u32::from_be_bytes(*len)).unwrap());
    assert_eq!(padded.len(), pad(content).len(), "padded to another length than all others");
    assert!(zeros.iter().all(|byte| *byte == 0));
    content
}
