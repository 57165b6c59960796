"""Pause and unpause of workflow runs."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    PauseWorkflowExecutionResponse,
    UnpauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionResponse,
)

from perdure.history.engine import Engine
from perdure.history.machines import pause
from perdure.kernel.call import Call


async def pause_workflow_execution(
    engine: Engine, call: Call, request: PauseWorkflowExecutionRequest
) -> PauseWorkflowExecutionResponse:
    """Hand out nothing of the run to workers until it is unpaused."""
    await engine.update(
        call,
        request.workflow_id,
        request.run_id,
        lambda tx: pause.pause(tx, request.identity, request.reason, request.request_id),
    )
    return PauseWorkflowExecutionResponse()


async def unpause_workflow_execution(
    engine: Engine, call: Call, request: UnpauseWorkflowExecutionRequest
) -> UnpauseWorkflowExecutionResponse:
    """Let the run go on, with a workflow task to begin with."""
    await engine.update(
        call,
        request.workflow_id,
        request.run_id,
        lambda tx: pause.unpause(tx, request.identity, request.reason, request.request_id),
    )
    return UnpauseWorkflowExecutionResponse()
