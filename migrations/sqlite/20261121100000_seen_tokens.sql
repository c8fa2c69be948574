-- JWT-SVIDs that were believed, so that none is believed twice: a digest that names the token, and the proxy that handed
-- it in first. Rows go when the token cannot verify any more. Not part of the log: what a caller did with its identity is.
CREATE TABLE seen_token (
    key        BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    presenter  TEXT    NOT NULL,
    keep_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX seen_token_until ON seen_token (keep_until);
