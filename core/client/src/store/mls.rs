//! OpenMLS's storage, borrowed from the open database transaction.
//!
//! [`TxStore`] cannot be built without a transaction, so there is no way to advance a ratchet outside the one that stores
//! the message. What is written is collected and goes to the table `mls` once per key, when [`TxStore::flush`] is called
//! before the commit: a batch of fifty messages writes the group's secrets once. `entries` lists what OpenMLS keeps.

mod entries;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;

use comptoir_sqlcipher::rusqlite::{self, OptionalExtension as _, Transaction};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Why MLS state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MlsStoreError {
    #[error("reading or writing MLS state: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("reading MLS state: {0}")]
    Unread(String),
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
    /// The first failure of the database. OpenMLS may take one for a fault of what it was given, or for something that is
    /// not there.
    failed: RefCell<Option<rusqlite::Error>>,
}

/// What OpenMLS works with during one transaction.
pub(crate) struct TxProvider<'t> {
    crypto: &'t RustCrypto,
    store: TxStore<'t>,
}

impl<'t> TxProvider<'t> {
    #[must_use]
    pub(crate) fn new(tx: &'t Transaction<'_>, crypto: &'t RustCrypto) -> Self {
        Self { crypto, store: TxStore { tx, written: RefCell::default(), failed: RefCell::default() } }
    }

    /// Writes what changed. To be called once, right before the commit.
    ///
    /// # Errors
    /// [`MlsStoreError::Sql`].
    pub(crate) fn flush(&self) -> Result<(), MlsStoreError> {
        self.store.flush()
    }

    /// The database's own failure, if there was one: whatever OpenMLS made of it, this is why the turn cannot stand.
    pub(crate) fn failure(&self) -> Option<rusqlite::Error> {
        self.store.failed.take()
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
        let select = || {
            let mut select = self.tx.prepare_cached("SELECT v FROM mls WHERE k = ?1")?;
            select.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional()
        };
        let found = select().map_err(|error| {
            let told = MlsStoreError::Unread(error.to_string());
            self.failed.borrow_mut().get_or_insert(error);
            told
        });
        Ok(found?.map(Zeroizing::new))
    }

    fn get<T: DeserializeOwned>(&self, label: &str, name: &impl Serialize) -> Result<Option<T>, MlsStoreError> {
        let Some(bytes) = self.bytes(&key(label, name)?)? else {
            return Ok(None);
        };
        ciborium::from_reader(bytes.as_slice()).map(Some).map_err(|error| MlsStoreError::Decode(error.to_string()))
    }

    fn put(&self, label: &str, name: &impl Serialize, value: &impl Serialize) -> Result<(), MlsStoreError> {
        let mut bytes = Zeroizing::new(Vec::new());
        ciborium::into_writer(value, &mut *bytes).map_err(encoding)?;
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

    fn append(&self, label: &str, name: &impl Serialize, item: &impl Serialize) -> Result<(), MlsStoreError> {
        let mut items: Vec<ciborium::Value> = self.list(label, name)?;
        items.push(ciborium::Value::serialized(item).map_err(encoding)?);
        self.put(label, name, &items)
    }

    fn remove(&self, label: &str, name: &impl Serialize, item: &impl Serialize) -> Result<(), MlsStoreError> {
        let gone = ciborium::Value::serialized(item).map_err(encoding)?;
        let mut items: Vec<ciborium::Value> = self.list(label, name)?;
        items.retain(|item| *item != gone);
        self.put(label, name, &items)
    }
}

/// label ‖ 0x00 ‖ CBOR of what the entry is named by.
fn key(label: &str, name: &impl Serialize) -> Result<Vec<u8>, MlsStoreError> {
    let mut key = label.as_bytes().to_vec();
    key.push(0);
    ciborium::into_writer(name, &mut key).map_err(encoding)?;
    Ok(key)
}

fn encoding(error: impl Display) -> MlsStoreError {
    MlsStoreError::Encode(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does something with the store of one transaction; gives what the table holds when it is flushed.
    fn check(act: impl FnOnce(&TxStore<'_>) -> Result<(), MlsStoreError>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE mls (k BLOB PRIMARY KEY, v BLOB NOT NULL)").unwrap();
        let tx = db.transaction().unwrap();
        let store = TxStore { tx: &tx, written: RefCell::default(), failed: RefCell::default() };
        act(&store).unwrap();
        let rows = || {
            let mut select = tx.prepare("SELECT k, v FROM mls").unwrap();
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.collect::<Result<Vec<_>, _>>().unwrap()
        };
        assert_eq!(rows(), [], "nothing is written before the commit");
        store.flush().unwrap();
        rows()
    }

    #[test]
    fn a_failure_of_the_database_is_remembered_whatever_is_made_of_it() {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        let tx = db.transaction().unwrap();
        let crypto = RustCrypto::default();
        let provider = TxProvider::new(&tx, &crypto);
        assert!(provider.failure().is_none());
        // There is no table: as a disk that cannot be read.
        assert!(provider.storage().get::<String>("tree", &1).is_err());
        let failure = provider.failure().unwrap();
        assert!(failure.to_string().contains("no such table"), "{failure}");
    }

    #[test]
    fn a_key_is_written_once_however_often_it_changed() {
        let rows = check(|store| {
            store.put("tree", &1, &"old")?;
            store.put("tree", &1, &"new")?;
            assert_eq!(store.get("tree", &1)?, Some("new".to_owned()));
            assert_eq!(store.get::<String>("tree", &2)?, None);
            assert_eq!(store.get::<String>("context", &1)?, None);
            Ok(())
        });
        assert_eq!(rows, [(b"tree\0\x01".to_vec(), b"\x63new".to_vec())]);
    }

    #[test]
    fn what_was_deleted_is_gone_before_and_after_the_commit() {
        let rows = check(|store| {
            store.put("psk", &1, &"secret")?;
            store.del("psk", &1)?;
            assert_eq!(store.get::<String>("psk", &1)?, None);
            Ok(())
        });
        assert_eq!(rows, []);
    }

    #[test]
    fn a_list_grows_and_shrinks_item_by_item() {
        let rows = check(|store| {
            for item in ["a", "b", "a"] {
                store.append("refs", &1, &item)?;
            }
            store.remove("refs", &1, &"a")?;
            store.remove("refs", &1, &"c")?;
            assert_eq!(store.list::<String>("refs", &1)?, ["b"]);
            assert!(store.list::<String>("refs", &2)?.is_empty());
            Ok(())
        });
        assert_eq!(rows, [(b"refs\0\x01".to_vec(), b"\x81\x61b".to_vec())]);
    }
}
