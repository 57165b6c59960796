"""ExecuteMultiOperation: start a workflow and update it, as one call."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.enums.v1 import WorkflowExecutionStatus, WorkflowIdConflictPolicy
from temporalio.api.errordetails.v1 import MultiOperationExecutionFailure
from temporalio.api.failure.v1 import MultiOperationExecutionAborted
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    ExecuteMultiOperationResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from perdure.history.engine import Engine
from perdure.history.handlers.start import create_request_id, start, started_link
from perdure.history.handlers.update import update_loaded
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import update
from perdure.history.machines.update import AbortedByClose
from perdure.history.state.changes import Metered
from perdure.history.state.execution import UpdateStage
from perdure.history.transition import Transition
from perdure.kernel.call import Call
from perdure.kernel.errors import Aborted, MultiOperationFailed, ServiceError, Unavailable
from perdure.kernel.metering.actions import START_MULTI_OPERATION

_Status = MultiOperationExecutionFailure.OperationStatus
_RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
_FAILED = "Update-with-Start could not be executed."


async def execute_multi_operation(
    engine: Engine, call: Call, request: ExecuteMultiOperationRequest
) -> ExecuteMultiOperationResponse:
    """Update the run that the start would find, or start one with the update in it, in the same commit.

    An update that is known already is answered even where the start by itself would be refused.

    Raises:
        MultiOperationFailed: one of the two cannot be done; the other is reported as aborted because of it.
    """
    start_request = request.operations[0].start_workflow
    update_request = request.operations[1].update_workflow
    try:
        return await _once(engine, call, start_request, update_request)
    except AbortedByClose:
        # The run that was found closed before it looked at the update, so a new one can take it.
        try:
            return await _once(engine, call, start_request, update_request)
        except AbortedByClose as again:
            raise _update_failed(Aborted(again.message), _aborted()) from again


async def _once(
    engine: Engine,
    call: Call,
    start_request: StartWorkflowExecutionRequest,
    update_request: UpdateWorkflowExecutionRequest,
) -> ExecuteMultiOperationResponse:
    """One attempt; raises AbortedByClose bare, if the update went to a run that was there already."""
    existing = await engine.current_as(LoadedExecution, call, start_request.workflow_id)
    if existing is not None and _takes_update(existing, start_request, update_request):
        return await _update(engine, call, existing, start_request, update_request)
    return await _start(engine, call, start_request, update_request)


def _takes_update(
    existing: LoadedExecution,
    start_request: StartWorkflowExecutionRequest,
    update_request: UpdateWorkflowExecutionRequest,
) -> bool:
    state = existing.state
    known = state.updates.get(update_request.request.meta.update_id)
    if not state.running:
        return known is not None and known.stage is UpdateStage.COMPLETED
    return (
        known is not None
        or create_request_id(state) == start_request.request_id
        or start_request.workflow_id_conflict_policy
        == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
    )


async def _update(
    engine: Engine,
    call: Call,
    existing: LoadedExecution,
    start_request: StartWorkflowExecutionRequest,
    update_request: UpdateWorkflowExecutionRequest,
) -> ExecuteMultiOperationResponse:
    """Nothing is started: the start's answer is the run that was there."""
    state = existing.state
    known = state.updates.get(update_request.request.meta.update_id)
    done = known is not None and known.stage is UpdateStage.COMPLETED
    try:
        updated = await update_loaded(engine, call, existing, update_request)
    except AbortedByClose:
        raise
    except ServiceError as error:
        raise _update_failed(error, _aborted()) from error
    started = StartWorkflowExecutionResponse(run_id=state.run_id, status=_RUNNING)
    if done:
        # An answer from the past carries no links.
        started.status = state.status  # type: ignore[assignment]
        updated.ClearField("link")
    else:
        started.link.CopyFrom(started_link(call, state))
    return _response(started, updated)


async def _start(
    engine: Engine,
    call: Call,
    start_request: StartWorkflowExecutionRequest,
    update_request: UpdateWorkflowExecutionRequest,
) -> ExecuteMultiOperationResponse:
    """Start a run that has the update from its beginning."""

    def admit(tx: Transition) -> None:
        tx.change(Metered(START_MULTI_OPERATION))
        update.admit(tx, update_request.request)

    try:
        started = await start(engine, call, start_request, first=admit)
        if not started.is_new:
            raise Unavailable("Workflow was not started: another start came in between")
    except ServiceError as error:
        raise MultiOperationFailed(
            _FAILED,
            [_failed(error), _aborted()],
            error.code,
        ) from error
    state = started.loaded.state
    try:
        updated = await update_loaded(engine, call, started.loaded, update_request)
    except ServiceError as error:
        raise _update_failed(error, _Status()) from error
    return _response(
        StartWorkflowExecutionResponse(
            run_id=state.run_id,
            first_execution_run_id=state.first_run_id,
            started=True,
            status=_RUNNING,
            link=started_link(call, state),
        ),
        updated,
    )


def _response(
    started: StartWorkflowExecutionResponse, updated: UpdateWorkflowExecutionResponse
) -> ExecuteMultiOperationResponse:
    response = ExecuteMultiOperationResponse()
    response.responses.add().start_workflow.CopyFrom(started)
    response.responses.add().update_workflow.CopyFrom(updated)
    return response


def _update_failed(error: ServiceError, started: _Status) -> MultiOperationFailed:
    return MultiOperationFailed(_FAILED, [started, _failed(error)], error.code)


def _failed(error: ServiceError) -> _Status:
    status = _Status(code=error.code.value, message=error.message)
    if error.detail is not None:
        status.details.add().Pack(error.detail)
    return status


def _aborted() -> _Status:
    detail = AnyMessage()
    detail.Pack(MultiOperationExecutionAborted())
    return _Status(code=Aborted.code.value, message="Operation was aborted.", details=[detail])
