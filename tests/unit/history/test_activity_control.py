"""Commands for several activities of a workflow at once."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import ExecutionKey
from perdure.kernel.limits import Limits
from tests.differential import commands as c
from tests.support.history import QUEUE, HistoryBench, with_history

COUNT = 4
SHARE = Limits().blob_size_max // COUNT
ADDRESS: dict[str, Any] = {"execution": {"workflow_id": "order"}, "type": "Act"}


async def with_activities(bench: HistoryBench) -> ExecutionKey:
    key = await bench.start("order")
    await bench.turn(*(c.schedule_activity(QUEUE, f"a{number}") for number in range(COUNT)))
    return key


def test_a_reason_that_each_of_many_would_keep_is_refused_by_its_sum() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await with_activities(bench)
        with pytest.raises(InvalidArgument, match=f"reason exceeds size limit. Size={SHARE + 1} Activities={COUNT} "):
            await bench.call("PauseActivity", **ADDRESS, reason="x" * (SHARE + 1))
        activities = (await bench.loaded(key)).state.activities.values()
        assert [each.pause for each in activities] == [None] * COUNT
        await bench.call("PauseActivity", **ADDRESS, reason="x" * SHARE)
        assert all(each.pause is not None for each in activities)

    with_history(main)


def test_options_that_each_of_many_would_keep_are_refused_by_their_sum() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await with_activities(bench)

        async def update(size: int) -> None:
            policy = {"initial_interval": {"seconds": 7}, "backoff_coefficient": 1}
            options = {"retry_policy": policy | {"non_retryable_error_types": ["x" * size]}}
            mask = {"paths": ["retry_policy"]}
            await bench.call("UpdateActivityOptions", **ADDRESS, activity_options=options, update_mask=mask)

        async def intervals() -> set[int]:
            activities = (await bench.loaded(key)).state.activities.values()
            return {each.scheduled.retry_policy.initial_interval.seconds for each in activities}

        with pytest.raises(InvalidArgument, match="activity_options exceeds size limit"):
            await update(SHARE)
        assert await intervals() == {1}
        await update(SHARE - 100)
        assert await intervals() == {7}

    with_history(main)
