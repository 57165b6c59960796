"""PURE: standalone Nexus operations: how they begin and end. In between they are operations like any other."""

from __future__ import annotations

from typing import assert_never

from temporalio.api.enums.v1 import NexusOperationExecutionStatus, TimeoutType
from temporalio.api.failure.v1 import Failure, TerminatedFailureInfo, TimeoutFailureInfo
from temporalio.api.history.v1 import NexusOperationScheduledEventAttributes
from temporalio.api.workflowservice.v1 import StartNexusOperationExecutionRequest

from perdure.history.effects import CancelNexusOperation, StartNexusOperation
from perdure.history.machines.nexus_events import timed_out
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
from perdure.history.state.changes import (
    OperationCancelRequested,
    OperationCancelTold,
    OperationClosed,
    OperationScheduled,
    OperationStarted,
)
from perdure.history.state.nexus import NexusOperation
from perdure.history.state.operation_execution import OPERATION_KEY, OperationExecution
from perdure.history.transition import BaseTransition
from perdure.kernel.errors import FailedPrecondition, NotFound
from perdure.kernel.nexus_failures import as_canceled

_Status = NexusOperationExecutionStatus


class StandaloneOperation(BaseTransition[OperationExecution]):
    """One decision in the making on a standalone Nexus operation."""

    __slots__ = ()


def not_found(operation_id: str) -> NotFound:
    """The answer to whoever means an operation that is not there or not any more."""
    return NotFound(f"operation not found for ID: {operation_id}")


def begin(tx: StandaloneOperation, request: StartNexusOperationExecutionRequest, endpoint_id: str) -> None:
    """Make the operation that the request, in which everything is checked and completed, asks for."""
    scheduled = NexusOperationScheduledEventAttributes(
        endpoint=request.endpoint,
        endpoint_id=endpoint_id,
        service=request.service,
        operation=request.operation,
        input=request.input if request.HasField("input") else None,
        nexus_header=request.nexus_header,
        request_id=tx.entropy.uuid(),
    )
    if request.HasField("schedule_to_close_timeout"):
        scheduled.schedule_to_close_timeout.CopyFrom(request.schedule_to_close_timeout)
    if request.HasField("schedule_to_start_timeout"):
        scheduled.schedule_to_start_timeout.CopyFrom(request.schedule_to_start_timeout)
    if request.HasField("start_to_close_timeout"):
        scheduled.start_to_close_timeout.CopyFrom(request.start_to_close_timeout)
    tx.change(
        OperationScheduled(
            tx.now,
            scheduled,
            request.request_id,
            request.identity,
            request.search_attributes,
            request.user_metadata if request.HasField("user_metadata") else None,
        )
    )
    tx.effect(StartNexusOperation(OPERATION_KEY))


def record(tx: StandaloneOperation, operation: NexusOperation, news: News) -> None:
    """Keep what is news of it."""
    now = tx.now
    match news:
        case Started(token, links, at):
            tx.change(OperationStarted(at or now, token, list(links)))
            if operation.wants_cancel:
                tx.effect(CancelNexusOperation(OPERATION_KEY))
        case Completed(result, links):
            status = _Status.NEXUS_OPERATION_EXECUTION_STATUS_COMPLETED
            tx.change(OperationClosed(now, status, list(links), result=result))
        case Failed(cause, attempted):
            status = _Status.NEXUS_OPERATION_EXECUTION_STATUS_FAILED
            tx.change(OperationClosed(now, status, [], failure=cause, attempted=attempted))
        case Unusable(message):
            status = _Status.NEXUS_OPERATION_EXECUTION_STATUS_FAILED
            failure = Failure(message=message)
            failure.server_failure_info.non_retryable = True
            tx.change(OperationClosed(now, status, [], failure=failure, attempted=True))
        case Canceled(cause, attempted):
            status = _Status.NEXUS_OPERATION_EXECUTION_STATUS_CANCELED
            tx.change(OperationClosed(now, status, [], failure=as_canceled(cause), attempted=attempted))
        case TimedOut(timeout_type, attempted):
            status = _Status.NEXUS_OPERATION_EXECUTION_STATUS_TIMED_OUT
            tx.change(OperationClosed(now, status, [], failure=timed_out(timeout_type), attempted=attempted))
        case CancelTold(refusal):
            tx.change(OperationCancelTold(now, refusal))
        case CancelTooLate(timeout_type):
            tx.change(OperationCancelTold(now, _too_late(timeout_type)))
        case _:
            assert_never(news)


def _too_late(timeout_type: TimeoutType.ValueType) -> Failure:
    return Failure(
        message="operation timed out before cancellation could be delivered",
        timeout_failure_info=TimeoutFailureInfo(timeout_type=timeout_type),
    )


def request_cancel(tx: StandaloneOperation, identity: str, reason: str, request_id: str) -> None:
    """Ask the handler to give up, as soon as it has begun. Repeating it changes nothing.

    Raises:
        FailedPrecondition: it has ended, or another request was there before.
    """
    state, earlier = tx.state, tx.state.cancellation
    if earlier is not None and earlier.request_id == request_id:
        return
    if not state.running:
        raise FailedPrecondition("operation already completed")
    if earlier is not None:
        raise FailedPrecondition(f"cancellation already requested with request ID {earlier.request_id}")
    tx.change(OperationCancelRequested(tx.now, identity, reason, request_id))
    if state.operation.started:
        tx.effect(CancelNexusOperation(OPERATION_KEY))


def terminate(tx: StandaloneOperation, identity: str, reason: str, request_id: str) -> None:
    """End it at once; its handler does not hear of it. Repeating it changes nothing.

    Raises:
        FailedPrecondition: it has ended.
    """
    state = tx.state
    if state.status == _Status.NEXUS_OPERATION_EXECUTION_STATUS_TERMINATED:
        if state.terminate_request_id != request_id:
            raise FailedPrecondition(f"already terminated with request ID {state.terminate_request_id}")
        return
    if not state.running:
        raise FailedPrecondition("operation already completed")
    failure = Failure(message=reason, terminated_failure_info=TerminatedFailureInfo(identity=identity))
    tx.change(
        OperationClosed(
            tx.now,
            _Status.NEXUS_OPERATION_EXECUTION_STATUS_TERMINATED,
            [],
            failure=failure,
            request_id=request_id,
        )
    )
