//! Requests and answers as plain values. They carry secrets (our key, the payer's client secret), so `Debug` shows none of
//! it and what we hold is wiped when it is dropped.

use std::fmt;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Characters of a path segment or of a form that stand for themselves.
const UNRESERVED: &[u8] = b"-._~";

/// What a request is for. The answer carries it too, because the same words mean different things: "no such payment" is no
/// answer to a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Read,
    Find,
    Cancel,
    Refund,
    FindRefund,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// A request to a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub operation: Operation,
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    pub body: Zeroizing<Vec<u8>>,
}

/// What a provider answered.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Of the request that this answers.
    pub operation: Operation,
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
}

impl HttpRequest {
    pub(super) fn get(operation: Operation, url: String) -> Self {
        Self { operation, method: Method::Get, url, headers: Vec::new(), body: Zeroizing::default() }
    }

    pub(super) fn post(operation: Operation, url: String) -> Self {
        Self { method: Method::Post, ..Self::get(operation, url) }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, Zeroizing::new(value.into())));
        self
    }

    pub(super) fn body(mut self, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Zeroizing::new(body.into());
        self.header("content-type", content_type)
    }
}

impl HttpResponse {
    #[must_use]
    pub fn new(operation: Operation, status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { operation, status, body: Zeroizing::new(body.into()) }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// What a success says, if it can be read.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        if self.is_success() { serde_json::from_slice(&self.body).ok() } else { None }
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("operation", &self.operation)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Text as one segment of a path, or as a value in a query.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || UNRESERVED.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Fields as `application/x-www-form-urlencoded`.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

/// Whether this can be an id that a provider gave: nothing that changes the meaning of a path.
pub(super) fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// One line of at most `chars_max` characters.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_can_leave_its_place() {
        assert_eq!(escaped("pi_3Nx"), "pi_3Nx");
        assert_eq!(escaped("../v1/x?a=b#c&d"), "..%2Fv1%2Fx%3Fa%3Db%23c%26d");
        assert_eq!(escaped("Café 1"), "Caf%C3%A9%201");
        assert_eq!(form(&[("metadata[a]", "x&y=z"), ("b", "")]), "metadata%5Ba%5D=x%26y%3Dz&b=");
    }

    #[test]
    fn ids_are_letters_digits_and_underscores() {
        for id in ["pi_3Nx", "a", "re_1"] {
            assert!(is_id(id), "{id}");
        }
        for other in ["", ".", "..", "a/b", "a b", "é", &"a".repeat(256)] {
            assert!(!is_id(other), "{other}");
        }
    }

    #[test]
    fn a_description_is_one_line() {
        assert_eq!(one_line("two\nlines\u{7}", 200), "two lines ");
        assert_eq!(one_line("ééé", 2), "éé");
    }

    #[test]
    fn debug_shows_no_secret() {
        let request = HttpRequest::post(Operation::Create, "http://127.0.0.1/v1?x=sk_a".into())
            .header("authorization", "Bearer sk_b")
            .body("text/plain", "sk_c");
        let response = HttpResponse::new(Operation::Create, 200, "sk_d");
        let shown = format!("{request:?} {response:?}");
        assert!(!shown.contains("sk_"), "{shown}");
        assert!(shown.contains("Create") && shown.contains("200"), "{shown}");
    }
}
