"""The run: how it begins, what reaches it from outside, and how it ends. A next run, if there is one, is
`successor`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from temporalio.api.command.v1 import (
    CancelWorkflowExecutionCommandAttributes,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import Header, Link, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType, RetryState, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.api.sdk.v1 import UserMetadata

from perdure.history.effects import AbortUpdates, ApplyParentClosePolicy, DeliverCallback, NotifyParent, NotifySchedule
from perdure.history.machines import successor, workflow_task
from perdure.history.machines.retry import Retry, next_attempt
from perdure.history.state.changes import CancelRequestSeen, RequestSeen, SignalRequestSeen, StartedBySchedule
from perdure.history.state.execution import Execution, UpdateStage, WorkflowTaskType
from perdure.history.state.nexus import CallbackState
from perdure.history.transition import Transition
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound

#: Who ends runs that nobody asked to end.
SERVER_IDENTITY = "history-service"


def already_completed() -> NotFound:
    """The answer to whoever wants to change a closed run."""
    return NotFound("workflow execution already completed")


def begin(
    tx: Transition,
    attributes: WorkflowExecutionStartedEventAttributes,
    *,
    request_id: str,
    links: Iterable[Link] = (),
    user_metadata: UserMetadata | None = None,
    first: Callable[[Transition], None] | None = None,
    offer: bool = True,
) -> None:
    """The first event, whatever `first` decides, and the first workflow task unless it is to wait."""
    fields = {field.name: value for field, value in attributes.ListFields()}
    event = tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, links=links, user_metadata=user_metadata, **fields
    )
    if request_id:
        tx.change(RequestSeen(request_id, event.event_type, event.event_id))
    if first is not None:
        first(tx)
    workflow_task.schedule(tx, offer=offer)


def signal(
    tx: Transition,
    name: str,
    payload: Payloads | None,
    identity: str,
    header: Header | None,
    request_id: str,
    links: Iterable[Link] = (),
    sender: WorkflowExecution | None = None,
) -> bool:
    """Deliver a signal once per request id. Returns whether it is new.

    Raises:
        NotFound: the run is closed.
        InvalidArgument: the run has had as many signals as the limit allows.
    """
    state = tx.state
    if request_id and request_id in state.signal_request_ids:
        return False
    if not state.running:
        raise already_completed()
    if tx.limits.signals_max and state.signal_count >= tx.limits.signals_max:
        raise InvalidArgument("exceeded workflow execution limit for signal events")
    if request_id:
        tx.change(SignalRequestSeen(request_id))
    event = tx.arrive(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        links=links,
        signal_name=name,
        input=payload,
        identity=identity,
        header=header,
        external_workflow_execution=sender,
        request_id=request_id,
    )
    if request_id:
        tx.change(RequestSeen(request_id, event.event_type, event.event_id))
    workflow_task.schedule(tx)
    return True


def request_cancel(
    tx: Transition,
    cause: str,
    identity: str,
    request_id: str,
    links: Iterable[Link] = (),
    requester: WorkflowExecution | None = None,
    initiated_event_id: int = 0,
) -> None:
    """Ask the workflow to cancel itself. A repeated request is not an error, nor is one that comes after the end."""
    state = tx.state
    if not state.running or state.cancel_requested:
        return
    tx.arrive(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        links=links,
        cause=cause,
        external_initiated_event_id=initiated_event_id,
        external_workflow_execution=requester,
        identity=identity,
    )
    if request_id:
        tx.change(CancelRequestSeen(request_id))
    # A run that still waits for its first task is woken: there is no point in waiting to be cancelled.
    workflow_task.schedule(tx, despite_delay=True)


def terminate(tx: Transition, reason: str, details: Payloads | None, identity: str, links: Iterable[Link] = ()) -> None:
    """End the run at once, whatever it is doing.

    Raises:
        NotFound: the run is closed.
    """
    if not tx.state.running:
        raise already_completed()
    _abandon_workflow_task(tx)
    doomed = _pending_updates(tx)
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        links=links,
        reason=reason,
        details=details,
        identity=identity,
    )
    _closed(tx, doomed)


def time_out(tx: Transition) -> None:
    """The run's time is over: it ends, and a retry or cron run may follow."""
    state = tx.state
    retry = Retry(RetryState.RETRY_STATE_TIMEOUT)
    failure = Failure(
        message="workflow timeout",
        source="Server",
        timeout_failure_info=TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE),
    )
    next_run = None
    if not state.execution_expires_at or state.execution_expires_at > tx.now:
        retry = retry_of(tx, failure)
        next_run = successor.after_failure(tx, retry, failure)
    _abandon_workflow_task(tx)
    doomed = _pending_updates(tx)
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        retry_state=retry.state,
        new_execution_run_id=next_run.run_id if next_run else "",
    )
    _closed(tx, doomed, next_run)


def complete(tx: Transition, attributes: CompleteWorkflowExecutionCommandAttributes, completed_event_id: int) -> None:
    result = attributes.result if attributes.HasField("result") else None
    next_run = successor.after_completion(tx, result)
    doomed = _pending_updates(tx)
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        result=result,
        workflow_task_completed_event_id=completed_event_id,
        new_execution_run_id=next_run.run_id if next_run else "",
    )
    _closed(tx, doomed, next_run)


def fail(tx: Transition, attributes: FailWorkflowExecutionCommandAttributes, completed_event_id: int) -> None:
    retry = retry_of(tx, attributes.failure)
    next_run = successor.after_failure(tx, retry, attributes.failure)
    doomed = _pending_updates(tx)
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        failure=attributes.failure,
        retry_state=retry.state,
        workflow_task_completed_event_id=completed_event_id,
        new_execution_run_id=next_run.run_id if next_run else "",
    )
    _closed(tx, doomed, next_run)


def cancel(tx: Transition, attributes: CancelWorkflowExecutionCommandAttributes, completed_event_id: int) -> None:
    doomed = _pending_updates(tx)
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        workflow_task_completed_event_id=completed_event_id,
        details=attributes.details if attributes.HasField("details") else None,
    )
    _closed(tx, doomed)


def continue_as_new(
    tx: Transition, attributes: ContinueAsNewWorkflowExecutionCommandAttributes, completed_event_id: int
) -> None:
    next_run = successor.continued(tx, attributes)
    started = next_run.attributes
    doomed = _pending_updates(tx)
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        new_execution_run_id=next_run.run_id,
        workflow_type=started.workflow_type,
        task_queue=started.task_queue,
        input=started.input if started.HasField("input") else None,
        workflow_run_timeout=started.workflow_run_timeout,
        workflow_task_timeout=started.workflow_task_timeout,
        workflow_task_completed_event_id=completed_event_id,
        backoff_start_interval=(
            attributes.backoff_start_interval if attributes.HasField("backoff_start_interval") else None
        ),
        initiator=attributes.initiator,
        failure=attributes.failure if attributes.HasField("failure") else None,
        last_completion_result=(
            attributes.last_completion_result if attributes.HasField("last_completion_result") else None
        ),
        header=attributes.header if attributes.HasField("header") else None,
        memo=attributes.memo if attributes.HasField("memo") else None,
        search_attributes=attributes.search_attributes if attributes.HasField("search_attributes") else None,
    )
    _closed(tx, doomed, next_run)


def retry_of(tx: Transition, failure: Failure) -> Retry:
    """Whether the run's own retry policy asks for another run."""
    started = tx.state.started
    if not started.HasField("retry_policy"):
        return Retry(RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET)
    return next_attempt(started.retry_policy, failure, max(started.attempt, 1), tx.now, tx.state.execution_expires_at)


def _abandon_workflow_task(tx: Transition) -> None:
    """A run that ends from outside takes in what was held back, and leaves a running workflow task as it is.

    Raises:
        FailedPrecondition: never in a consistent state; guards the order of events.
    """
    task = tx.state.workflow_task
    if task is not None and task.started_event_id and task.type is not WorkflowTaskType.TRANSIENT:
        workflow_task.fail(
            tx,
            task,
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
            None,
            SERVER_IDENTITY,
        )
    if tx.state.buffered:
        tx.flush_buffer()
    if not tx.state.running:
        raise FailedPrecondition("the run is closed")


def _pending_updates(tx: Transition) -> tuple[list[str], list[str]]:
    """Updates that will not be answered: those not accepted yet, and those accepted but not completed."""
    waiting = [update for update in tx.state.updates.values() if update.stage is not UpdateStage.COMPLETED]
    accepted = [update.update_id for update in waiting if update.stage is UpdateStage.ACCEPTED]
    return [update.update_id for update in waiting if update.stage is not UpdateStage.ACCEPTED], accepted


def _closed(tx: Transition, doomed: tuple[list[str], list[str]], next_run: successor.Successor | None = None) -> None:
    """What the end of a run entails."""
    unaccepted, accepted = doomed
    if unaccepted or accepted:
        tx.effect(AbortUpdates(tuple(unaccepted), tuple(accepted), continued=next_run is not None))
    if next_run is not None:
        tx.successor = _first_of(tx, next_run)
    if tx.state.owes_parent:
        tx.effect(NotifyParent())
    if tx.state.owes_schedule:
        tx.effect(NotifySchedule())
    for index, callback in enumerate(tx.state.callbacks):
        if callback.state is CallbackState.SCHEDULED:
            tx.effect(DeliverCallback(index))
    for initiated_event_id in tx.state.orphans:
        tx.effect(ApplyParentClosePolicy(initiated_event_id))


def _first_of(tx: Transition, next_run: successor.Successor) -> Transition:
    state = Execution(tx.state.namespace_id, tx.state.workflow_id, next_run.run_id)
    next_run.attributes.original_execution_run_id = next_run.run_id
    first = Transition(state, tx.now, tx.entropy, tx.limits, tx.namespace)

    def inherit(new: Transition) -> None:
        if (origin := tx.state.scheduled_by) is not None:
            new.change(StartedBySchedule(origin.schedule_id, origin.run_id, origin.action_id))

    begin(
        first,
        next_run.attributes,
        request_id=tx.entropy.uuid(),
        user_metadata=tx.state.user_metadata,
        first=inherit,
    )
    return first
