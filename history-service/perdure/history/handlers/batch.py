"""Batch jobs: start, stop and describe. Lists of them are the gateway's."""

from __future__ import annotations

from temporalio.api.common.v1 import Execution as AnyExecution
from temporalio.api.enums.v1 import BatchOperationState, ExecutionType, WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeBatchOperationResponse,
    StartBatchOperationRequest,
    StartBatchOperationResponse,
    StopBatchOperationRequest,
    StopBatchOperationResponse,
)

from perdure.history.engine import Engine
from perdure.history.kinds.batch import LoadedBatch
from perdure.history.machines import batch
from perdure.history.state.batch import Batch
from perdure.kernel.batch_operations import identity, kind_of, operation_type
from perdure.kernel.call import Call
from perdure.kernel.errors import WorkflowExecutionAlreadyStarted
from perdure.kernel.ids import ExecutionKind, NamespaceId, RunId, WorkflowId, WorkflowKey
from perdure.kernel.prototime import timestamp

_STATES = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING: BatchOperationState.BATCH_OPERATION_STATE_RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED: BatchOperationState.BATCH_OPERATION_STATE_COMPLETED,
}


def batch_state(status: int) -> BatchOperationState.ValueType:
    """How a job of this status is shown: what did not end by itself has failed."""
    return _STATES.get(status, BatchOperationState.BATCH_OPERATION_STATE_FAILED)  # type: ignore[call-overload,no-any-return]


async def start_batch_operation(
    engine: Engine, call: Call, request: StartBatchOperationRequest
) -> StartBatchOperationResponse:
    """Start a job under an id that was never used."""
    key = WorkflowKey(NamespaceId(call.namespace_id), WorkflowId(request.job_id), ExecutionKind.BATCH)
    existing = await engine.current_as(LoadedBatch, call, request.job_id)
    if existing is not None:
        await existing.committed()
        run_id = existing.key.run_id
        message = f"Workflow execution is already running. WorkflowId: {request.job_id}, RunId: {run_id}."
        if not existing.state.running:
            message = (
                f"Workflow execution already finished. WorkflowId: {request.job_id}, RunId: {run_id}. "
                "Workflow Id reuse policy: reject duplicate workflow Id."
            )
        raise WorkflowExecutionAlreadyStarted(message, "", run_id, run_id)
    shard = engine.shard_of(key)
    run_id = RunId(engine.runtime.entropy.uuid_at(engine.runtime.clock.now_ns()))
    tx = shard.begin(LoadedBatch, Batch(key.namespace_id, key.workflow_id, run_id), call.namespace)
    batch.start(tx, request)
    await shard.create(LoadedBatch, tx).committed()
    return StartBatchOperationResponse()


async def stop_batch_operation(
    engine: Engine, call: Call, request: StopBatchOperationRequest
) -> StopBatchOperationResponse:
    """Let a job do nothing more."""
    await engine.update_as(LoadedBatch, call, request.job_id, "", lambda tx: batch.stop(tx, request.reason))
    return StopBatchOperationResponse()


async def describe_batch_operation(
    engine: Engine, call: Call, request: DescribeBatchOperationRequest
) -> DescribeBatchOperationResponse:
    """What a job is to do, and how far it has got."""
    loaded = await engine.get_as(LoadedBatch, call, request.job_id)
    state, start = loaded.state, loaded.state.request
    total = state.completed + state.failed if not state.running else state.total or 0
    response = DescribeBatchOperationResponse(
        operation_type=operation_type(start),
        job_id=state.workflow_id,
        state=batch_state(state.status),
        start_time=timestamp(state.started_at),
        total_operation_count=total,
        complete_operation_count=state.completed,
        failure_operation_count=state.failed,
        identity=identity(start),
        reason=start.reason,
        query=start.visibility_query,
        executions=start.target_executions or _executions(start),
    )
    if state.closed_at:
        response.close_time.CopyFrom(timestamp(state.closed_at))
    await loaded.committed()
    return response


def _executions(start: StartBatchOperationRequest) -> list[AnyExecution]:
    """Those that were listed under the older name."""
    kind = ExecutionType.EXECUTION_TYPE_WORKFLOW
    if kind_of(start) is ExecutionKind.ACTIVITY:
        kind = ExecutionType.EXECUTION_TYPE_ACTIVITY
    return [AnyExecution(type=kind, business_id=each.workflow_id, run_id=each.run_id) for each in start.executions]
