-- Where in a full block of 256 entries an agent, a mandate and a decision stand: four bytes an entry that stand for its
-- name (0 for none), written with the block. See src/adapters/store/places.rs.
--
-- An index row for every entry said the same before. It took a quarter of the writer's time, within the transaction that
-- callers wait for. A block that is not here is looked at whole; a start writes those that are missing.
CREATE TABLE agent_tags (
    idx  INTEGER PRIMARY KEY,
    tags BLOB    NOT NULL CHECK (length(tags) = 1024)
) STRICT;

CREATE TABLE jti_tags (
    idx  INTEGER PRIMARY KEY,
    tags BLOB    NOT NULL CHECK (length(tags) = 1024)
) STRICT;

CREATE TABLE decision_tags (
    idx  INTEGER PRIMARY KEY,
    tags BLOB    NOT NULL CHECK (length(tags) = 1024)
) STRICT;

DROP INDEX entry_agent;
DROP INDEX entry_jti;
DROP INDEX entry_decision_id;
