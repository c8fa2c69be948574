-- What a queue is filtered by, what it shows, and in which order.
--
-- Earlier challenges go. They wait an hour at most, and what is asked and signed has another form since. None of them
-- can give a second mandate: a statement of the old form is refused, and what was spent stays in `burned`. What
-- happened stays on record in `entry`.

DROP TABLE challenge;

CREATE TABLE challenge (
    id         BLOB    PRIMARY KEY CHECK (length(id) = 16),
    version    INTEGER NOT NULL CHECK (version > 0),
    state      TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    workspace  TEXT    NOT NULL,
    tier       TEXT    NOT NULL,
    act        TEXT    NOT NULL,
    -- The identities that were named to be asked, a JSON array; null for anyone entitled.
    asked      TEXT    CHECK (json_valid(asked)),
    -- The persons whose approvals count so far, a JSON array.
    voted      TEXT    NOT NULL CHECK (json_valid(voted)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- What a list shows of it, so that a list does not read bodies.
    summary    TEXT    NOT NULL CHECK (json_valid(summary)),
    body       TEXT    NOT NULL CHECK (json_valid(body))
) STRICT;

-- Each query of the store's queue.rs walks one of these in the order of the list, from the cursor on. An approver's hold
-- what she filters by, so that a filter that matches little looks at an index and not at every challenge.
CREATE INDEX challenge_queue    ON challenge (workspace, state, created_at, id, expires_at, tier, act, agent, asked, voted);
CREATE INDEX challenge_team     ON challenge (workspace, created_at, id, state, expires_at, tier, act, agent, asked, voted);
CREATE INDEX challenge_by_state ON challenge (state, created_at, id);
CREATE INDEX challenge_by_age   ON challenge (created_at, id);
-- For the clock that expires them.
CREATE INDEX challenge_due      ON challenge (expires_at) WHERE state IN ('pending', 'approved');

-- For the live queue: what happened to challenges after an entry.
CREATE INDEX entry_of_challenge ON entry (seq, event_type) WHERE challenge_id IS NOT NULL;
