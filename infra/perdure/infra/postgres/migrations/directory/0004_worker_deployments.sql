-- A row for each worker deployment of a namespace; what it is stands in the record.
CREATE TABLE worker_deployments (
    namespace_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    revision bigint NOT NULL,
    deleted_at_ns bigint NOT NULL,
    checksum bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (namespace_id, name)
);

CREATE INDEX worker_deployments_revision ON worker_deployments (revision);

-- One row, which every change locks until it is committed: revisions grow in the order of the commits.
CREATE TABLE worker_deployment_revision (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    revision bigint NOT NULL DEFAULT 0
);

INSERT INTO worker_deployment_revision DEFAULT VALUES;
