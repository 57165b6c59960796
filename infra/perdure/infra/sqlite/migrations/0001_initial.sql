-- `kind` is a number of `ExecutionKind`. Checksums are CRC-32 of the blob beside them. Instants are nanoseconds since
-- the Unix epoch.
--
-- A run id begins with the instant at which it was made, and stands before the workflow id in every key: the rows of the
-- runs that are busy now are neighbours, share pages, and a commit writes few of them, however many runs are stored.

CREATE TABLE shards (
    shard INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL
);

CREATE TABLE heads (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    next_event_id INTEGER NOT NULL,
    status INTEGER NOT NULL,
    wake_at_ns INTEGER,
    needs_dispatch INTEGER NOT NULL,
    quarantined INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace_id, run_id, workflow_id, kind)
) WITHOUT ROWID;

CREATE INDEX heads_due ON heads (shard, wake_at_ns, namespace_id, run_id, workflow_id, kind)
    WHERE wake_at_ns IS NOT NULL AND quarantined = 0;

CREATE INDEX heads_undispatched ON heads (shard, namespace_id, run_id, workflow_id, kind)
    WHERE needs_dispatch = 1 AND quarantined = 0;

-- Appended to, in the order of the commits, so that what was committed together shares pages. In the index the first event
-- id stands before the sequence: both only grow, so the order is the same, and a history page is found without another
-- index.
CREATE TABLE journal (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    first_event_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    events_checksum INTEGER NOT NULL,
    changes_checksum INTEGER NOT NULL,
    changes BLOB NOT NULL,
    events BLOB NOT NULL
);

CREATE UNIQUE INDEX journal_run ON journal (namespace_id, run_id, workflow_id, kind, first_event_id, sequence);

CREATE TABLE snapshots (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (namespace_id, run_id, workflow_id, kind)
) WITHOUT ROWID;

CREATE TABLE current_runs (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (namespace_id, workflow_id, kind)
) WITHOUT ROWID;

CREATE TABLE quarantine (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    reason TEXT NOT NULL,
    noticed_at_ns INTEGER NOT NULL,
    PRIMARY KEY (namespace_id, run_id, workflow_id, kind)
) WITHOUT ROWID;

CREATE TABLE usage (
    namespace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (namespace_id, kind)
) WITHOUT ROWID;

-- `listed_at_ns` is the close time, or the greatest integer while the run is open: the default order of a list.
CREATE TABLE visibility (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    workflow_type TEXT NOT NULL,
    task_queue TEXT NOT NULL,
    status INTEGER NOT NULL,
    start_time_ns INTEGER NOT NULL,
    execution_time_ns INTEGER NOT NULL,
    close_time_ns INTEGER,
    listed_at_ns INTEGER NOT NULL,
    history_length INTEGER NOT NULL,
    history_size_bytes INTEGER NOT NULL,
    state_transition_count INTEGER NOT NULL,
    parent_workflow_id TEXT,
    parent_run_id TEXT,
    root_workflow_id TEXT,
    root_run_id TEXT,
    namespace_division TEXT,
    checksum INTEGER NOT NULL,
    memo BLOB NOT NULL,
    indexed_fields BLOB NOT NULL,
    PRIMARY KEY (namespace_id, run_id, workflow_id, kind)
) WITHOUT ROWID;

CREATE INDEX visibility_workflow ON visibility (namespace_id, workflow_id);

CREATE INDEX visibility_listed ON visibility (namespace_id, kind, listed_at_ns, start_time_ns, run_id);

-- One row per value of a search attribute: one for a scalar, one per element of a keyword list, one per word of a text.
-- A run without search attributes has no rows here and pays nothing.
CREATE TABLE search_attributes (
    namespace_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    value NOT NULL,
    PRIMARY KEY (namespace_id, run_id, workflow_id, kind, name, position)
) WITHOUT ROWID;

CREATE INDEX search_attributes_value ON search_attributes (namespace_id, name, value, run_id, workflow_id);

CREATE TABLE namespaces (
    namespace_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    record BLOB NOT NULL
) WITHOUT ROWID;

-- One row: the id that names the data in this file.
CREATE TABLE cluster (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL
);

-- What the planner may assume, in place of ANALYZE: plans are the same on an empty and on a full database, and never
-- change by themselves. Rows in all, then rows that share the first, the first two, ... columns of the index. The table itself
-- is said to be cheaper to walk than its index, for the sake of counts: walking the index they would look up every row.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('visibility', 'visibility', '1000000 500000 1 1 1'),
    ('visibility', 'visibility_workflow', '1000000 500000 2'),
    ('visibility', 'visibility_listed', '1000000 1000000 1000000 100 2 1'),
    ('search_attributes', 'search_attributes', '1000000 1000000 5 5 5 1 1'),
    ('search_attributes', 'search_attributes_value', '1000000 1000000 100000 20 1 1');
