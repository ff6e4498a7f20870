//! What the objects of a merchant's code are called.

use super::schemes::{self, SGQR, Scheme};
use super::tlv::Object;
use super::{Field, MerchantCode};

/// Every value with its name; of a template, what it is made of.
pub(super) fn of(code: &MerchantCode) -> Vec<Field> {
    let mut fields = Vec::new();
    for object in &code.objects {
        if object.children.is_empty() {
            let name = root(object.id);
            fields.push(Field { place: format!("{:02}", object.id), name, value: object.value.clone() });
            continue;
        }
        for child in &object.children {
            let name = match object.id {
                62 => additional(child.id),
                64 => language(child.id),
                26..=51 => account(object, child.id, schemes::of(object, &code.country, code.currency)),
                _ if child.id == 0 => "identifier",
                _ => "unreserved",
            };
            let place = format!("{:02}.{:02}", object.id, child.id);
            fields.push(Field { place, name, value: child.value.clone() });
        }
    }
    fields
}

fn root(id: u8) -> &'static str {
    match id {
        0 => "payload_format",
        1 => "point_of_initiation",
        2 | 3 => "visa_account",
        4 | 5 => "mastercard_account",
        6..=8 | 17..=25 => "reserved_account",
        9 | 10 => "discover_account",
        11 | 12 => "amex_account",
        13 | 14 => "jcb_account",
        15 | 16 => "unionpay_account",
        26..=51 => "merchant_account",
        52 => "merchant_category",
        53 => "currency",
        54 => "amount",
        55 => "tip_indicator",
        56 => "fee_fixed",
        57 => "fee_percent",
        58 => "country",
        59 => "merchant_name",
        60 => "merchant_city",
        61 => "postcode",
        62 => "additional_data",
        63 => "checksum",
        64 => "language_template",
        65..=79 => "reserved",
        _ => "unreserved",
    }
}

fn additional(id: u8) -> &'static str {
    match id {
        0 => "identifier",
        1 => "bill_number",
        2 => "mobile_number",
        3 => "store_label",
        4 => "loyalty_number",
        5 => "reference_label",
        6 => "customer_label",
        7 => "terminal_label",
        8 => "purpose",
        9 => "consumer_data_request",
        10 => "merchant_tax_id",
        11 => "merchant_channel",
        12..=49 => "reserved",
        _ => "scheme_data",
    }
}

fn language(id: u8) -> &'static str {
    match id {
        0 => "language",
        1 => "native_name",
        2 => "native_city",
        _ => "reserved",
    }
}

fn account(object: &Object, id: u8, scheme: Scheme) -> &'static str {
    let is_sgqr = schemes::child(object, 0).is_some_and(|whose| whose.eq_ignore_ascii_case(SGQR));
    match (scheme, id) {
        (_, 0) => "identifier",
        (Scheme::Pix, 1) => "key",
        (Scheme::Pix, 2) => "text",
        (Scheme::Pix, 25) => "url",
        (Scheme::PromptPay, 1) => "mobile_number",
        (Scheme::PromptPay, 2) => "tax_id",
        (Scheme::PromptPay, 3) => "wallet",
        (Scheme::PromptPayBill, 1) => "biller",
        (Scheme::PromptPayBill, 2) => "reference_1",
        (Scheme::PromptPayBill, 3) => "reference_2",
        (Scheme::PayNow, 1) => "proxy_type",
        (Scheme::PayNow, 2) => "proxy",
        (Scheme::PayNow, 3) => "editable",
        (Scheme::PayNow, 4) => "expires_on",
        (Scheme::Qris, 2) => "national_merchant_id",
        (Scheme::Qris, 3) => "merchant_class",
        (Scheme::Nqr, 1) => "sub_merchant",
        (Scheme::Nqr, 2) => "order_number",
        (Scheme::PiSpi, 1) => "alias",
        (Scheme::BharatUpi, 1) if object.id == 26 => "address",
        (Scheme::BharatUpi, 2) if object.id == 26 => "minimum_amount",
        (Scheme::BharatUpi, 1) if object.id == 27 => "transaction_reference",
        (Scheme::BharatUpi, 2) if object.id == 27 => "url",
        (Scheme::BharatUpi, 1) if object.id == 28 => "aadhaar",
        (Scheme::DuitNow, 1) => "acquirer",
        (Scheme::DuitNow, 2) => "merchant_id",
        (_, 1) if is_sgqr => "sgqr_id",
        (_, 2) if is_sgqr => "version",
        (_, 3) if is_sgqr => "postcode",
        (_, 4) if is_sgqr => "level",
        (_, 5) if is_sgqr => "unit",
        (_, 6) if is_sgqr => "miscellaneous",
        (_, 7) if is_sgqr => "revised_on",
        _ => "scheme_data",
    }
}
