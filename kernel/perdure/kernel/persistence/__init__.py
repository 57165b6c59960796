"""Store protocols by aggregate, and the records that pass through them. Drivers live in `perdure.infra`.

Every method takes its shard explicitly, also on SQLite, where there is one database. Drivers keep a checksum with every
blob that they store and raise `DamagedRecord` when it does not match on the way back.
"""
