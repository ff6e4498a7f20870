//! Ed25519 keys. Verification is strict: no small-order keys, no second encoding of a signature.

use std::fmt;

use ed25519_dalek::Signer as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{ContentError, Hash};

/// An Ed25519 public key, as 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Takes exactly 32 bytes.
    ///
    /// # Errors
    /// [`ContentError::Field`] for any other number of bytes.
    pub fn from_slice(field: &'static str, bytes: &[u8]) -> Result<Self, ContentError> {
        bytes.try_into().map(Self).map_err(|_| ContentError::field(field, "not 32 bytes"))
    }

    /// True when `signature` is this key's over `context` and `bytes`.
    #[must_use]
    pub fn verifies(&self, context: &str, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&self.0) else {
            return false;
        };
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        key.verify_strict(&signature_input(context, bytes), &signature).is_ok()
    }

    /// SHA-256 of the key: how a key is named before it is shown.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// An Ed25519 signing key. Zeroised when dropped, never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of a 32-byte seed, which must be random. The seed is wiped.
    #[must_use]
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        seed.zeroize();
        Self(key)
    }

    /// The seed, to store it where secrets are stored.
    #[must_use]
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `bytes` for the purpose that `context` names.
    #[must_use]
    pub fn sign(&self, context: &str, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(&signature_input(context, bytes)).to_bytes()
    }
}

impl SigningKey {
    /// Signs what MLS gives to be signed. RFC 9420 brings its own context (`MLS 1.0 …`), which none of ours begins with.
    #[must_use]
    pub fn sign_mls(&self, payload: &[u8]) -> [u8; 64] {
        self.0.sign(payload).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// context ‖ 0x00 ‖ u64 length, big endian ‖ bytes.
fn signature_input(context: &str, bytes: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(context.len() + 9 + bytes.len());
    input.extend_from_slice(context.as_bytes());
    input.push(0);
    input.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    input.extend_from_slice(bytes);
    input
}
