-- For questions to the record (src/adapters/store/audit.rs). No column is added: what is asked for is read from the
-- entries' own bytes, so that nothing but a signed body says whether an entry matches. Two places are looked up, not
-- scanned for.

-- One agent's entries in their order (the row's number stands behind the key).
CREATE INDEX entry_agent ON entry (agent) WHERE agent IS NOT NULL;

-- Where in the log a time is, to the minute.
CREATE INDEX checkpoint_at ON checkpoint (at_ms, size);
