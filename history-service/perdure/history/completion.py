"""PURE: the end of a workflow task, from the worker's answer to what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import TimeoutType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure, ServerFailureInfo
from temporalio.api.protocol.v1 import Message
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from perdure.history import commands
from perdure.history.commands import Batch, CommandFailure
from perdure.history.effects import OfferActivityTask
from perdure.history.machines import activity, update, workflow, workflow_task
from perdure.history.state.execution import Activity, WorkflowTask
from perdure.history.state.versioning import in_transition
from perdure.history.transition import Transition
from perdure.kernel.errors import FailedPrecondition
from perdure.kernel.namespace import Namespace
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.tokens import WorkflowTaskToken


@dataclass(slots=True)
class Completion:
    """What the worker gets back: activities and a workflow task to go on with, if any."""

    activities: list[Activity] = field(default_factory=list)
    task: WorkflowTask | None = None
    messages: list[Message] = field(default_factory=list)
    heartbeat_timed_out: bool = False
    #: The event from which the worker's cache is to be wound back; set when a speculative task was dropped.
    reset_history_event_id: int = 0


def complete(
    tx: Transition,
    token: WorkflowTaskToken,
    request: RespondWorkflowTaskCompletedRequest,
    namespaces: Mapping[str, Namespace],
    endpoints: Mapping[str, NexusEndpoint] = {},
) -> Completion:
    """Take the worker's answer.

    Raises:
        NotFound: the task is not running any more.
        FailedPrecondition: the run is paused, and another task is asked for.
        CommandFailure: a command cannot be carried out; `fail` is to be called instead.
    """
    task = workflow_task.of_token(tx.state, token)
    if tx.state.holds_tasks and request.force_create_new_workflow_task:
        raise FailedPrecondition("Workflow is paused and force create new workflow task is not allowed.")
    done = Completion()
    only_heartbeat = request.force_create_new_workflow_task and not request.commands and not request.messages
    if only_heartbeat and tx.now > task.original_scheduled_at + tx.limits.workflow_task_heartbeat_timeout_ns:
        workflow_task.time_out(tx, task, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
        workflow_task.schedule(tx)
        done.heartbeat_timed_out = True
        return done
    heartbeat_since = task.original_scheduled_at if only_heartbeat else 0
    completed_event_id = workflow_task.complete(tx, task, request)
    workflow_task.set_sticky(tx, request)
    batch = Batch(
        completed_event_id,
        request.identity,
        namespaces,
        {message.id: message for message in request.messages},
        endpoints=endpoints,
    )
    commands.apply(tx, request.commands, batch)
    if tx.state.running:
        if not request.force_create_new_workflow_task:
            update.reject_unprocessed(tx)
        _check_history_limits(tx)
    _follow_up(tx, request, batch, done, heartbeat_since)
    if not completed_event_id:
        done.reset_history_event_id = tx.state.completed_task_started_event_id
    return done


def _check_history_limits(tx: Transition) -> None:
    """A history that outgrows its limits ends the run: continue-as-new was suggested long before."""
    state, limits = tx.state, tx.limits
    if limits.history_count_max and state.next_event_id - 1 > limits.history_count_max:
        workflow.terminate(tx, "Workflow history count exceeds limit.", None, workflow.SERVER_IDENTITY)
    elif limits.history_size_max and state.history_size > limits.history_size_max:
        workflow.terminate(tx, "Workflow history size exceeds limit.", None, workflow.SERVER_IDENTITY)


def _follow_up(
    tx: Transition,
    request: RespondWorkflowTaskCompletedRequest,
    batch: Batch,
    done: Completion,
    heartbeat_since: int,
) -> None:
    state = tx.state
    news = bool(state.buffered)
    tx.flush_buffer()
    if not state.running:
        return
    moving = in_transition(state.versioning)
    # This worker may not be of the version that the run is going to.
    inline = request.return_new_workflow_task and not moving
    if request.force_create_new_workflow_task or news or batch.wants_task or moving:
        workflow_task.schedule(tx, offer=not inline)
        if heartbeat_since:
            workflow_task.continue_heartbeat(tx, heartbeat_since)
    elif update.any_waiting(tx):
        workflow_task.schedule(tx, speculative=True, offer=not inline)
    if inline and state.workflow_task is not None:
        done.task = workflow_task.start_now(
            tx, request.identity, tx.entropy.uuid(), version_changed=state.notified_target is not None
        )
        done.messages = update.send(tx, done.task)
    for scheduled_event_id in batch.eager:
        if moving:
            tx.effect(OfferActivityTask(scheduled_event_id))
        elif scheduled_event_id in state.activities:
            stamp = state.activities[scheduled_event_id].stamp
            done.activities.append(activity.start(tx, scheduled_event_id, stamp, request.identity))


def fail(tx: Transition, token: WorkflowTaskToken, failure: CommandFailure, identity: str, checksum: str) -> bool:
    """Fail the task whose commands made no sense. Returns whether that is recorded: repeated nonsense is left to time
    out, so that a broken worker does not spin.

    Raises:
        NotFound: the task is not running any more.
    """
    task = workflow_task.of_token(tx.state, token)
    unhandled = failure.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
    if task.attempt > 1 and not unhandled:
        return False
    details = Failure(message=str(failure), server_failure_info=ServerFailureInfo())
    workflow_task.fail(tx, task, failure.cause, details, identity, checksum)
    if failure.terminate:
        workflow.terminate(tx, str(failure), None, workflow.SERVER_IDENTITY)
    else:
        workflow_task.schedule(tx)
    return True
