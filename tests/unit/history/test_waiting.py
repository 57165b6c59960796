"""Calls that wait for news of a run."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.api.enums.v1 import EventType, HistoryEventFilterType

from perdure.kernel.errors import Unavailable
from tests.support.history import HistoryBench, with_history

_CLOSE = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


def test_news_come_soon_although_the_shard_was_lost_meanwhile() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("w")
        asked = {"execution": {"workflow_id": "w", "run_id": key.run_id}, "wait_new_event": True}
        first = await bench.call("GetWorkflowExecutionHistory", **asked)

        async def news(**fields: Any) -> list[int]:
            """As a router would, which asks whoever has the shard next."""
            while True:
                try:
                    response = await bench.call("GetWorkflowExecutionHistory", **asked, **fields)
                    return [event.event_type for event in response.history.events]
                except Unavailable:
                    await asyncio.sleep(0.05)

        following = asyncio.create_task(news(next_page_token=first.next_page_token))
        awaiting_the_end = asyncio.create_task(news(history_event_filter_type=_CLOSE))
        await asyncio.sleep(0.1)
        await bench.forget()
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1):
            await bench.call("SignalWorkflowExecution", workflow_execution={"workflow_id": "w"}, signal_name="s")
            assert await following == [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]
            await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": "w"})
            assert await awaiting_the_end == [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED]

    with_history(main)
