//! The till's turns, named by what happened. Each is one transaction: rows, ledger, receipt and outgoing messages.

pub(crate) mod bill;
pub(crate) mod incoming;
pub(crate) mod payment;
pub(crate) mod post;
pub(crate) mod redeem;
pub(crate) mod refund;
