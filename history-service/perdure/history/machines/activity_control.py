"""PURE: what operators do to activities: pause and resume them, begin anew, change their options.

An attempt that runs is left to its worker, which learns of it with its next heartbeat; only an attempt that waits is
taken back or brought forward.
"""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.enums.v1 import TaskQueueKind

from perdure.history.machines import activity as activities
from perdure.history.machines.retry import back_off
from perdure.history.state.changes import ActivityOptionsChanged, ActivityPaused, ActivityReset, ActivityUnpaused
from perdure.history.state.execution import Activity
from perdure.history.transition import Transition
from perdure.kernel import activity_options, options
from perdure.kernel.errors import FailedPrecondition, InvalidArgument


def pause(tx: Transition, activity: Activity, identity: str, reason: str, request_id: str) -> None:
    """Give it to no worker any more until it is resumed. A repeated request changes nothing.

    Raises:
        FailedPrecondition: another request has paused it.
    """
    if activity.pause is not None:
        if activity.pause.request_id == request_id:
            return
        raise FailedPrecondition("activity is already paused")
    tx.change(ActivityPaused(activity.scheduled_event_id, tx.now, identity, reason, request_id))


def unpause(tx: Transition, activity: Activity, *, reset_attempts: bool, reset_heartbeat: bool, jitter: int) -> None:
    """Let it go on: an attempt that waits begins now, or within `jitter` nanoseconds. One not paused is left alone."""
    if activity.pause is None:
        return
    tx.change(ActivityUnpaused(activity.scheduled_event_id, reset_attempts, reset_heartbeat))
    if not activity.started:
        activities.reschedule(tx, activity, activities.soon(tx, jitter))


def reset(
    tx: Transition,
    activity: Activity,
    *,
    reset_heartbeat: bool,
    keep_paused: bool,
    restore_options: bool,
    jitter: int,
) -> None:
    """Count its attempts from 1 again; one that waits begins now, or within `jitter` nanoseconds, unless paused."""
    tx.change(ActivityReset(activity.scheduled_event_id, reset_heartbeat))
    if restore_options:
        tx.change(ActivityOptionsChanged(activity.scheduled_event_id, None))
    if activity.pause is not None and not keep_paused:
        tx.change(ActivityUnpaused(activity.scheduled_event_id))
    if activity.waiting:
        activities.reschedule(tx, activity, activities.soon(tx, jitter))


def update_options(tx: Transition, activity: Activity, given: ActivityOptions, mask: Iterable[str]) -> ActivityOptions:
    """Change the options that the mask names. Returns all of them as they are now.

    Raises:
        InvalidArgument: an option is wrong, by itself or with the others.
    """
    changed = _shown_options(activity)
    activity_options.merge(changed, given, mask)
    changed.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    if not changed.task_queue.name:
        raise InvalidArgument("missing task queue name")
    options.check_task_queue_name(changed.task_queue.name, tx.limits, partition=False)
    activity_options.complete(changed, activity.scheduled.activity_id, activity.scheduled.activity_type.name)
    _change(tx, activity, changed)
    return changed


def restore_options(tx: Transition, activity: Activity) -> ActivityOptions:
    """Go back to the options that the workflow gave it. Returns them."""
    _change(tx, activity, None)
    restored = _shown_options(activity)
    restored.retry_policy.CopyFrom(activity.scheduled.retry_policy)
    return restored


def _shown_options(activity: Activity) -> ActivityOptions:
    """The options that operators see and may change."""
    shown = activities.current_options(activity)
    shown.task_queue.ClearField("kind")
    shown.retry_policy.ClearField("non_retryable_error_types")
    return shown


def _change(tx: Transition, activity: Activity, changed: ActivityOptions | None) -> None:
    tx.change(ActivityOptionsChanged(activity.scheduled_event_id, changed))
    if activity.started:
        return
    at = activity.attempt_scheduled_at
    if activity.attempt > 1:
        # What waits for its next attempt waits by the policy as it is now.
        at = activity.last_attempt_completed_at + back_off(activity.scheduled.retry_policy, activity.attempt)
    activities.reschedule(tx, activity, at)
