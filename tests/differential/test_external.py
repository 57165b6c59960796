"""Commands that reach for other workflows."""

from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, payload


@scenario
def test_signal(s: Script) -> None:
    s.start("target", queue="nobody")
    s.start("w")
    s.step(c.signal_external(s.name("target"), header={"fields": {"h": payload("x")}}, control="control"))
    s.await_event("w", "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
    s.history("w")
    s.history("target")
    s.step(c.complete())


@scenario
def test_signal_one_run(s: Script) -> None:
    target = s.start("target", queue="nobody")
    s.start("w")
    execution = {"workflow_id": s.name("target"), "run_id": target.run_id}
    s.step(c.signal_external("", execution=execution))
    s.await_event("w", "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
    s.history("w")
    s.history("target")


@scenario
def test_signal_nobody(s: Script) -> None:
    s.start("w")
    s.step(c.signal_external(s.name("nobody")))
    s.await_event("w", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.history("w")
    s.step(c.complete())


@scenario
def test_signal_one_that_has_ended(s: Script) -> None:
    s.start("target")
    s.step(c.complete())
    s.start("w")
    s.step(c.signal_external(s.name("target")))
    s.await_event("w", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.history("w")


@scenario
def test_failures_leave_nothing_pending(s: Script) -> None:
    s.start("w")
    s.step(c.signal_external(s.name("nobody")), c.cancel_external(s.name("nobody")))
    s.await_event("w", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.await_event("w", "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.describe("w")


@scenario
def test_signal_child_only(s: Script) -> None:
    s.start("stranger", queue="nobody")
    s.start("w")
    s.step(c.signal_external(s.name("stranger"), child_workflow_only=True))
    s.await_event("w", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.step(c.start_child(s.name("child"), s.name("children")))
    s.await_child("w", "child")
    s.step(c.signal_external(s.name("child"), child_workflow_only=True))
    s.await_event("w", "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
    s.history("child")
    s.terminate("w")


@scenario
def test_cancel(s: Script) -> None:
    s.start("target")
    s.step(queue="main")
    s.start("w")
    s.step(c.cancel_external(s.name("target"), reason="enough", control="control"))
    s.await_event("w", "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    s.history("w")
    s.history("target")


@scenario
def test_cancel_twice(s: Script) -> None:
    s.start("target", queue="nobody")
    s.cancel("target")
    s.start("w")
    s.step(c.cancel_external(s.name("target")))
    s.await_until(lambda: _settled(s, "w"))
    s.history("w")
    s.history("target")


@scenario
def test_cancel_nobody(s: Script) -> None:
    s.start("w")
    s.step(c.cancel_external(s.name("nobody")))
    s.await_event("w", "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.history("w")


@scenario
def test_cancel_one_that_has_ended(s: Script) -> None:
    s.start("target")
    s.step(c.complete())
    s.start("w")
    s.step(c.cancel_external(s.name("target")))
    s.await_until(lambda: _settled(s, "w"))
    s.history("w")


def _settled(s: Script, name: str) -> bool:
    """Whether the cancel request has come to something."""
    response: Any = s.call("GetWorkflowExecutionHistory", execution=s.execution(name), silent=True)
    last = response.history.events[-1]
    return bool(last.HasField("workflow_task_scheduled_event_attributes") and last.event_id > 5)
