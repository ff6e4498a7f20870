//! Our own links, as they stand in a QR code: `COMPTOIR:`, a letter for the kind, and base32 with a checksum. Capitals
//! only, because a QR code packs those tightest.

use data_encoding::BASE32_NOPAD;
use prost::Message as _;

use crate::error::need;
use crate::{AccountId, AccountKind, ContentError, Hash, LogHead, proto};

const SCHEME: &str = "COMPTOIR:";
const CONTACT: char = 'C';
const CHECKSUM_LEN: usize = 4;
/// A link is at most this long, in characters.
const LINK_CHARS_MAX: usize = 2048;
const RELAY_BYTES_MAX: usize = 255;

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Contact(ContactCode),
}

/// "This is me": the account, where its mailboxes are, and the newest entry of its log. Whoever scans it trusts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactCode {
    pub account: AccountId,
    pub kind: AccountKind,
    /// `wss://host[:port]`, or `ws://` on loopback.
    pub relay: String,
    pub head: LogHead,
}

impl Link {
    /// Reads a link, in capitals or not, with white space around it.
    ///
    /// # Errors
    /// [`ContentError`] says whether it is no link of ours, was cut or mistyped, or needs a newer version.
    pub fn parse(text: &str) -> Result<Self, ContentError> {
        let text = text.trim();
        if text.len() > LINK_CHARS_MAX {
            return Err(ContentError::field("link", "too long"));
        }
        let upper = text.to_ascii_uppercase();
        let rest = upper.strip_prefix(SCHEME).ok_or(ContentError::field("link", "does not begin with COMPTOIR:"))?;
        let mut letters = rest.chars();
        let kind = letters.next().ok_or(ContentError::field("link", "cut off"))?;
        let bytes = BASE32_NOPAD
            .decode(letters.as_str().as_bytes())
            .map_err(|_| ContentError::field("link", "cut off or mistyped"))?;
        let Some((payload, checksum)) = bytes.split_last_chunk::<CHECKSUM_LEN>() else {
            return Err(ContentError::field("link", "cut off"));
        };
        if *checksum != checksum_of(kind, payload) {
            return Err(ContentError::field("link", "cut off or mistyped"));
        }
        match kind {
            CONTACT => ContactCode::from_payload(payload).map(Self::Contact),
            _ => Err(ContentError::UpdateApp { what: "link" }),
        }
    }
}

impl ContactCode {
    /// The text of the link, for a QR code.
    #[must_use]
    pub fn to_link(&self) -> String {
        let payload = proto::ContactCode {
            account: self.account.0.to_vec(),
            relay: self.relay.clone(),
            kind: self.kind.to_proto(),
            head: Some(self.head.to_proto()),
        }
        .encode_to_vec();
        let bytes = [payload.as_slice(), &checksum_of(CONTACT, &payload)].concat();
        format!("{SCHEME}{CONTACT}{}", BASE32_NOPAD.encode(&bytes))
    }

    fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        let code = proto::ContactCode::decode(payload)
            .map_err(|error| ContentError::Unreadable { what: "contact code", reason: error.to_string() })?;
        if code.relay.is_empty() || code.relay.len() > RELAY_BYTES_MAX {
            return Err(ContentError::field("relay", "not an address"));
        }
        Ok(Self {
            account: AccountId::from_slice(&code.account)?,
            kind: AccountKind::from_proto(code.kind)?,
            relay: code.relay,
            head: LogHead::from_proto(&need("head", code.head)?)?,
        })
    }
}

fn checksum_of(kind: char, payload: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut bytes = kind.to_string().into_bytes();
    bytes.extend_from_slice(payload);
    Hash::of(&bytes).0[..CHECKSUM_LEN].try_into().expect("4 of 32 bytes")
}
