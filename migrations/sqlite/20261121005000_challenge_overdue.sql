-- The sweep asks for what is open and overdue, oldest first, however many challenges there are (`store::overdue`). Open
-- challenges only: those that ended are never looked for by their time.
CREATE INDEX challenge_overdue ON challenge (expires_at) WHERE state IN ('pending', 'approved');
