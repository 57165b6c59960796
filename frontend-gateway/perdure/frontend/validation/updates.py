"""Updates: sending one, and asking how one fared."""

from __future__ import annotations

from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest, UpdateWorkflowExecutionRequest

from perdure.frontend.validation.rules import Scene, check_blob, check_execution, check_links, too_long
from perdure.kernel.errors import InvalidArgument, PermissionDenied, Unimplemented


def check_update(request: UpdateWorkflowExecutionRequest, scene: Scene) -> None:
    check_execution(request, "workflow_execution")
    update = request.request
    if not update.HasField("meta"):
        raise InvalidArgument("Update meta is not set on request.")
    if too_long(update.meta.update_id, scene.limits):
        raise InvalidArgument("UpdateId length exceeds limit.")
    if not update.meta.update_id:
        update.meta.update_id = scene.runtime.entropy.uuid()
    if not update.HasField("input"):
        raise InvalidArgument("Update input is not set on request.")
    if not update.input.name:
        raise InvalidArgument("Update name is not set on request.")
    stage = request.wait_policy.lifecycle_stage
    if stage not in Stage.values():
        raise InvalidArgument(f"Update wait stage {stage} is unknown.")
    if stage == Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_UNSPECIFIED:
        request.wait_policy.lifecycle_stage = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
    if stage == Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED:
        raise PermissionDenied(
            "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported."
        )
    if update.completion_callbacks:
        raise Unimplemented("Completion callbacks are not implemented yet.")
    check_links(update.links, scene.limits)
    check_blob(update.input.args.ByteSize(), scene.limits)


def check_poll_update(request: PollWorkflowExecutionUpdateRequest, scene: Scene) -> None:
    if not request.HasField("update_ref"):
        raise InvalidArgument("UpdateRef is not set on request.")
    check_execution(request.update_ref, "workflow_execution")
    if request.wait_policy.lifecycle_stage not in Stage.values():
        raise InvalidArgument(f"Update wait stage {request.wait_policy.lifecycle_stage} is unknown.")
