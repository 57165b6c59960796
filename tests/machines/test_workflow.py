"""The run: its start, signals, cancel requests, and each way in which it ends."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.update.v1 import Request

from perdure.history.effects import (
    AbortUpdates,
    ApplyParentClosePolicy,
    NotifyParent,
    OfferWorkflowTask,
)
from perdure.history.machines import child, update, workflow
from perdure.history.state.changes import (
    CancelRequestSeen,
    OrphanHandled,
    ParentNotified,
    RequestSeen,
    SignalRequestSeen,
    WorkflowTaskNormalized,
)
from perdure.kernel.errors import InvalidArgument, NotFound
from perdure.kernel.limits import Limits
from tests.differential import commands as c
from tests.differential import updates as u
from tests.differential.script import payloads
from tests.support.playbook import Play, Run, buffered, change, event, start

PARENT: dict[str, Any] = {
    "parent_workflow_namespace": "default",
    "parent_workflow_namespace_id": "namespace-1",
    "parent_workflow_execution": {"workflow_id": "parent", "run_id": "parent-run"},
    "parent_initiated_event_id": 5,
}


def signal(run: Run, name: str = "go", request_id: str = "") -> Play:
    return run.decide(workflow.signal, name, payloads("hello"), "client", None, request_id)


def terminate(run: Run) -> Play:
    return run.decide(workflow.terminate, "enough", payloads("details"), "client")


def cancel(run: Run, request_id: str = "") -> Play:
    return run.decide(workflow.request_cancel, "why", "client", request_id)


# Starts that wait


def test_a_start_that_is_delayed_has_its_first_task_later() -> None:
    run = start(first_workflow_task_backoff={"seconds": 30})
    run.beginning.expect(event("WorkflowExecutionStarted", first_workflow_task_backoff=30))
    assert run.wakes_after == 30
    run.wake().expect(event("WorkflowTaskScheduled", id=2), OfferWorkflowTask())


def test_a_signal_does_not_wake_a_run_that_waits_for_its_first_task() -> None:
    run = start(first_workflow_task_backoff={"seconds": 30})
    signal(run).expect(event("WorkflowExecutionSignaled", id=2))


def test_a_cancel_request_wakes_a_run_that_waits_for_its_first_task() -> None:
    run = start(first_workflow_task_backoff={"seconds": 30})
    cancel(run).expect(
        event("WorkflowExecutionCancelRequested", id=2), event("WorkflowTaskScheduled", id=3), OfferWorkflowTask()
    )


def test_the_time_of_a_run_that_waits_begins_with_its_first_task() -> None:
    run = start(first_workflow_task_backoff={"seconds": 30}, workflow_run_timeout={"seconds": 5})
    run.wake()
    assert run.wakes_after == 5


# Signals


def test_a_signal_makes_a_task() -> None:
    run = start()
    run.turn()
    signal(run).expect(
        event("WorkflowExecutionSignaled", id=5, signal_name="go", input=["hello"], identity="client"),
        event("WorkflowTaskScheduled", id=6),
        OfferWorkflowTask(),
    )


def test_a_signal_counts_once_per_request_id() -> None:
    run = start()
    first = signal(run, request_id="r").expect(
        change(SignalRequestSeen, request_id="r"),
        event("WorkflowExecutionSignaled", id=3),
        change(RequestSeen, request_id="r", event_id=3),
    )
    assert first.result is True
    assert signal(run, request_id="r").expect().result is False
    signal(run, request_id="s").expect(
        change(SignalRequestSeen), event("WorkflowExecutionSignaled"), change(RequestSeen)
    )


def test_a_run_takes_so_many_signals_and_no_more() -> None:
    run = start(limits=Limits(signals_max=2))
    signal(run)
    run.take_task()
    signal(run)
    with pytest.raises(InvalidArgument, match="exceeded workflow execution limit for signal events"):
        signal(run)


def test_a_closed_run_takes_no_signals_but_knows_those_it_had() -> None:
    run = start()
    signal(run, request_id="r")
    run.turn(c.complete())
    assert signal(run, request_id="r").result is False
    with pytest.raises(NotFound, match="workflow execution already completed"):
        signal(run, request_id="s")


# Cancel requests


def test_a_run_is_asked_to_cancel_itself_once() -> None:
    run = start()
    run.turn()
    cancel(run, "r").expect(
        event("WorkflowExecutionCancelRequested", id=5, cause="why", identity="client"),
        change(CancelRequestSeen, request_id="r"),
        event("WorkflowTaskScheduled", id=6),
        OfferWorkflowTask(),
    )
    cancel(run, "s").expect()


def test_a_closed_run_need_not_be_cancelled() -> None:
    run = start()
    run.turn(c.complete())
    cancel(run).expect()


def test_a_cancel_request_during_a_task_is_held_back() -> None:
    run = start()
    run.take_task()
    cancel(run).expect(buffered("WorkflowExecutionCancelRequested"))
    cancel(run).expect()


# Ends


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (c.complete("result"), event("WorkflowExecutionCompleted", id=5, result=["result"])),
        (
            c.fail("sad"),
            event("WorkflowExecutionFailed", id=5, failure="sad", retry_state="RETRY_POLICY_NOT_SET"),
        ),
        (c.cancel("gone"), event("WorkflowExecutionCanceled", id=5, details=["gone"])),
    ],
)
def test_the_workflow_ends_itself(command: Command, expected: Any) -> None:
    run = start()
    run.turn(command).expect(event("WorkflowTaskCompleted", id=4), expected)
    assert not run.state.running
    # It is kept for as long as the namespace wants.
    assert run.wakes_after == run.namespace.retention_ns / 1e9


def test_termination_ends_a_run_at_once() -> None:
    run = start()
    terminate(run).expect(
        event("WorkflowExecutionTerminated", id=3, reason="enough", details=["details"], identity="client")
    )
    with pytest.raises(NotFound, match="workflow execution already completed"):
        terminate(run)


def test_termination_takes_the_task_away_from_its_worker() -> None:
    run = start()
    run.take_task()
    signal(run)
    token = run.token()
    terminate(run).expect(
        event("WorkflowTaskFailed", id=4, cause="FORCE_CLOSE_COMMAND"),
        event("WorkflowExecutionSignaled", id=5),
        change(WorkflowTaskNormalized),
        event("WorkflowExecutionTerminated", id=6),
    )
    assert run.state.workflow_task is None and token.started_event_id == 3


def test_termination_takes_a_repeated_task_away_without_a_trace() -> None:
    run = start()
    run.take_task()
    run.wake()
    run.take_task()
    terminate(run).expect(event("WorkflowExecutionTerminated", id=5))
    assert run.state.workflow_task is None


def test_a_run_times_out() -> None:
    run = start(workflow_run_timeout={"seconds": 5})
    assert run.wakes_after == 5
    run.wake().expect(event("WorkflowExecutionTimedOut", id=3, retry_state="RETRY_POLICY_NOT_SET"))


def test_the_execution_timeout_holds_for_all_runs_together() -> None:
    run = start(
        workflow_run_timeout={"seconds": 50},
        workflow_execution_expiration_time={"seconds": 1_700_000_007},
        retry_policy={"initial_interval": {"seconds": 1}},
    )
    assert run.wakes_after == 7
    play = run.wake().expect(event("WorkflowExecutionTimedOut", retry_state="TIMEOUT"))
    assert play.successor is None


def test_a_history_that_outgrows_its_limit_ends_the_run() -> None:
    run = start(limits=Limits(history_count_max=5))
    run.turn(c.marker(), c.marker()).expect(
        event("WorkflowTaskCompleted", id=4),
        event("MarkerRecorded", id=5),
        event("MarkerRecorded", id=6),
        event("WorkflowExecutionTerminated", id=7, reason="Workflow history count exceeds limit."),
    )
    run = start(limits=Limits(history_size_max=500))
    run.turn(c.marker(details={"data": payloads("x" * 500)})).expect(
        event("WorkflowTaskCompleted"),
        event("MarkerRecorded"),
        event("WorkflowExecutionTerminated", reason="Workflow history size exceeds limit."),
    )


def test_a_command_after_the_end_is_none() -> None:
    run = start()
    run.turn(c.start_timer(), c.complete()).expect(
        event("WorkflowTaskCompleted"), event("TimerStarted"), event("WorkflowExecutionCompleted")
    )
    assert run.wakes_after == run.namespace.retention_ns / 1e9


# What the end entails


def test_a_child_tells_its_parent() -> None:
    run = start(**PARENT)
    run.turn(c.complete()).expect(event("WorkflowTaskCompleted"), event("WorkflowExecutionCompleted"), NotifyParent())
    assert run.agenda.owes
    run.decide(lambda tx: tx.change(ParentNotified())).expect(change(ParentNotified))
    assert not run.agenda.owes


def test_a_child_that_goes_on_in_another_run_tells_nothing_yet() -> None:
    run = start(**PARENT)
    play = run.turn(c.continue_as_new())
    assert play.events() == ["WorkflowTaskCompleted", "WorkflowExecutionContinuedAsNew"]
    assert play.successor is not None
    play.successor.wake()
    play.successor.turn(c.complete()).expect(
        event("WorkflowTaskCompleted"), event("WorkflowExecutionCompleted"), NotifyParent()
    )


def test_children_are_dealt_with_as_they_were_started_to_be() -> None:
    run = start()
    run.turn(
        c.start_child("terminated", "orders"),
        c.start_child("cancelled", "orders", parent_close_policy="PARENT_CLOSE_POLICY_REQUEST_CANCEL"),
        c.start_child("left", "orders", parent_close_policy="PARENT_CLOSE_POLICY_ABANDON"),
    )
    for workflow_id in ("terminated", "cancelled", "left"):
        run.decide(child.started, run.child(workflow_id), f"{workflow_id}-run")
    run.turn(c.complete()).expect(
        event("WorkflowTaskCompleted"),
        event("WorkflowExecutionCompleted"),
        ApplyParentClosePolicy(5),
        ApplyParentClosePolicy(6),
    )
    run.decide(lambda tx: tx.change(OrphanHandled(5)))
    run.decide(lambda tx: tx.change(OrphanHandled(6)))
    assert not run.agenda.owes


def test_updates_that_the_end_overtakes_are_given_up() -> None:
    run = start()
    run.turn()
    for update_id in ("accepted", "unanswered"):
        run.decide(update.admit, Request(meta={"update_id": update_id}, input={"name": "change"}))  # type: ignore[arg-type]
    messages = run.take_task().result
    run.answer(messages=[u.accepted(messages[0])], force_create_new_workflow_task=True)
    terminate(run).expect(
        event("WorkflowExecutionTerminated"),
        AbortUpdates(("unanswered",), ("accepted",), continued=False),
    )


def test_what_was_pending_wants_no_attention_any_more() -> None:
    run = start(workflow_run_timeout={"seconds": 50})
    run.turn(c.schedule_activity("acts"), c.start_timer(), c.signal_external("other"), c.cancel_external("other"))
    terminate(run).expect(event("WorkflowExecutionTerminated"))
    assert not run.agenda.owes
    assert run.wakes_after == run.namespace.retention_ns / 1e9


def test_what_was_pending_is_still_there_to_be_seen() -> None:
    run = start()
    run.turn(c.schedule_activity("acts", "pay"), c.start_child("child", "orders"), c.start_timer())
    run.decide(child.started, run.child("child"), "child-run")
    terminate(run).expect(event("WorkflowExecutionTerminated"), ApplyParentClosePolicy(6))
    run.decide(lambda tx: tx.change(OrphanHandled(6)))
    assert list(run.state.activities) == [5] and list(run.state.children) == [6]
    assert run.task.scheduled_event_id == 9
    assert not run.agenda.owes


@pytest.mark.parametrize("policy", ["TERMINATE", "REQUEST_CANCEL", "ABANDON"])
def test_a_child_that_was_not_started_before_the_end_never_is(policy: str) -> None:
    run = start()
    run.turn(c.start_child("child", "orders", parent_close_policy=f"PARENT_CLOSE_POLICY_{policy}"), c.complete())
    assert not run.agenda.owes and run.agenda.outstanding(run.at(0)) == []
