-- What there is one of in a cluster, in its first database. The empty string is no owner, no id, no name.

-- One row. The mark tells the databases of this cluster from those of another; the id is what the cluster calls itself.
CREATE TABLE cluster (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id text NOT NULL DEFAULT '',
    mark uuid NOT NULL DEFAULT gen_random_uuid(),
    shard_count integer NOT NULL
);

CREATE TABLE databases (
    name text PRIMARY KEY,
    added_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE shard_map (
    shard integer PRIMARY KEY,
    database text NOT NULL REFERENCES databases (name)
);

-- Shards that are on their way: there may be rows of them in both databases.
CREATE TABLE moves (
    shard integer PRIMARY KEY,
    source text NOT NULL REFERENCES databases (name),
    target text NOT NULL REFERENCES databases (name)
);

CREATE TABLE namespaces (
    namespace_id text PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    version bigint NOT NULL,
    revision bigint NOT NULL,
    checksum bigint NOT NULL,
    record bytea NOT NULL
);

CREATE INDEX namespaces_revision ON namespaces (revision);

-- One row, which every change of a namespace locks until it is committed: revisions grow in the order of the commits.
CREATE TABLE namespace_revision (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    revision bigint NOT NULL DEFAULT 0
);

INSERT INTO namespace_revision DEFAULT VALUES;

CREATE TABLE members (
    id text COLLATE "C" PRIMARY KEY,
    address text NOT NULL,
    roles text[] NOT NULL,
    leaving boolean NOT NULL,
    alive_until timestamptz NOT NULL
);
