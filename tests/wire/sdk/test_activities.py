"""What people do with activities every day, by the official SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError, TimeoutType

from tests.support.sdk import SHORT, history, kinds, worker


@activity.defn
async def double(number: int) -> int:
    return 2 * number


@activity.defn
async def fails_until(attempt: int) -> int:
    """Fails until its given attempt."""
    if activity.info().attempt < attempt:
        raise ApplicationError(f"attempt {activity.info().attempt}", type="NotYet")
    return activity.info().attempt


@activity.defn
async def never_ends() -> None:
    await asyncio.Event().wait()


@activity.defn
async def beats_until_cancelled() -> None:
    """Says that it is alive until it hears of its cancellation."""
    try:
        while True:
            activity.heartbeat("alive")
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        activity.heartbeat("cancelled")
        raise


@activity.defn
async def resumes() -> str:
    """Falls silent in its first attempt; the second says what the first had come to."""
    if activity.info().attempt == 1:
        activity.heartbeat("halfway")
        await asyncio.Event().wait()
    return str(activity.info().heartbeat_details[0])


@activity.defn
async def somebody_else_completes() -> str:
    activity.raise_complete_async()


@workflow.defn
class Doubles:
    @workflow.run
    async def run(self, numbers: list[int], local: bool) -> list[int]:
        if local:
            calls = [
                workflow.execute_local_activity(double, number, start_to_close_timeout=SHORT) for number in numbers
            ]
        else:
            calls = [workflow.execute_activity(double, number, start_to_close_timeout=SHORT) for number in numbers]
        return list(await asyncio.gather(*calls))


@workflow.defn
class Runs:
    """Runs one activity by its name."""

    @workflow.run
    async def run(self, name: str, arguments: list[int], maximum_attempts: int, timeout_ms: int) -> Any:
        return await workflow.execute_activity(
            name,
            args=arguments,
            start_to_close_timeout=timedelta(milliseconds=timeout_ms),
            heartbeat_timeout=timedelta(milliseconds=500) if name == "resumes" else None,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=10),
                maximum_attempts=maximum_attempts,
            ),
        )


@workflow.defn
class CancelsItsActivity:
    def __init__(self) -> None:
        self.beating = False

    @workflow.signal
    def cancel_it(self) -> None:
        self.beating = True

    @workflow.run
    async def run(self) -> str:
        handle = workflow.start_activity(
            beats_until_cancelled,
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=SHORT,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: self.beating)
        handle.cancel()
        try:
            await handle
        except ActivityError as error:
            assert isinstance(error.cause, CancelledError)
            return "cancelled"
        return "it went on"


ACTIVITIES: list[Callable[..., Any]] = [
    double,
    fails_until,
    never_ends,
    beats_until_cancelled,
    resumes,
    somebody_else_completes,
]


async def run(client: Client, name: str, *arguments: int, attempts: int = 1, timeout_ms: int = 5000) -> Any:
    async with worker(client, [Runs], ACTIVITIES) as running:
        return await client.execute_workflow(
            Runs.run,
            args=[name, list(arguments), attempts, timeout_ms],
            id=f"workflow-{uuid4()}",
            task_queue=running.task_queue,
        )


async def cause(client: Client, name: str, *arguments: int, attempts: int = 1, timeout_ms: int = 5000) -> BaseException:
    """Why the activity failed in the end."""
    with pytest.raises(WorkflowFailureError) as failed:
        await run(client, name, *arguments, attempts=attempts, timeout_ms=timeout_ms)
    assert isinstance(failed.value.cause, ActivityError)
    assert failed.value.cause.cause is not None
    return failed.value.cause.cause


@pytest.mark.parametrize("local", [False, True])
async def test_many_at_once(client: Client, local: bool) -> None:
    async with worker(client, [Doubles], ACTIVITIES) as running:
        numbers = list(range(50))
        handle = await client.start_workflow(
            Doubles.run, args=[numbers, local], id=f"workflow-{uuid4()}", task_queue=running.task_queue
        )
        assert await handle.result() == [2 * number for number in numbers]
        seen = kinds(await history(handle))
        assert seen.count("ACTIVITY_TASK_COMPLETED") == (0 if local else len(numbers))
        assert seen.count("MARKER_RECORDED") == (len(numbers) if local else 0)


async def test_retries_until_it_works(client: Client) -> None:
    assert await run(client, "fails_until", 3, attempts=0) == 3


async def test_the_last_attempt_says_why(client: Client) -> None:
    error = await cause(client, "fails_until", 9, attempts=2)
    assert isinstance(error, ApplicationError)
    assert (error.message, error.type) == ("attempt 2", "NotYet")


async def test_start_to_close_timeout(client: Client) -> None:
    error = await cause(client, "never_ends", timeout_ms=200)
    assert isinstance(error, TimeoutError)
    assert error.type == TimeoutType.START_TO_CLOSE


async def test_heartbeat_details_reach_the_next_attempt(client: Client) -> None:
    assert await run(client, "resumes", attempts=2, timeout_ms=10_000) == "halfway"


async def test_cancellation_arrives_with_a_heartbeat(client: Client) -> None:
    async with worker(
        client, [CancelsItsActivity], ACTIVITIES, max_heartbeat_throttle_interval=timedelta(milliseconds=50)
    ) as running:
        handle: WorkflowHandle[CancelsItsActivity, str] = await client.start_workflow(
            CancelsItsActivity.run, id=f"workflow-{uuid4()}", task_queue=running.task_queue
        )
        await _pending(handle, lambda pending: bool(pending.heartbeat_details.payloads))
        await handle.signal(CancelsItsActivity.cancel_it)
        assert await handle.result() == "cancelled"
        seen = kinds(await history(handle))
        assert seen.count("ACTIVITY_TASK_CANCEL_REQUESTED") == seen.count("ACTIVITY_TASK_CANCELED") == 1


async def test_completion_by_somebody_else(client: Client) -> None:
    async with worker(client, [Runs], ACTIVITIES) as running:
        handle: WorkflowHandle[Runs, Any] = await client.start_workflow(
            Runs.run,
            args=["somebody_else_completes", [], 1, 5000],
            id=f"workflow-{uuid4()}",
            task_queue=running.task_queue,
        )
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                activity_id = event.activity_task_scheduled_event_attributes.activity_id
                break
        await _pending(handle, lambda pending: pending.HasField("last_started_time"))
        outside = client.get_async_activity_handle(workflow_id=handle.id, run_id=None, activity_id=activity_id)
        await outside.heartbeat("on it")
        await outside.complete("done by hand")
        assert await handle.result() == "done by hand"


async def _pending(handle: WorkflowHandle[Any, Any], condition: Callable[[PendingActivityInfo], bool]) -> None:
    """Returns when the workflow's only activity is as wanted."""
    while True:
        pending = (await handle.describe()).raw_description.pending_activities
        if pending and condition(pending[0]):
            return
