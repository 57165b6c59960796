"""Signals and cancel requests to other executions."""

from __future__ import annotations

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    SignalExternalWorkflowExecutionFailedCause,
)

from perdure.history.effects import OfferWorkflowTask, SendCancel, SendSignal, StartChild
from perdure.history.machines import external, workflow
from perdure.history.state.changes import WorkflowTaskScheduled
from perdure.kernel.limits import Limits
from tests.differential import commands as c
from tests.support.playbook import Run, buffered, change, event, start

_SignalCause = SignalExternalWorkflowExecutionFailedCause
_CancelCause = CancelExternalWorkflowExecutionFailedCause


def signalling() -> Run:
    """A run that has initiated a signal, with event 5."""
    run = start()
    run.turn(c.signal_external("other"))
    return run


def cancelling() -> Run:
    run = start()
    run.turn(c.cancel_external("other", reason="why"))
    return run


def test_a_signal_that_was_delivered() -> None:
    run = start()
    run.turn(c.signal_external("other", child_workflow_only=True)).expect(
        event("WorkflowTaskCompleted"),
        event(
            "SignalExternalWorkflowExecutionInitiated",
            id=5,
            workflow_execution="other/",
            signal_name="hello",
            input=["in"],
            child_workflow_only=True,
        ),
        SendSignal(5),
    )
    run.decide(external.signal_delivered, run.state.signals_out[5]).expect(
        event("ExternalWorkflowExecutionSignaled", id=6, initiated_event_id=5, workflow_execution="other/"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )
    assert not run.state.signals_out


def test_a_signal_that_could_not_be_delivered() -> None:
    run = signalling()
    cause = _SignalCause.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND
    run.decide(external.signal_failed, run.state.signals_out[5], cause).expect(
        event(
            "SignalExternalWorkflowExecutionFailed",
            id=6,
            initiated_event_id=5,
            cause="EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND",
        ),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )
    assert not run.state.signals_out


def test_a_cancel_request_that_was_delivered() -> None:
    run = start()
    run.turn(c.cancel_external("other", reason="why")).expect(
        event("WorkflowTaskCompleted"),
        event("RequestCancelExternalWorkflowExecutionInitiated", id=5, workflow_execution="other/", reason="why"),
        SendCancel(5),
    )
    run.decide(external.cancel_delivered, run.state.cancels_out[5]).expect(
        event("ExternalWorkflowExecutionCancelRequested", id=6, initiated_event_id=5),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )
    assert not run.state.cancels_out


def test_a_cancel_request_that_could_not_be_delivered() -> None:
    run = cancelling()
    cause = _CancelCause.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND
    run.decide(external.cancel_failed, run.state.cancels_out[5], cause).expect(
        event("RequestCancelExternalWorkflowExecutionFailed", id=6, initiated_event_id=5, cause="NAMESPACE_NOT_FOUND"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )
    assert not run.state.cancels_out


def test_what_became_of_them_is_held_back_while_a_workflow_task_runs() -> None:
    run = signalling()
    run.decide(workflow.signal, "go", None, "", None, "")
    run.take_task()
    run.decide(external.signal_delivered, run.state.signals_out[5]).expect(
        buffered("ExternalWorkflowExecutionSignaled", initiated_event_id=5)
    )
    assert not run.agenda.owes


def test_a_child_is_not_cancelled_by_the_task_that_starts_it() -> None:
    run = start()
    run.turn(c.start_child("child", "orders"), c.cancel_external("child")).expect(
        event(
            "WorkflowTaskFailed",
            cause="BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES",
            failure="BadRequestCancelExternalWorkflowExecutionAttributes: Start and RequestCancel for child workflow "
            "is not allowed in same workflow task. WorkflowId=child RunId= Namespace=",
        ),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )
    run.turn(c.start_child("child", "orders"))
    run.decide(workflow.signal, "go", None, "", None, "")
    run.turn(c.cancel_external("child")).expect(
        event("WorkflowTaskCompleted"), event("RequestCancelExternalWorkflowExecutionInitiated"), SendCancel(13)
    )
    assert StartChild(8) in run.agenda.outstanding(run.at(0))


@pytest.mark.parametrize(
    ("commands", "cause", "message"),
    [
        (
            [c.signal_external("")],
            "BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES",
            "WorkflowId is not set on SignalExternalWorkflowExecutionCommand. Namespace= RunId= SignalName=hello",
        ),
        (
            [c.signal_external("other", signal_name="")],
            "BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES",
            "SignalName is not set on SignalExternalWorkflowExecutionCommand. WorkflowId=other Namespace= RunId=",
        ),
        (
            [c.signal_external("other", execution={"workflow_id": "other", "run_id": "nonsense"})],
            "BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES",
            "Invalid RunId set on SignalExternalWorkflowExecutionCommand. WorkflowId=other Namespace= RunId=nonsense "
            "SignalName=hello",
        ),
        (
            [c.signal_external("one"), c.signal_external("two")],
            "PENDING_SIGNALS_LIMIT_EXCEEDED",
            "the number of pending signals to external workflows, 1, has reached the per-workflow limit of 1",
        ),
        (
            [c.cancel_external("")],
            "BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES",
            "WorkflowId is not set on RequestCancelExternalWorkflowExecutionCommand. Namespace= RunId=",
        ),
        (
            [c.cancel_external("one"), c.cancel_external("two")],
            "PENDING_REQUEST_CANCEL_LIMIT_EXCEEDED",
            "the number of pending requests to cancel external workflows, 1, has reached the per-workflow limit of 1",
        ),
    ],
)
def test_refused_commands(commands: list[Command], cause: str, message: str) -> None:
    run = start(limits=Limits(pending_signals_max=1, pending_cancels_max=1))
    prefix = "".join(word.capitalize() for word in cause.split("_"))
    run.turn(*commands).expect(
        event("WorkflowTaskFailed", cause=cause, failure=f"{prefix}: {message}"),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )
