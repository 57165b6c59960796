-- One row: the id that names the data in this file.
CREATE TABLE cluster (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL
);
