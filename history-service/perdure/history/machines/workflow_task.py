"""The workflow task: scheduled, started, and its ends.

At most one is pending. A first attempt is NORMAL: its events are written as they happen. A retry is TRANSIENT and one
that only delivers updates is SPECULATIVE: their events are written when they complete, so that a workflow whose code
fails a thousand times, or rejects a thousand updates, has a short history. When any other event arrives before such a
task starts, it gives way to a normal one, since the event ids it was promised are taken.
"""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import (
    EventType,
    SuggestContinueAsNewReason,
    TaskQueueKind,
    TimeoutType,
    WorkflowTaskFailedCause,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from perdure.history.effects import OfferActivityTask, OfferWorkflowTask
from perdure.history.state.changes import (
    HeartbeatContinued,
    StickySet,
    UpdatesUnsent,
    WorkflowTaskDropped,
    WorkflowTaskNormalized,
    WorkflowTaskScheduled,
    WorkflowTaskStarted,
)
from perdure.history.state.execution import Execution, UpdateStage, WorkflowTask, WorkflowTaskType
from perdure.history.state.versioning import UNSPECIFIED, directive, in_transition, message_of, of_worker
from perdure.history.transition import Transition
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import NotFound
from perdure.kernel.prototime import duration, length_ns
from perdure.kernel.rpc import TaskObsolete
from perdure.kernel.tokens import WorkflowTaskToken

#: Retries back off from the attempt after this one; an attempt's time-out includes the back-off, since workers
#: keep silent about repeated failures and let them time out.
_ATTEMPTS_WITHOUT_BACKOFF = 3
_FIRST_BACKOFF_NS = 5 * SECOND_NS


def schedule(tx: Transition, *, speculative: bool = False, offer: bool = True, despite_delay: bool = False) -> None:
    """Have a workflow task pending; does nothing if one is, or if the run is closed, paused, or waits for its first."""
    state = tx.state
    if state.workflow_task is not None or not state.running or state.holds_tasks:
        return
    if waits_for_first_task(state, tx.now) and not despite_delay:
        return
    queue, sticky = (state.sticky_queue, True) if state.sticky_queue else (state.task_queue, False)
    timeout = _timeout(tx)
    # The first task is due in any case.
    speculative = speculative and bool(state.completed_task_event_id)
    if state.workflow_task_attempt > 1 or speculative:
        task_type = WorkflowTaskType.TRANSIENT if state.workflow_task_attempt > 1 else WorkflowTaskType.SPECULATIVE
        tx.change(WorkflowTaskScheduled(task_type, tx.now, timeout, queue, sticky))
    else:
        _record_scheduled(tx, queue, sticky, timeout, attempt=1)
    if offer:
        tx.effect(OfferWorkflowTask())


def waits_for_first_task(state: Execution, now: int) -> bool:
    """Whether a start delay, cron slot or retry back-off keeps the run from its first workflow task."""
    return state.first_task_at > now and not state.completed_task_event_id


def _timeout(tx: Transition) -> int:
    timeout = length_ns(tx.state.started.workflow_task_timeout) or tx.limits.workflow_task_timeout_default_ns
    retries = tx.state.workflow_task_attempt - _ATTEMPTS_WITHOUT_BACKOFF
    if retries > 0:
        timeout += min(_FIRST_BACKOFF_NS << min(retries - 1, 32), tx.limits.workflow_task_retry_interval_max_ns)
    return timeout


def _record_scheduled(tx: Transition, queue: str, sticky: bool, timeout: int, attempt: int) -> None:
    task_queue: dict[str, object] = {"name": queue, "kind": TaskQueueKind.TASK_QUEUE_KIND_NORMAL}
    if sticky:
        task_queue |= {"kind": TaskQueueKind.TASK_QUEUE_KIND_STICKY, "normal_name": tx.state.task_queue}
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        task_queue=task_queue,
        start_to_close_timeout=duration(timeout),
        attempt=attempt,
    )


def start(
    tx: Transition,
    identity: str,
    request_id: str,
    scheduled_event_id: int,
    stamp: int,
    *,
    version_changed: bool = False,
) -> WorkflowTask:
    """A worker takes the pending task. `version_changed`: it is to know that its queue goes to another version now.

    Raises:
        TaskObsolete: this task is not the pending one, or somebody has it.
    """
    state = tx.state
    task = state.workflow_task
    if not state.running or task is None or task.started_event_id:
        raise TaskObsolete
    if task.scheduled_event_id != scheduled_event_id or task.attempt != stamp:
        raise TaskObsolete
    if task.type is not WorkflowTaskType.NORMAL and task.scheduled_event_id != state.next_event_id:
        _give_way(tx, task)
    return start_now(tx, identity, request_id, version_changed=version_changed)


def start_now(tx: Transition, identity: str, request_id: str, *, version_changed: bool = False) -> WorkflowTask:
    """Start the pending task without asking whose hint it was."""
    task = tx.state.workflow_task
    assert task is not None
    reasons = _continue_as_new_reasons(tx)
    size = tx.state.history_size
    if task.type is WorkflowTaskType.NORMAL:
        _record_started(tx, task, identity, request_id, reasons, size, version_changed)
    else:
        tx.change(WorkflowTaskStarted(tx.now, identity, request_id, bool(reasons), reasons, size, version_changed))
    started = tx.state.workflow_task
    assert started is not None
    return started


def _give_way(tx: Transition, task: WorkflowTask) -> None:
    queue, sticky, timeout = task.queue, task.sticky, task.timeout
    tx.change(WorkflowTaskNormalized())
    _record_scheduled(tx, queue, sticky, timeout, attempt=1)


def _record_started(
    tx: Transition,
    task: WorkflowTask,
    identity: str,
    request_id: str,
    reasons: list[int],
    size: int,
    version_changed: bool,
) -> None:
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        scheduled_event_id=task.scheduled_event_id,
        identity=identity,
        request_id=request_id,
        suggest_continue_as_new=bool(reasons),
        suggest_continue_as_new_reasons=reasons,
        history_size_bytes=size,
        target_worker_deployment_version_changed=version_changed,
    )


def _continue_as_new_reasons(tx: Transition) -> list[int]:
    state, limits = tx.state, tx.limits
    reasons: list[int] = []
    if state.history_size >= limits.history_size_suggest_continue_as_new:
        reasons.append(SuggestContinueAsNewReason.SUGGEST_CONTINUE_AS_NEW_REASON_HISTORY_SIZE_TOO_LARGE)
    if state.next_event_id > limits.history_count_suggest_continue_as_new:
        reasons.append(SuggestContinueAsNewReason.SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_HISTORY_EVENTS)
    if limits.total_updates_max and len(state.updates) >= limits.total_updates_max * 0.9:
        reasons.append(SuggestContinueAsNewReason.SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_UPDATES)
    return reasons


def of_token(state: Execution, token: WorkflowTaskToken) -> WorkflowTask:
    """The running workflow task that the token was given out for.

    Raises:
        NotFound: it ended, timed out, or was given to somebody else since.
    """
    task = state.workflow_task
    if (
        not state.running
        or task is None
        or not task.started_event_id
        or task.scheduled_event_id != token.scheduled_event_id
        or task.started_event_id != token.started_event_id
        or task.attempt != token.attempt
        or task.started_at != token.started_at_ns
    ):
        raise NotFound("Workflow task not found.")
    return task


def complete(tx: Transition, task: WorkflowTask, request: RespondWorkflowTaskCompletedRequest) -> int:
    """The worker has answered. Returns the completed event's id, or 0 if a speculative task is dropped without
    trace.
    """
    if task.type is WorkflowTaskType.SPECULATIVE and _leaves_no_trace(tx, request):
        tx.change(WorkflowTaskDropped(attempt=1))
        return 0
    if task.type is not WorkflowTaskType.NORMAL:
        _write_down(tx, task)
        task = tx.state.workflow_task or task
    options, before = request.deployment_options, directive(tx.state.versioning)
    was_in_transition = in_transition(tx.state.versioning)
    version = of_worker(options)
    event = tx.record(
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        scheduled_event_id=task.scheduled_event_id,
        started_event_id=task.started_event_id,
        identity=request.identity,
        binary_checksum=request.binary_checksum,
        worker_version=request.worker_version_stamp if request.HasField("worker_version_stamp") else None,
        sdk_metadata=request.sdk_metadata if request.HasField("sdk_metadata") else None,
        metering_metadata=request.metering_metadata if request.HasField("metering_metadata") else None,
        worker_deployment_name=options.deployment_name,
        # Workers name a default even if they have no version.
        versioning_behavior=request.versioning_behavior if version else UNSPECIFIED,
        deployment_version=message_of(version),
    )
    arrived = was_in_transition and not in_transition(tx.state.versioning)
    if arrived or directive(tx.state.versioning) != before:
        offer_activities(tx)
    return event.event_id


def offer_activities(tx: Transition) -> None:
    """The run is bound to its workers otherwise than before: activities that wait go where they belong now."""
    for scheduled_event_id, activity in tx.state.activities.items():
        if activity.waiting:
            tx.effect(OfferActivityTask(scheduled_event_id))


#: A speculative task that carried more events than this along is written, so that they are not sent again and again.
_EVENTS_DROPPED_MAX = 10


def _leaves_no_trace(tx: Transition, request: RespondWorkflowTaskCompletedRequest) -> bool:
    if request.commands or request.force_create_new_workflow_task:
        return False
    if tx.state.buffered:
        # What arrived meanwhile comes after this task, so the task has to be there.
        return False
    events_carried = tx.state.next_event_id - tx.state.completed_task_started_event_id - 2
    allowed = _EVENTS_DROPPED_MAX if request.capabilities.discard_speculative_workflow_task_with_events else 0
    if events_carried > allowed:
        return False
    return all(message.body.TypeName() == "temporal.api.update.v1.Rejection" for message in request.messages)


def _write_down(tx: Transition, task: WorkflowTask) -> None:
    """Give a transient or speculative task the events that it has done without until now."""
    kept = (task.identity, task.request_id, list(task.suggest_reasons), task.history_size, task.version_changed)
    queue, sticky, timeout, attempt = task.queue, task.sticky, task.timeout, task.attempt
    tx.change(WorkflowTaskNormalized())
    _record_scheduled(tx, queue, sticky, timeout, attempt)
    pending = tx.state.workflow_task
    assert pending is not None
    _record_started(tx, pending, *kept)


def fail(
    tx: Transition,
    task: WorkflowTask,
    cause: WorkflowTaskFailedCause.ValueType,
    failure: Failure | None,
    identity: str,
    binary_checksum: str = "",
    **reset: Any,
) -> None:
    """The task ended without progress; a new attempt is the caller's to schedule.

    `reset` is what the event says of a reset besides.
    """
    if task.type is WorkflowTaskType.SPECULATIVE:
        _write_down(tx, task)
        task = tx.state.workflow_task or task
    if task.type is WorkflowTaskType.TRANSIENT:
        tx.change(WorkflowTaskDropped(attempt=task.attempt + 1))
    else:
        tx.record(
            EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            cause=cause,
            failure=failure,
            identity=identity,
            binary_checksum=binary_checksum,
            **reset,
        )
    _after_failure(tx)


def time_out(tx: Transition, task: WorkflowTask, timeout_type: TimeoutType.ValueType) -> None:
    """Nobody took the sticky task in time, or nobody answered it."""
    if task.type is WorkflowTaskType.SPECULATIVE:
        if task.started_event_id:
            _write_down(tx, task)
        else:
            _give_way(tx, task)
        task = tx.state.workflow_task or task
    if task.type is WorkflowTaskType.TRANSIENT:
        tx.change(WorkflowTaskDropped(attempt=task.attempt + 1))
    else:
        tx.record(
            EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            timeout_type=timeout_type,
        )
    _after_failure(tx)


def _after_failure(tx: Transition) -> None:
    if any(update.stage is UpdateStage.SENT for update in tx.state.updates.values()):
        tx.change(UpdatesUnsent())
    if tx.state.buffered:
        tx.flush_buffer()
        # There is something new to be seen: what follows is no mere repetition and gets events of its own.
        if tx.state.workflow_task_attempt > 1:
            tx.change(WorkflowTaskNormalized())


def set_sticky(tx: Transition, request: RespondWorkflowTaskCompletedRequest) -> None:
    """Remember the worker that has the workflow in its cache."""
    attributes = request.sticky_attributes
    queue = attributes.worker_task_queue.name
    timeout = length_ns(attributes.schedule_to_start_timeout)
    if queue != tx.state.sticky_queue or (queue and timeout != tx.state.sticky_timeout):
        tx.change(StickySet(queue, timeout))


def reset_sticky(tx: Transition) -> None:
    """Let the next workflow task go to any worker."""
    if tx.state.sticky_queue:
        tx.change(StickySet("", 0))


def continue_heartbeat(tx: Transition, original_scheduled_at: int) -> None:
    """The pending task goes on with a heartbeat that began earlier."""
    tx.change(HeartbeatContinued(original_scheduled_at))


def deadline(state: Execution) -> int:
    """When the pending task wants attention: its time-out, or its sticky worker's; 0 for never."""
    task = state.workflow_task
    if task is None:
        return 0
    if task.started_event_id:
        return task.started_at + task.timeout
    return task.scheduled_at + task.sticky_timeout if task.sticky and task.sticky_timeout else 0


def expire(tx: Transition) -> None:
    """The deadline has passed."""
    task = tx.state.workflow_task
    if task is None:
        return
    if task.started_event_id:
        time_out(tx, task, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
    else:
        time_out(tx, task, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START)
    schedule(tx)
