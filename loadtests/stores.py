"""What writing a transition costs on each of our databases, side by side: `python -m loadtests.stores`.

The writes are those of a one-activity workflow: seven transitions, the first of which begins a run and is listed, the
last of which ends it. Measured is the CPU time of this process, in turns; SQLite does its work in it, Postgres does
not. Nor does Postgres wait for the disk here, which costs no CPU time of ours either way.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop

from perdure.infra.local.postgres import LocalPostgres
from perdure.infra.postgres import PostgresDatabases, PostgresExecutionStore, PostgresShardStore
from perdure.infra.postgres.schema import SHARD_COUNT, migrate
from perdure.infra.sqlite import SqliteDatabase, SqliteExecutionStore, SqliteShardStore
from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, ShardId, WorkflowId
from perdure.kernel.persistence.executions import CurrentRun, ExecutionStore, Head, JournalRecord, ShardWrite
from perdure.kernel.persistence.visibility import VisibilityRecord

NAMESPACE = NamespaceId("b0b5c6a0-0000-4000-8000-000000000001")
TRANSITIONS = 7
EVENTS, CHANGES = os.urandom(480), os.urandom(60)
ROUNDS = 5
#: Transitions in one batch, and how many batches are measured in a round.
BATCHES = {1: 200, 10: 60, 100: 15}
#: Before anything is measured: statements are prepared, and caches filled.
WARM_UP = 20


class Writer:
    """A store and the shards that it is to be written to."""

    def __init__(self, name: str, store: ExecutionStore, epochs: Mapping[ShardId, int]) -> None:
        self.name = name
        self._store = store
        self._epochs = epochs
        self._count = 0

    async def cpu_us(self, size: int, batches: int) -> float:
        """Microseconds of CPU per transition."""
        prepared = [[self._transition() for _ in range(size)] for _ in range(batches)]
        began = time.process_time()
        for batch in prepared:
            await self._store.write(batch, {write.shard: self._epochs[write.shard] for write in batch})
        return (time.process_time() - began) / (batches * size) * 1e6

    def _transition(self) -> ShardWrite:
        number, step = divmod(self._count, TRANSITIONS)
        self._count += 1
        run_id = RunId(f"0192f000-0000-7000-8000-{number:012}")
        key = ExecutionKey(NAMESPACE, WorkflowId(f"order-{number}"), run_id)
        sequence = step + 1
        write = ShardWrite(
            ShardId(number % len(self._epochs)),
            journal=[JournalRecord(key, sequence, 3 * step + 1, 3, EVENTS, CHANGES)],
            heads=[Head(key, sequence, 3 * step + 4, 1, self._count * 10**9, True)],
        )
        if step == 0:
            write.current.append(CurrentRun(key.workflow, run_id))
        if step in (0, TRANSITIONS - 1):
            write.visibility.append(_listed(key, self._count, is_open=step == 0))
        return write


def _listed(key: ExecutionKey, now_ns: int, *, is_open: bool) -> VisibilityRecord:
    return VisibilityRecord(
        namespace_id=key.namespace_id,
        workflow_id=key.workflow_id,
        run_id=key.run_id,
        kind=ExecutionKind.WORKFLOW,
        workflow_type="Order",
        task_queue="orders",
        status=1 if is_open else 2,
        start_time_ns=now_ns,
        execution_time_ns=now_ns,
        close_time_ns=None if is_open else now_ns,
    )


@asynccontextmanager
async def on_sqlite() -> AsyncIterator[Writer]:
    with tempfile.TemporaryDirectory() as folder:
        database = SqliteDatabase.open(Path(folder) / "perdure.db")
        try:
            epochs = await SqliteShardStore(database).acquire([ShardId(0)], "bench")
            yield Writer("SQLite", SqliteExecutionStore(database), epochs)
        finally:
            await database.close()


@asynccontextmanager
async def on_postgres() -> AsyncIterator[Writer]:
    with LocalPostgres(durable=False) as server:
        dsns = {"main": server.create_database("main")}
        await migrate(dsns)
        databases = await PostgresDatabases.open(dsns)
        try:
            shards = [ShardId(number) for number in range(SHARD_COUNT)]
            epochs = await PostgresShardStore(databases).acquire(shards, "bench")
            yield Writer("Postgres", PostgresExecutionStore(databases), epochs)
        finally:
            await databases.close()


async def measure() -> None:
    async with AsyncExitStack() as stack:
        writers = [await stack.enter_async_context(opened()) for opened in (on_sqlite, on_postgres)]
        print("| transitions in a batch | " + " | ".join(f"{each.name}, us of CPU each" for each in writers) + " |")
        print("|---" * (len(writers) + 1) + "|")
        for size, batches in BATCHES.items():
            found: dict[str, list[float]] = {each.name: [] for each in writers}
            for each in writers:
                await each.cpu_us(size, WARM_UP)
            for _ in range(ROUNDS):
                for each in writers:
                    found[each.name].append(await each.cpu_us(size, batches))
            print(f"| {size} | " + " | ".join(f"{statistics.median(values):.0f}" for values in found.values()) + " |")


if __name__ == "__main__":
    uvloop.run(measure())
