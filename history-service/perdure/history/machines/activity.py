"""Activities: attempts, heartbeats, time-outs and outcomes.

Between attempts an activity leaves no events: its started event is written together with its outcome, and says then
which attempt it was and how the one before failed.
"""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType, RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo

from perdure.history.effects import OfferActivityTask
from perdure.history.machines import workflow_task
from perdure.history.machines.retry import Retry, next_attempt, timeout_name
from perdure.history.state.changes import ActivityHeartbeat, ActivityRetried, ActivityStarted
from perdure.history.state.execution import Activity, Execution
from perdure.history.transition import Transition
from perdure.kernel.errors import InvalidArgument, NotFound
from perdure.kernel.prototime import length_ns
from perdure.kernel.rpc import TaskObsolete
from perdure.kernel.tokens import ActivityToken

_START_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
_SCHEDULE_TO_START = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
_SCHEDULE_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
_HEARTBEAT = TimeoutType.TIMEOUT_TYPE_HEARTBEAT


def not_found() -> NotFound:
    """The answer to whoever reports on an activity that is not running any more."""
    return NotFound("invalid activityID or activity already timed out or invoking workflow is completed")


def of_token(state: Execution, token: ActivityToken) -> Activity:
    """The activity whose running attempt the token was given out for.

    Raises:
        NotFound: the attempt has ended or was replaced.
    """
    activity = state.activities.get(token.scheduled_event_id)
    if (
        not state.running
        or activity is None
        or not activity.started
        or activity.attempt != token.attempt
        or activity.stamp != token.stamp
        or activity.started_at != token.started_at_ns
    ):
        raise not_found()
    return activity


def of_id(state: Execution, activity_id: str) -> Activity:
    """The pending activity with this id.

    Raises:
        NotFound: none is.
    """
    scheduled_event_id = state.activity_ids.get(activity_id)
    if not state.running or scheduled_event_id is None:
        raise NotFound(
            f"cannot find pending activity with ActivityID {activity_id}, check workflow execution history for more "
            "details"
        )
    return state.activities[scheduled_event_id]


def start(tx: Transition, scheduled_event_id: int, stamp: int, identity: str) -> Activity:
    """A worker takes this attempt.

    Raises:
        TaskObsolete: the attempt is over, was taken, or is not due yet.
    """
    activity = tx.state.activities.get(scheduled_event_id)
    if not tx.state.running or activity is None or activity.started or activity.stamp != stamp:
        raise TaskObsolete
    if activity.attempt_scheduled_at > tx.now:
        raise TaskObsolete
    tx.change(ActivityStarted(scheduled_event_id, tx.now, identity, tx.entropy.uuid()))
    return activity


def heartbeat(tx: Transition, activity: Activity, details: Payloads | None, identity: str) -> None:
    """The worker lives, and this is how far it got."""
    tx.change(ActivityHeartbeat(activity.scheduled_event_id, tx.now, details, identity))


def complete(tx: Transition, activity: Activity, result: Payloads | None, identity: str) -> None:
    _close(tx, activity, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, result=result, identity=identity)


def fail(tx: Transition, activity: Activity, failure: Failure, identity: str) -> None:
    """An attempt failed: another is scheduled, or the workflow is told."""
    retry = _retry(tx, activity, failure)
    if retry.again:
        _schedule_retry(tx, activity, failure, retry.interval, completed_at=tx.now)
        return
    _close(
        tx,
        activity,
        EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        failure=failure,
        retry_state=retry.state,
        identity=identity,
    )


def cancel(tx: Transition, activity: Activity, details: Payloads | None, identity: str) -> None:
    """The worker gave up because it was asked to.

    Raises:
        InvalidArgument: it was not asked to.
    """
    if not activity.cancel_requested:
        raise InvalidArgument("unable to mark activity as canceled without activity being request canceled first")
    cancel_now(tx, activity, details, identity)
    workflow_task.schedule(tx)


def cancel_now(tx: Transition, activity: Activity, details: Payloads | None, identity: str) -> None:
    """End the activity as cancelled, whoever runs it; the caller sees to the workflow task."""
    started_event_id = _record_started(tx, activity)
    tx.arrive(
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
        details=details,
        latest_cancel_requested_event_id=activity.cancel_requested_event_id,
        scheduled_event_id=activity.scheduled_event_id,
        started_event_id=started_event_id,
        identity=identity,
    )


def _close(tx: Transition, activity: Activity, event_type: EventType.ValueType, **attributes: Any) -> None:
    started_event_id = _record_started(tx, activity)
    tx.arrive(
        event_type, scheduled_event_id=activity.scheduled_event_id, started_event_id=started_event_id, **attributes
    )
    workflow_task.schedule(tx)


def _record_started(tx: Transition, activity: Activity) -> int:
    """Write the started event that was put off; 0 if no worker ever had this attempt, or if it is buffered."""
    if not activity.started:
        return 0
    event = tx.arrive(
        EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        scheduled_event_id=activity.scheduled_event_id,
        identity=activity.started_identity,
        request_id=activity.request_id,
        attempt=activity.attempt,
        last_failure=activity.last_failure,
    )
    return event.event_id


def _retry(tx: Transition, activity: Activity, failure: Failure) -> Retry:
    scheduled = activity.scheduled
    if not scheduled.HasField("retry_policy"):
        return Retry(RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET)
    if activity.cancel_requested:
        return Retry(RetryState.RETRY_STATE_CANCEL_REQUESTED)
    if failure.timeout_failure_info.timeout_type in (_SCHEDULE_TO_START, _SCHEDULE_TO_CLOSE):
        return Retry(RetryState.RETRY_STATE_TIMEOUT)
    return next_attempt(scheduled.retry_policy, failure, activity.attempt, tx.now, expires_at(activity))


def _schedule_retry(
    tx: Transition, activity: Activity, failure: Failure, interval: int, *, completed_at: int = 0
) -> None:
    tx.change(ActivityRetried(activity.scheduled_event_id, completed_at, tx.now + interval, interval, failure))
    if interval == 0:
        tx.effect(OfferActivityTask(activity.scheduled_event_id))


def expires_at(activity: Activity) -> int:
    """When schedule-to-close ends all attempts; 0 for never."""
    timeout = length_ns(activity.scheduled.schedule_to_close_timeout)
    return activity.scheduled_at + timeout if timeout else 0


def _timeouts(activity: Activity) -> list[tuple[int, TimeoutType.ValueType]]:
    """The deadlines that apply to the activity as it is now."""
    scheduled = activity.scheduled
    deadlines = []
    if expiry := expires_at(activity):
        deadlines.append((expiry, _SCHEDULE_TO_CLOSE))
    if activity.started:
        if limit := length_ns(scheduled.start_to_close_timeout):
            deadlines.append((activity.started_at + limit, _START_TO_CLOSE))
        if limit := length_ns(scheduled.heartbeat_timeout):
            deadlines.append((max(activity.started_at, activity.heartbeat_at) + limit, _HEARTBEAT))
    elif limit := length_ns(scheduled.schedule_to_start_timeout):
        deadlines.append((activity.attempt_scheduled_at + limit, _SCHEDULE_TO_START))
    return deadlines


def deadline(activity: Activity, now: int) -> int:
    """When the activity wants attention next, 0 for never: a time-out, or its next attempt if that lies ahead."""
    instants = [at for at, _ in _timeouts(activity)]
    if not activity.started and activity.attempt > 1 and activity.attempt_scheduled_at > now:
        instants.append(activity.attempt_scheduled_at)
    return min(instants, default=0)


def expire(tx: Transition, activity: Activity) -> None:
    """The deadline has passed: time the attempt out, or offer the one that is due."""
    due = [(at, timeout_type) for at, timeout_type in _timeouts(activity) if at <= tx.now]
    if due:
        _time_out(tx, activity, min(due)[1])
    elif not activity.started and activity.attempt > 1:
        tx.effect(OfferActivityTask(activity.scheduled_event_id))


def _time_out(tx: Transition, activity: Activity, timeout_type: TimeoutType.ValueType) -> None:
    failure = _timeout_failure(f"activity {timeout_name(timeout_type)} timeout", timeout_type)
    retry = _retry(tx, activity, failure)
    if retry.again:
        _schedule_retry(tx, activity, failure, retry.interval)
        return
    if retry.state == RetryState.RETRY_STATE_TIMEOUT and timeout_type != _SCHEDULE_TO_START:
        # What ends the activity is that there is no time for another attempt.
        failure = _timeout_failure(
            "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying",
            _SCHEDULE_TO_CLOSE,
        )
    if activity.last_failure is not None:
        failure.cause.CopyFrom(activity.last_failure)
    if activity.heartbeat_details is not None:
        failure.timeout_failure_info.last_heartbeat_details.CopyFrom(activity.heartbeat_details)
    _close(tx, activity, EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT, failure=failure, retry_state=retry.state)


def _timeout_failure(message: str, timeout_type: TimeoutType.ValueType) -> Failure:
    return Failure(message=message, source="Server", timeout_failure_info=TimeoutFailureInfo(timeout_type=timeout_type))
