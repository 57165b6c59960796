"""Reset: a new run goes on from the events of another up to some workflow task, and gets again what came in later.

The new run's state is folded from the events that it inherits before the decision is made, see `handlers.reset`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import (
    EventType,
    ResetReapplyExcludeType,
    ResetReapplyType,
    RetryState,
    WorkflowTaskFailedCause,
)
from temporalio.api.failure.v1 import Failure, ResetWorkflowFailureInfo
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from perdure.history.machines import workflow, workflow_task
from perdure.history.state.changes import RequestSeen, RunReset, SignalRequestSeen, StartedBySchedule
from perdure.history.state.execution import Execution, Fork
from perdure.history.transition import Transition
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import RunId

#: Who ends the run that a reset replaces.
IDENTITY = "history-resetter"

_Exclude = ResetReapplyExcludeType


@dataclass(frozen=True, slots=True)
class Base:
    """What the new run needs to know of the one that it is made from, beside its events.

    `in_flight`: started events in these (by scheduled event id) whose activities have no outcome in them.
    """

    state: Execution
    start_request_id: str
    last_event_id: int
    last_event_version: int
    in_flight: Mapping[int, HistoryEvent]


def forks_of(base: Execution, last_event_id: int) -> list[Fork]:
    """Who first recorded the events of a run that inherits `base`'s up to this one."""
    forks = [Fork(fork.run_id, min(fork.last_event_id, last_event_id)) for fork in base.forks]
    return [*forks, Fork(RunId(base.run_id), last_event_id)]


def begin(tx: Transition, base: Base, request_id: str, reason: str) -> None:
    """Wind back: the workflow task at the end of what was inherited fails, and so do attempts of activities.

    Raises:
        InvalidArgument: no workflow task is pending there.
    """
    state = tx.state
    task = state.workflow_task
    if task is None:
        raise InvalidArgument(
            "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: "
            f"{base.last_event_id + 1}"
        )
    tx.change(RunReset(tx.now, request_id, forks_of(base.state, base.last_event_id)))
    if base.start_request_id:
        tx.change(RequestSeen(base.start_request_id, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, 1))
    if (origin := base.state.scheduled_by) is not None:
        tx.change(StartedBySchedule(origin.schedule_id, origin.run_id, origin.action_id))
    if not task.started_event_id:
        task = workflow_task.start_now(tx, workflow.SERVER_IDENTITY, task.request_id)
    workflow_task.fail(
        tx,
        task,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        _failure(reason),
        workflow.SERVER_IDENTITY,
        base_run_id=base.state.run_id,
        new_run_id=state.run_id,
        fork_event_version=base.last_event_version,
    )
    for scheduled_event_id, started in base.in_flight.items():
        if (activity := state.activities.get(scheduled_event_id)) is not None:
            tx.record(
                EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
                failure=_failure(reason, activity.heartbeat_details),
                scheduled_event_id=scheduled_event_id,
                started_event_id=started.event_id,
                identity=started.activity_task_started_event_attributes.identity,
                retry_state=RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE,
            )


def _failure(reason: str, heartbeat: Payloads | None = None) -> Failure:
    info = ResetWorkflowFailureInfo(last_heartbeat_details=heartbeat)
    return Failure(message=reason, reset_workflow_failure_info=info)


#: Events by which a parent learns what becomes of a child.
_OF_CHILDREN = frozenset(
    {
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
    }
)


#: Events by which a workflow learns what becomes of a Nexus operation. A wish to cancel one is the workflow's own.
_OF_OPERATIONS = frozenset(
    {
        EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT,
    }
)


#: Events that came from outside, and by which kind they can be excluded.
_FROM_OUTSIDE: Mapping[int, int] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _Exclude.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED: _Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: _Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED: _Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UNSPECIFIED,
    **dict.fromkeys(_OF_CHILDREN, _Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UNSPECIFIED),
    **dict.fromkeys(_OF_OPERATIONS, _Exclude.RESET_REAPPLY_EXCLUDE_TYPE_NEXUS),
}


def from_outside(events: Iterable[HistoryEvent], request: ResetWorkflowExecutionRequest) -> list[HistoryEvent]:
    """What of these is to happen to the new run as well. Children it may not know are among them."""
    exclude = set(request.reset_reapply_exclude_types)
    if request.reset_reapply_type == ResetReapplyType.RESET_REAPPLY_TYPE_SIGNAL:
        exclude.add(_Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE)
    elif request.reset_reapply_type == ResetReapplyType.RESET_REAPPLY_TYPE_NONE:
        exclude |= {_Exclude.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL, _Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE}
    exclude.discard(_Exclude.RESET_REAPPLY_EXCLUDE_TYPE_UNSPECIFIED)
    return [event for event in events if _FROM_OUTSIDE.get(event.event_type, -1) not in {*exclude, -1}]


def repeat(tx: Transition, events: Iterable[HistoryEvent]) -> None:
    """Let happen to the new run what happened to the old one from outside."""
    for event in events:
        kind = event.event_type
        if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            _signal(tx, event)
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            _admit(tx, event)
        elif kind in _OF_CHILDREN:
            _tell_of_child(tx, event)
        elif kind in _OF_OPERATIONS:
            _tell_of_operation(tx, event)
        else:
            _arrive(tx, event)


def _arrive(tx: Transition, event: HistoryEvent, **instead: object) -> None:
    attributes = getattr(event, str(event.WhichOneof("attributes")))
    fields = {field.name: value for field, value in attributes.ListFields()} | instead
    tx.arrive(event.event_type, links=event.links, **fields)


def _signal(tx: Transition, event: HistoryEvent) -> None:
    request_id = event.workflow_execution_signaled_event_attributes.request_id
    if request_id:
        # Whoever sent it may not have heard that it arrived, and sends it again, to the new run.
        tx.change(SignalRequestSeen(request_id))
    _arrive(tx, event)
    if request_id:
        tx.change(RequestSeen(request_id, event.event_type, tx.state.next_event_id - 1))


def _admit(tx: Transition, event: HistoryEvent) -> None:
    """An update that the old run accepted is to be accepted by the new one."""
    attributes = event.workflow_execution_update_accepted_event_attributes
    # If the request is not there, the run before had an event for it, which was repeated.
    if attributes.HasField("accepted_request"):
        tx.arrive(
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED,
            request=attributes.accepted_request,
            origin="UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY",
        )


def _tell_of_child(tx: Transition, event: HistoryEvent) -> None:
    attributes = getattr(event, str(event.WhichOneof("attributes")))
    child = tx.state.children.get(attributes.initiated_event_id)
    if child is None or child.initiated.workflow_id != _child_id(attributes):
        return
    if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
        if not child.started:
            _arrive(tx, event)
    elif event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
        _arrive(tx, event)
    else:
        _arrive(tx, event, started_event_id=child.started_event_id)


def _tell_of_operation(tx: Transition, event: HistoryEvent) -> None:
    """An operation that the new run has too, and not another by the same event id."""
    attributes = getattr(event, str(event.WhichOneof("attributes")))
    operation = tx.state.operations.get(attributes.scheduled_event_id)
    if operation is None or operation.scheduled.request_id != attributes.request_id:
        return
    if event.event_type != EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED or not operation.started:
        _arrive(tx, event)


def _child_id(attributes: object) -> str:
    execution = getattr(attributes, "workflow_execution", None)
    return execution.workflow_id if execution is not None else str(getattr(attributes, "workflow_id", ""))
