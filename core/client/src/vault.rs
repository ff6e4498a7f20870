//! Where the key of the database is kept: the phone's keystore, or a file that only its owner can read.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use comptoir_sqlcipher::DatabaseKey;
use ring::hkdf;
use zeroize::Zeroizing;

/// Keeps 32 secret bytes. A phone wraps them with a key of its keystore; a terminal has [`FileVault`].
pub trait KeyVault: Send + Sync {
    /// The root key, if there is one.
    ///
    /// # Errors
    /// [`VaultError`] when it is there but cannot be had now.
    fn load(&self) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError>;

    /// Keeps a new root key. Never replaces one.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is kept then.
    fn store(&self, key: &[u8; 32]) -> Result<(), VaultError>;
}

/// Why the root key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} can be read by others; `chmod 600` it")]
    Open { path: PathBuf },
    #[error("{path} is not a key")]
    NotAKey { path: PathBuf },
    #[error("{path} holds another key already")]
    Taken { path: PathBuf },
}

/// A root key in a file with mode 0600.
pub struct FileVault {
    path: PathBuf,
}

impl FileVault {
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn io(&self, source: io::Error) -> VaultError {
        VaultError::Io { path: self.path.clone(), source }
    }
}

impl KeyVault for FileVault {
    fn load(&self) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(error)),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&self.path).map_err(|error| self.io(error))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(VaultError::Open { path: self.path.clone() });
            }
        }
        let key = bytes.as_slice().try_into().map_err(|_| VaultError::NotAKey { path: self.path.clone() })?;
        Ok(Some(Zeroizing::new(key)))
    }

    fn store(&self, key: &[u8; 32]) -> Result<(), VaultError> {
        write_secret(&self.path, key).map_err(|error| {
            let taken = error.kind() == io::ErrorKind::AlreadyExists;
            if taken { VaultError::Taken { path: self.path.clone() } } else { self.io(error) }
        })
    }
}

/// Writes a new file that only its owner can read, and makes sure that it and its name are on disk.
///
/// # Errors
/// [`io::Error`]; `AlreadyExists` when there is such a file.
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Derives the database key from the root key (HKDF-SHA256, RFC 5869).
pub(crate) fn database_key(root: &[u8; 32]) -> DatabaseKey {
    struct Len;
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            DatabaseKey::LEN
        }
    }
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"comptoir/root/v1");
    let mut key = [0; DatabaseKey::LEN];
    salt.extract(root)
        .expand(&[b"db/1"], Len)
        .and_then(|okm| okm.fill(&mut key))
        .expect("48 bytes are within what HKDF-SHA256 can give");
    DatabaseKey::from_bytes(key)
}
