//! The practice cards: the only numbers this provider takes, and what each of them does.

/// A card and what happens when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PracticeCard {
    /// Sixteen digits.
    pub number: &'static str,
    /// What it does, for the list on the payment page.
    pub does: &'static str,
    pub(crate) manner: Manner,
}

/// How a payment goes with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Approves(Webhooks),
    Declines,
    AsksThreeDSecure { passes: bool },
    OutcomeUnknown { ends_paid: bool },
}

/// How the webhooks of an approved payment are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Webhooks {
    Once,
    Late,
    Twice,
    Reversed,
    Never,
}

const fn card(number: &'static str, does: &'static str, manner: Manner) -> PracticeCard {
    PracticeCard { number, does, manner }
}

/// Every card there is.
pub const PRACTICE_CARDS: [PracticeCard; 10] = [
    card("4242424242424242", "Approves", Manner::Approves(Webhooks::Once)),
    card("4000000000000002", "Declines", Manner::Declines),
    card("4000000000003220", "Asks 3-D Secure", Manner::AsksThreeDSecure { passes: true }),
    card("4000000000003238", "Asks 3-D Secure, always fails it", Manner::AsksThreeDSecure { passes: false }),
    card("4000000000000119", "Outcome unknown, turns out paid", Manner::OutcomeUnknown { ends_paid: true }),
    card("4000000000000127", "Outcome unknown, turns out declined", Manner::OutcomeUnknown { ends_paid: false }),
    card("4000000000001000", "Approves, webhooks late", Manner::Approves(Webhooks::Late)),
    card("4000000000002000", "Approves, webhooks twice", Manner::Approves(Webhooks::Twice)),
    card("4000000000003000", "Approves, webhooks out of order", Manner::Approves(Webhooks::Reversed)),
    card("4000000000004000", "Approves, webhooks never", Manner::Approves(Webhooks::Never)),
];

impl PracticeCard {
    /// The number in groups of four.
    #[must_use]
    pub fn spaced(&self) -> String {
        let (groups, _) = self.number.as_bytes().as_chunks::<4>();
        let groups: Vec<String> = groups.iter().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
        groups.join(" ")
    }
}

/// The card with the number that was typed, spaces allowed. Whatever else was typed is forgotten with this call.
pub(crate) fn find(typed: &str) -> Option<&'static PracticeCard> {
    let digits: String = typed.chars().filter(|c| *c != ' ').collect();
    PRACTICE_CARDS.iter().find(|card| card.number == digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_found_with_and_without_spaces() {
        for card in &PRACTICE_CARDS {
            assert_eq!(find(card.number), Some(card));
            assert_eq!(find(&format!(" {} ", card.spaced())), Some(card));
        }
        assert_eq!(PRACTICE_CARDS[0].spaced(), "4242 4242 4242 4242");
    }

    #[test]
    fn nothing_else_is_a_card() {
        for typed in ["", "4242", "4242424242424243", "4242-4242-4242-4242", "42424242424242424242", "４２４２"] {
            assert_eq!(find(typed), None, "{typed}");
        }
    }
}
