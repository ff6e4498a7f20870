//! Paying: the order a customer places, and the till's signed answers about it.

use prost::Message as _;

use crate::error::need;
use crate::signed::VERSION;
use crate::signed::private::Shape;
use crate::{
    AccountId, Amount, ContentError, Hash, InvoiceId, Object, OrderId, PaymentId, PublicKey, SigningKey, Timestamp,
    proto,
};

/// Context of the payer key's signature under an order.
const ORDER_CONTEXT: &str = "comptoir/order/v1";

/// "I take this": what a customer's phone sends after it was stored there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPlaced {
    pub invoice: InvoiceId,
    /// SHA-256 of the signed invoice that the customer saw.
    pub invoice_hash: Hash,
    pub order: OrderId,
    pub payment: PaymentId,
    /// 1 for the first try; one more after each that is over for certain.
    pub attempt: u32,
    /// A fresh key for this order; its holder is the payer.
    pub payer_key: PublicKey,
    pub proof: [u8; 64],
    pub tip_minor: i64,
    /// The provider the customer chose, one of the invoice's payees.
    pub provider: String,
    pub info: OrderInfo,
}

/// What the shop asked to know. Empty where it did not ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderInfo {
    pub name: String,
    pub phone: String,
    pub email: String,
}

impl OrderInfo {
    pub(crate) fn to_proto(&self) -> proto::OrderInfo {
        proto::OrderInfo { name: self.name.clone(), phone: self.phone.clone(), email: self.email.clone() }
    }

    pub(crate) fn from_proto(info: proto::OrderInfo) -> Self {
        Self { name: info.name, phone: info.phone, email: info.email }
    }
}

impl OrderPlaced {
    /// Signs the order with its payer key, which proves that the placer holds it.
    #[must_use]
    pub fn prove(mut self, payer: &SigningKey) -> Self {
        self.payer_key = payer.public();
        self.proof = payer.sign(ORDER_CONTEXT, &self.proven_bytes());
        self
    }

    /// # Errors
    /// [`ContentError::Signature`] when the payer key did not sign this.
    pub fn check_proof(&self) -> Result<(), ContentError> {
        if self.payer_key.verifies(ORDER_CONTEXT, &self.proven_bytes(), &self.proof) {
            Ok(())
        } else {
            Err(ContentError::Signature { what: "order" })
        }
    }

    /// The bytes to keep.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads what [`OrderPlaced::encode`] wrote.
    ///
    /// # Errors
    /// [`ContentError`] when it is not an order.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        let order = proto::OrderPlaced::decode(bytes)
            .map_err(|error| ContentError::Unreadable { what: "order", reason: error.to_string() })?;
        Self::from_proto(order)
    }

    /// Everything but the proof itself.
    fn proven_bytes(&self) -> Vec<u8> {
        proto::OrderPlaced { proof: Vec::new(), ..self.to_proto() }.encode_to_vec()
    }

    pub(crate) fn to_proto(&self) -> proto::OrderPlaced {
        proto::OrderPlaced {
            invoice: self.invoice.0.to_vec(),
            invoice_hash: self.invoice_hash.0.to_vec(),
            order: self.order.0.to_vec(),
            payment: self.payment.0.to_vec(),
            attempt: self.attempt,
            payer_key: self.payer_key.0.to_vec(),
            proof: self.proof.to_vec(),
            tip_minor: self.tip_minor,
            provider: self.provider.clone(),
            info: Some(self.info.to_proto()),
        }
    }

    pub(crate) fn from_proto(order: proto::OrderPlaced) -> Result<Self, ContentError> {
        Ok(Self {
            invoice: InvoiceId::from_slice(&order.invoice)?,
            invoice_hash: Hash::from_slice(&order.invoice_hash)?,
            order: OrderId::from_slice(&order.order)?,
            payment: PaymentId::from_slice(&order.payment)?,
            attempt: order.attempt,
            payer_key: PublicKey::from_slice("payer_key", &order.payer_key)?,
            proof: order.proof.try_into().map_err(|_| ContentError::field("proof", "not 64 bytes"))?,
            tip_minor: order.tip_minor,
            provider: order.provider,
            info: OrderInfo::from_proto(need("info", order.info)?),
        })
    }
}

/// "What became of it?": a phone asks until it has an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskPayment {
    pub order: OrderId,
    pub payment: PaymentId,
    pub attempt: u32,
}

/// What the till says about one attempt to pay, to the holder of the payer key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentAnswer {
    pub merchant: AccountId,
    pub term: u64,
    pub live: bool,
    pub payer_key: PublicKey,
    pub invoice_hash: Hash,
    pub order: OrderId,
    pub payment: PaymentId,
    pub attempt: u32,
    pub issued_at: Timestamp,
    pub body: AnswerBody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// Pay here.
    Requested(PaymentRequest),
    /// Nobody knows yet. Do not pay again.
    Checking,
    /// This attempt is over for certain: no charge exists and none can come.
    NotPaid(NotPaid),
}

/// Where and how to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRequest {
    pub provider: String,
    /// The shop's account at the provider; one of the payees of its profile.
    pub account: String,
    pub amount: Amount,
    pub expires_at: Timestamp,
    pub handoff: Handoff,
}

/// What the phone opens.
#[derive(Clone, PartialEq, Eq)]
pub enum Handoff {
    /// The provider's own page, in the system's browser.
    Page { url: String },
    /// The provider's sheet.
    Sdk { publishable_key: String, client_secret: String },
}

impl std::fmt::Debug for Handoff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Page { .. } => f.write_str("Page(…)"),
            Self::Sdk { .. } => f.write_str("Sdk(…)"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPaid {
    /// A key of the registry of reasons, such as `card.declined`.
    pub reason: String,
    /// The shop's own words, shown as the shop's. May be empty.
    pub words: String,
}

impl Object for PaymentAnswer {
    const CONTEXT: &'static str = "comptoir/payment-answer/v1";
    const WHAT: &'static str = "payment answer";
}

impl Shape for PaymentAnswer {
    type Proto = proto::PaymentAnswer;

    fn to_proto(&self) -> proto::PaymentAnswer {
        use proto::PaymentAnswerBody as P;
        proto::PaymentAnswer {
            version: VERSION,
            merchant: self.merchant.0.to_vec(),
            term: self.term,
            live: self.live,
            payer_key: self.payer_key.0.to_vec(),
            invoice_hash: self.invoice_hash.0.to_vec(),
            order: self.order.0.to_vec(),
            payment: self.payment.0.to_vec(),
            attempt: self.attempt,
            issued_at_ms: self.issued_at.0,
            body: Some(match &self.body {
                AnswerBody::Requested(request) => P::Requested(proto::PaymentRequested {
                    provider: request.provider.clone(),
                    account: request.account.clone(),
                    amount_minor: request.amount.minor(),
                    currency: request.amount.currency().code().to_owned(),
                    exponent: request.amount.currency().exponent().into(),
                    expires_at_ms: request.expires_at.0,
                    handoff: Some(match &request.handoff {
                        Handoff::Page { url } => proto::PaymentRequestedHandoff::PageUrl(url.clone()),
                        Handoff::Sdk { publishable_key, client_secret } => {
                            proto::PaymentRequestedHandoff::Sdk(proto::SdkSecret {
                                publishable_key: publishable_key.clone(),
                                client_secret: client_secret.clone(),
                            })
                        }
                    }),
                }),
                AnswerBody::Checking => P::Checking(proto::Checking {}),
                AnswerBody::NotPaid(not_paid) => {
                    P::NotPaid(proto::NotPaid { reason: not_paid.reason.clone(), words: not_paid.words.clone() })
                }
            }),
        }
    }

    fn from_proto(answer: proto::PaymentAnswer) -> Result<Self, ContentError> {
        use proto::PaymentAnswerBody as P;
        let body = match need("body", answer.body)? {
            P::Requested(request) => AnswerBody::Requested(PaymentRequest {
                amount: Amount::from_parts(request.amount_minor, &request.currency, request.exponent)?,
                provider: request.provider,
                account: request.account,
                expires_at: Timestamp(request.expires_at_ms),
                handoff: match need("handoff", request.handoff)? {
                    proto::PaymentRequestedHandoff::PageUrl(url) => Handoff::Page { url },
                    proto::PaymentRequestedHandoff::Sdk(sdk) => {
                        Handoff::Sdk { publishable_key: sdk.publishable_key, client_secret: sdk.client_secret }
                    }
                },
            }),
            P::Checking(proto::Checking {}) => AnswerBody::Checking,
            P::NotPaid(not_paid) => AnswerBody::NotPaid(NotPaid { reason: not_paid.reason, words: not_paid.words }),
        };
        Ok(Self {
            merchant: AccountId::from_slice(&answer.merchant)?,
            term: answer.term,
            live: answer.live,
            payer_key: PublicKey::from_slice("payer_key", &answer.payer_key)?,
            invoice_hash: Hash::from_slice(&answer.invoice_hash)?,
            order: OrderId::from_slice(&answer.order)?,
            payment: PaymentId::from_slice(&answer.payment)?,
            attempt: answer.attempt,
            issued_at: Timestamp(answer.issued_at_ms),
            body,
        })
    }

    fn version(proto: &proto::PaymentAnswer) -> u32 {
        proto.version
    }
}
