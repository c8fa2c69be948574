-- A start asks for the newest activation of a policy: an older bundle must not come back.
CREATE INDEX entry_policy_activated ON entry (seq) WHERE event_type = 'policy_activated';
