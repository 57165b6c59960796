"""Exceptions on their way to another process: what a handler raises is what its caller catches."""

from __future__ import annotations

import msgspec
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from perdure.kernel import errors
from perdure.kernel.errors import Code, Internal, MultiOperationFailed, NotOwner, ServiceError
from perdure.kernel.masking import service_error
from perdure.kernel.rpc import StickyWorkerUnavailable, TaskObsolete

#: Classes by the name that they travel under. One that is not here travels as its nearest ancestor that is.
_SERVICE_ERRORS: dict[str, type[ServiceError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, ServiceError) and value is not ServiceError
}
#: Those that are no answer to a client but news between roles. They have one argument at most, a string.
_NEWS: dict[str, type[Exception]] = {kind.__name__: kind for kind in (TaskObsolete, StickyWorkerUnavailable)}


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An exception. `code` is that of the instance where instances differ, else 0; `owner` is what a `NotOwner` says.

    Processes of two versions meet in a rolling upgrade: new fields go to the end, with a default.
    """

    kind: str
    message: str = ""
    detail_type: str = ""
    detail: bytes = b""
    code: int = 0
    owner: str = ""


def to_failure(error: Exception) -> Failure | None:
    """None if the error is a defect, which is nothing that a caller could know how to handle."""
    if isinstance(error, NotOwner):
        return Failure(NotOwner.__name__, error.message, owner=error.owner)
    if type(error).__name__ in _NEWS:
        return Failure(type(error).__name__, str(error))
    shown = service_error(error)
    if shown is None:
        return None
    kind = next((kind for kind in type(shown).__mro__ if kind.__name__ in _SERVICE_ERRORS), Internal)
    failure = Failure(kind.__name__, shown.message)
    if shown.detail is not None:
        failure = msgspec.structs.replace(
            failure, detail_type=shown.detail.DESCRIPTOR.full_name, detail=shown.detail.SerializeToString()
        )
    if isinstance(shown, MultiOperationFailed):
        failure = msgspec.structs.replace(failure, code=shown.instance_code.value)
    return failure


def to_exception(failure: Failure) -> Exception:
    """The other way. A class that this version does not know is an `Internal`."""
    if failure.kind in _NEWS:
        return _NEWS[failure.kind](*filter(None, (failure.message,)))
    kind = _SERVICE_ERRORS.get(failure.kind, Internal)
    # Constructors differ from class to class; what they make of their arguments is what has travelled.
    error = kind.__new__(kind)
    ServiceError.__init__(error, failure.message, _detail(failure))
    if isinstance(error, MultiOperationFailed):
        error.instance_code = Code(failure.code)
    if isinstance(error, NotOwner):
        error.owner = failure.owner
    return error


def _detail(failure: Failure) -> Message | None:
    if not failure.detail_type:
        return None
    try:
        message = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(failure.detail_type))
        return message.FromString(failure.detail)
    except (KeyError, DecodeError):
        return None
