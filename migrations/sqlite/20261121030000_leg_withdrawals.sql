-- Legal grounds that no act may rest on any more: a template's version (`id@version`) or a consent's reference. Final, so
-- there is no way to change or delete one. Read whole at start; the service asks its memory on every call.
CREATE TABLE leg_withdrawal (
    kind         TEXT    NOT NULL CHECK (kind IN ('template', 'consent_ref')),
    target       TEXT    NOT NULL CHECK (length(target) > 0),
    reason       TEXT    NOT NULL,
    withdrawn_by TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL,
    PRIMARY KEY (kind, target)
) STRICT, WITHOUT ROWID;

-- The record says it too, and a start reads both: who deletes a row must leave a gap in a signed log as well.
CREATE INDEX entry_leg_withdrawn ON entry (seq) WHERE event_type = 'leg_withdrawn';

CREATE TRIGGER leg_withdrawal_is_final BEFORE UPDATE ON leg_withdrawal
BEGIN SELECT RAISE(ABORT, 'a withdrawal is final'); END;

CREATE TRIGGER leg_withdrawal_stays BEFORE DELETE ON leg_withdrawal
BEGIN SELECT RAISE(ABORT, 'a withdrawal is final'); END;
