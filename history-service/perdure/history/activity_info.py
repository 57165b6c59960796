"""PURE: what clients see of a standalone activity."""

from __future__ import annotations

from temporalio.api.activity.v1 import ActivityExecutionInfo
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import DescribeActivityExecutionRequest

from perdure.history.kinds.activity import status
from perdure.history.machines import activity as activities
from perdure.history.state.activity_execution import ActivityExecution
from perdure.history.state.execution import Activity
from perdure.kernel.prototime import duration, timestamp

_State = PendingActivityState
_OPTIONS = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
    "retry_policy",
    "priority",
    "header",
)


def execution_info(
    state: ActivityExecution, request: DescribeActivityExecutionRequest, now: int
) -> ActivityExecutionInfo:
    """The activity as it is now, with as much of it as the request asks for."""
    activity = state.activity
    scheduled = activity.scheduled
    info = ActivityExecutionInfo(
        activity_id=state.workflow_id,
        run_id=state.run_id,
        activity_type=scheduled.activity_type,
        status=status(state),
        run_state=run_state(activity) if state.running else _State.PENDING_ACTIVITY_STATE_UNSPECIFIED,
        task_queue=scheduled.task_queue.name,
        attempt=activity.attempt,
        schedule_time=timestamp(activity.scheduled_at),
        execution_time=timestamp(activity.scheduled_at + activity.delay),
        last_worker_identity=activity.last_identity,
        state_transition_count=state.state_transitions,
        search_attributes=state.search_attributes,
        user_metadata=state.user_metadata,
        canceled_reason=state.cancellation.reason if state.cancellation is not None else "",
        links=state.links,
        total_heartbeat_count=activity.heartbeat_count,
        sdk_name=activity.sdk_name,
        sdk_version=activity.sdk_version,
    )
    for name in _OPTIONS:
        if scheduled.HasField(name):  # type: ignore[arg-type]
            getattr(info, name).CopyFrom(getattr(scheduled, name))
    if activity.delay:
        info.start_delay.CopyFrom(duration(activity.delay))
    if request.include_heartbeat_details and activity.heartbeat_details is not None:
        info.heartbeat_details.CopyFrom(activity.heartbeat_details)
    if request.include_last_failure and activity.last_failure is not None:
        info.last_failure.CopyFrom(activity.last_failure)
    _set_times(info, state, now)
    return info


def _set_times(info: ActivityExecutionInfo, state: ActivityExecution, now: int) -> None:
    activity = state.activity
    for at, field in (
        (activity.heartbeat_at, info.last_heartbeat_time),
        (activity.last_started_at, info.last_started_time),
        (activity.last_attempt_completed_at, info.last_attempt_complete_time),
        (activities.expires_at(activity), info.expiration_time),
        (state.closed_at, info.close_time),
    ):
        if at:
            field.CopyFrom(timestamp(at))
    if state.closed_at:
        info.execution_duration.CopyFrom(duration(max(state.closed_at - activity.scheduled_at, 0)))
    elif activity.waiting and activity.attempt_scheduled_at > now:
        info.next_attempt_schedule_time.CopyFrom(timestamp(activity.attempt_scheduled_at))
        if activity.retry_interval:
            info.current_retry_interval.CopyFrom(duration(activity.retry_interval))


def run_state(activity: Activity) -> PendingActivityState.ValueType:
    """How far an activity has come that has not ended."""
    if activity.cancel_requested:
        return _State.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
    if activity.started:
        return (
            _State.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED
            if activity.pause is not None
            else _State.PENDING_ACTIVITY_STATE_STARTED
        )
    if activity.pause is not None:
        return _State.PENDING_ACTIVITY_STATE_PAUSED
    return _State.PENDING_ACTIVITY_STATE_SCHEDULED
