"""What operators do to standalone activities. The same calls with a workflow id mean an activity of that workflow."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseActivityExecutionRequest,
    PauseActivityExecutionResponse,
    PauseActivityRequest,
    ResetActivityExecutionRequest,
    ResetActivityExecutionResponse,
    ResetActivityRequest,
    UnpauseActivityExecutionRequest,
    UnpauseActivityExecutionResponse,
    UnpauseActivityRequest,
    UpdateActivityExecutionOptionsRequest,
    UpdateActivityExecutionOptionsResponse,
    UpdateActivityOptionsRequest,
)

from perdure.history.engine import Engine
from perdure.history.handlers import activity_control
from perdure.history.kinds.activity import LoadedActivity
from perdure.history.machines import standalone_control
from perdure.history.machines.standalone_activity import Standalone
from perdure.kernel.call import Call
from perdure.kernel.prototime import length_ns


async def pause_activity_execution(
    engine: Engine, call: Call, request: PauseActivityExecutionRequest
) -> PauseActivityExecutionResponse:
    if request.workflow_id:
        in_workflow = PauseActivityRequest(
            execution=WorkflowExecution(workflow_id=request.workflow_id, run_id=request.run_id),
            id=request.activity_id,
            identity=request.identity,
            reason=request.reason,
            request_id=request.request_id,
        )
        await activity_control.pause_activity(engine, call, in_workflow)
        return PauseActivityExecutionResponse()

    def decide(tx: Standalone) -> None:
        standalone_control.pause(tx, request.identity, request.reason, request.request_id)

    await engine.update_as(LoadedActivity, call, request.activity_id, request.run_id, decide)
    return PauseActivityExecutionResponse()


async def unpause_activity_execution(
    engine: Engine, call: Call, request: UnpauseActivityExecutionRequest
) -> UnpauseActivityExecutionResponse:
    if request.workflow_id:
        in_workflow = UnpauseActivityRequest(
            execution=WorkflowExecution(workflow_id=request.workflow_id, run_id=request.run_id),
            id=request.activity_id,
            jitter=request.jitter,
        )
        await activity_control.unpause_activity(engine, call, in_workflow)
        return UnpauseActivityExecutionResponse()

    def decide(tx: Standalone) -> None:
        standalone_control.unpause(tx, length_ns(request.jitter), request.request_id)

    await engine.update_as(LoadedActivity, call, request.activity_id, request.run_id, decide)
    return UnpauseActivityExecutionResponse()


async def reset_activity_execution(
    engine: Engine, call: Call, request: ResetActivityExecutionRequest
) -> ResetActivityExecutionResponse:
    if request.workflow_id:
        in_workflow = ResetActivityRequest(
            execution=WorkflowExecution(workflow_id=request.workflow_id, run_id=request.run_id),
            id=request.activity_id,
            reset_heartbeat=request.reset_heartbeat,
            keep_paused=request.keep_paused,
            restore_original_options=request.restore_original_options,
            jitter=request.jitter,
        )
        await activity_control.reset_activity(engine, call, in_workflow)
        return ResetActivityExecutionResponse()

    def decide(tx: Standalone) -> None:
        standalone_control.reset(
            tx,
            reset_heartbeat=request.reset_heartbeat,
            keep_paused=request.keep_paused,
            restore_options=request.restore_original_options,
            jitter=length_ns(request.jitter),
            request_id=request.request_id,
        )

    await engine.update_as(LoadedActivity, call, request.activity_id, request.run_id, decide)
    return ResetActivityExecutionResponse()


async def update_activity_execution_options(
    engine: Engine, call: Call, request: UpdateActivityExecutionOptionsRequest
) -> UpdateActivityExecutionOptionsResponse:
    if request.workflow_id:
        in_workflow = UpdateActivityOptionsRequest(
            execution=WorkflowExecution(workflow_id=request.workflow_id, run_id=request.run_id),
            id=request.activity_id,
            activity_options=request.activity_options,
            update_mask=request.update_mask,
            restore_original=request.restore_original,
        )
        changed = await activity_control.update_activity_options(engine, call, in_workflow)
        return UpdateActivityExecutionOptionsResponse(activity_options=changed.activity_options)

    def decide(tx: Standalone) -> UpdateActivityExecutionOptionsResponse:
        given = None if request.restore_original else request.activity_options
        now = standalone_control.update_options(tx, given, request.update_mask.paths, request.request_id)
        return UpdateActivityExecutionOptionsResponse(activity_options=now)

    _, response = await engine.update_as(LoadedActivity, call, request.activity_id, request.run_id, decide)
    return response
