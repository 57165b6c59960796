"""Signals and cancel requests to other executions."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.state.execution import CancelOut, Execution, SignalOut


def _signal_initiated(state: Execution, event: HistoryEvent) -> None:
    attributes = event.signal_external_workflow_execution_initiated_event_attributes
    state.signals_out[event.event_id] = SignalOut(event.event_id, attributes)


def _signal_failed(state: Execution, event: HistoryEvent) -> None:
    del state.signals_out[event.signal_external_workflow_execution_failed_event_attributes.initiated_event_id]


def _signaled(state: Execution, event: HistoryEvent) -> None:
    del state.signals_out[event.external_workflow_execution_signaled_event_attributes.initiated_event_id]


def _cancel_initiated(state: Execution, event: HistoryEvent) -> None:
    attributes = event.request_cancel_external_workflow_execution_initiated_event_attributes
    state.cancels_out[event.event_id] = CancelOut(event.event_id, attributes)


def _cancel_failed(state: Execution, event: HistoryEvent) -> None:
    del state.cancels_out[event.request_cancel_external_workflow_execution_failed_event_attributes.initiated_event_id]


def _cancel_requested(state: Execution, event: HistoryEvent) -> None:
    del state.cancels_out[event.external_workflow_execution_cancel_requested_event_attributes.initiated_event_id]


EVOLVE = {
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: _signal_initiated,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED: _signal_failed,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED: _signaled,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: _cancel_initiated,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED: _cancel_failed,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED: _cancel_requested,
}
