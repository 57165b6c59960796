"""Child executions, from the parent's side."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, StartChildWorkflowExecutionFailedCause
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.effects import OfferWorkflowTask, StartChild
from perdure.history.machines import child, workflow
from perdure.history.state.changes import WorkflowTaskScheduled
from perdure.kernel.limits import Limits
from tests.differential import commands as c
from tests.differential.script import failure, payloads
from tests.support.playbook import Play, Run, buffered, change, event, start

EXECUTION = WorkflowExecution(workflow_id="child", run_id="child-run")


def parent() -> Run:
    """A run that has initiated a child, with event 5."""
    run = start()
    run.turn(c.start_child("child", "children"))
    return run


def started() -> Run:
    run = parent()
    run.decide(child.started, run.child("child"), "child-run")
    return run


def closed(run: Run, kind: str, **attributes: Any) -> Play:
    """The child's last run ended with this event."""
    fields: Any = {f"workflow_execution_{kind.lower()}_event_attributes": attributes}
    end = HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_WORKFLOW_EXECUTION_{kind}"), **fields)
    return run.decide(child.closed, run.child("child"), EXECUTION, end)


def test_a_child_is_initiated_and_then_started() -> None:
    run = start()
    run.turn(c.start_child("child", "children")).expect(
        event("WorkflowTaskCompleted", id=4),
        event(
            "StartChildWorkflowExecutionInitiated",
            id=5,
            workflow_id="child",
            workflow_type="Child",
            task_queue="children",
            input=["in"],
            parent_close_policy="TERMINATE",
            workflow_id_reuse_policy="ALLOW_DUPLICATE",
            workflow_task_timeout=10,
        ),
        StartChild(5),
    )
    run.decide(child.started, run.child("child"), "child-run").expect(
        event("ChildWorkflowExecutionStarted", id=6, initiated_event_id=5, workflow_execution="child/child-run"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )
    assert run.agenda.outstanding(run.at(0)) == [OfferWorkflowTask()]


def test_a_child_runs_on_its_parents_queue_unless_told_otherwise() -> None:
    run = start()
    run.turn(c.start_child("child", "", task_queue=None)).expect(
        event("WorkflowTaskCompleted"),
        event("StartChildWorkflowExecutionInitiated", task_queue="orders"),
        StartChild(5),
    )


def test_a_child_that_cannot_be_started() -> None:
    run = parent()
    cause = StartChildWorkflowExecutionFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
    run.decide(child.start_failed, run.child("child"), cause).expect(
        event(
            "StartChildWorkflowExecutionFailed",
            id=6,
            workflow_id="child",
            cause="WORKFLOW_ALREADY_EXISTS",
            initiated_event_id=5,
        ),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )
    assert not run.state.children


@pytest.mark.parametrize(
    ("kind", "attributes", "recorded"),
    [
        ("COMPLETED", {"result": payloads("done")}, event("ChildWorkflowExecutionCompleted", result=["done"])),
        (
            "FAILED",
            {"failure": failure("sad"), "retry_state": "RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED"},
            event("ChildWorkflowExecutionFailed", failure="sad", retry_state="MAXIMUM_ATTEMPTS_REACHED"),
        ),
        ("CANCELED", {"details": payloads("gone")}, event("ChildWorkflowExecutionCanceled", details=["gone"])),
        (
            "TIMED_OUT",
            {"retry_state": "RETRY_STATE_TIMEOUT"},
            event("ChildWorkflowExecutionTimedOut", retry_state="TIMEOUT"),
        ),
        ("TERMINATED", {}, event("ChildWorkflowExecutionTerminated")),
    ],
)
def test_how_a_child_ended(kind: str, attributes: dict[str, Any], recorded: Any) -> None:
    run = started()
    run.turn()
    recorded.fields.update(
        id=10, initiated_event_id=5, started_event_id=6, workflow_execution="child/child-run", workflow_type="Child"
    )
    closed(run, kind, **attributes).expect(recorded, event("WorkflowTaskScheduled", id=11), OfferWorkflowTask())
    assert not run.state.children


def test_the_end_may_come_before_the_news_of_the_start() -> None:
    run = parent()
    closed(run, "COMPLETED").expect(
        event("ChildWorkflowExecutionStarted", id=6, workflow_execution="child/child-run"),
        event("WorkflowTaskScheduled", id=7),
        event("ChildWorkflowExecutionCompleted", id=8, started_event_id=6),
        OfferWorkflowTask(),
    )


def test_both_may_come_while_a_workflow_task_runs() -> None:
    run = parent()
    run.decide(workflow.signal, "go", None, "", None, "")
    run.take_task()
    run.decide(child.started, run.child("child"), "child-run").expect(buffered("ChildWorkflowExecutionStarted"))
    closed(run, "COMPLETED").expect(buffered("ChildWorkflowExecutionCompleted", started_event_id=0))
    run.answer().expect(
        event("WorkflowTaskCompleted", id=9),
        event("ChildWorkflowExecutionStarted", id=10),
        event("ChildWorkflowExecutionCompleted", id=11, started_event_id=10),
        event("WorkflowTaskScheduled", id=12),
        OfferWorkflowTask(),
    )


def test_a_child_whose_start_was_held_back_knows_its_event() -> None:
    run = parent()
    run.decide(workflow.signal, "go", None, "", None, "")
    run.take_task()
    run.decide(child.started, run.child("child"), "child-run")
    run.answer()
    assert run.child("child").started_event_id == 10


@pytest.mark.parametrize(
    ("commands", "cause", "message"),
    [
        (
            [c.start_child("", "children")],
            "BAD_START_CHILD_EXECUTION_ATTRIBUTES",
            "Required field WorkflowId is not set on StartChildWorkflowExecutionCommand. WorkflowType=Child "
            "Namespace=default",
        ),
        (
            [c.start_child("child", "children", workflow_type=None)],
            "BAD_START_CHILD_EXECUTION_ATTRIBUTES",
            "Required field WorkflowType is not set on StartChildWorkflowExecutionCommand. WorkflowId=child "
            "Namespace=default",
        ),
        (
            [c.start_child("child", "children", cron_schedule="nonsense")],
            "BAD_START_CHILD_EXECUTION_ATTRIBUTES",
            "invalid CronSchedule on StartChildWorkflowExecutionCommand: invalid CronSchedule.. WorkflowId=child "
            "WorkflowType=Child Namespace=default",
        ),
        (
            [c.start_child("one", "children"), c.start_child("two", "children")],
            "PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED",
            "the number of pending child workflow executions, 1, has reached the per-workflow limit of 1",
        ),
    ],
)
def test_refused_commands(commands: list[Command], cause: str, message: str) -> None:
    run = start(limits=Limits(pending_children_max=1))
    prefix = "".join(word.capitalize() for word in cause.split("_"))
    run.turn(*commands).expect(
        event("WorkflowTaskFailed", cause=cause, failure=f"{prefix}: {message}"),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )
