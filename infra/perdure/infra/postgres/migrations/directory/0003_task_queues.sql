-- What users have set of their task queues. The config is a temporal.api.taskqueue.v1.TaskQueueConfig, the kind a
-- temporal.api.enums.v1.TaskQueueType. Names are bytes of UTF-8, because they may have any character in them.
CREATE TABLE task_queues (
    namespace_id text NOT NULL,
    name bytea NOT NULL,
    kind integer NOT NULL,
    version bigint NOT NULL,
    revision bigint NOT NULL,
    checksum bigint NOT NULL,
    config bytea NOT NULL,
    PRIMARY KEY (namespace_id, name, kind)
);

CREATE INDEX task_queues_revision ON task_queues (revision);

-- One row, which every write locks until it is committed: revisions grow in the order of the commits.
CREATE TABLE task_queue_revision (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    revision bigint NOT NULL DEFAULT 0
);

INSERT INTO task_queue_revision DEFAULT VALUES;
