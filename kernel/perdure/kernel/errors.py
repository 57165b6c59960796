"""One taxonomy of errors: a class per meaning, each with its gRPC code and typed detail.

Raised anywhere, translated once, in the gateway's outermost layer. SDKs branch on the code and on the detail message,
so both are part of the wire contract. Anything that is not a `ServiceError` is a defect of ours and is masked.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from google.protobuf.message import Message
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope
from temporalio.api.errordetails import v1 as details
from temporalio.api.failure.v1 import Failure


class Code(Enum):
    """gRPC status codes that Perdure answers with, by their number on the wire."""

    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ServiceError(Exception):
    """An error that a caller is meant to see. `detail` travels in `grpc-status-details-bin`."""

    code: ClassVar[Code]

    def __init__(self, message: str, detail: Message | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InvalidArgument(ServiceError):
    """The request itself is wrong, whatever the state; the message names the field and the limit."""

    code = Code.INVALID_ARGUMENT


class NotFound(ServiceError):
    """The thing addressed does not exist, or not any more."""

    code = Code.NOT_FOUND

    def __init__(self, message: str, detail: Message | None = None) -> None:
        super().__init__(message, detail or details.NotFoundFailure())


class NamespaceNotFound(ServiceError):
    code = Code.NOT_FOUND

    def __init__(self, namespace: str) -> None:
        super().__init__(f"Namespace {namespace} is not found.", details.NamespaceNotFoundFailure(namespace=namespace))


class NamespaceAlreadyExists(ServiceError):
    code = Code.ALREADY_EXISTS

    def __init__(self, message: str) -> None:
        super().__init__(message, details.NamespaceAlreadyExistsFailure())


class NamespaceInvalidState(ServiceError):
    code = Code.FAILED_PRECONDITION


class AlreadyExists(ServiceError):
    code = Code.ALREADY_EXISTS


class WorkflowExecutionAlreadyStarted(ServiceError):
    """A start was refused by the id-reuse or id-conflict policy."""

    code = Code.ALREADY_EXISTS

    def __init__(self, message: str, start_request_id: str, run_id: str, first_run_id: str = "") -> None:
        super().__init__(
            message,
            details.WorkflowExecutionAlreadyStartedFailure(
                start_request_id=start_request_id, run_id=run_id, first_execution_run_id=first_run_id
            ),
        )


class ActivityExecutionAlreadyStarted(ServiceError):
    """A start of a standalone activity was refused by the id-reuse or id-conflict policy."""

    code = Code.ALREADY_EXISTS

    def __init__(self, message: str, start_request_id: str, run_id: str) -> None:
        super().__init__(
            message,
            details.ActivityExecutionAlreadyStartedFailure(start_request_id=start_request_id, run_id=run_id),
        )


class NexusOperationExecutionAlreadyStarted(ServiceError):
    """A start of a standalone Nexus operation was refused by the id-reuse or id-conflict policy."""

    code = Code.ALREADY_EXISTS

    def __init__(self, message: str, start_request_id: str, run_id: str) -> None:
        super().__init__(
            message,
            details.NexusOperationExecutionAlreadyStartedFailure(start_request_id=start_request_id, run_id=run_id),
        )


class QueryFailed(ServiceError):
    """The worker answered the query with a failure."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, failure: Failure | None = None) -> None:
        super().__init__(message, details.QueryFailedFailure(failure=failure))


class WorkflowNotReady(ServiceError):
    """The execution exists but cannot serve the call yet."""

    code = Code.FAILED_PRECONDITION

    def __init__(self, message: str) -> None:
        super().__init__(message, details.WorkflowNotReadyFailure())


class FailedPrecondition(ServiceError):
    code = Code.FAILED_PRECONDITION


class Aborted(ServiceError):
    """The call lost to a concurrent change and may be tried again."""

    code = Code.ABORTED


class MultiOperationFailed(ServiceError):
    """One of the operations of ExecuteMultiOperation failed; the statuses are in the order of the operations.

    The code is that of the first operation which was not merely aborted because of another.
    """

    code = Code.ABORTED

    def __init__(
        self, message: str, statuses: list[details.MultiOperationExecutionFailure.OperationStatus], code: Code
    ) -> None:
        super().__init__(message, details.MultiOperationExecutionFailure(statuses=statuses))
        self.instance_code = code


class Unauthenticated(ServiceError):
    """Nobody knows who calls. The message does not say what was wrong with what was shown."""

    code = Code.UNAUTHENTICATED


class PermissionDenied(ServiceError):
    code = Code.PERMISSION_DENIED

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message, details.PermissionDeniedFailure(reason=reason))


class ResourceExhausted(ServiceError):
    """A named limit was hit; `cause` and `scope` say which kind and whose."""

    code = Code.RESOURCE_EXHAUSTED

    def __init__(
        self,
        message: str,
        cause: ResourceExhaustedCause.ValueType,
        scope: ResourceExhaustedScope.ValueType = ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE,
    ) -> None:
        super().__init__(message, details.ResourceExhaustedFailure(cause=cause, scope=scope))


class DeadlineExceeded(ServiceError):
    code = Code.DEADLINE_EXCEEDED


class Cancelled(ServiceError):
    code = Code.CANCELLED


class Unimplemented(ServiceError):
    code = Code.UNIMPLEMENTED


class Unavailable(ServiceError):
    """The caller should try again: a shard moved, a process is stopping, a store did not answer."""

    code = Code.UNAVAILABLE


class NotOwner(Unavailable):
    """Whoever was asked does not own the shard or task queue, and has done nothing.

    `owner` is the id of the member to ask instead, if that is known. Routers try again by themselves; to a client it
    is as good as any other reason to try again.
    """

    def __init__(self, what: str, owner: str = "") -> None:
        super().__init__(f"The owner of {what} is changing, try again.")
        self.owner = owner


class DataLoss(ServiceError):
    """A stored record of this execution is damaged; it was kept aside, and nothing else is affected."""

    code = Code.DATA_LOSS


class Internal(ServiceError):
    """A defect of ours, masked."""

    code = Code.INTERNAL


def workflow_not_found(workflow_id: str, run_id: str = "") -> NotFound:
    """The answer for an execution that does not exist in this namespace."""
    if run_id:
        return NotFound(f'workflow execution not found for workflow ID "{workflow_id}" and run ID "{run_id}"')
    return NotFound(f"workflow not found for ID: {workflow_id}")
