"""Workers and clients of the official SDK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

SHORT = timedelta(seconds=5)


def worker(
    client: Client,
    workflows: Sequence[type],
    activities: Sequence[Callable[..., Any]] = (),
    task_queue: str | None = None,
    **options: Any,
) -> Worker:
    """A worker on a task queue of its own. The sandbox is left out: it is the SDK's business and slow to import."""
    return Worker(
        client,
        task_queue=task_queue or f"queue-{uuid4()}",
        workflows=workflows,
        activities=activities,
        workflow_runner=UnsandboxedWorkflowRunner(),
        **options,
    )


async def history(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    return list((await handle.fetch_history()).events)


def kinds(events: Sequence[HistoryEvent]) -> list[str]:
    """Event types without their prefix, in order."""
    return [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events]


async def until(handle: WorkflowHandle[Any, Any], kind: EventType.ValueType) -> HistoryEvent:
    """Follow the history to the first event of this type."""
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == kind:
            return event
    raise AssertionError(f"closed without {EventType.Name(kind)}")
