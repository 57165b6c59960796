"""Activities: attempts, heartbeats, the four time-outs, retries and outcomes."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.command.v1 import Command

from perdure.history.effects import OfferActivityTask, OfferWorkflowTask
from perdure.history.machines import activity, activity_events, workflow
from perdure.history.state.changes import ActivityHeartbeat, ActivityRetried, ActivityStarted, WorkflowTaskScheduled
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument, NotFound
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import TaskObsolete
from perdure.kernel.tokens import ActivityToken
from tests.differential import commands as c
from tests.differential.script import payloads
from tests.support import reports
from tests.support.playbook import Play, Run, buffered, change, event, failure, start

RETRIES: dict[str, Any] = {"retry_policy": {"initial_interval": {"seconds": 1}, "backoff_coefficient": 2}}


def scheduled(**options: Any) -> Run:
    """A run whose activity "pay" waits for a worker; its event is 5."""
    run = start()
    run.turn(c.schedule_activity("acts", "pay", **options))
    return run


def take(run: Run) -> Play:
    pay = run.activity("pay")
    return run.decide(activity.start, pay.scheduled_event_id, pay.stamp, "worker")


def taken(**options: Any) -> Run:
    run = scheduled(**options)
    take(run)
    return run


def fail(run: Run, *arguments: Any, **info: Any) -> Play:
    return run.decide(reports.fail, run.activity("pay"), failure(*arguments, **info), "worker")


def seconds(number: int) -> dict[str, int]:
    return {"seconds": number}


# The usual way


def test_an_attempt_leaves_its_events_when_it_is_over() -> None:
    run = start()
    run.turn(c.schedule_activity("acts", "pay")).expect(
        event("WorkflowTaskCompleted", id=4),
        event(
            "ActivityTaskScheduled",
            id=5,
            activity_id="pay",
            task_queue="acts",
            input=["in"],
            start_to_close_timeout=60,
            schedule_to_close_timeout=0,
            schedule_to_start_timeout=0,
            heartbeat_timeout=0,
            workflow_task_completed_event_id=4,
        ),
        OfferActivityTask(5),
    )
    take(run).expect(change(ActivityStarted, scheduled_event_id=5, identity="worker"))
    run.decide(reports.complete, run.activity("pay"), payloads("paid"), "worker").expect(
        event("ActivityTaskStarted", id=6, scheduled_event_id=5, identity="worker", attempt=1),
        event("ActivityTaskCompleted", id=7, scheduled_event_id=5, started_event_id=6, result=["paid"]),
        event("WorkflowTaskScheduled", id=8),
        OfferWorkflowTask(),
    )
    assert not run.state.activities and not run.state.activity_ids


def test_an_attempt_is_taken_once() -> None:
    run = taken()
    with pytest.raises(TaskObsolete):
        take(run)


def test_a_hint_of_an_attempt_that_is_over_is_obsolete() -> None:
    run = taken(**RETRIES)
    fail(run)
    run.wake()
    for stamp in (0, 2):
        with pytest.raises(TaskObsolete):
            run.decide(activity.start, 5, stamp, "worker")
    run.decide(activity.start, 5, 1, "worker")


def test_a_report_on_an_attempt_that_is_over_is_refused() -> None:
    run = taken(**RETRIES)
    state, pay = run.state, run.activity("pay")

    def token() -> ActivityToken:
        return ActivityToken(
            state.namespace_id, state.workflow_id, state.run_id, 5, "pay", pay.attempt, pay.stamp, pay.started_at
        )

    first = token()
    assert activity_events.of_token(state, first) is pay
    fail(run)
    with pytest.raises(NotFound, match="invalid activityID or activity already timed out"):
        activity_events.of_token(state, first)
    with pytest.raises(NotFound, match="cannot find pending activity with ActivityID other"):
        activity_events.of_id(state, "other")


def test_an_outcome_during_a_workflow_task_is_held_back_and_comes_last() -> None:
    run = taken()
    run.decide(workflow.signal, "one", None, "", None, "")
    run.take_task()
    run.decide(reports.complete, run.activity("pay"), None, "worker").expect(
        buffered("ActivityTaskStarted", scheduled_event_id=5),
        buffered("ActivityTaskCompleted", scheduled_event_id=5, started_event_id=0),
    )
    run.decide(workflow.signal, "two", None, "", None, "")
    run.answer().expect(
        event("WorkflowTaskCompleted", id=9),
        event("ActivityTaskStarted", id=10),
        event("WorkflowExecutionSignaled", id=11, signal_name="two"),
        event("ActivityTaskCompleted", id=12, started_event_id=10),
        event("WorkflowTaskScheduled", id=13),
        OfferWorkflowTask(),
    )


def test_a_worker_can_be_given_the_activity_that_it_asks_for() -> None:
    run = start()
    play = run.turn(c.schedule_activity("acts", "pay", request_eager_execution=True))
    play.expect(
        event("WorkflowTaskCompleted"),
        event("ActivityTaskScheduled", id=5),
        change(ActivityStarted, scheduled_event_id=5, identity="worker"),
    )
    assert play.result.activities == [run.activity("pay")]


# Retries


def test_a_failed_attempt_is_followed_by_another_after_a_growing_interval() -> None:
    run = taken(**RETRIES)
    for attempt, interval in ((1, 1), (2, 2), (3, 4)):
        fail(run, f"failure {attempt}").expect(
            change(
                ActivityRetried,
                scheduled_event_id=5,
                next_at=run.at(interval),
                interval=interval * SECOND_NS,
                failure=f"failure {attempt}",
                completed_at=run.at(0),
            )
        )
        with pytest.raises(TaskObsolete):
            take(run)
        assert run.wakes_after == interval
        run.wake().expect(OfferActivityTask(5))
        take(run)
    run.decide(reports.complete, run.activity("pay"), None, "worker").expect(
        event("ActivityTaskStarted", attempt=4, last_failure="failure 3"),
        event("ActivityTaskCompleted"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


def test_the_last_attempt_tells_the_workflow() -> None:
    run = taken(retry_policy={"maximum_attempts": 2})
    fail(run, "first")
    run.wake()
    take(run)
    fail(run, "second").expect(
        event("ActivityTaskStarted", attempt=2, last_failure="first"),
        event("ActivityTaskFailed", failure="second", retry_state="MAXIMUM_ATTEMPTS_REACHED"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


@pytest.mark.parametrize("info", [{"non_retryable": True}, {"type": "BadCard"}])
def test_what_is_not_worth_a_retry(info: dict[str, Any]) -> None:
    run = taken(retry_policy={"non_retryable_error_types": ["BadCard"]})
    fail(run, "declined", **info).expect(
        event("ActivityTaskStarted"),
        event("ActivityTaskFailed", failure="declined", retry_state="NON_RETRYABLE_FAILURE"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


def test_no_attempt_begins_after_schedule_to_close() -> None:
    run = taken(schedule_to_close_timeout=seconds(10), retry_policy={"initial_interval": seconds(11)})
    fail(run).expect(
        event("ActivityTaskStarted"),
        event("ActivityTaskFailed", retry_state="TIMEOUT"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


def test_a_failure_can_name_the_next_delay_itself() -> None:
    run = taken(**RETRIES)
    fail(run, next_retry_delay=seconds(30))
    assert run.wakes_after == 30


def test_a_delay_of_nothing_offers_the_next_attempt_at_once() -> None:
    run = taken(**RETRIES)
    fail(run, next_retry_delay=seconds(0)).expect(change(ActivityRetried, interval=0), OfferActivityTask(5))
    take(run).expect(change(ActivityStarted))


def test_intervals_stop_growing_at_the_maximum() -> None:
    run = taken(retry_policy={"initial_interval": seconds(1), "maximum_interval": seconds(3)})
    intervals = []
    for _ in range(4):
        fail(run)
        intervals.append(run.wakes_after)
        run.wake()
        take(run)
    assert intervals == [1, 2, 3, 3]


# Time-outs


def test_start_to_close_ends_an_attempt() -> None:
    run = taken(start_to_close_timeout=seconds(5), **RETRIES)
    assert run.wakes_after == 5
    run.wake().expect(
        change(ActivityRetried, completed_at=0, interval=SECOND_NS, failure="activity StartToClose timeout")
    )


def test_heartbeats_keep_an_attempt_alive() -> None:
    run = taken(heartbeat_timeout=seconds(3), retry_policy={"maximum_attempts": 1})
    run.wait(2)
    run.decide(activity.heartbeat, run.activity("pay"), payloads("half"), "worker").expect(
        change(ActivityHeartbeat, scheduled_event_id=5, at=run.at(0), details=["half"], identity="worker")
    )
    assert run.wakes_after == 3
    play = run.wake().expect(
        event("ActivityTaskStarted", id=6),
        event("ActivityTaskTimedOut", started_event_id=6, failure="activity Heartbeat timeout"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )
    timed_out: Any = play.happened[1]
    info = timed_out.activity_task_timed_out_event_attributes.failure.timeout_failure_info
    assert info.last_heartbeat_details == payloads("half")


def test_schedule_to_start_is_not_retried() -> None:
    run = scheduled(schedule_to_start_timeout=seconds(4), **RETRIES)
    assert run.wakes_after == 4
    run.wake().expect(
        event(
            "ActivityTaskTimedOut",
            started_event_id=0,
            failure="activity ScheduleToStart timeout",
            retry_state="TIMEOUT",
        ),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


def test_schedule_to_start_counts_from_each_attempt() -> None:
    run = taken(schedule_to_start_timeout=seconds(4), **RETRIES)
    fail(run)
    run.wake()
    assert run.wakes_after == 4


def test_schedule_to_close_ends_all_attempts() -> None:
    run = taken(schedule_to_close_timeout=seconds(2), start_to_close_timeout=seconds(2), **RETRIES)
    fail(run, "boom")
    assert run.wakes_after == 1
    run.wake().expect(OfferActivityTask(5))
    take(run)
    assert run.wakes_after == 1
    run.wake().expect(
        event("ActivityTaskStarted", attempt=2, last_failure="boom"),
        event(
            "ActivityTaskTimedOut",
            failure="Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up "
            "retrying",
            retry_state="TIMEOUT",
        ),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


def test_without_a_policy_a_time_out_is_final() -> None:
    run = taken(start_to_close_timeout=seconds(5), retry_policy={"maximum_attempts": 1})
    run.wake().expect(
        event("ActivityTaskStarted"),
        event("ActivityTaskTimedOut", failure="activity StartToClose timeout", retry_state="MAXIMUM_ATTEMPTS_REACHED"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        # to close, to start, start to close, heartbeat
        ((10, 0, 0, 0), (10, 10, 10, 0)),
        ((10, 20, 20, 20), (10, 10, 10, 10)),
        ((0, 0, 10, 20), (30, 30, 10, 10)),
        ((90, 80, 70, 60), (30, 30, 30, 30)),
    ],
)
def test_time_outs_complete_each_other_and_are_capped_by_the_run(
    given: tuple[int, ...], recorded: tuple[int, ...]
) -> None:
    names = ("schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout", "heartbeat_timeout")
    run = start(workflow_run_timeout=seconds(30))
    options = {name: seconds(value) for name, value in zip(names, given, strict=True)}
    run.turn(c.schedule_activity("acts", "pay", **options)).expect(
        event("WorkflowTaskCompleted"),
        event("ActivityTaskScheduled", **dict(zip(names, recorded, strict=True))),
        OfferActivityTask(5),
    )


# Cancelling


def test_an_activity_that_has_not_started_is_cancelled_on_the_spot() -> None:
    run = scheduled()
    run.decide(workflow.signal, "go", None, "", None, "")
    run.turn(c.cancel_activity(5)).expect(
        event("WorkflowTaskCompleted", id=9),
        event("ActivityTaskCancelRequested", id=10, scheduled_event_id=5, workflow_task_completed_event_id=9),
        event("ActivityTaskCanceled", id=11, scheduled_event_id=5, details=["ACTIVITY_ID_NOT_STARTED"]),
        event("WorkflowTaskScheduled", id=12),
        OfferWorkflowTask(),
    )


def test_a_running_attempt_learns_by_heartbeat_and_confirms() -> None:
    run = taken(**RETRIES)
    with pytest.raises(InvalidArgument, match="without activity being request canceled first"):
        run.decide(reports.cancel, run.activity("pay"), None, "worker")
    run.decide(workflow.signal, "go", None, "", None, "")
    run.turn(c.cancel_activity(5)).expect(
        event("WorkflowTaskCompleted"), event("ActivityTaskCancelRequested", id=10, scheduled_event_id=5)
    )
    assert run.activity("pay").cancel_requested
    run.decide(reports.cancel, run.activity("pay"), payloads("undone"), "worker").expect(
        event("ActivityTaskStarted", id=11),
        event(
            "ActivityTaskCanceled",
            started_event_id=11,
            latest_cancel_requested_event_id=10,
            details=["undone"],
            identity="worker",
        ),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


def test_an_attempt_that_fails_after_it_was_to_be_cancelled_is_the_last() -> None:
    run = taken(**RETRIES)
    run.decide(workflow.signal, "go", None, "", None, "")
    run.turn(c.cancel_activity(5))
    fail(run).expect(
        event("ActivityTaskStarted"),
        event("ActivityTaskFailed", retry_state="CANCEL_REQUESTED"),
        event("WorkflowTaskScheduled"),
        OfferWorkflowTask(),
    )


def test_an_activity_whose_outcome_is_still_held_back_can_be_cancelled_in_vain() -> None:
    run = taken()
    run.decide(workflow.signal, "go", None, "", None, "")
    run.take_task()
    run.decide(reports.complete, run.activity("pay"), None, "worker")
    run.answer(c.cancel_activity(5)).expect(
        event("WorkflowTaskCompleted", id=9),
        event("ActivityTaskCancelRequested", id=10),
        event("ActivityTaskStarted", id=11),
        event("ActivityTaskCompleted", id=12),
        event("WorkflowTaskScheduled", id=13),
        OfferWorkflowTask(),
    )


# Refused


@pytest.mark.parametrize(
    ("commands", "cause", "message"),
    [
        ([c.schedule_activity("acts", "")], "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES", "activityId is not set"),
        (
            [c.schedule_activity("acts", activity_type=None)],
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            "activityType is not set",
        ),
        ([c.schedule_activity("")], "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES", "missing task queue name"),
        (
            [c.schedule_activity("acts", start_to_close_timeout=None)],
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId=a1 "
            "ActivityType=Act",
        ),
        (
            [c.schedule_activity("acts", heartbeat_timeout=seconds(-1))],
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            "invalid HeartbeatTimeout: negative duration",
        ),
        (
            [c.schedule_activity("acts", retry_policy={"maximum_attempts": -1})],
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            "MaximumAttempts cannot be negative on retry policy.",
        ),
        (
            [c.schedule_activity("acts"), c.schedule_activity("acts")],
            "SCHEDULE_ACTIVITY_DUPLICATE_ID",
            "invalid history builder state for action: add-activitytask-scheduled-event, ActivityID: a1",
        ),
        (
            [c.schedule_activity("acts", "one"), c.schedule_activity("acts", "two"), c.schedule_activity("acts", "3")],
            "PENDING_ACTIVITIES_LIMIT_EXCEEDED",
            "the number of pending activities, 2, has reached the per-workflow limit of 2",
        ),
        (
            [c.cancel_activity(99)],
            "BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES",
            "invalid history builder state for action: add-activitytask-cancel-requested-event, ScheduledEventID: 99",
        ),
        (
            [c.cancel_activity(0)],
            "BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES",
            "ScheduledEventId is not set on RequestCancelActivityTaskCommand.",
        ),
    ],
)
def test_refused_commands(commands: list[Command], cause: str, message: str) -> None:
    run = start(limits=Limits(pending_activities_max=2))
    prefix = "".join(word.capitalize() for word in cause.split("_"))
    run.turn(*commands).expect(
        event("WorkflowTaskFailed", cause=cause, failure=f"{prefix}: {message}"),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )
    assert not run.state.activities
