//! What is signed for a relay. A signature names its purpose, so that it can never serve another one.

use crate::{AccountId, DeviceId};

/// Context of the signature that opens a connection.
pub const AUTH_CONTEXT: &str = "comptoir/relay-auth/v1";
/// Context of the signature under each entry of an account log.
pub const LOG_CONTEXT: &str = "comptoir/account-log/v1";

/// Context of the signature under the key that an entry hands the log over to.
pub const NEXT_KEY_CONTEXT: &str = "comptoir/log-next-key/v1";
/// Context of the signature that removes another device of the account.
pub const REMOVE_DEVICE_CONTEXT: &str = "comptoir/remove-device/v1";

/// The bytes that are signed: context ‖ 0x00 ‖ u64 length, big endian ‖ bytes.
#[must_use]
pub fn signature_input(context: &str, bytes: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(context.len() + 9 + bytes.len());
    input.extend_from_slice(context.as_bytes());
    input.push(0);
    input.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    input.extend_from_slice(bytes);
    input
}

/// What a device signs to open its mailbox, with [`AUTH_CONTEXT`]: the relay's nonce, the device, and the address that
/// was dialed, so that one relay cannot pass another's challenge on.
#[must_use]
pub fn auth_bytes(nonce: &[u8; 32], device: DeviceId, address: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(48 + address.len());
    bytes.extend_from_slice(nonce);
    bytes.extend_from_slice(&device.0);
    bytes.extend_from_slice(address.as_bytes());
    bytes
}

/// The whole input of the signature over [`auth_bytes`].
#[must_use]
pub fn auth_input(nonce: &[u8; 32], device: DeviceId, address: &str) -> Vec<u8> {
    signature_input(AUTH_CONTEXT, &auth_bytes(nonce, device, address))
}

/// What the signer of a log entry signs when the entry replaces the log key, with [`NEXT_KEY_CONTEXT`]: the SHA-256 of the
/// entry, so that it serves no other one, and the key.
#[must_use]
pub fn next_key_bytes(entry_hash: &[u8; 32], next_key: &[u8; 32]) -> Vec<u8> {
    [entry_hash.as_slice(), next_key].concat()
}

/// What an account's log key signs to remove a device, with [`REMOVE_DEVICE_CONTEXT`]. It needs nothing that changes: a
/// device that was removed never comes back.
#[must_use]
pub fn remove_device_bytes(account: AccountId, device: DeviceId) -> Vec<u8> {
    [account.as_bytes(), device.as_bytes()].concat()
}
