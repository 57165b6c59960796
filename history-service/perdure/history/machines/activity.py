"""Activities: attempts, heartbeats and time-outs, of workflows and of standalone ones.

A decision here ends with the activity going on, perhaps in another attempt, or with an outcome. Who has the activity
records that: `activity_events` in a workflow's history, `standalone_activity` in the activity's own state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo

from perdure.history.effects import OfferActivityTask
from perdure.history.machines.retry import Retry, is_retryable, next_attempt, timeout_name
from perdure.history.state.changes import (
    ActivityBegunAnew,
    ActivityHeartbeat,
    ActivityHeld,
    ActivityRescheduled,
    ActivityRetried,
    ActivityStarted,
)
from perdure.history.state.execution import Activity
from perdure.history.transition import BaseTransition
from perdure.kernel.activity_options import TIMEOUTS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.prototime import duration, length_ns
from perdure.kernel.rpc import TaskObsolete
from perdure.kernel.tokens import ActivityToken

_START_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
_SCHEDULE_TO_START = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
_SCHEDULE_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
_HEARTBEAT = TimeoutType.TIMEOUT_TYPE_HEARTBEAT

#: A decision on whatever has the activity, in `state.activities`.
Owner = BaseTransition[Any]


class Completed(NamedTuple):
    result: Payloads | None
    identity: str


class Failed(NamedTuple):
    failure: Failure
    retry_state: RetryState.ValueType
    identity: str


class TimedOut(NamedTuple):
    """`attempt` is how the last attempt itself ended, None if the time ran out between attempts."""

    failure: Failure
    retry_state: RetryState.ValueType
    attempt: Failure | None


class Canceled(NamedTuple):
    details: Payloads | None
    identity: str


Outcome = Completed | Failed | TimedOut | Canceled


def runs(activity: Activity, token: ActivityToken) -> bool:
    """Whether the attempt that the token was given out for is running."""
    return activity.started and activity.attempt == token.attempt and activity.started_at == token.started_at_ns


def start(
    tx: Owner,
    scheduled_event_id: int,
    stamp: int,
    identity: str,
    sdk_name: str = "",
    sdk_version: str = "",
    request_id: str = "",
) -> Activity:
    """A worker takes this attempt; or has taken it by this very request, whose answer did not arrive.

    Raises:
        TaskObsolete: the attempt is over, was taken, is not due yet, or the workflow is paused.
    """
    activity: Activity | None = tx.state.activities.get(scheduled_event_id)
    if not tx.state.running or activity is None or activity.stamp != stamp:
        raise TaskObsolete
    if activity.started and request_id and activity.request_id == request_id:
        return activity
    if not activity.waiting:
        raise TaskObsolete
    if activity.attempt_scheduled_at > tx.now or tx.state.holds_tasks:
        raise TaskObsolete
    begin(tx, activity, identity, sdk_name, sdk_version, request_id)
    return activity


def begin(
    tx: Owner, activity: Activity, identity: str, sdk_name: str = "", sdk_version: str = "", request_id: str = ""
) -> None:
    """The attempt runs from now on."""
    request_id = request_id or tx.entropy.uuid()
    key, attempt = activity.scheduled_event_id, activity.attempt
    tx.change(ActivityStarted(key, tx.now, identity, request_id, sdk_name, sdk_version, attempt))


def heartbeat(
    tx: Owner,
    activity: Activity,
    details: Payloads | None,
    identity: str,
    *,
    by_id: bool = False,
    at_end: bool = False,
) -> None:
    """The worker lives, and this is how far it got; or `at_end`, how far it had got."""
    tx.change(ActivityHeartbeat(activity.scheduled_event_id, tx.now, details, identity, by_id, at_end))


def fail(tx: Owner, activity: Activity, failure: Failure, identity: str) -> Failed | None:
    """An attempt failed: None if another follows."""
    retry = _retry(tx, activity, failure)
    if retry.again:
        _schedule_retry(tx, activity, failure, retry.interval, completed_at=tx.now)
        return None
    return Failed(failure, retry.state, identity)


def cancel(activity: Activity, details: Payloads | None, identity: str) -> Canceled:
    """The worker gave up because it was asked to.

    Raises:
        InvalidArgument: it was not asked to.
    """
    if not activity.cancel_requested:
        raise InvalidArgument("unable to mark activity as canceled without activity being request canceled first")
    return Canceled(details, identity)


def _retry(tx: Owner, activity: Activity, failure: Failure) -> Retry:
    scheduled = activity.scheduled
    if not scheduled.HasField("retry_policy"):
        return Retry(RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET)
    if activity.cancel_requested:
        return Retry(RetryState.RETRY_STATE_CANCEL_REQUESTED)
    if failure.timeout_failure_info.timeout_type in (_SCHEDULE_TO_START, _SCHEDULE_TO_CLOSE):
        return Retry(RetryState.RETRY_STATE_TIMEOUT)
    # Whoever has reset it, or will resume it, wants it tried again, however many attempts there were.
    if activity.standalone:
        wanted = activity.reset
    else:
        wanted = activity.pause is not None and is_retryable(
            failure, list(scheduled.retry_policy.non_retryable_error_types)
        )
    if wanted:
        return Retry(RetryState.RETRY_STATE_IN_PROGRESS)
    return next_attempt(scheduled.retry_policy, failure, activity.attempt, tx.now, expires_at(activity))


def _schedule_retry(tx: Owner, activity: Activity, failure: Failure, interval: int, *, completed_at: int = 0) -> None:
    if activity.standalone and activity.reset:
        begin_anew(
            tx,
            activity,
            tx.now,
            restore_options=activity.restores_options,
            reset_heartbeat=activity.forgets_heartbeat,
            keep_paused=activity.pause is not None,
            failure=failure,
        )
        return
    if activity.pause is not None:
        tx.change(ActivityHeld(activity.scheduled_event_id, completed_at, failure, interval))
        return
    tx.change(ActivityRetried(activity.scheduled_event_id, completed_at, tx.now + interval, interval, failure))
    if interval == 0:
        tx.effect(OfferActivityTask(activity.scheduled_event_id))


def reschedule(tx: Owner, activity: Activity, at: int) -> None:
    """Let the attempt that waits begin at another time, now if that has passed."""
    tx.change(ActivityRescheduled(activity.scheduled_event_id, at))
    _offer_if_due(tx, activity)


def soon(tx: Owner, jitter: int) -> int:
    """Now, or some instant within the next `jitter` nanoseconds."""
    return tx.now + int(tx.entropy.uniform(0, jitter)) if jitter else tx.now


def begin_anew(
    tx: Owner,
    activity: Activity,
    at: int,
    *,
    restore_options: bool,
    reset_heartbeat: bool,
    keep_paused: bool,
    failure: Failure | None = None,
) -> None:
    """Let the next attempt of a standalone activity, from `at` on, be its first again. `failure` ended one that ran."""
    tx.change(
        ActivityBegunAnew(
            activity.scheduled_event_id,
            at,
            restore_options,
            reset_heartbeat,
            keep_paused,
            tx.now if failure is not None else 0,
            failure,
        )
    )
    _offer_if_due(tx, activity)


def _offer_if_due(tx: Owner, activity: Activity) -> None:
    if activity.waiting and activity.attempt_scheduled_at <= tx.now:
        tx.effect(OfferActivityTask(activity.scheduled_event_id))


def current_options(activity: Activity) -> ActivityOptions:
    """The options as they are now."""
    scheduled = activity.scheduled
    current = ActivityOptions(task_queue=scheduled.task_queue)
    for name in (*TIMEOUTS, "priority", "retry_policy"):
        if scheduled.HasField(name):  # type: ignore[arg-type]
            getattr(current, name).CopyFrom(getattr(scheduled, name))
    if activity.delay:
        current.start_delay.CopyFrom(duration(activity.delay))
    return current


def expires_at(activity: Activity) -> int:
    """When schedule-to-close ends all attempts; 0 for never."""
    timeout = length_ns(activity.scheduled.schedule_to_close_timeout)
    return activity.scheduled_at + activity.delay + timeout if timeout else 0


def _timeouts(activity: Activity) -> list[tuple[int, TimeoutType.ValueType]]:
    """The deadlines that apply to the activity as it is now. In a workflow none does while it is paused."""
    scheduled = activity.scheduled
    deadlines: list[tuple[int, TimeoutType.ValueType]] = []
    if activity.pause is not None and not activity.standalone:
        return deadlines
    if expiry := expires_at(activity):
        deadlines.append((expiry, _SCHEDULE_TO_CLOSE))
    if activity.started:
        if limit := length_ns(scheduled.start_to_close_timeout):
            deadlines.append((activity.started_at + limit, _START_TO_CLOSE))
        if limit := length_ns(scheduled.heartbeat_timeout):
            deadlines.append((max(activity.started_at, activity.heartbeat_at) + limit, _HEARTBEAT))
    elif activity.waiting and (limit := length_ns(scheduled.schedule_to_start_timeout)):
        deadlines.append((activity.attempt_scheduled_at + limit, _SCHEDULE_TO_START))
    return deadlines


def deadline(activity: Activity, now: int) -> int:
    """When the activity wants attention next, 0 for never: a time-out, or its next attempt if that lies ahead."""
    instants = [at for at, _ in _timeouts(activity)]
    if activity.waiting and activity.attempt_scheduled_at > max(now, activity.scheduled_at):
        instants.append(activity.attempt_scheduled_at)
    return min(instants, default=0)


def expire(tx: Owner, activity: Activity) -> TimedOut | None:
    """The deadline has passed: offer the attempt that is due, or time the one that runs out, perhaps for good."""
    due = [(at, timeout_type) for at, timeout_type in _timeouts(activity) if at <= tx.now]
    if due:
        return _time_out(tx, activity, min(due)[1])
    if activity.waiting and activity.attempt_scheduled_at > activity.scheduled_at:
        tx.effect(OfferActivityTask(activity.scheduled_event_id))
    return None


def _time_out(tx: Owner, activity: Activity, timeout_type: TimeoutType.ValueType) -> TimedOut | None:
    failure = _timeout_failure(activity, f"activity {timeout_name(timeout_type)} timeout", timeout_type)
    ends_attempt = timeout_type in (_START_TO_CLOSE, _HEARTBEAT)
    retry = _retry(tx, activity, failure)
    if retry.again:
        _schedule_retry(tx, activity, failure, retry.interval, completed_at=tx.now if activity.standalone else 0)
        return None
    final = failure
    if retry.state == RetryState.RETRY_STATE_TIMEOUT and (
        ends_attempt or (timeout_type == _SCHEDULE_TO_CLOSE and not activity.standalone)
    ):
        # What ends the activity is that there is no time for another attempt.
        final = _timeout_failure(
            activity,
            "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying",
            _SCHEDULE_TO_CLOSE,
        )
    for each in (final, failure):
        if activity.last_failure is not None:
            each.cause.CopyFrom(activity.last_failure)
        if activity.heartbeat_details is not None:
            each.timeout_failure_info.last_heartbeat_details.CopyFrom(activity.heartbeat_details)
    return TimedOut(final, retry.state, failure if ends_attempt else None)


def _timeout_failure(activity: Activity, message: str, timeout_type: TimeoutType.ValueType) -> Failure:
    return Failure(
        message=message,
        source="" if activity.standalone else "Server",
        timeout_failure_info=TimeoutFailureInfo(timeout_type=timeout_type),
    )
