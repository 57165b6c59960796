"""PURE: Nexus operations that a workflow has started: attempts to start and to cancel them, and how they end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from temporalio.api.common.v1 import Link, Payload
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure, NexusOperationFailureInfo, TimeoutFailureInfo
from temporalio.api.nexus.v1 import StartOperationResponse

from perdure.history.effects import CancelNexusOperation, StartNexusOperation
from perdure.history.machines import workflow_task
from perdure.history.nexus_links import of_nexus_links
from perdure.history.state.changes import NexusAttemptFailed, NexusCancelAttemptFailed
from perdure.history.state.nexus import NexusOperation
from perdure.history.transition import Transition
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.mail import OperationClosed
from perdure.kernel.nexus_failures import as_canceled, handler_failure, is_retryable, of_operation_error
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


def answer_start(tx: Transition, operation: NexusOperation, answer: NexusAnswer) -> None:
    """The handler has been asked to start the operation, and this is what came of it."""
    if answer.failure is not None:
        _start_failed(tx, operation, answer.failure)
        return
    response = answer.response.start_operation if answer.response is not None else StartOperationResponse()
    variant = response.WhichOneof("variant")
    if variant == "sync_success":
        result = response.sync_success.payload
        if result.ByteSize() > tx.limits.blob_size_max:
            _fail_for_good(tx, operation, _call_error("http: response body too large"))
            return
        payload = result if response.sync_success.HasField("payload") else None
        complete(tx, operation, payload, of_nexus_links(response.sync_success.links))
    elif variant == "async_success":
        success = response.async_success
        start(tx, operation, success.operation_token or success.operation_id, of_nexus_links(success.links))
    elif variant == "failure":
        end(tx, operation, response.failure, canceled=response.failure.HasField("canceled_failure_info"))
    elif variant == "operation_error":
        error = response.operation_error
        end(tx, operation, of_operation_error(error), canceled=error.operation_state == "canceled")
    else:
        _start_failed(tx, operation, handler_failure("INTERNAL", "empty outcome"))


def _start_failed(tx: Transition, operation: NexusOperation, failure: Failure) -> None:
    if not is_retryable(failure):
        _fail_for_good(tx, operation, failure)
        return
    next_at = tx.now + _backoff(tx, operation.attempts + 1)
    tx.change(NexusAttemptFailed(operation.scheduled_event_id, tx.now, next_at, failure))


def _fail_for_good(tx: Transition, operation: NexusOperation, cause: Failure) -> None:
    end(tx, operation, cause, canceled=False)


def _call_error(message: str) -> Failure:
    failure = Failure(message=message)
    failure.application_failure_info.type = "CallError"
    failure.application_failure_info.non_retryable = True
    return failure


def _backoff(tx: Transition, attempt: int) -> int:
    """Before the attempt after this one: it doubles, less up to a fifth, so that not all come back at once."""
    interval = RETRY_INTERVAL_NS_MIN << min(attempt - 1, _SEVERAL_ATTEMPTS_MAX)
    return int(min(interval, RETRY_INTERVAL_NS_MAX) * tx.entropy.uniform(0.8, 1.0))


def start(tx: Transition, operation: NexusOperation, token: str, links: Iterable[Link] = ()) -> None:
    """The handler goes on with it, and will tell how it ended."""
    tx.arrive(
        EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED,
        links=links,
        scheduled_event_id=operation.scheduled_event_id,
        operation_id=token,
        operation_token=token,
        request_id=operation.scheduled.request_id,
    )
    if operation.wants_cancel:
        tx.effect(CancelNexusOperation(operation.scheduled_event_id))
    workflow_task.schedule(tx)


def complete(tx: Transition, operation: NexusOperation, result: Payload | None, links: Iterable[Link] = ()) -> None:
    tx.arrive(
        EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED,
        links=links,
        scheduled_event_id=operation.scheduled_event_id,
        result=result,
        request_id=operation.scheduled.request_id,
    )
    workflow_task.schedule(tx)


def end(tx: Transition, operation: NexusOperation, cause: Failure, *, canceled: bool) -> None:
    """It came to nothing, because of a failure or because somebody has canceled it."""
    kind = EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED
    if canceled:
        kind, cause = EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED, as_canceled(cause)
    tx.arrive(
        kind,
        scheduled_event_id=operation.scheduled_event_id,
        failure=_wrapped(operation, cause),
        request_id=operation.scheduled.request_id,
    )
    workflow_task.schedule(tx)


def time_out(tx: Transition, operation: NexusOperation, timeout_type: TimeoutType.ValueType) -> None:
    cause = Failure(message="operation timed out", timeout_failure_info=TimeoutFailureInfo(timeout_type=timeout_type))
    tx.arrive(
        EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT,
        scheduled_event_id=operation.scheduled_event_id,
        failure=_wrapped(operation, cause),
        request_id=operation.scheduled.request_id,
    )
    workflow_task.schedule(tx)


def _wrapped(operation: NexusOperation, cause: Failure) -> Failure:
    scheduled = operation.scheduled
    return Failure(
        message="nexus operation completed unsuccessfully",
        nexus_operation_execution_failure_info=NexusOperationFailureInfo(
            scheduled_event_id=operation.scheduled_event_id,
            endpoint=scheduled.endpoint,
            service=scheduled.service,
            operation=scheduled.operation,
            operation_id=operation.token,
            operation_token=operation.token,
        ),
        cause=cause,
    )


def told_end(tx: Transition, operation: NexusOperation, letter: OperationClosed) -> None:
    """Its handler tells how it ended, perhaps before anybody knew here that it had started."""
    if not operation.started:
        start(tx, operation, letter.operation_token, letter.links)
    if letter.failure is not None:
        end(tx, operation, letter.failure, canceled=letter.canceled)
    else:
        complete(tx, operation, letter.result)


def answer_cancel(tx: Transition, operation: NexusOperation, answer: NexusAnswer) -> None:
    """The handler has been asked to cancel the operation, and this is what came of it."""
    cancel = operation.cancel
    assert cancel is not None
    common: dict[str, Any] = {
        "requested_event_id": cancel.requested_event_id,
        "scheduled_event_id": operation.scheduled_event_id,
    }
    failure = answer.failure
    if failure is None:
        tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED, **common)
    elif is_retryable(failure):
        next_at = tx.now + _backoff(tx, cancel.attempts + 1)
        tx.change(NexusCancelAttemptFailed(operation.scheduled_event_id, tx.now, next_at, failure))
        return
    else:
        tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED, failure=failure, **common)
    workflow_task.schedule(tx)


def cancel_too_late(tx: Transition, operation: NexusOperation, timeout_type: TimeoutType.ValueType) -> None:
    """Before the handler could be asked to cancel it, the operation will have timed out."""
    name = TimeoutType.Name(timeout_type).removeprefix("TIMEOUT_TYPE_").title().replace("_", "")
    failure = _call_error(f"not enough time to execute another request before {name} timeout")
    cancel = operation.cancel
    assert cancel is not None
    tx.arrive(
        EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED,
        failure=failure,
        requested_event_id=cancel.requested_event_id,
        scheduled_event_id=operation.scheduled_event_id,
    )
    workflow_task.schedule(tx)


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


def expire(tx: Transition, operation: NexusOperation) -> None:
    """The deadline has passed: time it out, or make the request that is due."""
    due = [(at, timeout_type) for at, timeout_type in _timeouts(operation) if at <= tx.now]
    if due:
        time_out(tx, operation, min(due)[1])
        return
    if 0 < next_attempt_at(operation) <= tx.now:
        key = operation.scheduled_event_id
        tx.effect(CancelNexusOperation(key) if operation.started else StartNexusOperation(key))
