"""Runs that begin with events of another, and runs that others have replaced."""

from __future__ import annotations

from perdure.history.state.changes import EventsInherited, RunReset, RunSuperseded
from perdure.history.state.execution import Execution
from perdure.kernel.prototime import length_ns


def _inherited(state: Execution, change: EventsInherited) -> None:
    """What follows are events like any others."""


def _reset(state: Execution, change: RunReset) -> None:
    state.forks = list(change.forks)
    state.reset_at = change.at
    state.reset_request_id = change.request_id
    state.original_started_at = state.original_started_at or state.started_at
    state.started_at = change.at
    # All that runs against the clock begins anew, but for timers: the workflow's code has chosen their instants.
    state.first_task_at = change.at
    run, execution = length_ns(state.started.workflow_run_timeout), length_ns(state.started.workflow_execution_timeout)
    state.execution_expires_at = change.at + execution if execution else 0
    state.run_expires_at = min(filter(None, (change.at + run if run else 0, state.execution_expires_at)), default=0)
    for activity in state.activities.values():
        activity.scheduled_at = activity.attempt_scheduled_at = change.at


def _superseded(state: Execution, change: RunSuperseded) -> None:
    state.superseded = True
    if change.base:
        state.reset_run_id = change.run_id


AMEND = {EventsInherited: _inherited, RunReset: _reset, RunSuperseded: _superseded}
