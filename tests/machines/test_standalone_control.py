"""Playbooks of what operators do to standalone activities."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import RetryPolicy

from perdure.history.effects import OfferActivityTask
from perdure.history.machines import activity, standalone_activity, standalone_control
from perdure.history.state.changes import (
    ActivityBegunAnew,
    ActivityExecutionCommanded,
    ActivityHeld,
    ActivityOptionsChanged,
    ActivityPaused,
    ActivityRescheduled,
    ActivityResetRequested,
    ActivityRetryIntervalChanged,
    ActivityUnpaused,
)
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition, InvalidArgument
from perdure.kernel.rpc import TaskObsolete
from tests.support.playbook import Play, change, failure
from tests.support.standalone import StandaloneRun

ONCE = {"maximum_attempts": 1}


def pause(run: StandaloneRun, request_id: str = "p1") -> Play:
    return run.decide(standalone_control.pause, "me", "why", request_id)


def unpause(run: StandaloneRun, request_id: str = "u1", jitter: int = 0) -> Play:
    return run.decide(standalone_control.unpause, jitter, request_id)


def reset(run: StandaloneRun, request_id: str = "r1", **options: Any) -> Play:
    usual: dict[str, Any] = {"reset_heartbeat": False, "keep_paused": False, "restore_options": False, "jitter": 0}
    return run.decide(standalone_control.reset, **(usual | options), request_id=request_id)


def update(run: StandaloneRun, *mask: str, request_id: str = "o1", **options: Any) -> Play:
    return run.decide(standalone_control.update_options, ActivityOptions(**options), mask, request_id)


def fail(run: StandaloneRun, **info: Any) -> Play:
    return run.report(lambda tx, found: activity.fail(tx, found, failure(**info), "worker"))


def test_a_paused_one_waits_until_it_is_resumed() -> None:
    run = StandaloneRun()
    pause(run).expect(
        change(ActivityPaused, identity="me", reason="why"),
        change(ActivityExecutionCommanded, command="pause", request_id="p1"),
    )
    assert run.wakes_after is None
    with pytest.raises(TaskObsolete):
        run.take()
    unpause(run).expect(
        change(ActivityExecutionCommanded, command="unpause"),
        change(ActivityUnpaused),
        change(ActivityRescheduled, at=run.clock.now_ns()),
        OfferActivityTask(1),
    )
    run.take()


def test_a_repeated_request_does_not_undo_what_came_after_it() -> None:
    run = StandaloneRun()
    pause(run)
    unpause(run)
    pause(run).expect()
    unpause(run).expect()
    assert run.activity.waiting


def test_a_running_attempt_goes_on_and_is_the_last_for_now() -> None:
    run = StandaloneRun()
    run.take()
    pause(run)
    assert run.wakes_after == 10, "its time goes on, too"
    fail(run).expect(change(ActivityHeld, interval=SECOND_NS))
    assert run.wakes_after is None
    unpause(run)
    assert run.wakes_after == 1, "the interval before the next attempt is kept"
    run.wake().expect(OfferActivityTask(1))


def test_pausing_gives_no_attempt_more() -> None:
    run = StandaloneRun(retry_policy=ONCE)
    run.take()
    pause(run)
    fail(run)
    assert not run.state.running


@pytest.mark.parametrize(
    ("before", "stage"),
    [
        ([pause], "Paused"),
        ([StandaloneRun.take, pause], "PauseRequested"),
        ([StandaloneRun.take, reset], "ResetRequested"),
    ],
)
def test_what_cannot_be_paused(before: list[Any], stage: str) -> None:
    run = StandaloneRun()
    for step in before:
        step(run)
    with pytest.raises(FailedPrecondition, match=f"activity is in non-pausable state {stage}"):
        pause(run, "p2")


def test_what_cannot_be_resumed() -> None:
    run = StandaloneRun()
    with pytest.raises(FailedPrecondition, match="activity is in non-unpausable state Scheduled"):
        unpause(run)
    run.take()
    with pytest.raises(FailedPrecondition, match="activity is in non-unpausable state Started"):
        unpause(run)
    run.decide(standalone_activity.terminate, "me", "why", "t1")
    with pytest.raises(FailedPrecondition, match="activity is in terminal state Terminated"):
        unpause(run)


def test_a_reset_begins_at_once_where_no_attempt_runs() -> None:
    run = StandaloneRun(retry_policy={"initial_interval": timedelta(hours=1)})
    run.take()
    fail(run)
    assert run.activity.attempt == 2
    reset(run).expect(
        change(ActivityExecutionCommanded, command="reset"),
        change(ActivityBegunAnew, at=run.clock.now_ns(), completed_at=0),
        OfferActivityTask(1),
    )
    assert run.activity.attempt == 1
    run.take()


def test_a_reset_waits_for_the_attempt_that_runs_and_forgives_how_it_ends() -> None:
    run = StandaloneRun(retry_policy=ONCE)
    run.take()
    reset(run).expect(
        change(ActivityExecutionCommanded, command="reset"), change(ActivityResetRequested, keep_paused=False)
    )
    with pytest.raises(FailedPrecondition, match="cannot reset an activity with a pending reset"):
        reset(run, "r2")
    fail(run, non_retryable=True).expect(
        change(ActivityBegunAnew, completed_at=run.clock.now_ns()), OfferActivityTask(1)
    )
    assert run.activity.attempt == 1
    run.take()
    fail(run)
    assert not run.state.running


def test_a_reset_gives_no_more_time() -> None:
    run = StandaloneRun(schedule_to_close_timeout=timedelta(seconds=5))
    run.take()
    reset(run)
    assert run.wakes_after == 5
    run.wake()
    assert not run.state.running


def test_a_reset_can_leave_it_paused() -> None:
    run = StandaloneRun()
    run.take()
    pause(run)
    reset(run, keep_paused=True)
    fail(run).expect(change(ActivityBegunAnew, keep_paused=True))
    assert run.activity.pause is not None
    assert run.wakes_after is None
    unpause(run)
    run.take()


def test_a_cancelled_one_obeys_no_more() -> None:
    run = StandaloneRun()
    run.take()
    pause(run)
    run.decide(standalone_activity.request_cancel, "me", "why", "c1")
    assert run.activity.pause is None
    with pytest.raises(FailedPrecondition, match="cannot reset an activity with a pending cancellation"):
        reset(run)
    with pytest.raises(FailedPrecondition, match="Cannot update options for activity in state CancelRequested"):
        update(run, "heartbeat_timeout", heartbeat_timeout=timedelta(seconds=1))


def test_options_apply_to_the_attempt_that_runs() -> None:
    run = StandaloneRun()
    run.take()
    update(run, "start_to_close_timeout", start_to_close_timeout=timedelta(seconds=3)).expect(
        change(ActivityExecutionCommanded, command="options"), change(ActivityOptionsChanged)
    )
    assert run.wakes_after == 3


def test_another_policy_is_another_interval_unless_the_application_named_its_own() -> None:
    run = StandaloneRun(retry_policy={"initial_interval": timedelta(hours=1), "backoff_coefficient": 2.0})
    run.take()
    fail(run)
    update(run, "retry_policy.initial_interval", retry_policy=RetryPolicy(initial_interval={"seconds": 5})).expect(  # type: ignore[arg-type]
        change(ActivityExecutionCommanded),
        change(ActivityOptionsChanged),
        change(ActivityRetryIntervalChanged, interval=5 * SECOND_NS),
        change(ActivityRescheduled),
    )
    assert run.wakes_after == 5
    run.wake()
    run.take()
    fail(run, next_retry_delay={"seconds": 30})
    update(
        run,
        "retry_policy.initial_interval",
        request_id="o2",
        retry_policy=RetryPolicy(initial_interval={"seconds": 1}),  # type: ignore[arg-type]
    )
    assert run.wakes_after == 30


def test_original_options_come_back() -> None:
    run = StandaloneRun(heartbeat_timeout=timedelta(seconds=9))
    original = run.decide(standalone_control.update_options, None, [], "o1").result
    update(run, "heartbeat_timeout", "priority.priority_key", request_id="o2", priority={"priority_key": 1})
    assert run.activity.scheduled.heartbeat_timeout.seconds == 0
    restored = run.decide(standalone_control.update_options, None, [], "o3").result
    assert restored == original
    assert restored.heartbeat_timeout.seconds == 9


def test_the_delay_of_one_that_has_not_begun_can_change() -> None:
    run = StandaloneRun(start_delay=timedelta(seconds=60))
    update(run, "start_delay", start_delay=timedelta(seconds=5))
    assert run.wakes_after == 5
    run.wake()
    run.take()
    with pytest.raises(FailedPrecondition, match="the first activity attempt has already been dispatched"):
        update(run, "start_delay", request_id="o2", start_delay=timedelta(seconds=5))


def test_options_that_make_no_sense_together() -> None:
    run = StandaloneRun()
    with pytest.raises(InvalidArgument, match="a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set"):
        update(run, "start_to_close_timeout")
