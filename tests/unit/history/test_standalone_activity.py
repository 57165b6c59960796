"""Standalone activities: calls that wait while the run is forgotten and loaded anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.kernel.errors import ActivityExecutionAlreadyStarted, DataLoss
from perdure.kernel.ids import ExecutionKey, ExecutionKind
from tests.simulation.cluster import NAMESPACE
from tests.support.history import QUEUE, HistoryBench, with_history


async def start(bench: HistoryBench, request_id: str = "r1") -> str:
    response = await bench.call(
        "StartActivityExecution",
        activity_id="pay",
        activity_type={"name": "Pay"},
        task_queue={"name": QUEUE},
        start_to_close_timeout={"seconds": 60},
        request_id=request_id,
    )
    return str(response.run_id)


async def outlives_its_run(bench: HistoryBench, rpc: str, **fields: Any) -> Any:
    """What a waiting call answers if the run is first forgotten, and then terminated."""
    waiting = asyncio.create_task(bench.call(rpc, activity_id="pay", **fields))
    await asyncio.sleep(1)
    await bench.forget()
    await asyncio.sleep(1)
    assert not waiting.done()
    await bench.call("TerminateActivityExecution", activity_id="pay", reason="enough", request_id="t1")
    return await waiting


def test_a_poll_answers_with_the_outcome_of_the_run_that_was_loaded_anew() -> None:
    async def main(bench: HistoryBench) -> None:
        await start(bench)
        response = await outlives_its_run(bench, "PollActivityExecution")
        assert response.outcome.failure.HasField("terminated_failure_info")

    with_history(main)


def test_a_description_is_of_the_run_that_was_loaded_anew() -> None:
    async def main(bench: HistoryBench) -> None:
        run_id = await start(bench)
        seen = await bench.call("DescribeActivityExecution", activity_id="pay", run_id=run_id)
        response = await outlives_its_run(
            bench,
            "DescribeActivityExecution",
            run_id=run_id,
            long_poll_token=seen.long_poll_token,
            include_outcome=True,
        )
        assert response.outcome.failure.HasField("terminated_failure_info")

    with_history(main)


def test_a_start_sees_the_one_that_came_while_it_was_looking() -> None:
    async def main(bench: HistoryBench) -> None:
        bench.store.meanwhile["current_run"] = lambda: start(bench, "r2")
        with pytest.raises(ActivityExecutionAlreadyStarted):
            await start(bench)

    with_history(main)


def test_damage_is_said_to_be_of_an_activity() -> None:
    async def main(bench: HistoryBench) -> None:
        run_id = await start(bench)
        key = ExecutionKey(NAMESPACE.id, "pay", run_id, ExecutionKind.ACTIVITY)  # type: ignore[arg-type]
        bench.store.damaged.add(key)
        await bench.forget()
        with pytest.raises(DataLoss, match=f"the records of activity pay, run {run_id} are damaged"):
            await bench.call("DescribeActivityExecution", activity_id="pay")

    with_history(main)
