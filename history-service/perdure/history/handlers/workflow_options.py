"""Changes of a run's options."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    UpdateWorkflowExecutionOptionsRequest,
    UpdateWorkflowExecutionOptionsResponse,
)

from perdure.history.engine import Engine
from perdure.history.machines import workflow_options
from perdure.kernel.call import Call


async def update_workflow_execution_options(
    engine: Engine, call: Call, request: UpdateWorkflowExecutionOptionsRequest
) -> UpdateWorkflowExecutionOptionsResponse:
    """Take over the options that the mask names."""
    execution = request.workflow_execution
    _, options = await engine.update(
        call,
        execution.workflow_id,
        execution.run_id,
        lambda tx: workflow_options.update(
            tx, request.workflow_execution_options, request.update_mask.paths, request.identity
        ),
    )
    return UpdateWorkflowExecutionOptionsResponse(workflow_execution_options=options)
