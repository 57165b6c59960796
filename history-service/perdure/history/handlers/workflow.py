"""Signal, request-cancel, terminate, delete and reset-sticky of one execution."""

from __future__ import annotations

import asyncio
import contextlib

from temporalio.api.common.v1 import Link, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DeleteWorkflowExecutionResponse,
    RequestCancelWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionResponse,
    ResetStickyTaskQueueRequest,
    ResetStickyTaskQueueResponse,
    SignalWorkflowExecutionRequest,
    SignalWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
)

from perdure.history.engine import Engine
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import workflow, workflow_task
from perdure.history.state.execution import Execution
from perdure.history.transition import Transition
from perdure.kernel.call import Call
from perdure.kernel.errors import NotFound


async def signal_workflow_execution(
    engine: Engine,
    call: Call,
    request: SignalWorkflowExecutionRequest,
    *,
    sender: WorkflowExecution | None = None,
    child_of: WorkflowExecution | None = None,
) -> SignalWorkflowExecutionResponse:
    """Deliver a signal, once per request id. `child_of`: only to a child of this parent."""

    def signal(tx: Transition) -> None:
        check_parent(tx.state, child_of)
        workflow.signal(
            tx,
            request.signal_name,
            request.input if request.HasField("input") else None,
            request.identity,
            request.header if request.HasField("header") else None,
            request.request_id,
            request.links,
            sender,
        )

    execution = request.workflow_execution
    loaded, _ = await engine.update(call, execution.workflow_id, execution.run_id, signal)
    link = Link.WorkflowEvent(
        namespace=call.namespace.name, workflow_id=loaded.key.workflow_id, run_id=loaded.key.run_id
    )
    link.request_id_ref.request_id = request.request_id
    link.request_id_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return SignalWorkflowExecutionResponse(link=Link(workflow_event=link))


async def request_cancel_workflow_execution(
    engine: Engine,
    call: Call,
    request: RequestCancelWorkflowExecutionRequest,
    *,
    requester: WorkflowExecution | None = None,
    initiated_event_id: int = 0,
    child_of: WorkflowExecution | None = None,
) -> RequestCancelWorkflowExecutionResponse:
    """Ask a workflow to cancel itself; asking again, or after it has closed, changes nothing."""

    def cancel(tx: Transition) -> None:
        if tx.state.running:
            check_first_run(tx.state, request.first_execution_run_id)
            check_parent(tx.state, child_of)
        workflow.request_cancel(
            tx, request.reason, request.identity, request.request_id, request.links, requester, initiated_event_id
        )

    execution = request.workflow_execution
    await engine.update(call, execution.workflow_id, _run_id(request), cancel)
    return RequestCancelWorkflowExecutionResponse()


async def terminate_workflow_execution(
    engine: Engine,
    call: Call,
    request: TerminateWorkflowExecutionRequest,
    *,
    child_of: WorkflowExecution | None = None,
) -> TerminateWorkflowExecutionResponse:
    """End a run at once."""

    def terminate(tx: Transition) -> None:
        if tx.state.running:
            check_first_run(tx.state, request.first_execution_run_id)
            check_parent(tx.state, child_of)
        workflow.terminate(
            tx,
            request.reason,
            request.details if request.HasField("details") else None,
            request.identity,
            request.links,
        )

    execution = request.workflow_execution
    await engine.update(call, execution.workflow_id, _run_id(request), terminate)
    return TerminateWorkflowExecutionResponse()


async def delete_workflow_execution(
    engine: Engine, call: Call, request: DeleteWorkflowExecutionRequest
) -> DeleteWorkflowExecutionResponse:
    """Remove a run with its history; one that is still running is terminated first."""
    execution = request.workflow_execution
    loaded = await engine.get(call, execution.workflow_id, execution.run_id)
    if loaded.state.running:
        engine.decide(
            call.namespace,
            loaded,
            lambda tx: workflow.terminate(tx, "Delete workflow execution", None, workflow.SERVER_IDENTITY),
        )
    await _settle(loaded)
    loaded = await engine.get(call, execution.workflow_id, loaded.key.run_id)
    commit = loaded.shard.delete(loaded)
    await commit.wait()
    return DeleteWorkflowExecutionResponse()


#: How long a deletion waits until parent, schedule and children have been told that the run is over, in seconds.
_SETTLE_S = 5.0


async def _settle(loaded: LoadedExecution) -> None:
    """Let a run that has just ended tell whom it concerns, as there is nothing left to tell it from afterwards."""
    await loaded.committed()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE_S):
            while loaded.state.owes_parent or loaded.state.owes_schedule or loaded.state.orphans:
                await loaded.next_commit()


async def reset_sticky_task_queue(
    engine: Engine, call: Call, request: ResetStickyTaskQueueRequest
) -> ResetStickyTaskQueueResponse:
    """Let any worker have the next workflow task."""
    execution = request.execution

    def reset(tx: Transition) -> None:
        if not tx.state.running:
            raise workflow.already_completed()
        workflow_task.reset_sticky(tx)

    await engine.update(call, execution.workflow_id, execution.run_id, reset)
    return ResetStickyTaskQueueResponse()


def _run_id(request: RequestCancelWorkflowExecutionRequest | TerminateWorkflowExecutionRequest) -> str:
    """The run that is meant. Whoever names the first run of a chain means the current one, whichever else is named."""
    return "" if request.first_execution_run_id else request.workflow_execution.run_id


def check_first_run(state: Execution, first_run_id: str) -> None:
    """Raises NotFound if the caller means another chain of runs."""
    if first_run_id and state.first_run_id != first_run_id:
        raise NotFound("workflow execution not found")


def check_parent(state: Execution, parent: WorkflowExecution | None) -> None:
    """Raises NotFound if the caller means only children of its own."""
    if parent is None:
        return
    actual = state.started.parent_workflow_execution
    if actual.workflow_id != parent.workflow_id or actual.run_id != parent.run_id:
        raise NotFound("workflow parent does not match")
