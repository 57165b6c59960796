"""`ExecutionStore` on Postgres. A batch is one statement, which is one round trip and one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg

from perdure.infra.postgres import reads
from perdure.infra.postgres.database import READERS_MAX, Database
from perdure.infra.postgres.databases import PostgresDatabases
from perdure.infra.postgres.gathering import Gathering
from perdure.infra.postgres.writes import Segment, segments
from perdure.kernel.ids import ExecutionKey, RunId, ShardId, WorkflowKey
from perdure.kernel.persistence.executions import (
    DamagedRecord,
    Head,
    JournalRecord,
    ShardLost,
    ShardWrite,
    StoredExecution,
    StoreUnusable,
)

_Run = tuple[ShardId, ExecutionKey]
_Workflow = tuple[ShardId, WorkflowKey]

#: Journal records that are fetched at a time while a page of history fills up.
_EVENTS_AT_ONCE = 200


class PostgresExecutionStore:
    """See `perdure.kernel.persistence.executions.ExecutionStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._databases = databases
        self._current_runs = {each.name: _current_runs(each) for each in databases}
        self._executions = {each.name: _executions(each) for each in databases}

    def database_of(self, shard: ShardId) -> str:
        return self._databases.holding(shard).name

    async def write(self, writes: Sequence[ShardWrite], epochs: Mapping[ShardId, int]) -> None:
        if unknown := next((write.shard for write in writes if write.shard not in epochs), None):
            raise ValueError(f"no epoch given for shard {unknown}")
        holders = {self._databases.holding(shard).name: self._databases.holding(shard) for shard in epochs}
        if len(holders) > 1:
            raise ValueError(f"shards of several databases in one write: {', '.join(sorted(holders))}")
        parts = list(segments(writes))

        async def commit(connection: asyncpg.Connection) -> None:
            if len(parts) == 1:  # A transaction by itself.
                await _write(connection, parts[0], epochs)
                return
            # In words: if it fails its connection is closed, and nobody waits for the answer to a ROLLBACK.
            await connection.execute("BEGIN")
            for part in parts:
                await _write(connection, part, epochs)
            await connection.execute("COMMIT")

        for database in holders.values():
            await database.writes.run(commit)

    async def current_run(self, shard: ShardId, key: WorkflowKey) -> RunId | None:
        return await self._current_runs[self.database_of(shard)].ask((shard, key))

    async def load(self, shard: ShardId, key: ExecutionKey) -> StoredExecution | None:
        return await self._executions[self.database_of(shard)].ask((shard, key))

    async def read_history(
        self, shard: ShardId, key: ExecutionKey, from_event_id: int, to_event_id: int, limit_bytes: int
    ) -> Sequence[JournalRecord]:
        async def page(connection: asyncpg.Connection) -> list[JournalRecord]:
            records = _Page(key, limit_bytes)
            start = from_event_id
            while True:
                rows = await connection.fetch(reads.EVENTS, shard, *key, start, to_event_id, _EVENTS_AT_ONCE)
                for row in rows:
                    _, first_event_id, count, _, _ = row
                    if first_event_id + count > start and not records.take(row):
                        return records.taken
                if len(rows) < _EVENTS_AT_ONCE:
                    return records.taken
                start = rows[-1]["first_event_id"] + rows[-1]["event_count"]

        with _damage_belongs_to(key):
            return await self._databases.holding(shard).reads.run(page)

    async def read_history_reverse(
        self, shard: ShardId, key: ExecutionKey, to_event_id: int, limit_bytes: int
    ) -> Sequence[JournalRecord]:
        async def page(connection: asyncpg.Connection) -> list[JournalRecord]:
            records = _Page(key, limit_bytes)
            end = to_event_id
            while True:
                rows = await connection.fetch(reads.EVENTS_REVERSE, shard, *key, end, _EVENTS_AT_ONCE)
                for row in rows:
                    if not records.take(row):
                        return records.taken
                if len(rows) < _EVENTS_AT_ONCE:
                    return records.taken
                end = rows[-1]["first_event_id"]

        with _damage_belongs_to(key):
            return await self._databases.holding(shard).reads.run(page)

    async def due(
        self, shard: ShardId, until_ns: int, after: tuple[int, ExecutionKey] | None, limit: int
    ) -> Sequence[Head]:
        instant, key = after or (reads.FIRST_INSTANT, None)
        return await self._heads(reads.DUE, shard, until_ns, instant, *reads.position(key), limit)

    async def undispatched(self, shard: ShardId, after: ExecutionKey | None, limit: int) -> Sequence[Head]:
        return await self._heads(reads.UNDISPATCHED, shard, *reads.position(after), limit)

    async def runs(self, shard: ShardId, namespace_id: str, after: ExecutionKey | None, limit: int) -> Sequence[Head]:
        return await self._heads(reads.RUNS, shard, namespace_id, *reads.position(after), limit)

    async def quarantine(self, shard: ShardId, key: ExecutionKey, reason: str, now_ns: int) -> None:
        await self._databases.holding(shard).writes.run(
            lambda connection: connection.execute(reads.QUARANTINE, shard, *key, reason, now_ns)
        )

    async def _heads(self, statement: str, shard: ShardId, *parameters: Any) -> Sequence[Head]:
        rows = await self._databases.holding(shard).reads.run(
            lambda connection: connection.fetch(statement, shard, *parameters)
        )
        return [reads.head(row) for row in rows]


class _Page:
    """Journal records of one page: at least one, then as many as fit."""

    def __init__(self, key: ExecutionKey, limit_bytes: int) -> None:
        self.taken: list[JournalRecord] = []
        self._key = key
        self._room = limit_bytes

    def take(self, row: asyncpg.Record) -> bool:
        """Whether there was room for this one."""
        self._room -= len(row["events"])
        if self.taken and self._room < 0:
            return False
        self.taken.append(reads.event_record(self._key, row))
        return True


@contextmanager
def _damage_belongs_to(key: ExecutionKey) -> Iterator[None]:
    """What Postgres itself finds to be damaged while looking at one run is damage of that run."""
    try:
        yield
    except StoreUnusable as error:
        if isinstance(error.__cause__, asyncpg.DataCorruptedError):
            raise DamagedRecord(key, f"row: {error}") from error
        raise


async def _write(connection: asyncpg.Connection, segment: Segment, epochs: Mapping[ShardId, int]) -> None:
    statement, parameters = segment.statement(epochs)
    if lost := await connection.fetch(statement, *parameters):
        raise ShardLost([ShardId(shard) for (shard,) in lost])


def _current_runs(database: Database) -> Gathering[_Workflow, RunId | None]:
    async def read(wanted: Sequence[_Workflow]) -> Sequence[RunId | None]:
        keys = reads.columns((shard, *key) for shard, key in wanted)
        rows = await database.reads.run(lambda connection: connection.fetch(reads.CURRENT_RUNS, *keys))
        found: dict[int, RunId] = dict(rows)
        return [found.get(number) for number in range(1, len(wanted) + 1)]

    return Gathering(read, READERS_MAX)


def _executions(database: Database) -> Gathering[_Run, StoredExecution | None]:
    async def read(wanted: Sequence[_Run]) -> Sequence[StoredExecution | Exception | None]:
        keys = reads.columns((shard, *key) for shard, key in wanted)
        # Which of several runs is damaged shows when each is asked for alone.
        with _damage_belongs_to(wanted[0][1]):
            rows = await database.reads.run(lambda connection: connection.fetch(reads.EXECUTIONS, *keys))
        found = {row[0]: row for row in rows}
        return [_stored(key, found.get(number)) for number, (_, key) in enumerate(wanted, start=1)]

    return Gathering(read, READERS_MAX // 2)


def _stored(key: ExecutionKey, row: asyncpg.Record | None) -> StoredExecution | Exception | None:
    try:
        return None if row is None else reads.stored_execution(key, row[1:])
    except DamagedRecord as error:
        return error
