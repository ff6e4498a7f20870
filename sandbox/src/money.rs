//! Amounts for people: integer minor units and a currency to text, without a float in between.

/// How many digits of the minor unit follow the point (ISO 4217).
fn exponent(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// `EUR 1,234.50`.
pub(crate) fn display(amount_minor: i64, currency: &str) -> String {
    let exponent = exponent(currency);
    let digits = format!("{:0width$}", amount_minor.unsigned_abs(), width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len() - exponent);
    let mut text = format!("{currency} {}", if amount_minor < 0 { "-" } else { "" });
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::display;

    #[test]
    fn every_exponent_puts_its_point_where_it_belongs() {
        for (amount_minor, currency, expected) in [
            (5, "EUR", "EUR 0.05"),
            (123_450, "EUR", "EUR 1,234.50"),
            (999_999_999_999, "USD", "USD 9,999,999,999.99"),
            (1500, "JPY", "JPY 1,500"),
            (100, "XOF", "XOF 100"),
            (1, "KWD", "KWD 0.001"),
            (1_234_567, "TND", "TND 1,234.567"),
            (-250, "EUR", "EUR -2.50"),
        ] {
            assert_eq!(display(amount_minor, currency), expected);
        }
    }
}
