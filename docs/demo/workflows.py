"""An order: reserve, charge, wait for the customer, deliver, and give back what could not be delivered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from docs.demo import activities

PATIENCE = timedelta(days=30)
QUICK_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=100), backoff_coefficient=2)


@dataclass
class Line:
    item: str
    cents: int


@workflow.defn
class Delivery:
    """Brings one item to the customer. Fails if that cannot be done."""

    @workflow.run
    async def run(self, item: str) -> str:
        return await workflow.execute_activity(
            activities.carry,
            item,
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=timedelta(seconds=2),
            retry_policy=QUICK_RETRY,
        )


@workflow.defn
class Order:
    def __init__(self) -> None:
        self._confirmed = False

    @workflow.signal
    def confirm(self) -> None:
        self._confirmed = True

    @workflow.run
    async def run(self, lines: list[Line]) -> dict[str, str]:
        await self._do(activities.reserve, [line.item for line in lines])
        await self._do(activities.charge, sum(line.cents for line in lines))
        try:
            await workflow.wait_condition(lambda: self._confirmed, timeout=PATIENCE)
        except TimeoutError:
            await self._do(activities.refund, sum(line.cents for line in lines))
            return {line.item: "given up after 30 days" for line in lines}
        return dict(await asyncio.gather(*(self._deliver(line) for line in lines)))

    async def _deliver(self, line: Line) -> tuple[str, str]:
        try:
            return line.item, await workflow.execute_child_workflow(
                Delivery.run, line.item, id=f"{workflow.info().workflow_id}-{line.item}"
            )
        except ChildWorkflowError:
            # The compensation: what was charged for this item goes back.
            await self._do(activities.refund, line.cents)
            return line.item, "refunded"

    async def _do(self, activity: object, argument: object) -> None:
        await workflow.execute_activity(
            activity,  # type: ignore[arg-type]
            argument,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=QUICK_RETRY,
        )
