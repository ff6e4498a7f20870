//! Account numbers and references that carry a check of their own (ISO 13616, ISO 11649).

/// Fifteen to thirty-four capitals and digits, of which the check holds.
pub(super) fn is_iban(text: &str) -> bool {
    let begins = |country: &[u8], check: &[u8]| {
        country.iter().all(u8::is_ascii_uppercase) && check.iter().all(u8::is_ascii_digit)
    };
    let has_shape = matches!(text.as_bytes(), [a, b, c, d, ..] if begins(&[*a, *b], &[*c, *d]));
    has_shape && (15..=34).contains(&text.len()) && remainder(text) == Some(1)
}

/// A creditor's reference: `RF`, two check digits, and up to twenty-one characters.
pub(super) fn is_creditor_reference(text: &str) -> bool {
    (5..=25).contains(&text.len()) && text.starts_with("RF") && remainder(text) == Some(1)
}

/// The first four characters go to the end, letters count from ten, and the whole is a number; its remainder by 97.
fn remainder(text: &str) -> Option<u32> {
    let (head, tail) = text.split_at_checked(4)?;
    tail.chars().chain(head.chars()).try_fold(0, |rest, c| {
        let value = c.to_digit(36).filter(|_| !c.is_ascii_lowercase())?;
        Some((rest * if value < 10 { 10 } else { 100 } + value) % 97)
    })
}

/// The check digit of Swiss references: each digit leads from one carry to the next.
pub(super) fn holds_swiss_check(digits: &str) -> bool {
    const CARRY: [usize; 10] = [0, 9, 4, 6, 8, 2, 7, 1, 3, 5];
    let Some((check, digits)) = digits.as_bytes().split_last() else { return false };
    let carry = digits
        .iter()
        .try_fold(0, |carry, digit| digit.is_ascii_digit().then(|| CARRY[(carry + usize::from(digit - b'0')) % 10]));
    carry.is_some_and(|carry| usize::from(*check) == usize::from(b'0') + (10 - carry) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_digit_is_noticed() {
        for iban in ["BE72000000001616", "CH5800791123000889012", "CH4431999123000889012", "DE71110220330123456789"] {
            assert!(is_iban(iban), "{iban}");
            let wrong = iban.replacen('0', "1", 1);
            assert!(!is_iban(&wrong), "{wrong}");
            assert!(!is_iban(&iban.to_lowercase()) && !is_iban(&iban[..14]));
        }
        for text in ["", "BE", "BE72 0000 0000 1616", "ÉE72000000001616", "BE720000000016160000000000000000000"] {
            assert!(!is_iban(text), "{text}");
        }
        assert!(is_creditor_reference("RF18539007547034") && !is_creditor_reference("RF18539007547035"));
        assert!(!is_creditor_reference("RF18") && !is_creditor_reference("XX18539007547034"));
        assert!(holds_swiss_check("210000000003139471430009017"));
        assert!(
            !holds_swiss_check("210000000003139471430009018") && !holds_swiss_check("") && !holds_swiss_check("2x0")
        );
    }
}
