"""PURE: rules for options of requests and of commands: durations, retry policies, priorities, queue names.

All of them raise `InvalidArgument` with the wording that clients of the protocol know.
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.common.v1 import Priority, RetryPolicy
from temporalio.api.enums.v1 import TimeoutType

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import Limits
from perdure.kernel.prototime import length_ns

DURATION_S_MAX = 100 * 365 * 86_400
FAIRNESS_KEY_LENGTH_MAX = 64
RESERVED_TASK_QUEUE_PREFIX = "/_sys/"
_TIMEOUT_FAILURE_PREFIX = "TemporalTimeout:"


def duration_fault(duration: Duration) -> str | None:
    """What is wrong with a duration, None if nothing. Very long ones are shortened to a hundred years."""
    seconds, nanos = duration.seconds, duration.nanos
    if (seconds > 0 and nanos < 0) or (seconds < 0 and nanos > 0):
        return "duration has seconds and nanos with different signs"
    if seconds < 0 or nanos < 0:
        return "negative duration"
    if seconds >= DURATION_S_MAX:
        duration.seconds, duration.nanos = DURATION_S_MAX, 0
    return None


def check_duration(owner: Message, field: str, message: str) -> None:
    """`message` is what to say before the reason."""
    if owner.HasField(field) and (fault := duration_fault(getattr(owner, field))):
        raise InvalidArgument(f"{message}{fault}")


def check_task_queue_name(name: str, limits: Limits, *, partition: bool) -> None:
    if len(name.encode()) > limits.id_length_max:
        raise InvalidArgument("taskQueue length exceeds limit")
    if not partition and name.startswith(RESERVED_TASK_QUEUE_PREFIX):
        raise InvalidArgument(f"task queue name cannot start with reserved prefix {RESERVED_TASK_QUEUE_PREFIX}")


def check_retry_policy(policy: RetryPolicy) -> None:
    """Fills in the defaults first: what is not set means 1 s, doubling, at most 100 times the first interval."""
    if length_ns(policy.initial_interval) == 0:
        policy.initial_interval.FromSeconds(1)
    if length_ns(policy.maximum_interval) == 0:
        # Beyond a hundred years both are capped anyway, and a duration's own range must not be left.
        first = max(-DURATION_S_MAX * SECOND_NS, min(length_ns(policy.initial_interval), DURATION_S_MAX * SECOND_NS))
        policy.maximum_interval.FromNanoseconds(100 * first)
    if policy.backoff_coefficient == 0:
        policy.backoff_coefficient = 2.0
    check_complete_retry_policy(policy)


def check_complete_retry_policy(policy: RetryPolicy) -> None:
    """A policy in which everything is set."""
    if policy.maximum_attempts == 1:
        return  # one attempt is no retry: nothing else is looked at
    check_duration(policy, "initial_interval", "invalid InitialInterval set on retry policy: ")
    if not policy.backoff_coefficient >= 1:
        raise InvalidArgument("BackoffCoefficient cannot be less than 1 on retry policy.")
    check_duration(policy, "maximum_interval", "invalid MaximumInterval set on retry policy: ")
    if 0 < length_ns(policy.maximum_interval) < length_ns(policy.initial_interval):
        raise InvalidArgument("MaximumInterval cannot be less than InitialInterval on retry policy.")
    if policy.maximum_attempts < 0:
        raise InvalidArgument("MaximumAttempts cannot be negative on retry policy.")
    for name in policy.non_retryable_error_types:
        if name.startswith(_TIMEOUT_FAILURE_PREFIX):
            _check_timeout_type(name.removeprefix(_TIMEOUT_FAILURE_PREFIX))


_TIMEOUT_TYPES = {
    form
    for name in TimeoutType.keys()  # noqa: SIM118  an enum wrapper is no mapping
    if name != "TIMEOUT_TYPE_UNSPECIFIED"
    for form in (name, name.removeprefix("TIMEOUT_TYPE_").title().replace("_", ""))
}


def _check_timeout_type(name: str) -> None:
    if name not in _TIMEOUT_TYPES:
        raise InvalidArgument(f"Invalid timeout type value: {name}.")


def merged(base: Priority, override: Priority) -> Priority:
    """A priority of which some may be said for all, and some for the one."""
    return Priority(
        priority_key=override.priority_key or base.priority_key,
        fairness_key=override.fairness_key or base.fairness_key,
        fairness_weight=override.fairness_weight or base.fairness_weight,
    )


def check_priority(priority: Priority) -> None:
    if priority.priority_key < 0:
        raise InvalidArgument("priority key can't be negative")
    if len(priority.fairness_key.encode()) > FAIRNESS_KEY_LENGTH_MAX:
        raise InvalidArgument("fairness key length exceeds limit")
    # Not a number is neither more nor less than anything, and there is no order with it.
    if not priority.fairness_weight >= 0:
        raise InvalidArgument("must be greater than zero")
