"""The event to which a batch job resets a workflow: that of its first or last workflow task, or of a build's first."""

from __future__ import annotations

from temporalio.api.batch.v1 import BatchOperationReset
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetType
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)

from perdure.history.state.batch import Target
from perdure.kernel.call import Call
from perdure.kernel.errors import FailedPrecondition
from perdure.kernel.rpc import HistoryClient

_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED


async def reset_point(
    history: HistoryClient, call: Call, operation: BatchOperationReset, target: Target, now_ns: int
) -> tuple[Target, int]:
    """The run whose event it is, which may be an earlier one, and the event's id.

    Raises:
        FailedPrecondition: the workflow has no such point.
        ServiceError: it cannot be read.
    """
    options = operation.options
    which = options.WhichOneof("target")
    if which == "workflow_task_id":
        return target, options.workflow_task_id
    if which == "build_id":
        return await _of_build(history, call, operation, target, now_ns)
    first = which == "first_workflow_task" or operation.reset_type == ResetType.RESET_TYPE_FIRST_WORKFLOW_TASK
    return target, await (_first(history, call, target) if first else _last(history, call, target))


async def _first(history: HistoryClient, call: Call, target: Target) -> int:
    token, fallback = b"", 0
    while True:
        request = GetWorkflowExecutionHistoryRequest(execution=_execution(target), next_page_token=token)
        response = await history.handle("GetWorkflowExecutionHistory", call, request)
        assert isinstance(response, GetWorkflowExecutionHistoryResponse)
        for event in response.history.events:
            if event.event_type == _COMPLETED:
                return event.event_id
            if event.event_type == _SCHEDULED:
                fallback = fallback or event.event_id + 1
        if not (token := response.next_page_token):
            return _found(fallback)


async def _last(history: HistoryClient, call: Call, target: Target) -> int:
    token, fallback = b"", 0
    while True:
        request = GetWorkflowExecutionHistoryReverseRequest(execution=_execution(target), next_page_token=token)
        response = await history.handle("GetWorkflowExecutionHistoryReverse", call, request)
        assert isinstance(response, GetWorkflowExecutionHistoryReverseResponse)
        for event in response.history.events:
            if event.event_type == _COMPLETED:
                return event.event_id
            if event.event_type == _SCHEDULED:
                fallback = event.event_id + 1
        if not (token := response.next_page_token):
            return _found(fallback)


def _found(event_id: int) -> int:
    if not event_id:
        raise FailedPrecondition("unable to find any scheduled or completed task")
    return event_id


async def _of_build(
    history: HistoryClient, call: Call, operation: BatchOperationReset, target: Target, now_ns: int
) -> tuple[Target, int]:
    build_id = operation.options.build_id
    request = DescribeWorkflowExecutionRequest(execution=_execution(target))
    response = await history.handle("DescribeWorkflowExecution", call, request)
    assert isinstance(response, DescribeWorkflowExecutionResponse)
    for point in response.workflow_execution_info.auto_reset_points.points:
        if point.build_id != build_id:
            continue
        if not point.resettable:
            raise FailedPrecondition(f"the reset point of build {build_id} is not resettable")
        if point.HasField("expire_time") and point.expire_time.ToNanoseconds() < now_ns:
            raise FailedPrecondition(f"the reset point of build {build_id} has expired")
        if operation.options.current_run_only and point.run_id != target.run_id:
            raise FailedPrecondition(f"the reset point of build {build_id} is in an earlier run")
        return Target(target.id, point.run_id), point.first_workflow_task_completed_id
    raise FailedPrecondition(f"there is no reset point of build {build_id}")


def _execution(target: Target) -> WorkflowExecution:
    return WorkflowExecution(workflow_id=target.id, run_id=target.run_id)
