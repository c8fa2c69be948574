-- What a broker's counters are rebuilt from at a start: its allowed calls in the order of time. Questions that spent
-- nothing (`peek`) are not calls. The body is JSON in which a quote inside a text is escaped, so that no text of a caller
-- can look like the member. Grows at its right edge, one row a call; the query is in src/adapters/store/allowed.rs.
CREATE INDEX entry_allowed_call ON entry (at_ms, agent, act, workspace)
    WHERE event_type = 'broker_decision' AND reason = 'ok' AND instr(body, CAST('"peek":"true"' AS BLOB)) = 0;
