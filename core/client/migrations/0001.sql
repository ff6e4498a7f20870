-- A person's or a merchant's database. Times are milliseconds since 1970 UTC. Edited freely until the first tag, frozen after.

-- This device. One row.
CREATE TABLE me (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    account BLOB NOT NULL,
    device BLOB NOT NULL,
    device_seed BLOB NOT NULL,
    account_seed BLOB,              -- the account key, where it lives on this device
    recovery_seed BLOB,             -- until it is written to a file or a phrase
    certificate BLOB NOT NULL,      -- signed device certificate
    relay TEXT NOT NULL,
    registered INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE kv (
    k TEXT PRIMARY KEY,
    v BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Accounts we know: our own, contacts, and strangers who wrote.
CREATE TABLE account (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    relay TEXT NOT NULL,
    log BLOB,                       -- verified account log; NULL until it was fetched
    log_len INTEGER NOT NULL DEFAULT 0,
    wanted_len INTEGER NOT NULL DEFAULT 0,  -- a longer log is known to exist
    wanted_hash BLOB,
    name TEXT NOT NULL DEFAULT '',
    profile BLOB,                   -- signed profile
    profile_revision INTEGER NOT NULL DEFAULT 0,
    verified INTEGER NOT NULL DEFAULT 0,
    key_changed INTEGER NOT NULL DEFAULT 0, -- the account key was replaced since somebody looked
    blocked INTEGER NOT NULL DEFAULT 0,
    refused TEXT,                   -- why its log is not believed
    gate_told TEXT NOT NULL DEFAULT 'open',     -- what the relay knows of our gate to it: open, window, shut
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid BLOB NOT NULL UNIQUE,
    peer BLOB NOT NULL UNIQUE REFERENCES account (id),
    state TEXT NOT NULL DEFAULT 'absent',
    generation INTEGER NOT NULL DEFAULT 0,
    next_seq INTEGER NOT NULL DEFAULT 0,
    -- Kept exact by the triggers below, so that the list of chats is one range scan.
    last_message INTEGER,
    last_at INTEGER NOT NULL DEFAULT 0,
    last_preview TEXT NOT NULL DEFAULT '',
    unread INTEGER NOT NULL DEFAULT 0,
    read_upto INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER,               -- when to look for key packages of missing devices again
    failures INTEGER NOT NULL DEFAULT 0,
    last_action BLOB,               -- uid of the person's newest action here: what a business may answer to
    last_action_at INTEGER NOT NULL DEFAULT 0,
    invited_at INTEGER NOT NULL DEFAULT 0,   -- the relay's clock when it took this device's newest invitation of others
    keys_due_at INTEGER,            -- when this device gives itself new keys here; NULL: it said and heard nothing with these
    keys_sealed INTEGER NOT NULL DEFAULT 0   -- messages of this device that were sealed with them
) STRICT;

CREATE INDEX conversation_list ON conversation (last_at DESC, id);

-- id = conversation << 36 | 2^35 + arrival number: a page of a conversation is a run of neighbours.
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    uid BLOB NOT NULL,
    sender BLOB NOT NULL,
    mine INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,            -- queued, sent, delivered, read, failed; received, held
    unread INTEGER NOT NULL DEFAULT 0,
    sent_at INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL DEFAULT 0,  -- the relay's clock; 0 until it has it
    text TEXT NOT NULL,             -- what a list or a search shows
    content BLOB NOT NULL,          -- what was said, without the words that `text` holds
    why TEXT,                       -- the refusal of a held message
    tapped INTEGER NOT NULL DEFAULT 0,
    handled INTEGER NOT NULL DEFAULT 0,      -- a till has acted on it
    UNIQUE (sender, uid)
) STRICT;

-- Silent messages leave no row above; this remembers that they were heard.
CREATE TABLE heard (
    sender BLOB NOT NULL,
    uid BLOB NOT NULL,
    PRIMARY KEY (sender, uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX message_unread ON message (id) WHERE unread = 1;

CREATE TRIGGER message_inserted AFTER INSERT ON message WHEN new.state <> 'held' BEGIN
    UPDATE conversation SET
        last_message = CASE WHEN new.text <> '' THEN new.id ELSE last_message END,
        last_at = CASE WHEN new.text <> '' THEN max(last_at, new.sent_at) ELSE last_at END,
        last_preview = CASE WHEN new.text <> '' THEN substr(new.text, 1, 120) ELSE last_preview END,
        unread = unread + new.unread
    WHERE id = new.id >> 36;
END;

CREATE TRIGGER message_read AFTER UPDATE OF unread ON message WHEN old.unread <> new.unread BEGIN
    UPDATE conversation SET unread = unread + new.unread - old.unread WHERE id = new.id >> 36;
END;

CREATE VIRTUAL TABLE message_search USING fts5 (
    body, content='', contentless_delete=1, tokenize="unicode61 remove_diacritics 0 categories 'L* N* Co Mn Mc'"
);

-- What can be found, in the order of its arrival over all chats: `n` is its row in the index.
CREATE TABLE searchable (
    n INTEGER PRIMARY KEY,
    message INTEGER NOT NULL
) STRICT;

-- Everything up to this `n` is in the index; the background brings it up.
CREATE TABLE search_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    indexed_upto INTEGER NOT NULL
) STRICT;
INSERT INTO search_state VALUES (1, 0);

CREATE TRIGGER message_searchable AFTER INSERT ON message WHEN new.text <> '' AND new.state <> 'held' BEGIN
    INSERT INTO searchable (message) VALUES (new.id);
END;

-- What still has to reach the relay, in order. `content` is what was said; `sealed` its one final form in an epoch.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversation (id),
    kind TEXT NOT NULL,             -- open, commit, deliver, message
    uid BLOB NOT NULL UNIQUE,
    message INTEGER REFERENCES message (id),
    content BLOB,
    sealed BLOB,
    welcome BLOB,
    generation INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    token BLOB,
    pass BLOB,                      -- what opens the recipient's gate
    next_token_hash BLOB,
    failures INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL DEFAULT 0
) STRICT;

-- An opening of a generation goes before whatever was said before it. However long the queue is, each look at it is short.
CREATE INDEX outbox_order ON outbox (conversation, kind <> 'open', id);
CREATE INDEX outbox_unsealed ON outbox (conversation, id) WHERE sealed IS NULL;
CREATE INDEX outbox_change ON outbox (conversation, kind) WHERE kind <> 'message';
CREATE INDEX outbox_later ON outbox (not_before) WHERE not_before > 0;

-- Devices that an outbox row has not reached yet. The row is done when none is left.
CREATE TABLE outbox_recipient (
    outbox INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    device BLOB NOT NULL,
    invited INTEGER NOT NULL DEFAULT 0,      -- gets the Welcome instead of the commit
    not_before INTEGER NOT NULL DEFAULT 0,   -- its mailbox is full: try again then, and let others pass
    PRIMARY KEY (outbox, device)
) STRICT, WITHOUT ROWID;

-- The newest uids that left the outbox: the relay says which one it took last, and a device that does not know it is an older
-- copy of itself. More than one frame holds, and what is on its way is in the outbox.
CREATE TABLE said (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid BLOB NOT NULL
) STRICT;

CREATE TRIGGER outbox_said AFTER DELETE ON outbox BEGIN
    INSERT INTO said (uid) VALUES (old.uid);
    DELETE FROM said WHERE id <= (SELECT max(id) FROM said) - 1024;
END;

CREATE INDEX outbox_recipient_later ON outbox_recipient (not_before) WHERE not_before > 0;

-- Envelopes that cannot be opened yet: sealed in an epoch to come, or by an account whose log is still to be fetched.
CREATE TABLE held (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation BLOB NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    sealed BLOB NOT NULL,
    accepted_at INTEGER NOT NULL,
    reason TEXT NOT NULL,           -- early, account, unreadable
    account BLOB,                   -- whose log did not suffice
    log_len INTEGER NOT NULL DEFAULT 0,     -- how long it was then
    received_at INTEGER NOT NULL
) STRICT;

CREATE INDEX held_conversation ON held (conversation, id);

-- MLS state, one row per key of OpenMLS's storage.
CREATE TABLE mls (
    k BLOB PRIMARY KEY,
    v BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Invoices that reached this device, and what became of them (engine::checkout).
CREATE TABLE checkout (
    invoice_hash BLOB PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversation (id),
    message INTEGER NOT NULL REFERENCES message (id),
    merchant BLOB NOT NULL,
    invoice BLOB NOT NULL,          -- signed
    state TEXT NOT NULL,
    order_id BLOB UNIQUE,
    placed BLOB,                    -- the order as sent
    payer_seed BLOB,
    request BLOB,                   -- signed payment answer with the hand-off
    not_paid_reason TEXT,
    not_paid_words TEXT,
    receipt_hash BLOB,
    refunded_minor INTEGER NOT NULL DEFAULT 0,
    asks INTEGER NOT NULL DEFAULT 0,
    wake_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX checkout_wake ON checkout (wake_at) WHERE wake_at IS NOT NULL;

-- What a shop may write about when 24 hours are over: orders that were placed, and single-use tokens.
CREATE TABLE pass (
    id BLOB PRIMARY KEY,            -- of the order or the token
    peer BLOB NOT NULL,
    once INTEGER NOT NULL,          -- a token
    mine INTEGER NOT NULL,          -- 1: for the shop's messages to us; 0: for ours, on a shop's device
    told INTEGER NOT NULL DEFAULT 0,        -- the relay knows it
    used_by BLOB                    -- of a token: the message that came with it
) STRICT, WITHOUT ROWID;

CREATE INDEX pass_untold ON pass (peer, id) WHERE mine = 1 AND told = 0;
CREATE INDEX pass_unused ON pass (peer, id) WHERE mine = 0 AND used_by IS NULL;

-- Receipts are kept for ever, append-only, each naming the one before it on this device.
CREATE TABLE receipt (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,      -- of the signed receipt
    order_id BLOB NOT NULL,
    merchant BLOB NOT NULL,
    file BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    chain BLOB NOT NULL             -- SHA-256(previous chain ‖ hash)
) STRICT;

CREATE TRIGGER receipt_fixed BEFORE UPDATE ON receipt BEGIN SELECT RAISE (ABORT, 'receipts are append-only'); END;
CREATE TRIGGER receipt_kept BEFORE DELETE ON receipt BEGIN SELECT RAISE (ABORT, 'receipts are append-only'); END;
