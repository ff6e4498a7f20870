//! What the shop sells, from a file that the merchant edits: `catalogue.toml`.

use std::path::Path;

use comptoir_content::{Amount, Currency};
use comptoir_engine::limits;
use serde::Deserialize;

use crate::config::ConfigError;

/// A catalogue that holds to all limits.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// What a customer reads first, at most 160 characters.
    pub greeting: String,
    pub currency: Currency,
    pub products: Vec<Product>,
}

#[derive(Clone, Debug)]
pub struct Product {
    /// Stable: it travels in quick replies and invoices.
    pub id: String,
    /// At most 20 characters, because it is a quick reply too.
    pub title: String,
    pub description: String,
    pub price: Amount,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    greeting: String,
    currency: String,
    #[serde(default)]
    product: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    title: String,
    #[serde(default)]
    description: String,
    price_minor: i64,
}

const GREETING_CHARS_MAX: usize = 160;
const ID_BYTES_MAX: usize = 32;

impl Catalogue {
    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// [`ConfigError`] names the field, such as `product[2].price_minor`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        let file: File = toml::from_str(&text)
            .map_err(|error| ConfigError::Syntax { path: path.to_owned(), reason: error.to_string() })?;
        Self::check(file).map_err(|(field, why)| ConfigError::Field { path: path.to_owned(), field, why })
    }

    fn check(file: File) -> Result<Self, (String, String)> {
        let currency = Currency::of(&file.currency).map_err(|error| ("currency".to_owned(), error.to_string()))?;
        limits::check_title("greeting", &file.greeting, GREETING_CHARS_MAX)
            .map_err(|refused| ("greeting".to_owned(), refused.to_string()))?;
        if file.product.is_empty() || file.product.len() > limits::QUICK_REPLIES_MAX {
            let why = format!("1 to {} of them", limits::QUICK_REPLIES_MAX);
            return Err(("product".to_owned(), why));
        }
        let mut products: Vec<Product> = Vec::new();
        for (index, row) in file.product.into_iter().enumerate() {
            let at = |field: &str| format!("product[{}].{field}", index + 1);
            let id_fits = !row.id.is_empty()
                && row.id.len() <= ID_BYTES_MAX
                && row.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            if !id_fits {
                return Err((at("id"), format!("1 to {ID_BYTES_MAX} of a-z, 0-9 and -")));
            }
            if products.iter().any(|known| known.id == row.id || known.title == row.title) {
                return Err((at("id"), "there is a product with this id or title already".to_owned()));
            }
            limits::check_title("title", &row.title, limits::QUICK_REPLY_TITLE_CHARS_MAX)
                .map_err(|refused| (at("title"), refused.to_string()))?;
            limits::check_text("description", &row.description, limits::INVOICE_DESCRIPTION_CHARS_MAX, true)
                .map_err(|refused| (at("description"), refused.to_string()))?;
            let price =
                Amount::new(row.price_minor, currency).map_err(|error| (at("price_minor"), error.to_string()))?;
            if price.minor() <= 0 {
                return Err((at("price_minor"), "more than nothing, in minor units".to_owned()));
            }
            products.push(Product { id: row.id, title: row.title, description: row.description, price });
        }
        Ok(Self { greeting: file.greeting, currency, products })
    }

    pub(crate) fn product(&self, id: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> String {
        let file: File = toml::from_str(text).expect("TOML");
        Catalogue::check(file).expect_err("refused").0
    }

    #[test]
    fn what_is_wrong_is_named() {
        let product = "[[product]]\nid = 'a'\ntitle = 'A'\nprice_minor = 120\n";
        let head = "greeting = 'Hi'\ncurrency = 'EUR'\n";
        assert_eq!(field(&format!("greeting = 'Hi'\ncurrency = 'EURO'\n{product}")), "currency");
        assert_eq!(field(head), "product");
        assert_eq!(field(&format!("{head}{product}{product}")), "product[2].id");
        assert_eq!(
            field(&format!("{head}[[product]]\nid = 'a'\ntitle = 'A'\nprice_minor = 0\n")),
            "product[1].price_minor"
        );
        let long = "x".repeat(21);
        assert_eq!(
            field(&format!("{head}[[product]]\nid = 'a'\ntitle = '{long}'\nprice_minor = 1\n")),
            "product[1].title"
        );
    }
}
