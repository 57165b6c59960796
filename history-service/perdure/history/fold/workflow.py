"""The run itself: its start, what it was told, and its end."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, ParentClosePolicy, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.fold import time_skipping, versioning
from perdure.history.state.changes import (
    CancelRequestSeen,
    OrphanHandled,
    ParentNotified,
    RequestSeen,
    ScheduleNotified,
    SignalRequestSeen,
    StartedBySchedule,
)
from perdure.history.state.execution import Execution, RequestOrigin
from perdure.history.state.nexus import CallbackState, CompletionCallback
from perdure.kernel.mail import ScheduledBy
from perdure.kernel.prototime import instant_ns, length_ns


def _started(state: Execution, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_started_event_attributes
    state.started = attributes
    state.started_at = instant_ns(event.event_time)
    state.first_task_at = state.started_at + length_ns(attributes.first_workflow_task_backoff)
    state.execution_at = state.first_task_at
    run_timeout = length_ns(attributes.workflow_run_timeout)
    # A run that waits for its cron slot or retry has its whole time-out left when its first task is due.
    state.run_expires_at = state.first_task_at + run_timeout if run_timeout else 0
    state.execution_expires_at = instant_ns(attributes.workflow_execution_expiration_time)
    if state.execution_expires_at and (not state.run_expires_at or state.run_expires_at > state.execution_expires_at):
        state.run_expires_at = state.execution_expires_at
    state.memo.CopyFrom(attributes.memo)
    state.search_attributes.CopyFrom(attributes.search_attributes)
    state.reset_points.CopyFrom(attributes.prev_auto_reset_points)
    if event.HasField("user_metadata"):
        state.user_metadata = event.user_metadata
    for callback in attributes.completion_callbacks:
        state.callbacks.append(CompletionCallback(callback, state.started_at))
    versioning.started(state, attributes, event.event_id)
    time_skipping.started(state, attributes, state.started_at)


def _options_updated(state: Execution, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_options_updated_event_attributes
    if attributes.attached_request_id:
        state.requests[attributes.attached_request_id] = RequestOrigin(event.event_type, event.event_id)
    for callback in attributes.attached_completion_callbacks:
        state.callbacks.append(
            CompletionCallback(callback, instant_ns(event.event_time), attributes.attached_request_id)
        )
    if attributes.HasField("priority"):
        state.changed_priority = attributes.priority
    versioning.options_updated(state, attributes, event.event_id)
    time_skipping.options_updated(state, attributes, instant_ns(event.event_time))


def _signaled(state: Execution, event: HistoryEvent) -> None:
    state.signal_count += 1


def _cancel_requested(state: Execution, event: HistoryEvent) -> None:
    state.cancel_requested = True


def _upserted(state: Execution, event: HistoryEvent) -> None:
    merge_payloads(
        state.search_attributes.indexed_fields,
        event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields,
    )


def _properties_modified(state: Execution, event: HistoryEvent) -> None:
    merge_payloads(state.memo.fields, event.workflow_properties_modified_event_attributes.upserted_memo.fields)


def merge_payloads(target: MutableMapping[str, Payload], changes: Mapping[str, Payload]) -> None:
    """Change and add fields. A payload that stands for "no value" removes its field."""
    for name, payload in changes.items():
        if payload.data in _NO_VALUE:
            if name in target:
                del target[name]
        else:
            target[name].CopyFrom(payload)


#: Null as SDKs encode it, null in JSON, and the empty list.
_NO_VALUE = (b"", b"null", b"[]")


def _nothing(state: Execution, event: HistoryEvent) -> None:
    """An event that only tells."""


_STATUS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
    ),
}


def _closed(state: Execution, event: HistoryEvent) -> None:
    state.status = _STATUS[event.event_type]
    state.closed_at = instant_ns(event.event_time)
    state.close_event = event
    state.successor_run_id = _successor(event)
    if state.workflow_task is not None and state.workflow_task.started_event_id:
        state.workflow_task = None
    state.sticky_queue = ""
    # A retry, cron or continue-as-new run goes on in the eyes of its parent or schedule: only the last one reports.
    # So does the run that a reset put in this one's place, and if it was made from this one, it has its children too.
    goes_on = bool(state.successor_run_id) or state.superseded
    state.owes_parent = bool(state.started.parent_workflow_namespace_id) and not goes_on
    state.owes_schedule = state.scheduled_by is not None and not goes_on
    state.orphans = [
        key
        for key, child in state.children.items()
        if child.started
        and child.initiated.parent_close_policy != ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
        and not state.reset_run_id
    ]
    if not goes_on:
        for callback in state.callbacks:
            callback.state = CallbackState.SCHEDULED
    # What was pending stays as it was, for whoever looks; what nobody can see is forgotten, to keep closed runs small.
    state.timers.clear()
    state.signals_out.clear()
    state.cancels_out.clear()
    state.updates = {key: update for key, update in state.updates.items() if update.accepted_event_id}


def _successor(event: HistoryEvent) -> str:
    name = event.WhichOneof("attributes")
    return str(getattr(getattr(event, name), "new_execution_run_id", "")) if name else ""


EVOLVE = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: _started,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED: _options_updated,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _signaled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: _cancel_requested,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: _upserted,
    EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED: _properties_modified,
    EventType.EVENT_TYPE_MARKER_RECORDED: _nothing,
    **dict.fromkeys(_STATUS, _closed),
}


def _signal_request_seen(state: Execution, change: SignalRequestSeen) -> None:
    state.signal_request_ids[change.request_id] = None


def _request_seen(state: Execution, change: RequestSeen) -> None:
    state.requests[change.request_id] = RequestOrigin(change.event_type, change.event_id)


def _cancel_request_seen(state: Execution, change: CancelRequestSeen) -> None:
    state.cancel_request_id = change.request_id


def _parent_notified(state: Execution, change: ParentNotified) -> None:
    state.owes_parent = False


def _orphan_handled(state: Execution, change: OrphanHandled) -> None:
    state.orphans = [orphan for orphan in state.orphans if orphan != change.initiated_event_id]


def _started_by_schedule(state: Execution, change: StartedBySchedule) -> None:
    state.scheduled_by = ScheduledBy(change.schedule_id, change.run_id, change.action_id)


def _schedule_notified(state: Execution, change: ScheduleNotified) -> None:
    state.owes_schedule = False


AMEND = {
    StartedBySchedule: _started_by_schedule,
    ScheduleNotified: _schedule_notified,
    SignalRequestSeen: _signal_request_seen,
    RequestSeen: _request_seen,
    CancelRequestSeen: _cancel_request_seen,
    ParentNotified: _parent_notified,
    OrphanHandled: _orphan_handled,
}
