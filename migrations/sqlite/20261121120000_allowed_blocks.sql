-- What a broker's counters are rebuilt from: the allowed calls of each full block of 256 entries, written with the block.
--
-- An index over each allowed call said the same before. It searched every entry's body for what is no call, within the
-- transaction that callers wait for, and was a seventh of the file. A block that is not here is read from its entries.
CREATE TABLE allowed_block (
    idx   INTEGER PRIMARY KEY,
    -- JSON: [[agent, act, workspace, [milliseconds since the epoch, …]], …]
    calls BLOB NOT NULL
) STRICT;

-- The last two days of ledgers that are there: no counter looks back farther than one.
WITH allowed AS (
    SELECT seq / 256 AS idx, at_ms, agent, act, workspace FROM entry
    WHERE event_type = 'broker_decision' AND reason = 'ok' AND instr(body, CAST('"peek":"true"' AS BLOB)) = 0
        AND seq / 256 < (SELECT size / 256 FROM head)
        AND at_ms >= (
            SELECT max(at_ms) - 172800000 FROM entry
            WHERE event_type = 'broker_decision' AND reason = 'ok' AND instr(body, CAST('"peek":"true"' AS BLOB)) = 0)
), told AS (
    SELECT idx, json_array(agent, act, workspace, json_group_array(at_ms)) AS call FROM allowed
    GROUP BY idx, agent, act, workspace
)
INSERT INTO allowed_block (idx, calls) SELECT idx, CAST(json_group_array(json(call)) AS BLOB) FROM told GROUP BY idx;

DROP INDEX entry_allowed_call;
