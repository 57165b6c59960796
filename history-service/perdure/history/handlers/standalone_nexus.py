"""Standalone Nexus operations: start, look at, wait for, cancel, terminate, delete."""

from __future__ import annotations

from temporalio.api.enums.v1 import (
    NexusOperationExecutionStatus,
    NexusOperationIdConflictPolicy,
    NexusOperationIdReusePolicy,
    NexusOperationWaitStage,
)
from temporalio.api.workflowservice.v1 import (
    DeleteNexusOperationExecutionRequest,
    DeleteNexusOperationExecutionResponse,
    DescribeNexusOperationExecutionRequest,
    DescribeNexusOperationExecutionResponse,
    PollNexusOperationExecutionRequest,
    PollNexusOperationExecutionResponse,
    RequestCancelNexusOperationExecutionRequest,
    RequestCancelNexusOperationExecutionResponse,
    StartNexusOperationExecutionRequest,
    StartNexusOperationExecutionResponse,
    TerminateNexusOperationExecutionRequest,
    TerminateNexusOperationExecutionResponse,
)

from perdure.history.engine import Engine
from perdure.history.handlers import watching
from perdure.history.kinds.operation import LoadedOperation
from perdure.history.machines import standalone_nexus
from perdure.history.machines.standalone_nexus import StandaloneOperation
from perdure.history.nexus_info import operation_info
from perdure.history.state.operation_execution import OperationExecution
from perdure.kernel.call import Call
from perdure.kernel.errors import NexusOperationExecutionAlreadyStarted, NotFound, PermissionDenied
from perdure.kernel.ids import ExecutionKind, NamespaceId, RunId, WorkflowId, WorkflowKey

_Reuse = NexusOperationIdReusePolicy
_Stage = NexusOperationWaitStage
_USE_EXISTING = NexusOperationIdConflictPolicy.NEXUS_OPERATION_ID_CONFLICT_POLICY_USE_EXISTING
_SUCCEEDED = NexusOperationExecutionStatus.NEXUS_OPERATION_EXECUTION_STATUS_COMPLETED
_DELETION_REASON = "Delete nexus operation execution"


async def start_nexus_operation_execution(
    engine: Engine, call: Call, request: StartNexusOperationExecutionRequest
) -> StartNexusOperationExecutionResponse:
    """Start a run, subject to the id-reuse and id-conflict policies; a repeated request id finds the run it started.

    Raises:
        NexusOperationExecutionAlreadyStarted: the policies forbid another run.
        NotFound, PermissionDenied: there is no such endpoint, or it is not for callers from here.
    """
    endpoint = await engine.endpoints.by_name(call.namespace.account_id, request.endpoint)
    if endpoint is None:
        raise NotFound(f"could not find Nexus endpoint by name: {request.endpoint}")
    if not endpoint.may_be_called_by(call.namespace):
        raise PermissionDenied(f'caller namespace "{call.namespace.name}" unauthorized for "{request.endpoint}"')
    key = WorkflowKey(NamespaceId(call.namespace_id), WorkflowId(request.operation_id), ExecutionKind.NEXUS_OPERATION)
    shard = engine.shard_of(key)
    existing = await engine.current_as(LoadedOperation, call, request.operation_id)
    loaded = existing if existing is not None and _stands_in(request, existing.state) else None
    is_new = loaded is None
    if loaded is None:
        run_id = RunId(engine.runtime.entropy.uuid_at(engine.runtime.clock.now_ns()))
        state = OperationExecution(key.namespace_id, key.workflow_id, run_id)
        tx = shard.begin(LoadedOperation, state, call.namespace)
        standalone_nexus.begin(tx, request, endpoint.id)
        loaded = shard.create(LoadedOperation, tx)
    await loaded.committed()
    return StartNexusOperationExecutionResponse(run_id=loaded.key.run_id, started=is_new)


def _stands_in(request: StartNexusOperationExecutionRequest, state: OperationExecution) -> bool:
    """Whether the existing run stands in for a new one."""
    if state.request_id == request.request_id:
        return True
    if state.running:
        if request.id_conflict_policy == _USE_EXISTING:
            return True
    else:
        reuse = request.id_reuse_policy
        if reuse == _Reuse.NEXUS_OPERATION_ID_REUSE_POLICY_ALLOW_DUPLICATE:
            return False
        failed_only = reuse == _Reuse.NEXUS_OPERATION_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
        if failed_only and state.status != _SUCCEEDED:
            return False
    raise NexusOperationExecutionAlreadyStarted(
        f"nexus operation execution already started: request_id={state.request_id}, run_id={state.run_id}",
        state.request_id,
        state.run_id,
    )


async def describe_nexus_operation_execution(
    engine: Engine, call: Call, request: DescribeNexusOperationExecutionRequest
) -> DescribeNexusOperationExecutionResponse:
    """A run as it is now; with a token, as soon as it is no longer as it was when the token was made.

    Empty if nothing has happened while the caller could wait.
    """
    loaded = await engine.get_as(LoadedOperation, call, request.operation_id, request.run_id)
    if request.long_poll_token:
        news = await watching.changed(engine, call, loaded, request.long_poll_token)
        if news is None:
            return DescribeNexusOperationExecutionResponse()
        loaded = news
    state = loaded.state
    response = DescribeNexusOperationExecutionResponse(
        run_id=state.run_id,
        info=operation_info(state, engine.runtime.clock.now_ns()),
        long_poll_token=watching.sighting(loaded),
    )
    scheduled = state.operation.scheduled
    if request.include_input and scheduled.HasField("input"):
        response.input.CopyFrom(scheduled.input)
    if request.include_outcome:
        _set_outcome(response, state)
    await loaded.committed()
    return response


async def poll_nexus_operation_execution(
    engine: Engine, call: Call, request: PollNexusOperationExecutionRequest
) -> PollNexusOperationExecutionResponse:
    """How a run ended, or that its handler has begun, as soon as it has; empty if that takes longer than the caller
    could wait.
    """
    loaded = await engine.get_as(LoadedOperation, call, request.operation_id, request.run_id)
    enough = _started if request.wait_stage == _Stage.NEXUS_OPERATION_WAIT_STAGE_STARTED else _closed
    reached = await watching.until(engine, call, loaded, enough)
    if reached is None:
        return PollNexusOperationExecutionResponse()
    state = reached.state
    response = PollNexusOperationExecutionResponse(
        run_id=state.run_id,
        wait_stage=_Stage.NEXUS_OPERATION_WAIT_STAGE_CLOSED
        if _closed(state)
        else _Stage.NEXUS_OPERATION_WAIT_STAGE_STARTED,
        operation_token=state.operation.token,
    )
    _set_outcome(response, state)
    await reached.committed()
    return response


def _closed(state: OperationExecution) -> bool:
    return not state.running


def _started(state: OperationExecution) -> bool:
    return state.operation.started or not state.running


def _set_outcome(
    response: DescribeNexusOperationExecutionResponse | PollNexusOperationExecutionResponse, state: OperationExecution
) -> None:
    if state.result is not None:
        response.result.CopyFrom(state.result)
    elif state.failure is not None:
        response.failure.CopyFrom(state.failure)


async def request_cancel_nexus_operation_execution(
    engine: Engine, call: Call, request: RequestCancelNexusOperationExecutionRequest
) -> RequestCancelNexusOperationExecutionResponse:
    """Ask the handler to give up."""

    def decide(tx: StandaloneOperation) -> None:
        standalone_nexus.request_cancel(tx, request.identity, request.reason, request.request_id)

    await engine.update_as(LoadedOperation, call, request.operation_id, request.run_id, decide)
    return RequestCancelNexusOperationExecutionResponse()


async def terminate_nexus_operation_execution(
    engine: Engine, call: Call, request: TerminateNexusOperationExecutionRequest
) -> TerminateNexusOperationExecutionResponse:
    """End a run at once."""

    def decide(tx: StandaloneOperation) -> None:
        standalone_nexus.terminate(tx, request.identity, request.reason, request.request_id)

    await engine.update_as(LoadedOperation, call, request.operation_id, request.run_id, decide)
    return TerminateNexusOperationExecutionResponse()


async def delete_nexus_operation_execution(
    engine: Engine, call: Call, request: DeleteNexusOperationExecutionRequest
) -> DeleteNexusOperationExecutionResponse:
    """Remove a run; one that has not ended is terminated first."""
    loaded = await engine.get_as(LoadedOperation, call, request.operation_id, request.run_id)
    if loaded.state.running:
        engine.decide(call.namespace, loaded, lambda tx: standalone_nexus.terminate(tx, "", _DELETION_REASON, ""))
        await loaded.committed()
        loaded = await engine.get_as(LoadedOperation, call, request.operation_id, loaded.key.run_id)
    await loaded.shard.delete(loaded).wait()
    return DeleteNexusOperationExecutionResponse()
