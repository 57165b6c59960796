"""Standalone activities. What happens between their beginning and their end is folded as for those of workflows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure.history.state.activity_execution import ACTIVITY_KEY, ActivityExecution, Cancellation
from perdure.history.state.changes import (
    ActivityExecutionCancelRequested,
    ActivityExecutionClosed,
    ActivityExecutionCommanded,
    ActivityExecutionLinked,
    ActivityExecutionScheduled,
)
from perdure.history.state.execution import Activity


def _scheduled(state: ActivityExecution, change: ActivityExecutionScheduled) -> None:
    state.request_id = change.request_id
    state.search_attributes = change.search_attributes
    state.user_metadata = change.user_metadata
    state.activities[ACTIVITY_KEY] = Activity(
        scheduled_event_id=ACTIVITY_KEY,
        scheduled=change.scheduled,
        scheduled_at=change.at,
        attempt_scheduled_at=change.at + change.delay,
        standalone=True,
        delay=change.delay,
    )


def _linked(state: ActivityExecution, change: ActivityExecutionLinked) -> None:
    state.links.extend(change.links)
    state.linked_requests[change.request_id] = None


def _cancel_requested(state: ActivityExecution, change: ActivityExecutionCancelRequested) -> None:
    state.cancellation = Cancellation(change.at, change.identity, change.reason, change.request_id)
    activity = state.activity
    activity.cancel_requested_event_id = ACTIVITY_KEY
    # Whatever else was wanted of the attempt that runs is wanted no more.
    activity.pause = None
    activity.reset = activity.forgets_heartbeat = activity.restores_options = False


def _commanded(state: ActivityExecution, change: ActivityExecutionCommanded) -> None:
    state.commands[change.command] = change.request_id


def _closed(state: ActivityExecution, change: ActivityExecutionClosed) -> None:
    state.status = change.status
    state.closed_at = change.at
    state.outcome = change.outcome
    state.terminate_request_id = change.request_id
    activity = state.activity
    if change.completed_at:
        activity.last_attempt_completed_at = change.completed_at
    if change.last_failure is not None:
        activity.last_failure = change.last_failure
    if change.identity:
        activity.last_identity = change.identity


AMEND: dict[type, Callable[[Any, Any], None]] = {
    ActivityExecutionScheduled: _scheduled,
    ActivityExecutionLinked: _linked,
    ActivityExecutionCancelRequested: _cancel_requested,
    ActivityExecutionCommanded: _commanded,
    ActivityExecutionClosed: _closed,
}
