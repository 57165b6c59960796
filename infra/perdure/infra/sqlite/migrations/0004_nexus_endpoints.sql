-- Names under which namespaces offer operations to each other. An account of nobody is the empty string.
CREATE TABLE nexus_endpoints (
    endpoint_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (account_id, name)
) WITHOUT ROWID;
