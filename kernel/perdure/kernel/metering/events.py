"""PURE: the actions that events show, and what a history by itself tells of what a workflow cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes

from perdure.kernel.metering import actions

#: How many times each action was done.
Counts = dict[str, int]

#: Of the retries of local activities that one workflow task reports, no more are counted.
LOCAL_RETRIES_MAX = 100
#: Kept by SDKs for themselves.
_FREE_ATTRIBUTE = "TemporalChangeVersion"
_SCHEDULED_BY = "TemporalScheduledById"

_ACTIVITY_STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
_BY_WORKFLOW = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
_RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW

#: What counts more than once. A firing of a schedule costs so much beside the start that it leads to.
_TIMES: Mapping[str, int] = {actions.SCHEDULE_FIRING: 2}
#: What a caller did in one call, in place of what it led to.
_IN_PLACE_OF: Mapping[str, Sequence[str]] = {
    actions.SIGNAL_WITH_START: (actions.START, actions.SIGNAL),
    actions.START_MULTI_OPERATION: (actions.START,),
}


def add(counts: Counts, action: str, count: int = 1) -> None:
    counts[action] = counts.get(action, 0) + count


def add_in_place(counts: Counts, action: str) -> None:
    """Count what was done, and not what it led to."""
    for led_to in _IN_PLACE_OF.get(action, ()):
        if (left := counts.pop(led_to, 0) - 1) > 0:
            counts[led_to] = left
    add(counts, action, _TIMES.get(action, 1))


# The rules. Each has the workflow tasks whose markers were counted.


def _started(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    if not _is_continued(event.workflow_execution_started_event_attributes):
        add(counts, actions.START)


def _is_continued(started: WorkflowExecutionStartedEventAttributes) -> bool:
    """Whether the run before paid for it, as a continue-as-new. Runs after a retry and by cron pay themselves."""
    return bool(started.continued_execution_run_id) and started.initiator == _BY_WORKFLOW


def _signaled(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    # The sender pays for signals among workflows.
    if not event.workflow_execution_signaled_event_attributes.HasField("external_workflow_execution"):
        add(counts, actions.SIGNAL)


def _upserted(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
    if len(fields) != 1 or _FREE_ATTRIBUTE not in fields:
        add(counts, actions.UPSERT)


def _options_updated(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    updated = event.workflow_execution_options_updated_event_attributes
    by_start = updated.attached_request_id or updated.attached_completion_callbacks
    add(counts, actions.UPDATE_OPTIONS_BY_START if by_start else actions.UPDATE_OPTIONS)


def _task_completed(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    completed = event.workflow_task_completed_event_attributes
    if completed.HasField("metering_metadata"):
        retries = completed.metering_metadata.nonfirst_local_activity_execution_attempts
        if retries:
            add(counts, actions.RETRY_LOCAL_ACTIVITY, min(retries, LOCAL_RETRIES_MAX))


def _task_failed(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    if event.workflow_task_failed_event_attributes.cause == _RESET:
        # What comes before was counted on the run that was reset.
        counts.clear()
        counts[actions.RESET] = 1


def _marked(counts: Counts, event: HistoryEvent, marked: set[int]) -> None:
    task = event.marker_recorded_event_attributes.workflow_task_completed_event_id
    if task not in marked:
        marked.add(task)
        add(counts, actions.RECORD_MARKERS)


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


def of_events(events: Iterable[HistoryEvent]) -> Counts:
    """What these events of one run cost, by themselves."""
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


def estimate(history: Sequence[HistoryEvent]) -> Counts:
    """The actions that a history shows.

    It does not show queries, heartbeats, rejected updates, attempts of which no end was recorded, nor whether the start
    came with an update.
    """
    counts = of_events(history)
    for event in history:
        if event.event_type == _ACTIVITY_STARTED:
            attempt = event.activity_task_started_event_attributes.attempt
            if attempt > 1:
                add(counts, actions.RETRY_ACTIVITY, attempt - 1)
    if counts.get(actions.START):
        started = history[0].workflow_execution_started_event_attributes
        if _SCHEDULED_BY in started.search_attributes.indexed_fields and not started.continued_execution_run_id:
            add_in_place(counts, actions.SCHEDULE_FIRING)
        if len(history) > 1 and _begins_with_signal(history[0], history[1]):
            add_in_place(counts, actions.SIGNAL_WITH_START)
    return counts


def _begins_with_signal(started: HistoryEvent, event: HistoryEvent) -> bool:
    return (
        event.event_type == _SIGNALED
        and event.event_time == started.event_time
        and not event.workflow_execution_signaled_event_attributes.HasField("external_workflow_execution")
    )
