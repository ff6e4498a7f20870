//! Whose conversation it is. Its id is derived from its two accounts, so the relay needs no list of members to keep
//! strangers out: it computes what the id must be, and remembers nothing.

use comptoir_wire::{AccountId, ConversationId};
use ring::digest::{SHA256, digest};

/// The conversation of two accounts, as `relay.proto` defines it; the same whoever is named first.
#[must_use]
pub fn between(one: AccountId, other: AccountId) -> ConversationId {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    let mut bytes = b"comptoir/conversation/v1\0".to_vec();
    bytes.extend_from_slice(&low.0);
    bytes.extend_from_slice(&high.0);
    let mut id = [0; ConversationId::LEN];
    id.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..ConversationId::LEN]);
    ConversationId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `comptoir-content` derives the same ids for the devices, and holds them to the same bytes.
    #[test]
    fn both_ends_and_the_relay_derive_the_same_id() {
        let [one, two] = [1, 2].map(|n| AccountId([n; 20]));
        let expected = ConversationId(*b"\xa5\x48\xa8\x27\x3d\xb0\x5e\x10\x1f\x87\x33\x13\x57\xf8\x49\x49");
        assert_eq!(between(one, two), expected);
        assert_eq!(between(two, one), expected);
    }
}
