//! A shop whose till signs whatever a test asks for.

use comptoir_content::{
    AccountId, AccountKind, AccountLog, Amount, AnswerBody, Currency, Disclosure, Evidence, Genesis, Handoff, Invoice,
    InvoiceId, Line, LineKind, Needs, OrderInfo, PartBody, Payee, PaymentAnswer, PaymentRequest, Receipt, ReceiptFile,
    Salt, Signed, SigningKey, Statement, TillCertificate, Timestamp, Verified,
};
use comptoir_engine::account::Account;
use comptoir_engine::checkout::Checkout;

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub(crate) const ALICE: AccountId = AccountId([1; 20]);
pub(crate) const DAY_MS: i64 = 24 * 3_600_000;

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
}

pub(crate) fn eur(minor: i64) -> Amount {
    Amount::new(minor, Currency::of("EUR").unwrap()).unwrap()
}

/// A shop with a till: its account key is `n`, its till key `n + 1`.
pub(crate) struct Shop {
    pub(crate) account: Account,
    pub(crate) till: SigningKey,
}

impl Shop {
    pub(crate) fn open(n: u8) -> Self {
        let genesis = Genesis {
            kind: AccountKind::Business,
            account_key: key(n).public(),
            recovery_hash: key(99).public().hash(),
            nonce: [n; 16],
        };
        let mut account = Account::read(&AccountLog { genesis: genesis.encode(), links: Vec::new() }).unwrap();
        let (from, until) = (NOW.plus_ms(-DAY_MS), NOW.plus_ms(90 * DAY_MS));
        let till = TillCertificate { till: key(n + 1).public(), term: 1, live: false, from, until };
        let link = account.next_link(Statement::TillCertified(till), &key(n), NOW);
        account.append(&link).unwrap();
        Self { account, till: key(n + 1) }
    }

    pub(crate) fn payee(&self) -> Payee {
        Payee { provider: "sandbox".to_owned(), account: "the-bakery".to_owned(), live: false }
    }

    pub(crate) fn bill(&self) -> Invoice {
        Invoice {
            merchant: self.account.id,
            term: 1,
            invoice: InvoiceId([3; 16]),
            audience: Some(ALICE),
            live: false,
            issued_at: NOW,
            expires_at: NOW.plus_ms(DAY_MS),
            currency: Currency::of("EUR").unwrap(),
            title: "Croissant".to_owned(),
            description: String::new(),
            lines: vec![Line { label: "Croissant".to_owned(), quantity: 1, unit_minor: 120, kind: LineKind::Item }],
            total: eur(120),
            needs: Needs::default(),
            tip_max_minor: 0,
            tips_minor: Vec::new(),
            max_payments: 1,
            terms_hash: None,
            payload: Vec::new(),
            payees: vec![self.payee()],
        }
    }

    pub(crate) fn signs(&self, bill: &Invoice) -> Verified<Invoice> {
        Signed::sign(bill, &self.till).verify().unwrap()
    }

    pub(crate) fn answers(&self, checkout: &Checkout, body: AnswerBody) -> PaymentAnswer {
        let order = checkout.order.as_ref().unwrap();
        PaymentAnswer {
            merchant: self.account.id,
            term: 1,
            live: false,
            payer_key: order.payer_key,
            invoice_hash: checkout.invoice.hash(),
            order: order.order,
            payment: order.payment,
            attempt: order.attempt,
            issued_at: NOW,
            body,
        }
    }

    pub(crate) fn request(&self) -> PaymentRequest {
        PaymentRequest {
            provider: "sandbox".to_owned(),
            account: "the-bakery".to_owned(),
            amount: eur(120),
            expires_at: NOW.plus_ms(900_000),
            handoff: Handoff::Page { url: "https://pay.example/1".to_owned() },
        }
    }

    pub(crate) fn receipt(&self, checkout: &Checkout, change: impl FnOnce(&mut Receipt)) -> ReceiptFile {
        let evidence = Evidence {
            provider: "sandbox".to_owned(),
            account: "the-bakery".to_owned(),
            provider_payment: "pay_1".to_owned(),
            method: String::new(),
            paid_at: NOW,
        };
        let parts = [
            PartBody::Lines { title: "Croissant".to_owned(), lines: Vec::new() },
            PartBody::OrderInfo(OrderInfo::default()),
            PartBody::Evidence(evidence),
            PartBody::Terms { terms_hash: None },
        ];
        let disclosures = parts.map(|part| Disclosure::new(&part, Salt([4; 32])));
        let order = checkout.order.as_ref().unwrap();
        let mut receipt = Receipt {
            merchant: self.account.id,
            term: 1,
            live: false,
            invoice_hash: checkout.invoice.hash(),
            order: order.order,
            payer_key: order.payer_key,
            amount: eur(120),
            issued_at: NOW,
            previous: None,
            digests: [0, 1, 2, 3].map(|part: usize| disclosures[part].digest()),
        };
        change(&mut receipt);
        let log = self.account.log().clone();
        ReceiptFile { receipt: Signed::sign(&receipt, &self.till), disclosures: disclosures.to_vec(), log }
    }
}
