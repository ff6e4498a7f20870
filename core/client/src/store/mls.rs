//! OpenMLS's storage, borrowed from the open database transaction.
//!
//! [`TxStore`] cannot be built without a transaction, so there is no way to advance a ratchet outside the one that stores
//! the message. What is written is collected and goes to the table `mls` once per key, when [`TxStore::flush`] is called
//! before the commit: a batch of fifty messages writes the group's secrets once.

use std::cell::RefCell;
use std::collections::BTreeMap;

use comptoir_sqlcipher::rusqlite::{self, OptionalExtension as _, Transaction};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

const VERSION: u16 = CURRENT_VERSION;

/// Why MLS state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MlsStoreError {
    #[error("reading or writing MLS state: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("encoding MLS state: {0}")]
    Encode(String),
    #[error("decoding MLS state: {0}")]
    Decode(String),
}

/// What was written, by key; `None` for deleted.
type Written = BTreeMap<Vec<u8>, Option<Zeroizing<Vec<u8>>>>;

/// The storage provider of one transaction.
pub(crate) struct TxStore<'t> {
    tx: &'t Transaction<'t>,
    written: RefCell<Written>,
}

/// What OpenMLS works with during one transaction.
pub(crate) struct TxProvider<'t> {
    crypto: &'t RustCrypto,
    store: TxStore<'t>,
}

impl<'t> TxProvider<'t> {
    #[must_use]
    pub(crate) fn new(tx: &'t Transaction<'_>, crypto: &'t RustCrypto) -> Self {
        Self { crypto, store: TxStore { tx, written: RefCell::default() } }
    }

    /// Writes what changed. To be called once, right before the commit.
    ///
    /// # Errors
    /// [`MlsStoreError::Sql`].
    pub(crate) fn flush(&self) -> Result<(), MlsStoreError> {
        self.store.flush()
    }
}

impl<'t> OpenMlsProvider for TxProvider<'t> {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = TxStore<'t>;

    fn storage(&self) -> &TxStore<'t> {
        &self.store
    }

    fn crypto(&self) -> &RustCrypto {
        self.crypto
    }

    fn rand(&self) -> &RustCrypto {
        self.crypto
    }
}

/// label ‖ 0x00 ‖ CBOR of what the entry is named by.
fn key(label: &str, name: &impl Serialize) -> Result<Vec<u8>, MlsStoreError> {
    let mut key = label.as_bytes().to_vec();
    key.push(0);
    ciborium::into_writer(name, &mut key).map_err(|error| MlsStoreError::Encode(error.to_string()))?;
    Ok(key)
}

impl TxStore<'_> {
    fn flush(&self) -> Result<(), MlsStoreError> {
        for (key, value) in std::mem::take(&mut *self.written.borrow_mut()) {
            match value {
                Some(value) => self
                    .tx
                    .prepare_cached("INSERT INTO mls (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = ?2")?
                    .execute((key, value.as_slice()))?,
                None => self.tx.prepare_cached("DELETE FROM mls WHERE k = ?1")?.execute([key])?,
            };
        }
        Ok(())
    }

    fn bytes(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, MlsStoreError> {
        if let Some(written) = self.written.borrow().get(key) {
            return Ok(written.clone());
        }
        let mut select = self.tx.prepare_cached("SELECT v FROM mls WHERE k = ?1")?;
        Ok(select.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional()?.map(Zeroizing::new))
    }

    fn get<T: DeserializeOwned>(&self, label: &str, name: &impl Serialize) -> Result<Option<T>, MlsStoreError> {
        let Some(bytes) = self.bytes(&key(label, name)?)? else {
            return Ok(None);
        };
        ciborium::from_reader(bytes.as_slice()).map(Some).map_err(|error| MlsStoreError::Decode(error.to_string()))
    }

    fn put(&self, label: &str, name: &impl Serialize, value: &impl Serialize) -> Result<(), MlsStoreError> {
        let mut bytes = Zeroizing::new(Vec::new());
        ciborium::into_writer(value, &mut *bytes).map_err(|error| MlsStoreError::Encode(error.to_string()))?;
        self.written.borrow_mut().insert(key(label, name)?, Some(bytes));
        Ok(())
    }

    fn del(&self, label: &str, name: &impl Serialize) -> Result<(), MlsStoreError> {
        self.written.borrow_mut().insert(key(label, name)?, None);
        Ok(())
    }

    /// A list entry is a list of CBOR items, so that it can grow without knowing the type of the others.
    fn list<T: DeserializeOwned>(&self, label: &str, name: &impl Serialize) -> Result<Vec<T>, MlsStoreError> {
        Ok(self.get(label, name)?.unwrap_or_default())
    }

    fn append<T: Serialize>(&self, label: &str, name: &impl Serialize, item: &T) -> Result<(), MlsStoreError> {
        let item = ciborium::Value::serialized(item).map_err(|error| MlsStoreError::Encode(error.to_string()))?;
        let mut items: Vec<ciborium::Value> = self.list(label, name)?;
        items.push(item);
        self.put(label, name, &items)
    }
}

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
