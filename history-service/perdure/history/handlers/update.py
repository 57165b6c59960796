"""UpdateWorkflowExecution, PollWorkflowExecutionUpdate, ExecuteMultiOperation."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.api.common.v1 import Link, WorkflowExecution
from temporalio.api.enums.v1 import EventType, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.update.v1 import Outcome, UpdateRef
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from perdure.history import histories
from perdure.history.engine import Engine
from perdure.history.kinds.workflow import LoadedExecution, UpdateNews
from perdure.history.machines import update
from perdure.history.machines.update import cut_short
from perdure.history.state.execution import UpdateStage
from perdure.history.transition import Transition
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import NotFound

_Stage = UpdateWorkflowExecutionLifecycleStage
_ADMITTED = _Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
_ACCEPTED = _Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
_COMPLETED = _Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED

_STAGES: dict[UpdateStage, _Stage.ValueType] = {
    UpdateStage.ADMITTED: _ADMITTED,
    UpdateStage.SENT: _ADMITTED,
    UpdateStage.ACCEPTED: _ACCEPTED,
    UpdateStage.COMPLETED: _COMPLETED,
}


async def update_workflow_execution(
    engine: Engine, call: Call, request: UpdateWorkflowExecutionRequest
) -> UpdateWorkflowExecutionResponse:
    """Admit an update, once per update id, and wait for the stage that the caller wants, at most for a while."""
    execution = request.workflow_execution
    loaded = await engine.get(call, execution.workflow_id, execution.run_id)
    return await update_loaded(engine, call, loaded, request)


async def update_loaded(
    engine: Engine, call: Call, loaded: LoadedExecution, request: UpdateWorkflowExecutionRequest
) -> UpdateWorkflowExecutionResponse:
    """As `update_workflow_execution`, on a run that was just looked up."""

    def admit(tx: Transition) -> None:
        if request.first_execution_run_id and tx.state.first_run_id != request.first_execution_run_id:
            raise NotFound("workflow execution not found")
        update.admit(tx, request.request)

    engine.decide(call.namespace, loaded, admit)
    update_id = request.request.meta.update_id
    stage, outcome = await _wait(engine, call, loaded, update_id, request.wait_policy.lifecycle_stage)
    response = UpdateWorkflowExecutionResponse(update_ref=_reference(loaded, update_id), outcome=outcome, stage=stage)
    response.link.CopyFrom(_link(call, loaded, request, stage, outcome))
    return response


def _reference(loaded: LoadedExecution, update_id: str) -> UpdateRef:
    return UpdateRef(
        workflow_execution=WorkflowExecution(workflow_id=loaded.key.workflow_id, run_id=loaded.key.run_id),
        update_id=update_id,
    )


def _link(
    call: Call,
    loaded: LoadedExecution,
    request: UpdateWorkflowExecutionRequest,
    stage: _Stage.ValueType,
    outcome: Outcome | None,
) -> Link:
    where: dict[str, Any] = {
        "namespace": str(call.namespace.name),
        "workflow_id": str(loaded.key.workflow_id),
        "run_id": str(loaded.key.run_id),
    }
    if stage == _COMPLETED and outcome is not None and outcome.HasField("failure"):
        return Link(workflow=Link.Workflow(**where, reason="Update rejected"))
    if stage not in (_ACCEPTED, _COMPLETED):
        return Link()
    event = Link.WorkflowEvent(**where)
    event.request_id_ref.request_id = request.request.request_id
    event.request_id_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    return Link(workflow_event=event)


async def poll_workflow_execution_update(
    engine: Engine, call: Call, request: PollWorkflowExecutionUpdateRequest
) -> PollWorkflowExecutionUpdateResponse:
    """Wait for an update that was sent earlier."""
    reference = request.update_ref
    execution = reference.workflow_execution
    loaded = await engine.get(call, execution.workflow_id, execution.run_id)
    if reference.update_id not in loaded.state.updates:
        raise NotFound(f'update "{reference.update_id}" not found')
    stage, outcome = await _wait(engine, call, loaded, reference.update_id, request.wait_policy.lifecycle_stage)
    return PollWorkflowExecutionUpdateResponse(
        outcome=outcome, stage=stage, update_ref=_reference(loaded, reference.update_id)
    )


async def _wait(
    engine: Engine, call: Call, loaded: LoadedExecution, update_id: str, wanted: _Stage.ValueType
) -> tuple[_Stage.ValueType, Outcome | None]:
    """Where the update is once it has come as far as wanted, or when time is up."""
    now = engine.runtime.clock.now_ns()
    deadline = min(now + engine.limits.long_poll_ns, call.deadline_ns or now + engine.limits.long_poll_ns)
    try:
        async with asyncio.timeout((deadline - now) / SECOND_NS):
            while True:
                known = loaded.state.updates.get(update_id)
                if known is None or (not loaded.state.running and known.stage is not UpdateStage.COMPLETED):
                    await loaded.committed()
                    return _COMPLETED, Outcome(failure=cut_short())
                stage = _STAGES[known.stage]
                if stage >= wanted:
                    await loaded.committed()
                    return stage, await _outcome(engine, loaded, known.completed_event_id)
                news = await _news(loaded, update_id)
                if news.error is not None:
                    raise news.error
                if news.outcome is not None:
                    return _COMPLETED, news.outcome
    except TimeoutError:
        await loaded.committed()
        known = loaded.state.updates.get(update_id)
        return (_STAGES[known.stage] if known is not None else _ADMITTED), None


async def _news(loaded: LoadedExecution, update_id: str) -> UpdateNews:
    waiter: asyncio.Future[UpdateNews] = asyncio.get_running_loop().create_future()
    waiters = loaded.update_waiters.setdefault(update_id, [])
    waiters.append(waiter)
    try:
        return await waiter
    finally:
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters and loaded.update_waiters.get(update_id) is waiters:
            del loaded.update_waiters[update_id]


async def _outcome(engine: Engine, loaded: LoadedExecution, completed_event_id: int) -> Outcome | None:
    if not completed_event_id:
        return None
    event = await histories.event(loaded.shard, loaded, completed_event_id)
    return event.workflow_execution_update_completed_event_attributes.outcome
