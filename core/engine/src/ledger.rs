//! Double entry: every movement of money is a posting of two legs that sum to zero.

use comptoir_content::Amount;

/// Where money is, from the shop's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Book {
    /// At the payment provider, on its way to the shop.
    Provider,
    /// Earned.
    Sales,
    /// Came in without an order that asked for it, and has to go back.
    Surplus,
}

impl Book {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Sales => "sales",
            Self::Surplus => "surplus",
        }
    }
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A charge for an order.
    Capture,
    /// A charge that nobody should have made: to be refunded.
    Surplus,
    /// Money that went back for an order.
    Refund,
    /// A surplus that went back.
    SurplusRefund,
}

impl Kind {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Surplus => "surplus",
            Self::Refund => "refund",
            Self::SurplusRefund => "surplus_refund",
        }
    }
}

/// One side of a posting, in minor units. Positive: the book holds more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    pub book: Book,
    pub minor: i64,
}

/// The two legs of a movement of `amount`, which is positive.
#[must_use]
pub fn post(kind: Kind, amount: Amount) -> [Leg; 2] {
    let minor = amount.minor();
    let leg = |book, minor| Leg { book, minor };
    match kind {
        Kind::Capture => [leg(Book::Provider, minor), leg(Book::Sales, -minor)],
        Kind::Surplus => [leg(Book::Provider, minor), leg(Book::Surplus, -minor)],
        Kind::Refund => [leg(Book::Sales, minor), leg(Book::Provider, -minor)],
        Kind::SurplusRefund => [leg(Book::Surplus, minor), leg(Book::Provider, -minor)],
    }
}

#[cfg(test)]
mod tests {
    use comptoir_content::Currency;

    use super::*;

    #[test]
    fn names_are_stable() {
        assert_eq!([Book::Provider, Book::Sales, Book::Surplus].map(Book::name), ["provider", "sales", "surplus"]);
        let kinds = [Kind::Capture, Kind::Surplus, Kind::Refund, Kind::SurplusRefund].map(Kind::name);
        assert_eq!(kinds, ["capture", "surplus", "refund", "surplus_refund"]);
    }

    #[test]
    fn every_posting_sums_to_zero_and_a_refund_undoes_its_capture() {
        let amount = Amount::new(1250, Currency::of("EUR").unwrap()).unwrap();
        for kind in [Kind::Capture, Kind::Surplus, Kind::Refund, Kind::SurplusRefund] {
            assert_eq!(post(kind, amount).iter().map(|leg| leg.minor).sum::<i64>(), 0);
        }
        for (there, back) in [(Kind::Capture, Kind::Refund), (Kind::Surplus, Kind::SurplusRefund)] {
            for book in [Book::Provider, Book::Sales, Book::Surplus] {
                let sum =
                    |kind| post(kind, amount).iter().filter(|leg| leg.book == book).map(|leg| leg.minor).sum::<i64>();
                assert_eq!(sum(there) + sum(back), 0);
            }
        }
    }
}
