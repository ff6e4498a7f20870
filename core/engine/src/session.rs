//! The one module that names OpenMLS: groups of devices, and messages sealed in them.
//!
//! Generic over OpenMLS's provider. The client's provider stores into the open database transaction, so no path exists
//! that advances a ratchet outside the transaction which stores the message. Every function here may leave the group in
//! memory ahead of the store when it fails: the caller rolls back and drops the [`Group`].
//!
//! OpenMLS leaves credential checks to us. A credential is a [`DeviceCertificate`] signed by the account key; [`Roster`]
//! says which accounts may be in the group and what their logs hold. It is asked for key packages before they are
//! added, for the whole tree of a Welcome before joining, and for everything a commit brings in before it is merged.

mod key_package;
mod member;
mod padding;

use comptoir_content::{AccountId, ConversationId, DeviceCertificate, DeviceId, Hash, Signed};
use openmls::group::{
    GroupId, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
    PastEpochDeletionPolicy, StagedCommit, StagedWelcome, WelcomeError,
};
use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{
    BasicCredential, Ciphersuite, KeyPackage, LeafNodeIndex, LeafNodeParameters, MlsMessageBodyIn, MlsMessageIn,
    OpenMlsProvider, ProcessedMessageContent, ProtocolMessage, Sender, SenderRatchetConfiguration,
};
use zeroize::Zeroizing;

pub use key_package::{Invitee, make_key_package, read_key_package};
use member::{DeviceSigner, certificate_of, member_of};
pub use member::{Me, Member, Roster};
use padding::{pad, unpad};

use crate::account::Account;

/// MLS 1.0 with X25519, AES-128-GCM, SHA-256 and Ed25519: the suite every implementation has.
const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
/// Messages of this many epochs back can still be opened. The relay refuses older ones.
pub const PAST_EPOCHS: usize = 2;
const OUT_OF_ORDER: u32 = 500;
const FORWARD_DISTANCE: u32 = 1000;
const TOKEN_LABEL: &str = "comptoir commit token";

/// What went wrong with a group. All but [`SessionError::Early`] and [`SessionError::UnknownAccount`] are final for the
/// bytes at hand.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The bytes are not what they claim to be, or were not made for us.
    #[error("{doing}: {reason}")]
    Unreadable { doing: &'static str, reason: String },
    /// Sealed in an epoch that this device has not reached yet: keep it, it opens after the commits in between.
    #[error("sealed in an epoch that is still to come")]
    Early,
    /// We sealed this ourselves.
    #[error("our own message")]
    Own,
    /// Somebody in the group whose account log we do not have yet: fetch it and try again.
    #[error("the account log of a member is missing")]
    UnknownAccount(AccountId),
    /// A member that must not be there.
    #[error("a member is refused: {why}")]
    Member { why: &'static str },
    /// The store failed.
    #[error("{doing}: {reason}")]
    Store { doing: &'static str, reason: String },
}

fn unreadable(doing: &'static str) -> impl Fn(&dyn std::fmt::Debug) -> SessionError {
    move |error| SessionError::Unreadable { doing, reason: format!("{error:?}") }
}

fn store(doing: &'static str) -> impl Fn(&dyn std::fmt::Debug) -> SessionError {
    move |error| SessionError::Store { doing, reason: format!("{error:?}") }
}

/// A group of devices: one generation of a conversation.
pub struct Group {
    mls: MlsGroup,
    pub conversation: ConversationId,
    pub generation: u32,
}

/// A change of a group that the relay has to order first.
pub struct Change {
    /// For the members that are there already. Empty when there are none.
    pub commit: Vec<u8>,
    /// For the new ones.
    pub welcome: Option<Vec<u8>>,
    /// Proves to the relay that the committer is a member of the epoch before.
    pub token: Zeroizing<[u8; 32]>,
    /// What the relay will ask of the next commit.
    pub next_token_hash: [u8; 32],
}

/// What a sealed message was.
pub enum Opened {
    /// Something a member said.
    Message { sender: Member, plaintext: Zeroizing<Vec<u8>> },
    /// A change by somebody else, checked and ready to [`Group::merge`].
    Commit { sender: Member, staged: Box<StagedCommit> },
}

fn group_id(conversation: ConversationId, generation: u32) -> GroupId {
    let mut id = conversation.0.to_vec();
    id.extend_from_slice(&generation.to_be_bytes());
    GroupId::from_slice(&id)
}

fn parse_group_id(id: &GroupId) -> Option<(ConversationId, u32)> {
    let (conversation, generation) = id.as_slice().split_first_chunk::<16>()?;
    Some((ConversationId(*conversation), u32::from_be_bytes(generation.try_into().ok()?)))
}

fn ratchet() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER, FORWARD_DISTANCE)
}

fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .set_past_epoch_deletion_policy(PastEpochDeletionPolicy::MaxEpochs(PAST_EPOCHS))
        .sender_ratchet_configuration(ratchet())
        .use_ratchet_tree_extension(true)
        .build()
}

const OPENING: &str = "opening an invitation";

/// Opens an invitation, which uses up its key package: `None` when that is not here. A group of its name may be here only if it is
/// looked at `beside` that one, and not joined.
fn invitation<P: OpenMlsProvider>(
    provider: &P,
    welcome: &[u8],
    beside: bool,
) -> Result<Option<StagedWelcome>, SessionError> {
    let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|error| unreadable(OPENING)(&error))?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
        return Err(SessionError::Unreadable { doing: OPENING, reason: "another kind of message".to_owned() });
    };
    // Leaves live as long as their devices do: the account logs say which those are, and not the dates of the key
    // packages that they came in with.
    let staged = StagedWelcome::build_from_welcome(provider, &join_config(), welcome).and_then(|join| {
        let join = if beside { join.replace_old_group() } else { join };
        join.skip_lifetime_validation().build()
    });
    match staged {
        Ok(staged) => Ok(Some(staged)),
        Err(WelcomeError::NoMatchingKeyPackage) => Ok(None),
        Err(error) => Err(unreadable(OPENING)(&error)),
    }
}

/// What the invitation is into, and who sent it, after every member of its tree was checked.
fn check_invitation(
    staged: &StagedWelcome,
    me: &Me,
    find: &dyn Fn(AccountId) -> Option<Account>,
) -> Result<(ConversationId, u32, Member), SessionError> {
    let (conversation, generation) = parse_group_id(staged.group_context().group_id())
        .ok_or(SessionError::Member { why: "the group has a name that is not ours" })?;

    let mut accounts: Vec<AccountId> = Vec::new();
    for member in staged.members() {
        let basic = BasicCredential::try_from(member.credential)
            .map_err(|_| SessionError::Member { why: "not one of our credentials" })?;
        let account = Signed::<DeviceCertificate>::decode(basic.identity())
            .and_then(|signed| signed.verify())
            .map_err(|_| SessionError::Member { why: "its device certificate does not hold" })?
            .account;
        if !accounts.contains(&account) {
            accounts.push(account);
        }
    }
    let [one, other] = accounts[..] else {
        return Err(SessionError::Member { why: "a conversation is of two accounts" });
    };
    if ConversationId::between(one, other) != conversation || !accounts.contains(&me.account) {
        return Err(SessionError::Member { why: "the conversation is of other accounts" });
    }
    let roster = Roster { allowed: &accounts, find };
    for member in staged.members() {
        roster.check(&member.credential, &member.signature_key)?;
    }
    let inviter = staged.welcome_sender().map_err(|error| unreadable(OPENING)(&error))?;
    let inviter = roster.check(inviter.credential(), inviter.signature_key().as_slice())?;
    Ok((conversation, generation, inviter))
}

impl Group {
    /// Creates the group of a generation and invites everybody at once. The group is at epoch 1 afterwards.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn create<P: OpenMlsProvider>(
        provider: &P,
        me: &Me,
        conversation: ConversationId,
        generation: u32,
        invitees: Vec<Invitee>,
    ) -> Result<(Self, Change), SessionError> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .set_past_epoch_deletion_policy(PastEpochDeletionPolicy::MaxEpochs(PAST_EPOCHS))
            .sender_ratchet_configuration(ratchet())
            .use_ratchet_tree_extension(true)
            .build();
        let id = group_id(conversation, generation);
        let mls = MlsGroup::new_with_group_id(provider, &DeviceSigner(&me.key), &config, id, me.credential())
            .map_err(|error| store("creating a group")(&error))?;
        let mut group = Self { mls, conversation, generation };
        let change = group.invite(provider, me, invitees)?;
        // Nobody else is in epoch 0, so there is nobody to be in conflict with inside the group.
        group.merge_pending(provider)?;
        Ok((group, change))
    }

    /// Loads the group of a generation, if this device is in it.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub fn load<P: OpenMlsProvider>(
        provider: &P,
        conversation: ConversationId,
        generation: u32,
    ) -> Result<Option<Self>, SessionError> {
        let mls = MlsGroup::load(provider.storage(), &group_id(conversation, generation))
            .map_err(|error| store("loading a group")(&error))?;
        Ok(mls.map(|mls| Self { mls, conversation, generation }))
    }

    /// Joins from a Welcome, after every member of its tree was checked.
    ///
    /// # Errors
    /// [`SessionError::UnknownAccount`] when a log has to be fetched first; then roll back, so that the key package is
    /// there for the next try. `roster.allowed` may be empty: then the two accounts that the conversation id is made of
    /// are found in the tree.
    pub fn join<P: OpenMlsProvider>(
        provider: &P,
        me: &Me,
        welcome: &[u8],
        find: &dyn Fn(AccountId) -> Option<Account>,
    ) -> Result<(Self, Member), SessionError> {
        let staged =
            invitation(provider, welcome, false)?.ok_or_else(|| unreadable(OPENING)(&"no such key package"))?;
        let (conversation, generation, inviter) = check_invitation(&staged, me, find)?;
        let mls = staged.into_group(provider).map_err(|error| store("joining a group")(&error))?;
        Ok((Self { mls, conversation, generation }, inviter))
    }

    /// Whether this invitation is into another group of the same conversation and generation: who sent it and the relay know
    /// nothing of this one any more. One that was opened before cannot be opened again; only by a key package of last resort, of
    /// an epoch long ago, it would be taken for another.
    ///
    /// # Errors
    /// As [`Group::join`], for an invitation that opens and does not hold.
    pub fn is_forked_by<P: OpenMlsProvider>(
        &self,
        provider: &P,
        me: &Me,
        welcome: &[u8],
        find: &dyn Fn(AccountId) -> Option<Account>,
    ) -> Result<bool, SessionError> {
        let Some(staged) = invitation(provider, welcome, true)? else {
            return Ok(false);
        };
        let (conversation, generation, _) = check_invitation(&staged, me, find)?;
        if (conversation, generation) != (self.conversation, self.generation) {
            return Err(SessionError::Member { why: "the envelope names another conversation" });
        }
        // Whoever opens a group does it with an encryption key that is in no other.
        let theirs = staged.members().map(|member| member.encryption_key);
        Ok(!theirs.eq(self.mls.members().map(|member| member.encryption_key)))
    }

    /// Stages a commit that adds devices. It takes effect with [`Group::merge_pending`], after the relay accepted it.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn invite<P: OpenMlsProvider>(
        &mut self,
        provider: &P,
        me: &Me,
        invitees: Vec<Invitee>,
    ) -> Result<Change, SessionError> {
        let doing = "inviting devices";
        let token = self.token(provider)?;
        let packages: Vec<KeyPackage> = invitees.into_iter().map(|invitee| invitee.package).collect();
        let (commit, welcome, _) =
            self.mls.add_members(provider, &DeviceSigner(&me.key), &packages).map_err(|error| store(doing)(&error))?;
        let commit = commit.to_bytes().map_err(|error| store(doing)(&error))?;
        let welcome = welcome.to_bytes().map_err(|error| store(doing)(&error))?;
        Ok(Change { commit, welcome: Some(welcome), token, next_token_hash: self.pending_token_hash(provider)? })
    }

    /// Stages a commit that removes devices.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn remove<P: OpenMlsProvider>(
        &mut self,
        provider: &P,
        me: &Me,
        devices: &[DeviceId],
    ) -> Result<Change, SessionError> {
        let doing = "removing devices";
        let leaves: Vec<LeafNodeIndex> = self
            .mls
            .members()
            .filter(|member| certificate_of(&member.credential).is_some_and(|cert| devices.contains(&cert.device)))
            .map(|member| member.index)
            .collect();
        let token = self.token(provider)?;
        let (commit, _, _) =
            self.mls.remove_members(provider, &DeviceSigner(&me.key), &leaves).map_err(|error| store(doing)(&error))?;
        let commit = commit.to_bytes().map_err(|error| store(doing)(&error))?;
        Ok(Change { commit, welcome: None, token, next_token_hash: self.pending_token_hash(provider)? })
    }

    /// Stages a commit that gives this device new keys in the group: whoever copied the old ones is locked out.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn renew<P: OpenMlsProvider>(&mut self, provider: &P, me: &Me) -> Result<Change, SessionError> {
        let doing = "renewing keys";
        let token = self.token(provider)?;
        let update = self
            .mls
            .self_update(provider, &DeviceSigner(&me.key), LeafNodeParameters::default())
            .map_err(|error| store(doing)(&error))?;
        let commit = update.into_commit().to_bytes().map_err(|error| store(doing)(&error))?;
        Ok(Change { commit, welcome: None, token, next_token_hash: self.pending_token_hash(provider)? })
    }

    /// Seals a message for everybody in the group, padded.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn seal<P: OpenMlsProvider>(&mut self, provider: &P, me: &Me, content: &[u8]) -> Result<Vec<u8>, SessionError> {
        let padded = Zeroizing::new(pad(content));
        let message = self
            .mls
            .create_message(provider, &DeviceSigner(&me.key), &padded)
            .map_err(|error| store("sealing a message")(&error))?;
        message.to_bytes().map_err(|error| store("sealing a message")(&error))
    }

    /// Opens a sealed message or a commit.
    ///
    /// # Errors
    /// [`SessionError`]. After any of them, roll back and drop the group.
    pub fn open<P: OpenMlsProvider>(
        &mut self,
        provider: &P,
        sealed: &[u8],
        roster: &Roster<'_>,
    ) -> Result<Opened, SessionError> {
        let doing = "opening a message";
        let message = MlsMessageIn::tls_deserialize_exact(sealed).map_err(|error| unreadable(doing)(&error))?;
        let message: ProtocolMessage =
            message.try_into_protocol_message().map_err(|error| unreadable(doing)(&error))?;
        if message.group_id() != self.mls.group_id() {
            return Err(SessionError::Unreadable { doing, reason: "sealed for another group".to_owned() });
        }
        if message.epoch() > self.mls.epoch() {
            return Err(SessionError::Early);
        }
        let processed = self.mls.process_message(provider, message).map_err(|error| unreadable(doing)(&error))?;
        let Sender::Member(leaf) = *processed.sender() else {
            return Err(SessionError::Member { why: "somebody outside the group" });
        };
        let credential = processed.credential().clone();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                // The leaf was checked when it came into the tree; only the account log may have grown since.
                let sender = member_of(&credential)?;
                let plaintext = Zeroizing::new(message.into_bytes());
                let content =
                    unpad(&plaintext).ok_or(SessionError::Unreadable { doing, reason: "padding".to_owned() })?;
                Ok(Opened::Message { sender, plaintext: Zeroizing::new(content.to_vec()) })
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                self.check_commit(&staged, leaf, roster)?;
                Ok(Opened::Commit { sender: member_of(&credential)?, staged })
            }
            // Also our own change: the relay's answer moves it, and not its echo.
            ProcessedMessageContent::OwnPendingCommit | ProcessedMessageContent::OwnPrivateMessage => {
                Err(SessionError::Own)
            }
            ProcessedMessageContent::ProposalMessage(_) | ProcessedMessageContent::ExternalJoinProposalMessage(_) => {
                Err(SessionError::Unreadable { doing, reason: "a proposal by itself".to_owned() })
            }
        }
    }

    /// A commit may add devices of the conversation's accounts and remove devices. A leaf that changes stays the same
    /// device.
    fn check_commit(
        &self,
        staged: &StagedCommit,
        sender: LeafNodeIndex,
        roster: &Roster<'_>,
    ) -> Result<(), SessionError> {
        for added in staged.add_proposals() {
            let leaf = added.add_proposal().key_package().leaf_node();
            roster.check(leaf.credential(), leaf.signature_key().as_slice())?;
        }
        let committer = self.mls.member(sender).and_then(certificate_of);
        for removed in staged.remove_proposals() {
            let gone = self.mls.member(removed.remove_proposal().removed()).and_then(certificate_of);
            let (Some(gone), Some(committer)) = (gone, &committer) else {
                return Err(SessionError::Member { why: "it removes somebody who is not there" });
            };
            let revoked = (roster.find)(gone.account).is_some_and(|account| !account.has_device(gone.device, gone.key));
            if gone.account != committer.account && !revoked {
                return Err(SessionError::Member { why: "it removes a device of the other account" });
            }
        }
        let plain = staged.add_proposals().count() + staged.remove_proposals().count();
        if staged.queued_proposals().count() != plain {
            return Err(SessionError::Member { why: "a commit that does more than add and remove" });
        }
        if let Some(leaf) = staged.update_path_leaf_node() {
            let successor = roster.check(leaf.credential(), leaf.signature_key().as_slice())?;
            let before = self.mls.member(sender).and_then(certificate_of);
            if before.is_none_or(|before| before.device != successor.device) {
                return Err(SessionError::Member { why: "a leaf became another device" });
            }
        }
        Ok(())
    }

    /// Takes over a checked commit of somebody else; our own pending one is dropped.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub fn merge<P: OpenMlsProvider>(&mut self, provider: &P, staged: StagedCommit) -> Result<(), SessionError> {
        self.mls.merge_staged_commit(provider, staged).map_err(|error| store("merging a commit")(&error))
    }

    /// Takes over the change that we staged, after the relay accepted it.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub fn merge_pending<P: OpenMlsProvider>(&mut self, provider: &P) -> Result<(), SessionError> {
        self.mls.merge_pending_commit(provider).map_err(|error| store("merging our commit")(&error))
    }

    /// Forgets the change that we staged, because somebody else was first.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub fn forget_pending<P: OpenMlsProvider>(&mut self, provider: &P) -> Result<(), SessionError> {
        self.mls.clear_pending_commit(provider.storage()).map_err(|error| store("dropping our commit")(&error))
    }

    /// Deletes the group and all its secrets.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub fn delete<P: OpenMlsProvider>(mut self, provider: &P) -> Result<(), SessionError> {
        self.mls.delete(provider.storage()).map_err(|error| store("deleting a group")(&error))
    }

    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// True unless this device was removed.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.mls.is_active()
    }

    /// All devices in the group.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.mls.members().filter_map(|member| member_of(&member.credential).ok())
    }

    /// Proves to the relay that whoever has it is in this epoch.
    fn token<P: OpenMlsProvider>(&self, provider: &P) -> Result<Zeroizing<[u8; 32]>, SessionError> {
        let token = self
            .mls
            .export_secret(provider.crypto(), TOKEN_LABEL, &[], 32)
            .map_err(|error| store("exporting a token")(&error))?;
        as_token(Zeroizing::new(token))
    }

    fn pending_token_hash<P: OpenMlsProvider>(&self, provider: &P) -> Result<[u8; 32], SessionError> {
        let doing = "exporting the next token";
        let pending = self.mls.pending_commit().ok_or(SessionError::Store { doing, reason: "none".to_owned() })?;
        let token =
            pending.export_secret(provider.crypto(), TOKEN_LABEL, &[], 32).map_err(|error| store(doing)(&error))?;
        Ok(Hash::of(as_token(Zeroizing::new(token))?.as_slice()).0)
    }
}

fn as_token(bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<[u8; 32]>, SessionError> {
    let token = bytes.as_slice().try_into();
    token
        .map(Zeroizing::new)
        .map_err(|_| SessionError::Store { doing: "exporting a token", reason: "it has another length".to_owned() })
}
