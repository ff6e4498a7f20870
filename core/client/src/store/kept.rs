//! What is kept of a message beside its columns: its content without the words, which the column `text` has already. A page
//! of a chat is read from a third fewer pages of the file for it.

use comptoir_content::{Body, Content, ContentError};

/// What the column `content` holds.
pub(crate) fn kept(content: &Content) -> Vec<u8> {
    let mut kept = content.clone();
    kept.fallback.clear();
    if let Body::Text(text) = &mut kept.body {
        text.body.clear();
    }
    kept.encode()
}

/// The content again, from the columns `content` and `text`.
///
/// # Errors
/// [`ContentError`] when what was kept cannot be read.
pub(crate) fn given_back(kept: &[u8], text: &str) -> Result<Content, ContentError> {
    let mut content = Content::decode(kept)?;
    if let Body::Text(words) = &mut content.body {
        text.clone_into(&mut words.body);
    }
    text.clone_into(&mut content.fallback);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use comptoir_content::{QuickReply, Text, Timestamp, Uid};

    use super::*;

    #[test]
    fn a_text_is_kept_once_and_given_back_whole() {
        let words = "Bonjour! What can I get you?";
        let text = Text {
            body: words.to_owned(),
            reply_to: Some(Uid([3; 16])),
            quick_replies: vec![QuickReply { title: "Croissant".to_owned(), payload: vec![1, 2] }],
        };
        let content = Content::new(Uid([1; 16]), Timestamp(5), Body::Text(text));
        let bytes = kept(&content);
        assert!(!bytes.windows(words.len()).any(|window| window == words.as_bytes()));
        assert_eq!(given_back(&bytes, words).unwrap(), content);
    }
}
