//! What OpenMLS keeps, entry by entry: under which label, and named by what. Single values stand in a table; lists and what
//! takes several keys follow it.

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};

use super::{MlsStoreError, TxStore};

const VERSION: u16 = CURRENT_VERSION;

/// One value per row: its label, what it is named by, and the methods that write, read and delete it, with their type
/// parameters in the trait's order, which is not always the same.
macro_rules! entries {
    ($(
        $label:literal, $Name:ident => $Value:ident:
            $write:ident<$($W:ident),+>, $read:ident<$($R:ident),+>, $delete:ident;
    )+) => {$(
        fn $write<$($W: traits::$W<VERSION>),+>(&self, name: &$Name, value: &$Value) -> Result<(), MlsStoreError> {
            self.put($label, name, value)
        }

        fn $read<$($R: traits::$R<VERSION>),+>(&self, name: &$Name) -> Result<Option<$Value>, MlsStoreError> {
            self.get($label, name)
        }

        fn $delete<$Name: traits::$Name<VERSION>>(&self, name: &$Name) -> Result<(), MlsStoreError> {
            self.del($label, name)
        }
    )+};
}

impl StorageProvider<VERSION> for TxStore<'_> {
    type Error = MlsStoreError;

    entries! {
        "join config", GroupId => MlsGroupJoinConfig:
            write_mls_join_config<GroupId, MlsGroupJoinConfig>,
            mls_group_join_config<GroupId, MlsGroupJoinConfig>,
            delete_group_config;
        "tree", GroupId => TreeSync:
            write_tree<GroupId, TreeSync>,
            tree<GroupId, TreeSync>,
            delete_tree;
        "transcript", GroupId => InterimTranscriptHash:
            write_interim_transcript_hash<GroupId, InterimTranscriptHash>,
            interim_transcript_hash<GroupId, InterimTranscriptHash>,
            delete_interim_transcript_hash;
        "context", GroupId => GroupContext:
            write_context<GroupId, GroupContext>,
            group_context<GroupId, GroupContext>,
            delete_context;
        "confirmation tag", GroupId => ConfirmationTag:
            write_confirmation_tag<GroupId, ConfirmationTag>,
            confirmation_tag<GroupId, ConfirmationTag>,
            delete_confirmation_tag;
        "state", GroupId => GroupState:
            write_group_state<GroupState, GroupId>,
            group_state<GroupState, GroupId>,
            delete_group_state;
        "message secrets", GroupId => MessageSecrets:
            write_message_secrets<GroupId, MessageSecrets>,
            message_secrets<GroupId, MessageSecrets>,
            delete_message_secrets;
        "resumption", GroupId => ResumptionPskStore:
            write_resumption_psk_store<GroupId, ResumptionPskStore>,
            resumption_psk_store<GroupId, ResumptionPskStore>,
            delete_all_resumption_psk_secrets;
        "own leaf index", GroupId => LeafNodeIndex:
            write_own_leaf_index<GroupId, LeafNodeIndex>,
            own_leaf_index<GroupId, LeafNodeIndex>,
            delete_own_leaf_index;
        "epoch secrets", GroupId => GroupEpochSecrets:
            write_group_epoch_secrets<GroupId, GroupEpochSecrets>,
            group_epoch_secrets<GroupId, GroupEpochSecrets>,
            delete_group_epoch_secrets;
        "signature key", SignaturePublicKey => SignatureKeyPair:
            write_signature_key_pair<SignaturePublicKey, SignatureKeyPair>,
            signature_key_pair<SignaturePublicKey, SignatureKeyPair>,
            delete_signature_key_pair;
        "encryption key", EncryptionKey => HpkeKeyPair:
            write_encryption_key_pair<EncryptionKey, HpkeKeyPair>,
            encryption_key_pair<HpkeKeyPair, EncryptionKey>,
            delete_encryption_key_pair;
        "key package", HashReference => KeyPackage:
            write_key_package<HashReference, KeyPackage>,
            key_package<HashReference, KeyPackage>,
            delete_key_package;
        "psk", PskId => PskBundle:
            write_psk<PskId, PskBundle>,
            psk<PskBundle, PskId>,
            delete_psk;
    }

    fn write_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<VERSION>,
        EpochKey: traits::EpochKey<VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<VERSION>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
        key_pairs: &[HpkeKeyPair],
    ) -> Result<(), MlsStoreError> {
        self.put("epoch keys", &(group_id, epoch, leaf_index), &key_pairs)
    }

    fn encryption_epoch_key_pairs<
        GroupId: traits::GroupId<VERSION>,
        EpochKey: traits::EpochKey<VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<VERSION>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<Vec<HpkeKeyPair>, MlsStoreError> {
        self.list("epoch keys", &(group_id, epoch, leaf_index))
    }

    fn delete_encryption_epoch_key_pairs<GroupId: traits::GroupId<VERSION>, EpochKey: traits::EpochKey<VERSION>>(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<(), MlsStoreError> {
        self.del("epoch keys", &(group_id, epoch, leaf_index))
    }

    fn append_own_leaf_node<GroupId: traits::GroupId<VERSION>, LeafNode: traits::LeafNode<VERSION>>(
        &self,
        group_id: &GroupId,
        leaf_node: &LeafNode,
    ) -> Result<(), MlsStoreError> {
        self.append("own leaf nodes", group_id, leaf_node)
    }

    fn own_leaf_nodes<GroupId: traits::GroupId<VERSION>, LeafNode: traits::LeafNode<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<LeafNode>, MlsStoreError> {
        self.list("own leaf nodes", group_id)
    }

    fn delete_own_leaf_nodes<GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), MlsStoreError> {
        self.del("own leaf nodes", group_id)
    }

    fn queue_proposal<
        GroupId: traits::GroupId<VERSION>,
        ProposalRef: traits::ProposalRef<VERSION>,
        QueuedProposal: traits::QueuedProposal<VERSION>,
    >(
        &self,
        group_id: &GroupId,
        proposal_ref: &ProposalRef,
        proposal: &QueuedProposal,
    ) -> Result<(), MlsStoreError> {
        self.put("proposal", &(group_id, proposal_ref), proposal)?;
        self.append("proposal refs", group_id, proposal_ref)
    }

    fn queued_proposal_refs<GroupId: traits::GroupId<VERSION>, ProposalRef: traits::ProposalRef<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<ProposalRef>, MlsStoreError> {
        self.list("proposal refs", group_id)
    }

    fn queued_proposals<
        GroupId: traits::GroupId<VERSION>,
        ProposalRef: traits::ProposalRef<VERSION>,
        QueuedProposal: traits::QueuedProposal<VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, MlsStoreError> {
        let refs: Vec<ProposalRef> = self.list("proposal refs", group_id)?;
        let missing = || MlsStoreError::Decode("a queued proposal is missing".to_owned());
        refs.into_iter()
            .map(|proposal_ref| {
                let proposal = self.get("proposal", &(group_id, &proposal_ref))?.ok_or_else(missing)?;
                Ok((proposal_ref, proposal))
            })
            .collect()
    }

    fn remove_proposal<GroupId: traits::GroupId<VERSION>, ProposalRef: traits::ProposalRef<VERSION>>(
        &self,
        group_id: &GroupId,
        proposal_ref: &ProposalRef,
    ) -> Result<(), MlsStoreError> {
        self.remove("proposal refs", group_id, proposal_ref)?;
        self.del("proposal", &(group_id, proposal_ref))
    }

    fn clear_proposal_queue<GroupId: traits::GroupId<VERSION>, ProposalRef: traits::ProposalRef<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), MlsStoreError> {
        let refs: Vec<ProposalRef> = self.list("proposal refs", group_id)?;
        for proposal_ref in &refs {
            self.del("proposal", &(group_id, proposal_ref))?;
        }
        self.del("proposal refs", group_id)
    }
}
