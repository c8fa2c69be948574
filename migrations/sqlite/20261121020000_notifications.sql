-- The queues of notifications. The events themselves are entries of the ledger; see src/service/notifier.rs.

-- How far an endpoint has read the ledger.
CREATE TABLE notification_place (
    endpoint TEXT    PRIMARY KEY,
    next_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an endpoint is still to be told. A row goes when the event was delivered or given up.
CREATE TABLE notification_waiting (
    endpoint     TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    challenge_id BLOB    NOT NULL CHECK (length(challenge_id) = 16),
    at_ms        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    next_ms      INTEGER NOT NULL,
    last         TEXT,
    PRIMARY KEY (endpoint, seq)
) STRICT, WITHOUT ROWID;

-- Events of one challenge are told in their order.
CREATE INDEX notification_waiting_order ON notification_waiting (endpoint, challenge_id, seq);

-- What was given up, for 30 days.
CREATE TABLE notification_dead (
    endpoint TEXT    NOT NULL,
    seq      INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    dead_ms  INTEGER NOT NULL,
    last     TEXT    NOT NULL,
    PRIMARY KEY (endpoint, seq)
) STRICT, WITHOUT ROWID;
