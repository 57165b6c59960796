"""A history as a person reads it: one line per thing that happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

_TEDIOUS = ("EVENT_TYPE_WORKFLOW_TASK_", "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED")


class Moment(NamedTuple):
    """`seconds` are since the start of the workflow."""

    event_id: int
    seconds: float
    what: str
    detail: str


def moments(events: Iterable[HistoryEvent]) -> Iterator[Moment]:
    """The events but those of workflow tasks, which are the engine's own business."""
    scheduled: dict[int, str] = {}
    began = 0
    for event in events:
        name = EventType.Name(event.event_type)
        began = began or event.event_time.ToNanoseconds()
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        if name.startswith(_TEDIOUS) or event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            continue
        what = name.removeprefix("EVENT_TYPE_").replace("_", " ").lower().replace("execution ", "")
        seconds = (event.event_time.ToNanoseconds() - began) / 1e9
        yield Moment(event.event_id, seconds, what, _detail(event, scheduled))


def _detail(event: HistoryEvent, scheduled: dict[int, str]) -> str:
    attributes = getattr(event, str(event.WhichOneof("attributes")))
    fields = attributes.DESCRIPTOR.fields_by_name
    if "workflow_type" in fields and "workflow_execution" in fields:
        said = f"{attributes.workflow_type.name} {attributes.workflow_execution.workflow_id}"
        if "failure" in fields:
            said += f": {attributes.failure.cause.message}"
        return said
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        return str(attributes.workflow_type.name)
    if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
        return f"for {attributes.start_to_fire_timeout.ToTimedelta().days} days"
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
        return str(attributes.signal_name)
    activity = scheduled.get(getattr(attributes, "scheduled_event_id", 0), "")
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED and attributes.attempt > 1:
        return f"{activity}, attempt {attributes.attempt}: before, {attributes.last_failure.message}"
    return activity
