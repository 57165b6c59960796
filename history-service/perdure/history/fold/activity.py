"""Pending activities."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent

from perdure.history.fold.pause import show_pauses
from perdure.history.state.changes import (
    ActivityBegunAnew,
    ActivityHeartbeat,
    ActivityHeld,
    ActivityOptionsChanged,
    ActivityPaused,
    ActivityRescheduled,
    ActivityReset,
    ActivityResetRequested,
    ActivityRetried,
    ActivityRetryIntervalChanged,
    ActivityStarted,
    ActivityUnpaused,
)
from perdure.history.state.execution import Activity, Execution, Pause
from perdure.kernel.prototime import instant_ns, length_ns

#: What operators can change of an activity besides its task queue.
OPTIONS = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
    "priority",
    "retry_policy",
)


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
    activity.first_started_at = activity.first_started_at or change.at
    activity.last_started_at = change.at
    activity.sdk_name, activity.sdk_version = change.sdk_name, change.sdk_version


def _heartbeat(state: Execution, change: ActivityHeartbeat) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.heartbeat_at = change.at
    activity.heartbeat_details = change.details
    activity.heartbeat_count += 1
    if change.identity:
        activity.last_identity = change.identity


def _retried(state: Execution, change: ActivityRetried) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.attempt += 1
    activity.retry_interval = change.interval
    activity.last_attempt_completed_at = change.completed_at
    _schedule(activity, change.next_at)
    activity.last_failure = change.failure


def _held(state: Execution, change: ActivityHeld) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.attempt += 1
    activity.stamp += 1
    activity.retry_interval = change.interval
    activity.last_attempt_completed_at = change.completed_at
    activity.last_failure = change.failure
    _clear_start(activity)


def _paused(state: Execution, change: ActivityPaused) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.pause = Pause(change.at, change.identity, change.reason, change.request_id)
    # An attempt that runs may run to its end.
    if not activity.started:
        activity.stamp += 1
    if not activity.standalone:
        show_pauses(state)


def _unpaused(state: Execution, change: ActivityUnpaused) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.pause = None
    if change.reset_attempts:
        activity.attempt = 1
    if change.reset_heartbeat:
        _forget_heartbeat(activity)
    if not activity.standalone:
        show_pauses(state)


def _reset(state: Execution, change: ActivityReset) -> None:
    activity = state.activities[change.scheduled_event_id]
    activity.attempt = 1
    activity.reset = True
    if change.reset_heartbeat:
        activity.forgets_heartbeat = True


def _rescheduled(state: Execution, change: ActivityRescheduled) -> None:
    activity = state.activities[change.scheduled_event_id]
    if not activity.standalone:
        activity.retry_interval = max(change.at - activity.last_attempt_completed_at, 0)
        activity.last_failure = None
    _schedule(activity, change.at)


def _reset_requested(state: Any, change: ActivityResetRequested) -> None:
    activity: Activity = state.activities[change.scheduled_event_id]
    activity.reset = True
    activity.restores_options = change.restore_options
    activity.forgets_heartbeat = change.reset_heartbeat
    if not change.keep_paused:
        activity.pause = None


def _begun_anew(state: Any, change: ActivityBegunAnew) -> None:
    activity: Activity = state.activities[change.scheduled_event_id]
    if change.restore_options:
        _restore_options(activity)
    if change.reset_heartbeat:
        _forget_heartbeat(activity)
    if not change.keep_paused:
        activity.pause = None
    if change.completed_at:
        activity.last_attempt_completed_at = change.completed_at
        activity.last_failure = change.failure
    activity.attempt = 1
    activity.retry_interval = 0
    activity.restores_options = False
    _schedule(activity, change.at)


def _retry_interval_changed(state: Any, change: ActivityRetryIntervalChanged) -> None:
    state.activities[change.scheduled_event_id].retry_interval = change.interval


def _options_changed(state: Execution, change: ActivityOptionsChanged) -> None:
    activity = state.activities[change.scheduled_event_id]
    if change.options is None:
        _restore_options(activity)
        return
    if activity.original is None:
        activity.original = activity.scheduled
        activity.original_delay = activity.delay
    # The event keeps what it says: the changed options are a copy.
    changed = ActivityTaskScheduledEventAttributes()
    changed.CopyFrom(activity.scheduled)
    options = change.options
    changed.task_queue.name = options.task_queue.name
    for name in OPTIONS:
        if options.HasField(name):  # type: ignore[arg-type]
            getattr(changed, name).CopyFrom(getattr(options, name))
        else:
            changed.ClearField(name)  # type: ignore[arg-type]
    if activity.standalone:
        activity.delay = length_ns(options.start_delay)
    else:
        # Which failures are final is no option that can be changed.
        del changed.retry_policy.non_retryable_error_types[:]
        changed.retry_policy.non_retryable_error_types.extend(activity.original.retry_policy.non_retryable_error_types)
    activity.scheduled = changed


def _restore_options(activity: Activity) -> None:
    if activity.original is None:
        return
    activity.scheduled = activity.original
    # After the first attempt it delays nothing any more, but would move the end of all attempts.
    if not activity.first_started_at:
        activity.delay = activity.original_delay


def _schedule(activity: Activity, at: int) -> None:
    """The attempt waits for its worker, from `at` on."""
    activity.stamp += 1
    activity.attempt_scheduled_at = at
    if activity.forgets_heartbeat:
        _forget_heartbeat(activity)
    activity.reset = activity.forgets_heartbeat = False
    _clear_start(activity)


def _clear_start(activity: Activity) -> None:
    activity.started_at = 0
    activity.started_identity = ""
    activity.request_id = ""


def _forget_heartbeat(activity: Activity) -> None:
    activity.heartbeat_at = 0
    activity.heartbeat_details = None


AMEND = {
    ActivityStarted: _attempt_started,
    ActivityHeartbeat: _heartbeat,
    ActivityRetried: _retried,
    ActivityHeld: _held,
    ActivityPaused: _paused,
    ActivityUnpaused: _unpaused,
    ActivityReset: _reset,
    ActivityResetRequested: _reset_requested,
    ActivityBegunAnew: _begun_anew,
    ActivityRetryIntervalChanged: _retry_interval_changed,
    ActivityRescheduled: _rescheduled,
    ActivityOptionsChanged: _options_changed,
}
