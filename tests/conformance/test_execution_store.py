from __future__ import annotations

import asyncio

import pytest

from perdure.kernel.ids import ExecutionKind, RunId, ShardId
from perdure.kernel.persistence.executions import CurrentRun, ExecutionStore, ShardLost, Snapshot, StoredExecution
from perdure.kernel.persistence.usage import UsageStore
from tests.conformance.conftest import Acquire
from tests.support.records import A_START, NAMESPACE, SHARD, head, key, record, starts, write

OTHER = ShardId(8)


async def test_load_gives_back_what_was_written(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    run = key()
    first, second = record(run, 1, 1, 3, b"changes"), record(run, 2, 4, 0, b"only changes")
    now = head(run, 2, wake_at_ns=50, needs_dispatch=True)
    await executions.write([write(journal=[first], heads=[head(run)]), write(journal=[second], heads=[now])], epochs)
    assert await executions.load(SHARD, run) == StoredExecution(now, None, [first, second])


async def test_load_starts_at_the_snapshot(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    run = key()
    records = [record(run, number, number * 2 - 1, 2) for number in range(1, 6)]
    await executions.write(
        [
            write(journal=records[:3], heads=[head(run, 3)], snapshots=[Snapshot(run, 3, b"state at 3")]),
            write(journal=records[3:], heads=[head(run, 5)]),
        ],
        epochs,
    )
    stored = await executions.load(SHARD, run)
    assert stored == StoredExecution(head(run, 5), Snapshot(run, 3, b"state at 3"), records[3:])

    await executions.write([write(snapshots=[Snapshot(run, 5, b"state at 5")])], epochs)
    assert await executions.load(SHARD, run) == StoredExecution(head(run, 5), Snapshot(run, 5, b"state at 5"), [])


async def test_unknown_things_are_none(executions: ExecutionStore) -> None:
    assert await executions.load(SHARD, key()) is None
    assert await executions.current_run(SHARD, key().workflow) is None
    assert await executions.read_history(SHARD, key(), 1, 100, 1000) == []


async def test_current_run_is_the_last_one_set(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    old, new = key(run_id="old"), key(run_id="new")
    current = [CurrentRun(run.workflow, run.run_id) for run in (old, new)]
    await executions.write([write(current=[current[0]]), write(current=[current[1]])], epochs)
    assert await executions.current_run(SHARD, old.workflow) == "new"


async def test_a_lost_shard_writes_nothing_of_the_batch(
    executions: ExecutionStore, usage: UsageStore, acquire: Acquire
) -> None:
    epochs = {SHARD: await acquire(SHARD), OTHER: await acquire(OTHER)}
    await acquire(OTHER)
    mine, lost = key("mine"), key("lost")
    batch = [
        write(journal=[record(mine, 1, 1, 1)], heads=[head(mine)]),
        write(shard=OTHER, journal=[record(lost, 1, 1, 1)], heads=[head(lost)], **A_START),
    ]
    with pytest.raises(ShardLost) as caught:
        await executions.write(batch, epochs)
    assert caught.value.shards == (OTHER,)
    assert await executions.load(SHARD, mine) is None
    assert await executions.load(OTHER, lost) is None
    assert await starts(usage) == 0

    await executions.write(batch[:1], {SHARD: epochs[SHARD]})
    assert await executions.load(SHARD, mine) is not None


async def test_a_write_of_nothing_asks_whether_the_shard_is_still_ours(
    executions: ExecutionStore, acquire: Acquire
) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    await executions.write([write()], epochs)
    await acquire(SHARD)
    with pytest.raises(ShardLost):
        await executions.write([write()], epochs)


async def test_a_write_to_a_shard_without_epoch_is_refused(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    with pytest.raises(ValueError, match="no epoch"):
        await executions.write([write(heads=[head(key())]), write(shard=OTHER)], epochs)
    assert await executions.load(SHARD, key()) is None


async def test_concurrent_writers_take_turns(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    runs = [key(f"order-{number}") for number in range(20)]
    await asyncio.gather(*(executions.write([write(heads=[head(run, 0)])], epochs) for run in runs))
    assert {stored.key for stored in await executions.runs(SHARD, NAMESPACE, None, 100)} == set(runs)


async def test_a_cancelled_writer_leaves_the_store_usable(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    abandoned = asyncio.create_task(executions.write([write(heads=[head(key("abandoned"), 0)])], epochs))
    await asyncio.sleep(0)
    abandoned.cancel()
    await asyncio.gather(abandoned, return_exceptions=True)
    await executions.write([write(heads=[head(key("next"), 0)])], epochs)
    assert await executions.load(SHARD, key("next")) is not None


@pytest.mark.parametrize(
    ("from_id", "to_id", "limit_bytes", "expected"),
    [
        (1, 100, 10_000, [1, 3, 4]),
        (2, 100, 10_000, [1, 3, 4]),
        (4, 100, 10_000, [3, 4]),
        (6, 7, 10_000, [3]),
        (7, 8, 10_000, [4]),
        (9, 100, 10_000, []),
        (1, 4, 10_000, [1]),
        (1, 100, 1, [1]),
        (4, 100, 1, [3]),
        (1, 100, 40, [1, 3]),
    ],
)
async def test_history_pages(
    executions: ExecutionStore, from_id: int, to_id: int, limit_bytes: int, expected: list[int], acquire: Acquire
) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    run = key()
    records = [
        record(run, 1, 1, 3),
        record(run, 2, 4, 0, b"no event"),
        record(run, 3, 4, 3),
        record(run, 4, 7, 2),
        record(run, 5, 9, 0, b"no event"),
    ]
    await executions.write([write(journal=records, heads=[head(run, 5)])], epochs)
    page = await executions.read_history(SHARD, run, from_id, to_id, limit_bytes)
    assert page == [record(run, *records[number - 1][1:4]) for number in expected]


async def test_history_backwards(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    run = key()
    records = [record(run, 1, 1, 3), record(run, 2, 4, 0), record(run, 3, 4, 3), record(run, 4, 7, 2)]
    await executions.write([write(journal=records, heads=[head(run, 4)])], epochs)

    async def backwards(to_id: int, limit_bytes: int) -> list[int]:
        return [found.sequence for found in await executions.read_history_reverse(SHARD, run, to_id, limit_bytes)]

    assert await backwards(9, 10_000) == [4, 3, 1]
    assert await backwards(7, 10_000) == [3, 1]
    assert await backwards(6, 1) == [3]
    assert await backwards(1, 10_000) == []


async def test_due_heads_come_in_order_and_by_page(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD), OTHER: await acquire(OTHER)}
    heads = [
        head(key("b"), wake_at_ns=10),
        head(key("a"), wake_at_ns=20),
        head(key("c"), wake_at_ns=20),
        head(key("d"), wake_at_ns=30),
        head(key("never")),
    ]
    await executions.write([write(heads=heads), write(shard=OTHER, heads=[head(key("z"), wake_at_ns=1)])], epochs)
    assert await executions.due(SHARD, 20, None, 10) == heads[:3]
    assert await executions.due(SHARD, 9, None, 10) == []
    page = await executions.due(SHARD, 100, None, 2)
    assert page == heads[:2]
    assert await executions.due(SHARD, 100, (20, key("a")), 10) == heads[2:4]

    await executions.write([write(heads=[head(key("b"), 2)])], epochs)
    assert await executions.due(SHARD, 10, None, 10) == []


async def test_undispatched_heads_and_runs(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    heads = [head(key(name), needs_dispatch=name in "ac") for name in "abc"]
    elsewhere = head(key("a", namespace_id="namespace-2"), needs_dispatch=True)
    await executions.write([write(heads=[*heads, elsewhere])], epochs)
    assert await executions.undispatched(SHARD, None, 10) == [heads[0], heads[2], elsewhere]
    assert await executions.undispatched(SHARD, key("a"), 1) == [heads[2]]
    assert await executions.undispatched(OTHER, None, 10) == []
    assert await executions.runs(SHARD, NAMESPACE, None, 2) == heads[:2]
    assert await executions.runs(SHARD, NAMESPACE, key("b"), 10) == heads[2:]

    await executions.write([write(heads=[head(key("a"), 2)])], epochs)
    assert await executions.undispatched(SHARD, None, 10) == [heads[2], elsewhere]


async def test_deletion_removes_everything_of_a_run(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    gone, kept = key(run_id="gone"), key(run_id="kept")
    for run in (gone, kept):
        await executions.write(
            [
                write(
                    journal=[record(run, 1, 1, 1)],
                    heads=[head(run, wake_at_ns=1, needs_dispatch=True)],
                    snapshots=[Snapshot(run, 1, b"state")],
                    current=[CurrentRun(run.workflow, run.run_id)],
                )
            ],
            epochs,
        )
    await executions.write([write(deleted=[gone])], epochs)
    assert await executions.load(SHARD, gone) is None
    assert await executions.read_history(SHARD, gone, 1, 10, 1000) == []
    assert [found.key for found in await executions.due(SHARD, 10, None, 10)] == [kept]
    assert await executions.current_run(SHARD, gone.workflow) == "kept"

    await executions.write([write(deleted=[kept])], epochs)
    assert await executions.current_run(SHARD, gone.workflow) is None


async def test_a_batch_is_applied_in_order_around_deletions(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    run = key()
    fresh = record(run, 1, 1, 2)
    await executions.write(
        [
            write(journal=[record(run, 1, 1, 1)], heads=[head(run)]),
            write(deleted=[run]),
            write(journal=[fresh], heads=[head(run)]),
        ],
        epochs,
    )
    assert await executions.load(SHARD, run) == StoredExecution(head(run), None, [fresh])


async def test_a_quarantined_run_is_left_alone(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    bad, good = key("bad"), key("good")
    heads = [head(run, wake_at_ns=1, needs_dispatch=True) for run in (bad, good)]
    await executions.write([write(heads=heads)], epochs)
    await executions.quarantine(SHARD, bad, "damaged journal", now_ns=5)
    assert [found.key for found in await executions.due(SHARD, 10, None, 10)] == [good]
    assert [found.key for found in await executions.undispatched(SHARD, None, 10)] == [good]
    assert [found.key for found in await executions.runs(SHARD, NAMESPACE, None, 10)] == [bad, good]


async def test_kinds_do_not_share_ids(executions: ExecutionStore, acquire: Acquire) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    workflow = key(run_id="one")
    schedule = workflow._replace(run_id=RunId("two"), kind=ExecutionKind.SCHEDULE)
    for run in (workflow, schedule):
        await executions.write(
            [write(journal=[record(run, 1, 1, 1)], heads=[head(run)], current=[CurrentRun(run.workflow, run.run_id)])],
            epochs,
        )
    assert await executions.current_run(SHARD, workflow.workflow) == "one"
    assert await executions.current_run(SHARD, schedule.workflow) == "two"
    assert [each.key for each in await executions.runs(SHARD, NAMESPACE, None, 10)] == [workflow, schedule]

    await executions.write([write(deleted=[schedule])], epochs)
    assert await executions.current_run(SHARD, schedule.workflow) is None
    assert await executions.load(SHARD, schedule) is None
    assert await executions.current_run(SHARD, workflow.workflow) == "one"
    assert await executions.load(SHARD, workflow) is not None
