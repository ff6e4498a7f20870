//! "I am the one who paid": a till asks for it with a number of its own, and who holds the payer key of an order answers. A
//! copied receipt, a picture of a screen and an answer to another question prove nothing.

use prost::Message as _;

use crate::error::need_bytes;
use crate::{AccountId, ContentError, OrderId, PublicKey, SigningKey, Timestamp, proto};

/// Context of the payer key's signature under an answer.
const CONTEXT: &str = "comptoir/payer/v1";

/// What a till asks, as a code on its screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayerQuestion {
    pub merchant: AccountId,
    /// Drawn by the till for this question alone.
    pub nonce: [u8; 16],
    /// The till takes no answer after this.
    pub expires_at: Timestamp,
}

/// The answer of a phone, as a code on its screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayerProof {
    pub order: OrderId,
    /// Of the question that it answers.
    pub nonce: [u8; 16],
    pub signature: [u8; 64],
}

impl PayerProof {
    /// Answers a question with the payer key of an order.
    #[must_use]
    pub fn sign(question: &PayerQuestion, order: OrderId, payer: &SigningKey) -> Self {
        let statement = statement(question.merchant, order, question.nonce);
        Self { order, nonce: question.nonce, signature: payer.sign(CONTEXT, &statement) }
    }

    /// True when the holder of this key answered a question of this merchant.
    #[must_use]
    pub fn is_by(&self, payer: &PublicKey, merchant: AccountId) -> bool {
        payer.verifies(CONTEXT, &statement(merchant, self.order, self.nonce), &self.signature)
    }

    pub(crate) fn to_payload(self) -> Vec<u8> {
        proto::PayerProof {
            order: self.order.0.to_vec(),
            nonce: self.nonce.to_vec(),
            signature: self.signature.to_vec(),
        }
        .encode_to_vec()
    }

    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        let proof = proto::PayerProof::decode(payload)
            .map_err(|error| ContentError::Unreadable { what: "payer proof", reason: error.to_string() })?;
        Ok(Self {
            order: OrderId::from_slice(&proof.order)?,
            nonce: need_bytes("nonce", &proof.nonce)?,
            signature: need_bytes("signature", &proof.signature)?,
        })
    }
}

impl PayerQuestion {
    pub(crate) fn to_payload(self) -> Vec<u8> {
        proto::PayerQuestion {
            merchant: self.merchant.0.to_vec(),
            nonce: self.nonce.to_vec(),
            expires_at: self.expires_at.0,
        }
        .encode_to_vec()
    }

    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, ContentError> {
        let question = proto::PayerQuestion::decode(payload)
            .map_err(|error| ContentError::Unreadable { what: "payer question", reason: error.to_string() })?;
        Ok(Self {
            merchant: AccountId::from_slice(&question.merchant)?,
            nonce: need_bytes("nonce", &question.nonce)?,
            expires_at: Timestamp(question.expires_at),
        })
    }
}

/// What is signed: all of it has a fixed length.
fn statement(merchant: AccountId, order: OrderId, nonce: [u8; 16]) -> Vec<u8> {
    [&merchant.0[..], &order.0, &nonce].concat()
}
