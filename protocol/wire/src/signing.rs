//! What is signed for a relay. A signature names its purpose, so that it can never serve another one.

use crate::DeviceId;

/// Context of the signature that opens a connection.
pub const AUTH_CONTEXT: &str = "comptoir/relay-auth/v1";
/// Context of the signature under each entry of an account log.
pub const LOG_CONTEXT: &str = "comptoir/account-log/v1";

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
