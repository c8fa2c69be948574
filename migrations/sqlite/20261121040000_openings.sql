-- What opens the commitments of an entry's `input`: the salt and the clear values by pointer. Written with the entry, in
-- its transaction; no part of the tree, so that a row can be erased and the record still verifies. With the salt gone a
-- commitment can be neither read nor guessed.

CREATE TABLE opening (
    seq   INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    salt  BLOB    NOT NULL CHECK (length(salt) = 16),
    -- JSON, values by RFC 6901 pointer into the input.
    body  BLOB    NOT NULL
) STRICT;
