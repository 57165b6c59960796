"""PURE: failures of Nexus handlers and operations, in the words of older workers and as failures of this API.

Source of the shapes: https://github.com/nexus-rpc/api/blob/main/SPEC.md, and the metadata by which Temporal's workers
tell failures of theirs.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf import json_format
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import NexusHandlerErrorRetryBehavior as RetryBehavior
from temporalio.api.failure.v1 import (
    ApplicationFailureInfo,
    CanceledFailureInfo,
    Failure,
    NexusHandlerFailureInfo,
)
from temporalio.api.nexus.v1 import Failure as NexusFailure
from temporalio.api.nexus.v1 import HandlerError, UnsuccessfulOperationError

from perdure.kernel.errors import InvalidArgument

#: Types of handler errors that do not go away by trying again.
_NOT_RETRYABLE = frozenset(
    {"BAD_REQUEST", "UNAUTHENTICATED", "UNAUTHORIZED", "NOT_FOUND", "CONFLICT", "NOT_IMPLEMENTED"}
)
_FAILURE = Failure.DESCRIPTOR.full_name
#: Causes in causes; deeper ones are left out.
_DEPTH_MAX = 50


def handler_failure(kind: str, message: str, *, retryable: bool | None = None) -> Failure:
    """That a handler could not be asked, or had no answer. Without `retryable` its type says if it may be asked
    again.
    """
    behavior = RetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_UNSPECIFIED
    if retryable is not None:
        behavior = (
            RetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_RETRYABLE
            if retryable
            else RetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_NON_RETRYABLE
        )
    info = NexusHandlerFailureInfo(type=kind, retry_behavior=behavior)
    return Failure(message=message, nexus_handler_failure_info=info)


def is_retryable(failure: Failure) -> bool:
    """Whether a handler that failed so may be asked again."""
    if not failure.HasField("nexus_handler_failure_info"):
        return True
    info = failure.nexus_handler_failure_info
    if info.retry_behavior == RetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_RETRYABLE:
        return True
    if info.retry_behavior == RetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_NON_RETRYABLE:
        return False
    return info.type not in _NOT_RETRYABLE


def of_handler_error(error: HandlerError) -> Failure:
    """The failure of a handler as older workers tell it.

    Raises:
        InvalidArgument: its details are not what its metadata says.
    """
    failure = Failure(message=error.failure.message, stack_trace=error.failure.stack_trace)
    failure.nexus_handler_failure_info.type = error.error_type
    failure.nexus_handler_failure_info.retry_behavior = error.retry_behavior
    if error.failure.metadata or error.failure.details:
        failure.cause.CopyFrom(of_nexus(error.failure))
    elif error.failure.HasField("cause"):
        failure.cause.CopyFrom(of_nexus(error.failure.cause))
    return failure


def of_operation_error(error: UnsuccessfulOperationError) -> Failure:
    """How an operation ended, as older workers tell it.

    Raises:
        InvalidArgument: its details are not what its metadata says.
    """
    failure = of_nexus(error.failure)
    if error.operation_state == "canceled":
        return as_canceled(failure)
    if failure.WhichOneof("failure_info") is None:
        failure.application_failure_info.type = "OperationError"
        failure.application_failure_info.non_retryable = True
    return failure


def as_canceled(failure: Failure) -> Failure:
    """The same as the failure of something that was canceled."""
    if failure.HasField("canceled_failure_info"):
        return failure
    canceled = Failure(
        message=failure.message, stack_trace=failure.stack_trace, canceled_failure_info=CanceledFailureInfo()
    )
    if failure.HasField("cause"):
        canceled.cause.CopyFrom(failure.cause)
    return canceled


def of_nexus(failure: NexusFailure, depth: int = 0) -> Failure:
    """A failure of the Nexus protocol as one of this API.

    Raises:
        InvalidArgument: its details are not what its metadata says.
    """
    result = Failure()
    kind = failure.metadata.get("type")
    if kind == _FAILURE:
        try:
            json_format.Parse(failure.details, result, ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidArgument(f"Malformed failure: {error}") from None
    elif kind == "nexus.HandlerError":
        _read_handler_error(failure, result)
    elif kind == "nexus.OperationError":
        if _object(failure.details).get("state") == "canceled":
            result.canceled_failure_info.SetInParent()
        else:
            result.application_failure_info.type = "OperationError"
            result.application_failure_info.non_retryable = True
    elif failure.metadata or failure.details:
        result.application_failure_info.CopyFrom(_as_details(failure))
    result.message = failure.message
    result.stack_trace = failure.stack_trace
    if failure.HasField("cause") and depth < _DEPTH_MAX:
        result.cause.CopyFrom(of_nexus(failure.cause, depth + 1))
    return result


def _read_handler_error(failure: NexusFailure, result: Failure) -> None:
    details = _object(failure.details)
    info = result.nexus_handler_failure_info
    info.type = str(details.get("type", ""))
    override = details.get("retryableOverride")
    if override is not None:
        info.retry_behavior = (
            RetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_RETRYABLE
            if override
            else RetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_NON_RETRYABLE
        )
    if encoded := details.get("encodedAttributes"):
        try:
            decoded = base64.urlsafe_b64decode(str(encoded) + "==")
            result.encoded_attributes.CopyFrom(json_format.Parse(decoded, Payload(), ignore_unknown_fields=True))
        except (ValueError, json_format.ParseError, RecursionError) as error:
            raise InvalidArgument(f"Malformed failure: {error}") from None


def _object(details: bytes) -> dict[str, Any]:
    try:
        found = json.loads(details or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"Malformed failure: {error}") from None
    if not isinstance(found, dict):
        raise InvalidArgument("Malformed failure: its details are no object")
    return found


def _as_details(failure: NexusFailure) -> ApplicationFailureInfo:
    """What nobody here understands goes to whoever reads the failure."""
    whole: dict[str, Any] = {}
    if failure.metadata:
        whole["metadata"] = dict(sorted(failure.metadata.items()))
    if failure.details:
        try:
            whole["details"] = json.loads(failure.details)
        except (ValueError, RecursionError):
            raise InvalidArgument("failure details must be JSON serializable") from None
    info = ApplicationFailureInfo(type="NexusFailure")
    info.details.payloads.add(metadata={"encoding": b"json/plain"}, data=json.dumps(whole).encode())
    return info
