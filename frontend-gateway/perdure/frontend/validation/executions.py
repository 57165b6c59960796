"""Requests about one execution that exists: look at it, signal, query, cancel, reset, terminate, delete."""

from __future__ import annotations

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.enums.v1 import HistoryEventFilterType, QueryRejectCondition, ResetReapplyType
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
    PauseWorkflowExecutionRequest,
    QueryWorkflowRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetStickyTaskQueueRequest,
    ResetWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)

from perdure.frontend.validation.rules import (
    Scene,
    check_blob,
    check_execution,
    check_links,
    check_override,
    check_run_id,
    check_workflow_id,
    too_long,
)
from perdure.frontend.validation.time_skipping import check_config
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.options import check_priority

_DEFAULT_TERMINATE_REASON = "terminated by user via frontend"
_DEFAULT_TERMINATE_IDENTITY = "frontend-service"


def check_history(request: GetWorkflowExecutionHistoryRequest, scene: Scene) -> None:
    check_execution(request, "execution")
    request.maximum_page_size = _history_page_size(request.maximum_page_size, scene)
    if not request.history_event_filter_type:
        request.history_event_filter_type = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT


def check_history_reverse(request: GetWorkflowExecutionHistoryReverseRequest, scene: Scene) -> None:
    check_execution(request, "execution")
    request.maximum_page_size = _history_page_size(request.maximum_page_size, scene)


def _history_page_size(asked: int, scene: Scene) -> int:
    limit = scene.limits.history_page_size_max
    return asked if 0 < asked <= limit else limit


def check_describe(request: DescribeWorkflowExecutionRequest, scene: Scene) -> None:
    check_execution(request, "execution")


def check_reset_sticky(request: ResetStickyTaskQueueRequest, scene: Scene) -> None:
    check_execution(request, "execution")


def check_delete(request: DeleteWorkflowExecutionRequest, scene: Scene) -> None:
    check_execution(request, "workflow_execution")


def check_request_cancel(request: RequestCancelWorkflowExecutionRequest, scene: Scene) -> None:
    check_execution(request, "workflow_execution")
    check_links(request.links, scene.limits)


def check_terminate(request: TerminateWorkflowExecutionRequest, scene: Scene) -> None:
    check_execution(request, "workflow_execution")
    check_links(request.links, scene.limits)
    check_blob(request.details.ByteSize(), scene.limits)
    if not request.reason:
        request.reason = _DEFAULT_TERMINATE_REASON
    if not request.identity:
        request.identity = _DEFAULT_TERMINATE_IDENTITY


def check_signal(request: SignalWorkflowExecutionRequest, scene: Scene) -> None:
    check_execution(request, "workflow_execution")
    if not request.signal_name:
        raise InvalidArgument("SignalName is not set on request.")
    if too_long(request.signal_name, scene.limits):
        raise InvalidArgument("SignalName length exceeds limit.")
    if too_long(request.request_id, scene.limits):
        raise InvalidArgument("RequestId length exceeds limit.")
    check_links(request.links, scene.limits)
    check_blob(request.input.ByteSize(), scene.limits)


def check_reset(request: ResetWorkflowExecutionRequest, scene: Scene) -> None:
    if not request.request_id:
        raise InvalidArgument("RequestId is not set on request.")
    if too_long(request.request_id, scene.limits):
        raise InvalidArgument("RequestId length exceeds limit.")
    check_execution(request, "workflow_execution")
    if request.reset_reapply_type not in ResetReapplyType.values():
        raise InvalidArgument(f"unknown reset reapply type: {request.reset_reapply_type}")
    for operation in request.post_reset_operations:
        wanted = operation.update_workflow_options
        check_options_mask(wanted.update_mask)
        check_priority(wanted.workflow_execution_options.priority)
        _check_options(wanted.workflow_execution_options, scene)


def check_pause(request: PauseWorkflowExecutionRequest | UnpauseWorkflowExecutionRequest, scene: Scene) -> None:
    check_workflow_id(request.workflow_id, scene.limits)
    check_run_id(request.run_id)
    for name, text in (
        ("reason", request.reason),
        ("request id", request.request_id),
        ("identity", request.identity),
    ):
        if too_long(text, scene.limits):
            raise InvalidArgument(f"{name} is too long.")


def check_update_options(request: UpdateWorkflowExecutionOptionsRequest, scene: Scene) -> None:
    check_workflow_id(request.workflow_execution.workflow_id, scene.limits)
    check_run_id(request.workflow_execution.run_id)
    if not request.HasField("update_mask"):
        raise InvalidArgument("UpdateMask is required")
    if not request.HasField("workflow_execution_options"):
        raise InvalidArgument("WorkflowExecutionOptions is required")
    check_options_mask(request.update_mask)
    check_priority(request.workflow_execution_options.priority)
    _check_options(request.workflow_execution_options, scene)


def _check_options(options: WorkflowExecutionOptions, scene: Scene) -> None:
    if options.HasField("versioning_override"):
        check_override(options.versioning_override)
    if options.HasField("time_skipping_config"):
        check_config(options.time_skipping_config, scene)


def check_options_mask(mask: FieldMask) -> None:
    for path in mask.paths:
        if not FieldMask(paths=[path]).IsValidForDescriptor(WorkflowExecutionOptions.DESCRIPTOR):
            name = WorkflowExecutionOptions.DESCRIPTOR.full_name
            raise InvalidArgument(f'error parsing UpdateMask: proto: invalid path "{path}" for message "{name}"')


def check_query(request: QueryWorkflowRequest, scene: Scene) -> None:
    check_execution(request, "execution")
    if not request.HasField("query"):
        raise InvalidArgument("WorkflowQuery is not set on request.")
    if not request.query.query_type:
        raise InvalidArgument("QueryType is not set on request.")
    if request.query_reject_condition not in QueryRejectCondition.values():
        raise InvalidArgument(f"QueryRejectCondition {request.query_reject_condition} is unknown.")
    if not request.query_reject_condition:
        request.query_reject_condition = QueryRejectCondition.QUERY_REJECT_CONDITION_NONE
    check_blob(request.query.query_args.ByteSize(), scene.limits)
