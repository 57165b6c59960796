"""When a run on a clock of its own skips time, how far, and when it must not."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.command.v1 import Command

from perdure.history.machines import time_skipping, workflow, workflow_options
from tests.differential import commands as c
from tests.support.playbook import Play, Run, event, start

DAY_S = 86_400
TRANSITIONED = "WorkflowExecutionTimeSkippingTransitioned"


def skipping(**config: Any) -> Run:
    return start(
        workflow_run_timeout={"seconds": 30 * DAY_S},
        time_skipping_config={"enabled": True, "max_session_skip_count": 2} | config,
    )


def settle(run: Run) -> Play:
    """What the shard does at the end of every transition."""
    return run.decide(time_skipping.settle)


def skipped_s(run: Run) -> float:
    assert run.state.time_skipping is not None
    return run.state.time_skipping.skipped / 10**9


def test_to_the_first_of_what_is_waited_for() -> None:
    run = skipping()
    run.turn(c.start_timer("late", 2 * DAY_S), c.start_timer("early", DAY_S))
    settle(run).expect(event(TRANSITIONED, id=7, disabled_after_fast_forward=False))
    assert skipped_s(run) == DAY_S


@pytest.mark.parametrize(
    "command",
    [c.schedule_activity("acts"), c.start_child("child", "children"), c.signal_external("other")],
    ids=["activity", "child", "signal"],
)
def test_not_while_somebody_is_at_work(command: Command) -> None:
    run = skipping()
    run.turn(c.start_timer("t", DAY_S), command)
    settle(run).expect()


def test_not_while_a_workflow_task_is_to_be_done() -> None:
    run = skipping()
    settle(run).expect()
    run.turn(c.start_timer("t", DAY_S))
    run.decide(workflow.signal, "go", None, "", None, "")
    settle(run).expect()


def test_not_past_what_is_due_already() -> None:
    run = skipping()
    run.turn(c.start_timer("due", 1), c.start_timer("late", DAY_S))
    run.wait(2)
    settle(run).expect()


def test_to_the_end_of_its_time_if_nothing_else_is_waited_for() -> None:
    run = skipping()
    run.turn()
    settle(run).expect(event(TRANSITIONED))
    assert skipped_s(run) == 30 * DAY_S


def test_not_in_a_run_that_was_not_told_to() -> None:
    run = start(workflow_run_timeout={"seconds": 30 * DAY_S})
    run.turn(c.start_timer("t", DAY_S))
    settle(run).expect()


def test_no_further_than_its_fast_forward() -> None:
    run = skipping(fast_forward_config={"id": "f", "duration": {"seconds": 3600}})
    run.turn(c.start_timer("t", DAY_S))
    settle(run).expect(event(TRANSITIONED, disabled_after_fast_forward=True))
    assert skipped_s(run) == 3600
    assert run.state.time_skipping is not None
    assert run.state.time_skipping.reached
    settle(run).expect()


def test_a_fast_forward_ends_also_while_the_run_works() -> None:
    run = skipping(fast_forward_config={"id": "f", "duration": {"seconds": 5}})
    assert run.wakes_after == 5
    run.wake().expect(event(TRANSITIONED, disabled_after_fast_forward=True))
    assert skipped_s(run) == 0


def test_as_often_as_it_may() -> None:
    run = skipping(max_session_skip_count=1)
    run.turn(c.start_timer("t", DAY_S))
    settle(run).expect(event(TRANSITIONED))
    assert run.state.time_skipping is not None
    assert not run.state.time_skipping.enabled


def test_a_new_configuration_counts_from_the_start() -> None:
    run = skipping(max_session_skip_count=1)
    run.turn(c.start_timer("t", DAY_S))
    settle(run)
    wanted = workflow_options.WorkflowExecutionOptions(
        time_skipping_config={"enabled": True, "max_session_skip_count": 1}
    )
    run.decide(workflow_options.update, wanted, ["time_skipping_config"], "me").expect(
        event("WorkflowExecutionOptionsUpdated", time_skipping_config_updated=True)
    )
    assert run.state.time_skipping is not None
    assert run.state.time_skipping.enabled
    assert skipped_s(run) == DAY_S
