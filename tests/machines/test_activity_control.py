"""Playbooks of what operators do to the activities of a workflow."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import RetryPolicy

from perdure.history.effects import OfferActivityTask
from perdure.history.machines import activity, activity_control
from perdure.history.state.changes import (
    ActivityHeld,
    ActivityOptionsChanged,
    ActivityPaused,
    ActivityRescheduled,
    ActivityReset,
    ActivityUnpaused,
)
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition, InvalidArgument
from perdure.kernel.rpc import TaskObsolete
from tests.differential import commands as c
from tests.differential.script import payloads
from tests.support import reports
from tests.support.playbook import Play, Run, change, failure, start

SLOW = {"initial_interval": {"seconds": 3600}, "maximum_interval": {"seconds": 7200}}


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


def fail(run: Run, **info: Any) -> Play:
    return run.decide(reports.fail, run.activity("pay"), failure(**info), "worker")


def pause(run: Run, request_id: str = "p1") -> Play:
    return run.decide(activity_control.pause, run.activity("pay"), "me", "why", request_id)


def unpause(run: Run, **options: Any) -> Play:
    usual: dict[str, Any] = {"reset_attempts": False, "reset_heartbeat": False, "jitter": 0}
    return run.decide(activity_control.unpause, run.activity("pay"), **(usual | options))


def reset(run: Run, **options: Any) -> Play:
    usual: dict[str, Any] = {"reset_heartbeat": False, "keep_paused": False, "restore_options": False, "jitter": 0}
    return run.decide(activity_control.reset, run.activity("pay"), **(usual | options))


def update(run: Run, *mask: str, **options: Any) -> Play:
    return run.decide(activity_control.update_options, run.activity("pay"), ActivityOptions(**options), mask)


def shown(run: Run) -> bytes | None:
    """What lists find paused activities by."""
    fields = run.state.search_attributes.indexed_fields
    return fields["TemporalPauseInfo"].data if "TemporalPauseInfo" in fields else None


def test_a_paused_one_waits_and_does_not_time_out() -> None:
    run = scheduled(schedule_to_close_timeout={"seconds": 30})
    pause(run).expect(change(ActivityPaused, identity="me", reason="why", request_id="p1"))
    assert run.wakes_after is None
    assert shown(run) == b'["property:activityType=Act"]'
    with pytest.raises(TaskObsolete):
        take(run)
    run.wait(60)
    unpause(run).expect(change(ActivityUnpaused), change(ActivityRescheduled), OfferActivityTask(5))
    assert shown(run) is None
    assert run.wakes_after is not None
    assert run.wakes_after < 0, "its time has run out meanwhile"


def test_paused_by_one_request_only() -> None:
    run = scheduled()
    pause(run)
    pause(run).expect()
    with pytest.raises(FailedPrecondition, match="activity is already paused"):
        pause(run, "p2")


def test_a_running_attempt_goes_on_and_however_many_there_were_another_follows() -> None:
    run = taken(retry_policy={"maximum_attempts": 1})
    pause(run)
    fail(run).expect(change(ActivityHeld))
    unpause(run)
    take(run)
    assert run.activity("pay").attempt == 2
    fail(run)
    assert not run.state.activities


def test_a_failure_that_is_final_ends_a_paused_one() -> None:
    run = taken()
    pause(run)
    fail(run, non_retryable=True)
    assert not run.state.activities


def test_resumed_with_attempts_and_heartbeat_forgotten() -> None:
    run = taken()
    run.decide(activity.heartbeat, run.activity("pay"), payloads("half"), "worker")
    pause(run)
    fail(run)
    unpause(run, reset_attempts=True, reset_heartbeat=True)
    pay = run.activity("pay")
    assert (pay.attempt, pay.heartbeat_details, pay.last_failure) == (1, None, None)


def test_resumed_within_some_time() -> None:
    run = scheduled()
    pause(run)
    unpause(run, jitter=10 * SECOND_NS).expect(change(ActivityUnpaused), change(ActivityRescheduled))
    assert run.wakes_after is not None
    assert 0 < run.wakes_after < 10
    run.wake().expect(OfferActivityTask(5))


def test_what_is_not_paused_is_not_resumed() -> None:
    unpause(scheduled(), reset_attempts=True).expect()


def test_a_reset_brings_the_next_attempt_forward() -> None:
    run = taken(retry_policy=SLOW)
    fail(run)
    assert run.wakes_after == 3600
    reset(run).expect(change(ActivityReset), change(ActivityRescheduled), OfferActivityTask(5))
    take(run)
    assert run.activity("pay").attempt == 1


def test_a_reset_leaves_a_running_attempt_to_its_worker_who_learns_of_it() -> None:
    run = taken()
    run.decide(activity.heartbeat, run.activity("pay"), payloads("half"), "worker")
    reset(run, reset_heartbeat=True).expect(change(ActivityReset, reset_heartbeat=True))
    pay = run.activity("pay")
    assert pay.reset
    assert pay.heartbeat_details == payloads("half")
    fail(run)
    assert not pay.reset
    assert pay.heartbeat_details is None


def test_a_reset_can_leave_it_paused() -> None:
    run = scheduled()
    pause(run)
    reset(run, keep_paused=True).expect(change(ActivityReset))
    reset(run).expect(
        change(ActivityReset), change(ActivityUnpaused), change(ActivityRescheduled), OfferActivityTask(5)
    )


def test_options_apply_at_once_and_are_another_task() -> None:
    run = scheduled()
    before = run.activity("pay").stamp
    update(run, "task_queue.name", task_queue={"name": "others"}).expect(
        change(ActivityOptionsChanged), change(ActivityRescheduled), OfferActivityTask(5)
    )
    assert run.activity("pay").stamp > before
    assert run.activity("pay").scheduled.task_queue.name == "others"


def test_options_of_a_running_attempt_move_its_end() -> None:
    run = taken()
    assert run.wakes_after == 60
    update(run, "start_to_close_timeout", start_to_close_timeout={"seconds": 5}).expect(change(ActivityOptionsChanged))
    assert run.wakes_after == 5


def test_another_policy_is_another_interval_but_what_is_final_stays_so() -> None:
    run = taken(retry_policy=SLOW | {"non_retryable_error_types": ["Fatal"]})
    fail(run)
    update(run, "retry_policy.initial_interval", retry_policy=RetryPolicy(initial_interval={"seconds": 1}))  # type: ignore[arg-type]
    assert run.wakes_after == 2, "the second interval of the policy"
    assert list(run.activity("pay").scheduled.retry_policy.non_retryable_error_types) == ["Fatal"]


def test_original_options_come_back_and_the_history_never_changed() -> None:
    run = scheduled(heartbeat_timeout={"seconds": 9})
    said = run.history[4].activity_task_scheduled_event_attributes
    update(run, "heartbeat_timeout", "priority", heartbeat_timeout={"seconds": 1}, priority={"priority_key": 2})
    assert said.heartbeat_timeout.seconds == 9
    run.decide(activity_control.restore_options, run.activity("pay"))
    assert run.activity("pay").scheduled == said


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        ("task_queue.name", {"task_queue": {}}, "missing task queue name"),
        ("retry_policy.maximum_attempts", {}, "RetryPolicy is not provided"),
        ("start_to_close_timeout", {}, "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set"),
        ("heartbeat_timeout", {"heartbeat_timeout": {"seconds": -1}}, "invalid HeartbeatTimeout: negative duration"),
    ],
)
def test_options_that_make_no_sense(mask: str, options: dict[str, Any], message: str) -> None:
    run = scheduled()
    with pytest.raises(InvalidArgument, match=message):
        update(run, mask, **options)


def test_a_mask_may_name_what_nobody_knows() -> None:
    run = scheduled()
    before = run.activity("pay").scheduled.SerializeToString(deterministic=True)
    update(run, "nothing.known")
    assert run.activity("pay").scheduled.SerializeToString(deterministic=True) == before
