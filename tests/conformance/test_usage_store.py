from __future__ import annotations

import pytest

from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import ExecutionStore
from perdure.kernel.persistence.usage import HOUR_MS, Action, ActionCount, BytesChanged, Storage, UsageStore
from tests.conformance.conftest import Acquire
from tests.support.records import NAMESPACE, SHARD, key, record, write

#: In the second of two databases, if there are two.
FAR = ShardId(500)
FIRST = 480_000
ACTIONS = [
    Action(NAMESPACE, FIRST, "signal_workflow", "Order", background=False),
    Action(NAMESPACE, FIRST, "start_workflow", "Order", background=False),
    Action(NAMESPACE, FIRST, "start_workflow", "Order", background=True),
    Action(NAMESPACE, FIRST, "start_workflow", "Payment", background=False),
    Action(NAMESPACE, FIRST + 1, "signal_workflow", "Order", background=False),
]
OTHERS = Action("namespace-2", FIRST, "start_workflow", "Order", background=False)


async def count(executions: ExecutionStore, acquire: Acquire, *actions: Action) -> None:
    """Count each action once in each of two shards, twice in one of them."""
    epochs = {SHARD: await acquire(SHARD)}
    far = {FAR: await acquire(FAR)}
    counts = dict.fromkeys(actions, 1)
    await executions.write([write(actions=counts), write(actions=counts)], epochs)
    await executions.write([write(shard=FAR, actions=counts)], far)


async def change(executions: ExecutionStore, acquire: Acquire, *changes: BytesChanged) -> None:
    """Half of them in one shard, the others in another."""
    for shard, those in ((SHARD, changes[::2]), (FAR, changes[1::2])):
        await executions.write([write(shard=shard, bytes_changed=list(those))], {shard: await acquire(shard)})


async def test_actions_add_up(executions: ExecutionStore, usage: UsageStore, acquire: Acquire) -> None:
    await count(executions, acquire, *reversed(ACTIONS), OTHERS)
    assert await usage.actions(NAMESPACE, FIRST, FIRST + 2, None, 100) == [ActionCount(each, 3) for each in ACTIONS]
    assert await usage.actions("namespace-2", FIRST, FIRST + 2, None, 100) == [ActionCount(OTHERS, 3)]
    assert await usage.actions("namespace-3", FIRST, FIRST + 2, None, 100) == []


async def test_actions_of_some_hours(executions: ExecutionStore, usage: UsageStore, acquire: Acquire) -> None:
    await count(executions, acquire, *ACTIONS)
    assert [each.action for each in await usage.actions(NAMESPACE, FIRST, FIRST + 1, None, 9)] == ACTIONS[:4]
    assert [each.action for each in await usage.actions(NAMESPACE, FIRST + 1, FIRST + 9, None, 9)] == ACTIONS[4:]
    assert await usage.actions(NAMESPACE, FIRST + 2, FIRST + 9, None, 9) == []


@pytest.mark.parametrize("limit", [1, 2, 4])
async def test_actions_by_pages(executions: ExecutionStore, usage: UsageStore, acquire: Acquire, limit: int) -> None:
    await count(executions, acquire, *ACTIONS)
    found: list[ActionCount] = []
    while page := await usage.actions(NAMESPACE, FIRST, FIRST + 2, found[-1].action if found else None, limit):
        assert len(page) <= limit
        found += page
    assert found == [ActionCount(each, 3) for each in ACTIONS]


async def test_a_type_may_have_any_name(executions: ExecutionStore, usage: UsageStore, acquire: Acquire) -> None:
    strange = [
        Action(NAMESPACE, FIRST, "start_workflow", name, background=False) for name in ("", "'", "\0", "\U0001f600")
    ]
    await count(executions, acquire, *strange)
    assert [each.times for each in await usage.actions(NAMESPACE, FIRST, FIRST + 1, None, 9)] == [3, 3, 3, 3]


async def test_bytes_count_for_as_long_as_they_are_kept(
    executions: ExecutionStore, usage: UsageStore, acquire: Acquire
) -> None:
    start_ms = FIRST * HOUR_MS
    await change(
        executions,
        acquire,
        BytesChanged(NAMESPACE, start_ms + 1_000, 100, 0),
        BytesChanged(NAMESPACE, start_ms + 1_800_000, -100, 150),
        BytesChanged(NAMESPACE, start_ms + 3 * HOUR_MS + 5, 0, -150),
        BytesChanged("namespace-2", start_ms, 7, 7),
    )
    kept = await usage.storage(NAMESPACE, FIRST - 1, FIRST + 5, (FIRST + 9) * HOUR_MS)
    assert kept == [
        Storage(FIRST - 1, 0, 0),
        Storage(FIRST, 100 * 1_799_000, 150 * 1_800_000),
        Storage(FIRST + 1, 0, 150 * HOUR_MS),
        Storage(FIRST + 2, 0, 150 * HOUR_MS),
        Storage(FIRST + 3, 0, 150 * 5),
        Storage(FIRST + 4, 0, 0),
    ]
    assert await usage.storage(NAMESPACE, FIRST + 2, FIRST + 4, (FIRST + 9) * HOUR_MS) == kept[3:5]


async def test_the_present_hour_counts_up_to_now(
    executions: ExecutionStore, usage: UsageStore, acquire: Acquire
) -> None:
    await change(executions, acquire, BytesChanged(NAMESPACE, FIRST * HOUR_MS + 10, 100, 1))
    kept = await usage.storage(NAMESPACE, FIRST, FIRST + 5, FIRST * HOUR_MS + 1_010)
    assert kept == [Storage(FIRST, 100_000, 1_000)]
    kept = await usage.storage(NAMESPACE, FIRST, FIRST + 5, (FIRST + 1) * HOUR_MS + 7)
    assert kept == [Storage(FIRST, 100 * (HOUR_MS - 10), HOUR_MS - 10), Storage(FIRST + 1, 700, 7)]


async def test_what_is_old_is_forgotten_and_what_is_kept_is_not(
    executions: ExecutionStore, usage: UsageStore, acquire: Acquire
) -> None:
    await count(executions, acquire, *ACTIONS)
    await change(
        executions,
        acquire,
        *(BytesChanged(NAMESPACE, (FIRST + hour) * HOUR_MS, 10, 1) for hour in range(6)),
    )
    now_ms = (FIRST + 9) * HOUR_MS
    kept = await usage.storage(NAMESPACE, FIRST + 4, FIRST + 8, now_ms)
    assert [each.active_byte_ms // HOUR_MS for each in kept] == [50, 60, 60, 60]
    assert await usage.forget(FIRST - 9, 100) == 0
    while await usage.forget(FIRST + 4, 1):
        assert await usage.storage(NAMESPACE, FIRST + 4, FIRST + 8, now_ms) == kept
    assert await usage.actions(NAMESPACE, 0, FIRST + 9, None, 100) == []
    assert await usage.storage(NAMESPACE, FIRST + 4, FIRST + 8, now_ms) == kept
    assert await usage.forget(FIRST + 6, 100) == 2
    assert await usage.storage(NAMESPACE, FIRST + 6, FIRST + 8, now_ms) == kept[2:]


async def test_what_a_run_cost_stays_when_the_run_goes(
    executions: ExecutionStore, usage: UsageStore, acquire: Acquire
) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    run = key()
    begun = write(journal=[record(run, 1, 1, 1)], actions={ACTIONS[0]: 1})
    await executions.write([begun, write(deleted=[run], actions={ACTIONS[0]: 2})], epochs)
    assert await usage.actions(NAMESPACE, FIRST, FIRST + 1, None, 9) == [ActionCount(ACTIONS[0], 3)]
