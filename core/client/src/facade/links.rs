//! Our own links: what a code that was scanned leads to, and whether the other side is who it seems to be.

use comptoir_content::{AccountId, ContactCode, ConversationId, Link, VerifyCode};
use comptoir_engine::account::Account;

use super::{Client, ClientError, check_relay};
use crate::actor::Input;

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Client {
    /// Goes where a link or code of ours leads, and says which chat to show: a contact code adds whoever it is of, the code of
    /// a bill asks its shop for the bill, which comes in the chat, a verify code marks whoever shows it as verified. Works offline.
    ///
    /// # Errors
    /// As [`Client::add_contact`] and [`Client::check_code`]; [`ClientError::AskUser`] `link.unreadable` when it links a device.
    pub async fn open_link(&self, link: &str) -> Result<ConversationId, ClientError> {
        match parse(link)? {
            Link::Contact(code) => self.meet(code).await,
            Link::Bill(code) => {
                check_relay(&code.shop.relay)?;
                self.ask(|reply| Input::AskBill { code, reply }).await
            }
            Link::Verify(code) => self.ask(|reply| Input::CheckCode { expected: None, code, reply }).await,
            Link::DeviceRequest(_) | Link::DeviceGrant(_) => {
                Err(unreadable("this code links a device; it leads to nobody"))
            }
            Link::PayerQuestion(_) => {
                Err(ClientError::ask("link.payer_question", "a shop asks who paid: choose the receipt"))
            }
            Link::PayerProof(_) => Err(unreadable("this code is for a shop's till")),
        }
    }

    /// Adds whoever a contact code is of, and opens a chat. Works offline.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `link.unreadable` when it is no contact code, `contact.own_code` when it is one's own.
    pub async fn add_contact(&self, link: &str) -> Result<ConversationId, ClientError> {
        let Link::Contact(code) = parse(link)? else {
            return Err(unreadable("this is not the contact code of anybody"));
        };
        self.meet(code).await
    }

    /// The safety number of a chat: 60 digits, the same on both sides, that two people compare.
    ///
    /// # Errors
    /// [`ClientError::TryAgain`] until the other side's log was fetched.
    pub fn safety_number(&self, account: AccountId) -> Result<String, ClientError> {
        let (me, them) = self.both(account)?;
        Ok(comptoir_engine::account::safety_number(me.account_key, them.account_key))
    }

    /// What this device knows of the two sides of a chat, as a code for the other side to scan: it confirms exactly what the
    /// safety number confirms. It holds no secret, and is of no use to anybody else.
    ///
    /// # Errors
    /// [`ClientError::TryAgain`] until the other side's log was fetched.
    pub fn verify_code(&self, account: AccountId) -> Result<String, ClientError> {
        let (me, them) = self.both(account)?;
        Ok(VerifyCode { account: me.id, head: me.head, peer: them.id, peer_head: them.head }.to_link())
    }

    /// Holds the other side's [`Client::verify_code`] against what this device knows, and remembers the account as verified when
    /// everything fits. Gives the chat. Works offline.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `link.unreadable` when it is no verify code, `verify.other_account` when it is not of `account`,
    /// `verify.not_for_you` when it is shown to somebody else, `verify.differs` when the keys are not the same: do not trust this
    /// chat. [`ClientError::TryAgain`] `verify.behind` when the other device knows what has not come here yet: connect, and
    /// scan again.
    pub async fn check_code(&self, account: AccountId, code: &str) -> Result<ConversationId, ClientError> {
        let Link::Verify(code) = parse(code)? else {
            return Err(unreadable("this code verifies nobody"));
        };
        self.ask(|reply| Input::CheckCode { expected: Some(account), code, reply }).await
    }

    /// Remembers that a person compared the safety number.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `contact.unknown`.
    pub async fn set_verified(&self, account: AccountId, verified: bool) -> Result<(), ClientError> {
        self.ask(|reply| Input::SetVerified { account, verified, reply }).await
    }
}

impl Client {
    async fn meet(&self, code: ContactCode) -> Result<ConversationId, ClientError> {
        check_relay(&code.relay)?;
        self.ask(|reply| Input::AddContact { code, reply }).await
    }

    /// One's own account and another one, as this device knows them.
    fn both(&self, account: AccountId) -> Result<(Account, Account), ClientError> {
        let both = self.read(|db| {
            let me = crate::store::read_me(db)?.map(|me| me.account);
            Ok(me.zip(crate::store::read_account(db, account)?))
        })?;
        both.ok_or_else(|| ClientError::again("account.log_missing", "the other side's keys were not fetched yet"))
    }
}

fn parse(link: &str) -> Result<Link, ClientError> {
    Link::parse(link).map_err(unreadable)
}

pub(super) fn unreadable(why: impl ToString) -> ClientError {
    ClientError::ask("link.unreadable", why)
}
