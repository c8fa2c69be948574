-- How far each sink has been sent the ledger; see src/service/shipping.rs.
CREATE TABLE sink_place (
    sink     TEXT    PRIMARY KEY,
    next_seq INTEGER NOT NULL CHECK (next_seq >= 0)
) STRICT, WITHOUT ROWID;

-- Full blocks of 256 entries of which entries were taken out of `entry` after an archive was found to hold them. Their
-- leaves stay in `tile` and their roots in `node`, so that proofs and verification go on; an entry `ledger_archived`
-- says the same. Whoever lacks a row here and entries of that block has a ledger that was tampered with.
CREATE TABLE archived_block (
    idx   INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    place TEXT    NOT NULL
) STRICT;
