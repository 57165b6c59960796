"""PURE: the visibility record of a run."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.fold.problems import SHOWN_FROM
from perdure.history.state.changes import ActivityPaused, ActivityUnpaused, AnyChange, RunReset, WorkflowTaskDropped
from perdure.history.state.execution import Execution
from perdure.kernel.ids import ExecutionKind, NamespaceId
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import VisibilityRecord
from perdure.kernel.visibility import attributes

#: Events after which a list would show something else.
_SHOWN = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
    }
)

_FAILED = frozenset({EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT})

#: Changes after which it would: TemporalPauseInfo is another, or the run begins with what it inherits.
_SHOWN_CHANGES = frozenset({ActivityPaused, ActivityUnpaused, RunReset})


def changes_visibility(state: Execution, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> bool:
    """Whether a list would show something else after this. A build's first task adds to BuildIds."""
    if any(event.event_type in _SHOWN for event in events) or any(type(each) in _SHOWN_CHANGES for each in changes):
        return True
    if state.problems >= SHOWN_FROM and _failed(events, changes):
        return True
    if events and state.solved_event_id >= events[0].event_id:
        return True
    if events and state.versioning_shown_event_id >= events[0].event_id:
        return True
    points = state.reset_points.points
    return bool(events and points and points[-1].first_workflow_task_completed_id >= events[0].event_id)


def _failed(events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> bool:
    """Whether a workflow task failed or timed out."""
    return any(event.event_type in _FAILED for event in events) or any(
        type(each) is WorkflowTaskDropped for each in changes
    )


def visibility_record(state: Execution, namespace: Namespace) -> VisibilityRecord:
    """What list and count see of the run now."""
    started = state.started
    parent = started.parent_workflow_execution
    root = started.root_workflow_execution
    fields = state.search_attributes
    return VisibilityRecord(
        namespace_id=NamespaceId(state.namespace_id),
        workflow_id=state.workflow_id,
        run_id=state.run_id,
        kind=ExecutionKind.WORKFLOW,
        workflow_type=started.workflow_type.name,
        task_queue=state.task_queue,
        status=state.status,
        start_time_ns=state.started_at,
        execution_time_ns=state.execution_at,
        close_time_ns=state.closed_at or None,
        history_length=state.next_event_id - 1 if state.closed_at else 0,
        history_size_bytes=state.history_size if state.closed_at else 0,
        state_transition_count=state.state_transitions if state.closed_at else 0,
        parent_workflow_id=parent.workflow_id or None,
        parent_run_id=parent.run_id or None,
        root_workflow_id=root.workflow_id or state.workflow_id,
        root_run_id=root.run_id or state.run_id,
        memo=state.memo.SerializeToString(),
        indexed_fields=fields.SerializeToString(),
        search_attributes=attributes.decode_stored(fields, namespace.search_attributes)
        if fields.indexed_fields
        else {},
    )
