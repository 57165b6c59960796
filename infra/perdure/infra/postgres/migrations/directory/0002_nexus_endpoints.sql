-- Names under which namespaces offer operations to each other. An account of nobody is the empty string.
CREATE TABLE nexus_endpoints (
    endpoint_id text COLLATE "C" PRIMARY KEY,
    account_id text NOT NULL,
    name text NOT NULL,
    version bigint NOT NULL,
    checksum bigint NOT NULL,
    record bytea NOT NULL,
    UNIQUE (account_id, name)
);
