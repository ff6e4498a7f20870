//! Linking a device: which request the device that holds the account key grants. A request is shown on the screen of a new device,
//! and whoever's device it names reads and writes everything from then on: so it is good once, and not for long.

use comptoir_content::{DeviceRequest, Timestamp};

use crate::Refused;
use crate::account::Account;
use crate::limits::SKEW_MS;

/// How long a request can be granted after its code was made, in milliseconds.
pub const REQUEST_LIFE_MS: i64 = 10 * 60_000;

/// Whether this device may be taken into the account now. The two clocks may differ by [`SKEW_MS`].
///
/// # Errors
/// [`Refused::RequestExpired`], also for one that claims to live longer than any, or [`Refused::RequestUsed`].
pub fn check(request: &DeviceRequest, account: &Account, now: Timestamp) -> Result<(), Refused> {
    let left = request.expires_at.since_ms(now);
    if !(-SKEW_MS + 1..=REQUEST_LIFE_MS + SKEW_MS).contains(&left) {
        return Err(Refused::RequestExpired);
    }
    let mut known = account.devices.values().map(|device| &device.certificate);
    if known.any(|known| known.device == request.device || known.key == request.key) {
        return Err(Refused::RequestUsed);
    }
    Ok(())
}
