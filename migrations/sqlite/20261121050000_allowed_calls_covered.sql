-- What a broker's counters are rebuilt from, held whole by the index: a start reads no entry's body.

DROP INDEX entry_allowed_call;
ALTER TABLE entry DROP COLUMN peek;

-- Whether a question spent nothing is worked out of the body when the entry is written. A column of its own could be
-- edited apart from the body, and a reference to a generated column leads to the row. The body is JSON, in which a quote
-- inside a text is escaped, so that no text of a caller can look like the member. Columns that the condition names stand
-- in the index too, or the row would be read for them. The query of src/adapters/store/allowed.rs says the same.
CREATE INDEX entry_allowed_call
    ON entry (at_ms, agent, act, workspace, event_type, reason, instr(body, CAST('"peek":"true"' AS BLOB)))
    WHERE event_type = 'broker_decision' AND reason = 'ok' AND instr(body, CAST('"peek":"true"' AS BLOB)) = 0;
