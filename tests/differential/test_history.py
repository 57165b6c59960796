"""Reading histories: pages, order, filters, long polls; and what describe says."""

from datetime import timedelta
from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, event_name, payloads


def _read(s: Script, rpc: str, **fields: Any) -> None:
    """Read a history to its end, and record the events: where pages end is a matter of storage, since the real server
    counts batches of events."""
    token, events = b"", []
    while True:
        page = s.call(rpc, next_page_token=token, silent=True, **fields)
        events += [f"{each.event_id} {event_name(each.event_type)}" for each in page.history.events]
        token = page.next_page_token
        if not token:
            break
    s.note(str(events))


@scenario
def test_pages(s: Script) -> None:
    run_id = s.start("w").run_id
    s.step(*(c.marker(f"m{number}") for number in range(7)))
    _read(s, "GetWorkflowExecutionHistory", execution=s.execution("w", run_id), maximum_page_size=4)
    _read(s, "GetWorkflowExecutionHistory", execution=s.execution("w"), maximum_page_size=3)


@scenario
def test_reverse(s: Script) -> None:
    s.start("w")
    s.step(c.marker("a"), c.marker("b"), c.complete())
    s.call("GetWorkflowExecutionHistoryReverse", execution=s.execution("w"))
    _read(s, "GetWorkflowExecutionHistoryReverse", execution=s.execution("w"), maximum_page_size=3)


@scenario
def test_close_event_only(s: Script) -> None:
    s.start("w")
    s.history("w", history_event_filter_type="HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT", timeout=3)
    s.step(c.complete())
    s.history("w", history_event_filter_type="HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT")


@scenario
def test_wait_for_the_close_event(s: Script) -> None:
    s.start("w")
    task = s.poll()
    wait = s.later(
        "GetWorkflowExecutionHistory",
        execution=s.execution("w"),
        wait_new_event=True,
        history_event_filter_type="HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT",
    )
    s.settle("w")
    s.signal("w")
    s.complete(task)
    s.step(c.complete())
    wait()


@scenario
def test_wait_for_the_close_event_across_runs(s: Script) -> None:
    first = s.start("w").run_id
    wait = s.later(
        "GetWorkflowExecutionHistory",
        execution=s.execution("w", first),
        wait_new_event=True,
        history_event_filter_type="HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT",
    )
    s.step(c.continue_as_new())
    wait()
    s.step(c.complete())
    s.history("w", wait_new_event=True, history_event_filter_type="HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT")


@scenario
def test_wait_for_new_events(s: Script) -> None:
    s.start("w")
    page = s.history("w", wait_new_event=True)
    wait = s.later(
        "GetWorkflowExecutionHistory",
        execution=s.execution("w"),
        wait_new_event=True,
        next_page_token=page.next_page_token,
    )
    s.settle("w")
    s.signal("w")
    page = wait()
    s.step(c.complete())
    while page.next_page_token:
        page = s.history("w", wait_new_event=True, next_page_token=page.next_page_token)


@scenario
def test_closed_history_does_not_wait(s: Script) -> None:
    s.start("w")
    s.step(c.complete())
    s.history("w", wait_new_event=True)


@scenario
def test_refused(s: Script) -> None:
    run_id = s.start("w", queue="nobody").run_id
    s.start("x", queue="nobody")
    page = s.history("w", maximum_page_size=1, silent=True)
    s.history("nobody", refused=True)
    s.history("", refused=True)
    s.history("w", run_id="no-uuid", refused=True)
    s.history("w", run_id="11111111-2222-4333-8444-555555555555", refused=True)
    s.history("w", next_page_token=b"garbage", refused=True)
    s.history("x", next_page_token=page.next_page_token, refused=True)
    s.history("w", maximum_page_size=-1, refused=True)
    s.history("w", history_event_filter_type=9, refused=True)
    s.call("GetWorkflowExecutionHistory", refused=True)
    s.call("GetWorkflowExecutionHistoryReverse", execution=s.execution("nobody"), refused=True)
    s.call("GetWorkflowExecutionHistoryReverse", execution=s.execution("w", "no-uuid"), refused=True)
    s.call("GetWorkflowExecutionHistoryReverse", execution=s.execution("w"), next_page_token=b"garbage", refused=True)
    s.describe("nobody", refused=True)
    s.describe("", refused=True)
    s.describe("w", run_id="no-uuid", refused=True)
    s.describe("w", run_id="11111111-2222-4333-8444-555555555555", refused=True)
    s.call("DescribeWorkflowExecution", refused=True)
    s.describe("w", run_id=run_id)


@scenario
def test_describe_with_everything_pending(s: Script) -> None:
    s.start("w", workflow_execution_timeout=timedelta(hours=3))
    s.step(
        c.schedule_activity(s.name("acts"), "waiting", heartbeat_timeout=timedelta(minutes=1)),
        c.schedule_activity(s.name("started"), "started", priority={"priority_key": 1}),
        c.start_timer(),
        c.start_child(s.name("child"), s.name("children")),
    )
    s.await_event("w", "CHILD_WORKFLOW_EXECUTION_STARTED")
    s.poll_activity("started")
    s.describe("w")
    task = s.poll()
    s.describe("w")
    s.fail_task(task)
    s.describe("w")


@scenario
def test_describe_after_the_end(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")), c.start_timer(), c.start_child(s.name("child"), s.name("children")))
    s.await_event("w", "CHILD_WORKFLOW_EXECUTION_STARTED")
    s.terminate("w")
    s.describe("w")


@scenario
def test_describe_of_each_ending(s: Script) -> None:
    s.start("completed")
    s.step(c.complete())
    s.start("failed")
    s.step(c.fail())
    s.start("cancelled")
    s.step(c.cancel())
    s.start("continued")
    s.step(c.continue_as_new())
    s.start("terminated", queue="other")
    s.step(queue="other")
    s.terminate("terminated")
    s.start("timed-out", queue="other", workflow_run_timeout=timedelta(seconds=1))
    s.step(queue="other")
    s.await_event("timed-out", "WORKFLOW_EXECUTION_TIMED_OUT")
    for name in ("completed", "failed", "cancelled", "continued", "terminated", "timed-out"):
        with s.expecting(name):
            s.describe(name)
            s.history(name, history_event_filter_type="HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT", timeout=3)


@scenario
def test_reset(s: Script) -> None:
    first = s.start("w", input=payloads("in")).run_id
    s.step(c.start_timer())
    s.signal("w")
    s.step(c.marker())
    s.call(
        "ResetWorkflowExecution",
        workflow_execution=s.execution("w", first),
        reason="again",
        workflow_task_finish_event_id=4,
        request_id="reset",
        refused=True,
    )
    s.history("w", run_id=first)
    second = s.poll()
    s.history("w", run_id=second.workflow_execution.run_id)
    s.complete(second, c.complete())
    s.call(
        "ResetWorkflowExecution",
        workflow_execution=s.execution("w", first),
        workflow_task_finish_event_id=99,
        request_id="other",
        refused=True,
    )
    s.call("ResetWorkflowExecution", workflow_execution=s.execution("nobody"), request_id="x", refused=True)
