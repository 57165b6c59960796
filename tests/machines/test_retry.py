"""When to try again: the rule for activities and workflows alike."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import (
    CanceledFailureInfo,
    Failure,
    ServerFailureInfo,
    TerminatedFailureInfo,
    TimeoutFailureInfo,
)

from perdure.history.machines.retry import Retry, is_retryable, next_attempt, with_defaults
from perdure.kernel.clock import SECOND_NS
from tests.support.playbook import failure

AGAIN = RetryState.RETRY_STATE_IN_PROGRESS


def policy(initial_s: int = 1, coefficient: float = 2, maximum_s: int = 0, attempts: int = 0) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=Duration(seconds=initial_s),
        backoff_coefficient=coefficient,
        maximum_interval=Duration(seconds=maximum_s),
        maximum_attempts=attempts,
    )


@pytest.mark.parametrize(
    ("given", "attempt", "interval_s"),
    [
        (policy(), 1, 1),
        (policy(), 5, 16),
        (policy(initial_s=3, coefficient=1), 9, 3),
        (policy(maximum_s=10), 5, 10),
        # Without a maximum: a hundred times the first.
        (policy(), 20, 100),
        (policy(coefficient=1e300), 10_000, 100),
        # All defaults.
        (RetryPolicy(), 3, 4),
    ],
)
def test_intervals(given: RetryPolicy, attempt: int, interval_s: int) -> None:
    assert next_attempt(given, failure(), attempt, 0, 0) == Retry(AGAIN, interval_s * SECOND_NS)


def test_the_last_attempt() -> None:
    assert next_attempt(policy(attempts=3), failure(), 2, 0, 0).again
    assert next_attempt(policy(attempts=3), failure(), 3, 0, 0).state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


def test_the_expiration() -> None:
    assert next_attempt(policy(initial_s=5), failure(), 1, 0, 5 * SECOND_NS).again
    assert next_attempt(policy(initial_s=5), failure(), 1, 1, 5 * SECOND_NS).state == RetryState.RETRY_STATE_TIMEOUT


def test_a_delay_that_the_failure_names_goes_before_the_policy() -> None:
    named = failure(next_retry_delay={"seconds": 70})
    assert next_attempt(policy(maximum_s=10), named, 1, 0, 0).interval == 70 * SECOND_NS
    backwards = failure(next_retry_delay={"seconds": -70})
    assert next_attempt(policy(), backwards, 1, 0, 0) == Retry(AGAIN, 0)


def timed_out(kind: TimeoutType.ValueType) -> Failure:
    return Failure(timeout_failure_info=TimeoutFailureInfo(timeout_type=kind))


@pytest.mark.parametrize(
    ("what", "excluded", "retryable"),
    [
        (failure(), [], True),
        (failure(), ["Oops"], False),
        (failure(non_retryable=True), [], False),
        (Failure(message="plain"), ["plain"], True),
        (Failure(terminated_failure_info=TerminatedFailureInfo()), [], False),
        (Failure(canceled_failure_info=CanceledFailureInfo()), [], False),
        (Failure(server_failure_info=ServerFailureInfo()), [], True),
        (Failure(server_failure_info=ServerFailureInfo(non_retryable=True)), [], False),
        (timed_out(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE), [], True),
        (timed_out(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE), ["TemporalTimeout:StartToClose"], False),
        (timed_out(TimeoutType.TIMEOUT_TYPE_HEARTBEAT), ["TemporalTimeout:StartToClose"], True),
        (timed_out(TimeoutType.TIMEOUT_TYPE_HEARTBEAT), ["TemporalTimeout:Heartbeat"], False),
        (timed_out(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START), [], False),
        (timed_out(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE), [], False),
    ],
)
def test_what_is_worth_a_retry(what: Failure, excluded: list[str], retryable: bool) -> None:
    assert is_retryable(what, excluded) is retryable


def test_histories_show_the_whole_policy() -> None:
    assert with_defaults(RetryPolicy(initial_interval=Duration(seconds=2))) == policy(initial_s=2, maximum_s=200)
