"""PURE: Nexus operations that a workflow has started: what is news of them becomes events."""

from __future__ import annotations

from typing import Any, assert_never

from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure, NexusOperationFailureInfo, TimeoutFailureInfo

from perdure.history.effects import CancelNexusOperation
from perdure.history.machines import workflow_task
from perdure.history.machines.nexus_operation import (
    Canceled,
    CancelTold,
    CancelTooLate,
    Completed,
    Failed,
    News,
    Started,
    TimedOut,
    Unusable,
)
from perdure.history.state.nexus import NexusOperation
from perdure.history.transition import Transition
from perdure.kernel.nexus_failures import as_canceled


def record(tx: Transition, operation: NexusOperation, news: News) -> None:
    """Write it into the history, and tell the workflow."""
    of_it: dict[str, Any] = {"scheduled_event_id": operation.scheduled_event_id}
    if not isinstance(news, CancelTold | CancelTooLate):
        of_it["request_id"] = operation.scheduled.request_id
    match news:
        case Started(token, links):
            tx.arrive(
                EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED,
                links=links,
                operation_id=token,
                operation_token=token,
                **of_it,
            )
            if operation.wants_cancel:
                tx.effect(CancelNexusOperation(operation.scheduled_event_id))
        case Completed(result, links):
            tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED, links=links, result=result, **of_it)
        case Failed(cause):
            tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED, failure=_wrapped(operation, cause), **of_it)
        case Unusable(message):
            failure = _wrapped(operation, _call_error(message))
            tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED, failure=failure, **of_it)
        case Canceled(cause):
            failure = _wrapped(operation, as_canceled(cause))
            tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED, failure=failure, **of_it)
        case TimedOut(timeout_type):
            failure = _wrapped(operation, timed_out(timeout_type))
            tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT, failure=failure, **of_it)
        case CancelTold() | CancelTooLate():
            assert operation.cancel is not None
            of_it["requested_event_id"] = operation.cancel.requested_event_id
            refusal = news.failure if isinstance(news, CancelTold) else _too_late(news.timeout_type)
            if refusal is None:
                tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED, **of_it)
            else:
                tx.arrive(EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED, failure=refusal, **of_it)
        case _:
            assert_never(news)
    workflow_task.schedule(tx)


def timed_out(timeout_type: TimeoutType.ValueType) -> Failure:
    return Failure(message="operation timed out", timeout_failure_info=TimeoutFailureInfo(timeout_type=timeout_type))


def _too_late(timeout_type: TimeoutType.ValueType) -> Failure:
    name = TimeoutType.Name(timeout_type).removeprefix("TIMEOUT_TYPE_").title().replace("_", "")
    return _call_error(f"not enough time to execute another request before {name} timeout")


def _call_error(message: str) -> Failure:
    failure = Failure(message=message)
    failure.application_failure_info.type = "CallError"
    failure.application_failure_info.non_retryable = True
    return failure


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
