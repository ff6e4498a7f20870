//! What a code means. One list for the whole house, so that every screen that scans offers the same choices.

use crate::{Code, Payment, Refused};

/// Our own links, written upper-case because that makes the smallest symbols.
const OWN_SCHEME: &str = "COMPTOIR:";
/// Our own links for phones that do not have the app yet.
const OWN_SITE: &str = "https://comptoir.app/";

/// The meaning of a code. Nothing in it is trusted: a link is shown before it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// One of our own links, as it was written; `content` parses it.
    Comptoir(String),
    /// A payment code, by one of the public standards. It has ways to pay, for the person to choose from.
    Payment(Box<Payment>),
    /// It claims to be a payment code and must not be paid: damaged, changed, or against the rules of its standard.
    Refused { raw: Vec<u8>, why: Refused },
    /// A web address, `http` or `https` only. Show its host before opening it.
    Url(String),
    /// Any other text.
    Text(String),
    /// Bytes that are not text.
    Unknown(Vec<u8>),
}

impl Scanned {
    /// Says what a code means. White space around the text is dropped.
    ///
    /// ```
    /// use comptoir_qr::{Code, Scanned};
    ///
    /// let code = Code { bytes: b"comptoir:c/abc".to_vec(), text: Some("comptoir:c/abc".to_owned()), ..Code::default() };
    /// assert_eq!(Scanned::of(&code), Scanned::Comptoir("comptoir:c/abc".to_owned()));
    /// ```
    #[must_use]
    pub fn of(code: &Code) -> Self {
        match Payment::of(code) {
            Some(Ok(payment)) => return Self::Payment(Box::new(payment)),
            Some(Err(why)) => return Self::Refused { raw: code.bytes.clone(), why },
            None => {}
        }
        let Some(text) = &code.text else {
            return Self::Unknown(code.bytes.clone());
        };
        let text = text.trim();
        if starts_with_ignoring_case(text, OWN_SCHEME) || starts_with_ignoring_case(text, OWN_SITE) {
            Self::Comptoir(text.to_owned())
        } else if is_web_address(text) {
            Self::Url(text.to_owned())
        } else {
            Self::Text(text.to_owned())
        }
    }

    /// Says what a text means that was typed, pasted or opened.
    ///
    /// ```
    /// use comptoir_qr::{Refused, Scanned};
    ///
    /// let Scanned::Refused { why, .. } = Scanned::of_text("0002010102116304FFFF") else { panic!("it has a wrong checksum") };
    /// assert!(matches!(why, Refused::Checksum { .. }));
    /// ```
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Self::of(&Code { bytes: text.as_bytes().to_vec(), text: Some(text.to_owned()), ..Code::default() })
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A host after the scheme, and no character that would make the address read otherwise than it opens.
fn is_web_address(text: &str) -> bool {
    let Some(scheme) = ["https://", "http://"].into_iter().find(|scheme| starts_with_ignoring_case(text, scheme))
    else {
        return false;
    };
    let host_follows = text[scheme.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '[');
    host_follows && !text.chars().any(|c| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// Zero-width characters, direction marks and overrides: they change what a person sees and not where a link leads.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Scanned {
        Scanned::of_text(text)
    }

    #[test]
    fn our_own_links_are_known_in_any_case() {
        for link in [
            "COMPTOIR:C/ABC",
            "comptoir:c/abc",
            "Comptoir:",
            "https://comptoir.app/c/abc",
            "HTTPS://COMPTOIR.APP/C/ABC",
        ] {
            assert_eq!(of(link), Scanned::Comptoir(link.to_owned()));
        }
        assert_eq!(of(" COMPTOIR:C/ABC\r\n"), Scanned::Comptoir("COMPTOIR:C/ABC".to_owned()));
    }

    #[test]
    fn look_alikes_of_our_site_are_ordinary_addresses() {
        for link in [
            "https://comptoir.app.example/c",
            "https://comptoir.app@example/c",
            "http://comptoir.app/c",
            "https://comptoir.app",
        ] {
            assert_eq!(of(link), Scanned::Url(link.to_owned()));
        }
    }

    #[test]
    fn only_web_addresses_that_read_as_they_open_are_addresses() {
        for link in ["https://example.org/a?b=c#d", "HTTP://EXAMPLE.ORG", "https://münchen.example/", "http://[::1]/"]
        {
            assert_eq!(of(link), Scanned::Url(link.to_owned()));
        }
        for text in [
            "https://",
            "https:///path",
            "https://exa mple.org",
            "https://example.org/\u{202e}gpj.exe",
            "javascript:alert(1)",
            "mailto:alice@example.org",
            "Comptoir",
            "",
        ] {
            assert_eq!(of(text), Scanned::Text(text.to_owned()));
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_kept() {
        let code = Code { bytes: vec![0xff, 0x00], text: None, ..Code::default() };
        assert_eq!(Scanned::of(&code), Scanned::Unknown(vec![0xff, 0x00]));
    }
}
