"""One function per RPC that history serves, by the RPC's name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from perdure.history.handlers import (
    activity,
    activity_control,
    describe,
    history,
    multi_operation,
    schedule,
    standalone_activity,
    standalone_control,
    start,
    update,
    workflow,
    workflow_task,
)

#: RPC name -> `async handler(engine, call, request) -> response`.
HANDLERS: dict[str, Callable[..., Awaitable[Any]]] = {
    "StartWorkflowExecution": start.start_workflow_execution,
    "SignalWithStartWorkflowExecution": start.signal_with_start_workflow_execution,
    "ExecuteMultiOperation": multi_operation.execute_multi_operation,
    "SignalWorkflowExecution": workflow.signal_workflow_execution,
    "RequestCancelWorkflowExecution": workflow.request_cancel_workflow_execution,
    "TerminateWorkflowExecution": workflow.terminate_workflow_execution,
    "DeleteWorkflowExecution": workflow.delete_workflow_execution,
    "ResetStickyTaskQueue": workflow.reset_sticky_task_queue,
    "DescribeWorkflowExecution": describe.describe_workflow_execution,
    "GetWorkflowExecutionHistory": history.get_workflow_execution_history,
    "GetWorkflowExecutionHistoryReverse": history.get_workflow_execution_history_reverse,
    "RespondWorkflowTaskCompleted": workflow_task.respond_workflow_task_completed,
    "RespondWorkflowTaskFailed": workflow_task.respond_workflow_task_failed,
    "RecordActivityTaskHeartbeat": activity.record_activity_task_heartbeat,
    "RecordActivityTaskHeartbeatById": activity.record_activity_task_heartbeat_by_id,
    "RespondActivityTaskCompleted": activity.respond_activity_task_completed,
    "RespondActivityTaskCompletedById": activity.respond_activity_task_completed_by_id,
    "RespondActivityTaskFailed": activity.respond_activity_task_failed,
    "RespondActivityTaskFailedById": activity.respond_activity_task_failed_by_id,
    "RespondActivityTaskCanceled": activity.respond_activity_task_canceled,
    "RespondActivityTaskCanceledById": activity.respond_activity_task_canceled_by_id,
    "PauseActivity": activity_control.pause_activity,
    "UnpauseActivity": activity_control.unpause_activity,
    "ResetActivity": activity_control.reset_activity,
    "UpdateActivityOptions": activity_control.update_activity_options,
    "StartActivityExecution": standalone_activity.start_activity_execution,
    "DescribeActivityExecution": standalone_activity.describe_activity_execution,
    "PollActivityExecution": standalone_activity.poll_activity_execution,
    "RequestCancelActivityExecution": standalone_activity.request_cancel_activity_execution,
    "TerminateActivityExecution": standalone_activity.terminate_activity_execution,
    "DeleteActivityExecution": standalone_activity.delete_activity_execution,
    "PauseActivityExecution": standalone_control.pause_activity_execution,
    "UnpauseActivityExecution": standalone_control.unpause_activity_execution,
    "ResetActivityExecution": standalone_control.reset_activity_execution,
    "UpdateActivityExecutionOptions": standalone_control.update_activity_execution_options,
    "UpdateWorkflowExecution": update.update_workflow_execution,
    "PollWorkflowExecutionUpdate": update.poll_workflow_execution_update,
    "CreateSchedule": schedule.create_schedule,
    "DescribeSchedule": schedule.describe_schedule,
    "UpdateSchedule": schedule.update_schedule,
    "PatchSchedule": schedule.patch_schedule,
    "DeleteSchedule": schedule.delete_schedule,
    "ListScheduleMatchingTimes": schedule.list_schedule_matching_times,
}
