"""Requests of operators about the activities of a workflow."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
)

from perdure.frontend.validation.rules import Scene
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.options import check_duration, check_priority

_Request = PauseActivityRequest | UnpauseActivityRequest | ResetActivityRequest | UpdateActivityOptionsRequest


def check_pause(request: PauseActivityRequest, scene: Scene) -> None:
    _check_address(request)


def check_resume(request: UnpauseActivityRequest | ResetActivityRequest, scene: Scene) -> None:
    """Unpause or reset, both of which may be spread over some time."""
    _check_address(request)
    check_duration(request, "jitter", "invalid Jitter: ")


def check_update_options(request: UpdateActivityOptionsRequest, scene: Scene) -> None:
    _check_address(request)
    check_priority(request.activity_options.priority)
    if request.restore_original:
        if request.update_mask.paths:
            raise InvalidArgument("Both UpdateMask and RestoreOriginal are provided")
        return
    if not request.HasField("activity_options"):
        raise InvalidArgument("ActivityOptions are not provided")
    if not request.HasField("update_mask"):
        raise InvalidArgument("UpdateMask is not provided")


def _check_address(request: _Request) -> None:
    if not request.execution.workflow_id:
        raise InvalidArgument("WorkflowId is not set on request.")
    if request.WhichOneof("activity") is None:
        raise InvalidArgument("Either Activity.Id or Activity.Type should be set on request.")
