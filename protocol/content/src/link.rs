//! Our own links, as they stand in a QR code: `COMPTOIR:`, a letter for the kind, and base32 with a checksum. Capitals
//! only, because a QR code packs those tightest.

use data_encoding::BASE32_NOPAD;
use prost::Message as _;

use crate::error::need;
use crate::{
    AccountId, AccountKind, AccountLog, ContentError, DeviceId, Hash, LogHead, PayerProof, PayerQuestion, PublicKey,
    Timestamp, proto,
};

const SCHEME: &str = "COMPTOIR:";
const CONTACT: char = 'C';
const DEVICE_REQUEST: char = 'D';
const DEVICE_GRANT: char = 'G';
const VERIFY: char = 'V';
const BILL: char = 'I';
const PAYER_QUESTION: char = 'Q';
const PAYER_PROOF: char = 'A';
/// Of what is too large for one code: `comptoir-qr` puts it together.
const PART: char = 'P';
const CHECKSUM_LEN: usize = 4;
/// A link is at most this long, in characters.
const LINK_CHARS_MAX: usize = 2048;
/// But for a grant: it holds a whole account log, which grows with every device.
const GRANT_CHARS_MAX: usize = 1 << 18;
const RELAY_BYTES_MAX: usize = 255;

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Contact(ContactCode),
    DeviceRequest(DeviceRequest),
    DeviceGrant(Box<DeviceGrant>),
    Verify(VerifyCode),
    Bill(BillCode),
    PayerQuestion(PayerQuestion),
    PayerProof(PayerProof),
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

/// "Pay this bill here": the shop, and which of its signed invoices to ask it for. The invoice itself comes in the thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillCode {
    /// Of kind business.
    pub shop: ContactCode,
    pub invoice_hash: Hash,
}

/// "This is whom I write to, as my device knows us both": shown to the other side of a chat, which compares it with what it knows
/// itself. A head says what an account's log holds, and with it the key that the safety number is made from. No secret is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyCode {
    /// Whoever shows it.
    pub account: AccountId,
    pub head: LogHead,
    /// Whom it is shown to.
    pub peer: AccountId,
    pub peer_head: LogHead,
}

/// A new device asks to be linked. Read by the device that holds the account key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    pub device: DeviceId,
    /// The key that its certificate will name.
    pub key: PublicKey,
    /// By the clock of the device that asks.
    pub expires_at: Timestamp,
}

/// The answer to a [`DeviceRequest`]: everything the new device needs to be part of the account. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceGrant {
    /// As of [`ContactCode::relay`].
    pub relay: String,
    /// The signed device certificate, as it travels.
    pub certificate: Vec<u8>,
    pub log: AccountLog,
}

impl Link {
    /// Reads a link, in capitals or not, with white space around it.
    ///
    /// # Errors
    /// [`ContentError`] says whether it is no link of ours, was cut or mistyped, or needs a newer version.
    pub fn parse(text: &str) -> Result<Self, ContentError> {
        let text = text.trim();
        if text.len() > GRANT_CHARS_MAX {
            return Err(ContentError::field("link", "too long"));
        }
        let upper = text.to_ascii_uppercase();
        let rest = upper.strip_prefix(SCHEME).ok_or(ContentError::field("link", "does not begin with COMPTOIR:"))?;
        let mut letters = rest.chars();
        let kind = letters.next().ok_or(ContentError::field("link", "cut off"))?;
        if kind != DEVICE_GRANT && text.len() > LINK_CHARS_MAX {
            return Err(ContentError::field("link", "too long"));
        }
        if kind == PART {
            return Err(ContentError::field("link", "one of several codes: the others are needed too"));
        }
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
            DEVICE_REQUEST => DeviceRequest::from_payload(payload).map(Self::DeviceRequest),
            DEVICE_GRANT => DeviceGrant::from_payload(payload).map(|grant| Self::DeviceGrant(Box::new(grant))),
            VERIFY => VerifyCode::from_payload(payload).map(Self::Verify),
            BILL => BillCode::from_payload(payload).map(Self::Bill),
            PAYER_QUESTION => PayerQuestion::from_payload(payload).map(Self::PayerQuestion),
            PAYER_PROOF => PayerProof::from_payload(payload).map(Self::PayerProof),
            _ => Err(ContentError::UpdateApp { what: "link" }),
        }
    }
}

impl PayerQuestion {
    /// The text of the link, for a QR code.
    #[must_use]
    pub fn to_link(&self) -> String {
        write(PAYER_QUESTION, &self.to_payload())
    }
}

impl PayerProof {
    /// The text of the link, for a QR code.
    #[must_use]
    pub fn to_link(&self) -> String {
        write(PAYER_PROOF, &self.to_payload())
    }
}

impl ContactCode {
    /// The text of the link, for a QR code.
    #[must_use]
    pub fn to_link(&self) -> String {
        write(CONTACT, &self.to_proto().encode_to_vec())
    }

    fn to_proto(&self) -> proto::ContactCode {
        proto::ContactCode {
            account: self.account.0.to_vec(),
            relay: self.relay.clone(),
            kind: self.kind.to_proto(),
            head: Some(self.head.to_proto()),
        }
    }

    fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        let code = proto::ContactCode::decode(payload)
            .map_err(|error| ContentError::Unreadable { what: "contact code", reason: error.to_string() })?;
        Self::from_proto(code)
    }

    fn from_proto(code: proto::ContactCode) -> Result<Self, ContentError> {
        check_relay(&code.relay)?;
        Ok(Self {
            account: AccountId::from_slice(&code.account)?,
            kind: AccountKind::from_proto(code.kind)?,
            relay: code.relay,
            head: LogHead::from_proto(&need("head", code.head)?)?,
        })
    }
}

impl DeviceRequest {
    /// The text of the link, for a QR code.
    #[must_use]
    pub fn to_link(&self) -> String {
        let payload = proto::DeviceRequest {
            device: self.device.0.to_vec(),
            key: self.key.0.to_vec(),
            expires_at_ms: self.expires_at.0,
        };
        write(DEVICE_REQUEST, &payload.encode_to_vec())
    }

    fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        let request = proto::DeviceRequest::decode(payload)
            .map_err(|error| ContentError::Unreadable { what: "device request", reason: error.to_string() })?;
        Ok(Self {
            device: DeviceId::from_slice(&request.device)?,
            key: PublicKey::from_slice("key", &request.key)?,
            expires_at: Timestamp(request.expires_at_ms),
        })
    }
}

impl DeviceGrant {
    /// The text of the link. It can be too long for one QR code.
    #[must_use]
    pub fn to_link(&self) -> String {
        let payload = proto::DeviceGrant {
            relay: self.relay.clone(),
            certificate: self.certificate.clone(),
            log: Some(self.log.to_proto()),
        };
        write(DEVICE_GRANT, &payload.encode_to_vec())
    }

    fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        let grant = proto::DeviceGrant::decode(payload)
            .map_err(|error| ContentError::Unreadable { what: "device grant", reason: error.to_string() })?;
        check_relay(&grant.relay)?;
        Ok(Self {
            relay: grant.relay,
            certificate: grant.certificate,
            log: AccountLog::from_proto(need("log", grant.log)?)?,
        })
    }
}

impl VerifyCode {
    /// The text of the link, for a QR code.
    #[must_use]
    pub fn to_link(&self) -> String {
        let payload = proto::VerifyCode {
            account: self.account.0.to_vec(),
            head: Some(self.head.to_proto()),
            peer: self.peer.0.to_vec(),
            peer_head: Some(self.peer_head.to_proto()),
        };
        write(VERIFY, &payload.encode_to_vec())
    }

    fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        let code = proto::VerifyCode::decode(payload)
            .map_err(|error| ContentError::Unreadable { what: "verify code", reason: error.to_string() })?;
        Ok(Self {
            account: AccountId::from_slice(&code.account)?,
            head: LogHead::from_proto(&need("head", code.head)?)?,
            peer: AccountId::from_slice(&code.peer)?,
            peer_head: LogHead::from_proto(&need("peer_head", code.peer_head)?)?,
        })
    }
}

impl BillCode {
    /// The text of the link, for a QR code.
    #[must_use]
    pub fn to_link(&self) -> String {
        let payload = proto::BillCode { shop: Some(self.shop.to_proto()), invoice_hash: self.invoice_hash.0.to_vec() };
        write(BILL, &payload.encode_to_vec())
    }

    fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        let code = proto::BillCode::decode(payload)
            .map_err(|error| ContentError::Unreadable { what: "code of a bill", reason: error.to_string() })?;
        let shop = ContactCode::from_proto(need("shop", code.shop)?)?;
        if shop.kind != AccountKind::Business {
            return Err(ContentError::field("shop", "not a business: only a shop has bills"));
        }
        Ok(Self { shop, invoice_hash: Hash::from_slice(&code.invoice_hash)? })
    }
}

fn check_relay(relay: &str) -> Result<(), ContentError> {
    if relay.is_empty() || relay.len() > RELAY_BYTES_MAX {
        return Err(ContentError::field("relay", "not an address"));
    }
    Ok(())
}

fn write(kind: char, payload: &[u8]) -> String {
    let bytes = [payload, &checksum_of(kind, payload)].concat();
    format!("{SCHEME}{kind}{}", BASE32_NOPAD.encode(&bytes))
}

fn checksum_of(kind: char, payload: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut bytes = kind.to_string().into_bytes();
    bytes.extend_from_slice(payload);
    Hash::of(&bytes).0[..CHECKSUM_LEN].try_into().expect("4 of 32 bytes")
}
