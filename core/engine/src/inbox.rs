//! What arrived, in the one order in which it may be believed: opened, then verified, then new or a duplicate. Each step
//! is a type, so none can be left out.

use comptoir_content::{Content, ContentError, Uid};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::session::Member;

/// A message that came out of a group: some member said these bytes.
pub struct Opened {
    pub sender: Member,
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// A message whose sender is a device that its account vouches for, read and checked.
#[derive(Debug)]
pub struct Said {
    pub sender: Member,
    pub content: Content,
}

/// A message that was not heard before, or was.
#[derive(Debug)]
pub enum Arrival {
    New(Box<Said>),
    /// Stored already under this uid: acknowledge and forget.
    Duplicate(Uid),
}

/// Why an opened message is not taken. It is kept apart, and never shown as the sender's words.
#[derive(Debug, thiserror::Error)]
pub enum InboxRefused {
    #[error("the device that said it was revoked")]
    RevokedDevice,
    #[error("what it said cannot be read: {0}")]
    Content(#[from] ContentError),
}

impl Opened {
    /// Checks the sender against the newest log of its account, and reads the message.
    ///
    /// # Errors
    /// [`InboxRefused`].
    pub fn verify(self, account: &Account) -> Result<Said, InboxRefused> {
        if account.id != self.sender.account || !account.has_device(self.sender.device, self.sender.key) {
            return Err(InboxRefused::RevokedDevice);
        }
        Ok(Said { content: Content::decode(&self.plaintext)?, sender: self.sender })
    }
}

impl Said {
    /// Tells a new message from one that was stored before. `is_known` looks up (sender account, uid).
    ///
    /// # Errors
    /// Those of the look-up.
    pub fn dedupe<E>(self, is_known: impl FnOnce(&Member, Uid) -> Result<bool, E>) -> Result<Arrival, E> {
        let uid = self.content.uid;
        Ok(if is_known(&self.sender, uid)? { Arrival::Duplicate(uid) } else { Arrival::New(Box::new(self)) })
    }
}
