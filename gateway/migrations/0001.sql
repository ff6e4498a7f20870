-- A till's tables, in the same file and the same transactions as its messages. Edited freely until the first tag.

-- The till itself. One row.
CREATE TABLE till (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seed BLOB NOT NULL,             -- the till key
    term INTEGER NOT NULL,
    live INTEGER NOT NULL,
    profile BLOB NOT NULL           -- signed by the account key
) STRICT;

-- Invoices this till signed.
CREATE TABLE invoice (
    hash BLOB PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    conversation BLOB,              -- NULL: made at the counter, for whoever scans its code
    product TEXT,                   -- NULL: made at the counter, its price is nobody's but its own
    signed BLOB NOT NULL,
    issued_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Attempts to be paid (engine::payment), each written down before the provider is called.
CREATE TABLE attempt (
    payment BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    order_id BLOB NOT NULL,
    invoice_hash BLOB NOT NULL REFERENCES invoice (hash),
    conversation BLOB NOT NULL,
    buyer BLOB NOT NULL,
    payer_key BLOB NOT NULL,
    placed BLOB NOT NULL,           -- the order as it came
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    live INTEGER NOT NULL,
    reference TEXT NOT NULL UNIQUE,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    provider_payment TEXT,
    reason TEXT,
    handoff BLOB,                   -- the signed answer that asks for the payment
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    reads INTEGER NOT NULL DEFAULT 0,
    wake_at INTEGER,
    quarantined TEXT,               -- the provider spoke of other money than we asked for
    PRIMARY KEY (payment, attempt)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_order ON attempt (order_id, attempt);
CREATE INDEX attempt_invoice ON attempt (invoice_hash);
CREATE INDEX attempt_wake ON attempt (wake_at) WHERE wake_at IS NOT NULL;
CREATE UNIQUE INDEX attempt_provider ON attempt (provider, provider_payment) WHERE provider_payment IS NOT NULL;

-- Attempts that were refused before anything was started, each for good: who asks again hears the same again.
CREATE TABLE refused (
    buyer BLOB NOT NULL,
    order_id BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    payment BLOB NOT NULL,
    payer_key BLOB NOT NULL,
    invoice_hash BLOB NOT NULL,
    reason TEXT NOT NULL,
    refused_at INTEGER NOT NULL,
    PRIMARY KEY (buyer, order_id, attempt)
) STRICT, WITHOUT ROWID;

-- What providers told us, verified before it was read. Each event once.
CREATE TABLE webhook (
    provider TEXT NOT NULL,
    event TEXT NOT NULL,
    provider_payment TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (provider, event)
) STRICT, WITHOUT ROWID;

-- Double entry, append-only, each row naming the hash of the one before. `posting` is what makes a second one impossible.
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    posting TEXT NOT NULL,          -- kind and what it is about
    leg INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    order_id BLOB NOT NULL,
    provider TEXT NOT NULL,
    provider_ref TEXT NOT NULL,
    book TEXT NOT NULL,
    minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL,
    UNIQUE (posting, leg)
) STRICT;

CREATE TRIGGER ledger_fixed BEFORE UPDATE ON ledger BEGIN SELECT RAISE (ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_kept BEFORE DELETE ON ledger BEGIN SELECT RAISE (ABORT, 'the ledger is append-only'); END;

-- Receipts this till issued: one per charge, in a chain.
CREATE TABLE issued (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,      -- of the signed receipt
    order_id BLOB NOT NULL UNIQUE,
    payment BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    file BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    redeemed_at INTEGER             -- when it was handed out to who proved to be the payer
) STRICT;

-- Questions to whoever says that they paid (engine::payer).
CREATE TABLE payer_question (
    nonce BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    order_id BLOB                   -- that it was answered for
) STRICT, WITHOUT ROWID;

-- Refunds, each written down before the provider is asked. Surplus goes back the same way, without a receipt.
CREATE TABLE refund (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL,
    payment BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    surplus INTEGER NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,            -- asking, pending, done, failed, quarantined
    provider_refund TEXT,
    reason TEXT,
    statement BLOB,                 -- signed, once done
    created_at INTEGER NOT NULL,
    creation INTEGER NOT NULL DEFAULT 1,    -- counts up when it is created anew; each has an idempotency key of its own
    creation_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    wake_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refund_order ON refund (order_id);
CREATE INDEX refund_wake ON refund (wake_at) WHERE wake_at IS NOT NULL;

-- What customers said and the till has not acted on. Only a till looks for it.
CREATE INDEX message_unhandled ON message (id) WHERE handled = 0 AND mine = 0;
