"""Requests of operators about the activities of a workflow."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
)

from perdure.frontend.validation.rules import Scene, byte_length, check_identity, too_long
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.options import check_duration, check_priority

_Request = PauseActivityRequest | UnpauseActivityRequest | ResetActivityRequest | UpdateActivityOptionsRequest


def check_pause(request: PauseActivityRequest, scene: Scene) -> None:
    _check_command(request, scene)
    if too_long(request.request_id, scene.limits):
        raise InvalidArgument("RequestId length exceeds limit.")
    if byte_length(request.reason) > scene.limits.blob_size_max:
        raise InvalidArgument("Reason length exceeds limit.")


def check_resume(request: UnpauseActivityRequest | ResetActivityRequest, scene: Scene) -> None:
    """Unpause or reset, both of which may be spread over some time."""
    _check_command(request, scene)
    check_duration(request, "jitter", "invalid Jitter: ")


def check_update_options(request: UpdateActivityOptionsRequest, scene: Scene) -> None:
    _check_command(request, scene)
    check_priority(request.activity_options.priority)
    if request.restore_original:
        if request.update_mask.paths:
            raise InvalidArgument("Both UpdateMask and RestoreOriginal are provided")
        return
    if not request.HasField("activity_options"):
        raise InvalidArgument("ActivityOptions are not provided")
    if not request.HasField("update_mask"):
        raise InvalidArgument("UpdateMask is not provided")


def _check_command(request: _Request, scene: Scene) -> None:
    if not request.execution.workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    if request.WhichOneof("activity") is None:
        raise InvalidArgument("Either Activity.Id or Activity.Type should be set on request.")
    check_identity(request.identity, scene.limits)
