"""PURE. Errors as `google.rpc.Status`, the form that gRPC and HTTP share."""

from __future__ import annotations

from google.rpc.status_pb2 import Status

from perdure.kernel.errors import Code, MultiOperationFailed, ServiceError

#: HTTP status by code, as `google.rpc.Code` documents it. 499 is nginx's: the client is gone.
HTTP_STATUS = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


def code_of(error: ServiceError) -> Code:
    """The code of an error, which some have for themselves."""
    return error.instance_code if isinstance(error, MultiOperationFailed) else error.code


def status_of(error: ServiceError, *, message_length_max: int | None = None) -> Status:
    """The status of an error that the caller is meant to see, its detail packed."""
    message = error.message
    if message_length_max is not None and len(message) > message_length_max:
        message = message[:message_length_max] + "..."
    status = Status(code=code_of(error).value, message=message)
    if error.detail is not None:
        status.details.add().Pack(error.detail)
    return status
