-- What users have set of their task queues. The config is a temporal.api.taskqueue.v1.TaskQueueConfig, the kind a
-- temporal.api.enums.v1.TaskQueueType.
CREATE TABLE task_queues (
    namespace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    config BLOB NOT NULL,
    PRIMARY KEY (namespace_id, name, kind)
) WITHOUT ROWID;

CREATE INDEX task_queues_revision ON task_queues (revision);

CREATE TABLE task_queue_revision (revision INTEGER NOT NULL);
INSERT INTO task_queue_revision VALUES (0);
