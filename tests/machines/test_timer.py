"""User timers, and the commands that start and cancel them."""

from __future__ import annotations

import pytest
from temporalio.api.command.v1 import Command

from perdure.history.effects import OfferWorkflowTask
from perdure.history.machines import workflow
from perdure.history.state.changes import BufferedTimerDropped, WorkflowTaskScheduled
from perdure.history.state.execution import WorkflowTaskType
from tests.differential import commands as c
from tests.support.playbook import buffered, change, event, start


def test_a_timer_fires_when_its_time_has_come() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=5)).expect(
        event("WorkflowTaskCompleted", id=4, scheduled_event_id=2, started_event_id=3),
        event("TimerStarted", id=5, timer_id="t", start_to_fire_timeout=5, workflow_task_completed_event_id=4),
    )
    assert run.wakes_after == 5
    run.wake().expect(
        event("TimerFired", id=6, timer_id="t", started_event_id=5),
        event("WorkflowTaskScheduled", id=7),
        OfferWorkflowTask(),
    )
    assert run.wakes_after is None


def test_timers_fire_in_the_order_of_their_instants() -> None:
    run = start()
    run.turn(c.start_timer("late", seconds=9), c.start_timer("early", seconds=2))
    run.wait(60)
    run.wake().expect(
        event("TimerFired", timer_id="early"),
        event("WorkflowTaskScheduled"),
        event("TimerFired", timer_id="late"),
        OfferWorkflowTask(),
    )


def test_a_timer_without_duration_fires_at_once() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=0))
    assert run.wakes_after == 0
    run.wake().expect(event("TimerFired", timer_id="t"), event("WorkflowTaskScheduled"), OfferWorkflowTask())


def test_a_cancelled_timer_does_not_fire() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=5))
    run.decide(workflow.signal, "go", None, "", None, "")
    run.turn(c.cancel_timer("t")).expect(
        event("WorkflowTaskCompleted", id=9),
        event("TimerCanceled", timer_id="t", started_event_id=5, workflow_task_completed_event_id=9, identity="worker"),
    )
    assert run.wakes_after is None


def test_a_timer_that_fires_during_a_workflow_task_is_held_back() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=5))
    run.decide(workflow.signal, "go", None, "", None, "")
    run.take_task()
    run.wake().expect(buffered("TimerFired", timer_id="t", started_event_id=5))
    run.answer().expect(
        event("WorkflowTaskCompleted", id=9),
        event("TimerFired", id=10, timer_id="t"),
        event("WorkflowTaskScheduled", id=11),
        OfferWorkflowTask(),
    )


def test_a_timer_that_fired_behind_the_workflows_back_can_be_cancelled() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=5))
    run.decide(workflow.signal, "go", None, "", None, "")
    run.take_task()
    run.wake()
    # As far as the workflow knows, it never fired: there is no TimerFired event.
    run.answer(c.cancel_timer("t")).expect(
        event("WorkflowTaskCompleted", id=9),
        change(BufferedTimerDropped, timer_id="t"),
        event("TimerCanceled", id=10, timer_id="t", started_event_id=5),
    )


def test_the_id_of_a_timer_that_is_gone_can_be_used_again() -> None:
    run = start()
    run.turn(c.start_timer("t", seconds=5))
    run.wake()
    run.turn(c.start_timer("t", seconds=7), c.cancel_timer("t"), c.start_timer("t", seconds=8))
    assert run.wakes_after == 8


@pytest.mark.parametrize(
    ("commands", "cause", "message"),
    [
        (
            [c.start_timer("t"), c.start_timer("t")],
            "START_TIMER_DUPLICATE_ID",
            "StartTimerDuplicateId: invalid history builder state for action: add-timer-started-event, TimerID: t",
        ),
        (
            [c.start_timer("")],
            "BAD_START_TIMER_ATTRIBUTES",
            "BadStartTimerAttributes: TimerId is not set on StartTimerCommand.",
        ),
        (
            [c.start_timer("t", seconds=-1)],
            "BAD_START_TIMER_ATTRIBUTES",
            "BadStartTimerAttributes: An invalid StartToFireTimeout is set on StartTimerCommand: negative duration. "
            "TimerId=t",
        ),
        (
            [c.cancel_timer("unknown")],
            "BAD_CANCEL_TIMER_ATTRIBUTES",
            "BadCancelTimerAttributes: invalid history builder state for action: add-timer-canceled-event, TimerID: "
            "unknown",
        ),
        (
            [c.bare("START_TIMER")],
            "BAD_START_TIMER_ATTRIBUTES",
            "BadStartTimerAttributes: StartTimerCommandAttributes is not set on StartTimerCommand.",
        ),
    ],
)
def test_refused_commands(commands: list[Command], cause: str, message: str) -> None:
    run = start()
    run.turn(*commands).expect(
        event("WorkflowTaskFailed", cause=cause, failure=message),
        change(WorkflowTaskScheduled, type=WorkflowTaskType.TRANSIENT),
        OfferWorkflowTask(),
    )
    assert not run.state.timers
