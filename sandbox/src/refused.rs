//! Everything the sandbox says no to, with the status, the code and the words of its answer.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::world::Status;

/// A request that was not carried out. Nothing that was typed is ever repeated in the answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("show the secret key as a bearer token")]
    Unauthorized,
    #[error("the header Idempotency-Key must hold 1 to 255 visible ASCII characters")]
    NoIdempotencyKey,
    #[error("this Idempotency-Key was used for another request")]
    KeyUsedOtherwise,
    #[error("the body must be one JSON object")]
    NotJson,
    #[error("the body could not be read")]
    BadBody,
    #[error("the body is larger than 64 KiB")]
    BodyTooLarge,
    #[error("{field} {rule}")]
    Field { field: String, rule: &'static str },
    #[error("there is nothing at this address")]
    NoSuchRoute,
    #[error("this address does not answer that method")]
    Method,
    #[error("there is no such payment")]
    NoSuchPayment,
    #[error("there is no such refund")]
    NoSuchRefund,
    #[error("this payment is {status} and cannot be canceled")]
    NotCancelable { status: Status },
    #[error("this payment is {status}: only a succeeded payment can be refunded")]
    NotRefundable { status: Status },
    #[error("only {left_minor} minor units are left to refund")]
    RefundTooLarge { left_minor: i64 },
    #[error("this payment is {status} and cannot be paid")]
    NotPayable { status: Status },
    #[error("this is not one of the practice cards; never type a real card number here")]
    NotAPracticeCard,
    #[error("this payment is {status} and asks for no 3-D Secure")]
    NoChallenge { status: Status },
    #[error("the outcome is not known yet: do not pay again, look the payment up")]
    OutcomeUnknown,
    #[error("the change could not be stored and was not made")]
    NotStored,
    #[error("the sandbox is broken: restart it")]
    Broken,
}

impl Refused {
    pub(crate) fn field(field: impl Into<String>, rule: &'static str) -> Self {
        Self::Field { field: field.into(), rule }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoIdempotencyKey | Self::NotJson | Self::BadBody | Self::Field { .. } => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSuchRoute | Self::NoSuchPayment | Self::NoSuchRefund => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::KeyUsedOtherwise
            | Self::NotCancelable { .. }
            | Self::NotRefundable { .. }
            | Self::NotPayable { .. }
            | Self::NoChallenge { .. } => StatusCode::CONFLICT,
            Self::RefundTooLarge { .. } | Self::NotAPracticeCard => StatusCode::UNPROCESSABLE_ENTITY,
            Self::OutcomeUnknown | Self::NotStored | Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::NoIdempotencyKey => "idempotency_key_required",
            Self::KeyUsedOtherwise => "idempotency_conflict",
            Self::NotJson => "invalid_json",
            Self::BadBody => "invalid_body",
            Self::BodyTooLarge => "body_too_large",
            Self::Field { .. } => "invalid_field",
            Self::NoSuchRoute => "not_found",
            Self::Method => "method_not_allowed",
            Self::NoSuchPayment => "payment_not_found",
            Self::NoSuchRefund => "refund_not_found",
            Self::NotCancelable { .. } => "not_cancelable",
            Self::NotRefundable { .. } => "not_refundable",
            Self::RefundTooLarge { .. } => "refund_too_large",
            Self::NotPayable { .. } => "not_payable",
            Self::NotAPracticeCard => "not_a_practice_card",
            Self::NoChallenge { .. } => "no_challenge",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::NotStored => "not_stored",
            Self::Broken => "broken",
        }
    }

    /// The field of the body, the query or the headers that the answer is about.
    fn about(&self) -> Option<&str> {
        match self {
            Self::Field { field, .. } => Some(field),
            Self::NoIdempotencyKey | Self::KeyUsedOtherwise => Some("Idempotency-Key"),
            Self::RefundTooLarge { .. } => Some("amount_minor"),
            Self::NotAPracticeCard => Some("card"),
            Self::Unauthorized
            | Self::NotJson
            | Self::BadBody
            | Self::BodyTooLarge
            | Self::NoSuchRoute
            | Self::Method
            | Self::NoSuchPayment
            | Self::NoSuchRefund
            | Self::NotCancelable { .. }
            | Self::NotRefundable { .. }
            | Self::NotPayable { .. }
            | Self::NoChallenge { .. }
            | Self::OutcomeUnknown
            | Self::NotStored
            | Self::Broken => None,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code(), "message": self.to_string() });
        if let Some(field) = self.about() {
            error["field"] = json!(field);
        }
        (self.status(), axum::Json(json!({ "error": error }))).into_response()
    }
}
