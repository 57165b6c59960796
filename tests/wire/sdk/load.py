"""Workflows that do a bit of everything, the clients that drive them, and what must be true of them in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from tests.support.sdk import history

#: Work that the server handed out right before it died is handed out again after this time.
LOST = timedelta(seconds=2)
SIGNALS = 4
CLIENT_ATTEMPTS_MAX = 20
_CLOSED = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
}


class Activities:
    """They run in the process of the test, which no crash of the server reaches."""

    def __init__(self) -> None:
        self.runs_of_once: Counter[str] = Counter()

    @activity.defn
    async def once(self) -> None:
        self.runs_of_once[activity.info().workflow_id] += 1

    @activity.defn
    async def flaky(self) -> int:
        if activity.info().attempt == 1:
            raise ApplicationError("the first attempt fails")
        return activity.info().attempt


@workflow.defn
class Child:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity_method(
            Activities.flaky,
            start_to_close_timeout=LOST,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20)),
        )


@workflow.defn
class Busy:
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.finished = False

    @workflow.signal
    def hear(self, word: str) -> None:
        self.heard.append(word)

    @workflow.signal
    def finish(self) -> None:
        self.finished = True

    @workflow.run
    async def run(self) -> list[str]:
        # It may be handed out and lost with the server: running it again is what the server must not do then.
        with suppress(ActivityError):
            await workflow.execute_activity_method(
                Activities.once, start_to_close_timeout=LOST, retry_policy=RetryPolicy(maximum_attempts=1)
            )
        child = workflow.execute_child_workflow(Child.run, id=f"{workflow.info().workflow_id}-child", task_timeout=LOST)
        await asyncio.gather(child, asyncio.sleep(0.05))
        await workflow.wait_condition(lambda: self.finished)
        return self.heard


class Driver:
    """Drives one workflow after the other, and notes what the server has acknowledged."""

    def __init__(self, client: Client, task_queue: str, acknowledged: Callable[[], None]) -> None:
        self.client = client
        self.task_queue = task_queue
        self.sent: dict[str, list[str]] = {}
        self.promised: dict[str, list[str]] = {}
        self._acknowledged = acknowledged

    async def drive(self, workflow_id: str) -> list[str]:
        """Start it, send it signals, let it finish; its result."""
        await self._insist(
            lambda _: self.client.start_workflow(
                Busy.run, id=workflow_id, task_queue=self.task_queue, task_timeout=LOST
            )
        )
        handle = self.client.get_workflow_handle_for(Busy.run, workflow_id)
        sent = self.sent[workflow_id] = []
        promised = self.promised[workflow_id] = []
        for number in range(SIGNALS):

            async def say(attempt: int, number: int = number) -> None:
                # A word of its own for each call, so that one that was sent in vain can be told from its repetition.
                word = f"{number}.{attempt}"
                sent.append(word)
                await handle.signal(Busy.hear, word)
                promised.append(word)

            await self._insist(say)
        await self._insist(lambda _: handle.signal(Busy.finish))
        result: list[str] = []

        async def receive(_: int) -> None:
            result.extend(await handle.result())

        await self._insist(receive)
        return result

    async def _insist(self, call: Callable[[int], Any]) -> None:
        """Call until it is acknowledged: the server may be away for a moment."""
        for attempt in range(CLIENT_ATTEMPTS_MAX):
            try:
                await call(attempt)
            except WorkflowAlreadyStartedError:
                assert attempt > 0, "nobody else starts this workflow"
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND and attempt > 0:
                    # The call before was heard after all, and the workflow has finished.
                    break
                assert error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.CANCELLED), error
                continue
            break
        else:
            raise AssertionError("the server did not come back")
        self._acknowledged()


async def check(driver: Driver, results: dict[str, list[str]], runs_of_once: Counter[str]) -> None:
    """What no crash may break."""
    for workflow_id, result in results.items():
        handle = driver.client.get_workflow_handle(workflow_id)
        events = await _checked_history(handle)
        await _checked_history(driver.client.get_workflow_handle(f"{workflow_id}-child"))
        heard = Counter(_words(events))
        assert all(count == 1 for count in heard.values()), "no signal is there twice"
        assert heard.keys() <= set(driver.sent[workflow_id])
        assert set(driver.promised[workflow_id]) <= heard.keys(), "no promised signal is missing"
        assert result == _words(events)
        assert runs_of_once[workflow_id] <= 1
    runs = [run async for run in driver.client.list_workflows()]
    assert Counter(run.id for run in runs) == Counter([*results, *(f"{name}-child" for name in results)])
    assert {run.status for run in runs} == {WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED}


async def _checked_history(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    events = await history(handle)
    assert [event.event_id for event in events] == list(range(1, len(events) + 1)), "a history has no gap"
    closing = [event for event in events if event.event_type in _CLOSED]
    assert closing == events[-1:], "it ends once"
    assert closing[0].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    return events


def _words(events: list[HistoryEvent]) -> list[str]:
    return [
        event.workflow_execution_signaled_event_attributes.input.payloads[0].data.decode().strip('"')
        for event in events
        if event.workflow_execution_signaled_event_attributes.signal_name == "hear"
    ]
