"""Standalone Nexus operations. Attempts that fail are folded as those of workflows are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure.history.fold.nexus import end_attempt
from perdure.history.state.activity_execution import Cancellation
from perdure.history.state.changes import (
    OperationCancelRequested,
    OperationCancelTold,
    OperationClosed,
    OperationScheduled,
    OperationStarted,
)
from perdure.history.state.nexus import NexusCancel, NexusOperation
from perdure.history.state.operation_execution import OPERATION_KEY, OperationExecution


def _scheduled(state: OperationExecution, change: OperationScheduled) -> None:
    state.request_id = change.request_id
    state.identity = change.identity
    state.search_attributes = change.search_attributes
    state.user_metadata = change.user_metadata
    state.operations[OPERATION_KEY] = NexusOperation(OPERATION_KEY, change.scheduled, change.at)


def _started(state: OperationExecution, change: OperationStarted) -> None:
    operation = state.operation
    end_attempt(operation, change.at)
    operation.started_at = change.at
    operation.token = change.token
    state.links.extend(change.links)


def _cancel_requested(state: OperationExecution, change: OperationCancelRequested) -> None:
    state.cancellation = Cancellation(change.at, change.identity, change.reason, change.request_id)
    state.operation.cancel = NexusCancel(0, change.at)


def _cancel_told(state: OperationExecution, change: OperationCancelTold) -> None:
    cancel = state.operation.cancel
    assert cancel is not None
    end_attempt(cancel, change.at)
    cancel.told = True
    if change.failure is not None:
        cancel.last_failure = change.failure
        cancel.refused = True


def _closed(state: OperationExecution, change: OperationClosed) -> None:
    state.status = change.status
    state.closed_at = change.at
    state.result = change.result
    state.failure = change.failure
    state.terminate_request_id = change.request_id
    state.links.extend(change.links)
    operation = state.operation
    if not operation.started and operation.next_attempt_at <= change.at:
        # An attempt was under way, and ends with it all.
        operation.attempts += 1
    operation.next_attempt_at = 0
    if change.attempted:
        operation.last_attempt_at = change.at
        operation.last_failure = change.failure


AMEND: dict[type, Callable[[Any, Any], None]] = {
    OperationScheduled: _scheduled,
    OperationStarted: _started,
    OperationCancelRequested: _cancel_requested,
    OperationCancelTold: _cancel_told,
    OperationClosed: _closed,
}
