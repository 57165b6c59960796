"""All machines' tables joined, and the fold over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.fold import (
    activity,
    activity_execution,
    batch,
    child,
    external,
    nexus,
    operation_execution,
    pause,
    reset,
    schedule,
    time_skipping,
    timer,
    update,
    versioning,
    workflow,
    workflow_task,
)
from perdure.history.state.changes import AnyChange, BufferedTimerDropped, EventBuffered, EventsRecorded, Metered
from perdure.history.state.execution import Execution

_MACHINES = (
    workflow,
    workflow_task,
    activity,
    timer,
    child,
    external,
    update,
    activity_execution,
    schedule,
    reset,
    pause,
    batch,
    nexus,
    operation_execution,
    versioning,
    time_skipping,
)

EVOLVE: dict[int, Callable[[Execution, HistoryEvent], None]] = {}
AMEND: dict[type, Callable[[Any, Any], None]] = {}
for _machine in _MACHINES:
    EVOLVE.update(getattr(_machine, "EVOLVE", {}))
    AMEND.update(getattr(_machine, "AMEND", {}))

_CHILD_STARTED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
_TIMER_FIRED = EventType.EVENT_TYPE_TIMER_FIRED


class UnknownEvent(Exception):
    """No machine knows this type of event: it was written by a newer version."""


def evolve(state: Execution, event: HistoryEvent) -> None:
    """Fold one event that is entering the history. Its id must be the next one."""
    fold = EVOLVE.get(event.event_type)
    if fold is None:
        raise UnknownEvent(EventType.Name(event.event_type))
    fold(state, event)
    _number(state, event)


def number_buffered(state: Execution, event: HistoryEvent) -> None:
    """An event leaves the buffer for the history: it had its effect when it entered, and gets its id now."""
    if event.event_type == _CHILD_STARTED:
        started = state.children.get(event.child_workflow_execution_started_event_attributes.initiated_event_id)
        if started is not None:
            started.started_event_id = event.event_id
    _number(state, event)
    state.buffered.clear()
    state.buffered_size = 0


def _number(state: Execution, event: HistoryEvent) -> None:
    state.next_event_id = event.event_id + 1
    state.history_size += event.ByteSize()


def _buffered(state: Execution, change: EventBuffered) -> None:
    EVOLVE[change.event.event_type](state, change.event)
    state.buffered.append(change.event)
    state.buffered_size += change.event.ByteSize()


def _buffered_timer_dropped(state: Execution, change: BufferedTimerDropped) -> None:
    for index, event in enumerate(state.buffered):
        if event.event_type == _TIMER_FIRED and event.timer_fired_event_attributes.timer_id == change.timer_id:
            state.buffered_size -= event.ByteSize()
            del state.buffered[index]
            return


def _metered(state: Any, change: Metered) -> None:
    """What was done costs the tenant, and changes nothing."""


AMEND[Metered] = _metered
AMEND[EventBuffered] = _buffered
AMEND[BufferedTimerDropped] = _buffered_timer_dropped


def amend(state: Any, change: AnyChange) -> None:
    """Fold one change."""
    AMEND[type(change)](state, change)


def replay(state: Any, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> None:
    """Fold one journal record."""
    position = 0
    for change in changes:
        if type(change) is EventsRecorded:
            end = position + change.count
            fold = number_buffered if change.folded else evolve
            for event in events[position:end]:
                fold(state, event)
            position = end
        else:
            amend(state, change)
    for event in events[position:]:
        evolve(state, event)
    state.state_transitions += 1
