-- What a broker's counters are rebuilt from at a start: its allowed calls in the order of time.

-- Questions that spent nothing are not calls. The body is JSON, in which a quote inside a text is escaped, so that no
-- text of a caller can look like the member. Computed when it is read, for the index below; nothing is stored.
ALTER TABLE entry ADD COLUMN peek INTEGER GENERATED ALWAYS AS (instr(body, CAST('"peek":"true"' AS BLOB)) > 0) VIRTUAL;

-- Grows at its right edge, one row a call. Its condition is that of the query of src/adapters/store/allowed.rs.
CREATE INDEX entry_allowed_call ON entry (at_ms, agent, act, workspace)
    WHERE event_type = 'broker_decision' AND reason = 'ok' AND peek = 0;
