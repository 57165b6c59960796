"""Requests about standalone Nexus operations."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import (
    NexusOperationIdConflictPolicy,
    NexusOperationIdReusePolicy,
    NexusOperationWaitStage,
)
from temporalio.api.workflowservice.v1 import (
    DeleteNexusOperationExecutionRequest,
    DescribeNexusOperationExecutionRequest,
    PollNexusOperationExecutionRequest,
    RequestCancelNexusOperationExecutionRequest,
    StartNexusOperationExecutionRequest,
    TerminateNexusOperationExecutionRequest,
)

from perdure.frontend.validation.rules import (
    Scene,
    byte_length,
    check_run_id,
    check_search_attributes,
    check_user_metadata,
)
from perdure.kernel.errors import InvalidArgument, Unimplemented
from perdure.kernel.limits import Limits
from perdure.kernel.nexus import DISALLOWED_HEADERS
from perdure.kernel.options import check_duration
from perdure.kernel.prototime import length_ns

_Reuse = NexusOperationIdReusePolicy
_Conflict = NexusOperationIdConflictPolicy
_Stage = NexusOperationWaitStage


def check_start(request: StartNexusOperationExecutionRequest, scene: Scene) -> None:
    limits = scene.limits
    _check_request_id(request, scene)
    _check_operation_id(request.operation_id, limits)
    _check_length("identity", request.identity, limits.id_length_max)
    for what, value, limit in (
        ("endpoint", request.endpoint, 0),
        ("service", request.service, limits.nexus_service_name_max),
        ("operation", request.operation, limits.nexus_operation_name_max),
    ):
        if not value:
            raise InvalidArgument(f"{what} is required")
        if limit:
            _check_length(what, value, limit)
    _check_timeouts(request)
    _check_size("input", request.input.ByteSize(), limits.blob_size_max)
    check_user_metadata(request.user_metadata, limits)
    _check_header(request, limits)
    check_search_attributes(request.search_attributes, scene)
    _complete_policies(request)
    if request.completion_callbacks:
        raise Unimplemented("completion callbacks of standalone Nexus operations are not implemented")


def check_describe(request: DescribeNexusOperationExecutionRequest, scene: Scene) -> None:
    _check_operation_id(request.operation_id, scene.limits)
    if request.long_poll_token and not request.run_id:
        raise InvalidArgument("run_id is required when long_poll_token is provided")
    _check_run(request.run_id)


def check_poll(request: PollNexusOperationExecutionRequest, scene: Scene) -> None:
    if not request.wait_stage:
        request.wait_stage = _Stage.NEXUS_OPERATION_WAIT_STAGE_CLOSED
    elif request.wait_stage not in _Stage.values():
        raise InvalidArgument(f"unsupported wait_stage: {request.wait_stage}")
    _check_operation_id(request.operation_id, scene.limits)
    _check_run(request.run_id)


def check_delete(request: DeleteNexusOperationExecutionRequest, scene: Scene) -> None:
    _check_operation_id(request.operation_id, scene.limits)
    _check_run(request.run_id)


def check_end(
    request: RequestCancelNexusOperationExecutionRequest | TerminateNexusOperationExecutionRequest, scene: Scene
) -> None:
    """Cancel or terminate."""
    limits = scene.limits
    _check_request_id(request, scene)
    _check_operation_id(request.operation_id, limits)
    _check_run(request.run_id)
    _check_length("identity", request.identity, limits.id_length_max)
    _check_length("reason", request.reason, limits.nexus_reason_max)


def _check_timeouts(request: StartNexusOperationExecutionRequest) -> None:
    """The parts of an operation last no longer than the whole."""
    for name in ("schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout"):
        check_duration(request, name, f"{name} is invalid: ")
    whole = length_ns(request.schedule_to_close_timeout)
    for part in (request.schedule_to_start_timeout, request.start_to_close_timeout):
        if 0 < whole < length_ns(part):
            part.CopyFrom(request.schedule_to_close_timeout)


def _check_header(request: StartNexusOperationExecutionRequest, limits: Limits) -> None:
    """Names in the header become lower-case."""
    header = {name.lower(): value for name, value in request.nexus_header.items()}
    for name in request.nexus_header:
        if name.lower() in DISALLOWED_HEADERS:
            raise InvalidArgument(f'nexus_header contains a disallowed key: "{name}"')
    if sum(byte_length(name.lower()) + byte_length(text) for name, text in request.nexus_header.items()) > (
        limits.nexus_header_size_max
    ):
        raise InvalidArgument("nexus_header exceeds size limit")
    request.nexus_header.clear()
    request.nexus_header.update(header)


def _complete_policies(request: StartNexusOperationExecutionRequest) -> None:
    reuse, conflict = request.id_reuse_policy, request.id_conflict_policy
    if not reuse:
        request.id_reuse_policy = _Reuse.NEXUS_OPERATION_ID_REUSE_POLICY_ALLOW_DUPLICATE
    elif reuse not in _Reuse.values():
        raise InvalidArgument(f"unsupported ID reuse policy: {reuse}")
    if not conflict:
        request.id_conflict_policy = _Conflict.NEXUS_OPERATION_ID_CONFLICT_POLICY_FAIL
    elif conflict not in _Conflict.values():
        raise InvalidArgument(f"unsupported ID conflict policy: {conflict}")


def _check_operation_id(operation_id: str, limits: Limits) -> None:
    if not operation_id:
        raise InvalidArgument("operation_id is required")
    _check_length("operation_id", operation_id, limits.id_length_max)


def _check_run(run_id: str) -> None:
    check_run_id(run_id, "run_id is not a valid UUID")


def _check_request_id(request: Any, scene: Scene) -> None:
    """One is made up for those who name none."""
    if not request.request_id:
        request.request_id = scene.runtime.entropy.uuid()
    _check_length("request_id", request.request_id, scene.limits.id_length_max)


def _check_length(what: str, value: str, limit: int) -> None:
    if (length := byte_length(value)) > limit:
        raise InvalidArgument(f"{what} exceeds length limit. Length={length} Limit={limit}")


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise InvalidArgument(f"{what} exceeds size limit. Length={size} Limit={limit}")
