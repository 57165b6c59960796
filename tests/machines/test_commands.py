"""The commands of one workflow task as a whole. What each of them does is with its machine."""

from __future__ import annotations

import pytest
from temporalio.api.command.v1 import Command

from perdure.history.commands import check_sequence
from perdure.history.effects import OfferActivityTask, OfferWorkflowTask, SendSignal, StartChild
from perdure.history.machines import workflow
from perdure.history.state.changes import WorkflowTaskScheduled
from perdure.kernel.errors import InvalidArgument
from tests.differential import commands as c
from tests.support.playbook import change, event, start


def test_commands_are_carried_out_in_their_order() -> None:
    run = start()
    run.turn(
        c.start_timer(),
        c.schedule_activity("acts"),
        c.start_child("child", "orders"),
        c.signal_external("other"),
        c.marker(),
    ).expect(
        event("WorkflowTaskCompleted", id=4),
        event("TimerStarted", id=5),
        event("ActivityTaskScheduled", id=6),
        event("StartChildWorkflowExecutionInitiated", id=7),
        event("SignalExternalWorkflowExecutionInitiated", id=8),
        event("MarkerRecorded", id=9),
        OfferActivityTask(6),
        StartChild(7),
        SendSignal(8),
    )


def test_all_or_none() -> None:
    run = start()
    run.turn(c.start_timer("good"), c.schedule_activity("acts"), c.start_timer("")).expect(
        event("WorkflowTaskFailed", id=4, cause="BAD_START_TIMER_ATTRIBUTES"),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )
    assert not run.state.timers and not run.state.activities
    assert run.wakes_after is None


def test_a_name_without_a_place_in_the_stores_fails_the_task() -> None:
    run = start()
    run.turn(c.start_child("ch\0ild", "orders")).expect(
        event("WorkflowTaskFailed", id=4, cause="BAD_START_CHILD_EXECUTION_ATTRIBUTES"),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )


def test_what_was_held_back_comes_after_the_commands() -> None:
    run = start()
    run.take_task()
    run.decide(workflow.signal, "go", None, "", None, "")
    run.answer(c.start_timer()).expect(
        event("WorkflowTaskCompleted", id=4),
        event("TimerStarted", id=5),
        event("WorkflowExecutionSignaled", id=6),
        event("WorkflowTaskScheduled", id=7),
        OfferWorkflowTask(),
    )


@pytest.mark.parametrize(
    ("commands", "complaint"),
    [
        ([Command()], "unknown command type: Unspecified"),
        (
            [c.complete(), c.start_timer()],
            "invalid command sequence: [CompleteWorkflowExecution, StartTimer], command CompleteWorkflowExecution must "
            "be the last command.",
        ),
        (
            [c.continue_as_new(), c.complete()],
            "invalid command sequence: [ContinueAsNewWorkflowExecution, CompleteWorkflowExecution], command "
            "ContinueAsNewWorkflowExecution must be the last command.",
        ),
    ],
)
def test_sequences_that_are_refused(commands: list[Command], complaint: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_sequence(commands)
    assert refused.value.message == complaint


def test_the_end_may_come_last() -> None:
    check_sequence([c.start_timer(), c.complete()])
