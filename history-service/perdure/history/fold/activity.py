"""Pending activities."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.state.changes import ActivityHeartbeat, ActivityRetried, ActivityStarted
from perdure.history.state.execution import Activity, Execution
from perdure.kernel.prototime import instant_ns


def _scheduled(state: Execution, event: HistoryEvent) -> None:
    attributes = event.activity_task_scheduled_event_attributes
    at = instant_ns(event.event_time)
    state.activities[event.event_id] = Activity(
        scheduled_event_id=event.event_id, scheduled=attributes, scheduled_at=at, attempt_scheduled_at=at
    )
    state.activity_ids[attributes.activity_id] = event.event_id


def _started(state: Execution, event: HistoryEvent) -> None:
    """Written only just before the outcome; the change `ActivityStarted` has done the work."""


def _cancel_requested(state: Execution, event: HistoryEvent) -> None:
    activity = state.activities.get(event.activity_task_cancel_requested_event_attributes.scheduled_event_id)
    # The outcome may be in the buffer already, in which case there is nothing left to cancel.
    if activity is not None:
        activity.cancel_requested_event_id = event.event_id


def _completed(state: Execution, event: HistoryEvent) -> None:
    _remove(state, event.activity_task_completed_event_attributes.scheduled_event_id)


def _failed(state: Execution, event: HistoryEvent) -> None:
    _remove(state, event.activity_task_failed_event_attributes.scheduled_event_id)


def _timed_out(state: Execution, event: HistoryEvent) -> None:
    _remove(state, event.activity_task_timed_out_event_attributes.scheduled_event_id)


def _canceled(state: Execution, event: HistoryEvent) -> None:
    _remove(state, event.activity_task_canceled_event_attributes.scheduled_event_id)


def _remove(state: Execution, scheduled_event_id: int) -> None:
    activity = state.activities.pop(scheduled_event_id)
    del state.activity_ids[activity.scheduled.activity_id]


EVOLVE = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: _scheduled,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: _started,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED: _cancel_requested,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: _completed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: _failed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: _timed_out,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: _canceled,
}


def _attempt_started(state: Execution, change: ActivityStarted) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.started_at = change.at
    activity.started_identity = activity.last_identity = change.identity
    activity.request_id = change.request_id


def _heartbeat(state: Execution, change: ActivityHeartbeat) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.heartbeat_at = change.at
    activity.heartbeat_details = change.details
    if change.identity:
        activity.last_identity = change.identity


def _retried(state: Execution, change: ActivityRetried) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.attempt += 1
    activity.stamp += 1
    activity.attempt_scheduled_at = change.next_at
    activity.retry_interval = change.interval
    activity.last_failure = change.failure
    activity.last_attempt_completed_at = change.completed_at
    activity.started_at = 0
    activity.started_identity = ""
    activity.request_id = ""


AMEND = {ActivityStarted: _attempt_started, ActivityHeartbeat: _heartbeat, ActivityRetried: _retried}
