"""Activities without a workflow, by the official SDK."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import ActivityExecutionStatus, ActivityFailureError, Client
from temporalio.common import (
    ActivityIDConflictPolicy,
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.exceptions import ActivityAlreadyStartedError, ApplicationError, CancelledError, TimeoutError

from tests.support.process import ANY_PORTS, dev
from tests.support.sdk import SHORT, worker

FAST = RetryPolicy(initial_interval=timedelta(milliseconds=20), maximum_attempts=3)
CUSTOMER = SearchAttributeKey.for_keyword("Customer")


@activity.defn
async def double(number: int) -> int:
    assert activity.info().workflow_id is None
    return 2 * number


@activity.defn
async def fails_twice() -> int:
    if activity.info().attempt < 3:
        raise ApplicationError("not yet")
    return activity.info().attempt


@activity.defn
async def never_succeeds() -> None:
    raise ApplicationError("never", type="Never")


@activity.defn
async def beats_until_cancelled() -> None:
    try:
        while True:
            activity.heartbeat("alive")
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        details = activity.cancellation_details()
        assert details is not None and details.cancel_requested
        raise


@activity.defn
async def is_completed_elsewhere() -> str:
    activity.raise_complete_async()


def _id() -> str:
    return f"activity-{uuid4()}"


async def test_results_and_failures(client: Client) -> None:
    async with worker(client, [], [double, fails_twice, never_succeeds]) as running:
        queue = running.task_queue
        assert await client.execute_activity(double, 21, id=_id(), task_queue=queue, start_to_close_timeout=SHORT) == 42
        third = await client.execute_activity(
            fails_twice, id=_id(), task_queue=queue, start_to_close_timeout=SHORT, retry_policy=FAST
        )
        assert third == 3
        failing = await client.start_activity(
            never_succeeds, id=_id(), task_queue=queue, start_to_close_timeout=SHORT, retry_policy=FAST
        )
        with pytest.raises(ActivityFailureError) as failed:
            await failing.result()
        assert isinstance(failed.value.cause, ApplicationError) and failed.value.cause.type == "Never"
        described = await failing.describe()
        assert described.status is ActivityExecutionStatus.FAILED
        assert described.attempt == 3


async def test_cancelled_and_timed_out(client: Client) -> None:
    async with worker(client, [], [beats_until_cancelled], default_heartbeat_throttle_interval=timedelta(0)) as running:
        handle = await client.start_activity(
            beats_until_cancelled,
            id=_id(),
            task_queue=running.task_queue,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=SHORT,
        )
        await handle.cancel(reason="enough")
        with pytest.raises(ActivityFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, CancelledError)
        assert (await handle.describe()).canceled_reason == "enough"
    nobody = await client.start_activity(
        double, 1, id=_id(), task_queue=_id(), schedule_to_close_timeout=timedelta(milliseconds=100)
    )
    with pytest.raises(ActivityFailureError) as timed_out:
        await nobody.result()
    assert isinstance(timed_out.value.cause, TimeoutError)


async def test_ids_lists_and_search_attributes(client: Client) -> None:
    name, customer = _id(), str(uuid4())

    async def begin(policy: ActivityIDConflictPolicy) -> str | None:
        handle = await client.start_activity(
            double,
            1,
            id=name,
            task_queue="nobody-here",
            start_to_close_timeout=SHORT,
            id_conflict_policy=policy,
            search_attributes=TypedSearchAttributes([SearchAttributePair(CUSTOMER, customer)]),
        )
        return handle.run_id

    run_id = await begin(ActivityIDConflictPolicy.FAIL)
    assert await begin(ActivityIDConflictPolicy.USE_EXISTING) == run_id
    with pytest.raises(ActivityAlreadyStartedError):
        await begin(ActivityIDConflictPolicy.FAIL)
    found = [each async for each in client.list_activities(f"Customer = '{customer}'")]
    assert [(each.activity_id, each.activity_type) for each in found] == [(name, "double")]
    running = f"ActivityId = '{name}' AND ExecutionStatus = 'Running'"
    assert (await client.count_activities(running)).count == 1
    await client.get_activity_handle(name).terminate(reason="away")
    assert (await client.count_activities(running)).count == 0


async def test_survives_the_server(tmp_path: Path) -> None:
    """An activity that runs, and one that waits, when the server is killed."""
    arguments = ("--db", str(tmp_path / "data.db"))
    async with dev(*arguments, *ANY_PORTS) as first:
        client = await Client.connect(first.address)
        async with worker(client, [], [is_completed_elsewhere, double]) as running:
            queue = running.task_queue
            handed_out = await client.start_activity(
                is_completed_elsewhere, id="running", task_queue=queue, start_to_close_timeout=timedelta(seconds=30)
            )
            seen = await handed_out.describe()
            while not seen.last_started_time:
                seen = await handed_out.describe(long_poll_token=seen.long_poll_token)
            delayed = await client.start_activity(
                double,
                4,
                id="waiting",
                task_queue=queue,
                start_to_close_timeout=SHORT,
                start_delay=timedelta(seconds=1),
            )
            await first.stop(signal.SIGKILL)
            async with dev(*arguments, "--port", first.port, "--http-port", "0"):
                assert await delayed.result() == 8
                await client.get_async_activity_handle(activity_id="running", run_id=handed_out.run_id).complete("yes")
                assert await handed_out.result() == "yes"
