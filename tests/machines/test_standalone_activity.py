"""Playbooks of standalone activities: how they begin and end, and any sequence of events in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import ActivityExecutionStatus, RetryState

from perdure.history.effects import OfferActivityTask
from perdure.history.machines import activity, standalone_activity, standalone_control
from perdure.history.machines.activity import Completed
from perdure.history.state.changes import (
    ActivityExecutionCancelRequested,
    ActivityExecutionClosed,
    ActivityExecutionLinked,
    ActivityExecutionScheduled,
    ActivityHeartbeat,
    ActivityRetried,
    ActivityStarted,
)
from perdure.history.state.execution import Activity
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, ServiceError
from perdure.kernel.rpc import TaskObsolete
from perdure.kernel.tokens import ActivityToken
from tests.differential.script import payloads
from tests.support.playbook import change, failure
from tests.support.standalone import StandaloneRun

_Status = ActivityExecutionStatus
LINK = Link(batch_job=Link.BatchJob(job_id="job"))


def complete(run: StandaloneRun) -> Any:
    return run.report(lambda tx, found: Completed(payloads("paid"), "worker"))


def fail(run: StandaloneRun, *arguments: Any, **info: Any) -> Any:
    return run.report(lambda tx, found: activity.fail(tx, found, failure(*arguments, **info), "worker"))


def token(run: StandaloneRun) -> ActivityToken:
    state, found = run.state, run.activity
    return ActivityToken(
        state.namespace_id, state.workflow_id, state.run_id, 1, "pay", found.attempt, found.stamp, found.started_at
    )


def test_it_begins_is_taken_and_completed() -> None:
    run = StandaloneRun(links=[LINK])
    run.beginning.expect(
        change(ActivityExecutionScheduled, delay=0, request_id="start"),
        change(ActivityExecutionLinked, request_id="start"),
        OfferActivityTask(1),
    )
    run.take().expect(change(ActivityStarted, identity="worker"))
    complete(run).expect(change(ActivityExecutionClosed, status=_Status.ACTIVITY_EXECUTION_STATUS_COMPLETED))
    assert run.state.outcome is not None
    assert run.state.outcome.result == payloads("paid")
    assert run.wakes_after == 3600, "nothing is left to do but to be forgotten"


def test_a_delayed_one_is_offered_when_its_time_has_come() -> None:
    run = StandaloneRun(start_delay=timedelta(seconds=5), schedule_to_start_timeout=timedelta(seconds=2))
    assert run.beginning.happened == run.beginning.happened[:1], "offered too early"
    with pytest.raises(TaskObsolete):
        run.take()
    assert run.wakes_after == 5
    run.wake().expect(OfferActivityTask(1))
    assert run.wakes_after == 2
    run.wake().expect(change(ActivityExecutionClosed, status=_Status.ACTIVITY_EXECUTION_STATUS_TIMED_OUT))


def test_a_failed_attempt_is_followed_by_another_until_none_is_left() -> None:
    run = StandaloneRun(retry_policy={"initial_interval": timedelta(seconds=1), "maximum_attempts": 2})
    run.take()
    first = token(run)
    fail(run, "once").expect(change(ActivityRetried, interval=SECOND_NS))
    with pytest.raises(NotFound, match="activity not found for ID: pay"):
        standalone_activity.of_token(run.state, first)
    run.wake().expect(OfferActivityTask(1))
    run.take()
    assert standalone_activity.of_token(run.state, token(run)) is run.activity
    fail(run, "twice").expect(change(ActivityExecutionClosed, status=_Status.ACTIVITY_EXECUTION_STATUS_FAILED))
    assert run.state.outcome is not None
    assert run.state.outcome.failure.message == "twice"
    assert run.state.outcome.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


def test_a_failure_without_a_word_is_an_outcome_all_the_same() -> None:
    run = StandaloneRun(retry_policy={"maximum_attempts": 1})
    run.take()
    nothing = failure()
    nothing.Clear()
    run.report(lambda tx, found: activity.fail(tx, found, nothing, "worker"))
    assert run.state.outcome is not None
    assert run.state.outcome.failure.message == "activity task failed without failure details"


def test_a_worker_that_falls_silent() -> None:
    run = StandaloneRun(heartbeat_timeout=timedelta(seconds=3), retry_policy={"maximum_attempts": 1})
    run.take()
    run.clock.advance(2 * SECOND_NS)
    run.decide(lambda tx: activity.heartbeat(tx, tx.state.activity, payloads("half"), "worker")).expect(
        change(ActivityHeartbeat, details=["half"])
    )
    assert run.wakes_after == 3
    run.wake()
    assert run.state.outcome is not None
    ended = run.state.outcome.failure
    assert ended.message == "activity Heartbeat timeout"
    assert ended.timeout_failure_info.last_heartbeat_details == payloads("half")


def test_no_time_for_another_attempt() -> None:
    run = StandaloneRun(
        schedule_to_close_timeout=timedelta(seconds=12), retry_policy={"initial_interval": timedelta(seconds=60)}
    )
    run.take()
    run.wake()
    assert run.state.outcome is not None
    assert run.state.outcome.failure.message.startswith("Not enough time to schedule next retry")
    assert run.activity.last_failure is not None
    assert run.activity.last_failure.message == "activity StartToClose timeout"


def test_cancelled_at_once_if_no_worker_has_it() -> None:
    run = StandaloneRun()
    run.decide(standalone_activity.request_cancel, "me", "why", "r1").expect(
        change(ActivityExecutionCancelRequested, identity="me", reason="why"),
        change(ActivityExecutionClosed, status=_Status.ACTIVITY_EXECUTION_STATUS_CANCELED),
    )
    run.decide(standalone_activity.request_cancel, "me", "why", "r1").expect()
    with pytest.raises(FailedPrecondition, match="activity is in terminal state Canceled"):
        run.decide(standalone_activity.request_cancel, "me", "why", "r2")


def test_a_worker_is_asked_to_give_up_once() -> None:
    run = StandaloneRun()
    run.take()
    with pytest.raises(InvalidArgument, match="without activity being request canceled first"):
        run.report(lambda tx, found: activity.cancel(found, None, "worker"))
    run.decide(standalone_activity.request_cancel, "me", "why", "r1")
    with pytest.raises(FailedPrecondition, match="cancellation already requested with request ID r1"):
        run.decide(standalone_activity.request_cancel, "me", "why", "r2")
    run.report(lambda tx, found: activity.cancel(found, payloads("so far"), "worker"))
    assert run.state.outcome is not None
    assert run.state.outcome.failure.canceled_failure_info.identity == "me"


def test_terminated_once() -> None:
    run = StandaloneRun()
    run.take()
    terminate = standalone_activity.terminate
    run.decide(terminate, "me", "why", "r1").expect(
        change(ActivityExecutionClosed, status=_Status.ACTIVITY_EXECUTION_STATUS_TERMINATED, request_id="r1")
    )
    run.decide(terminate, "me", "why", "r1").expect()
    with pytest.raises(FailedPrecondition, match="already terminated with request ID r1"):
        run.decide(terminate, "me", "why", "r2")
    with pytest.raises(NotFound):
        complete(run)


def test_what_has_ended_is_not_terminated() -> None:
    run = StandaloneRun()
    run.take()
    complete(run)
    with pytest.raises(FailedPrecondition, match="invalid transition from Completed"):
        run.decide(standalone_activity.terminate, "me", "why", "r1")


def test_links_are_attached_once_for_each_request_and_only_so_many() -> None:
    run = StandaloneRun()
    attach = standalone_activity.attach_links
    run.decide(attach, [LINK], "r1").expect(change(ActivityExecutionLinked, request_id="r1"))
    run.decide(attach, [LINK], "r1").expect()
    with pytest.raises(FailedPrecondition, match=r"cannot attach more than 2000 links .* \(1 links already attached\)"):
        run.decide(attach, [LINK] * 2000, "r2")
    run.decide(standalone_activity.terminate, "me", "why", "r3")
    with pytest.raises(FailedPrecondition, match="cannot attach links to a closed activity"):
        run.decide(attach, [LINK], "r4")


# Any sequence of events -----------------------------------------------------------------------------------------------


class Sequence:
    """A run, to which things happen that may be refused. Each command comes with a request id of its own."""

    def __init__(self) -> None:
        self.run = StandaloneRun(
            schedule_to_close_timeout=timedelta(seconds=60),
            schedule_to_start_timeout=timedelta(seconds=20),
            heartbeat_timeout=timedelta(seconds=4),
            start_delay=timedelta(seconds=2),
            retry_policy={
                "initial_interval": timedelta(seconds=1),
                "backoff_coefficient": 2.0,
                "maximum_attempts": 4,
            },
        )
        self._requests = 0

    def attempt(self, action: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        with contextlib.suppress(ServiceError, TaskObsolete):
            action(*arguments, **options)

    def command(self, decision: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self._requests += 1
        self.attempt(self.run.decide, decision, *arguments, request_id=f"r{self._requests}", **options)

    def report(self, decision: Callable[[Any, Activity], activity.Outcome | None]) -> None:
        self.attempt(self.run.report, decision)

    def wake(self) -> None:
        if self.run.state.running:
            self.run.wake()

    def fail(self, **info: Any) -> None:
        self.report(lambda tx, found: activity.fail(tx, found, failure(**info), "worker"))

    def reset(self, **options: Any) -> None:
        self.command(standalone_control.reset, reset_heartbeat=True, jitter=0, **options)


CHANGED = ActivityOptions(heartbeat_timeout=timedelta(seconds=2))  # type: ignore[arg-type]
STEPS: dict[str, Callable[[Sequence], None]] = {
    "wake": Sequence.wake,
    "wait": lambda s: s.run.clock.advance(SECOND_NS),
    "take": lambda s: s.attempt(s.run.take),
    "heartbeat": lambda s: s.report(lambda tx, found: activity.heartbeat(tx, found, payloads("1"), "worker")),
    "complete": lambda s: s.report(lambda tx, found: Completed(None, "worker")),
    "fail": Sequence.fail,
    "fail for good": lambda s: s.fail(non_retryable=True),
    "give up": lambda s: s.report(lambda tx, found: activity.cancel(found, None, "worker")),
    "cancel": lambda s: s.command(standalone_activity.request_cancel, "me", "why"),
    "terminate": lambda s: s.command(standalone_activity.terminate, "me", "why"),
    "pause": lambda s: s.command(standalone_control.pause, "me", "why"),
    "unpause": lambda s: s.command(standalone_control.unpause, SECOND_NS),
    "reset": lambda s: s.reset(keep_paused=False, restore_options=False),
    "reset, kept paused": lambda s: s.reset(keep_paused=True, restore_options=True),
    "update options": lambda s: s.command(standalone_control.update_options, CHANGED, ["heartbeat_timeout"]),
    "restore options": lambda s: s.command(standalone_control.update_options, None, []),
}
#: The others may end it, and are rarer, so that more happens before.
_USUAL = [name for name in STEPS if name not in ("complete", "fail for good", "terminate", "cancel")]


@settings(max_examples=150, deadline=None, database=None)
@given(st.lists(st.one_of(*[st.sampled_from(_USUAL)] * 4, st.sampled_from(list(STEPS))), max_size=30))
def test_any_sequence(steps: list[str]) -> None:
    sequence = Sequence()
    for name in steps:
        STEPS[name](sequence)
    # Left alone, its time runs out.
    while sequence.run.state.running:
        sequence.wake()
    assert sequence.run.state.outcome is not None
