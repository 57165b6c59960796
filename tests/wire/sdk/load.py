"""Workflows that do a bit of everything, the clients that drive them, and what must be true of them in the end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from tests.support.sdk import history

#: Work that the server handed out right before it died is handed out again after this time.
LOST = timedelta(seconds=2)
#: What a workflow heard in signals, and in updates.
Heard = tuple[list[str], list[str]]

SIGNALS = 4
UPDATES = 2
CLIENT_ATTEMPTS_MAX = 20
#: How long to leave a workflow alone that cannot take updates.
POSTPONED_S = 0.5
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
        self.runs_of_once[str(activity.info().workflow_id)] += 1

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
        self.noted: list[str] = []
        self.finished = False

    @workflow.signal
    def hear(self, word: str) -> None:
        self.heard.append(word)

    @workflow.update
    async def note(self, word: str) -> str:
        await asyncio.sleep(0.01)
        self.noted.append(word)
        return word

    @workflow.signal
    def finish(self) -> None:
        self.finished = True

    @workflow.run
    async def run(self) -> Heard:
        # It may be handed out and lost with the server: running it again is what the server must not do then.
        with suppress(ActivityError):
            await workflow.execute_activity_method(
                Activities.once, start_to_close_timeout=LOST, retry_policy=RetryPolicy(maximum_attempts=1)
            )
        child = workflow.execute_child_workflow(Child.run, id=f"{workflow.info().workflow_id}-child", task_timeout=LOST)
        await asyncio.gather(child, asyncio.sleep(0.05))
        await workflow.wait_condition(lambda: self.finished)
        return self.heard, self.noted


@dataclass
class Told:
    """The words that a workflow was told in signals or in updates, and those of them that the server acknowledged.

    Each call has a word of its own, so that one that was sent in vain can be told from its repetition.
    """

    sent: list[str] = field(default_factory=list)
    promised: list[str] = field(default_factory=list)

    def check(self, heard: list[str]) -> None:
        """What was acknowledged was heard, nothing was heard twice, and nothing that nobody said."""
        assert len(heard) == len(set(heard))
        assert set(self.promised) <= set(heard) <= set(self.sent)


class Driver:
    """Drives workflows, and notes what the server has acknowledged."""

    def __init__(self, client: Client, task_queue: str, acknowledged: Callable[[], None]) -> None:
        self.client = client
        self.task_queue = task_queue
        self.signals: dict[str, Told] = defaultdict(Told)
        self.updates: dict[str, Told] = defaultdict(Told)
        self._acknowledged = acknowledged

    async def drive(self, workflow_id: str) -> Heard:
        """Start it, tell it things, let it finish; its result."""
        await self._insist(
            lambda _: self.client.start_workflow(
                Busy.run, id=workflow_id, task_queue=self.task_queue, task_timeout=LOST
            )
        )
        handle = self.client.get_workflow_handle_for(Busy.run, workflow_id)
        for number in range(SIGNALS):
            await self._tell(self.signals[workflow_id], number, lambda word: handle.signal(Busy.hear, word))
        for number in range(UPDATES):
            await self._tell(self.updates[workflow_id], number, lambda word: handle.execute_update(Busy.note, word))
        await self._insist(lambda _: handle.signal(Busy.finish))
        results: list[Heard] = []

        async def receive(_: int) -> None:
            results.append(await handle.result())

        await self._insist(receive)
        return results[0]

    async def _tell(self, told: Told, number: int, call: Callable[[str], Awaitable[object]]) -> None:
        async def say(attempt: int) -> None:
            word = f"{number}.{attempt}"
            told.sent.append(word)
            await call(word)
            told.promised.append(word)

        await self._insist(say)

    async def _insist(self, call: Callable[[int], Awaitable[object]]) -> None:
        """Call until it is acknowledged: the server may be away for a moment."""
        for attempt in range(CLIENT_ATTEMPTS_MAX):
            try:
                await call(attempt)
            except WorkflowUpdateRPCTimeoutOrCancelledError as error:
                if isinstance(error.__cause__, asyncio.CancelledError):
                    raise error.__cause__ from None
                continue
            except WorkflowAlreadyStartedError:
                assert attempt > 0, "nobody else starts this workflow"
            except RPCError as error:
                if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.CANCELLED) or _is_broken(error):
                    continue
                if _is_postponed(error):
                    await asyncio.sleep(POSTPONED_S)
                    continue
                # The call before was heard after all, and the workflow has finished.
                assert error.status == RPCStatusCode.NOT_FOUND and attempt > 0, error
            self._acknowledged()
            return
        raise AssertionError("the server did not come back")


def _is_broken(error: RPCError) -> bool:
    """Whether the connection broke with the call on it, which the SDK reports as it finds it and does not repeat."""
    return error.status == RPCStatusCode.UNKNOWN and "transport error" in error.message


def _is_postponed(error: RPCError) -> bool:
    """Whether the workflow takes no updates now, since its worker was out of reach for several tasks in a row."""
    return error.status == RPCStatusCode.FAILED_PRECONDITION and "Workflow Task in failed state" in error.message


async def check(driver: Driver, results: dict[str, Heard], runs_of_once: Counter[str]) -> None:
    """What no crash may break."""
    for workflow_id, (signals, updates) in results.items():
        events = await check_history(driver.client.get_workflow_handle(workflow_id))
        await check_history(driver.client.get_workflow_handle(f"{workflow_id}-child"))
        driver.signals[workflow_id].check(signals)
        driver.updates[workflow_id].check(updates)
        assert signals == _signals(events), "the history tells what the workflow heard"
        assert len(updates) == len(_completed_updates(events))
        assert runs_of_once[workflow_id] <= 1, "one attempt is one attempt"
    runs = [run async for run in driver.client.list_workflows()]
    assert Counter(run.id for run in runs) == Counter([*results, *(f"{name}-child" for name in results)])
    assert {run.status for run in runs} == {WorkflowExecutionStatus.COMPLETED}


async def check_history(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    events = await history(handle)
    assert [event.event_id for event in events] == list(range(1, len(events) + 1)), "a history has no gap"
    closing = [event for event in events if event.event_type in _CLOSED]
    assert closing == events[-1:], "it ends once"
    assert closing[0].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    return events


def _signals(events: list[HistoryEvent]) -> list[str]:
    signals = [event.workflow_execution_signaled_event_attributes for event in events]
    return [json.loads(signal.input.payloads[0].data) for signal in signals if signal.signal_name == "hear"]


def _completed_updates(events: list[HistoryEvent]) -> set[str]:
    updates = [event.workflow_execution_update_completed_event_attributes for event in events]
    return {update.meta.update_id for update in updates if update.meta.update_id}
