-- The ledger, the memory of what was spent, and the challenges. One writer; see src/adapters/store/.

-- "ATBL": tells an ATB ledger from any other SQLite file.
PRAGMA application_id = 1096041036;

-- One row an event, numbered from 0 without gaps. `body` is the entry's bytes, `leaf` SHA-256(0x00 || body).
-- The other columns repeat members of the body for queries; `atb audit verify` compares them with it.
CREATE TABLE entry (
    seq          INTEGER PRIMARY KEY,
    event_type   TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL,
    agent        TEXT,
    act          TEXT,
    reason       TEXT,
    jti          BLOB CHECK (length(jti) = 16),
    challenge_id BLOB CHECK (length(challenge_id) = 16),
    decision_id  BLOB CHECK (length(decision_id) = 16),
    workspace    TEXT    NOT NULL,
    body         BLOB    NOT NULL CHECK (length(body) > 0),
    leaf         BLOB    NOT NULL CHECK (length(leaf) = 32)
) STRICT;

-- UUIDv7s arrive nearly in order, so these indexes grow at their right edge. Agent, act and the rest are scanned for.
CREATE INDEX entry_jti          ON entry (jti)          WHERE jti IS NOT NULL;
CREATE INDEX entry_challenge_id ON entry (challenge_id) WHERE challenge_id IS NOT NULL;
CREATE INDEX entry_decision_id  ON entry (decision_id)  WHERE decision_id IS NOT NULL;

-- The 256 leaves of a full block, written once, so that an edited entry can be told by its number.
CREATE TABLE tile (
    idx    INTEGER PRIMARY KEY,
    leaves BLOB NOT NULL CHECK (length(leaves) = 8192)
) STRICT;

-- Roots of perfect subtrees of 256^k leaves (level 8, 16, …), from which any proof is made.
CREATE TABLE node (
    level INTEGER NOT NULL,
    idx   INTEGER NOT NULL,
    hash  BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

-- The newest signed checkpoint, replaced in the transaction that writes the entries it covers.
CREATE TABLE head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    size     INTEGER NOT NULL,
    frontier BLOB    NOT NULL,
    note     TEXT    NOT NULL
) STRICT;

-- Earlier checkpoints, at most one a minute and one at each orderly stop.
CREATE TABLE checkpoint (
    size     INTEGER PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    frontier BLOB    NOT NULL,
    note     TEXT    NOT NULL
) STRICT;

-- What was spent: mandates and the challenges that their approvals answer. `in_doubt` is 1 from the decision until the
-- outcome of the call is recorded.
CREATE TABLE burned (
    key          BLOB    PRIMARY KEY CHECK (length(key) = 16),
    expires_at   INTEGER NOT NULL,
    decision_seq INTEGER NOT NULL,
    in_doubt     INTEGER NOT NULL CHECK (in_doubt IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX burned_expires_at ON burned (expires_at) WHERE in_doubt = 0;
CREATE INDEX burned_in_doubt   ON burned (decision_seq) WHERE in_doubt = 1;

CREATE TABLE challenge (
    id         BLOB    PRIMARY KEY CHECK (length(id) = 16),
    version    INTEGER NOT NULL CHECK (version > 0),
    state      TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    body       TEXT    NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE INDEX challenge_by_state ON challenge (state, created_at);
CREATE INDEX challenge_by_age   ON challenge (created_at);
