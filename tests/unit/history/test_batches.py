"""Batch jobs on a running history role: pace, crashes, stops, failures, and what they find to work on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import BatchOperationState
from temporalio.api.workflowservice.v1 import DescribeBatchOperationResponse

from perdure.history.kinds.batch import LoadedBatch
from perdure.kernel.errors import NotFound, Unavailable, WorkflowExecutionAlreadyStarted
from perdure.kernel.ids import ExecutionKey, ExecutionKind, WorkflowId, WorkflowKey
from perdure.kernel.persistence.executions import StoreUnavailable
from tests.simulation.cluster import NAMESPACE
from tests.support.history import HistoryBench, with_history

RUNNING = BatchOperationState.BATCH_OPERATION_STATE_RUNNING
COMPLETED = BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
FAILED = BatchOperationState.BATCH_OPERATION_STATE_FAILED
BY_TYPE = {"visibility_query": "WorkflowType = 'Order'"}


async def begin(bench: HistoryBench, job: str = "job", **fields: Any) -> None:
    if not any(name.endswith("_operation") for name in fields):
        fields["signal_operation"] = {"signal": "go"}
    await bench.call("StartBatchOperation", namespace="default", job_id=job, reason="why", **fields)


async def look(bench: HistoryBench, job: str = "job") -> DescribeBatchOperationResponse:
    response = await bench.call("DescribeBatchOperation", job_id=job)
    assert isinstance(response, DescribeBatchOperationResponse)
    return response


async def ended(bench: HistoryBench, job: str = "job") -> DescribeBatchOperationResponse:
    while (response := await look(bench, job)).state == RUNNING:  # noqa: ASYNC110  the time is virtual
        await asyncio.sleep(0.1)
    return response


async def workflows(bench: HistoryBench, count: int) -> list[ExecutionKey]:
    return [await bench.start(f"w{number}") for number in range(count)]


async def signals(bench: HistoryBench, key: ExecutionKey) -> int:
    return (await bench.loaded(key)).state.signal_count


def counts(response: DescribeBatchOperationResponse) -> tuple[int, int, int]:
    return (
        response.total_operation_count,
        response.complete_operation_count,
        response.failure_operation_count,
    )


def test_it_goes_through_all_pages_at_its_pace() -> None:
    async def main(bench: HistoryBench) -> None:
        keys = await workflows(bench, 1100)
        began_s = asyncio.get_running_loop().time()
        await begin(bench, **BY_TYPE)
        assert counts(await ended(bench)) == (1100, 1100, 0)
        took_s = asyncio.get_running_loop().time() - began_s
        assert 21 < took_s < 25, "50 a second"
        assert {await signals(bench, key) for key in keys} == {1}

    with_history(main, patience_s=300)


def test_a_slower_pace_can_be_asked_for() -> None:
    async def main(bench: HistoryBench) -> None:
        await workflows(bench, 10)
        began_s = asyncio.get_running_loop().time()
        await begin(bench, **BY_TYPE, max_operations_per_second=0.5)
        await ended(bench)
        assert 18 <= asyncio.get_running_loop().time() - began_s < 22

    with_history(main)


def test_a_crash_in_the_midst_does_nothing_twice() -> None:
    async def main(bench: HistoryBench) -> None:
        keys = await workflows(bench, 200)
        await begin(bench, **BY_TYPE)
        for _ in range(5):
            await asyncio.sleep(0.71)
            await bench.restart()
        assert counts(await ended(bench)) == (200, 200, 0)
        assert {await signals(bench, key) for key in keys} == {1}

    with_history(main)


def test_several_jobs_work_at_the_same_time() -> None:
    async def main(bench: HistoryBench) -> None:
        keys = await workflows(bench, 50)
        began_s = asyncio.get_running_loop().time()
        for job in ("a", "b", "c"):
            await begin(bench, job, **BY_TYPE)
        for job in ("a", "b", "c"):
            assert counts(await ended(bench, job)) == (50, 50, 0)
        # They share what a namespace may have done in a second.
        assert 2.5 < asyncio.get_running_loop().time() - began_s < 4
        assert {await signals(bench, key) for key in keys} == {3}

    with_history(main)


def test_a_shard_that_is_lost_and_taken_again_skips_nobody() -> None:
    async def main(bench: HistoryBench) -> None:
        keys = await workflows(bench, 200)
        await begin(bench, **BY_TYPE)
        for _ in range(4):
            await asyncio.sleep(0.63)
            bench.store.failures["write"].append(StoreUnavailable("hiccup"))
        assert counts(await ended(bench)) == (200, 200, 0)
        assert {await signals(bench, key) for key in keys} == {1}

    with_history(main, patience_s=300)


def test_who_is_listed_without_a_run_is_meant_as_of_then() -> None:
    async def main(bench: HistoryBench) -> None:
        first = await bench.start("w0")
        await begin(bench, executions=[{"workflow_id": "w0"}, {"workflow_id": "nobody"}], max_operations_per_second=0.2)
        loaded = await bench.shard.get(LoadedBatch, WorkflowKey(NAMESPACE.id, WorkflowId("job"), ExecutionKind.BATCH))
        await bench.until(lambda: loaded.state.completed > 0 or bool(loaded.state.targets[0].run_id))
        assert counts(await ended(bench)) == (2, 2, 0)
        assert await signals(bench, first) == 1

    with_history(main)


def test_a_job_that_is_stopped_does_no_more() -> None:
    async def main(bench: HistoryBench) -> None:
        keys = await workflows(bench, 500)
        await begin(bench, **BY_TYPE)
        await asyncio.sleep(3)
        await bench.call("StopBatchOperation", job_id="job", reason="enough")
        stopped = await look(bench)
        assert stopped.state == FAILED
        await asyncio.sleep(10)
        done = sum([await signals(bench, key) for key in keys])
        assert 100 < done < 250
        assert (await look(bench)).complete_operation_count == done
        with pytest.raises(NotFound):
            await bench.call("StopBatchOperation", job_id="job", reason="again")

    with_history(main)


def test_what_fails_is_counted_and_the_rest_goes_on() -> None:
    async def main(bench: HistoryBench) -> None:
        for number in range(3):
            await bench.start(f"w{number}")
            await bench.turn()
        # None of them has that event.
        await begin(bench, **BY_TYPE, reset_operation={"options": {"workflow_task_id": 77}})
        assert counts(await ended(bench)) == (3, 0, 3)
        await begin(bench, "again", **BY_TYPE, reset_operation={"options": {"first_workflow_task": {}}})
        assert counts(await ended(bench, "again")) == (3, 3, 0)

    with_history(main)


def test_what_passes_by_itself_is_tried_again() -> None:
    async def main(bench: HistoryBench) -> None:
        key = (await workflows(bench, 1))[0]
        await bench.forget()
        await begin(bench, executions=[{"workflow_id": "w0"}])
        bench.store.failures["load"] = [Unavailable("later") for _ in range(3)]
        assert counts(await ended(bench)) == (1, 1, 0)
        assert await signals(bench, key) == 1

    with_history(main)


def test_what_is_closed_is_left_alone() -> None:
    async def main(bench: HistoryBench) -> None:
        await workflows(bench, 3)
        await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": "w1"})
        await begin(bench, **BY_TYPE, termination_operation={"identity": "operator"})
        assert counts(await ended(bench)) == (2, 2, 0)
        closed = await bench.events(await current(bench, "w0"))
        assert closed[-1].workflow_execution_terminated_event_attributes.identity == "operator"

    with_history(main)


async def current(bench: HistoryBench, workflow_id: str) -> ExecutionKey:
    described = await bench.call("DescribeWorkflowExecution", execution={"workflow_id": workflow_id})
    info = described.workflow_execution_info.execution
    return ExecutionKey(NAMESPACE.id, info.workflow_id, info.run_id)  # type: ignore[arg-type]


def test_an_id_is_used_once() -> None:
    async def main(bench: HistoryBench) -> None:
        await begin(bench, executions=[{"workflow_id": "nobody"}])
        await ended(bench)
        with pytest.raises(WorkflowExecutionAlreadyStarted):
            await begin(bench, executions=[{"workflow_id": "nobody"}])

    with_history(main)


def test_a_query_that_is_none_any_more_ends_it() -> None:
    async def main(bench: HistoryBench) -> None:
        await begin(bench, visibility_query="Gone = 'x'")
        assert (await ended(bench)).state == FAILED
        loaded = await bench.shard.get(LoadedBatch, WorkflowKey(NAMESPACE.id, WorkflowId("job"), ExecutionKind.BATCH))
        assert "Gone" in loaded.state.reason

    with_history(main)


def test_unknown_jobs() -> None:
    async def main(bench: HistoryBench) -> None:
        with pytest.raises(NotFound):
            await look(bench)
        with pytest.raises(NotFound):
            await bench.call("StopBatchOperation", job_id="job", reason="why")

    with_history(main)
