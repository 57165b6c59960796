-- What tenants have used, by hours since the Unix epoch. Rows only ever add up. Nothing was counted before.
DROP TABLE usage;
CREATE TABLE usage (
    namespace_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    action TEXT NOT NULL,
    type TEXT NOT NULL,
    background INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (namespace_id, hour, action, type, background)
) WITHOUT ROWID;

CREATE INDEX usage_hour ON usage (hour);

-- Bytes that came in an hour, less those that went, and the same times the milliseconds that were left of the hour. What
-- was forgotten is added up in hour 0.
CREATE TABLE storage (
    namespace_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    active INTEGER NOT NULL,
    active_byte_ms INTEGER NOT NULL,
    retained INTEGER NOT NULL,
    retained_byte_ms INTEGER NOT NULL,
    PRIMARY KEY (namespace_id, hour)
) WITHOUT ROWID;

CREATE INDEX storage_hour ON storage (hour);

-- What is there already counts from the end of this hour on. `kind` 0 is workflows: of them the history is kept, of
-- others, which have none, the changes; 1 is the status of what is open.
ALTER TABLE heads ADD COLUMN kept_bytes INTEGER NOT NULL DEFAULT 0;

UPDATE heads SET kept_bytes = coalesce((
    SELECT sum(CASE WHEN heads.kind = 0 THEN length(journal.events) ELSE length(journal.changes) END) FROM journal
    WHERE (journal.namespace_id, journal.run_id, journal.workflow_id, journal.kind)
        = (heads.namespace_id, heads.run_id, heads.workflow_id, heads.kind)), 0);

INSERT INTO storage (namespace_id, hour, active, active_byte_ms, retained, retained_byte_ms)
SELECT namespace_id, CAST(strftime('%s', 'now') AS INTEGER) / 3600,
       sum(CASE WHEN status = 1 THEN kept_bytes ELSE 0 END), 0,
       sum(CASE WHEN status = 1 THEN 0 ELSE kept_bytes END), 0
FROM heads GROUP BY namespace_id;
