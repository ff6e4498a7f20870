//! Key packages: how a device can be invited while it is offline.

use comptoir_content::DeviceId;
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    Capabilities, ExtensionType, KeyPackage, KeyPackageIn, Lifetime, OpenMlsProvider, ProtocolVersion,
};

use super::member::DeviceSigner;
use super::{Me, Member, Roster, SUITE, SessionError, store, unreadable};

/// A key package may be used for 90 days.
const KEY_PACKAGE_LIFE_S: u64 = 90 * 24 * 3600;

/// Makes a key package, by which others can invite this device while it is offline. Its secrets are stored.
///
/// # Errors
/// [`SessionError`] when the store fails.
pub fn make_key_package<P: OpenMlsProvider>(provider: &P, me: &Me, last_resort: bool) -> Result<Vec<u8>, SessionError> {
    let mut builder = KeyPackage::builder().key_package_lifetime(Lifetime::new(KEY_PACKAGE_LIFE_S));
    if last_resort {
        // What a package carries its owner must say that it understands, or nobody takes it.
        let understood = Capabilities::new(None, None, Some(&[ExtensionType::LastResort]), None, None);
        builder = builder.mark_as_last_resort().leaf_node_capabilities(understood);
    }
    let bundle = builder
        .build(SUITE, provider, &DeviceSigner(&me.key), me.credential())
        .map_err(|error| store("making a key package")(&error))?;
    bundle.key_package().tls_serialize_detached().map_err(|error| store("writing a key package")(&error))
}

/// A key package of a device that may be invited.
pub struct Invitee {
    pub member: Member,
    pub(super) package: KeyPackage,
}

/// Reads a key package that a relay gave us for `device`, and checks that it is that device's.
///
/// # Errors
/// [`SessionError`] when it is not, or not valid.
pub fn read_key_package<P: OpenMlsProvider>(
    provider: &P,
    bytes: &[u8],
    device: DeviceId,
    roster: &Roster<'_>,
) -> Result<Invitee, SessionError> {
    let doing = "reading a key package";
    let package = KeyPackageIn::tls_deserialize_exact(bytes).map_err(|error| unreadable(doing)(&error))?;
    let package =
        package.validate(provider.crypto(), ProtocolVersion::Mls10).map_err(|error| unreadable(doing)(&error))?;
    if package.ciphersuite() != SUITE {
        return Err(SessionError::Member { why: "it uses another cipher suite" });
    }
    let leaf = package.leaf_node();
    let member = roster.check(leaf.credential(), leaf.signature_key().as_slice())?;
    if member.device != device {
        return Err(SessionError::Member { why: "the relay gave the key package of another device" });
    }
    Ok(Invitee { member, package })
}
