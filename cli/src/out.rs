//! What is printed, for people or as JSON, and with which exit code a command ends.

use std::fmt::Display;
use std::process::ExitCode;

use comptoir_client::ClientError;
use serde_json::{Value, json};

/// How a command ends when it does not end well.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: u8,
    /// Stable, `area.reason`.
    pub(crate) code: String,
    /// Says what to do.
    pub(crate) text: String,
    /// Whether the JSON that was printed says it all: then no object of its own follows.
    pub(crate) is_in_json: bool,
}

/// Refused or failed.
const FAILED: u8 = 1;
/// Usage, or input that cannot be read.
const USAGE: u8 = 2;
/// Try again later.
const AGAIN: u8 = 75;

impl Failure {
    pub(crate) fn failed(code: &str, text: impl Display) -> Self {
        Self { exit: FAILED, code: code.to_owned(), text: text.to_string(), is_in_json: false }
    }

    pub(crate) fn usage(code: &str, text: impl Display) -> Self {
        Self { exit: USAGE, code: code.to_owned(), text: text.to_string(), is_in_json: false }
    }

    pub(crate) fn again(code: &str, text: impl Display) -> Self {
        Self { exit: AGAIN, code: code.to_owned(), text: text.to_string(), is_in_json: false }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::TryAgain { .. } => AGAIN,
            // What was typed or scanned cannot be read.
            ClientError::AskUser { code, .. }
                if matches!(code.as_str(), "link.unreadable" | "relay.address" | "content.unreadable") =>
            {
                USAGE
            }
            ClientError::AskUser { .. }
            | ClientError::SignInAgain { .. }
            | ClientError::UpdateApp { .. }
            | ClientError::Locked { .. }
            | ClientError::Bug { .. } => FAILED,
        };
        Self { exit, code: error.code().to_owned(), text: error.to_string(), is_in_json: false }
    }
}

/// Where a command prints.
pub(crate) struct Out {
    json: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The result: as JSON, or in words.
    pub(crate) fn say(&self, value: &Value, words: impl Display) {
        if self.json {
            println!("{value}");
        } else {
            let words = words.to_string();
            if !words.is_empty() {
                println!("{words}");
            }
        }
    }

    /// Something on the way, for people only.
    pub(crate) fn note(&self, words: impl Display) {
        if !self.json {
            eprintln!("{words}");
        }
    }

    pub(crate) fn failed(&self, failure: &Failure) -> ExitCode {
        if self.json && failure.is_in_json {
            // One object for each picture, and no more.
        } else if self.json {
            println!("{}", json!({ "error": { "code": failure.code, "detail": failure.text } }));
        } else {
            eprintln!("comptoir: {}", failure.text);
        }
        ExitCode::from(failure.exit)
    }
}

/// A text of somebody else, made harmless for a terminal: no control characters, no escape sequences.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}
