"""Group commit: who goes down with whom when a batch fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from typing import cast

from perdure.history.commits import BATCH_BYTES_MAX, BATCH_MAX, Commit, Committer
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import (
    DataRefused,
    ExecutionStore,
    ShardLost,
    ShardWrite,
    StoreUnavailable,
)
from tests.support.records import NAMESPACE, head, key, record, write

HERE, THERE = ShardId(1), ShardId(2)
IMPOSSIBLE = "a\0"


class Store:
    """Refuses a batch in which something is impossible or of a lost shard; fails as often as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.lost: set[ShardId] = set()
        self.moved: set[ShardId] = set()
        self.failures: list[Exception] = []

    def database_of(self, shard: ShardId) -> str:
        return "elsewhere" if shard in self.moved else "main"

    async def write(self, writes: Sequence[ShardWrite], epochs: Mapping[ShardId, int]) -> None:
        names = [each.heads[0].key.workflow_id for each in writes if each.heads]
        if self.failures:
            raise self.failures.pop()
        if lost := [shard for shard in epochs if shard in self.lost]:
            raise ShardLost(lost)
        if IMPOSSIBLE in names:
            raise DataRefused("no room for that character")
        self.batches.append(list(names))


class Bench:
    def __init__(self) -> None:
        self.store = Store()
        self.dropped: list[Set[ShardId]] = []
        self.committer = Committer(
            cast(ExecutionStore, self.store), "main", lambda shards, error: self.dropped.append(set(shards))
        )

    def submit(self, shard: ShardId, name: str) -> Commit:
        return self.committer.submit(write(shard=shard, heads=[head(key(name))]), 1, NAMESPACE, lambda: None)


@asynccontextmanager
async def committing(bench: Bench) -> AsyncIterator[None]:
    task = asyncio.create_task(bench.committer.run())
    try:
        yield
    finally:
        task.cancel()


async def outcome(commit: Commit) -> type[BaseException] | None:
    async with asyncio.timeout(5):
        await asyncio.gather(commit.wait(), return_exceptions=True)
    return type(commit.error) if commit.error else None


async def test_what_waits_goes_together() -> None:
    bench = Bench()
    commits = [bench.submit(HERE, "a"), bench.submit(THERE, "b"), bench.submit(HERE, "c")]
    async with committing(bench):
        assert [await outcome(commit) for commit in commits] == [None] * 3
    assert bench.store.batches == [["a", "b", "c"]]


async def test_a_lost_shard_takes_no_other_with_it() -> None:
    bench = Bench()
    bench.store.lost.add(HERE)
    commits = [bench.submit(HERE, "a"), bench.submit(THERE, "b"), bench.submit(HERE, "c")]
    async with committing(bench):
        assert [await outcome(commit) for commit in commits] == [ShardLost, None, ShardLost]
    assert bench.store.batches == [["b"]]
    assert bench.dropped == [{HERE}]


async def test_a_shard_that_has_moved_is_lost() -> None:
    bench = Bench()
    bench.store.moved.add(THERE)
    commits = [bench.submit(HERE, "a"), bench.submit(THERE, "b")]
    async with committing(bench):
        assert [await outcome(commit) for commit in commits] == [None, ShardLost]
    assert bench.store.batches == [["a"]]


async def test_what_the_store_cannot_hold_fails_alone() -> None:
    bench = Bench()
    commits = [
        bench.submit(HERE, "before"),
        bench.submit(HERE, IMPOSSIBLE),
        bench.submit(HERE, "after"),
        bench.submit(THERE, "other"),
    ]
    async with committing(bench):
        assert [await outcome(commit) for commit in commits] == [None, DataRefused, DataRefused, None]
        assert await outcome(bench.submit(HERE, "later")) is None
    assert bench.store.batches == [["before"], ["other"], ["later"]]
    assert bench.dropped == [{HERE}]


async def test_a_store_that_does_not_answer_fails_the_batch() -> None:
    bench = Bench()
    bench.store.failures.append(StoreUnavailable("away"))
    commits = [bench.submit(HERE, "a"), bench.submit(THERE, "b")]
    async with committing(bench):
        assert [await outcome(commit) for commit in commits] == [StoreUnavailable] * 2
    assert bench.dropped == [{HERE, THERE}]


async def test_a_write_without_rows_waits_for_those_of_its_namespace_before_it() -> None:
    bench = Bench()
    others = [bench.submit(HERE, f"{number}") for number in range(2 * BATCH_MAX + 1)]
    order: list[str] = []
    last = bench.committer.submit(
        write(shard=HERE, journal=[record(key(), 1, 1, 1)], heads=[head(key())]),
        1,
        NAMESPACE,
        lambda: order.append("rows"),
    )
    barrier = bench.committer.submit(write(shard=HERE), 1, NAMESPACE, lambda: order.append("none"))
    async with committing(bench):
        for commit in (*others, last, barrier):
            await commit.wait()
    assert order == ["rows", "none"]


async def test_commits_go_on_though_nobody_could_be_told_of_a_loss() -> None:
    bench = Bench()

    def fail(shards: Set[ShardId], error: Exception) -> None:
        raise RuntimeError("a bug")

    committer = bench.committer = Committer(cast(ExecutionStore, bench.store), "main", fail)
    bench.store.failures.append(StoreUnavailable("away"))
    failing = bench.submit(HERE, "a")
    async with committing(bench):
        assert await outcome(failing) is StoreUnavailable
        assert await outcome(bench.submit(THERE, "b")) is None
    assert committer.queued == 0


async def test_a_batch_is_bounded_by_its_bytes() -> None:
    bench = Bench()
    large = b"x" * (BATCH_BYTES_MAX // 4 - 100)

    def submit(name: str) -> Commit:
        each = write(shard=HERE, heads=[head(key(name))], journal=[record(key(name), 1, 1, 1, large)])
        return bench.committer.submit(each, 1, NAMESPACE, lambda: None)

    commits = [submit(name) for name in "abcdef"]
    async with committing(bench):
        assert [await outcome(commit) for commit in commits] == [None] * 6
    assert bench.store.batches == [["a", "b", "c", "d"], ["e", "f"]]
