"""Playbooks of activities in a workflow's history: which events an outcome leaves, and whose report counts."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import RetryState

from perdure.history.effects import OfferWorkflowTask
from perdure.history.machines import activity, activity_events, workflow
from perdure.history.machines.activity import Canceled, Completed, Failed, Outcome, TimedOut
from perdure.kernel.errors import NotFound
from perdure.kernel.tokens import ActivityToken
from tests.differential import commands as c
from tests.differential.script import payloads
from tests.support.playbook import Run, event, failure, start

_NEVER = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


def taken() -> Run:
    """A run whose activity "pay", event 5, is with a worker."""
    run = start()
    run.turn(c.schedule_activity("acts", "pay"))
    pay = run.activity("pay")
    run.decide(activity.start, pay.scheduled_event_id, pay.stamp, "worker")
    return run


def token(run: Run) -> ActivityToken:
    state, pay = run.state, run.activity("pay")
    return ActivityToken(
        state.namespace_id, state.workflow_id, state.run_id, 5, "pay", pay.attempt, pay.stamp, pay.started_at
    )


@pytest.mark.parametrize(
    ("outcome", "name", "said"),
    [
        (Completed(payloads("paid"), "worker"), "Completed", {"result": ["paid"], "identity": "worker"}),
        (
            Failed(failure("no"), _NEVER, "worker"),
            "Failed",
            {"failure": "no", "retry_state": "NON_RETRYABLE_FAILURE", "identity": "worker"},
        ),
        (TimedOut(failure("late"), _NEVER, None), "TimedOut", {"failure": "late"}),
        (Canceled(payloads("x"), "worker"), "Canceled", {"details": ["x"], "identity": "worker"}),
    ],
)
def test_an_outcome_brings_its_start_along_and_wakes_the_workflow(
    outcome: Outcome, name: str, said: dict[str, object]
) -> None:
    run = taken()
    run.decide(activity_events.close, run.activity("pay"), outcome).expect(
        event("ActivityTaskStarted", id=6, scheduled_event_id=5, identity="worker", attempt=1),
        event(f"ActivityTask{name}", id=7, scheduled_event_id=5, started_event_id=6, **said),
        event("WorkflowTaskScheduled", id=8),
        OfferWorkflowTask(),
    )
    assert not run.state.activities


def test_who_never_had_a_worker_has_no_start() -> None:
    run = start()
    run.turn(c.schedule_activity("acts", "pay"))
    run.decide(activity_events.record, run.activity("pay"), Canceled(None, "worker")).expect(
        event("ActivityTaskCanceled", id=6, scheduled_event_id=5, started_event_id=0)
    )


def test_only_the_attempt_that_runs_may_report() -> None:
    run = taken()
    mine = token(run)
    assert activity_events.of_token(run.state, mine) is run.activity("pay")
    run.decide(activity_events.close, run.activity("pay"), Completed(None, "worker"))
    with pytest.raises(NotFound, match="invalid activityID or activity already timed out"):
        activity_events.of_token(run.state, mine)
    run.decide(workflow.terminate, "why", None, "me", ())
    with pytest.raises(NotFound, match="workflow execution already completed"):
        activity_events.of_token(run.state, mine)


def test_by_id() -> None:
    run = taken()
    assert activity_events.of_id(run.state, "pay") is run.activity("pay")
    with pytest.raises(NotFound, match="cannot find pending activity with ActivityID other"):
        activity_events.of_id(run.state, "other")
