"""The run after this one: continue-as-new, the run's own retries, and cron."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import WorkflowExecutionStatus

from perdure.history.effects import OfferWorkflowTask
from perdure.history.machines import workflow
from perdure.history.state.changes import RequestSeen, WorkflowTaskScheduled
from tests.differential import commands as c
from tests.differential.script import payloads
from tests.support.playbook import Run, change, event, start

#: The virtual clock begins 20 seconds after a full minute.
EVERY_MINUTE = "* * * * *"
UNTIL_THE_NEXT_MINUTE = 40


def next_run(run: Run, *commands: Command) -> Run:
    successor = run.turn(*commands).successor
    assert successor is not None
    return successor


# Continue-as-new


def test_a_workflow_continues_as_new() -> None:
    run = start(input=payloads("one"), workflow_run_timeout={"seconds": 60})
    run.wait(5)
    play = run.turn(c.continue_as_new(input=payloads("two"), workflow_type={"name": "Later"}))
    successor = play.successor
    assert successor is not None
    play.expect(
        event("WorkflowTaskCompleted"),
        event(
            "WorkflowExecutionContinuedAsNew",
            new_execution_run_id=successor.state.run_id,
            workflow_type="Later",
            task_queue="orders",
            input=["two"],
            workflow_run_timeout=60,
        ),
    )
    successor.beginning.expect(
        event(
            "WorkflowExecutionStarted",
            id=1,
            workflow_type="Later",
            input=["two"],
            continued_execution_run_id="run-1",
            first_execution_run_id="run-1",
            original_execution_run_id=successor.state.run_id,
            initiator="WORKFLOW",
            attempt=1,
        ),
        change(RequestSeen),
        event("WorkflowTaskScheduled", id=2),
        OfferWorkflowTask(),
    )
    assert run.state.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
    assert run.state.successor_run_id == successor.state.run_id


def test_a_workflow_that_does_nothing_else_continues_once_a_second() -> None:
    successor = next_run(start(), c.continue_as_new())
    successor.beginning.expect(event("WorkflowExecutionStarted", first_workflow_task_backoff=1), change(RequestSeen))
    assert successor.wakes_after == 1
    run = start()
    run.wait(0.25)
    assert next_run(run, c.continue_as_new()).wakes_after == 0.75


def test_a_continued_run_can_be_told_to_wait() -> None:
    run = start()
    run.wait(5)
    assert next_run(run, c.continue_as_new(backoff_start_interval={"seconds": 30})).wakes_after == 30


def test_memo_and_search_attributes_are_the_commands_to_carry_on() -> None:
    run = start(memo={"fields": {"old": payloads("x").payloads[0]}})
    successor = next_run(run, c.continue_as_new(memo={"fields": {"new": payloads("y").payloads[0]}}))
    assert list(successor.state.memo.fields) == ["new"]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"workflow_run_timeout": {"seconds": -1}},
            "Invalid WorkflowRunTimeout on ContinueAsNewWorkflowExecutionCommand: negative duration. "
            'WorkflowType=Order TaskQueue=name:"orders"  kind:TASK_QUEUE_KIND_NORMAL',
        ),
        (
            {"task_queue": {"name": "/_sys/mine"}},
            "error validating ContinueAsNewWorkflowExecutionCommand TaskQueue: task queue name cannot start with "
            'reserved prefix /_sys/. WorkflowType=Order TaskQueue=name:"/_sys/mine"  kind:TASK_QUEUE_KIND_NORMAL',
        ),
        (
            {"retry_policy": {"backoff_coefficient": 0.5}},
            "invalid WorkflowRetryPolicy on ContinueAsNewWorkflowExecutionCommand: BackoffCoefficient cannot be less "
            'than 1 on retry policy.. WorkflowType=Order TaskQueue=name:"orders"  kind:TASK_QUEUE_KIND_NORMAL',
        ),
    ],
)
def test_refused_continuations(attributes: dict[str, Any], message: str) -> None:
    run = start()
    run.turn(c.continue_as_new(**attributes)).expect(
        event(
            "WorkflowTaskFailed",
            cause="BAD_CONTINUE_AS_NEW_ATTRIBUTES",
            failure=f"BadContinueAsNewAttributes: {message}",
        ),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )


# Retries


def test_a_failed_run_is_followed_by_another_attempt() -> None:
    run = start(retry_policy={"initial_interval": {"seconds": 3}, "maximum_attempts": 2}, input=payloads("one"))
    play = run.turn(c.fail("first"))
    second = play.successor
    assert second is not None
    play.expect(
        event("WorkflowTaskCompleted"),
        event(
            "WorkflowExecutionFailed",
            failure="first",
            retry_state="IN_PROGRESS",
            new_execution_run_id=second.state.run_id,
        ),
    )
    second.beginning.expect(
        event(
            "WorkflowExecutionStarted",
            attempt=2,
            initiator="RETRY",
            first_workflow_task_backoff=3,
            continued_failure="first",
            input=["one"],
            continued_execution_run_id="run-1",
            first_execution_run_id="run-1",
        ),
        change(RequestSeen),
    )
    second.wake().expect(event("WorkflowTaskScheduled"), OfferWorkflowTask())
    play = second.turn(c.fail("second")).expect(
        event("WorkflowTaskCompleted"),
        event("WorkflowExecutionFailed", failure="second", retry_state="MAXIMUM_ATTEMPTS_REACHED"),
    )
    assert play.successor is None


def test_a_run_that_timed_out_is_tried_again() -> None:
    run = start(retry_policy={"initial_interval": {"seconds": 1}}, workflow_run_timeout={"seconds": 5})
    play = run.wake()
    assert play.successor is not None
    play.expect(
        event("WorkflowExecutionTimedOut", retry_state="IN_PROGRESS", new_execution_run_id=play.successor.state.run_id)
    )


@pytest.mark.parametrize(
    ("policy", "command", "state"),
    [
        ({"maximum_attempts": 1}, c.fail(), "MAXIMUM_ATTEMPTS_REACHED"),
        ({}, c.fail(non_retryable=True), "NON_RETRYABLE_FAILURE"),
        ({"non_retryable_error_types": ["Fatal"]}, c.fail(type="Fatal"), "NON_RETRYABLE_FAILURE"),
    ],
)
def test_what_is_not_tried_again(policy: dict[str, Any], command: Command, state: str) -> None:
    run = start(retry_policy=policy)
    play = run.turn(command).expect(event("WorkflowTaskCompleted"), event("WorkflowExecutionFailed", retry_state=state))
    assert play.successor is None


def test_no_run_begins_after_the_executions_time() -> None:
    run = start(
        retry_policy={"initial_interval": {"seconds": 30}},
        workflow_execution_expiration_time={"seconds": 1_700_000_020},
    )
    play = run.turn(c.fail()).expect(
        event("WorkflowTaskCompleted"), event("WorkflowExecutionFailed", retry_state="TIMEOUT")
    )
    assert play.successor is None


# Cron


def test_a_cron_run_is_followed_by_the_next() -> None:
    run = start(cron_schedule=EVERY_MINUTE)
    successor = next_run(run, c.complete("one"))
    successor.beginning.expect(
        event(
            "WorkflowExecutionStarted",
            initiator="CRON_SCHEDULE",
            cron_schedule=EVERY_MINUTE,
            first_workflow_task_backoff=UNTIL_THE_NEXT_MINUTE,
            last_completion_result=["one"],
            attempt=1,
        ),
        change(RequestSeen),
    )
    successor.wake()
    # A failure carries the last result on, and says what went wrong.
    third = next_run(successor, c.fail("two"))
    third.beginning.expect(
        event(
            "WorkflowExecutionStarted",
            first_workflow_task_backoff=60,
            last_completion_result=["one"],
            continued_failure="two",
        ),
        change(RequestSeen),
    )


def test_retries_come_before_the_next_slot() -> None:
    run = start(cron_schedule=EVERY_MINUTE, retry_policy={"initial_interval": {"seconds": 1}, "maximum_attempts": 2})
    second = next_run(run, c.fail())
    second.beginning.expect(event("WorkflowExecutionStarted", attempt=2, initiator="RETRY"), change(RequestSeen))
    second.wake()
    third = next_run(second, c.fail())
    third.beginning.expect(event("WorkflowExecutionStarted", attempt=1, initiator="CRON_SCHEDULE"), change(RequestSeen))


def test_a_cron_run_that_is_cancelled_or_terminated_is_the_last() -> None:
    assert start(cron_schedule=EVERY_MINUTE).turn(c.cancel()).successor is None
    run = start(cron_schedule=EVERY_MINUTE)
    assert run.decide(workflow.terminate, "enough", None, "client").successor is None


def test_no_cron_run_begins_after_the_executions_time() -> None:
    run = start(cron_schedule=EVERY_MINUTE, workflow_execution_expiration_time={"seconds": 1_700_000_030})
    assert run.turn(c.complete()).successor is None
