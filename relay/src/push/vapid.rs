//! Who knocks: the key by which push services tell this relay from others (VAPID, RFC 8292), and a word signed with it for
//! each knock.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroizing;

/// Beside the database. Whoever copies or moves the relay takes it along: endpoints were given for this key.
const FILE: &str = "push.key";
/// A word holds for so long, in seconds; push services take no more than a day.
const LIFE_S: i64 = 12 * 60 * 60;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("{path}: {source}", path = path.display())]
    Io { path: std::path::PathBuf, source: io::Error },
    #[error("{path} can be read by others; `chmod 600` it", path = path.display())]
    Open { path: std::path::PathBuf },
    #[error("{path} is not a key; put its copy back, or remove it and all devices ask for new endpoints", path = path.display())]
    NotAKey { path: std::path::PathBuf },
    #[error("the system has no random numbers")]
    Random,
}

pub(super) struct Vapid {
    key: EcdsaKeyPair,
    random: SystemRandom,
    public: [u8; 65],
    contact: Option<String>,
    is_new: bool,
}

impl std::fmt::Debug for Vapid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vapid(…)")
    }
}

impl Vapid {
    /// Reads the key of the relay in `dir`, which it makes when there is none.
    pub(super) fn open(dir: &Path, contact: Option<String>) -> Result<Self, KeyError> {
        let path = dir.join(FILE);
        let random = SystemRandom::new();
        let found = read(&path)?;
        let is_new = found.is_none();
        let pkcs8 = match found {
            Some(pkcs8) => pkcs8,
            None => {
                let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                let made = Zeroizing::new(made.map_err(|_| KeyError::Random)?.as_ref().to_vec());
                write(&path, &made).map_err(|source| KeyError::Io { path: path.clone(), source })?;
                made
            }
        };
        let not_a_key = || KeyError::NotAKey { path: path.clone() };
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random);
        let key = key.map_err(|_| not_a_key())?;
        let public = key.public_key().as_ref().try_into().map_err(|_| not_a_key())?;
        Ok(Self { key, random, public, contact, is_new })
    }

    /// What distributors ask for: the public key as a point, uncompressed.
    pub(super) fn public(&self) -> [u8; 65] {
        self.public
    }

    /// Whether it was made just now. No endpoint was given for it yet.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The header `Authorization` for a push service, by the origin of its endpoints. `None` when the system has no random
    /// numbers.
    pub(super) fn authorization(&self, origin: &str, now_ms: i64) -> Option<String> {
        let expires_at_s = now_ms / 1_000 + LIFE_S;
        // Neither holds a quotation mark: where the relay knocks is checked for that, and so is its configuration.
        let contact = self.contact.as_ref().map(|contact| format!(",\"sub\":\"{contact}\"")).unwrap_or_default();
        let claims = format!("{{\"aud\":\"{origin}\",\"exp\":{expires_at_s}{contact}}}");
        let parts =
            [&br#"{"typ":"JWT","alg":"ES256"}"#[..], claims.as_bytes()].map(|part| BASE64URL_NOPAD.encode(part));
        let signed = parts.join(".");
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok()?;
        let (signature, key) = (BASE64URL_NOPAD.encode(signature.as_ref()), BASE64URL_NOPAD.encode(&self.public));
        Some(format!("vapid t={signed}.{signature}, k={key}"))
    }
}

/// The private key as it stands in its file; wiped when it is let go of.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    let found = match fs::read(path) {
        Ok(found) => Zeroizing::new(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::metadata(path).map_err(io)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned() });
        }
    }
    Ok(Some(found))
}

/// All of it is on the disk under its name, or nothing: a relay that is killed here makes another one.
fn write(path: &Path, pkcs8: &[u8]) -> io::Result<()> {
    let making = path.with_extension("key.new");
    match fs::remove_file(&making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&making)?;
    file.write_all(pkcs8)?;
    file.sync_all()?;
    fs::rename(&making, path)?;
    #[cfg(unix)]
    if let Some(dir) = path.parent() {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    /// What a push service reads of it, after it found the signature good.
    fn read_by_a_push_service(authorization: &str, key: &[u8; 65]) -> (String, String) {
        let (token, k) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(BASE64URL_NOPAD.decode(k.as_bytes()).unwrap(), key);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed.as_bytes(), &signature).unwrap();
        let part = |part: &str| String::from_utf8(BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap();
        let (head, claims) = signed.split_once('.').unwrap();
        (part(head), part(claims))
    }

    #[test]
    fn a_push_service_can_check_who_knocks() {
        let dir = tempfile::tempdir().unwrap();
        let vapid = Vapid::open(dir.path(), None).unwrap();
        assert_eq!(vapid.public()[0], 4, "uncompressed");
        let word = vapid.authorization("https://push.example", NOW_MS).unwrap();
        let (head, claims) = read_by_a_push_service(&word, &vapid.public());
        assert_eq!(head, r#"{"typ":"JWT","alg":"ES256"}"#);
        assert_eq!(claims, r#"{"aud":"https://push.example","exp":1800043200}"#);
        let vapid = Vapid::open(dir.path(), Some("mailto:relay@example.org".to_owned())).unwrap();
        let word = vapid.authorization("https://push.example:8443", NOW_MS).unwrap();
        let (_, claims) = read_by_a_push_service(&word, &vapid.public());
        let expected = r#"{"aud":"https://push.example:8443","exp":1800043200,"sub":"mailto:relay@example.org"}"#;
        assert_eq!(claims, expected);
    }

    #[test]
    fn the_key_stays_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = Vapid::open(dir.path(), None).unwrap();
        let again = Vapid::open(dir.path(), None).unwrap();
        assert_eq!(again.public(), made.public());
        assert_eq!((made.is_new(), again.is_new()), (true, false));
        let path = dir.path().join(FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let refused = Vapid::open(dir.path(), None).unwrap_err().to_string();
            assert!(refused.ends_with("can be read by others; `chmod 600` it"), "{refused}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::write(&path, "no key").unwrap();
        let refused = Vapid::open(dir.path(), None).unwrap_err().to_string();
        assert!(refused.contains("is not a key"), "{refused}");
    }
}
