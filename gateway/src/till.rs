//! The till: the key that signs invoices, answers, receipts and refunds, and the rows it works on.

use comptoir_client::headless::{Extension, TurnError, Tx};
use comptoir_content::{
    AccountId, AccountLog, Amount, AnswerBody, Basis, Body, ConversationId, Currency, Hash, Invoice, LogLink, OrderId,
    OrderPlaced, PaymentAnswer, PaymentId, Profile, PublicKey, Signed, SigningKey, Statement, Timestamp,
};
use comptoir_engine::account::{Account, TillVerdict};
use comptoir_engine::order::Taken;
use comptoir_engine::payment::{Attempt, State};
use comptoir_sqlcipher::rusqlite::{self, OptionalExtension as _, Row, params};

/// The till's tables in the client's store.
pub(crate) const EXTENSION: Extension =
    Extension { room: "gateway", migrations: &[include_str!("../migrations/0001.sql")] };

/// The till and the account it signs for.
pub(crate) struct Till {
    pub(crate) key: SigningKey,
    pub(crate) term: u64,
    pub(crate) live: bool,
    pub(crate) profile: Signed<Profile>,
    pub(crate) account: Account,
}

/// An attempt to be paid with everything around it.
#[derive(Clone)]
pub(crate) struct AttemptRow {
    pub(crate) payment: PaymentId,
    pub(crate) number: u32,
    pub(crate) order: OrderId,
    pub(crate) invoice_hash: Hash,
    pub(crate) conversation: ConversationId,
    pub(crate) buyer: AccountId,
    pub(crate) payer_key: PublicKey,
    pub(crate) placed: OrderPlaced,
    pub(crate) provider: String,
    pub(crate) attempt: Attempt,
    pub(crate) handoff: Option<Vec<u8>>,
    pub(crate) created_at: Timestamp,
}

impl AttemptRow {
    /// As the engine knows it.
    pub(crate) fn taken(&self) -> Taken {
        Taken {
            buyer: self.buyer,
            order: self.order,
            payment: self.payment,
            attempt: self.number,
            payer_key: self.payer_key,
            state: self.attempt.state,
        }
    }
}

pub(crate) fn load(tx: &mut Tx<'_>) -> Result<Till, TurnError> {
    let account = tx.own_account()?;
    let (seed, term, live, profile): ([u8; 32], i64, bool, Vec<u8>) = tx
        .sql()
        .prepare_cached("SELECT seed, term, live, profile FROM till")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?
        .ok_or(TurnError::NotFound { what: "till" })?;
    Ok(Till {
        key: SigningKey::from_seed(seed),
        term: u64::try_from(term).unwrap_or(0),
        live,
        profile: Signed::decode(&profile)?,
        account,
    })
}

impl Till {
    /// Whether what this till signs holds at a moment.
    pub(crate) fn is_certified_at(&self, at: Timestamp) -> bool {
        self.account.judge_till(self.key.public(), self.term, self.live, at) == TillVerdict::Holds
    }

    /// The moment that stands on what this till signs now: never one before its certificate, which was there first, whatever
    /// the clock says. What was dated before it would be believed by nobody, a receipt among it.
    pub(crate) fn issued_at(&self, now: Timestamp) -> Timestamp {
        self.account.till_since(self.key.public()).map_or(now, |since| now.max(since))
    }

    /// The account's log from its beginning to the entry that certifies this till: all that a receipt has to carry, however
    /// long the log becomes.
    pub(crate) fn certificate_log(&self) -> AccountLog {
        let log = self.account.log();
        let certifies = |link: &LogLink| match link.verify().map(|entry| entry.statement) {
            Ok(Statement::TillCertified(certificate)) => certificate.till == self.key.public(),
            Ok(_) | Err(_) => false,
        };
        let end = log.links.iter().position(certifies).map_or(log.links.len(), |at| at + 1);
        AccountLog { genesis: log.genesis.clone(), links: log.links[..end].to_vec() }
    }

    /// Signs what this till says about an attempt.
    pub(crate) fn answer(&self, row: &AttemptRow, body: AnswerBody, now: Timestamp) -> Signed<PaymentAnswer> {
        let answer = PaymentAnswer {
            merchant: self.account.id,
            term: self.term,
            live: self.live,
            payer_key: row.payer_key,
            invoice_hash: row.invoice_hash,
            order: row.order,
            payment: row.payment,
            attempt: row.number,
            issued_at: self.issued_at(now),
            body,
        };
        Signed::sign(&answer, &self.key)
    }
}

/// Sends a signed answer to the customer. Results of orders always may be sent.
pub(crate) fn tell(tx: &mut Tx<'_>, row: &AttemptRow, answer: Signed<PaymentAnswer>) -> Result<(), TurnError> {
    tx.say(row.conversation, Body::PaymentAnswer(answer), Some(Basis::Order(row.order))).map(drop)
}

/// An invoice, and the product that it is for.
type Sold = (Signed<Invoice>, Option<String>);

/// An invoice of this till. One that was made at the counter is for no product of the catalogue.
pub(crate) fn invoice(db: &rusqlite::Connection, hash: Hash) -> Result<Option<Sold>, TurnError> {
    let found: Option<(Vec<u8>, Option<String>)> = db
        .prepare_cached("SELECT signed, product FROM invoice WHERE hash = ?1")?
        .query_row([hash.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        Some((signed, product)) => Some((Signed::decode(&signed)?, product)),
        None => None,
    })
}

struct Raw {
    row: [[u8; 32]; 2],
    ids: ([u8; 16], [u8; 16], [u8; 16], [u8; 20]),
    number: u32,
    placed: Vec<u8>,
    texts: (String, String, String, String, String),
    live: bool,
    amount_minor: i64,
    provider_payment: Option<String>,
    reason: Option<String>,
    handoff: Option<Vec<u8>>,
    times: (i64, i64, Option<i64>),
    reads: u32,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        row: [row.get("invoice_hash")?, row.get("payer_key")?],
        ids: (row.get("payment")?, row.get("order_id")?, row.get("conversation")?, row.get("buyer")?),
        number: row.get("attempt")?,
        placed: row.get("placed")?,
        texts: (
            row.get("provider")?,
            row.get("account")?,
            row.get("reference")?,
            row.get("currency")?,
            row.get("state")?,
        ),
        live: row.get("live")?,
        amount_minor: row.get("amount_minor")?,
        provider_payment: row.get("provider_payment")?,
        reason: row.get("reason")?,
        handoff: row.get("handoff")?,
        times: (row.get("created_at")?, row.get("expires_at")?, row.get("wake_at")?),
        reads: row.get("reads")?,
    })
}

impl Raw {
    fn load(self) -> Result<AttemptRow, TurnError> {
        let (payment, order, conversation, buyer) = self.ids;
        let (provider, account, reference, currency, state) = self.texts;
        let (created_at, expires_at, wake_at) = self.times;
        Ok(AttemptRow {
            payment: PaymentId(payment),
            number: self.number,
            order: OrderId(order),
            invoice_hash: Hash(self.row[0]),
            conversation: ConversationId(conversation),
            buyer: AccountId(buyer),
            payer_key: PublicKey(self.row[1]),
            placed: OrderPlaced::decode(&self.placed)?,
            provider,
            attempt: Attempt {
                state: State::named(&state).ok_or(TurnError::Corrupt { what: "attempt" })?,
                amount: Amount::new(self.amount_minor, Currency::of(&currency)?)?,
                reference,
                account,
                live: self.live,
                provider_payment: self.provider_payment,
                reason: self.reason,
                expires_at: Timestamp(expires_at),
                reads: self.reads,
                wake_at: wake_at.map(Timestamp),
            },
            handoff: self.handoff,
            created_at: Timestamp(created_at),
        })
    }
}

/// The attempts that `filter` (an SQL condition with one parameter) selects.
fn select(db: &rusqlite::Connection, filter: &str, value: &dyn rusqlite::ToSql) -> Result<Vec<AttemptRow>, TurnError> {
    let mut select =
        db.prepare_cached(&format!("SELECT * FROM attempt WHERE {filter} ORDER BY created_at, attempt"))?;
    let rows: Vec<Raw> = select.query_map([value], raw)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(Raw::load).collect()
}

pub(crate) fn attempts_of_invoice(db: &rusqlite::Connection, hash: Hash) -> Result<Vec<AttemptRow>, TurnError> {
    select(db, "invoice_hash = ?1", &hash.0)
}

pub(crate) fn attempts_of_order(db: &rusqlite::Connection, order: OrderId) -> Result<Vec<AttemptRow>, TurnError> {
    select(db, "order_id = ?1", &order.0)
}

pub(crate) fn attempts_of_payment(db: &rusqlite::Connection, payment: PaymentId) -> Result<Vec<AttemptRow>, TurnError> {
    select(db, "payment = ?1", &payment.0)
}

pub(crate) fn attempts_due(db: &rusqlite::Connection, now: Timestamp) -> Result<Vec<AttemptRow>, TurnError> {
    select(db, "wake_at <= ?1 AND quarantined IS NULL", &now.0)
}

pub(crate) fn attempt(db: &rusqlite::Connection, payment: PaymentId, number: u32) -> Result<AttemptRow, TurnError> {
    let mut select = db.prepare_cached("SELECT * FROM attempt WHERE payment = ?1 AND attempt = ?2")?;
    let found = select.query_row(params![payment.0, number], raw).optional()?;
    found.ok_or(TurnError::NotFound { what: "attempt" })?.load()
}

pub(crate) fn insert_attempt(tx: &Tx<'_>, row: &AttemptRow) -> Result<(), TurnError> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO attempt (payment, attempt, order_id, invoice_hash, conversation, buyer, payer_key, placed,
                 provider, account, live, reference, amount_minor, currency, state, created_at, expires_at, wake_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .execute(params![
            row.payment.0,
            row.number,
            row.order.0,
            row.invoice_hash.0,
            row.conversation.0,
            row.buyer.0,
            row.payer_key.0,
            row.placed.encode(),
            row.provider,
            row.attempt.account,
            row.attempt.live,
            row.attempt.reference,
            row.attempt.amount.minor(),
            row.attempt.amount.currency().code(),
            row.attempt.state.name(),
            row.created_at.0,
            row.attempt.expires_at.0,
            row.attempt.wake_at.map(|at| at.0),
        ])?;
    Ok(())
}

pub(crate) fn save_attempt(tx: &Tx<'_>, row: &AttemptRow) -> Result<(), TurnError> {
    tx.sql()
        .prepare_cached(
            "UPDATE attempt SET state = ?3, provider_payment = ?4, reason = ?5, handoff = ?6, reads = ?7, wake_at = ?8
             WHERE payment = ?1 AND attempt = ?2",
        )?
        .execute(params![
            row.payment.0,
            row.number,
            row.attempt.state.name(),
            row.attempt.provider_payment,
            row.attempt.reason,
            row.handoff,
            row.attempt.reads,
            row.attempt.wake_at.map(|at| at.0),
        ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use comptoir_content::{AccountKind, Genesis, Receipt, ReceiptFile, TillCertificate};
    use comptoir_engine::receipt::{Verdict, verify};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn certified(till: &SigningKey) -> Statement {
        let (from, until) = (NOW, NOW.plus_ms(1_000));
        Statement::TillCertified(TillCertificate { till: till.public(), term: 1, live: false, from, until })
    }

    /// A shop that was opened a moment ago, with a till of its own.
    fn shop(owner: &SigningKey) -> Account {
        let genesis = Genesis {
            kind: AccountKind::Business,
            account_key: owner.public(),
            recovery_hash: Hash([3; 32]),
            nonce: [4; 16],
        };
        Account::read(&AccountLog { genesis: genesis.encode(), links: Vec::new() }).unwrap()
    }

    fn till(key: SigningKey, account: Account, owner: &SigningKey) -> Till {
        let profile = Profile {
            account: account.id,
            revision: 1,
            name: String::new(),
            about: String::new(),
            payees: vec![],
            issued_at: NOW,
        };
        Till { key, term: 1, live: false, profile: Signed::sign(&profile, owner), account }
    }

    #[test]
    fn what_a_till_signs_is_never_dated_before_its_certificate() {
        let (owner, key) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let mut account = shop(&owner);
        account.append(&account.next_link(certified(&key), &owner, NOW)).unwrap();
        let till = till(key, account, &owner);
        // Its clock was set back by ten minutes, or is right.
        let dated = [-600_000, 0, 1].map(|off_ms| till.issued_at(NOW.plus_ms(off_ms)));
        assert_eq!(dated, [NOW, NOW, NOW.plus_ms(1)]);
        assert!(till.is_certified_at(dated[0]));
    }

    #[test]
    fn a_receipt_stays_small_however_long_the_log_of_its_shop_becomes() {
        let (owner, key) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let mut account = shop(&owner);
        let others: Vec<SigningKey> = (10..150).map(|seed| SigningKey::from_seed([seed; 32])).collect();
        for till in others[..2].iter().chain([&key]).chain(&others[2..]) {
            account.append(&account.next_link(certified(till), &owner, NOW)).unwrap();
        }
        let till = till(key, account, &owner);
        let receipt = Receipt {
            merchant: till.account.id,
            term: 1,
            live: false,
            invoice_hash: Hash([5; 32]),
            order: OrderId([6; 16]),
            payer_key: owner.public(),
            amount: Amount::new(120, Currency::of("EUR").unwrap()).unwrap(),
            issued_at: NOW,
            previous: None,
            digests: [Hash([7; 32]); 4],
        };
        let receipt = Signed::sign(&receipt, &till.key);
        let file = ReceiptFile { receipt, disclosures: vec![], log: till.certificate_log() };
        assert_eq!(file.log.links.len(), 3);
        assert!(file.to_file().len() < 2_000, "{} bytes", file.to_file().len());
        // By itself, and for a phone that knows the whole log: also of what the log says later.
        assert!(matches!(verify(&file, None), Ok(Verdict::Holds(_))));
        assert!(matches!(verify(&file, Some(&till.account)), Ok(Verdict::Holds(_))));
        let mut revoked = till.account.clone();
        let since = NOW.plus_ms(1);
        let revokes = Statement::TillRevoked { till: till.key.public(), since };
        revoked.append(&revoked.next_link(revokes, &owner, NOW)).unwrap();
        assert!(matches!(verify(&file, Some(&revoked)), Ok(Verdict::DateUnproven(_))));
    }
}
