-- Everything a relay keeps. There is no content here, and no names: ids, keys, sealed bytes, counts and times.
-- Epochs are unsigned 64-bit numbers in SQLite's signed column: the same bits.

CREATE TABLE relay (
    only            INTEGER PRIMARY KEY CHECK (only = 1),
    incarnation     BLOB NOT NULL CHECK (length(incarnation) = 16),
    created_at_ms   INTEGER NOT NULL,
    -- What an earlier life accepted after this time may be gone; 0 for nothing.
    lost_since_ms   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE account (
    account_no      INTEGER PRIMARY KEY,
    account         BLOB NOT NULL UNIQUE CHECK (length(account) = 20),
    genesis         BLOB NOT NULL,
    first_log_key   BLOB NOT NULL CHECK (length(first_log_key) = 32),
    log_key         BLOB NOT NULL CHECK (length(log_key) = 32),
    recovery_hash   BLOB NOT NULL CHECK (length(recovery_hash) = 32),
    log_len         INTEGER NOT NULL
) STRICT;

CREATE TABLE log_entry (
    account_no      INTEGER NOT NULL REFERENCES account,
    n               INTEGER NOT NULL,
    entry           BLOB NOT NULL,
    signature       BLOB NOT NULL,
    signer          BLOB NOT NULL,
    next_key        BLOB,
    next_key_signature BLOB,
    UNIQUE (account_no, n)
) STRICT;

-- A device and the head of its mailbox. A removed device keeps its row, so that its id never opens another mailbox.
CREATE TABLE device (
    device_no       INTEGER PRIMARY KEY,
    device          BLOB NOT NULL UNIQUE CHECK (length(device) = 16),
    account_no      INTEGER NOT NULL REFERENCES account,
    device_key      BLOB NOT NULL CHECK (length(device_key) = 32),
    removed_at_ms   INTEGER,
    head_seq        INTEGER NOT NULL DEFAULT 0,
    acked_seq       INTEGER NOT NULL DEFAULT 0,
    messages        INTEGER NOT NULL DEFAULT 0,
    size_bytes      INTEGER NOT NULL DEFAULT 0,
    -- When the newest envelope expires. No later one expires earlier, so that what is forgotten is always the oldest.
    expires_at_ms   INTEGER NOT NULL DEFAULT 0,
    last_resort     BLOB,
    -- The newest envelope that was accepted from it: a device that does not know it is an older copy of itself.
    last_uid        BLOB,
    -- Where to knock when something urgent comes while the device is away.
    push_endpoint   TEXT,
    -- Connections so far: an old one that ends does not speak for a newer one.
    visits          INTEGER NOT NULL DEFAULT 0,
    -- The device's wake-up: 0 away, and nothing urgent came · 1 connected · 2 owed · 3 sent.
    wake_up         INTEGER NOT NULL DEFAULT 0,
    -- Of a wake-up that is owed, when to try; of one that was sent, when that was.
    knock_at_ms     INTEGER,
    -- Of a wake-up that is owed: how often it was tried, and since when it is worth trying.
    knocks          INTEGER NOT NULL DEFAULT 0,
    owed_at_ms      INTEGER,
    -- It is being tried, and how that ended is not written down yet.
    trying          INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX device_of_account ON device (account_no);
CREATE INDEX device_owed ON device (knock_at_ms) WHERE wake_up = 2;
CREATE INDEX device_here ON device (device, visits) WHERE wake_up = 1;

CREATE TABLE envelope (
    device_no       INTEGER NOT NULL REFERENCES device,
    seq             INTEGER NOT NULL,
    uid             BLOB NOT NULL,
    conversation    BLOB NOT NULL,
    generation      INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    kind            INTEGER NOT NULL,
    urgent          INTEGER NOT NULL,
    ttl_s           INTEGER NOT NULL,
    accepted_at_ms  INTEGER NOT NULL,
    expires_at_ms   INTEGER NOT NULL,
    sealed          BLOB NOT NULL,
    UNIQUE (device_no, seq)
) STRICT;
CREATE INDEX envelope_expiry ON envelope (expires_at_ms);

-- What was accepted, longer than the envelope itself: a retry after the acknowledgement is still a duplicate. The uid
-- comes first because it begins with a time: what is new stands together, on a few pages, whoever it is for.
CREATE TABLE seen (
    uid             BLOB NOT NULL,
    device_no       INTEGER NOT NULL REFERENCES device,
    accepted_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (uid, device_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_expiry ON seen (accepted_at_ms);

-- `package` is NULL once it was given or made room for newer ones; its hash stays, so that publishing it again gives
-- it to nobody else.
CREATE TABLE key_package (
    package_no      INTEGER PRIMARY KEY,
    device_no       INTEGER NOT NULL REFERENCES device,
    hash            BLOB NOT NULL,
    package         BLOB,
    UNIQUE (device_no, hash)
) STRICT;
CREATE INDEX key_package_left ON key_package (device_no, package_no) WHERE package IS NOT NULL;

CREATE TABLE conversation (
    conversation_no INTEGER PRIMARY KEY,
    conversation    BLOB NOT NULL UNIQUE CHECK (length(conversation) = 16),
    generation      INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    token_hash      BLOB NOT NULL CHECK (length(token_hash) = 32),
    -- What the generation was opened with, to know the same opening again.
    opening_hash    BLOB NOT NULL CHECK (length(opening_hash) = 32),
    opened_at_ms    INTEGER NOT NULL
) STRICT;

-- Commits that were accepted, to know the same one again.
CREATE TABLE accepted_commit (
    conversation_no INTEGER NOT NULL REFERENCES conversation,
    generation      INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    uid             BLOB NOT NULL,
    accepted_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (conversation_no, generation, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX accepted_commit_expiry ON accepted_commit (accepted_at_ms);

-- What an account lets into its mailboxes from another one: 2 for a window after each action of its own, 3 for nothing.
CREATE TABLE gate (
    owner           BLOB NOT NULL,
    peer            BLOB NOT NULL,
    gate            INTEGER NOT NULL,
    acted_at_ms     INTEGER NOT NULL,
    -- Messages that were not urgent and came through while it was closed, since when.
    quiet_since_ms  INTEGER NOT NULL,
    quiet           INTEGER NOT NULL,
    PRIMARY KEY (owner, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX gate_oldest ON gate (owner, acted_at_ms);

-- What comes through a closed gate for whoever shows the bytes behind the hash.
CREATE TABLE pass (
    owner           BLOB NOT NULL,
    peer            BLOB NOT NULL,
    hash            BLOB NOT NULL,
    once            INTEGER NOT NULL,
    -- Of one that serves once: the uid that it served.
    used_by         BLOB,
    added_at_ms     INTEGER NOT NULL,
    PRIMARY KEY (owner, peer, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX pass_oldest ON pass (owner, added_at_ms);
