"""Requests about standalone activities."""

from __future__ import annotations

from typing import Any

from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.enums.v1 import ActivityIdConflictPolicy, ActivityIdReusePolicy
from temporalio.api.workflowservice.v1 import (
    DeleteActivityExecutionRequest,
    DescribeActivityExecutionRequest,
    PauseActivityExecutionRequest,
    PollActivityExecutionRequest,
    RequestCancelActivityExecutionRequest,
    ResetActivityExecutionRequest,
    StartActivityExecutionRequest,
    TerminateActivityExecutionRequest,
    UnpauseActivityExecutionRequest,
    UpdateActivityExecutionOptionsRequest,
)

from perdure.frontend.validation.rules import (
    Scene,
    byte_length,
    check_links,
    check_run_id,
    check_search_attributes,
    check_user_metadata,
    check_user_task_queue,
)
from perdure.kernel import activity_options
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import Limits
from perdure.kernel.options import check_duration, check_priority, check_retry_policy

_Reuse = ActivityIdReusePolicy
_Conflict = ActivityIdConflictPolicy
_Command = (
    PauseActivityExecutionRequest
    | UnpauseActivityExecutionRequest
    | ResetActivityExecutionRequest
    | UpdateActivityExecutionOptionsRequest
)


def check_start(request: StartActivityExecutionRequest, scene: Scene) -> None:
    limits = scene.limits
    check_duration(request, "start_delay", "invalid StartDelay: ")
    check_user_task_queue(request, "task_queue", limits)
    for what, value in (("activityId", request.activity_id), ("activityType", request.activity_type.name)):
        if not value:
            raise InvalidArgument(f"{what} is not set")
    check_retry_policy(request.retry_policy)
    for what, value in (("activityId", request.activity_id), ("activityType", request.activity_type.name)):
        _check_length(what, value, limits)
    try:
        check_priority(request.priority)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid priorities: {error.message}") from None
    activity_options.complete(request, request.activity_id, request.activity_type.name)
    _check_request_id(request, scene)
    _check_length("identity", request.identity, limits)
    _complete_policies(request)
    if request.input.ByteSize() > limits.blob_size_max:
        raise InvalidArgument("input exceeds length limit")
    check_user_metadata(request.user_metadata, limits)
    check_search_attributes(request.search_attributes, scene)
    if request.completion_callbacks:
        raise InvalidArgument("completion callbacks are not enabled for this namespace")
    check_links(request.links, limits)
    conflict = request.on_conflict_options
    if conflict.attach_completion_callbacks and not conflict.attach_request_id:
        raise InvalidArgument("on_conflict_options: attach_completion_callbacks requires attach_request_id to be set")
    if conflict.attach_request_id and not request.links:
        raise InvalidArgument(
            "on_conflict_options: attach_request_id requires at least one completion callback or link"
        )


def check_describe(request: DescribeActivityExecutionRequest, scene: Scene) -> None:
    _check_activity_id(request.activity_id, scene.limits)
    if request.long_poll_token and not request.run_id:
        raise InvalidArgument("run id is required when long poll token is provided")
    _check_run(request.run_id)


def check_address(request: PollActivityExecutionRequest | DeleteActivityExecutionRequest, scene: Scene) -> None:
    _check_activity_id(request.activity_id, scene.limits)
    _check_run(request.run_id)


def check_end(request: RequestCancelActivityExecutionRequest | TerminateActivityExecutionRequest, scene: Scene) -> None:
    """Cancel or terminate."""
    limits = scene.limits
    _check_activity_id(request.activity_id, limits)
    _check_request_id(request, scene)
    _check_length("identity", request.identity, limits)
    _check_run(request.run_id)
    if byte_length(request.reason) > limits.blob_size_max:
        raise InvalidArgument("reason exceeds length limit")


def check_pause(request: PauseActivityExecutionRequest, scene: Scene) -> None:
    _check_command(request, scene)
    if byte_length(request.reason) > scene.limits.blob_size_max:
        raise InvalidArgument("reason exceeds length limit")


def check_resume(request: UnpauseActivityExecutionRequest | ResetActivityExecutionRequest, scene: Scene) -> None:
    """Unpause or reset, both of which may be spread over some time."""
    _check_command(request, scene)
    check_duration(request, "jitter", "invalid jitter: ")


def check_update_options(request: UpdateActivityExecutionOptionsRequest, scene: Scene) -> None:
    _check_command(request, scene)
    paths = request.update_mask.paths
    if request.restore_original:
        if paths:
            raise InvalidArgument("Both UpdateMask and RestoreOriginal are provided")
        return
    if not request.HasField("activity_options"):
        raise InvalidArgument("ActivityOptions are not provided")
    if not request.HasField("update_mask"):
        raise InvalidArgument("UpdateMask is not provided")
    if not paths:
        raise InvalidArgument("UpdateMask must specify at least one path")
    for path in paths:
        if not activity_options.is_known(path):
            raise InvalidArgument(f'unsupported update_mask path: "{path}"')
    _check_changed_options(request.activity_options, {activity_options.field_path(path) for path in paths}, scene)


def _check_changed_options(given: ActivityOptions, paths: set[str], scene: Scene) -> None:
    """Those of the options that are to be taken over."""
    if "taskQueue.name" in paths:
        check_user_task_queue(given, "task_queue", scene.limits)
    for name in (*activity_options.TIMEOUTS, "start_delay"):
        if activity_options.field_path(name) in paths:
            check_duration(given, name, f"invalid {activity_options.message_name(name)}: ")
    if any(path.startswith("priority") for path in paths):
        check_priority(given.priority)
    policy = given.retry_policy
    if "retryPolicy" in paths:
        check_retry_policy(policy)
    for name in ("initial_interval", "maximum_interval"):
        if f"retryPolicy.{activity_options.field_path(name)}" in paths:
            shown = activity_options.message_name(name)
            check_duration(policy, name, f"invalid {shown} set on retry policy: ")
    if "retryPolicy.backoffCoefficient" in paths and not policy.backoff_coefficient >= 1:
        raise InvalidArgument("BackoffCoefficient cannot be less than 1 on retry policy.")
    if "retryPolicy.maximumAttempts" in paths and policy.maximum_attempts < 0:
        raise InvalidArgument("MaximumAttempts cannot be negative on retry policy.")


def _check_command(request: _Command, scene: Scene) -> None:
    _check_request_id(request, scene)
    _check_activity_id(request.activity_id, scene.limits)
    _check_length("identity", request.identity, scene.limits)
    _check_run(request.run_id)


def _complete_policies(request: StartActivityExecutionRequest) -> None:
    reuse, conflict = request.id_reuse_policy, request.id_conflict_policy
    if not reuse:
        request.id_reuse_policy = _Reuse.ACTIVITY_ID_REUSE_POLICY_ALLOW_DUPLICATE
    elif reuse not in _Reuse.values():
        raise InvalidArgument(f"unsupported ID reuse policy: {reuse}")
    if not conflict:
        request.id_conflict_policy = _Conflict.ACTIVITY_ID_CONFLICT_POLICY_FAIL
    elif conflict not in _Conflict.values():
        raise InvalidArgument(f"unsupported ID conflict policy: {conflict}")


def _check_activity_id(activity_id: str, limits: Limits) -> None:
    if not activity_id:
        raise InvalidArgument("activity ID is required")
    _check_length("activity ID", activity_id, limits)


def _check_run(run_id: str) -> None:
    check_run_id(run_id, "invalid run id: must be a valid UUID")


def _check_request_id(request: Any, scene: Scene) -> None:
    """One is made up for those who name none."""
    if not request.request_id:
        request.request_id = scene.runtime.entropy.uuid()
    _check_length("request ID", request.request_id, scene.limits)


def _check_length(what: str, value: str, limits: Limits) -> None:
    if (length := byte_length(value)) > limits.id_length_max:
        raise InvalidArgument(f"{what} exceeds length limit. Length={length} Limit={limits.id_length_max}")
