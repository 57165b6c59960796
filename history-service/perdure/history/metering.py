"""PURE: what a transition costs.

Most actions leave an event, the others a change; where the two do not tell what the caller did, the handler says so
with a `Metered` change. So the same rule, folded over the journals, yields what was counted when they were written. Two
leave no trace: queries, which are counted where they are answered (`handlers/query.py`, `handlers/workflow_task.py`),
and the removal of a schedule, which takes its journal along.

`billable` is that rule. `estimate` is what can be told from a history alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.api.query.v1 import WorkflowQuery

from perdure.history.state.changes import (
    ActivityExecutionCommanded,
    ActivityExecutionScheduled,
    ActivityHeartbeat,
    ActivityStarted,
    AnyChange,
    EventBuffered,
    EventsRecorded,
    HeartbeatContinued,
    Metered,
    StartedBySchedule,
    UpdateRemoved,
)
from perdure.history.state.schedule_changes import ScheduleCreated, ScheduleUpdated
from perdure.kernel import metering as actions
from perdure.kernel.ids import ExecutionKind

#: How many times each action was done.
Counts = dict[str, int]

#: Of the retries of local activities that one workflow task reports, no more are counted.
LOCAL_RETRIES_MAX = 100
#: A firing of a schedule, beside the start that it leads to.
_FIRING = 2
#: Kept by SDKs for themselves.
_FREE_ATTRIBUTE = "TemporalChangeVersion"
_FREE_QUERY = "__temporal_workflow_metadata"
_SCHEDULED_BY = "TemporalScheduledById"

_ACTIVITY_STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
_BY_WORKFLOW = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
_RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


def _add(counts: Counts, action: str, count: int = 1) -> None:
    counts[action] = counts.get(action, 0) + count


def is_free(query: WorkflowQuery) -> bool:
    """Consoles ask it of every workflow that they show."""
    return query.query_type == _FREE_QUERY


# Events. A rule has the workflow tasks whose markers were counted.


def _started(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    if not _is_continued(event.workflow_execution_started_event_attributes):
        _add(counts, actions.START)


def _is_continued(started: WorkflowExecutionStartedEventAttributes) -> bool:
    """Whether the run before paid for it, as a continue-as-new. Runs after a retry and by cron pay themselves."""
    return bool(started.continued_execution_run_id) and started.initiator == _BY_WORKFLOW


def _signaled(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    # The sender pays for signals among workflows.
    if not event.workflow_execution_signaled_event_attributes.HasField("external_workflow_execution"):
        _add(counts, actions.SIGNAL)


def _upserted(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
    if len(fields) != 1 or _FREE_ATTRIBUTE not in fields:
        _add(counts, actions.UPSERT)


def _options_updated(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    updated = event.workflow_execution_options_updated_event_attributes
    by_start = updated.attached_request_id or updated.attached_completion_callbacks
    _add(counts, actions.UPDATE_OPTIONS_BY_START if by_start else actions.UPDATE_OPTIONS)


def _task_completed(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    completed = event.workflow_task_completed_event_attributes
    if completed.HasField("metering_metadata"):
        retries = completed.metering_metadata.nonfirst_local_activity_execution_attempts
        if retries:
            _add(counts, actions.RETRY_LOCAL_ACTIVITY, min(retries, LOCAL_RETRIES_MAX))


def _task_failed(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    if event.workflow_task_failed_event_attributes.cause == _RESET:
        # What comes before was counted on the run that was reset.
        counts.clear()
        counts[actions.RESET] = 1


def _marked(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    task = event.marker_recorded_event_attributes.workflow_task_completed_event_id
    if task not in marked:
        marked.add(task)
        _add(counts, actions.RECORD_MARKERS)


#: What every event of a type costs, or what it depends on.
_EVENTS: Mapping[int, str | Callable[[Counts, HistoryEvent, set[int]], None]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: _started,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: actions.CONTINUE_AS_NEW,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _signaled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED: _options_updated,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: actions.ACCEPT_UPDATE,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: _task_completed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: _task_failed,
    EventType.EVENT_TYPE_MARKER_RECORDED: _marked,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: _upserted,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: actions.SCHEDULE_ACTIVITY,
    EventType.EVENT_TYPE_TIMER_STARTED: actions.START_TIMER,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: actions.START_CHILD,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: actions.SIGNAL_EXTERNAL,
    EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED: actions.SCHEDULE_NEXUS,
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED: actions.CANCEL_NEXUS,
}


def _of_events(events: Iterable[HistoryEvent]) -> Counts:
    counts: Counts = {}
    marked: set[int] = set()
    for event in events:
        rule = _EVENTS.get(event.event_type)
        if rule is None:
            continue
        if isinstance(rule, str):
            counts[rule] = counts.get(rule, 0) + 1
        else:
            rule(counts, event, marked)
    return counts


# Changes.


def _attempt(counts: Counts, change: ActivityStarted, kind: ExecutionKind) -> None:
    if change.attempt > 1:
        standalone = kind is ExecutionKind.ACTIVITY
        _add(counts, actions.RETRY_STANDALONE_ACTIVITY if standalone else actions.RETRY_ACTIVITY)


_HEARTBEATS: Mapping[tuple[bool, bool], str] = {
    (False, False): actions.ACTIVITY_HEARTBEAT,
    (False, True): actions.ACTIVITY_HEARTBEAT_BY_ID,
    (True, False): actions.STANDALONE_ACTIVITY_HEARTBEAT,
    (True, True): actions.STANDALONE_ACTIVITY_HEARTBEAT_BY_ID,
}


def _heartbeat(counts: Counts, change: ActivityHeartbeat, kind: ExecutionKind) -> None:
    if not change.at_end:
        _add(counts, _HEARTBEATS[kind is ExecutionKind.ACTIVITY, change.by_id])


_COMMANDS: Mapping[str, str] = {
    "pause": actions.PAUSE_STANDALONE_ACTIVITY,
    "reset": actions.RESET_STANDALONE_ACTIVITY,
    "options": actions.UPDATE_STANDALONE_ACTIVITY_OPTIONS,
}


def _commanded(counts: Counts, change: ActivityExecutionCommanded, kind: ExecutionKind) -> None:
    if (action := _COMMANDS.get(change.command)) is not None:
        _add(counts, action)


def _update_removed(counts: Counts, change: UpdateRemoved, kind: ExecutionKind) -> None:
    _add(counts, actions.REJECT_UPDATE)


def _by_schedule(counts: Counts, change: StartedBySchedule, kind: ExecutionKind) -> None:
    # The runs that follow in the chain inherit it, and are no firings.
    if counts.get(actions.START):
        _add(counts, actions.SCHEDULE_FIRING, _FIRING)


#: What a caller did in one call, in place of what it led to.
_IN_PLACE_OF: Mapping[str, Sequence[str]] = {
    actions.SIGNAL_WITH_START: (actions.START, actions.SIGNAL),
    actions.START_MULTI_OPERATION: (actions.START,),
}


def _metered(counts: Counts, change: Metered, kind: ExecutionKind) -> None:
    for action in _IN_PLACE_OF.get(change.action, ()):
        if (left := counts.pop(action, 0) - 1) > 0:
            counts[action] = left
    _add(counts, change.action)


def _always(action: str) -> Callable[[Counts, Any, ExecutionKind], None]:
    return lambda counts, change, kind: _add(counts, action)


_CHANGES: Mapping[type, Callable[[Counts, Any, ExecutionKind], None]] = {
    ActivityStarted: _attempt,
    ActivityHeartbeat: _heartbeat,
    ActivityExecutionScheduled: _always(actions.START_STANDALONE_ACTIVITY),
    ActivityExecutionCommanded: _commanded,
    HeartbeatContinued: _always(actions.WORKFLOW_HEARTBEAT),
    Metered: _metered,
    ScheduleCreated: _always(actions.CREATE_SCHEDULE),
    ScheduleUpdated: _always(actions.UPDATE_SCHEDULE),
    StartedBySchedule: _by_schedule,
    UpdateRemoved: _update_removed,
}


def billable(kind: ExecutionKind, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> Counts:
    """The actions in one journal record of an execution of this kind."""
    kinds = [type(change) for change in changes]
    in_order = EventBuffered not in kinds and EventsRecorded not in kinds
    counts = _of_events(events if in_order else _counted_now(events, changes))
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


def estimate(history: Sequence[HistoryEvent]) -> Counts:
    """The actions that a history shows.

    It does not show queries, heartbeats, rejected updates, attempts of which no end was recorded, nor whether the start
    came with an update.
    """
    counts = _of_events(history)
    for event in history:
        if event.event_type == _ACTIVITY_STARTED:
            attempt = event.activity_task_started_event_attributes.attempt
            if attempt > 1:
                _add(counts, actions.RETRY_ACTIVITY, attempt - 1)
    if counts.get(actions.START):
        started = history[0].workflow_execution_started_event_attributes
        if _SCHEDULED_BY in started.search_attributes.indexed_fields and not started.continued_execution_run_id:
            _add(counts, actions.SCHEDULE_FIRING, _FIRING)
        if len(history) > 1 and _begins_with_signal(history[0], history[1]):
            _metered(counts, Metered(actions.SIGNAL_WITH_START), ExecutionKind.WORKFLOW)
    return counts


def _begins_with_signal(started: HistoryEvent, event: HistoryEvent) -> bool:
    return (
        event.event_type == _SIGNALED
        and event.event_time == started.event_time
        and not event.workflow_execution_signaled_event_attributes.HasField("external_workflow_execution")
    )
