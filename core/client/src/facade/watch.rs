//! Subscriptions: a listener hears the whole first, and then what changed, as edits of a list.
//!
//! Each has a thread of its own that waits for changes, reads what its list is now, and tells the difference to what its
//! listener knows. However much happens meanwhile, a slow listener gets one difference; nothing piles up.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use comptoir_content::ConversationId;
use tokio::sync::mpsc;

use super::shell::{SHELL_LIMIT, within};
use super::{Bubble, ChangeListener, ChatRow, Client, ClientError, PaymentSheet, Place, Sheet, Status};
use crate::alive::{Alive, Here};
use crate::changes::{Changes, Hush, View};

/// How long the end of a subscription waits for its listener.
const LAST_CALL: Duration = Duration::from_secs(1);
/// A list that could not be read is read again after so long.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What a listener hears. Rows are counted from 0; edits come in the order in which they are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum Change {
    /// Forget the rows: what follows is the whole. Comes first of all, and after more happened than was kept.
    Reset,
    /// In the list of chats, newest first: `removed` rows from `at` on are replaced by `rows`.
    Chats {
        at: u32,
        removed: u32,
        rows: Vec<ChatRow>,
    },
    /// In the messages of the watched chat, oldest first: the same.
    Messages {
        at: u32,
        removed: u32,
        rows: Vec<Bubble>,
    },
    Status {
        status: Status,
    },
}

/// A subscription. It ends with [`Subscription::end`] or when its last handle is dropped.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Subscription {
    hush: Hush,
    watcher: Arc<Alive>,
    rows: Arc<AtomicU32>,
    again: View,
}

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Subscription {
    /// Watches so many rows from now on.
    ///
    /// # Errors
    /// None: a `Result` because everything that is exported returns one.
    pub fn show(&self, rows: u32) -> Result<(), ClientError> {
        self.rows.store(rows, Ordering::Release);
        self.hush.nudge(&self.again);
        Ok(())
    }

    /// Ends it. Waits for a call of the listener that is under way (but for no longer than a second, and not in the
    /// listener itself), so that afterwards it is not called any more. Again does nothing.
    ///
    /// # Errors
    /// None, as above.
    pub fn end(&self) -> Result<(), ClientError> {
        self.hush.end();
        wait_for_listeners(&self.watcher);
        Ok(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hush.end();
    }
}

/// What a subscription is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    Chats,
    Chat(ConversationId),
    Status,
}

impl Watched {
    /// The change that makes it look again.
    fn view(self) -> View {
        match self {
            Self::Chats => View::Chats,
            Self::Chat(chat) => View::Chat(chat),
            Self::Status => View::Status,
        }
    }
}

pub(super) fn watch(
    client: &Arc<Client>,
    watched: Watched,
    rows: u32,
    listener: Arc<dyn ChangeListener>,
) -> Result<Arc<Subscription>, ClientError> {
    let changes = client.changes();
    let rows = Arc::new(AtomicU32::new(rows));
    let alive = Arc::new(Alive::default());
    let here = (alive.begin(), client.listeners.begin());
    let (hush, again) = (changes.hush(), watched.view());
    let subscription = Subscription { hush, watcher: alive, rows: rows.clone(), again };
    let watcher = Watcher { client: Arc::downgrade(client), watched, rows, listener };
    on_a_thread("comptoir-watch", move || {
        watcher.run(changes);
        drop(here);
    })?;
    Ok(Arc::new(subscription))
}

thread_local! {
    /// True in a thread that calls a listener: it must not wait for itself.
    static CALLS_A_LISTENER: Cell<bool> = const { Cell::new(false) };
}

/// Waits until these threads have called their listeners for the last time and let go of them.
pub(super) fn wait_for_listeners(listeners: &Alive) {
    if !CALLS_A_LISTENER.get() && !listeners.wait(LAST_CALL) {
        tracing::warn!("a listener takes long");
    }
}

/// Tells the shell to open payment sheets, as long as the core is there.
pub(super) fn open_sheets(
    mut sheets: mpsc::Receiver<Sheet>,
    shell: Arc<dyn PaymentSheet>,
    here: Here,
) -> Result<(), ClientError> {
    on_a_thread("comptoir-sheet", move || {
        while let Some(sheet) = sheets.blocking_recv() {
            // After the end nothing is called; what was to be opened is found in its bill.
            if sheets.is_closed() {
                break;
            }
            let shell = shell.clone();
            if let Err(error) = within(SHELL_LIMIT, move || shell.show(sheet)) {
                tracing::warn!(why = error.kind(), "the payment sheet was not opened; it can be opened from its bill");
            }
        }
        drop(shell);
        drop(here);
    })
}

pub(super) fn on_a_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ClientError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    let failed =
        |error: std::io::Error| ClientError::Bug { code: "core.threads".to_owned(), detail: error.to_string() };
    thread.map(drop).map_err(failed)
}

struct Watcher {
    client: Weak<Client>,
    watched: Watched,
    rows: Arc<AtomicU32>,
    listener: Arc<dyn ChangeListener>,
}

/// A list as the listener knows it.
enum Known {
    Nothing,
    Chats(Vec<ChatRow>),
    Messages(Vec<Bubble>),
    Status(Status),
}

impl Watcher {
    fn run(self, mut changes: Changes) {
        CALLS_A_LISTENER.set(true);
        let (mut known, mut failed) = (Known::Nothing, false);
        while let Some(first) = changes.next_blocking() {
            let (mut concerns, mut reset) = (false, false);
            let mut next = Some(first);
            while let Some(view) = next {
                reset |= view == View::Reset;
                concerns |= view == self.watched.view();
                next = changes.next_now();
            }
            if !concerns && !reset {
                continue;
            }
            // Held only while reading: a listener may be the one who drops the last handle.
            let Some(client) = self.client.upgrade() else { return };
            let now = self.read(&client);
            drop(client);
            let now = match now {
                Ok(now) => now,
                // Resuming rings again.
                Err(error) if error.code() == ClientError::suspended().code() => continue,
                Err(error) => {
                    if !failed {
                        tracing::error!(%error, "reading what is watched");
                    }
                    failed = true;
                    std::thread::sleep(READ_AGAIN_AFTER);
                    changes.hush().nudge(&self.watched.view());
                    continue;
                }
            };
            failed = false;
            if reset {
                known = Known::Nothing;
            }
            if changes.hush().is_over() {
                return;
            }
            let told = difference(&known, &now);
            if told.is_empty() {
                continue;
            }
            known = match self.listener.changed(told) {
                Ok(()) => now,
                Err(error) => {
                    tracing::warn!(
                        why = error.kind(),
                        "a listener failed; it hears the whole again with the next change"
                    );
                    Known::Nothing
                }
            };
        }
    }

    fn read(&self, client: &Client) -> Result<Known, ClientError> {
        let rows = self.rows.load(Ordering::Acquire);
        Ok(match self.watched {
            Watched::Chats => Known::Chats(client.chats(None, rows)?.rows),
            Watched::Chat(chat) => Known::Messages(client.page(chat, Place::Newest, rows)?.bubbles),
            Watched::Status => Known::Status(client.status()?),
        })
    }
}

fn difference(known: &Known, now: &Known) -> Vec<Change> {
    let whole = matches!(known, Known::Nothing).then_some(Change::Reset);
    let told: Vec<Change> = match (known, now) {
        (Known::Chats(known), Known::Chats(now)) => edits(known, now, |row| row.chat).map_to(chats),
        (_, Known::Chats(now)) => edits(&[], now, |row| row.chat).map_to(chats),
        (Known::Messages(known), Known::Messages(now)) => edits(known, now, |bubble| bubble.id).map_to(messages),
        (_, Known::Messages(now)) => edits(&[], now, |bubble| bubble.id).map_to(messages),
        (Known::Status(known), Known::Status(now)) if known == now => Vec::new(),
        (_, Known::Status(now)) => vec![Change::Status { status: now.clone() }],
        (_, Known::Nothing) => Vec::new(),
    };
    whole.into_iter().chain(told).collect()
}

fn chats(edit: Edit<ChatRow>) -> Change {
    Change::Chats { at: edit.at, removed: edit.removed, rows: edit.rows }
}

fn messages(edit: Edit<Bubble>) -> Change {
    Change::Messages { at: edit.at, removed: edit.removed, rows: edit.rows }
}

/// `removed` rows from `at` on are replaced by `rows`.
#[derive(Debug, PartialEq, Eq)]
struct Edit<T> {
    at: u32,
    removed: u32,
    rows: Vec<T>,
}

struct Edits<T>(Vec<Edit<T>>);

impl<T> Edits<T> {
    fn map_to(self, change: impl Fn(Edit<T>) -> Change) -> Vec<Change> {
        self.0.into_iter().map(change).collect()
    }
}

/// What makes `new` of `old`: first the rows at the front that are gone, as of a list that moved on; then one run in the
/// middle, between what both begin and end with.
fn edits<T: Clone + PartialEq, K: PartialEq>(old: &[T], new: &[T], key: impl Fn(&T) -> K) -> Edits<T> {
    let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
    let mut edits = Vec::new();
    let gone = old.iter().take_while(|row| new.iter().all(|other| key(other) != key(row))).count();
    let old = if gone > 0 && gone < old.len() {
        edits.push(Edit { at: 0, removed: count(gone), rows: Vec::new() });
        &old[gone..]
    } else {
        old
    };
    let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[same..], &new[same..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    if !old.is_empty() || !new.is_empty() {
        edits.push(Edit { at: count(same), removed: count(old.len()), rows: new.to_vec() });
    }
    Edits(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of a list: which one, and what stands in it.
    type Row = (u8, u8);

    fn check(old: &[Row], new: &[Row], expected: &[(u32, u32, &[Row])]) {
        let Edits(edits) = edits(old, new, |row| row.0);
        let told: Vec<(u32, u32, &[Row])> =
            edits.iter().map(|edit| (edit.at, edit.removed, edit.rows.as_slice())).collect();
        assert_eq!(told, expected);
        let mut made = old.to_vec();
        for edit in edits {
            let (from, to) = (edit.at as usize, (edit.at + edit.removed) as usize);
            made.splice(from..to, edit.rows);
        }
        assert_eq!(made, new);
    }

    #[test]
    fn what_changed_is_told_and_no_more() {
        let three = [(1, 0), (2, 0), (3, 0)];
        check(&three, &three, &[]);
        check(&[], &three, &[(0, 0, &three)]);
        check(&three, &[], &[(0, 3, &[])]);
        // A mark on one message.
        check(&three, &[(1, 0), (2, 9), (3, 0)], &[(1, 1, &[(2, 9)])]);
        // A message arrives; with a full window the oldest leaves.
        check(&three, &[(1, 0), (2, 0), (3, 0), (4, 0)], &[(3, 0, &[(4, 0)])]);
        check(&three, &[(2, 0), (3, 0), (4, 0)], &[(0, 1, &[]), (2, 0, &[(4, 0)])]);
        // Older ones are shown.
        check(&three, &[(0, 0), (1, 0), (2, 0), (3, 0)], &[(0, 0, &[(0, 0)])]);
        // A chat moves to the top.
        check(&three, &[(2, 9), (1, 0), (3, 0)], &[(0, 2, &[(2, 9), (1, 0)])]);
        // Another list altogether.
        check(&three, &[(7, 0)], &[(0, 3, &[(7, 0)])]);
    }
}
