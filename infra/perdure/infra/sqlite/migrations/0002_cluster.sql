-- The owner is a member's id, or empty when the shard was given back.
ALTER TABLE shards ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- The number of the last change to any namespace as of this row's last change.
ALTER TABLE namespaces ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

CREATE INDEX namespaces_revision ON namespaces (revision);

-- One row: the number of changes to namespaces so far.
CREATE TABLE namespace_revision (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    revision INTEGER NOT NULL
);
INSERT INTO namespace_revision (only, revision) VALUES (1, 0);
