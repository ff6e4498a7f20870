//! Where the key of the database is kept: the phone's keystore, or a file that only its owner can read.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use comptoir_sqlcipher::DatabaseKey;
use ring::hkdf;
use zeroize::Zeroizing;

use crate::facade::{KeyVault, ShellError};

const KEY_LEN: usize = 32;

/// Why the root key cannot be had.
#[derive(Debug, thiserror::Error)]
enum VaultError {
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

impl From<VaultError> for ShellError {
    fn from(error: VaultError) -> Self {
        Self::Failed { detail: error.to_string() }
    }
}

impl KeyVault for FileVault {
    fn load(&self) -> Result<Option<Vec<u8>>, ShellError> {
        Ok(self.read()?)
    }

    fn store(&self, key: Vec<u8>) -> Result<(), ShellError> {
        let key = Zeroizing::new(key);
        write_secret(&self.path, &key).map_err(|error| {
            let taken = error.kind() == io::ErrorKind::AlreadyExists;
            ShellError::from(if taken { VaultError::Taken { path: self.path.clone() } } else { self.io(error) })
        })
    }
}

impl FileVault {
    fn read(&self) -> Result<Option<Vec<u8>>, VaultError> {
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
        if bytes.len() != KEY_LEN {
            return Err(VaultError::NotAKey { path: self.path.clone() });
        }
        Ok(Some(bytes.to_vec()))
    }
}

/// Writes a new file that only its owner can read, and makes sure that it and its name are on disk.
///
/// # Errors
/// [`io::Error`]; `AlreadyExists` when there is such a file.
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // Whole before it has its name: a file cut off by a power cut would lock its owner out.
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    // What an earlier attempt left is not written into: it may be a link, or open to others.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // A link never replaces, as a renaming would. Not every file system has links.
    match fs::hard_link(&fresh, path) {
        Ok(()) => fs::remove_file(&fresh)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&fresh)?;
            return Err(error);
        }
        Err(_) => fs::rename(&fresh, path)?,
    }
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_secret_is_written_into_nothing_that_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let (key, elsewhere) = (dir.path().join("a.key"), dir.path().join("elsewhere"));
        fs::write(&elsewhere, "another's").unwrap();
        symlink(&elsewhere, dir.path().join("a.key.new")).unwrap();
        write_secret(&key, &[7; 32]).unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), b"another's");
        assert_eq!(fs::read(&key).unwrap(), [7; 32]);

        let other = dir.path().join("b.key");
        let left = dir.path().join("b.key.new");
        fs::write(&left, "half").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        write_secret(&other, &[8; 32]).unwrap();
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!left.exists());
    }

    #[test]
    fn a_secret_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("a.key");
        write_secret(&key, &[7; 32]).unwrap();
        assert_eq!(write_secret(&key, &[8; 32]).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&key).unwrap(), [7; 32]);
    }
}
