-- What witnesses said of checkpoints that left this database. A witness's newest row is what it is known to have: the next
-- consistency proof starts there. Written after the witness answered; a lost row costs one question more.

-- The notes that were cosigned, without the cosignatures.
CREATE TABLE published_checkpoint (
    size  INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    note  TEXT    NOT NULL
) STRICT;

-- Signature lines of witnesses (C2SP tlog-cosignature) under those notes; `at_ms` is the witness's clock.
CREATE TABLE cosignature (
    witness TEXT    NOT NULL,
    size    INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    line    TEXT    NOT NULL,
    PRIMARY KEY (witness, size)
) STRICT, WITHOUT ROWID;

CREATE INDEX cosignature_by_size ON cosignature (size);
