//! What OpenMLS keeps, entry by entry: under which label, and named by what.

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};

use super::{MlsStoreError, TxStore};

const VERSION: u16 = CURRENT_VERSION;

impl StorageProvider<VERSION> for TxStore<'_> {
    type Error = MlsStoreError;

    fn write_mls_join_config<
        GroupId: traits::GroupId<VERSION>,
        MlsGroupJoinConfig: traits::MlsGroupJoinConfig<VERSION>,
    >(
        &self,
        group_id: &GroupId,
        value: &MlsGroupJoinConfig,
    ) -> Result<(), MlsStoreError> {
        self.put("join config", group_id, value)
    }

    fn mls_group_join_config<
        GroupId: traits::GroupId<VERSION>,
        MlsGroupJoinConfig: traits::MlsGroupJoinConfig<VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<MlsGroupJoinConfig>, MlsStoreError> {
        self.get("join config", group_id)
    }

    fn delete_group_config<GroupId: traits::GroupId<VERSION>>(&self, group_id: &GroupId) -> Result<(), MlsStoreError> {
        self.del("join config", group_id)
    }

    fn write_tree<GroupId: traits::GroupId<VERSION>, TreeSync: traits::TreeSync<VERSION>>(
        &self,
        group_id: &GroupId,
        value: &TreeSync,
    ) -> Result<(), MlsStoreError> {
        self.put("tree", group_id, value)
    }

    fn tree<GroupId: traits::GroupId<VERSION>, TreeSync: traits::TreeSync<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<TreeSync>, MlsStoreError> {
        self.get("tree", group_id)
    }

    fn delete_tree<GroupId: traits::GroupId<VERSION>>(&self, group_id: &GroupId) -> Result<(), MlsStoreError> {
        self.del("tree", group_id)
    }

    fn write_interim_transcript_hash<
        GroupId: traits::GroupId<VERSION>,
        InterimTranscriptHash: traits::InterimTranscriptHash<VERSION>,
    >(
        &self,
        group_id: &GroupId,
        value: &InterimTranscriptHash,
    ) -> Result<(), MlsStoreError> {
        self.put("transcript", group_id, value)
    }

    fn interim_transcript_hash<
        GroupId: traits::GroupId<VERSION>,
        InterimTranscriptHash: traits::InterimTranscriptHash<VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<InterimTranscriptHash>, MlsStoreError> {
        self.get("transcript", group_id)
    }

    fn delete_interim_transcript_hash<GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), MlsStoreError> {
        self.del("transcript", group_id)
    }

    fn write_context<GroupId: traits::GroupId<VERSION>, GroupContext: traits::GroupContext<VERSION>>(
        &self,
        group_id: &GroupId,
        value: &GroupContext,
    ) -> Result<(), MlsStoreError> {
        self.put("context", group_id, value)
    }

    fn group_context<GroupId: traits::GroupId<VERSION>, GroupContext: traits::GroupContext<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<GroupContext>, MlsStoreError> {
        self.get("context", group_id)
    }

    fn delete_context<GroupId: traits::GroupId<VERSION>>(&self, group_id: &GroupId) -> Result<(), MlsStoreError> {
        self.del("context", group_id)
    }

    fn write_confirmation_tag<GroupId: traits::GroupId<VERSION>, ConfirmationTag: traits::ConfirmationTag<VERSION>>(
        &self,
        group_id: &GroupId,
        value: &ConfirmationTag,
    ) -> Result<(), MlsStoreError> {
        self.put("confirmation tag", group_id, value)
    }

    fn confirmation_tag<GroupId: traits::GroupId<VERSION>, ConfirmationTag: traits::ConfirmationTag<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<ConfirmationTag>, MlsStoreError> {
        self.get("confirmation tag", group_id)
    }

    fn delete_confirmation_tag<GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), MlsStoreError> {
        self.del("confirmation tag", group_id)
    }

    fn write_group_state<GroupState: traits::GroupState<VERSION>, GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
        value: &GroupState,
    ) -> Result<(), MlsStoreError> {
        self.put("state", group_id, value)
    }

    fn group_state<GroupState: traits::GroupState<VERSION>, GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<GroupState>, MlsStoreError> {
        self.get("state", group_id)
    }

    fn delete_group_state<GroupId: traits::GroupId<VERSION>>(&self, group_id: &GroupId) -> Result<(), MlsStoreError> {
        self.del("state", group_id)
    }

    fn write_message_secrets<GroupId: traits::GroupId<VERSION>, MessageSecrets: traits::MessageSecrets<VERSION>>(
        &self,
        group_id: &GroupId,
        value: &MessageSecrets,
    ) -> Result<(), MlsStoreError> {
        self.put("message secrets", group_id, value)
    }

    fn message_secrets<GroupId: traits::GroupId<VERSION>, MessageSecrets: traits::MessageSecrets<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<MessageSecrets>, MlsStoreError> {
        self.get("message secrets", group_id)
    }

    fn delete_message_secrets<GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), MlsStoreError> {
        self.del("message secrets", group_id)
    }

    fn write_resumption_psk_store<
        GroupId: traits::GroupId<VERSION>,
        ResumptionPskStore: traits::ResumptionPskStore<VERSION>,
    >(
        &self,
        group_id: &GroupId,
        value: &ResumptionPskStore,
    ) -> Result<(), MlsStoreError> {
        self.put("resumption", group_id, value)
    }

    fn resumption_psk_store<
        GroupId: traits::GroupId<VERSION>,
        ResumptionPskStore: traits::ResumptionPskStore<VERSION>,
    >(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<ResumptionPskStore>, MlsStoreError> {
        self.get("resumption", group_id)
    }

    fn delete_all_resumption_psk_secrets<GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), MlsStoreError> {
        self.del("resumption", group_id)
    }

    fn write_own_leaf_index<GroupId: traits::GroupId<VERSION>, LeafNodeIndex: traits::LeafNodeIndex<VERSION>>(
        &self,
        group_id: &GroupId,
        value: &LeafNodeIndex,
    ) -> Result<(), MlsStoreError> {
        self.put("own leaf index", group_id, value)
    }

    fn own_leaf_index<GroupId: traits::GroupId<VERSION>, LeafNodeIndex: traits::LeafNodeIndex<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<LeafNodeIndex>, MlsStoreError> {
        self.get("own leaf index", group_id)
    }

    fn delete_own_leaf_index<GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), MlsStoreError> {
        self.del("own leaf index", group_id)
    }

    fn write_group_epoch_secrets<
        GroupId: traits::GroupId<VERSION>,
        GroupEpochSecrets: traits::GroupEpochSecrets<VERSION>,
    >(
        &self,
        group_id: &GroupId,
        value: &GroupEpochSecrets,
    ) -> Result<(), MlsStoreError> {
        self.put("epoch secrets", group_id, value)
    }

    fn group_epoch_secrets<GroupId: traits::GroupId<VERSION>, GroupEpochSecrets: traits::GroupEpochSecrets<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<Option<GroupEpochSecrets>, MlsStoreError> {
        self.get("epoch secrets", group_id)
    }

    fn delete_group_epoch_secrets<GroupId: traits::GroupId<VERSION>>(
        &self,
        group_id: &GroupId,
    ) -> Result<(), MlsStoreError> {
        self.del("epoch secrets", group_id)
    }

    fn write_signature_key_pair<
        SignaturePublicKey: traits::SignaturePublicKey<VERSION>,
        SignatureKeyPair: traits::SignatureKeyPair<VERSION>,
    >(
        &self,
        public_key: &SignaturePublicKey,
        value: &SignatureKeyPair,
    ) -> Result<(), MlsStoreError> {
        self.put("signature key", public_key, value)
    }

    fn signature_key_pair<
        SignaturePublicKey: traits::SignaturePublicKey<VERSION>,
        SignatureKeyPair: traits::SignatureKeyPair<VERSION>,
    >(
        &self,
        public_key: &SignaturePublicKey,
    ) -> Result<Option<SignatureKeyPair>, MlsStoreError> {
        self.get("signature key", public_key)
    }

    fn delete_signature_key_pair<SignaturePublicKey: traits::SignaturePublicKey<VERSION>>(
        &self,
        public_key: &SignaturePublicKey,
    ) -> Result<(), MlsStoreError> {
        self.del("signature key", public_key)
    }

    fn write_encryption_key_pair<
        EncryptionKey: traits::EncryptionKey<VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<VERSION>,
    >(
        &self,
        public_key: &EncryptionKey,
        value: &HpkeKeyPair,
    ) -> Result<(), MlsStoreError> {
        self.put("encryption key", public_key, value)
    }

    fn encryption_key_pair<HpkeKeyPair: traits::HpkeKeyPair<VERSION>, EncryptionKey: traits::EncryptionKey<VERSION>>(
        &self,
        public_key: &EncryptionKey,
    ) -> Result<Option<HpkeKeyPair>, MlsStoreError> {
        self.get("encryption key", public_key)
    }

    fn delete_encryption_key_pair<EncryptionKey: traits::EncryptionKey<VERSION>>(
        &self,
        public_key: &EncryptionKey,
    ) -> Result<(), MlsStoreError> {
        self.del("encryption key", public_key)
    }

    fn write_key_package<HashReference: traits::HashReference<VERSION>, KeyPackage: traits::KeyPackage<VERSION>>(
        &self,
        hash_ref: &HashReference,
        value: &KeyPackage,
    ) -> Result<(), MlsStoreError> {
        self.put("key package", hash_ref, value)
    }

    fn key_package<HashReference: traits::HashReference<VERSION>, KeyPackage: traits::KeyPackage<VERSION>>(
        &self,
        hash_ref: &HashReference,
    ) -> Result<Option<KeyPackage>, MlsStoreError> {
        self.get("key package", hash_ref)
    }

    fn delete_key_package<HashReference: traits::HashReference<VERSION>>(
        &self,
        hash_ref: &HashReference,
    ) -> Result<(), MlsStoreError> {
        self.del("key package", hash_ref)
    }

    fn write_psk<PskId: traits::PskId<VERSION>, PskBundle: traits::PskBundle<VERSION>>(
        &self,
        psk_id: &PskId,
        value: &PskBundle,
    ) -> Result<(), MlsStoreError> {
        self.put("psk", psk_id, value)
    }

    fn psk<PskBundle: traits::PskBundle<VERSION>, PskId: traits::PskId<VERSION>>(
        &self,
        psk_id: &PskId,
    ) -> Result<Option<PskBundle>, MlsStoreError> {
        self.get("psk", psk_id)
    }

    fn delete_psk<PskId: traits::PskId<VERSION>>(&self, psk_id: &PskId) -> Result<(), MlsStoreError> {
        self.del("psk", psk_id)
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
        let gone =
            ciborium::Value::serialized(proposal_ref).map_err(|error| MlsStoreError::Encode(error.to_string()))?;
        let mut refs: Vec<ciborium::Value> = self.list("proposal refs", group_id)?;
        refs.retain(|known| *known != gone);
        self.put("proposal refs", group_id, &refs)?;
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
