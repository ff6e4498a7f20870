//! Receipts: a signed open core, and parts behind salted digests that the holder may disclose or keep.

use prost::Message;

use crate::error::need;
use crate::signed::VERSION;
use crate::signed::private::Shape;
use crate::{
    AccountId, AccountLog, Amount, ContentError, Hash, Line, Object, OrderId, OrderInfo, PublicKey, RefundId, Signed,
    Timestamp, proto,
};

/// The first bytes of a receipt file.
pub const RECEIPT_FILE_MAGIC: &[u8] = b"comptoir receipt 1\n";
/// A receipt file is at most this long, in bytes.
const RECEIPT_FILE_BYTES_MAX: usize = 256 * 1024;

/// "This shop declares that the holder of this key paid this." It proves the shop's word, not the bank's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub merchant: AccountId,
    pub term: u64,
    pub live: bool,
    pub invoice_hash: Hash,
    pub order: OrderId,
    pub payer_key: PublicKey,
    pub amount: Amount,
    pub issued_at: Timestamp,
    /// SHA-256 of the receipt this till issued before. `None` for its first.
    pub previous: Option<Hash>,
    /// One digest for each [`Part`], in order.
    pub digests: [Hash; 4],
}

/// What stands behind a digest of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Lines,
    OrderInfo,
    Evidence,
    Terms,
}

impl Part {
    /// All parts in the order of their digests.
    pub const ALL: [Self; 4] = [Self::Lines, Self::OrderInfo, Self::Evidence, Self::Terms];

    fn index(self) -> usize {
        self as usize
    }
}

/// 32 random bytes that keep a digest from being guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// A part with its salt: whoever sees it can check it against the digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    pub part: Part,
    pub salt: Salt,
    bytes: Vec<u8>,
}

/// The contents of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartBody {
    Lines { title: String, lines: Vec<Line> },
    OrderInfo(OrderInfo),
    Evidence(Evidence),
    Terms { terms_hash: Option<Hash> },
}

/// What the provider told the till.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub provider: String,
    pub account: String,
    /// The provider's id of the payment.
    pub provider_payment: String,
    /// As the provider words it, such as `card ···· 4242`. May be empty.
    pub method: String,
    pub paid_at: Timestamp,
}

impl Disclosure {
    #[must_use]
    pub fn new(body: &PartBody, salt: Salt) -> Self {
        let (part, bytes) = match body {
            PartBody::Lines { title, lines } => (
                Part::Lines,
                proto::Lines { title: title.clone(), lines: lines.iter().map(Line::to_proto).collect() }
                    .encode_to_vec(),
            ),
            PartBody::OrderInfo(info) => (Part::OrderInfo, info.to_proto().encode_to_vec()),
            PartBody::Evidence(evidence) => (
                Part::Evidence,
                proto::Evidence {
                    provider: evidence.provider.clone(),
                    account: evidence.account.clone(),
                    provider_payment: evidence.provider_payment.clone(),
                    method: evidence.method.clone(),
                    paid_at_ms: evidence.paid_at.0,
                }
                .encode_to_vec(),
            ),
            PartBody::Terms { terms_hash } => (
                Part::Terms,
                proto::Terms { terms_hash: terms_hash.map(|hash| hash.0.to_vec()).unwrap_or_default() }.encode_to_vec(),
            ),
        };
        Self { part, salt, bytes }
    }

    /// What the receipt holds for this part: SHA-256 over context ‖ 0x00 ‖ part ‖ salt ‖ bytes.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut input = b"comptoir/receipt-part/v1\0".to_vec();
        input.push(self.part.index() as u8 + 1);
        input.extend_from_slice(&self.salt.0);
        input.extend_from_slice(&self.bytes);
        Hash::of(&input)
    }

    /// True when `receipt` was signed over this part.
    #[must_use]
    pub fn belongs_to(&self, receipt: &Receipt) -> bool {
        receipt.digests[self.part.index()] == self.digest()
    }

    /// The bytes that the digest is taken over, after part and salt.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the part. Trust it only after [`Disclosure::belongs_to`].
    ///
    /// # Errors
    /// [`ContentError`] when the bytes are not this part.
    pub fn body(&self) -> Result<PartBody, ContentError> {
        let unreadable =
            |error: prost::DecodeError| ContentError::Unreadable { what: "receipt part", reason: error.to_string() };
        let bytes = self.bytes.as_slice();
        Ok(match self.part {
            Part::Lines => {
                let lines = proto::Lines::decode(bytes).map_err(unreadable)?;
                PartBody::Lines {
                    title: lines.title,
                    lines: lines.lines.into_iter().map(Line::from_proto).collect::<Result<_, _>>()?,
                }
            }
            Part::OrderInfo => {
                PartBody::OrderInfo(OrderInfo::from_proto(proto::OrderInfo::decode(bytes).map_err(unreadable)?))
            }
            Part::Evidence => {
                let evidence = proto::Evidence::decode(bytes).map_err(unreadable)?;
                PartBody::Evidence(Evidence {
                    provider: evidence.provider,
                    account: evidence.account,
                    provider_payment: evidence.provider_payment,
                    method: evidence.method,
                    paid_at: Timestamp(evidence.paid_at_ms),
                })
            }
            Part::Terms => {
                let terms = proto::Terms::decode(bytes).map_err(unreadable)?;
                let hash = (!terms.terms_hash.is_empty()).then(|| Hash::from_slice(&terms.terms_hash));
                PartBody::Terms { terms_hash: hash.transpose()? }
            }
        })
    }
}

impl Object for Receipt {
    const CONTEXT: &'static str = "comptoir/receipt/v1";
    const WHAT: &'static str = "receipt";
}

impl Shape for Receipt {
    type Proto = proto::Receipt;

    fn to_proto(&self) -> proto::Receipt {
        proto::Receipt {
            version: VERSION,
            merchant: self.merchant.0.to_vec(),
            term: self.term,
            live: self.live,
            invoice_hash: self.invoice_hash.0.to_vec(),
            order: self.order.0.to_vec(),
            payer_key: self.payer_key.0.to_vec(),
            amount_minor: self.amount.minor(),
            currency: self.amount.currency().code().to_owned(),
            exponent: self.amount.currency().exponent().into(),
            issued_at_ms: self.issued_at.0,
            previous: self.previous.map(|hash| hash.0.to_vec()).unwrap_or_default(),
            digests: self.digests.iter().map(|digest| digest.0.to_vec()).collect(),
        }
    }

    fn from_proto(receipt: proto::Receipt) -> Result<Self, ContentError> {
        let digests: Vec<Hash> =
            receipt.digests.iter().map(|digest| Hash::from_slice(digest)).collect::<Result<_, _>>()?;
        Ok(Self {
            merchant: AccountId::from_slice(&receipt.merchant)?,
            term: receipt.term,
            live: receipt.live,
            invoice_hash: Hash::from_slice(&receipt.invoice_hash)?,
            order: OrderId::from_slice(&receipt.order)?,
            payer_key: PublicKey::from_slice("payer_key", &receipt.payer_key)?,
            amount: Amount::from_parts(receipt.amount_minor, &receipt.currency, receipt.exponent)?,
            issued_at: Timestamp(receipt.issued_at_ms),
            previous: match receipt.previous.as_slice() {
                [] => None,
                hash => Some(Hash::from_slice(hash)?),
            },
            digests: digests.try_into().map_err(|_| ContentError::UpdateApp { what: "receipt" })?,
        })
    }

    fn version(proto: &proto::Receipt) -> u32 {
        proto.version
    }
}

/// A receipt as it is kept and handed on: the signed core, what is disclosed, and the account log that certifies the
/// till, so that it can be checked when account, phone and shop are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFile {
    pub receipt: Signed<Receipt>,
    pub disclosures: Vec<Disclosure>,
    pub log: AccountLog,
}

impl ReceiptFile {
    /// The bytes of a `.comptoir` file.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        [RECEIPT_FILE_MAGIC, &self.to_proto().encode_to_vec()].concat()
    }

    /// Reads a `.comptoir` file. Nothing is verified yet.
    ///
    /// # Errors
    /// [`ContentError`] when it is not a receipt file, is too long, or has anything in it that its writer would not
    /// have put there.
    pub fn from_file(bytes: &[u8]) -> Result<Self, ContentError> {
        let unreadable = |reason: &str| ContentError::Unreadable { what: "receipt file", reason: reason.to_owned() };
        if bytes.len() > RECEIPT_FILE_BYTES_MAX {
            return Err(unreadable("it is too long"));
        }
        let body = bytes.strip_prefix(RECEIPT_FILE_MAGIC).ok_or_else(|| unreadable("it does not begin like one"))?;
        let file = proto::ReceiptFile::decode(body).map_err(|error| unreadable(&error.to_string()))?;
        if file.encode_to_vec() != body {
            return Err(ContentError::UpdateApp { what: "receipt file" });
        }
        Self::from_proto(file)
    }

    /// The same receipt with only these parts disclosed.
    #[must_use]
    pub fn disclosing(&self, parts: &[Part]) -> Self {
        let disclosures = self.disclosures.iter().filter(|disclosure| parts.contains(&disclosure.part));
        Self { disclosures: disclosures.cloned().collect(), ..self.clone() }
    }

    pub(crate) fn to_proto(&self) -> proto::ReceiptFile {
        let disclosure = |disclosure: &Disclosure| proto::Disclosure {
            part: match disclosure.part {
                Part::Lines => proto::ReceiptPart::Lines,
                Part::OrderInfo => proto::ReceiptPart::OrderInfo,
                Part::Evidence => proto::ReceiptPart::Evidence,
                Part::Terms => proto::ReceiptPart::Terms,
            }
            .into(),
            salt: disclosure.salt.0.to_vec(),
            bytes: disclosure.bytes.clone(),
        };
        proto::ReceiptFile {
            version: VERSION,
            receipt: Some(self.receipt.to_proto()),
            disclosures: self.disclosures.iter().map(disclosure).collect(),
            log: Some(self.log.to_proto()),
        }
    }

    pub(crate) fn from_proto(file: proto::ReceiptFile) -> Result<Self, ContentError> {
        if file.version != VERSION {
            return Err(ContentError::UpdateApp { what: "receipt file" });
        }
        let disclosure = |disclosure: proto::Disclosure| {
            Ok(Disclosure {
                part: match proto::ReceiptPart::try_from(disclosure.part) {
                    Ok(proto::ReceiptPart::Lines) => Part::Lines,
                    Ok(proto::ReceiptPart::OrderInfo) => Part::OrderInfo,
                    Ok(proto::ReceiptPart::Evidence) => Part::Evidence,
                    Ok(proto::ReceiptPart::Terms) => Part::Terms,
                    Ok(proto::ReceiptPart::Unspecified) | Err(_) => {
                        return Err(ContentError::UpdateApp { what: "receipt file" });
                    }
                },
                salt: Salt(disclosure.salt.try_into().map_err(|_| ContentError::field("salt", "not 32 bytes"))?),
                bytes: disclosure.bytes,
            })
        };
        Ok(Self {
            receipt: Signed::from_field("receipt", file.receipt)?,
            disclosures: file.disclosures.into_iter().map(disclosure).collect::<Result<_, _>>()?,
            log: AccountLog::from_proto(need("log", file.log)?)?,
        })
    }
}

/// "This much went back": signed by the till, linked to the receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub merchant: AccountId,
    pub term: u64,
    pub live: bool,
    pub payer_key: PublicKey,
    pub order: OrderId,
    /// SHA-256 of the signed receipt.
    pub receipt_hash: Hash,
    pub refund: RefundId,
    pub amount: Amount,
    /// All refunds of this receipt so far, this one included.
    pub refunded: Amount,
    pub issued_at: Timestamp,
}

impl Object for Refund {
    const CONTEXT: &'static str = "comptoir/refund/v1";
    const WHAT: &'static str = "refund";
}

impl Shape for Refund {
    type Proto = proto::Refund;

    fn to_proto(&self) -> proto::Refund {
        proto::Refund {
            version: VERSION,
            merchant: self.merchant.0.to_vec(),
            term: self.term,
            live: self.live,
            payer_key: self.payer_key.0.to_vec(),
            order: self.order.0.to_vec(),
            receipt_hash: self.receipt_hash.0.to_vec(),
            refund: self.refund.0.to_vec(),
            amount_minor: self.amount.minor(),
            refunded_minor: self.refunded.minor(),
            currency: self.amount.currency().code().to_owned(),
            exponent: self.amount.currency().exponent().into(),
            issued_at_ms: self.issued_at.0,
        }
    }

    fn from_proto(refund: proto::Refund) -> Result<Self, ContentError> {
        Ok(Self {
            merchant: AccountId::from_slice(&refund.merchant)?,
            term: refund.term,
            live: refund.live,
            payer_key: PublicKey::from_slice("payer_key", &refund.payer_key)?,
            order: OrderId::from_slice(&refund.order)?,
            receipt_hash: Hash::from_slice(&refund.receipt_hash)?,
            refund: RefundId::from_slice(&refund.refund)?,
            amount: Amount::from_parts(refund.amount_minor, &refund.currency, refund.exponent)?,
            refunded: Amount::from_parts(refund.refunded_minor, &refund.currency, refund.exponent)?,
            issued_at: Timestamp(refund.issued_at_ms),
        })
    }

    fn version(proto: &proto::Refund) -> u32 {
        proto.version
    }
}
