"""PURE: Nexus operations: attempts to start and to cancel them, and their time-outs.

A decision returns the news that there is of the operation, and whoever has the operation records them: as events in a
workflow (`nexus_events.py`), or in its own state (`standalone_nexus.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio.api.common.v1 import Link, Payload
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.nexus.v1 import StartOperationResponse

from perdure.history.effects import CancelNexusOperation, Effect, StartNexusOperation
from perdure.history.nexus_links import of_nexus_links
from perdure.history.state.changes import AnyChange, NexusAttemptFailed, NexusCancelAttemptFailed
from perdure.history.state.nexus import NexusOperation
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy
from perdure.kernel.limits import Limits
from perdure.kernel.mail import OperationClosed
from perdure.kernel.nexus_failures import handler_failure, is_retryable, of_operation_error
from perdure.kernel.prototime import length_ns
from perdure.kernel.rpc import NexusAnswer

_SCHEDULE_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
_SCHEDULE_TO_START = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
_START_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE

#: Back-off between attempts (`component.nexusoperations.retryPolicy`).
RETRY_INTERVAL_NS_MIN = SECOND_NS
RETRY_INTERVAL_NS_MAX = 3600 * SECOND_NS
#: How long a handler may take to answer a request (`component.nexusoperations.request.timeout`).
REQUEST_TIMEOUT_NS = 10 * SECOND_NS
#: With less time than this, no request is made any more (`component.nexusoperations.limit.request.timeout.min`).
REQUEST_TIMEOUT_NS_MIN = 1_500_000_000

_SEVERAL_ATTEMPTS_MAX = 40


class Owner(Protocol):
    """What a decision is made on: a transition of whatever has the operation."""

    now: int
    entropy: Entropy
    limits: Limits

    def change(self, change: AnyChange) -> None: ...

    def effect(self, effect: Effect) -> None: ...


# News. `attempted`: they are what the attempt under way has come to.


@dataclass(frozen=True, slots=True)
class Started:
    """The handler goes on with it, and will tell how it ended. `at` is 0 if that is now."""

    token: str
    links: Sequence[Link]
    at: int = 0


@dataclass(frozen=True, slots=True)
class Completed:
    result: Payload | None
    links: Sequence[Link] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    cause: Failure
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class Unusable:
    """The handler's answer is more than is kept of one."""

    message: str


@dataclass(frozen=True, slots=True)
class Canceled:
    """Somebody has canceled it."""

    cause: Failure
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class TimedOut:
    timeout_type: TimeoutType.ValueType
    attempted: bool = False


@dataclass(frozen=True, slots=True)
class CancelTold:
    """The handler knows that it is not wanted any more, or with a `failure` does not want to know."""

    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class CancelTooLate:
    """Before the handler could be asked to cancel it, the operation will have timed out."""

    timeout_type: TimeoutType.ValueType


News = Started | Completed | Failed | Unusable | Canceled | TimedOut | CancelTold | CancelTooLate


def answer_start(tx: Owner, operation: NexusOperation, answer: NexusAnswer) -> list[News]:
    """The handler has been asked to start the operation, and this is what came of it."""
    if answer.failure is not None:
        return _start_failed(tx, operation, answer.failure)
    response = answer.response.start_operation if answer.response is not None else StartOperationResponse()
    variant = response.WhichOneof("variant")
    if variant == "sync_success":
        result = response.sync_success.payload
        if result.ByteSize() > tx.limits.blob_size_max:
            return [Unusable("http: response body too large")]
        payload = result if response.sync_success.HasField("payload") else None
        return [Completed(payload, of_nexus_links(response.sync_success.links))]
    if variant == "async_success":
        success = response.async_success
        return [Started(success.operation_token or success.operation_id, of_nexus_links(success.links))]
    if variant == "failure":
        failure = response.failure
        return [Canceled(failure) if failure.HasField("canceled_failure_info") else Failed(failure)]
    if variant == "operation_error":
        failure = of_operation_error(response.operation_error)
        return [Canceled(failure) if response.operation_error.operation_state == "canceled" else Failed(failure)]
    return _start_failed(tx, operation, handler_failure("INTERNAL", "empty outcome"))


def _start_failed(tx: Owner, operation: NexusOperation, failure: Failure) -> list[News]:
    if not is_retryable(failure):
        return [Failed(failure)]
    next_at = tx.now + _backoff(tx, operation.attempts + 1)
    tx.change(NexusAttemptFailed(operation.scheduled_event_id, tx.now, next_at, failure))
    return []


def _backoff(tx: Owner, attempt: int) -> int:
    """Before the attempt after this one: it doubles, less up to a fifth, so that not all come back at once."""
    interval = RETRY_INTERVAL_NS_MIN << min(attempt - 1, _SEVERAL_ATTEMPTS_MAX)
    return int(min(interval, RETRY_INTERVAL_NS_MAX) * tx.entropy.uniform(0.8, 1.0))


def told_end(tx: Owner, operation: NexusOperation, letter: OperationClosed) -> list[News]:
    """Its handler tells how it ended, perhaps before anybody knew here that it had started."""
    news: list[News] = []
    if not operation.started:
        news.append(Started(letter.operation_token, letter.links, letter.started_at))
    if letter.failure is None:
        news.append(Completed(letter.result))
    elif letter.canceled:
        news.append(Canceled(letter.failure, attempted=False))
    else:
        news.append(Failed(letter.failure, attempted=False))
    return news


def answer_cancel(tx: Owner, operation: NexusOperation, answer: NexusAnswer) -> list[News]:
    """The handler has been asked to cancel the operation, and this is what came of it."""
    cancel = operation.cancel
    assert cancel is not None
    failure = answer.failure
    if failure is None or not is_retryable(failure):
        return [CancelTold(failure)]
    next_at = tx.now + _backoff(tx, cancel.attempts + 1)
    tx.change(NexusCancelAttemptFailed(operation.scheduled_event_id, tx.now, next_at, failure))
    return []


def start_limit(operation: NexusOperation, now: int) -> tuple[int, TimeoutType.ValueType]:
    """How long a request to start it may take, and which time-out of the operation is the reason if that is less than
    usual.
    """
    scheduled = operation.scheduled
    if limit := length_ns(scheduled.schedule_to_start_timeout):
        return min(REQUEST_TIMEOUT_NS, operation.scheduled_at + limit - now), _SCHEDULE_TO_START
    if limit := length_ns(scheduled.schedule_to_close_timeout):
        return min(REQUEST_TIMEOUT_NS, operation.scheduled_at + limit - now), _SCHEDULE_TO_CLOSE
    return REQUEST_TIMEOUT_NS, TimeoutType.TIMEOUT_TYPE_UNSPECIFIED


def cancel_limit(operation: NexusOperation, now: int) -> tuple[int, TimeoutType.ValueType]:
    """The same of a request to cancel it."""
    scheduled, allowed = operation.scheduled, REQUEST_TIMEOUT_NS
    timeout_type = TimeoutType.TIMEOUT_TYPE_UNSPECIFIED
    if limit := length_ns(scheduled.start_to_close_timeout):
        allowed, timeout_type = min(allowed, operation.started_at + limit - now), _START_TO_CLOSE
    if limit := length_ns(scheduled.schedule_to_close_timeout):
        allowed, timeout_type = min(allowed, operation.scheduled_at + limit - now), _SCHEDULE_TO_CLOSE
    return allowed, timeout_type


def time_for_operation(operation: NexusOperation, now: int) -> int:
    """How long the operation may take once it has started, as far as its handler is told; 0 for ever."""
    limits = []
    if limit := length_ns(operation.scheduled.start_to_close_timeout):
        limits.append(limit)
    if limit := length_ns(operation.scheduled.schedule_to_close_timeout):
        limits.append(max(operation.scheduled_at + limit - now, 1))
    return min(limits, default=0)


def _timeouts(operation: NexusOperation) -> list[tuple[int, TimeoutType.ValueType]]:
    scheduled, deadlines = operation.scheduled, []
    if limit := length_ns(scheduled.schedule_to_close_timeout):
        deadlines.append((operation.scheduled_at + limit, _SCHEDULE_TO_CLOSE))
    if operation.started:
        if limit := length_ns(scheduled.start_to_close_timeout):
            deadlines.append((operation.started_at + limit, _START_TO_CLOSE))
    elif limit := length_ns(scheduled.schedule_to_start_timeout):
        deadlines.append((operation.scheduled_at + limit, _SCHEDULE_TO_START))
    return deadlines


def next_attempt_at(operation: NexusOperation) -> int:
    """When a request is to be made again; 0 if none waits for that."""
    if operation.wants_cancel:
        assert operation.cancel is not None
        return operation.cancel.next_attempt_at
    return operation.next_attempt_at if operation.wants_start else 0


def deadline(operation: NexusOperation, now: int) -> int:
    """When the operation wants attention next, 0 for never: a time-out, or its next attempt if that lies ahead."""
    instants = [at for at, _ in _timeouts(operation)]
    if (at := next_attempt_at(operation)) > now:
        instants.append(at)
    return min(instants, default=0)


def expire(tx: Owner, operation: NexusOperation) -> list[News]:
    """The deadline has passed: time it out, or make the request that is due."""
    due = [(at, timeout_type) for at, timeout_type in _timeouts(operation) if at <= tx.now]
    if due:
        return [TimedOut(min(due)[1])]
    if 0 < next_attempt_at(operation) <= tx.now:
        key = operation.scheduled_event_id
        tx.effect(CancelNexusOperation(key) if operation.started else StartNexusOperation(key))
    return []
