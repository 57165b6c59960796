"""Pause and unpause of workflows: what goes on meanwhile, what does not, and what is refused."""

from datetime import timedelta
from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, payloads


def _pause(s: Script, name: str, **fields: Any) -> None:
    fields.setdefault("request_id", f"pause-{name}")
    fields.setdefault("reason", "look into it")
    s.call("PauseWorkflowExecution", workflow_id=s.name(name), **fields)


def _unpause(s: Script, name: str, **fields: Any) -> None:
    fields.setdefault("request_id", f"unpause-{name}")
    fields.setdefault("reason", "go on")
    s.call("UnpauseWorkflowExecution", workflow_id=s.name(name), **fields)


@scenario
def test_paused_between_tasks(s: Script) -> None:
    s.start("w")
    s.step()
    _pause(s, "w")
    s.history("w")
    s.describe("w")
    s.signal("w")
    s.history("w")
    _unpause(s, "w")
    s.history("w")
    s.describe("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_paused_with_a_task_that_nobody_has(s: Script) -> None:
    s.start("w")
    _pause(s, "w")
    s.history("w")
    s.describe("w")
    _unpause(s, "w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_paused_between_attempts(s: Script) -> None:
    s.start("w")
    s.fail_task(s.poll())
    _pause(s, "w")
    s.history("w")
    _unpause(s, "w")
    s.step(c.complete())
    s.history("w")
    s.describe("w")


@scenario
def test_paused_while_a_worker_has_a_task(s: Script) -> None:
    s.start("w")
    task = s.poll()
    _pause(s, "w")
    s.signal("w")
    s.complete(task, c.start_timer("t", seconds=600), c.schedule_activity(s.name("acts")))
    s.history("w")
    s.describe("w")
    _unpause(s, "w")
    s.complete_activity(s.poll_activity("acts"))
    s.step(c.complete())
    s.history("w")


@scenario
def test_a_task_fails_while_paused(s: Script) -> None:
    s.start("w")
    task = s.poll()
    _pause(s, "w")
    s.fail_task(task)
    s.history("w")
    s.describe("w")
    _unpause(s, "w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_force_create_is_refused(s: Script) -> None:
    s.start("w")
    task = s.poll()
    _pause(s, "w")
    s.complete(task, force_create_new_workflow_task=True, refused=True)
    s.complete(task)
    s.history("w")


@scenario
def test_activities(s: Script) -> None:
    s.start("w")
    s.step(
        c.schedule_activity(s.name("acts"), "running"),
        c.schedule_activity(s.name("other"), "waiting"),
    )
    running = s.poll_activity("acts")
    _pause(s, "w")
    s.heartbeat(running)
    s.describe("w")
    s.complete_activity(running)
    s.history("w")
    _unpause(s, "w")
    s.complete_activity(s.poll_activity("other"))
    s.step()
    s.history("w")


@scenario
def test_an_attempt_fails_while_paused(s: Script) -> None:
    retries = {"initial_interval": timedelta(milliseconds=1), "maximum_attempts": 3}
    s.start("w")
    s.step(c.schedule_activity(s.name("acts"), retry_policy=retries))
    running = s.poll_activity("acts")
    _pause(s, "w")
    s.fail_activity(running)
    _unpause(s, "w")
    s.complete_activity(s.poll_activity("acts"))
    s.step()
    s.history("w")


@scenario
def test_timers_fire(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer("t", seconds=1))
    _pause(s, "w")
    s.await_event("w", "TIMER_FIRED")
    s.history("w")
    _unpause(s, "w")
    s.history("w")


@scenario
def test_queries_and_updates_are_refused(s: Script) -> None:
    s.start("w")
    s.step()
    _pause(s, "w")
    s.query("w")()
    s.query("w", query_reject_condition="QUERY_REJECT_CONDITION_NONE")()
    s.update("w", "u", refused=True)()


@scenario
def test_asking_again(s: Script) -> None:
    s.start("w")
    s.step()
    _unpause(s, "w", refused=True)
    _pause(s, "w", request_id="a")
    _pause(s, "w", request_id="a")
    _pause(s, "w", request_id="b", refused=True)
    _pause(s, "w", request_id="", refused=True)
    s.history("w")
    _unpause(s, "w")
    _unpause(s, "w", refused=True)
    s.terminate("w")
    _pause(s, "w", refused=True)
    _unpause(s, "w", refused=True)
    _pause(s, "nobody", refused=True)


@scenario
def test_bad_requests(s: Script) -> None:
    s.start("w")
    long = "x" * 1001
    for field in ("reason", "request_id", "identity"):
        _pause(s, "w", refused=True, **{field: long})
        _unpause(s, "w", refused=True, **{field: long})


@scenario
def test_ended_while_paused(s: Script) -> None:
    for name in ("a", "b", "c"):
        s.start(name)
        s.step()
        _pause(s, name)
    s.terminate("a")
    s.cancel("b")
    s.signal("c", "go")
    for name in ("a", "b", "c"):
        s.history(name)
        s.describe(name)


@scenario
def test_signal_with_start_and_policies(s: Script) -> None:
    s.start("w")
    s.step()
    _pause(s, "w")
    s.call(
        "SignalWithStartWorkflowExecution",
        workflow_id=s.name("w"),
        workflow_type={"name": "Scripted"},
        task_queue={"name": s.name("main")},
        signal_name="go",
        signal_input=payloads("x"),
        request_id="again",
    )
    s.start("w", request_id="other", refused=True)
    s.start("w", request_id="third", workflow_id_conflict_policy="WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING")
    s.history("w")


@scenario
def test_children_start(s: Script) -> None:
    s.start("parent")
    task = s.poll()
    _pause(s, "parent")
    s.complete(task, c.start_child(s.name("child"), s.name("children")))
    s.await_child("parent", "child")
    s.step(c.complete("from child"), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.history("parent")


@scenario
def test_sticky_task_is_taken_back(s: Script) -> None:
    s.start("w")
    sticky = {
        "worker_task_queue": {
            "name": s.name("main-sticky"),
            "kind": "TASK_QUEUE_KIND_STICKY",
            "normal_name": s.name("main"),
        },
        "schedule_to_start_timeout": timedelta(seconds=60),
    }
    s.step(sticky_attributes=sticky)
    s.signal("w")
    _pause(s, "w")
    s.history("w")
    _unpause(s, "w")
    s.history("w")


@scenario
def test_reset_of_a_paused_run(s: Script) -> None:
    s.start("w")
    s.step()
    _pause(s, "w")
    s.call(
        "ResetWorkflowExecution",
        workflow_execution=s.execution("w"),
        workflow_task_finish_event_id=4,
        request_id="reset",
        reason="again",
    )
    s.history("w")
    s.describe("w")
