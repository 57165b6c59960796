"""Our server in the place of the test server that SDKs know, under the official SDK's time-skipping environment."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.exceptions import TimeoutError as WorkTimedOut
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

MONTH = timedelta(days=30)


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self, days: int) -> float:
        began = workflow.time()
        for _ in range(days):
            await workflow.sleep(timedelta(days=1))
        return workflow.time() - began


@workflow.defn
class Waiter:
    def __init__(self) -> None:
        self.signalled = False

    @workflow.run
    async def run(self) -> str:
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self.signalled, timeout=MONTH)
        if not self.signalled:
            return "timed out"
        return "signalled"

    @workflow.signal
    def go(self) -> None:
        self.signalled = True

    @workflow.query
    def state(self) -> bool:
        return self.signalled


@activity.defn
async def slow() -> str:
    await asyncio.sleep(0.5)
    return "done"


@activity.defn
async def failing() -> str:
    if activity.info().attempt < 5:
        raise RuntimeError("not yet")
    return f"attempt {activity.info().attempt}"


@workflow.defn
class Races:
    """A timer that is not skipped to while an activity runs, and retries whose delays are."""

    @workflow.run
    async def run(self) -> list[str]:
        timer = asyncio.create_task(workflow.sleep(timedelta(hours=1)))
        first = await workflow.execute_activity(slow, start_to_close_timeout=timedelta(minutes=1))
        fired = "timer" if timer.done() else "no timer"
        second = await workflow.execute_activity(
            failing,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(initial_interval=timedelta(minutes=10)),
        )
        return [first, fired, second]


@workflow.defn
class Parent:
    @workflow.run
    async def run(self) -> float:
        return await workflow.execute_child_workflow(Sleeper.run, 7)


@workflow.defn
class Late:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_activity(
                "nobody",
                task_queue="nobody polls",
                schedule_to_start_timeout=timedelta(seconds=1),
                start_to_close_timeout=MONTH,
            )
        except ActivityError as error:
            return type(error.cause).__name__
        return ""


@pytest.fixture
async def environment(tmp_path: Path) -> AsyncIterator[WorkflowEnvironment]:
    """Started as its users would, with the path of a program."""
    program = tmp_path / "perdure"
    program.write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -c 'from perdure.infra.cli import main; main()' \"$@\"\n", "utf-8"
    )
    program.chmod(0o755)
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=str(program)) as started:
        yield started


def a_worker(environment: WorkflowEnvironment) -> Worker:
    return Worker(
        environment.client,
        task_queue="q",
        workflows=[Sleeper, Waiter, Races, Parent, Late],
        activities=[slow, failing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def test_a_month_passes_in_no_time(environment: WorkflowEnvironment) -> None:
    assert environment.supports_time_skipping
    before = await environment.get_current_time()
    async with a_worker(environment):
        began_s = time.monotonic()
        slept_s = await environment.client.execute_workflow(Sleeper.run, 30, id="month", task_queue="q")
        took_s = time.monotonic() - began_s
    assert slept_s == pytest.approx(30 * 86_400, abs=60)
    assert took_s < 10
    assert await environment.get_current_time() - before >= MONTH


async def test_the_environment_sleeps(environment: WorkflowEnvironment) -> None:
    before = await environment.get_current_time()
    await environment.sleep(timedelta(days=100))
    assert timedelta(days=100) <= await environment.get_current_time() - before < timedelta(days=100, minutes=1)


async def test_time_goes_by_as_it_does_until_somebody_waits(environment: WorkflowEnvironment) -> None:
    async with a_worker(environment):
        handle = await environment.client.start_workflow(Waiter.run, id="waiter", task_queue="q")
        before = await environment.get_current_time()
        await asyncio.sleep(0.3)
        assert await environment.get_current_time() - before < timedelta(seconds=10), "it is locked"
        assert not await handle.query(Waiter.state)
        await environment.sleep(timedelta(days=29))
        await handle.signal(Waiter.go)
        assert await handle.query(Waiter.state)
        assert await handle.result() == "signalled"
        other = await environment.client.start_workflow(Waiter.run, id="other", task_queue="q")
        assert await other.result() == "timed out"
        with environment.auto_time_skipping_disabled():
            third = await environment.client.start_workflow(Waiter.run, id="third", task_queue="q")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(third.result(), 0.5)


async def test_time_stands_while_an_activity_runs(environment: WorkflowEnvironment) -> None:
    async with a_worker(environment):
        assert await environment.client.execute_workflow(Races.run, id="races", task_queue="q") == [
            "done",
            "no timer",
            "attempt 5",
        ]


async def test_children_timeouts_and_delays(environment: WorkflowEnvironment) -> None:
    async with a_worker(environment):
        client = environment.client
        assert await client.execute_workflow(Parent.run, id="parent", task_queue="q") > 7 * 86_399
        began = await environment.get_current_time()
        await client.execute_workflow(Sleeper.run, 1, id="delayed", task_queue="q", start_delay=timedelta(days=3))
        assert await environment.get_current_time() - began >= timedelta(days=4)
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(
                Sleeper.run, 30, id="short", task_queue="q", execution_timeout=timedelta(days=2, hours=1)
            )
        assert isinstance(failed.value.cause, WorkTimedOut)
        assert await client.execute_workflow(Late.run, id="late", task_queue="q") == "TimeoutError"
