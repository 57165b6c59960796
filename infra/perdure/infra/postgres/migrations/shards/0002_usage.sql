-- What tenants have used, by hours since the Unix epoch. Rows only ever add up: a commit writes them under any one of its
-- shards, so that few rows serve many, and commits of different owners never wait for each other. Nothing was counted
-- before.
DROP TABLE usage;
CREATE TABLE usage (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    hour integer NOT NULL,
    action text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    background boolean NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (shard, namespace_id, hour, action, type, background)
) WITH (fillfactor = 50);

CREATE INDEX usage_read ON usage (namespace_id, hour, action, type, background);

CREATE INDEX usage_hour ON usage (hour);

-- Bytes that came in an hour, less those that went, and the same times the milliseconds that were left of the hour. What
-- was forgotten is added up in hour 0.
CREATE TABLE storage (
    shard integer NOT NULL,
    namespace_id text COLLATE "C" NOT NULL,
    hour integer NOT NULL,
    active bigint NOT NULL,
    active_byte_ms bigint NOT NULL,
    retained bigint NOT NULL,
    retained_byte_ms bigint NOT NULL,
    PRIMARY KEY (shard, namespace_id, hour)
) WITH (fillfactor = 50);

CREATE INDEX storage_read ON storage (namespace_id, hour);

CREATE INDEX storage_hour ON storage (hour);

-- What is there already counts from the end of this hour on. `kind` 0 is workflows: of them the history is kept, of
-- others, which have none, the changes; 1 is the status of what is open.
ALTER TABLE heads ADD COLUMN kept_bytes bigint NOT NULL DEFAULT 0;

UPDATE heads SET kept_bytes = kept.bytes
FROM (
    SELECT shard, namespace_id, run_id, workflow_id, kind,
           sum(octet_length(CASE WHEN kind = 0 THEN events ELSE changes END)) AS bytes
    FROM journal GROUP BY shard, namespace_id, run_id, workflow_id, kind
) AS kept
WHERE (heads.shard, heads.namespace_id, heads.run_id, heads.workflow_id, heads.kind)
    = (kept.shard, kept.namespace_id, kept.run_id, kept.workflow_id, kept.kind);

INSERT INTO storage (shard, namespace_id, hour, active, active_byte_ms, retained, retained_byte_ms)
SELECT shard, namespace_id, extract(epoch FROM now())::bigint / 3600,
       sum(CASE WHEN status = 1 THEN kept_bytes ELSE 0 END), 0,
       sum(CASE WHEN status = 1 THEN 0 ELSE kept_bytes END), 0
FROM heads GROUP BY shard, namespace_id;
