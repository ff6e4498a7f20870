//! What the core has to say to a developer, for a shell's own log, and the one panic hook.
//!
//! Lines carry no ids, names, texts or amounts. A panic is a fault of ours: it never crosses the boundary to another
//! language (UniFFI turns it into an error there), and is told here by its place in the source and nothing else.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::{ClientError, ShellError};

/// Lines that wait for a slow log. More are dropped.
const LINES_MAX: usize = 256;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum LogLevel {
    Error,
    Warning,
    Info,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct LogLine {
    pub level: LogLevel,
    /// The part of the core that speaks, such as `comptoir_client::link`.
    pub source: String,
    pub text: String,
}

/// Takes what the core has to say: `Log` on Android, `Logger` on iOS. Called on a thread of its own, one line after the other.
#[cfg_attr(feature = "uniffi", uniffi::export(foreign))]
pub trait LogListener: Send + Sync {
    /// # Errors
    /// [`ShellError`]; the line is lost then.
    fn log(&self, line: LogLine) -> Result<(), ShellError>;
}

/// Tells the listener from now on what the cores of this process have to say, and where one of them panicked. Once per
/// process, before the first core is opened.
///
/// # Errors
/// [`ClientError::AskUser`] `log.taken` when something listens already.
#[cfg_attr(feature = "uniffi", uniffi::export)]
pub fn start_logging(listener: Arc<dyn LogListener>) -> Result<(), ClientError> {
    let (lines, waiting) = sync_channel::<LogLine>(LINES_MAX);
    let log = Log { lines };
    tracing::subscriber::set_global_default(log).map_err(|error| ClientError::ask("log.taken", error))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "panicked");
    }));
    let thread = std::thread::Builder::new().name("comptoir-log".to_owned()).spawn(move || {
        for line in waiting {
            let _ = listener.log(line);
        }
    });
    let failed =
        |error: std::io::Error| ClientError::Bug { code: "core.threads".to_owned(), detail: error.to_string() };
    thread.map(drop).map_err(failed)
}

/// Hands lines to the listener's thread. Spans are not used in this house.
struct Log {
    lines: SyncSender<LogLine>,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("comptoir") && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warning,
            _ => LogLevel::Info,
        };
        // A log that is slower than what is said loses lines, not time.
        let _ = self.lines.try_send(LogLine { level, source: metadata.target().to_owned(), text: words.0 });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message, then `name=value`.
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let written = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
        written.expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Tape(Mutex<Sender<LogLine>>);

    impl LogListener for Tape {
        fn log(&self, line: LogLine) -> Result<(), ShellError> {
            let told = self.0.lock().unwrap().send(line);
            told.map_err(|error| ShellError::Failed { detail: error.to_string() })
        }
    }

    #[test]
    fn a_shell_hears_what_is_said_and_where_it_panicked_but_not_with_what() {
        let (sender, heard) = channel();
        start_logging(Arc::new(Tape(Mutex::new(sender)))).unwrap();
        // Other tests of this process may be heard as well.
        let hears = |words: &str| heard.iter().find(|line| line.text.contains(words)).unwrap();
        tracing::warn!(tries = 3, "the line broke");
        let line = hears("the line broke");
        assert_eq!((line.level, line.text.as_str()), (LogLevel::Warning, "the line broke tries=3"));
        let _ = std::thread::spawn(|| panic!("Alice's secret")).join();
        let line = hears("logging.rs");
        assert!(line.level == LogLevel::Error && line.text.starts_with("panicked"), "{line:?}");
        assert!(!line.text.contains("secret"), "{line:?}");
        let again = start_logging(Arc::new(Tape(Mutex::new(channel().0)))).unwrap_err();
        assert_eq!(again.code(), "log.taken");
        let _ = std::panic::take_hook();
    }
}
