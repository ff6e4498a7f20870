//! Randomness, as values handed to turns.

use comptoir_content::{SigningKey, Timestamp};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The operating system's generator.
#[derive(Clone)]
pub struct Random(SystemRandom);

impl Random {
    pub(crate) fn new() -> Self {
        Self(SystemRandom::new())
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes).expect("an operating system without random numbers cannot run this");
        bytes
    }

    /// A fresh id that sorts by time (UUIDv7, RFC 9562).
    pub fn id(&self, now: Timestamp) -> [u8; 16] {
        let millis = u64::try_from(now.0).unwrap_or(0);
        *uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).as_uuid().as_bytes()
    }

    /// A fresh signing key.
    pub fn key(&self) -> SigningKey {
        SigningKey::from_seed(self.bytes())
    }

    pub(crate) fn number(&self) -> u32 {
        u32::from_be_bytes(self.bytes())
    }
}
