"""Child executions, as their parent sees them."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.state.execution import Child, Execution


def _initiated(state: Execution, event: HistoryEvent) -> None:
    state.children[event.event_id] = Child(
        event.event_id,
        event.start_child_workflow_execution_initiated_event_attributes,
        user_metadata=event.user_metadata if event.HasField("user_metadata") else None,
    )


def _start_failed(state: Execution, event: HistoryEvent) -> None:
    del state.children[event.start_child_workflow_execution_failed_event_attributes.initiated_event_id]


def _started(state: Execution, event: HistoryEvent) -> None:
    attributes = event.child_workflow_execution_started_event_attributes
    child = state.children[attributes.initiated_event_id]
    child.started = True
    child.started_event_id = event.event_id
    child.run_id = attributes.workflow_execution.run_id


_OUTCOMES = {
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: "child_workflow_execution_completed_event_attributes",
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: "child_workflow_execution_failed_event_attributes",
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED: "child_workflow_execution_canceled_event_attributes",
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT: "child_workflow_execution_timed_out_event_attributes",
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: "child_workflow_execution_terminated_event_attributes",
}


def _closed(state: Execution, event: HistoryEvent) -> None:
    del state.children[getattr(event, _OUTCOMES[event.event_type]).initiated_event_id]


EVOLVE = {
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: _initiated,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED: _start_failed,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: _started,
    **dict.fromkeys(_OUTCOMES, _closed),
}
