"""Reset: what is wound back, what begins anew, and what is repeated."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from perdure.history.machines import reset, workflow
from perdure.history.state.changes import RunReset
from perdure.history.state.execution import Execution, Fork
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import RunId
from tests.differential import commands as c
from tests.support.playbook import start, wind_back


def test_the_task_at_the_point_fails_and_another_is_made() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=60))
    run.wait(10)
    new, play = wind_back(run, 4)
    assert play.events() == [
        "WorkflowTaskFailed",
        "WorkflowTaskScheduled",
    ]
    failed = new.history[3].workflow_task_failed_event_attributes
    assert (failed.base_run_id, failed.new_run_id) == (run.state.run_id, new.state.run_id)
    assert not new.state.timers
    assert new.task.attempt == 1
    assert new.state.requests["start"].event_id == 1


def test_there_has_to_be_a_task() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=60))
    with pytest.raises(InvalidArgument):
        wind_back(run, 6)


def test_time_outs_begin_anew_and_timers_go_on() -> None:
    run = start(workflow_run_timeout={"seconds": 100}, workflow_execution_timeout={"seconds": 150})
    run.turn(c.start_timer("t", seconds=60))
    run.decide(workflow.signal, "go", None, "", None, "")
    run.wait(90)
    new, _ = wind_back(run, 8)
    assert new.state.run_expires_at == new.clock.now_ns() + 100 * SECOND_NS
    assert new.state.execution_expires_at == new.clock.now_ns() + 150 * SECOND_NS
    assert new.state.started_at == new.clock.now_ns()
    assert new.state.original_started_at == run.state.started_at
    assert new.wakes_after is not None and new.wakes_after < 0, "its timer is overdue"
    assert "TimerFired" in new.decide(new.agenda.expire).events()


def test_who_recorded_an_event_first() -> None:
    def state(run_id: str, *forks: Fork) -> Execution:
        execution = Execution("n", "w", RunId(run_id))  # type: ignore[arg-type]
        execution.forks = list(forks)
        return execution

    second = state("b", *reset.forks_of(state("a"), 10))
    assert [second.recorded_by(number) for number in (1, 10, 11)] == ["a", "a", "b"]
    earlier = state("c", *reset.forks_of(second, 5))
    assert [earlier.recorded_by(number) for number in (5, 6, 10)] == ["a", "c", "c"]
    later = state("d", *reset.forks_of(second, 20))
    assert [later.recorded_by(number) for number in (10, 11, 20, 21)] == ["a", "b", "b", "d"]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, ["SIGNALED", "UPDATE_ACCEPTED"]),
        ({"reset_reapply_type": "RESET_REAPPLY_TYPE_SIGNAL"}, ["SIGNALED"]),
        ({"reset_reapply_type": "RESET_REAPPLY_TYPE_NONE"}, []),
        ({"reset_reapply_exclude_types": ["RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL"]}, ["UPDATE_ACCEPTED"]),
        ({"reset_reapply_exclude_types": ["RESET_REAPPLY_EXCLUDE_TYPE_UPDATE"]}, ["SIGNALED"]),
    ],
)
def test_what_is_repeated(fields: dict[str, Any], kept: list[str]) -> None:
    names = ["SIGNALED", "UPDATE_ACCEPTED", "CANCEL_REQUESTED", "TERMINATED"]
    events = [HistoryEvent(event_type=f"EVENT_TYPE_WORKFLOW_EXECUTION_{name}") for name in names]  # type: ignore[arg-type]
    left = reset.from_outside(events, ResetWorkflowExecutionRequest(**fields))
    assert [EventType.Name(each.event_type).removeprefix("EVENT_TYPE_WORKFLOW_EXECUTION_") for each in left] == kept


def test_a_signal_is_known_to_the_new_run_when_it_is_sent_again() -> None:
    run = start()
    run.turn()
    run.decide(workflow.signal, "go", None, "", None, "r1")
    new, play = wind_back(run, 4)
    assert play.events() == ["WorkflowTaskFailed", "WorkflowExecutionSignaled", "WorkflowTaskScheduled"]
    assert new.state.requests["r1"].event_id == 5
    assert new.decide(workflow.signal, "go", None, "", None, "r1").result is False


def test_a_reset_says_when_and_by_whom_it_was_made() -> None:
    run = start()
    run.turn()
    _, play = wind_back(run, 4)
    found = [each for each in play.happened if isinstance(each, RunReset)]
    assert [(each.request_id, each.forks) for each in found] == [("request", [Fork(RunId(run.state.run_id), 3)])]
