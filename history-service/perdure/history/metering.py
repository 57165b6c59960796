"""PURE: what a transition costs.

Most actions leave an event, the others a change; where the two do not tell what the caller did, the handler says so
with a `Metered` change. So the same rule, folded over the journals, yields what was counted when they were written. Two
leave no trace: queries, which are counted where they are answered (`handlers/query.py`, `handlers/workflow_task.py`),
and the removal of a schedule, which takes its journal along.

What events cost by themselves says `perdure.kernel.metering.events`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.query.v1 import WorkflowQuery

from perdure.history.state.changes import (
    ActivityExecutionCommanded,
    ActivityExecutionScheduled,
    ActivityHeartbeat,
    ActivityStarted,
    AnyChange,
    EventBuffered,
    EventsInherited,
    EventsRecorded,
    HeartbeatContinued,
    Metered,
    OperationCancelRequested,
    OperationScheduled,
    UpdateRemoved,
)
from perdure.history.state.schedule_changes import ScheduleCreated, ScheduleUpdated
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.metering import actions
from perdure.kernel.metering.events import Counts, add, add_in_place, of_events

#: Consoles ask it of every workflow that they show.
_FREE_QUERY = "__temporal_workflow_metadata"


def is_free(query: WorkflowQuery) -> bool:
    """Whether the query costs nothing."""
    return query.query_type == _FREE_QUERY


# What changes cost.


def _attempt(counts: Counts, change: ActivityStarted, kind: ExecutionKind) -> None:
    if change.attempt > 1:
        standalone = kind is ExecutionKind.ACTIVITY
        add(counts, actions.RETRY_STANDALONE_ACTIVITY if standalone else actions.RETRY_ACTIVITY)


_HEARTBEATS: Mapping[tuple[bool, bool], str] = {
    (False, False): actions.ACTIVITY_HEARTBEAT,
    (False, True): actions.ACTIVITY_HEARTBEAT_BY_ID,
    (True, False): actions.STANDALONE_ACTIVITY_HEARTBEAT,
    (True, True): actions.STANDALONE_ACTIVITY_HEARTBEAT_BY_ID,
}


def _heartbeat(counts: Counts, change: ActivityHeartbeat, kind: ExecutionKind) -> None:
    if not change.at_end:
        add(counts, _HEARTBEATS[kind is ExecutionKind.ACTIVITY, change.by_id])


_COMMANDS: Mapping[str, str] = {
    "pause": actions.PAUSE_STANDALONE_ACTIVITY,
    "reset": actions.RESET_STANDALONE_ACTIVITY,
    "options": actions.UPDATE_STANDALONE_ACTIVITY_OPTIONS,
}


def _commanded(counts: Counts, change: ActivityExecutionCommanded, kind: ExecutionKind) -> None:
    if (action := _COMMANDS.get(change.command)) is not None:
        add(counts, action)


def _update_removed(counts: Counts, change: UpdateRemoved, kind: ExecutionKind) -> None:
    add(counts, actions.REJECT_UPDATE)


def _metered(counts: Counts, change: Metered, kind: ExecutionKind) -> None:
    add_in_place(counts, change.action)


def _always(action: str) -> Callable[[Counts, Any, ExecutionKind], None]:
    return lambda counts, change, kind: add(counts, action)


_CHANGES: Mapping[type, Callable[[Counts, Any, ExecutionKind], None]] = {
    ActivityStarted: _attempt,
    ActivityHeartbeat: _heartbeat,
    ActivityExecutionScheduled: _always(actions.START_STANDALONE_ACTIVITY),
    ActivityExecutionCommanded: _commanded,
    HeartbeatContinued: _always(actions.WORKFLOW_HEARTBEAT),
    OperationScheduled: _always(actions.SCHEDULE_NEXUS),
    OperationCancelRequested: _always(actions.CANCEL_NEXUS),
    Metered: _metered,
    ScheduleCreated: _always(actions.CREATE_SCHEDULE),
    ScheduleUpdated: _always(actions.UPDATE_SCHEDULE),
    UpdateRemoved: _update_removed,
}


def billable(kind: ExecutionKind, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> Counts:
    """The actions in one journal record of an execution of this kind."""
    kinds = [type(change) for change in changes]
    if EventsInherited in kinds:
        return {}
    in_order = EventBuffered not in kinds and EventsRecorded not in kinds
    counts = of_events(events if in_order else _counted_now(events, changes))
    for number, each in enumerate(kinds):
        rule = _CHANGES.get(each)
        if rule is not None:
            rule(counts, changes[number], kind)
    return counts


def _counted_now(events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> Iterator[HistoryEvent]:
    """An event that was held back counts when it arrives, not when it gets its place."""
    position = 0
    for change in changes:
        if type(change) is EventBuffered:
            yield change.event
        elif type(change) is EventsRecorded:
            if not change.folded:
                yield from events[position : position + change.count]
            position += change.count
    yield from events[position:]
