"""Nexus operations of a workflow, and callbacks that wait for its end."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.state.changes import CallbackDelivered, NexusAttemptFailed, NexusCancelAttemptFailed
from perdure.history.state.execution import Execution
from perdure.history.state.nexus import CallbackState, NexusCancel, NexusOperation
from perdure.kernel.prototime import instant_ns


def _scheduled(state: Execution, event: HistoryEvent) -> None:
    state.operations[event.event_id] = NexusOperation(
        event.event_id, event.nexus_operation_scheduled_event_attributes, instant_ns(event.event_time)
    )


def _started(state: Execution, event: HistoryEvent) -> None:
    attributes = event.nexus_operation_started_event_attributes
    operation = state.operations[attributes.scheduled_event_id]
    at = instant_ns(event.event_time)
    operation.attempts += 1
    operation.last_attempt_at = at
    operation.last_failure = None
    operation.next_attempt_at = 0
    operation.started_at = at
    operation.token = attributes.operation_token


def _ended(state: Execution, event: HistoryEvent) -> None:
    # It may have been canceled and then have ended in spite of it, in the same workflow task.
    state.operations.pop(_attributes(event).scheduled_event_id, None)


def _cancel_requested(state: Execution, event: HistoryEvent) -> None:
    operation = state.operations.get(_attributes(event).scheduled_event_id)
    if operation is not None:
        operation.cancel = NexusCancel(event.event_id, instant_ns(event.event_time))


def _cancel_request_completed(state: Execution, event: HistoryEvent) -> None:
    operation = state.operations.get(_attributes(event).scheduled_event_id)
    if operation is not None and (cancel := operation.cancel) is not None:
        end_attempt(cancel, instant_ns(event.event_time))
        cancel.told = True


def _cancel_request_failed(state: Execution, event: HistoryEvent) -> None:
    attributes = event.nexus_operation_cancel_request_failed_event_attributes
    operation = state.operations.get(attributes.scheduled_event_id)
    if operation is not None and (cancel := operation.cancel) is not None:
        end_attempt(cancel, instant_ns(event.event_time))
        cancel.last_failure = attributes.failure
        cancel.told = cancel.refused = True


def end_attempt(attempted: NexusOperation | NexusCancel, at: int) -> None:
    """An attempt has come to its end, and none is due."""
    attempted.attempts += 1
    attempted.last_attempt_at = at
    attempted.last_failure = None
    attempted.next_attempt_at = 0


def _attributes(event: HistoryEvent) -> Any:
    return getattr(event, str(event.WhichOneof("attributes")))


EVOLVE = {
    EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED: _scheduled,
    EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED: _started,
    EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED: _ended,
    EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED: _ended,
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED: _ended,
    EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT: _ended,
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED: _cancel_requested,
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED: _cancel_request_completed,
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED: _cancel_request_failed,
}


def _attempt_failed(state: Execution, change: NexusAttemptFailed) -> None:
    operation = state.operations[change.scheduled_event_id]
    end_attempt(operation, change.at)
    operation.last_failure = change.failure
    operation.next_attempt_at = change.next_at


def _cancel_attempt_failed(state: Execution, change: NexusCancelAttemptFailed) -> None:
    cancel = state.operations[change.scheduled_event_id].cancel
    assert cancel is not None
    end_attempt(cancel, change.at)
    cancel.last_failure = change.failure
    cancel.next_attempt_at = change.next_at


def _callback_delivered(state: Execution, change: CallbackDelivered) -> None:
    callback = state.callbacks[change.index]
    callback.state = CallbackState.SUCCEEDED if change.failure is None else CallbackState.FAILED
    callback.attempted_at = change.at
    callback.last_failure = change.failure


AMEND = {
    NexusAttemptFailed: _attempt_failed,
    NexusCancelAttemptFailed: _cancel_attempt_failed,
    CallbackDelivered: _callback_delivered,
}
