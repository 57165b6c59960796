"""Signals, signal-with-start, and requests to cancel, terminate and delete."""

from datetime import timedelta
from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, payload, payloads


def _signal_with_start(s: Script, name: str, *, refused: bool = False, **fields: Any) -> Any:
    request: dict[str, Any] = {
        "workflow_id": s.name(name),
        "workflow_type": {"name": "Scripted"},
        "task_queue": {"name": s.name("main")},
        "request_id": "r1",
        "signal_name": "go",
        "signal_input": payloads("signal"),
        **fields,
    }
    return s.call("SignalWithStartWorkflowExecution", refused=refused, **request)


@scenario
def test_signal(s: Script) -> None:
    s.start("w")
    s.step()
    s.signal("w", input=payloads("in"), header={"fields": {"h": payload("x")}}, control="control")
    s.step(c.complete())
    s.history("w")
    s.signal("w", refused=True)


@scenario
def test_signal_is_deduplicated_by_request_id(s: Script) -> None:
    s.start("w")
    s.signal("w", request_id="one")
    s.signal("w", request_id="one")
    s.signal("w", request_id="two")
    s.signal("w")
    s.history("w")
    task = s.poll()
    s.signal("w", request_id="three")
    s.signal("w", request_id="three")
    s.complete(task)
    s.history("w")


@scenario
def test_signals_that_are_refused(s: Script) -> None:
    run_id = s.start("w").run_id
    s.signal("nobody", refused=True)
    s.signal("w", run_id="no-uuid", refused=True)
    s.signal("w", run_id="11111111-2222-4333-8444-555555555555", refused=True)
    s.signal("w", "", refused=True)
    s.signal("w", "x" * 1001, refused=True)
    s.signal("", refused=True)
    s.signal("w", request_id="x" * 1001, refused=True)
    s.signal("w", input={"payloads": [{"data": b"x" * 2_100_000}]}, refused=True)
    s.signal("w", namespace="nowhere", refused=True)
    s.signal("w", run_id=run_id)
    s.history("w")


@scenario
def test_signal_with_start(s: Script) -> None:
    _signal_with_start(
        s,
        "w",
        input=payloads("in"),
        header={"fields": {"h": payload("x")}},
        memo={"fields": {"m": payload("1")}},
        workflow_run_timeout=timedelta(hours=1),
        user_metadata={"summary": payload("summary")},
    )
    s.history("w")
    _signal_with_start(s, "w", request_id="r2", signal_name="second")
    s.history("w")
    s.step(c.complete())
    _signal_with_start(s, "w", request_id="r3")
    s.history("w")


@scenario
def test_signal_with_start_policies(s: Script) -> None:
    for reuse in ("ALLOW_DUPLICATE", "ALLOW_DUPLICATE_FAILED_ONLY", "REJECT_DUPLICATE", "TERMINATE_IF_RUNNING"):
        policy = {"workflow_id_reuse_policy": f"WORKFLOW_ID_REUSE_POLICY_{reuse}"}
        with s.expecting(f"{reuse}, running"):
            running = f"running-{reuse}"
            s.start(running, queue="nobody", silent=True)
            _signal_with_start(s, running, refused=True, **policy)
        with s.expecting(f"{reuse}, completed"):
            completed = f"completed-{reuse}"
            s.start(completed, queue=completed, silent=True)
            s.complete(s.poll(completed, silent=True), c.complete())
            _signal_with_start(s, completed, refused=True, **policy)
    for conflict in ("FAIL", "USE_EXISTING", "TERMINATE_EXISTING"):
        with s.expecting(conflict):
            s.start(conflict, queue="nobody", silent=True)
            _signal_with_start(
                s, conflict, refused=True, workflow_id_conflict_policy=f"WORKFLOW_ID_CONFLICT_POLICY_{conflict}"
            )
            s.history(conflict)


@scenario
def test_signal_with_start_is_deduplicated(s: Script) -> None:
    _signal_with_start(s, "w")
    _signal_with_start(s, "w")
    s.history("w")


@scenario
def test_signal_with_start_that_is_refused(s: Script) -> None:
    refused: dict[str, dict[str, Any]] = {
        "no signal name": {"signal_name": ""},
        "long signal name": {"signal_name": "x" * 1001},
        "no id": {"workflow_id": ""},
        "no type": {"workflow_type": None},
        "no queue": {"task_queue": None},
        "negative timeout": {"workflow_run_timeout": timedelta(seconds=-1)},
        "bad cron": {"cron_schedule": "x"},
        "cron and delay": {"cron_schedule": "@every 1h", "workflow_start_delay": timedelta(seconds=1)},
        "bad retry": {"retry_policy": {"backoff_coefficient": 0.2}},
        "long request id": {"request_id": "x" * 1001},
    }
    for note, fields in refused.items():
        with s.expecting(note):
            _signal_with_start(s, "w", refused=True, **fields)


@scenario
def test_signal_with_start_with_delay(s: Script) -> None:
    _signal_with_start(s, "w", workflow_start_delay=timedelta(seconds=2))
    s.history("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_cancel_request(s: Script) -> None:
    s.start("w")
    s.cancel("w", reason="one", request_id="one")
    s.cancel("w", reason="one", request_id="one")
    s.cancel("w", reason="two", request_id="two", refused=True)
    s.describe("w")
    s.step(c.complete())
    s.history("w")
    s.cancel("w", refused=True)


@scenario
def test_cancel_request_with_first_run(s: Script) -> None:
    first = s.start("w").run_id
    s.step(c.continue_as_new())
    s.poll()
    s.cancel("w", run_id=first, refused=True)
    s.cancel("w", first_execution_run_id="11111111-2222-4333-8444-555555555555", refused=True)
    s.cancel("w", first_execution_run_id=first)
    s.cancel("nobody", refused=True)
    s.cancel("w", run_id="no-uuid", refused=True)
    s.cancel("w", first_execution_run_id="no-uuid", refused=True)
    s.cancel("", refused=True)
    s.history("w")


@scenario
def test_terminate(s: Script) -> None:
    s.start("w")
    task = s.poll()
    s.signal("w")
    s.terminate("w", reason="enough", details=payloads("x"))
    s.history("w")
    s.describe("w")
    s.terminate("w", refused=True)
    s.complete(task, refused=True)
    s.poll(timeout=3)


@scenario
def test_terminate_that_is_refused(s: Script) -> None:
    first = s.start("w").run_id
    s.terminate("nobody", refused=True)
    s.terminate("", refused=True)
    s.terminate("w", run_id="no-uuid", refused=True)
    s.terminate("w", first_execution_run_id="no-uuid", refused=True)
    s.terminate("w", first_execution_run_id="11111111-2222-4333-8444-555555555555", refused=True)
    s.terminate("w", reason="x" * 1001, refused=True)
    s.terminate("w", run_id=first, first_execution_run_id=first, refused=True)
    s.history("w")


@scenario
def test_delete(s: Script) -> None:
    s.start("w")
    s.step(c.complete())
    s.await_until(lambda: _listed(s) == 1)
    s.call("DeleteWorkflowExecution", workflow_execution=s.execution("w"))
    s.await_gone("w")
    s.describe("w", refused=True)
    s.history("w", refused=True)
    s.start("w")
    s.history("w")


@scenario
def test_delete_of_a_running_one(s: Script) -> None:
    s.start("w")
    s.await_until(lambda: _listed(s) == 1)
    s.call("DeleteWorkflowExecution", workflow_execution=s.execution("w"))
    s.await_gone("w")
    s.describe("w", refused=True)
    s.signal("w", refused=True)


@scenario
def test_delete_that_is_refused(s: Script) -> None:
    s.call("DeleteWorkflowExecution", workflow_execution=s.execution("nobody"), refused=True)
    s.call("DeleteWorkflowExecution", workflow_execution={"workflow_id": ""}, refused=True)
    s.call("DeleteWorkflowExecution", workflow_execution=s.execution("nobody", "no-uuid"), refused=True)
    s.call("DeleteWorkflowExecution", refused=True)


def _listed(s: Script) -> int:
    query = f"WorkflowId = '{s.name('w')}'"
    return int(s.call("CountWorkflowExecutions", query=query, silent=True).count)
