-- What belongs to shards. `kind` is a number of `ExecutionKind`. Checksums are CRC-32 of the blob beside them. Instants
-- are nanoseconds since the Unix epoch. Texts are ordered by their bytes, as Python orders them.
--
-- Every row names its shard, first in its key, so that a shard can be moved to another database: the rows of a shard
-- are neighbours in every primary key. A run id begins with the instant at which it was made and stands before the workflow id:
-- in each shard the runs that are busy now are neighbours too.

-- One row: whose database this is, what it is called there, and how often a shard has gone from here to another.
CREATE TABLE origin (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    mark uuid NOT NULL,
    name text NOT NULL,
    departures bigint NOT NULL DEFAULT 0
);

-- A row for every shard that this database holds, and for no other, but for one that is just arriving. A commit locks the rows of its shards against those
-- who raise an epoch; there is room on the page for the new versions.
CREATE TABLE shards (
    shard integer PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);

CREATE TABLE heads (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    sequence bigint NOT NULL,
    next_event_id bigint NOT NULL,
    status smallint NOT NULL,
    wake_at_ns bigint,
    needs_dispatch boolean NOT NULL,
    quarantined boolean NOT NULL DEFAULT false,
    PRIMARY KEY (shard, namespace_id, run_id, workflow_id, kind)
) WITH (fillfactor = 70);

CREATE INDEX heads_due ON heads (shard, wake_at_ns, namespace_id, run_id, workflow_id, kind)
    WHERE wake_at_ns IS NOT NULL AND NOT quarantined;

CREATE INDEX heads_undispatched ON heads (shard, namespace_id, run_id, workflow_id, kind)
    WHERE needs_dispatch AND NOT quarantined;

-- In the key the first event id stands before the sequence: both only grow, so the order is the same, and a history page
-- is found without another index.
CREATE TABLE journal (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    first_event_id bigint NOT NULL,
    sequence bigint NOT NULL,
    event_count integer NOT NULL,
    events_checksum bigint NOT NULL,
    changes_checksum bigint NOT NULL,
    changes bytea NOT NULL,
    events bytea NOT NULL,
    PRIMARY KEY (shard, namespace_id, run_id, workflow_id, kind, first_event_id, sequence)
);

CREATE TABLE snapshots (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    sequence bigint NOT NULL,
    checksum bigint NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (shard, namespace_id, run_id, workflow_id, kind)
);

CREATE TABLE current_runs (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (shard, namespace_id, workflow_id, kind)
);

CREATE TABLE quarantine (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    reason text NOT NULL,
    noticed_at_ns bigint NOT NULL,
    PRIMARY KEY (shard, namespace_id, run_id, workflow_id, kind)
);

-- Counted by shard, so that commits of different owners never wait for each other.
CREATE TABLE usage (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    counter text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (shard, namespace_id, counter)
) WITH (fillfactor = 50);

CREATE INDEX usage_namespace ON usage (namespace_id);

-- `listed_at_ns` is the close time, or the greatest integer while the run is open: the default order of a list.
CREATE TABLE visibility (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    workflow_type text COLLATE "C" NOT NULL,
    task_queue text COLLATE "C" NOT NULL,
    status smallint NOT NULL,
    start_time_ns bigint NOT NULL,
    execution_time_ns bigint NOT NULL,
    close_time_ns bigint,
    listed_at_ns bigint NOT NULL,
    history_length bigint NOT NULL,
    history_size_bytes bigint NOT NULL,
    state_transition_count bigint NOT NULL,
    parent_workflow_id text COLLATE "C",
    parent_run_id text COLLATE "C",
    root_workflow_id text COLLATE "C",
    root_run_id text COLLATE "C",
    namespace_division text COLLATE "C",
    checksum bigint NOT NULL,
    memo bytea NOT NULL,
    indexed_fields bytea NOT NULL,
    PRIMARY KEY (shard, namespace_id, run_id, workflow_id, kind)
);

CREATE INDEX visibility_workflow ON visibility (namespace_id, workflow_id);

CREATE INDEX visibility_listed ON visibility
    (namespace_id, kind, listed_at_ns DESC NULLS LAST, start_time_ns DESC NULLS LAST, run_id DESC NULLS LAST);

-- One row per value of a search attribute: one for a scalar, one per element of a keyword list, one per word of a text.
-- A run without search attributes has no rows here. Which of the values is set follows from the attribute's type.
CREATE TABLE search_attributes (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    name text COLLATE "C" NOT NULL,
    position integer NOT NULL,
    text_value text COLLATE "C",
    integer_value bigint,
    double_value double precision,
    PRIMARY KEY (shard, namespace_id, run_id, workflow_id, kind, name, position)
);

-- Of a text only the beginning: what an index can hold is limited, a value is less so.
CREATE INDEX search_attributes_text ON search_attributes (namespace_id, name, left(text_value, 100))
    WHERE text_value IS NOT NULL;

CREATE INDEX search_attributes_integer ON search_attributes (namespace_id, name, integer_value)
    WHERE integer_value IS NOT NULL;

CREATE INDEX search_attributes_double ON search_attributes (namespace_id, name, double_value)
    WHERE double_value IS NOT NULL;
