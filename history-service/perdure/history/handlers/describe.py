"""DescribeWorkflowExecution."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    EventType,
    ParentClosePolicy,
    PendingWorkflowTaskState,
    WorkflowExecutionStatus,
)
from temporalio.api.workflow.v1 import (
    PendingActivityInfo,
    PendingChildExecutionInfo,
    PendingWorkflowTaskInfo,
    RequestIdInfo,
    WorkflowExecutionConfig,
    WorkflowExecutionExtendedInfo,
    WorkflowExecutionInfo,
)
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse

from perdure.history.activity_info import run_state
from perdure.history.engine import Engine
from perdure.history.machines import activity as activities
from perdure.history.machines import time_skipping
from perdure.history.nexus_info import callback_info, pending_operation
from perdure.history.state import versioning
from perdure.history.state.execution import Activity, Execution, WorkflowTask
from perdure.kernel.call import Call
from perdure.kernel.prototime import duration, timestamp
from perdure.kernel.visibility import attributes


async def describe_workflow_execution(
    engine: Engine, call: Call, request: DescribeWorkflowExecutionRequest
) -> DescribeWorkflowExecutionResponse:
    """A run as it is now, with all that is pending in it."""
    execution = request.execution
    loaded = await engine.get(call, execution.workflow_id, execution.run_id)
    state = loaded.state
    now = loaded.now_ns
    response = DescribeWorkflowExecutionResponse(
        execution_config=WorkflowExecutionConfig(
            task_queue=state.started.task_queue,
            workflow_execution_timeout=_optional(state.started, "workflow_execution_timeout"),
            workflow_run_timeout=_optional(state.started, "workflow_run_timeout"),
            default_workflow_task_timeout=state.started.workflow_task_timeout,
            user_metadata=state.user_metadata,
        ),
        workflow_execution_info=_info(call, state),
        pending_activities=[_pending_activity(state, activity, now) for activity in state.activities.values()],
        pending_children=[
            PendingChildExecutionInfo(
                workflow_id=child.initiated.workflow_id,
                run_id=child.run_id,
                workflow_type_name=child.initiated.workflow_type.name,
                initiated_id=child.initiated_event_id,
                parent_close_policy=ParentClosePolicy.ValueType(child.initiated.parent_close_policy),
            )
            for child in state.children.values()
        ],
        workflow_extended_info=_extended(state, now),
        pending_nexus_operations=[pending_operation(each, now) for each in state.operations.values()],
        callbacks=map(callback_info, state.callbacks),
    )
    if state.workflow_task is not None:
        response.pending_workflow_task.CopyFrom(_pending_workflow_task(state.workflow_task))
    await loaded.committed()
    return response


def _optional(message: Any, field: str) -> Any:
    """The message in this field, None if it is not set."""
    return getattr(message, field) if message.HasField(field) else None


def _info(call: Call, state: Execution) -> WorkflowExecutionInfo:
    started = state.started
    info = WorkflowExecutionInfo(
        execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        type=WorkflowType(name=started.workflow_type.name),
        start_time=timestamp(state.started_at),
        status=WorkflowExecutionStatus.ValueType(state.status),
        history_length=state.next_event_id - 1,
        execution_time=timestamp(state.execution_at),
        memo=state.memo,
        search_attributes=state.search_attributes,
        task_queue=state.task_queue,
        state_transition_count=state.state_transitions,
        history_size_bytes=state.history_size,
        first_run_id=state.first_run_id,
        auto_reset_points=state.reset_points,
        most_recent_worker_version_stamp=state.worker_version,
        versioning_info=None if state.versioning is None else versioning.shown(state.versioning),
        worker_deployment_name=state.worker_deployment_name,
    )
    attributes.set_types(info.search_attributes, call.namespace.search_attributes)
    info.root_execution.workflow_id = started.root_workflow_execution.workflow_id or state.workflow_id
    info.root_execution.run_id = started.root_workflow_execution.run_id or state.run_id
    if started.parent_workflow_namespace_id:
        info.parent_namespace_id = started.parent_workflow_namespace_id
        info.parent_execution.CopyFrom(started.parent_workflow_execution)
    if started.HasField("priority") or state.changed_priority is not None:
        info.priority.CopyFrom(state.priority)
    if state.closed_at:
        info.close_time.CopyFrom(timestamp(state.closed_at))
        info.execution_duration.CopyFrom(duration(max(state.closed_at - state.execution_at, 0)))
        if state.successor_run_id:
            _let_reset_points_expire(call, state, info)
    return info


def _let_reset_points_expire(call: Call, state: Execution, info: WorkflowExecutionInfo) -> None:
    """A run that another run continues can be reset for as long as it is kept."""
    for point in info.auto_reset_points.points:
        if point.run_id == state.run_id:
            point.expire_time.CopyFrom(timestamp(state.closed_at + call.namespace.retention_ns))


def _extended(state: Execution, now: int) -> WorkflowExecutionExtendedInfo:
    info = WorkflowExecutionExtendedInfo(
        cancel_requested=state.cancel_requested,
        original_start_time=timestamp(state.original_started_at or state.started_at),
        reset_run_id=state.reset_run_id,
    )
    if state.reset_at:
        info.last_reset_time.CopyFrom(timestamp(state.reset_at))
    if state.pause is not None:
        info.pause_info.identity = state.pause.identity
        info.pause_info.reason = state.pause.reason
        info.pause_info.paused_time.CopyFrom(timestamp(state.pause.at))
    if state.execution_expires_at:
        info.execution_expiration_time.CopyFrom(timestamp(state.execution_expires_at))
    info.run_expiration_time.CopyFrom(timestamp(state.run_expires_at))
    if state.time_skipping is not None:
        info.time_skipping_info.CopyFrom(time_skipping.shown(state.time_skipping, now))
    for request_id, origin in state.requests.items():
        info.request_id_infos[request_id].CopyFrom(
            RequestIdInfo(
                event_type=EventType.ValueType(origin.event_type),
                event_id=origin.event_id,
                buffered=origin.event_id == 0,
            )
        )
    return info


def _pending_workflow_task(task: WorkflowTask) -> PendingWorkflowTaskInfo:
    info = PendingWorkflowTaskInfo(
        state=PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED,
        scheduled_time=timestamp(task.scheduled_at),
        original_scheduled_time=timestamp(task.original_scheduled_at),
        attempt=task.attempt,
    )
    if task.started_event_id:
        info.state = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
        info.started_time.CopyFrom(timestamp(task.started_at))
    return info


def _pending_activity(state: Execution, activity: Activity, now: int) -> PendingActivityInfo:
    scheduled = activity.scheduled
    info = PendingActivityInfo(
        activity_id=scheduled.activity_id,
        activity_type=scheduled.activity_type,
        state=run_state(activity),
        heartbeat_details=activity.heartbeat_details,
        attempt=activity.attempt,
        last_failure=activity.last_failure,
        last_worker_identity=activity.last_identity,
        maximum_attempts=scheduled.retry_policy.maximum_attempts,
    )
    if activity.heartbeat_at:
        info.last_heartbeat_time.CopyFrom(timestamp(activity.heartbeat_at))
    if activity.started:
        info.last_started_time.CopyFrom(timestamp(activity.started_at))
    info.scheduled_time.CopyFrom(timestamp(activity.attempt_scheduled_at))
    if activity.waiting and activity.attempt_scheduled_at > now:
        info.next_attempt_schedule_time.CopyFrom(timestamp(activity.attempt_scheduled_at))
        info.current_retry_interval.CopyFrom(duration(activity.retry_interval))
    if activity.last_attempt_completed_at:
        info.last_attempt_complete_time.CopyFrom(timestamp(activity.last_attempt_completed_at))
    if expiry := activities.expires_at(activity):
        info.expiration_time.CopyFrom(timestamp(expiry))
    if scheduled.HasField("priority"):
        info.priority.CopyFrom(scheduled.priority)
        info.activity_options.priority.CopyFrom(scheduled.priority)
    if activity.pause is not None:
        info.paused = True
        info.pause_info.pause_time.CopyFrom(timestamp(activity.pause.at))
        info.pause_info.manual.identity = activity.pause.identity
        info.pause_info.manual.reason = activity.pause.reason
    options = info.activity_options
    options.task_queue.name = options.task_queue.normal_name = scheduled.task_queue.name
    for name in (
        "schedule_to_close_timeout",
        "schedule_to_start_timeout",
        "start_to_close_timeout",
        "heartbeat_timeout",
        "retry_policy",
    ):
        if scheduled.HasField(name):
            getattr(options, name).CopyFrom(getattr(scheduled, name))
    options.retry_policy.ClearField("non_retryable_error_types")
    return info
