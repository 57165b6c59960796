"""What can be said about a request without looking at any execution. One check per RPC, by name.

An RPC without a row is checked by whoever serves it.
"""

from __future__ import annotations

from collections.abc import Mapping

from perdure.frontend.validation import (
    activity_control,
    batches,
    executions,
    schedules,
    standalone_activity,
    start,
    updates,
    workers,
)
from perdure.frontend.validation.rules import Check

CHECKS: Mapping[str, Check] = {
    "StartWorkflowExecution": start.check_start,
    "SignalWithStartWorkflowExecution": start.check_signal_with_start,
    "ExecuteMultiOperation": start.check_multi_operation,
    "GetWorkflowExecutionHistory": executions.check_history,
    "GetWorkflowExecutionHistoryReverse": executions.check_history_reverse,
    "DescribeWorkflowExecution": executions.check_describe,
    "SignalWorkflowExecution": executions.check_signal,
    "QueryWorkflow": executions.check_query,
    "RequestCancelWorkflowExecution": executions.check_request_cancel,
    "ResetWorkflowExecution": executions.check_reset,
    "UpdateWorkflowExecutionOptions": executions.check_update_options,
    "PauseWorkflowExecution": executions.check_pause,
    "UnpauseWorkflowExecution": executions.check_pause,
    "TerminateWorkflowExecution": executions.check_terminate,
    "DeleteWorkflowExecution": executions.check_delete,
    "ResetStickyTaskQueue": executions.check_reset_sticky,
    "UpdateWorkflowExecution": updates.check_update,
    "PollWorkflowExecutionUpdate": updates.check_poll_update,
    "PollWorkflowTaskQueue": workers.check_poll_workflow_task,
    "PollActivityTaskQueue": workers.check_poll_activity_task,
    "RespondWorkflowTaskCompleted": workers.check_workflow_task_completed,
    "RespondWorkflowTaskFailed": workers.check_workflow_task_failed,
    "RespondActivityTaskCompleted": workers.check_activity_answer,
    "RespondActivityTaskCanceled": workers.check_activity_answer,
    "RespondActivityTaskFailed": workers.check_activity_failed,
    "RecordActivityTaskHeartbeatById": workers.check_activity_heartbeat_by_id,
    "RespondActivityTaskCompletedById": workers.check_activity_answer_by_id,
    "RespondActivityTaskCanceledById": workers.check_activity_answer_by_id,
    "RespondActivityTaskFailedById": workers.check_activity_failed_by_id,
    "PauseActivity": activity_control.check_pause,
    "UnpauseActivity": activity_control.check_resume,
    "ResetActivity": activity_control.check_resume,
    "UpdateActivityOptions": activity_control.check_update_options,
    "StartActivityExecution": standalone_activity.check_start,
    "DescribeActivityExecution": standalone_activity.check_describe,
    "PollActivityExecution": standalone_activity.check_address,
    "RequestCancelActivityExecution": standalone_activity.check_end,
    "TerminateActivityExecution": standalone_activity.check_end,
    "DeleteActivityExecution": standalone_activity.check_address,
    "PauseActivityExecution": standalone_activity.check_pause,
    "UnpauseActivityExecution": standalone_activity.check_resume,
    "ResetActivityExecution": standalone_activity.check_resume,
    "UpdateActivityExecutionOptions": standalone_activity.check_update_options,
    "StartBatchOperation": batches.check_start,
    "StopBatchOperation": batches.check_stop,
    "DescribeBatchOperation": batches.check_describe,
    "CreateSchedule": schedules.check_create,
    "DescribeSchedule": schedules.check_schedule_id,
    "UpdateSchedule": schedules.check_update,
    "PatchSchedule": schedules.check_patch,
    "DeleteSchedule": schedules.check_schedule_id,
    "ListScheduleMatchingTimes": schedules.check_schedule_id,
    "DescribeTaskQueue": workers.check_describe_task_queue,
    "ListTaskQueuePartitions": workers.check_list_partitions,
    "RecordWorkerHeartbeat": workers.check_worker_heartbeats,
    "ShutdownWorker": workers.check_shutdown_worker,
}
