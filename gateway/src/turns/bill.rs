//! Bills: signed when a product is tapped, or made at the counter for whoever scans their code.

use comptoir_client::headless::{Incoming, TurnError, Tx};
use comptoir_content::{
    AccountId, Amount, BillCode, Body, ContactCode, ConversationId, Hash, Invoice, InvoiceId, Line, LineKind, Needs,
    Payee, Signed, Timestamp,
};
use comptoir_engine::order::{self, Taken};
use comptoir_engine::payment::REQUEST_LIFE_MS;
use comptoir_engine::{Refused, invoice};
use comptoir_sqlcipher::rusqlite::{OptionalExtension as _, params};

use crate::provider::Provider;
use crate::till::{self, AttemptRow, Till};
use crate::turns::incoming::{say, without_surplus};

/// The till's certificate must outlive an invoice by its payment and by this long: a receipt may come late.
const RECEIPT_SLACK_MS: i64 = 24 * 3_600_000;

/// What an invoice is made from. The till adds the rest.
pub(super) struct New {
    pub(super) id: InvoiceId,
    /// `None`: whoever scans its code.
    pub(super) audience: Option<AccountId>,
    pub(super) expires_at: Timestamp,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) lines: Vec<Line>,
    pub(super) total: Amount,
    pub(super) max_payments: u32,
    pub(super) payload: Vec<u8>,
}

/// What the operator asks for.
pub(crate) struct Wish {
    pub(crate) id: InvoiceId,
    pub(crate) title: String,
    pub(crate) lines: Vec<WishedLine>,
    /// Minutes until it can be paid no more.
    pub(crate) minutes: i64,
    pub(crate) max_payments: u32,
}

/// A line of the operator's wish.
pub(crate) struct WishedLine {
    pub(crate) label: String,
    pub(crate) quantity: u32,
    /// Minor units of the shop's currency.
    pub(crate) unit_minor: i64,
}

/// What a wish for a bill comes down to.
pub(crate) enum Made {
    /// It is signed and in the books, now or before. The text is that of its code.
    Bill { invoice: Box<Invoice>, code: String },
    /// The id is of another bill.
    Another,
    /// The till may not sign what can be paid for so long.
    Closed,
}

/// Whether what can be paid until then can also be receipted by this till.
pub(super) fn may_sell_until(till: &Till, expires_at: Timestamp) -> bool {
    if till.is_certified_at(expires_at.plus_ms(REQUEST_LIFE_MS + RECEIPT_SLACK_MS)) {
        return true;
    }
    tracing::error!("nothing is sold: the till's certificate has ended, or ends before a bill could be paid");
    false
}

/// Signs an invoice and writes it into the books. `to`: the chat that it is for and the product.
pub(super) fn sign(
    tx: &Tx<'_>,
    till: &Till,
    providers: &[Box<dyn Provider>],
    new: New,
    to: Option<(ConversationId, &str)>,
) -> Result<Signed<Invoice>, TurnError> {
    let invoice = Invoice {
        merchant: till.account.id,
        term: till.term,
        invoice: new.id,
        audience: new.audience,
        live: till.live,
        issued_at: till.issued_at(tx.now),
        expires_at: new.expires_at,
        currency: new.total.currency(),
        title: new.title,
        description: new.description,
        lines: new.lines,
        total: new.total,
        needs: Needs::default(),
        tip_max_minor: 0,
        tips_minor: Vec::new(),
        max_payments: new.max_payments,
        terms_hash: None,
        payload: new.payload,
        payees: payees(till, providers, new.total)?,
    };
    invoice::check_rules(&invoice)?;
    let signed = Signed::sign(&invoice, &till.key);
    tx.sql()
        .prepare_cached(
            "INSERT INTO invoice (hash, id, conversation, product, signed, issued_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            signed.hash().0,
            invoice.invoice.0,
            to.map(|(conversation, _)| conversation.0),
            to.map(|(_, product)| product),
            signed.encode(),
            tx.now.0
        ])?;
    Ok(signed)
}

/// Who of the shop's profile can take this amount.
fn payees(till: &Till, providers: &[Box<dyn Provider>], total: Amount) -> Result<Vec<Payee>, TurnError> {
    let profile = till.profile.verify()?;
    let takes = |provider: &&dyn Provider| provider.is_live() == till.live && provider.takes(total);
    let payees = providers.iter().map(AsRef::as_ref).filter(takes).filter_map(|provider| {
        let ours = |payee: &&Payee| {
            payee.provider == provider.name() && payee.account == provider.account() && payee.live == till.live
        };
        profile.payees.iter().find(ours).cloned()
    });
    Ok(payees.collect())
}

/// Sends a bill as the answer to a message.
pub(super) fn show(tx: &mut Tx<'_>, till: &Till, message: &Incoming, signed: Signed<Invoice>) -> Result<(), TurnError> {
    // A device that joined after the greeting has to know whom the shop vouches for, or it could not pay.
    tx.say(message.conversation, Body::Hello(till.profile.clone()), None)?;
    let basis = Some(comptoir_content::Basis::Action(message.content.uid));
    tx.say(message.conversation, Body::Invoice(signed), basis).map(drop)
}

/// The operator wants a bill for whoever scans its code. The same `id` again is the same bill.
pub(crate) fn wished(
    tx: &mut Tx<'_>,
    providers: &[Box<dyn Provider>],
    currency: comptoir_content::Currency,
    relay: &str,
    wish: Wish,
) -> Result<Made, TurnError> {
    let till = till::load(tx)?;
    let item = |line: WishedLine| Line {
        label: line.label,
        quantity: line.quantity,
        unit_minor: line.unit_minor,
        kind: if line.unit_minor < 0 { LineKind::Discount } else { LineKind::Item },
    };
    let lines: Vec<Line> = wish.lines.into_iter().map(item).collect();
    let code = |hash: Hash| {
        let (account, head) = (till.account.id, till.account.head);
        let shop = ContactCode { account, kind: till.account.kind, relay: relay.to_owned(), head };
        BillCode { shop, invoice_hash: hash }.to_link()
    };
    let known: Option<Vec<u8>> = tx
        .sql()
        .prepare_cached("SELECT signed FROM invoice WHERE id = ?1")?
        .query_row([wish.id.0], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        let known = Signed::<Invoice>::decode(&known)?.verify()?;
        let is_same = known.title == wish.title
            && known.lines == lines
            && known.max_payments == wish.max_payments
            && known.audience.is_none();
        let code = code(known.hash());
        return Ok(if is_same { Made::Bill { invoice: Box::new(known.into_inner()), code } } else { Made::Another });
    }
    let expires_at = till.issued_at(tx.now).plus_ms(wish.minutes.saturating_mul(60_000));
    let total = invoice::sum_minor(&lines).and_then(|minor| Amount::new(minor, currency).ok());
    let new = New {
        id: wish.id,
        audience: None,
        expires_at,
        title: wish.title,
        description: String::new(),
        lines,
        total: total.ok_or(Refused::InvoiceSums)?,
        max_payments: wish.max_payments,
        payload: Vec::new(),
    };
    if !may_sell_until(&till, expires_at) {
        return Ok(Made::Closed);
    }
    let signed = sign(tx, &till, providers, new, None)?;
    Ok(Made::Bill { invoice: Box::new(signed.verify()?.into_inner()), code: code(signed.hash()) })
}

/// Somebody scanned the code of a bill: the bill, or in words why not.
pub(super) fn wanted(tx: &mut Tx<'_>, till: &Till, message: &Incoming, hash: Hash) -> Result<(), TurnError> {
    let Some((signed, _)) = till::invoice(tx.sql(), hash)? else {
        return say(tx, message, words(&Refused::BillUnknown));
    };
    let mut attempts = till::attempts_of_invoice(tx.sql(), hash)?;
    without_surplus(tx, &mut attempts)?;
    let taken: Vec<Taken> = attempts.iter().map(AttemptRow::taken).collect();
    match order::may_open(&signed.verify()?, message.peer, &taken, tx.now) {
        Ok(()) => show(tx, till, message, signed),
        Err(refused) => say(tx, message, words(&refused)),
    }
}

/// What a customer reads who asked for a bill and does not get it.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "only these are said of a bill; whatever comes to them is as good as unknown"
)]
fn words(refused: &Refused) -> &'static str {
    match refused {
        Refused::AlreadyPaid => "This bill has been paid already.",
        Refused::Checking => {
            "Somebody is paying this bill at the moment. If it is yours, scan the code again in a while."
        }
        Refused::InvoiceExpired => "This bill has expired. Please ask us for a new one.",
        Refused::NotForYou => "This bill is for somebody else.",
        _ => "We do not know this bill. Please ask us for a new one.",
    }
}
