//! Sizes that both ends hold to. A relay may announce smaller ones in its Welcome.

/// A sealed message, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024;
/// Envelopes in one frame.
pub const ENVELOPES_PER_FRAME_MAX: usize = 64;
/// A whole frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// One-time key packages that a relay keeps for a device.
pub const KEY_PACKAGES_MAX: usize = 100;
/// A key package with its device certificate, in bytes.
pub const KEY_PACKAGE_BYTES_MAX: usize = 4 * 1024;
/// Devices whose key packages are claimed in one frame.
pub const CLAIMS_PER_FRAME_MAX: usize = 32;
/// The genesis record of an account, in bytes.
pub const GENESIS_BYTES_MAX: usize = 512;
/// One entry of an account log, in bytes.
pub const LOG_ENTRY_BYTES_MAX: usize = 2 * 1024;
/// Entries of an account log, in all and in one frame.
pub const LOG_ENTRIES_MAX: usize = 256;
/// An address as `host:port`, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 255;
/// Passes in one frame.
pub const PASSES_PER_FRAME_MAX: usize = 64;
/// Where a relay knocks when a device is away, as an address in bytes: as much as UnifiedPush allows.
pub const PUSH_ENDPOINT_BYTES_MAX: usize = 1000;
/// Deliveries in flight before the device acknowledges.
pub const WINDOW_MAX: u32 = 256;
/// The name of this protocol in the WebSocket handshake.
pub const SUBPROTOCOL: &str = "relay.v1";
/// Where a relay serves it: `wss://host:port/v1/ws`.
pub const PATH: &str = "/v1/ws";
