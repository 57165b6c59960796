"""PURE: what a batch job does to one execution, as the RPC that anybody could make."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import BatchOperationType
from temporalio.api.workflowservice.v1 import (
    DeleteActivityExecutionRequest,
    DeleteWorkflowExecutionRequest,
    RequestCancelActivityExecutionRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartBatchOperationRequest,
    TerminateActivityExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
    UpdateWorkflowExecutionOptionsRequest,
)

from perdure.kernel.ids import ExecutionKind

_Type = BatchOperationType

#: By the field in the request that says what to do.
_TYPES = {
    "termination_operation": _Type.BATCH_OPERATION_TYPE_TERMINATE_WORKFLOW,
    "signal_operation": _Type.BATCH_OPERATION_TYPE_SIGNAL_WORKFLOW,
    "cancellation_operation": _Type.BATCH_OPERATION_TYPE_CANCEL_WORKFLOW,
    "deletion_operation": _Type.BATCH_OPERATION_TYPE_DELETE_WORKFLOW,
    "reset_operation": _Type.BATCH_OPERATION_TYPE_RESET_WORKFLOW,
    "update_workflow_options_operation": _Type.BATCH_OPERATION_TYPE_UPDATE_WORKFLOW_EXECUTION_OPTIONS,
    "unpause_activities_operation": _Type.BATCH_OPERATION_TYPE_UNPAUSE_ACTIVITY,
    "reset_activities_operation": _Type.BATCH_OPERATION_TYPE_RESET_ACTIVITY,
    "update_activity_options_operation": _Type.BATCH_OPERATION_TYPE_UPDATE_ACTIVITY_OPTIONS,
    "cancel_activities_operation": _Type.BATCH_OPERATION_TYPE_CANCEL_ACTIVITY,
    "terminate_activities_operation": _Type.BATCH_OPERATION_TYPE_TERMINATE_ACTIVITY,
    "delete_activities_operation": _Type.BATCH_OPERATION_TYPE_DELETE_ACTIVITY,
}

#: Operations on standalone activities; all others are on workflows, or on the activities in them.
ON_ACTIVITIES = frozenset(
    {"cancel_activities_operation", "terminate_activities_operation", "delete_activities_operation"}
)

#: Operations on what is closed as well; the others leave alone what is.
_ON_CLOSED = frozenset({"deletion_operation", "delete_activities_operation", "reset_operation"})
_OPEN = "ExecutionStatus = 'Running' OR ExecutionStatus = 'Paused'"


def operation_type(request: StartBatchOperationRequest) -> BatchOperationType.ValueType:
    return _TYPES[_name(request)]


def identity(request: StartBatchOperationRequest) -> str:
    """Who asked for the job."""
    return str(getattr(getattr(request, _name(request)), "identity", ""))


def kind_of(request: StartBatchOperationRequest) -> ExecutionKind:
    """What is looked for by the query."""
    return ExecutionKind.ACTIVITY if _name(request) in ON_ACTIVITIES else ExecutionKind.WORKFLOW


def query_of(request: StartBatchOperationRequest) -> str:
    """The query for those to which the operation can be done."""
    name, query = _name(request), request.visibility_query
    if name == "unpause_activities_operation" and request.unpause_activities_operation.type:
        entry = f"property:activityType={request.unpause_activities_operation.type}".replace("'", "''")
        query = f"({query}) AND TemporalPauseInfo = '{entry}'"
    return query if name in _ON_CLOSED else f"({query}) AND ({_OPEN})"


def call_for(request: StartBatchOperationRequest, target_id: str, run_id: str, reset_to: int) -> tuple[str, Message]:
    """The RPC and its request for one workflow or standalone activity. `reset_to` is the event that a reset is to.

    A repetition has the same request id, so that it does nothing twice.
    """
    name = _name(request)
    operation = getattr(request, name)
    common: dict[str, Any] = {"namespace": request.namespace}
    request_id = str(uuid5(UUID(int=0), f"{request.job_id}:{name}:{target_id}:{run_id}"))
    if name in ON_ACTIVITIES:
        return _on_activity(name, operation, common | {"activity_id": target_id, "run_id": run_id}, request_id)
    execution = WorkflowExecution(workflow_id=target_id, run_id=run_id)
    if name in _ON_PENDING_ACTIVITIES:
        return _on_pending_activities(name, operation, common | {"execution": execution})
    common |= {"workflow_execution": execution}
    who = getattr(operation, "identity", "")
    match name:
        case "termination_operation":
            return "TerminateWorkflowExecution", TerminateWorkflowExecutionRequest(
                **common,
                reason=request.reason,
                details=operation.details if operation.HasField("details") else None,
                identity=who,
            )
        case "cancellation_operation":
            return "RequestCancelWorkflowExecution", RequestCancelWorkflowExecutionRequest(
                **common, reason=request.reason, identity=who, request_id=request_id
            )
        case "signal_operation":
            return "SignalWorkflowExecution", SignalWorkflowExecutionRequest(
                **common,
                signal_name=operation.signal,
                input=operation.input if operation.HasField("input") else None,
                header=operation.header if operation.HasField("header") else None,
                identity=who,
                request_id=request_id,
            )
        case "deletion_operation":
            return "DeleteWorkflowExecution", DeleteWorkflowExecutionRequest(**common)
        case "reset_operation":
            options = operation.options if operation.HasField("options") else operation
            return "ResetWorkflowExecution", ResetWorkflowExecutionRequest(
                **common,
                reason=request.reason,
                request_id=request_id,
                workflow_task_finish_event_id=reset_to,
                reset_reapply_type=options.reset_reapply_type,
                reset_reapply_exclude_types=operation.options.reset_reapply_exclude_types,
                post_reset_operations=operation.post_reset_operations,
                identity=who,
            )
    return "UpdateWorkflowExecutionOptions", UpdateWorkflowExecutionOptionsRequest(
        **common,
        workflow_execution_options=operation.workflow_execution_options,
        update_mask=operation.update_mask,
        identity=who,
    )


def _on_activity(name: str, operation: Any, common: dict[str, Any], request_id: str) -> tuple[str, Message]:
    if name == "delete_activities_operation":
        return "DeleteActivityExecution", DeleteActivityExecutionRequest(**common)
    common |= {"identity": operation.identity, "reason": operation.reason, "request_id": request_id}
    if name == "terminate_activities_operation":
        return "TerminateActivityExecution", TerminateActivityExecutionRequest(**common)
    return "RequestCancelActivityExecution", RequestCancelActivityExecutionRequest(**common)


_ON_PENDING_ACTIVITIES = frozenset(
    {"unpause_activities_operation", "reset_activities_operation", "update_activity_options_operation"}
)


def _on_pending_activities(name: str, operation: Any, common: dict[str, Any]) -> tuple[str, Message]:
    common["identity"] = operation.identity
    by_type = operation.WhichOneof("activity") == "type"
    jitter = operation.jitter if name != "update_activity_options_operation" and operation.HasField("jitter") else None
    if name == "unpause_activities_operation":
        return "UnpauseActivity", UnpauseActivityRequest(
            **common,
            **({"type": operation.type} if by_type else {"unpause_all": True}),
            reset_attempts=operation.reset_attempts,
            reset_heartbeat=operation.reset_heartbeat,
            jitter=jitter,
        )
    common |= {"type": operation.type} if by_type else {"match_all": True}
    if name == "reset_activities_operation":
        return "ResetActivity", ResetActivityRequest(
            **common,
            reset_heartbeat=operation.reset_heartbeat,
            keep_paused=operation.keep_paused,
            jitter=jitter,
            restore_original_options=operation.restore_original_options,
        )
    return "UpdateActivityOptions", UpdateActivityOptionsRequest(
        **common,
        activity_options=operation.activity_options if operation.HasField("activity_options") else None,
        update_mask=operation.update_mask,
        restore_original=operation.restore_original,
    )


def _name(request: StartBatchOperationRequest) -> str:
    return str(request.WhichOneof("operation"))
