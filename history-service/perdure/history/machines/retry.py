"""When to try again: one rule for activities and workflows.

The rules are those of Temporal's documented retry policy: attempts count from 1, the interval grows by the
coefficient up to the maximum, an application may name the next delay itself, and no attempt starts after the
expiration.
"""

from __future__ import annotations

from typing import NamedTuple

from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.options import DURATION_S_MAX
from perdure.kernel.prototime import length_ns

_DEFAULT_INITIAL_INTERVAL_NS = SECOND_NS
_DEFAULT_COEFFICIENT = 2.0
_DEFAULT_MAXIMUM_INTERVALS = 100
_FOREVER_NS = 1 << 62

#: Prefix with which a policy can name a kind of time-out as not worth a retry.
_TIMEOUT_PREFIX = "TemporalTimeout:"


class Retry(NamedTuple):
    """Whether there is a next attempt, and after how long (nanoseconds) if `state` says it is in progress."""

    state: RetryState.ValueType
    interval: int = 0

    @property
    def again(self) -> bool:
        return self.state == RetryState.RETRY_STATE_IN_PROGRESS


def is_retryable(failure: Failure, non_retryable_types: list[str]) -> bool:
    """Whether this kind of failure may be followed by another attempt at all."""
    kind = failure.WhichOneof("failure_info")
    if kind in ("terminated_failure_info", "canceled_failure_info"):
        return False
    if kind == "timeout_failure_info":
        timeout_type = failure.timeout_failure_info.timeout_type
        if timeout_type not in (TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE, TimeoutType.TIMEOUT_TYPE_HEARTBEAT):
            return False
        return f"{_TIMEOUT_PREFIX}{timeout_name(timeout_type)}" not in non_retryable_types
    if kind == "server_failure_info":
        return not failure.server_failure_info.non_retryable
    if kind == "application_failure_info":
        info = failure.application_failure_info
        return not info.non_retryable and info.type not in non_retryable_types
    return True


def timeout_name(timeout_type: TimeoutType.ValueType) -> str:
    """The time-out's name in messages and policies: StartToClose, Heartbeat, ..."""
    return "".join(
        word.capitalize() if word != "TO" else "To"
        for word in TimeoutType.Name(timeout_type).removeprefix("TIMEOUT_TYPE_").split("_")
    )


def next_attempt(policy: RetryPolicy, failure: Failure, attempt: int, now: int, expires_at: int) -> Retry:
    """Decide about the attempt after `attempt`, which ended with `failure`; `expires_at` 0 is never."""
    if not is_retryable(failure, list(policy.non_retryable_error_types)):
        return Retry(RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE)
    if policy.maximum_attempts and attempt >= policy.maximum_attempts:
        return Retry(RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)
    interval = requested_delay(failure)
    if interval is None:
        interval = back_off(policy, attempt)
    if expires_at and now + interval > expires_at:
        return Retry(RetryState.RETRY_STATE_TIMEOUT)
    return Retry(RetryState.RETRY_STATE_IN_PROGRESS, interval)


def requested_delay(failure: Failure) -> int | None:
    """How long the application wants to wait before the next attempt, None if it leaves that to the policy."""
    info = failure.application_failure_info
    if info.HasField("next_retry_delay"):
        return max(0, min(length_ns(info.next_retry_delay), DURATION_S_MAX * SECOND_NS))
    return None


def back_off(policy: RetryPolicy, attempt: int) -> int:
    """How long the policy wants to wait after this attempt."""
    initial = length_ns(policy.initial_interval) or _DEFAULT_INITIAL_INTERVAL_NS
    maximum = length_ns(policy.maximum_interval) or initial * _DEFAULT_MAXIMUM_INTERVALS
    coefficient = policy.backoff_coefficient or _DEFAULT_COEFFICIENT
    try:
        interval = int(initial * coefficient ** (attempt - 1))
    except (OverflowError, ValueError):  # infinite, or not a number
        interval = _FOREVER_NS
    return max(0, min(interval, maximum))


def with_defaults(policy: RetryPolicy) -> RetryPolicy:
    """The policy with what it leaves open filled in, as it appears in histories."""
    full = RetryPolicy()
    full.CopyFrom(policy)
    if not length_ns(full.initial_interval):
        full.initial_interval.seconds = 1
    if not full.backoff_coefficient:
        full.backoff_coefficient = _DEFAULT_COEFFICIENT
    if not length_ns(full.maximum_interval):
        maximum = length_ns(full.initial_interval) * _DEFAULT_MAXIMUM_INTERVALS
        full.maximum_interval.seconds, full.maximum_interval.nanos = divmod(maximum, SECOND_NS)
    return full
