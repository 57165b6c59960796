"""Runs whose clock skips the time in which nothing happens in them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script

DAY = timedelta(days=1)
DAY_S = DAY.total_seconds()
RUN_TIMEOUT = timedelta(days=30)


def start(s: Script, name: str = "w", *, config: dict[str, Any] | None = None, **fields: Any) -> None:
    config = {"enabled": True} | (config or {})
    s.start(name, time_skipping_config=config, **({"workflow_run_timeout": RUN_TIMEOUT} | fields))


def configure(s: Script, config: dict[str, Any] | None, name: str = "w", **fields: Any) -> None:
    s.call(
        "UpdateWorkflowExecutionOptions",
        workflow_execution=s.execution(name),
        workflow_execution_options={} if config is None else {"time_skipping_config": config},
        update_mask={"paths": ["time_skipping_config"]},
        **fields,
    )


def poll_forward(s: Script, forward: str = "f", name: str = "w", **fields: Any) -> None:
    s.call(
        "PollWorkflowExecutionTimeSkipping",
        workflow_execution=s.execution(name),
        fast_forward_id=forward,
        **fields,
    )


def forward(duration: timedelta = DAY, name: str = "f") -> dict[str, Any]:
    return {"enabled": True, "fast_forward_config": {"id": name, "duration": duration}}


@scenario
def test_a_timer_is_skipped(s: Script) -> None:
    start(s)
    s.step(c.start_timer("t", DAY_S))
    s.step(c.complete())
    s.history("w")
    s.describe("w")


@scenario
def test_one_timer_after_the_other(s: Script) -> None:
    start(s)
    s.step(c.start_timer("t", DAY_S), c.start_timer("u", 2 * DAY_S))
    s.step()
    s.step(c.start_timer("v", DAY_S))
    s.step(c.complete())
    s.history("w")


@scenario
def test_an_activity_is_waited_for(s: Script) -> None:
    start(s)
    s.step(c.start_timer("t", DAY_S), c.schedule_activity(s.name("acts")))
    s.describe("w")
    s.complete_activity(s.poll_activity("acts"))
    s.step()
    s.step(c.complete())
    s.history("w")


@scenario
def test_the_wait_between_two_attempts_is_skipped(s: Script) -> None:
    start(s)
    policy = {"initial_interval": timedelta(hours=5)}
    s.step(c.schedule_activity(s.name("acts"), retry_policy=policy, start_to_close_timeout=timedelta(hours=9)))
    s.fail_activity(s.poll_activity("acts"))
    s.complete_activity(s.poll_activity("acts"))
    s.step(c.complete())
    s.history("w")


@scenario
def test_a_run_that_waits_for_nothing_times_out(s: Script) -> None:
    start(s)
    s.step()
    s.await_event("w", "WORKFLOW_EXECUTION_TIMED_OUT")
    s.history("w")


@scenario
def test_a_delayed_start(s: Script) -> None:
    start(s, workflow_start_delay=DAY)
    s.step(c.complete())
    s.history("w")


@scenario
def test_as_often_as_it_may(s: Script) -> None:
    start(s, config={"max_session_skip_count": 1})
    s.step(c.start_timer("t", DAY_S))
    s.step(c.start_timer("u", DAY_S))
    s.describe("w")
    s.history("w")


@scenario
def test_the_next_run_goes_on_from_there(s: Script) -> None:
    start(s)
    s.step(c.start_timer("t", DAY_S))
    s.step(c.continue_as_new())
    s.step(c.start_timer("t", DAY_S))
    s.step(c.complete())
    s.history("w")
    s.describe("w")


@scenario
def test_a_child_goes_on_from_there(s: Script) -> None:
    start(s)
    s.step(c.start_timer("t", DAY_S))
    s.step(c.start_child(s.name("child"), s.name("children"), workflow_run_timeout=RUN_TIMEOUT))
    s.await_event("w", "CHILD_WORKFLOW_EXECUTION_STARTED")
    s.step(c.start_timer("u", DAY_S), queue="children")
    s.step(c.complete(), queue="children")
    s.await_event("w", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.step(c.complete())
    s.history("w")
    s.history("child")


@scenario
def test_a_child_has_a_clock_of_its_own(s: Script) -> None:
    start(s, config={"disable_propagation": True})
    s.step(c.start_child(s.name("child"), s.name("children")))
    s.await_event("w", "CHILD_WORKFLOW_EXECUTION_STARTED")
    s.step(c.complete(), queue="children")
    s.await_event("w", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.history("w")
    s.history("child")


@scenario
def test_switched_on_and_off(s: Script) -> None:
    s.start("w", workflow_run_timeout=RUN_TIMEOUT)
    s.step(c.start_timer("t", DAY_S))
    configure(s, {"enabled": True})
    s.step(c.start_timer("u", DAY_S))
    s.await_event("w", "TIMER_FIRED", count=2)
    configure(s, {"enabled": False})
    configure(s, {"enabled": False})
    s.describe("w")
    configure(s, None)
    s.describe("w")
    s.history("w")


@scenario
def test_a_fast_forward(s: Script) -> None:
    start(s, config=forward())
    s.step(c.start_timer("t", 3 * DAY_S))
    poll_forward(s)
    s.describe("w")
    s.history("w")
    poll_forward(s, "another")


@scenario
def test_a_fast_forward_of_a_run_that_works(s: Script) -> None:
    start(s, config=forward(timedelta(seconds=1)))
    poll_forward(s)
    s.step(c.complete())
    s.history("w")


@scenario
def test_a_fast_forward_that_never_ends(s: Script) -> None:
    start(s, config=forward())
    s.step(c.complete())
    poll_forward(s)


@scenario
def test_a_fast_forward_that_is_replaced(s: Script) -> None:
    start(s, config=forward(timedelta(days=20)))
    poll = s.later("PollWorkflowExecutionTimeSkipping", workflow_execution=s.execution("w"), fast_forward_id="f")
    # It has to be there before what it waits for.
    s.settle_behind(lambda: s.call("DescribeWorkflowExecution", execution=s.execution("w"), silent=True))
    configure(s, forward(timedelta(days=10)))
    poll()
    configure(s, forward(name="another"))
    poll_forward(s)
    s.step(c.start_timer("t", 3 * DAY_S))
    poll_forward(s, "another")
    s.history("w")


@scenario
def test_a_fast_forward_over_several_runs(s: Script) -> None:
    start(s, config=forward(2 * DAY))
    s.step(c.start_timer("t", DAY_S))
    s.step(c.continue_as_new())
    s.step(c.start_timer("t", 10 * DAY_S))
    poll_forward(s)
    s.history("w")


@scenario
def test_a_reset_run_goes_on_with_the_time_that_it_had(s: Script) -> None:
    start(s)
    s.step(c.start_timer("t", DAY_S))
    s.step(c.start_timer("u", DAY_S))
    s.step(c.complete())
    reset = s.call(
        "ResetWorkflowExecution",
        workflow_execution=s.execution("w"),
        reason="again",
        workflow_task_finish_event_id=9,
        request_id="reset",
    )
    s.describe("w")
    s.step(c.start_timer("v", DAY_S))
    s.step(c.complete())
    s.history("w", run_id=reset.run_id)


@scenario
def test_signal_with_start(s: Script) -> None:
    s.call(
        "SignalWithStartWorkflowExecution",
        workflow_id=s.name("w"),
        workflow_type={"name": "Scripted"},
        task_queue={"name": s.name("main")},
        signal_name="go",
        request_id="r",
        time_skipping_config={"enabled": True},
    )
    s.step(c.start_timer("t", DAY_S))
    s.step(c.complete())
    s.history("w")


@scenario
def test_configurations_that_cannot_be(s: Script) -> None:
    start(s, config={"fast_forward_config": {"id": "f"}}, refused=True)
    start(s, config={"fast_forward_config": {"duration": DAY}}, refused=True)
    start(s, config={"enabled": False} | {"fast_forward_config": {"id": "f", "duration": DAY}}, refused=True)
    s.start("w")
    configure(s, forward(name=" "), refused=True)
    poll_forward(s, "", refused=True)
    poll_forward(s, "nothing")
    poll_forward(s, name="nobody", refused=True)
    s.call(
        "UpdateWorkflowExecutionOptions",
        workflow_execution=s.execution("w"),
        workflow_execution_options={"time_skipping_config": {"enabled": True}},
        update_mask={"paths": ["time_skipping_config.enabled"]},
        refused=True,
    )
