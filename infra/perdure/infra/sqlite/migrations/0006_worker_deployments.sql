-- A row for each worker deployment of a namespace; what it is stands in the record.
CREATE TABLE worker_deployments (
    namespace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    deleted_at_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (namespace_id, name)
) WITHOUT ROWID;

CREATE INDEX worker_deployments_revision ON worker_deployments (revision);

-- One row.
CREATE TABLE worker_deployment_revision (revision INTEGER NOT NULL);

INSERT INTO worker_deployment_revision (revision) VALUES (0);
