//! Rows as types, and the queries that read and write them.

use comptoir_content::{
    AccountId, AccountKind, AccountLog, Body, Content, ConversationId, DeviceId, LogHead, LogLink, Profile, PublicKey,
    Signed, SigningKey, Timestamp, Uid,
};
use comptoir_engine::account::Account;
use comptoir_engine::conversation::Conversation;
use comptoir_engine::renewal::Keys;
use comptoir_engine::session::Me;
use comptoir_sqlcipher::rusqlite::{self, Connection, OptionalExtension as _, Row, params};

use super::kept::kept;
use super::tx::column;
use crate::error::TurnError;
use crate::store::Tx;

/// Arrival numbers of live messages start here, so that imported history can count down from it.
const SEQ_MIDDLE: i64 = 1 << 35;
const SEQ_BITS: u32 = 36;

/// This device.
pub(crate) struct MeRow {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) device_key: SigningKey,
    pub(crate) account_key: Option<SigningKey>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) relay: String,
    pub(crate) registered: bool,
}

impl MeRow {
    pub(crate) fn into_me(self) -> Result<Me, TurnError> {
        Ok(Me {
            certificate: Signed::decode(&self.certificate)?,
            device: self.device,
            account: self.account,
            key: self.device_key,
        })
    }
}

/// An account we know, verified or not yet.
pub(crate) struct AccountRow {
    pub(crate) kind: AccountKind,
    pub(crate) account: Option<Account>,
    /// A longer log is known to exist: its length, and the hash of its last entry.
    pub(crate) wanted: Option<LogHead>,
    pub(crate) profile: Option<Profile>,
    pub(crate) blocked: bool,
    /// The account key was replaced, and nobody has confirmed the new one.
    pub(crate) key_changed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ConversationRow {
    pub(crate) id: i64,
    pub(crate) uid: ConversationId,
    pub(crate) peer: AccountId,
    pub(crate) state: Conversation,
    pub(crate) failures: u32,
    pub(crate) keys: Keys,
}

/// A message about to be stored.
pub(crate) struct NewMessage<'a> {
    pub(crate) sender: AccountId,
    pub(crate) mine: bool,
    pub(crate) state: &'a str,
    pub(crate) unread: bool,
    pub(crate) accepted_at: Timestamp,
    pub(crate) why: Option<&'a str>,
    pub(crate) content: &'a Content,
}

fn kind_name(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Person => "person",
        AccountKind::Business => "business",
    }
}

pub(crate) fn kind_named(name: &str) -> AccountKind {
    if name == "business" { AccountKind::Business } else { AccountKind::Person }
}

/// The sender's time, but no later than the relay's and what honest clocks differ by: nobody writes from the future, to
/// stand on top of the list for ever.
fn shown_at(new: &NewMessage<'_>) -> Timestamp {
    let latest = new.accepted_at.plus_ms(comptoir_engine::limits::SKEW_MS);
    if new.accepted_at.0 > 0 && new.content.sent_at > latest { new.accepted_at } else { new.content.sent_at }
}

/// The stable name of a kind of message, for the column `kind`.
pub(crate) fn body_kind(body: &Body) -> &'static str {
    match body {
        Body::Text(_) => "text",
        Body::Marks(_) => "marks",
        Body::Tap(_) => "tap",
        Body::Card(_) => "card",
        Body::Hello(_) => "hello",
        Body::Invoice(_) => "invoice",
        Body::OrderPlaced(_) => "order_placed",
        Body::PaymentAnswer(_) => "payment_answer",
        Body::AskPayment(_) => "ask_payment",
        Body::Receipt(_) => "receipt",
        Body::Refund(_) => "refund",
        Body::Token(_) => "token",
        Body::AskBill(_) => "ask_bill",
        Body::Unknown => "unknown",
    }
}

/// A log as one blob: length-prefixed genesis and links, in CBOR.
pub(crate) fn log_to_blob(log: &AccountLog) -> Vec<u8> {
    let links: Vec<(&[u8], &[u8], &[u8])> =
        log.links.iter().map(|link| (link.entry.as_slice(), &link.signer.0[..], &link.signature[..])).collect();
    let mut blob = Vec::new();
    ciborium::into_writer(&(log.genesis.as_slice(), links), &mut blob).expect("writing to memory does not fail");
    blob
}

pub(crate) fn log_from_blob(blob: &[u8]) -> Result<AccountLog, TurnError> {
    let corrupt = || TurnError::Corrupt { what: "account log" };
    type Links = Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>;
    let (genesis, links): (Vec<u8>, Links) = ciborium::from_reader(blob).map_err(|_| corrupt())?;
    let link = |(entry, signer, signature): (Vec<u8>, Vec<u8>, Vec<u8>)| {
        Ok(LogLink {
            entry,
            signer: PublicKey(signer.try_into().map_err(|_| corrupt())?),
            signature: signature.try_into().map_err(|_| corrupt())?,
        })
    };
    Ok(AccountLog { genesis, links: links.into_iter().map(link).collect::<Result<_, TurnError>>()? })
}

/// Who this is, as views need it.
pub(crate) struct Myself {
    pub(crate) account: Account,
    pub(crate) device: DeviceId,
    pub(crate) relay: String,
}

pub(crate) fn read_me(db: &Connection) -> Result<Option<Myself>, TurnError> {
    let found = db
        .prepare_cached("SELECT account, device, relay FROM me")?
        .query_row([], |row| Ok((row.get::<_, [u8; 20]>(0)?, row.get::<_, [u8; 16]>(1)?, row.get::<_, String>(2)?)))
        .optional()?;
    let Some((account, device, relay)) = found else {
        return Ok(None);
    };
    let account = read_account(db, AccountId(account))?.ok_or(TurnError::Corrupt { what: "own account log" })?;
    Ok(Some(Myself { account, device: DeviceId(device), relay }))
}

/// The verified log of an account, on any connection.
pub(crate) fn read_account(db: &Connection, id: AccountId) -> Result<Option<Account>, TurnError> {
    let log: Option<Option<Vec<u8>>> =
        db.prepare_cached("SELECT log FROM account WHERE id = ?1")?.query_row([id.0], |row| row.get(0)).optional()?;
    match log.flatten() {
        Some(blob) => Ok(Some(Account::read(&log_from_blob(&blob)?)?)),
        None => Ok(None),
    }
}

impl Tx<'_> {
    pub(crate) fn me_row(&self) -> Result<Option<MeRow>, TurnError> {
        let row = self
            .sql
            .prepare_cached("SELECT * FROM me")?
            .query_row([], |row| {
                let seed = |seed: Option<[u8; 32]>| seed.map(SigningKey::from_seed);
                Ok(MeRow {
                    account: AccountId(column(row, "account")?),
                    device: DeviceId(column(row, "device")?),
                    device_key: SigningKey::from_seed(column(row, "device_seed")?),
                    account_key: seed(row.get("account_seed")?),
                    certificate: row.get("certificate")?,
                    relay: row.get("relay")?,
                    registered: row.get("registered")?,
                })
            })
            .optional()?;
        Ok(row)
    }

    /// Whether this device is a person's or a shop's.
    pub(crate) fn own_kind(&self) -> Result<AccountKind, TurnError> {
        let kind: String = self
            .sql
            .prepare_cached("SELECT kind FROM account WHERE id = (SELECT account FROM me)")?
            .query_row([], |row| row.get(0))?;
        Ok(kind_named(&kind))
    }

    pub(crate) fn account_row(&self, id: AccountId) -> Result<Option<AccountRow>, TurnError> {
        let found = self
            .sql
            .prepare_cached("SELECT * FROM account WHERE id = ?1")?
            .query_row([id.0], |row| {
                let wanted_len: i64 = row.get("wanted_len")?;
                let wanted_hash: Option<[u8; 32]> = row.get("wanted_hash")?;
                Ok((
                    row.get::<_, Option<Vec<u8>>>("log")?,
                    row.get::<_, Option<Vec<u8>>>("profile")?,
                    AccountRow {
                        kind: kind_named(&row.get::<_, String>("kind")?),
                        account: None,
                        wanted: wanted_hash.map(|hash| LogHead {
                            len: u64::try_from(wanted_len).unwrap_or(0),
                            hash: comptoir_content::Hash(hash),
                        }),
                        profile: None,
                        blocked: row.get("blocked")?,
                        key_changed: row.get("key_changed")?,
                    },
                ))
            })
            .optional()?;
        let Some((log, profile, row)) = found else {
            return Ok(None);
        };
        let account = match log {
            Some(blob) => Some(self.known.account(&blob)?),
            None => None,
        };
        let profile = match profile {
            Some(bytes) => Some(self.known.profile(&bytes)?),
            None => None,
        };
        Ok(Some(AccountRow { account, profile, ..row }))
    }

    /// Writes down that an account exists. Keeps what is known about it already.
    pub(crate) fn insert_account(&self, id: AccountId, kind: AccountKind, relay: &str) -> Result<(), TurnError> {
        self.sql
            .prepare_cached(
                "INSERT INTO account (id, kind, relay, seen_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![id.0, kind_name(kind), relay, self.now.0])?;
        Ok(())
    }

    /// A code of an account whose log we have not read yet: what the relay shows has to fit the newest code scanned.
    pub(crate) fn expect_log(&self, id: AccountId, head: LogHead) -> Result<(), TurnError> {
        self.sql
            .prepare_cached(
                "UPDATE account SET wanted_len = ?2, wanted_hash = ?3, refused = NULL WHERE id = ?1 AND log IS NULL",
            )?
            .execute(params![id.0, i64::try_from(head.len).unwrap_or(i64::MAX), head.hash.0])?;
        Ok(())
    }

    /// The relay showed a log that is not believed, and why. What was believed before stays.
    pub(crate) fn refuse_log(&self, id: AccountId, why: &str) -> Result<(), TurnError> {
        self.sql.prepare_cached("UPDATE account SET refused = ?2 WHERE id = ?1")?.execute(params![id.0, why])?;
        Ok(())
    }

    /// Remembers that somebody speaks of a longer log than the one we have: a reason to keep asking, and no more.
    pub(crate) fn want_log(&self, id: AccountId, head: LogHead) -> Result<(), TurnError> {
        self.sql
            .prepare_cached(
                "UPDATE account SET wanted_len = ?2, wanted_hash = ?3
                 WHERE id = ?1 AND (wanted_hash IS NULL OR wanted_len < ?2) AND (log IS NULL OR log_len < ?2)",
            )?
            .execute(params![id.0, i64::try_from(head.len).unwrap_or(i64::MAX), head.hash.0])?;
        Ok(())
    }

    pub(crate) fn save_log(&self, account: &Account) -> Result<(), TurnError> {
        let len = i64::try_from(account.head.len).unwrap_or(i64::MAX);
        // Another key than the one whose safety number somebody may have compared: nobody has compared this one.
        if self.account(account.id)?.is_some_and(|known| known.replaced != account.replaced) {
            self.sql
                .prepare_cached("UPDATE account SET verified = 0, key_changed = 1 WHERE id = ?1")?
                .execute([account.id.0])?;
        }
        self.sql
            .prepare_cached(
                "UPDATE account SET log = ?2, log_len = ?3, kind = ?4, refused = NULL,
                    wanted_hash = CASE WHEN wanted_len <= ?3 THEN NULL ELSE wanted_hash END WHERE id = ?1",
            )?
            .execute(params![account.id.0, log_to_blob(account.log()), len, kind_name(account.kind)])?;
        Ok(())
    }

    /// Sets `verified` or `blocked` of an account.
    pub(crate) fn set_account_flag(&mut self, id: AccountId, flag: &'static str, value: bool) -> Result<(), TurnError> {
        let sql = match flag {
            // To have compared the safety number confirms the key that there is now.
            "verified" => "UPDATE account SET verified = ?2, key_changed = key_changed AND NOT ?2 WHERE id = ?1",
            _ => "UPDATE account SET blocked = ?2 WHERE id = ?1",
        };
        if self.sql.prepare_cached(sql)?.execute(params![id.0, value])? == 0 {
            return Err(TurnError::NotFound { what: "contact" });
        }
        self.effect(crate::store::Effect::Notify(crate::store::Notice::Chats));
        Ok(())
    }

    /// The conversation with `peer`, created when there is none.
    pub(crate) fn conversation_with(&self, me: AccountId, peer: AccountId) -> Result<ConversationRow, TurnError> {
        let uid = ConversationId::between(me, peer);
        self.sql
            .prepare_cached("INSERT INTO conversation (uid, peer) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![uid.0, peer.0])?;
        self.conversation(uid)?.ok_or(TurnError::NotFound { what: "conversation" })
    }

    pub(crate) fn conversation(&self, uid: ConversationId) -> Result<Option<ConversationRow>, TurnError> {
        let mut select = self.sql.prepare_cached("SELECT * FROM conversation WHERE uid = ?1")?;
        Ok(select.query_row([uid.0], conversation_row).optional()?)
    }

    pub(crate) fn conversation_by_id(&self, id: i64) -> Result<ConversationRow, TurnError> {
        let mut select = self.sql.prepare_cached("SELECT * FROM conversation WHERE id = ?1")?;
        Ok(select.query_row([id], conversation_row)?)
    }

    pub(crate) fn save_conversation_state(&self, id: i64, state: Conversation) -> Result<(), TurnError> {
        let (name, generation) = match state {
            Conversation::Absent => ("absent", 0),
            Conversation::Opening { generation } => ("opening", generation),
            Conversation::Open { generation } => ("open", generation),
            Conversation::Awaiting { generation } => ("awaiting", generation),
            Conversation::Lost { generation } => ("lost", generation),
        };
        self.sql
            .prepare_cached("UPDATE conversation SET state = ?2, generation = ?3 WHERE id = ?1")?
            .execute(params![id, name, generation])?;
        Ok(())
    }

    /// When to look for key packages again; `None` when nobody is missing.
    pub(crate) fn retry_conversation(&self, id: i64, at: Option<Timestamp>, failures: u32) -> Result<(), TurnError> {
        self.sql
            .prepare_cached("UPDATE conversation SET retry_at = ?2, failures = ?3 WHERE id = ?1")?
            .execute(params![id, at.map(|at| at.0), failures])?;
        Ok(())
    }

    /// Stores a message at the end of its conversation and returns its row id.
    pub(crate) fn insert_message(&self, conversation: i64, new: &NewMessage<'_>) -> Result<i64, TurnError> {
        let seq: i64 = self
            .sql
            .prepare_cached("UPDATE conversation SET next_seq = next_seq + 1 WHERE id = ?1 RETURNING next_seq")?
            .query_row([conversation], |row| row.get(0))?;
        let id = (conversation << SEQ_BITS) | (SEQ_MIDDLE + seq);
        self.sql
            .prepare_cached(
                "INSERT INTO message
                    (id, uid, sender, mine, kind, state, unread, sent_at, accepted_at, text, content, why)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                id,
                new.content.uid.0,
                new.sender.0,
                new.mine,
                body_kind(&new.content.body),
                new.state,
                new.unread,
                shown_at(new).0,
                new.accepted_at.0,
                preview(new.content),
                kept(new.content),
                new.why,
            ])?;
        Ok(id)
    }

    /// True when this message was stored or heard before.
    pub(crate) fn is_known(&self, sender: AccountId, uid: Uid) -> Result<bool, TurnError> {
        Ok(self
            .sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM message WHERE sender = ?1 AND uid = ?2)
                     OR EXISTS (SELECT 1 FROM heard WHERE sender = ?1 AND uid = ?2)",
            )?
            .query_row(params![sender.0, uid.0], |row| row.get(0))?)
    }

    pub(crate) fn remember_heard(&self, sender: AccountId, uid: Uid) -> Result<(), TurnError> {
        self.sql
            .prepare_cached("INSERT INTO heard (sender, uid) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![sender.0, uid.0])?;
        Ok(())
    }
}

fn conversation_row(row: &Row<'_>) -> rusqlite::Result<ConversationRow> {
    let generation: u32 = row.get("generation")?;
    let state: String = row.get("state")?;
    Ok(ConversationRow {
        id: row.get("id")?,
        uid: ConversationId(column(row, "uid")?),
        peer: AccountId(column(row, "peer")?),
        state: match state.as_str() {
            "opening" => Conversation::Opening { generation },
            "open" => Conversation::Open { generation },
            "awaiting" => Conversation::Awaiting { generation },
            "lost" => Conversation::Lost { generation },
            _ => Conversation::Absent,
        },
        failures: row.get("failures")?,
        keys: Keys {
            due_at: row.get::<_, Option<i64>>("keys_due_at")?.map(Timestamp),
            sealed: row.get("keys_sealed")?,
        },
    })
}

/// What a list and a search show of a message. Empty for what is no news by itself.
fn preview(content: &Content) -> String {
    match &content.body {
        Body::Text(text) => text.body.clone(),
        Body::Tap(tap) => tap.title.clone(),
        Body::Card(card) => card.title.clone(),
        Body::Invoice(invoice) => invoice
            .verify()
            .map(|invoice| format!("{} {}", invoice.title, invoice.total.to_plain()))
            .unwrap_or_default(),
        Body::Receipt(file) => {
            file.receipt.verify().map(|receipt| format!("✓ {}", receipt.amount.to_plain())).unwrap_or_default()
        }
        Body::Refund(refund) => {
            refund.verify().map(|refund| format!("↩ {}", refund.amount.to_plain())).unwrap_or_default()
        }
        Body::Token(_) | Body::AskBill(_) | Body::Unknown => content.fallback.clone(),
        Body::Marks(_) | Body::Hello(_) | Body::OrderPlaced(_) | Body::PaymentAnswer(_) | Body::AskPayment(_) => {
            String::new()
        }
    }
}
