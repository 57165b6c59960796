"""A backup under load, and what must be true of the server that is made from it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from tests.support.sdk import worker
from tests.wire.sdk.load import Activities, Busy, Child, Driver, Heard, Told, check_history
from tests.wire.sdk.test_crash import Acknowledgements

TASK_QUEUE = "restored"
AT_ONCE = 10
#: Acknowledgements before the backup begins; some workflows are done by then.
BEFORE = 250
GRACE = timedelta(seconds=5)


class Promises:
    """What had been acknowledged to clients when the backup began."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._signals = {name: list(told.promised) for name, told in driver.signals.items()}
        self._updates = {name: list(told.promised) for name, told in driver.updates.items()}

    async def check(self, client: Client) -> None:
        """They are kept, and every workflow goes on to its end."""
        activities = Activities()
        listed = [run.id async for run in client.list_workflows()]
        assert max(Counter(listed).values()) == 1
        workflows = [name for name in listed if not name.endswith("-child")]
        assert self._signals.keys() <= set(workflows)
        async with worker(
            client,
            [Busy, Child],
            [activities.once, activities.flaky],
            task_queue=TASK_QUEUE,
            graceful_shutdown_timeout=GRACE,
        ):
            results = await asyncio.gather(*(_finish(client, name) for name in workflows))
        for name, (signals, updates) in zip(workflows, results, strict=True):
            Told(self._driver.signals[name].sent, self._signals.get(name, [])).check(signals)
            Told(self._driver.updates[name].sent, self._updates.get(name, [])).check(updates)
            for each in (name, f"{name}-child"):
                await check_history(client.get_workflow_handle(each))
        runs = [run async for run in client.list_workflows()]
        assert {run.id for run in runs} == {each for name in workflows for each in (name, f"{name}-child")}
        assert {run.status for run in runs} == {WorkflowExecutionStatus.COMPLETED}


async def back_up_under_load(client: Client, back_up: Callable[[], Awaitable[None]]) -> Promises:
    """Drive workflows, back up in the midst of it, and let them end."""
    activities = Activities()
    acknowledgements = Acknowledgements()
    async with worker(
        client,
        [Busy, Child],
        [activities.once, activities.flaky],
        task_queue=TASK_QUEUE,
        graceful_shutdown_timeout=GRACE,
    ):
        driver = Driver(client, TASK_QUEUE, acknowledgements.one_more)

        backed_up = asyncio.Event()

        async def drive_on(driver_number: int) -> None:
            number = 0
            while not backed_up.is_set():
                await driver.drive(f"busy-{driver_number}-{number}")
                number += 1

        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            for driver_number in range(AT_ONCE):
                group.create_task(drive_on(driver_number))
            await acknowledgements.more(BEFORE)
            promises = Promises(driver)
            await back_up()
            backed_up.set()
        return promises


async def _finish(client: Client, workflow_id: str) -> Heard:
    handle = client.get_workflow_handle_for(Busy.run, workflow_id)
    async with asyncio.timeout(60):
        if (await _status(handle)) == WorkflowExecutionStatus.RUNNING:
            await handle.signal(Busy.finish)
        return await handle.result()


async def _status(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus | None:
    """Asked until there is an answer: a server that has just begun takes up what was restored."""
    while True:
        try:
            return (await handle.describe()).status
        except RPCError as error:
            if error.status not in (
                RPCStatusCode.UNAVAILABLE,
                RPCStatusCode.CANCELLED,
                RPCStatusCode.DEADLINE_EXCEEDED,
            ):
                raise
