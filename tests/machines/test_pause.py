"""Pause: what is taken back, what may go on, and what is made up for afterwards."""

from __future__ import annotations

import json

import pytest

from perdure.history.effects import OfferActivityTask, OfferWorkflowTask, StartChild
from perdure.history.machines import activity, pause, workflow
from perdure.history.state.execution import PAUSED, RUNNING
from perdure.kernel.errors import FailedPrecondition, NotFound
from perdure.kernel.rpc import TaskObsolete
from tests.differential import commands as c
from tests.support.playbook import Play, Run, event, start


def hold(run: Run, request_id: str = "hold") -> Play:
    return run.decide(pause.pause, "operator", "look", request_id)


def let_go(run: Run) -> Play:
    return run.decide(pause.unpause, "operator", "seen", "let go")


def test_a_task_that_nobody_has_is_taken_back() -> None:
    run = start()
    hold(run).expect(
        event("WorkflowTaskFailed", id=3, scheduled_event_id=2),
        event("WorkflowExecutionPaused", id=4, reason="look"),
    )
    assert run.state.status == PAUSED
    assert run.wakes_after is None
    let_go(run).expect(
        event("WorkflowExecutionUnpaused", id=5),
        event("WorkflowTaskScheduled", id=6, attempt=1),
        OfferWorkflowTask(),
    )
    assert run.state.status == RUNNING


def test_what_comes_in_makes_no_task() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=5))
    hold(run)
    assert run.decide(workflow.signal, "go", None, "", None, "").events() == ["WorkflowExecutionSignaled"]
    assert run.wake().events() == ["TimerFired"]
    assert not run.agenda.owes


def test_activities_are_offered_again() -> None:
    run = start()
    run.turn(c.schedule_activity("acts", "now"), c.schedule_activity("acts", "then"))
    now, then = run.activity("now"), run.activity("then")
    hold(run)
    assert not run.agenda.owes
    with pytest.raises(TaskObsolete):
        run.decide(activity.start, now.scheduled_event_id, now.stamp, "worker")
    play = let_go(run)
    assert [each for each in play.happened if isinstance(each, OfferActivityTask)] == [
        OfferActivityTask(now.scheduled_event_id),
        OfferActivityTask(then.scheduled_event_id),
    ]
    run.decide(activity.start, now.scheduled_event_id, now.stamp, "worker")


def test_children_start_meanwhile() -> None:
    run = start()
    run.turn(c.start_child("child", "orders"), c.schedule_activity("acts"))
    hold(run)
    assert run.agenda.outstanding(run.clock.now_ns()) == [StartChild(5)]
    assert run.agenda.owes


def test_the_first_task_waits_though_it_is_due() -> None:
    run = start(first_workflow_task_backoff={"seconds": 5})
    hold(run)
    assert run.wakes_after is None
    run.wait(10)
    assert run.decide(run.agenda.expire).events() == []
    assert let_go(run).events() == ["WorkflowExecutionUnpaused", "WorkflowTaskScheduled"]


def test_who_may_pause_and_unpause() -> None:
    run = start()
    with pytest.raises(FailedPrecondition):
        let_go(run)
    hold(run)
    assert hold(run).happened == []
    with pytest.raises(FailedPrecondition):
        hold(run, "another")
    run.decide(workflow.terminate, "", None, "")
    with pytest.raises(NotFound):
        hold(run)
    with pytest.raises(NotFound):
        let_go(run)


def test_lists_find_it() -> None:
    run = start()
    hold(run)
    found = run.state.search_attributes.indexed_fields["TemporalPauseInfo"].data
    assert json.loads(found) == [f"Workflow:{run.state.workflow_id}", "Reason:look"]
    let_go(run)
    assert "TemporalPauseInfo" not in run.state.search_attributes.indexed_fields
