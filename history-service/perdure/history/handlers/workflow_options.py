"""Changes of a run's options."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    UpdateWorkflowExecutionOptionsRequest,
    UpdateWorkflowExecutionOptionsResponse,
)

from perdure.history.engine import Engine
from perdure.history.handlers.versioning import check_override
from perdure.history.machines import workflow_options
from perdure.kernel.call import Call


async def update_workflow_execution_options(
    engine: Engine, call: Call, request: UpdateWorkflowExecutionOptionsRequest
) -> UpdateWorkflowExecutionOptionsResponse:
    """Take over the options that the mask names."""
    execution, wanted = request.workflow_execution, request.workflow_execution_options
    if wanted.HasField("versioning_override") and "versioning_override" in request.update_mask.paths:
        loaded = await engine.get(call, execution.workflow_id, execution.run_id)
        state = loaded.state
        check_override(engine, state.namespace_id, state.task_queue, wanted.versioning_override)
    _, options = await engine.update(
        call,
        execution.workflow_id,
        execution.run_id,
        lambda tx: workflow_options.update(tx, wanted, request.update_mask.paths, request.identity),
    )
    return UpdateWorkflowExecutionOptionsResponse(workflow_execution_options=options)
