"""ExecuteMultiOperation: start a workflow and update it, as one call."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.errordetails.v1 import MultiOperationExecutionFailure
from temporalio.api.failure.v1 import MultiOperationExecutionAborted
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    ExecuteMultiOperationResponse,
    StartWorkflowExecutionResponse,
)

from perdure.history.engine import Engine
from perdure.history.handlers.start import start, started_link
from perdure.history.handlers.update import update_loaded
from perdure.history.machines import update
from perdure.history.transition import Transition
from perdure.kernel.call import Call
from perdure.kernel.errors import Code, MultiOperationFailed, ServiceError

_Status = MultiOperationExecutionFailure.OperationStatus


async def execute_multi_operation(
    engine: Engine, call: Call, request: ExecuteMultiOperationRequest
) -> ExecuteMultiOperationResponse:
    """Start (or find) the run and admit the update in the same commit, then wait for the update as it asks.

    Raises:
        MultiOperationFailed: one of the two cannot be done; the other is reported as aborted because of it.
    """
    start_request = request.operations[0].start_workflow
    update_request = request.operations[1].update_workflow

    def admit(tx: Transition) -> None:
        update.admit(tx, update_request.request)

    try:
        started = await start(engine, call, start_request, first=admit, on_running=None)
    except ServiceError as error:
        raise _failed(error, index=0) from error
    try:
        updated = await update_loaded(engine, call, started.loaded, update_request)
    except ServiceError as error:
        raise _failed(error, index=1) from error
    state = started.loaded.state
    response = ExecuteMultiOperationResponse()
    response.responses.add().start_workflow.CopyFrom(
        StartWorkflowExecutionResponse(
            run_id=state.run_id,
            first_execution_run_id=state.first_run_id,
            started=started.is_new or started.deduplicated,
            status=state.status,  # type: ignore[arg-type]
            link=started_link(call, start_request, started),
        )
    )
    response.responses.add().update_workflow.CopyFrom(updated)
    return response


def _failed(error: ServiceError, index: int) -> MultiOperationFailed:
    failed = _Status(code=error.code.value, message=error.message)
    if error.detail is not None:
        failed.details.add().Pack(error.detail)
    aborted_detail = AnyMessage()
    aborted_detail.Pack(MultiOperationExecutionAborted())
    aborted = _Status(code=Code.ABORTED.value, message="Operation was aborted.", details=[aborted_detail])
    statuses = [failed, aborted] if index == 0 else [aborted, failed]
    return MultiOperationFailed("MultiOperation could not be executed.", statuses, error.code)
