"""Requests that may start a workflow: start, signal-with-start, and update-with-start."""

from __future__ import annotations

from collections.abc import Callable

from temporalio.api.enums.v1 import WorkflowIdConflictPolicy as Conflict
from temporalio.api.enums.v1 import WorkflowIdReusePolicy as Reuse
from temporalio.api.errordetails.v1 import MultiOperationExecutionFailure
from temporalio.api.failure.v1 import MultiOperationExecutionAborted
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)

from perdure.frontend.validation.rules import (
    Scene,
    byte_length,
    check_blob,
    check_callbacks,
    check_links,
    check_override,
    check_search_attributes,
    check_user_task_queue,
    check_workflow_id,
    too_long,
)
from perdure.frontend.validation.time_skipping import check_config
from perdure.frontend.validation.updates import check_update
from perdure.kernel import cron
from perdure.kernel.errors import Code, InvalidArgument, MultiOperationFailed, ServiceError
from perdure.kernel.names import check_names
from perdure.kernel.options import check_duration, check_priority, check_retry_policy
from perdure.kernel.prototime import length_ns

AnyStart = StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest


def check_start(request: StartWorkflowExecutionRequest, scene: Scene) -> None:
    limits = scene.limits
    _default_policies(request, Conflict.WORKFLOW_ID_CONFLICT_POLICY_FAIL)
    check_workflow_id(request.workflow_id, limits)
    _check_retry_policy(request)
    _check_start_delay(request)
    _check_cron(request, scene)
    if not request.workflow_type.name:
        raise InvalidArgument("WorkflowType is not set on request.")
    if too_long(request.workflow_type.name, limits):
        raise InvalidArgument("WorkflowType length exceeds limit.")
    check_user_task_queue(request, "task_queue", limits)
    check_timeouts(request)
    if not request.request_id:
        request.request_id = scene.runtime.entropy.uuid()
    elif too_long(request.request_id, limits):
        raise InvalidArgument("RequestId length exceeds limit.")
    _check_policies(request)
    conflict = request.on_conflict_options
    if conflict.attach_completion_callbacks and not conflict.attach_request_id:
        raise InvalidArgument("attaching request ID is required for attaching completion callbacks")
    check_search_attributes(request.search_attributes, scene)
    check_priority(request.priority)
    check_callbacks(request.completion_callbacks, limits)
    check_links(request.links, limits, request.completion_callbacks)
    if request.HasField("time_skipping_config"):
        check_config(request.time_skipping_config, scene)
    if request.HasField("versioning_override"):
        check_override(request.versioning_override)
    _check_sizes(request, scene)


def check_signal_with_start(request: SignalWithStartWorkflowExecutionRequest, scene: Scene) -> None:
    limits = scene.limits
    _check_cron(request, scene)
    check_workflow_id(request.workflow_id, limits)
    if not request.signal_name:
        raise InvalidArgument("signal not set")
    _check_length(request.signal_name, "signal name", scene)
    if not request.workflow_type.name:
        raise InvalidArgument("workflow type not set")
    _check_length(request.workflow_type.name, "workflow type name", scene)
    check_user_task_queue(request, "task_queue", limits)
    if not request.request_id:
        request.request_id = scene.runtime.entropy.uuid()
    _check_length(request.request_id, "Request ID", scene)
    check_timeouts(request)
    _check_retry_policy(request)
    _check_start_delay(request)
    _check_policies(request)
    if request.workflow_id_conflict_policy == Conflict.WORKFLOW_ID_CONFLICT_POLICY_FAIL:
        raise InvalidArgument(
            "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported for this operation."
        )
    _default_policies(request, Conflict.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
    check_search_attributes(request.search_attributes, scene)
    check_priority(request.priority)
    check_links(request.links, limits)
    if request.HasField("time_skipping_config"):
        check_config(request.time_skipping_config, scene)
    if request.HasField("versioning_override"):
        check_override(request.versioning_override)
    check_blob(request.signal_input.ByteSize(), limits)
    _check_sizes(request, scene)


def check_multi_operation(request: ExecuteMultiOperationRequest, scene: Scene) -> None:
    """Exactly a start and an update of the same workflow.

    Raises:
        MultiOperationFailed: one of the two is wrong; says so for each of them.
    """
    operations = request.operations
    if (
        len(operations) != 2
        or not operations[0].HasField("start_workflow")
        or not operations[1].HasField("update_workflow")
    ):
        raise InvalidArgument("Operations have to be exactly [Start, Update].")
    start, update = operations[0].start_workflow, operations[1].update_workflow
    start_fault = _fault(lambda: _check_start_operation(start, scene))
    update_fault = _fault(lambda: _check_update_operation(update, scene))
    if not start_fault and not update_fault and start.workflow_id != update.workflow_execution.workflow_id:
        update_fault = InvalidArgument("WorkflowId is not consistent with previous operation(s).")
    if fault := start_fault or update_fault:
        statuses = [_operation_status(start_fault), _operation_status(update_fault)]
        raise MultiOperationFailed("Update-with-Start could not be executed.", statuses, fault.code)


def _check_start_operation(request: StartWorkflowExecutionRequest, scene: Scene) -> None:
    check_names(request)
    _check_same_namespace(request, scene)
    check_start(request, scene)
    if request.cron_schedule:
        raise InvalidArgument("CronSchedule is not allowed.")
    if request.request_eager_execution:
        raise InvalidArgument("RequestEagerExecution is not supported.")
    if length_ns(request.workflow_start_delay) > 0:
        raise InvalidArgument("WorkflowStartDelay is not supported.")


def _check_update_operation(request: UpdateWorkflowExecutionRequest, scene: Scene) -> None:
    check_names(request)
    _check_same_namespace(request, scene)
    check_update(request, scene)
    if request.first_execution_run_id:
        raise InvalidArgument("FirstExecutionRunId is not allowed.")
    if request.workflow_execution.run_id:
        raise InvalidArgument("RunId is not allowed.")


def _check_same_namespace(
    request: StartWorkflowExecutionRequest | UpdateWorkflowExecutionRequest, scene: Scene
) -> None:
    if request.namespace and request.namespace != scene.namespace.name:
        raise InvalidArgument("Operation namespace did not match request's namespace.")
    request.namespace = scene.namespace.name


def _fault(check: Callable[[], None]) -> ServiceError | None:
    try:
        check()
    except ServiceError as error:
        return error
    return None


def _operation_status(fault: ServiceError | None) -> MultiOperationExecutionFailure.OperationStatus:
    if fault is not None:
        return MultiOperationExecutionFailure.OperationStatus(code=fault.code.value, message=fault.message)
    status = MultiOperationExecutionFailure.OperationStatus(code=Code.ABORTED.value, message="Operation was aborted.")
    status.details.add().Pack(MultiOperationExecutionAborted())
    return status


def _default_policies(request: AnyStart, conflict: Conflict.ValueType) -> None:
    if request.workflow_id_conflict_policy == Conflict.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED:
        if request.workflow_id_reuse_policy == Reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING:
            request.workflow_id_conflict_policy = Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
            request.workflow_id_reuse_policy = Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        else:
            request.workflow_id_conflict_policy = conflict
    if request.workflow_id_reuse_policy == Reuse.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED:
        request.workflow_id_reuse_policy = Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE


def _check_policies(request: AnyStart) -> None:
    reuse, conflict = request.workflow_id_reuse_policy, request.workflow_id_conflict_policy
    if (
        conflict != Conflict.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED
        and reuse == Reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    ):
        raise InvalidArgument(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING "
            "cannot be used together with a WorkflowIDConflictPolicy"
        )
    if (
        conflict == Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
        and reuse == Reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    ):
        raise InvalidArgument(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together "
            "with WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING"
        )


def _check_retry_policy(request: AnyStart) -> None:
    if request.HasField("retry_policy"):
        check_retry_policy(request.retry_policy)


def _check_start_delay(request: AnyStart) -> None:
    if request.cron_schedule and request.HasField("workflow_start_delay"):
        raise InvalidArgument("CronSchedule and WorkflowStartDelay may not be used together.")
    check_duration(request, "workflow_start_delay", "An invalid WorkflowStartDelaySeconds is set on request. cause: ")


def _check_cron(request: AnyStart, scene: Scene) -> None:
    if not request.cron_schedule:
        return
    try:
        following = cron.next_after(request.cron_schedule, scene.runtime.clock.now_ns())
    except cron.InvalidSchedule:
        raise InvalidArgument("invalid CronSchedule.") from None
    if following is None:
        raise InvalidArgument("invalid CronSchedule, no time can be found to satisfy the schedule")


def check_timeouts(request: AnyStart | NewWorkflowExecutionInfo) -> None:
    for field, called in (
        ("workflow_execution_timeout", "WorkflowExecutionTimeoutSeconds"),
        ("workflow_run_timeout", "WorkflowRunTimeoutSeconds"),
        ("workflow_task_timeout", "WorkflowTaskTimeoutSeconds"),
    ):
        check_duration(request, field, f"An invalid {called} is set on request. cause: ")


def _check_length(text: str, called: str, scene: Scene) -> None:
    if too_long(text, scene.limits):
        raise InvalidArgument(
            f"{called} exceeds maximum allowed length ({byte_length(text)}/{scene.limits.id_length_max})"
        )


def _check_sizes(request: AnyStart, scene: Scene) -> None:
    check_blob(request.input.ByteSize(), scene.limits)
    if request.memo.ByteSize() > scene.limits.memo_size_max:
        raise InvalidArgument("Memo size exceeds limit.")
