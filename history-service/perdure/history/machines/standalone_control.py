"""PURE: what operators do to standalone activities.

Where an attempt runs, everything waits until it has ended: that is what sets these apart from the commands for
activities of workflows, see `activity_control`.
"""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.api.activity.v1 import ActivityOptions

from perdure.history.machines import activity as activities
from perdure.history.machines.retry import back_off, requested_delay
from perdure.history.machines.standalone_activity import Standalone, shown_status
from perdure.history.state.activity_execution import ActivityExecution
from perdure.history.state.changes import (
    ActivityExecutionCommanded,
    ActivityOptionsChanged,
    ActivityPaused,
    ActivityResetRequested,
    ActivityRetryIntervalChanged,
    ActivityUnpaused,
)
from perdure.history.state.execution import Activity
from perdure.kernel import activity_options
from perdure.kernel.errors import FailedPrecondition


def pause(tx: Standalone, identity: str, reason: str, request_id: str) -> None:
    """Give it to no worker any more until it is resumed.

    Raises:
        FailedPrecondition: it is paused, cancelled or reset already, or has ended.
    """
    if _is_repeated(tx, "pause", request_id):
        return
    activity = tx.state.activity
    if not tx.state.running or activity.pause is not None or activity.cancel_requested or activity.reset:
        raise FailedPrecondition(f"activity is in non-pausable state {_stage(tx.state)}")
    tx.change(ActivityPaused(activity.scheduled_event_id, tx.now, identity, reason, request_id))
    tx.change(ActivityExecutionCommanded("pause", request_id))


def unpause(tx: Standalone, jitter: int, request_id: str) -> None:
    """Let it go on, not before its next attempt is due; spread over `jitter` nanoseconds.

    Raises:
        FailedPrecondition: it is not paused, or has ended.
    """
    if _is_repeated(tx, "unpause", request_id):
        return
    state, activity = tx.state, tx.state.activity
    if not state.running:
        raise FailedPrecondition(f"activity is in terminal state {shown_status(state)}")
    if activity.pause is None or activity.reset:
        raise FailedPrecondition(f"activity is in non-unpausable state {_stage(state)}")
    tx.change(ActivityExecutionCommanded("unpause", request_id))
    tx.change(ActivityUnpaused(activity.scheduled_event_id))
    if not activity.started:
        activities.reschedule(tx, activity, max(_soon(tx, jitter), _retry_at(activity)))


def reset(
    tx: Standalone,
    *,
    reset_heartbeat: bool,
    keep_paused: bool,
    restore_options: bool,
    jitter: int,
    request_id: str,
) -> None:
    """Let it begin anew: at once, within `jitter` nanoseconds, or after the attempt that runs.

    Raises:
        FailedPrecondition: it is cancelled or reset already, or has ended.
    """
    if _is_repeated(tx, "reset", request_id):
        return
    activity = tx.state.activity
    if not tx.state.running:
        raise FailedPrecondition("activity execution is not running")
    if activity.cancel_requested:
        raise FailedPrecondition("cannot reset an activity with a pending cancellation")
    if activity.reset:
        raise FailedPrecondition("cannot reset an activity with a pending reset")
    tx.change(ActivityExecutionCommanded("reset", request_id))
    if activity.started:
        key = activity.scheduled_event_id
        tx.change(ActivityResetRequested(key, restore_options, reset_heartbeat, keep_paused))
        return
    activities.begin_anew(
        tx,
        activity,
        _soon(tx, jitter),
        restore_options=restore_options,
        reset_heartbeat=reset_heartbeat,
        keep_paused=keep_paused,
    )


def update_options(
    tx: Standalone, given: ActivityOptions | None, mask: Iterable[str], request_id: str
) -> ActivityOptions:
    """Change the options that the mask names; without options, go back to the original ones. Returns all of them.

    Raises:
        InvalidArgument: an option is wrong, by itself or with the others.
        FailedPrecondition: it is cancelled or reset, has ended, or has begun although its beginning is to be delayed.
    """
    if _is_repeated(tx, "options", request_id):
        return activities.current_options(tx.state.activity)
    state, activity = tx.state, tx.state.activity
    if not state.running or activity.cancel_requested or activity.reset:
        raise FailedPrecondition(f"Cannot update options for activity in state {_stage(state)}")
    changed: ActivityOptions | None = None
    paths = {activity_options.field_path(path) for path in mask}
    if given is not None:
        if "startDelay" in paths:
            _check_not_begun(tx)
        changed = _merged(activity, given, mask)
    tx.change(ActivityExecutionCommanded("options", request_id))
    tx.change(ActivityOptionsChanged(activity.scheduled_event_id, changed))
    if not activity.started:
        if given is None or any(path.startswith("retryPolicy") for path in paths):
            _recalculate_interval(tx, activity)
        activities.reschedule(tx, activity, _retry_at(activity) or max(tx.now, _first_at(activity)))
    return activities.current_options(activity)


def _merged(activity: Activity, given: ActivityOptions, mask: Iterable[str]) -> ActivityOptions:
    changed = activities.current_options(activity)
    activity_options.merge(changed, given, mask)
    activity_options.complete(changed, activity.scheduled.activity_id, activity.scheduled.activity_type.name)
    return changed


def _check_not_begun(tx: Standalone) -> None:
    activity = tx.state.activity
    is_delayed = _first_at(activity) > tx.now
    is_held = not activity.first_started_at and activity.pause is not None and not activity.started
    if not is_delayed and not is_held:
        raise FailedPrecondition("cannot update start_delay: the first activity attempt has already been dispatched")


def _recalculate_interval(tx: Standalone, activity: Activity) -> None:
    """What waits for its next attempt waits by the policy as it is now, unless the application said for how long."""
    if activity.retry_interval and not (activity.last_failure is not None and requested_delay(activity.last_failure)):
        interval = back_off(activity.scheduled.retry_policy, activity.attempt - 1)
        tx.change(ActivityRetryIntervalChanged(activity.scheduled_event_id, interval))


def _retry_at(activity: Activity) -> int:
    """When the attempt that waits is due after the one before it; 0 if none was before it."""
    return activity.last_attempt_completed_at + activity.retry_interval if activity.retry_interval else 0


def _first_at(activity: Activity) -> int:
    """The earliest instant of the first attempt; 0 if it has begun."""
    return 0 if activity.first_started_at else activity.scheduled_at + activity.delay


def _soon(tx: Standalone, jitter: int) -> int:
    """Now, or a little later, but not before the activity was to begin."""
    return max(activities.soon(tx, jitter), _first_at(tx.state.activity))


def _is_repeated(tx: Standalone, command: str, request_id: str) -> bool:
    return tx.state.commands.get(command) == request_id


def _stage(state: ActivityExecution) -> str:
    """How far it has come, as messages spell it."""
    activity = state.activity
    if not state.running:
        return shown_status(state)
    if activity.cancel_requested:
        return "CancelRequested"
    if activity.started:
        return "ResetRequested" if activity.reset else "PauseRequested" if activity.pause is not None else "Started"
    return "Paused" if activity.pause is not None else "Scheduled"
