//! Signed objects travel as the exact bytes that were signed, and are read only in their one canonical form.

use std::fmt;
use std::marker::PhantomData;

use prost::Message;

use crate::error::need;
use crate::{ContentError, Hash, PublicKey, SigningKey, proto};

/// Something that is signed: an invoice, a receipt, a certificate.
pub trait Object: Sized + private::Shape {
    /// What a signature under it is for, such as `comptoir/invoice/v1`. No other object has the same.
    const CONTEXT: &'static str;
    /// Its name in errors.
    const WHAT: &'static str;
}

/// Keeps [`Object`] to the objects of this crate.
pub(crate) mod private {
    use super::{ContentError, Message};

    #[allow(unreachable_pub, unnameable_types, reason = "a sealed trait: public bounds name it, nobody else can")]
    pub trait Shape {
        type Proto: Message + Default;

        fn to_proto(&self) -> Self::Proto;

        /// # Errors
        /// Names the field that cannot be.
        fn from_proto(proto: Self::Proto) -> Result<Self, ContentError>
        where
            Self: Sized;

        fn version(proto: &Self::Proto) -> u32;
    }
}

/// The version that every signed object has today.
pub(crate) const VERSION: u32 = 1;

/// Reads the canonical bytes of `T`. Whatever does not encode back to the same bytes is refused: an unknown field, one
/// that stands twice, another order, a default written out.
pub(crate) fn read_canonical<T: Object>(bytes: &[u8]) -> Result<T, ContentError> {
    let what = T::WHAT;
    let proto =
        T::Proto::decode(bytes).map_err(|error| ContentError::Unreadable { what, reason: error.to_string() })?;
    if T::version(&proto) > VERSION || proto.encode_to_vec() != bytes {
        return Err(ContentError::UpdateApp { what });
    }
    if T::version(&proto) < VERSION {
        return Err(ContentError::field("version", "missing"));
    }
    T::from_proto(proto)
}

/// An object as it travels: bytes, the key that is said to have signed them, a signature that nobody has checked yet.
pub struct Signed<T> {
    object: Vec<u8>,
    signer: PublicKey,
    signature: [u8; 64],
    kind: PhantomData<fn() -> T>,
}

/// An object whose signature holds. It can only be had from [`Signed::verify`].
///
/// Whether the *signer* may sign such a thing is another question, which the engine answers with the account log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    object: T,
    signer: PublicKey,
    hash: Hash,
}

impl<T: Object> Signed<T> {
    /// Signs `object`.
    #[must_use]
    pub fn sign(object: &T, key: &SigningKey) -> Self {
        let bytes = object.to_proto().encode_to_vec();
        let signature = key.sign(T::CONTEXT, &bytes);
        Self { object: bytes, signer: key.public(), signature, kind: PhantomData }
    }

    /// Checks the signature and reads the object.
    ///
    /// # Errors
    /// [`ContentError::Signature`] when it does not hold, [`ContentError::UpdateApp`] when the object says more than
    /// this version knows, [`ContentError::Field`] when a value cannot be.
    pub fn verify(&self) -> Result<Verified<T>, ContentError> {
        if !self.signer.verifies(T::CONTEXT, &self.object, &self.signature) {
            return Err(ContentError::Signature { what: T::WHAT });
        }
        Ok(Verified { object: read_canonical(&self.object)?, signer: self.signer, hash: self.hash() })
    }

    /// Reads the object once more, without checking the signature: only for bytes that were verified before they were
    /// kept where nobody else can write.
    ///
    /// # Errors
    /// As [`Signed::verify`], but for the signature.
    pub fn read_again(&self) -> Result<T, ContentError> {
        read_canonical(&self.object)
    }
}

impl<T> Signed<T> {
    /// The key that is said to have signed. Proven only by [`Signed::verify`].
    #[must_use]
    pub fn signer(&self) -> PublicKey {
        self.signer
    }

    /// SHA-256 of the signed bytes: what other objects name this one by.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.object)
    }

    /// The bytes to keep: object, signer and signature.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads what [`Signed::encode`] wrote. Nothing is verified yet.
    ///
    /// # Errors
    /// [`ContentError`] when it is not a signed object at all.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        let proto = proto::Signed::decode(bytes)
            .map_err(|error| ContentError::Unreadable { what: "signed object", reason: error.to_string() })?;
        Self::from_proto(proto)
    }

    pub(crate) fn to_proto(&self) -> proto::Signed {
        proto::Signed {
            object: self.object.clone(),
            signer: self.signer.0.to_vec(),
            signature: self.signature.to_vec(),
        }
    }

    pub(crate) fn from_proto(signed: proto::Signed) -> Result<Self, ContentError> {
        let signature =
            signed.signature.as_slice().try_into().map_err(|_| ContentError::field("signature", "not 64 bytes"))?;
        Ok(Self {
            object: signed.object,
            signer: PublicKey::from_slice("signer", &signed.signer)?,
            signature,
            kind: PhantomData,
        })
    }

    pub(crate) fn from_field(field: &'static str, signed: Option<proto::Signed>) -> Result<Self, ContentError> {
        Self::from_proto(need(field, signed)?)
    }
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), signer: self.signer, signature: self.signature, kind: PhantomData }
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.object == other.object && self.signer == other.signer && self.signature == other.signature
    }
}

impl<T> Eq for Signed<T> {}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} bytes by {:?})", self.object.len(), self.signer)
    }
}

impl<T> Verified<T> {
    /// The key that signed.
    pub fn signer(&self) -> PublicKey {
        self.signer
    }

    /// SHA-256 of the signed bytes.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The object, without the proof that it was signed.
    pub fn into_inner(self) -> T {
        self.object
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}
