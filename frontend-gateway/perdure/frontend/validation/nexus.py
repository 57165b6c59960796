"""Requests about Nexus: polls for tasks, and the answers to them."""

from __future__ import annotations

import json

from temporalio.api.nexus.v1 import Failure as NexusFailure
from temporalio.api.workflowservice.v1 import (
    PollNexusTaskQueueRequest,
    RespondNexusTaskCompletedRequest,
    RespondNexusTaskFailedRequest,
)

from perdure.frontend.validation import workers
from perdure.frontend.validation.rules import Scene, byte_length, check_identity
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.nexus_failures import of_handler_error, of_operation_error


def check_poll(request: PollNexusTaskQueueRequest, scene: Scene) -> None:
    workers.check_poll_activity_task(request, scene)
    workers.check_worker_heartbeats(request, scene)


def check_completed(request: RespondNexusTaskCompletedRequest, scene: Scene) -> None:
    check_identity(request.identity, scene.limits)
    start = request.response.start_operation
    if start.HasField("async_success"):
        token = start.async_success.operation_token or start.async_success.operation_id
        if not token:
            raise InvalidArgument("missing opration token in response")
        if (length := byte_length(token)) > scene.limits.nexus_operation_token_max:
            raise InvalidArgument(
                f"operation token length exceeds allowed limit ({length}/{scene.limits.nexus_operation_token_max})"
            )
    if start.HasField("operation_error"):
        _check_details(start.operation_error.failure)
        of_operation_error(start.operation_error)


def check_failed(request: RespondNexusTaskFailedRequest, scene: Scene) -> None:
    check_identity(request.identity, scene.limits)
    if not request.HasField("error") and not request.HasField("failure"):
        raise InvalidArgument("request must contain error or failure")
    if request.HasField("failure"):
        if not request.failure.HasField("nexus_handler_failure_info"):
            raise InvalidArgument("request Failure must contain error or failure with NexusHandlerFailureInfo")
    else:
        _check_details(request.error.failure)
        of_handler_error(request.error)


def _check_details(failure: NexusFailure) -> None:
    if failure.details:
        try:
            json.loads(failure.details)
        except (ValueError, RecursionError):
            raise InvalidArgument("failure details must be JSON serializable") from None
