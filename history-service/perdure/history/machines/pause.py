"""Pause: an operator holds a run back. What comes from outside is taken in, and no worker gets anything of it."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause

from perdure.history.effects import OfferActivityTask
from perdure.history.machines import workflow, workflow_task
from perdure.history.state.changes import WorkflowTaskDropped
from perdure.history.state.execution import WorkflowTaskType
from perdure.history.transition import Transition
from perdure.kernel.errors import FailedPrecondition


def pause(tx: Transition, identity: str, reason: str, request_id: str) -> None:
    """Hold the run back; a repeated request changes nothing. What workers have already they may finish.

    Raises:
        NotFound: the run is closed.
        FailedPrecondition: somebody else has paused it.
    """
    state = tx.state
    if not state.running:
        raise workflow.already_completed()
    if state.pause is not None:
        if request_id and state.pause.request_id == request_id:
            return
        raise FailedPrecondition("workflow is already paused.")
    task = state.workflow_task
    if task is not None and not task.started_event_id and task.type is not WorkflowTaskType.NORMAL:
        # It is nowhere in the history, and what it was for makes another one later.
        tx.change(WorkflowTaskDropped(attempt=1))
    elif task is not None and not task.started_event_id:
        workflow_task.fail(
            tx,
            task,
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_PAUSE_REQUESTED_BEFORE_TASK_STARTED,
            None,
            workflow.SERVER_IDENTITY,
        )
    tx.arrive(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED, identity=identity, reason=reason, request_id=request_id)


def unpause(tx: Transition, identity: str, reason: str, request_id: str) -> None:
    """Let the run go on.

    Raises:
        NotFound: the run is closed.
        FailedPrecondition: it is not paused.
    """
    state = tx.state
    if not state.running:
        raise workflow.already_completed()
    if state.pause is None:
        raise FailedPrecondition("workflow is not paused.")
    tx.arrive(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED, identity=identity, reason=reason, request_id=request_id)
    for key, activity in state.activities.items():
        if activity.waiting and activity.attempt_scheduled_at <= tx.now:
            tx.effect(OfferActivityTask(key))
    workflow_task.schedule(tx)
